"""The numbers that the texts state as results, computed from the ledger or from the outputs stored in the lessons.

In the text a mark stands behind the number, which readers do not see: `97.7 %<!-- claim: recipe_test_accuracy -->`.
It names an entry of CLAIMS; test_claims.py compares. An entry returns the number in the unit of the text, or the
numbers in the order of the text when the mark stands behind several: `97–98 %`, `0.16 ± 0.05 points`.
"""

import math
from functools import lru_cache

import pandas as pd
from scipy.stats import t

from lessons import stored_numbers
from mnist_helpers.labs import ledger


@lru_cache
def _runs() -> pd.DataFrame:
    """The ledger's runs, one row each, as they are after their last epoch."""
    return ledger.last_epochs(ledger.load_ledger())


def _recipe_test_accuracy_range():
    """In whole percent, from just below the worst seed to just above the best."""
    percent = 100 * ledger.select(_runs())["test_accuracy"]
    return math.floor(percent.min()), math.ceil(percent.max())


def _recipe_validation_accuracy_range():
    """In percent, the limits of the interval that holds 95 % of new runs, by the ledger's ten seeds."""
    percent = 100 * ledger.select(_runs())["valid_accuracy"]
    half = t.ppf(0.975, len(percent) - 1) * percent.std() * math.sqrt(1 + 1 / len(percent))
    return percent.mean() - half, percent.mean() + half


def _effect(column, first, second, factor=100, runs=None):
    """The mean over seeds of first − second, and half of its 95 % interval; in percentage points by default."""
    runs = _runs() if runs is None else runs
    mean, half = ledger.mean_interval(ledger.paired_differences(runs, column, first, second))
    return factor * mean, factor * half


def _recipe_against_neither(column, size=48_000, **options):
    return _effect(column, {"train_size": size}, {"dropout": 0.0, "weight_decay": 0.0, "train_size": size}, **options)


def _best_epochs():
    """The epoch with the lowest validation loss of each run."""
    table = ledger.load_ledger()
    return table.loc[table.groupby(ledger.SETTINGS)["valid_loss"].idxmin()]


def _first_norm(**settings):
    """The first layer's norm with dropout 0.2."""
    return ledger.select(_runs(), **settings)["weight_norm_1"].mean()


CLAIMS = {
    "recipe_test_accuracy_range": _recipe_test_accuracy_range,
    "recipe_validation_accuracy_range": _recipe_validation_accuracy_range,
    "first_step_of_adam": lambda: stored_numbers("03b_training", r"layers\S+ +largest change ([\d.]+)")[0][0],
    "size_of_a_saved_run": lambda: round(stored_numbers("03b_training", r"my_recipe\.pt # kB")[0][0], -1),
    "number_of_runs": lambda: len(_runs()),
    "accuracy_at_48000": lambda: _recipe_against_neither("valid_accuracy"),
    "loss_at_48000": lambda: _recipe_against_neither("valid_loss", factor=1),
    "gap_at_48000": lambda: _recipe_against_neither("gap"),
    "calibration_at_48000": lambda: _recipe_against_neither("test_calibration_error"),
    "accuracy_at_2000": lambda: _recipe_against_neither("valid_accuracy", 2_000),
    "accuracy_at_500": lambda: _recipe_against_neither("valid_accuracy", 500),
    "accuracy_at_500_stopped_early": lambda: _recipe_against_neither("valid_accuracy", 500, runs=_best_epochs()),
    "accuracy_of_much_weight_decay": lambda: _effect("valid_accuracy", {"weight_decay": 1e-3}, {}),
    "accuracy_of_too_much_dropout": lambda: _effect("valid_accuracy", {"dropout": 0.7}, {}),
    "first_norm_with_adam": lambda: (_first_norm(weight_decay=0.0), _first_norm(weight_decay=1e-4)),
    "first_norm_with_adamw": lambda: _first_norm(optimizer="AdamW"),
}
