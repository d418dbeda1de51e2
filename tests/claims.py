"""The numbers that the texts state as results, computed from the ledger or from the outputs stored in the lessons.

In the text a mark stands behind the number, which readers do not see: `97.7 %<!-- claim: recipe_test_accuracy -->`.
It names an entry of CLAIMS; test_claims.py compares. An entry returns the number in the unit of the text, or the
numbers in the order of the text when the mark stands behind several: `97–98 %`, `0.16 ± 0.05 points`.

The ledger is read and worked on here without the package: a mistake in the functions that print the lessons' tables
does not come back in the numbers that the tables are compared with.
"""

import math
from functools import lru_cache
from pathlib import Path

import pandas as pd
from scipy.stats import t

from lessons import stored_numbers

ASSETS = Path(__file__).parent.parent / "mnist_helpers" / "assets"
NEITHER = {"dropout": 0.0, "weight_decay": 0.0}


@lru_cache
def _ledger() -> tuple[pd.DataFrame, dict]:
    """One row for each epoch of each run, and the settings of the recipe. All that is known of files and columns."""
    runs, epochs = pd.read_csv(ASSETS / "ledger" / "runs.csv.gz"), pd.read_csv(ASSETS / "ledger" / "epochs.csv.gz")
    rows = epochs.join(runs.set_index("run"), on="run")
    rows["gap"] = rows["train_accuracy"] - rows["valid_accuracy"]
    recipe = {"dropout": 0.2, "weight_decay": 1e-4, "train_size": 48_000, "pixels": "scaled", "label_smoothing": 0.0}
    return rows, {**recipe, "optimizer": "Adam", "network": "MNISTNet"}


def _epochs(**settings) -> pd.DataFrame:
    """The rows with these settings; for those not named, the recipe's."""
    rows, recipe = _ledger()
    for name, value in {**recipe, **settings}.items():
        rows = rows[rows[name] == value]
    assert len(rows) > 0, f"the ledger has no run with {settings}"
    return rows


def _last(column, **settings) -> pd.Series:
    """The value after the last epoch of each seed."""
    rows = _epochs(**settings)
    return rows[rows["epoch"] == rows["epochs"]].set_index("seed")[column]


def _best(column, **settings) -> pd.Series:
    """The value after the epoch with the lowest validation loss of each seed."""
    rows = _epochs(**settings).sort_values("valid_loss")
    return rows.drop_duplicates("seed").set_index("seed")[column]


def _interval(values, overlap=0.0):
    """Mean and half of the 95 % interval, by Student's t distribution; `overlap` as Nadeau and Bengio (2003) add it."""
    scale = values.sem() * math.sqrt(1 + len(values) * overlap)
    low, high = t.interval(0.95, len(values) - 1, loc=values.mean(), scale=scale)
    return (low + high) / 2, (high - low) / 2


def _effect(column, first, second, factor=100, values=_last, overlap=0.0):
    """The mean over seeds of first − second, and half of its 95 % interval; in percentage points by default."""
    ours, theirs = values(column, **first), values(column, **second)
    seeds = sorted(set(ours.index) & set(theirs.index))
    mean, half = _interval(pd.Series([ours[seed] - theirs[seed] for seed in seeds]), overlap)
    return factor * mean, factor * half


def _recipe_against_neither(column, size=48_000, **options):
    return _effect(column, {"train_size": size}, {**NEITHER, "train_size": size}, **options)


def _corrected(column, **options):
    """Recipe − neither with all images, where 12,000 validation images stand beside 48,000 training images."""
    return _recipe_against_neither(column, overlap=12 / 48, **options)


def _much_dropout_at_500(values):
    sized = {"train_size": 500}
    return _effect("valid_loss", {"dropout": 0.7, **sized}, sized, factor=1, values=values)


def _recipe_test_accuracy_range():
    """In whole percent, from just below the worst seed to just above the best."""
    percent = 100 * _last("test_accuracy")
    return math.floor(percent.min()), math.ceil(percent.max())


def _recipe_validation_accuracy_range():
    """In percent, the limits of the interval that holds 95 % of new runs, by the ledger's ten seeds."""
    percent = 100 * _last("valid_accuracy")
    new = percent.std() * math.sqrt(1 + 1 / len(percent))
    return t.interval(0.95, len(percent) - 1, loc=percent.mean(), scale=new)


def _number_of_runs():
    rows, _ = _ledger()
    return (rows["epoch"] == rows["epochs"]).sum()


CLAIMS = {
    "recipe_test_accuracy_range": _recipe_test_accuracy_range,
    "recipe_validation_accuracy_range": _recipe_validation_accuracy_range,
    "first_step_of_adam": lambda: stored_numbers("03b_training", r"layers\S+ +largest change ([\d.]+)")[0][0],
    "size_of_a_saved_run": lambda: round(stored_numbers("03b_training", r"my_recipe\.pt # kB")[0][0], -1),
    "number_of_runs": _number_of_runs,
    "accuracy_at_48000": lambda: _recipe_against_neither("valid_accuracy"),
    "corrected_accuracy_at_48000": lambda: _corrected("valid_accuracy"),
    "corrected_loss_at_48000": lambda: _corrected("valid_loss", factor=1),
    "corrected_best_accuracy_at_48000": lambda: _corrected("valid_accuracy", values=_best),
    "corrected_best_loss_at_48000": lambda: _corrected("valid_loss", factor=1, values=_best),
    "gap_at_48000": lambda: _recipe_against_neither("gap"),
    "calibration_at_48000": lambda: _recipe_against_neither("test_calibration_error"),
    "accuracy_at_2000": lambda: _recipe_against_neither("valid_accuracy", 2_000),
    "accuracy_at_500": lambda: _recipe_against_neither("valid_accuracy", 500),
    "best_accuracy_at_500": lambda: _recipe_against_neither("valid_accuracy", 500, values=_best),
    "best_accuracy_at_2000": lambda: _recipe_against_neither("valid_accuracy", 2_000, values=_best),
    "best_accuracy_at_48000": lambda: _recipe_against_neither("valid_accuracy", values=_best),
    "mistakes_of_the_recipe": lambda: 100 * (1 - _last("valid_accuracy").mean()),
    "mistakes_of_neither": lambda: 100 * (1 - _last("valid_accuracy", **NEITHER).mean()),
    "loss_of_much_dropout_at_500": lambda: _much_dropout_at_500(_last),
    "best_loss_of_much_dropout_at_500": lambda: _much_dropout_at_500(_best),
    "accuracy_of_much_weight_decay": lambda: _effect("valid_accuracy", {"weight_decay": 1e-3}, {}),
    "accuracy_of_too_much_dropout": lambda: _effect("valid_accuracy", {"dropout": 0.7}, {}),
    "first_norm_with_adam": lambda: tuple(_last("weight_norm_1", weight_decay=decay).mean() for decay in (0.0, 1e-4)),
    "first_norm_with_adamw": lambda: _last("weight_norm_1", optimizer="AdamW").mean(),
}
