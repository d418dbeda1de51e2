"""The numbers that the texts state as results, computed from the ledger or from the outputs stored in the lessons.

In the text a mark stands behind the number, which readers do not see: `97.7 %<!-- claim: recipe_test_accuracy -->`.
It names a function in this file; test_claims.py compares. A function returns the number in the unit of the text, or
the numbers in the order of the text when the mark stands behind several: `97–98 %`, `0.16 ± 0.05 points`.
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


def recipe_test_accuracy_range():
    """In whole percent, from just below the worst seed to just above the best."""
    percent = 100 * ledger.select(_runs())["test_accuracy"]
    return math.floor(percent.min()), math.ceil(percent.max())


def recipe_validation_accuracy_range():
    """In percent, the limits of the interval that holds 95 % of new runs, by the ledger's ten seeds."""
    percent = 100 * ledger.select(_runs())["valid_accuracy"]
    half = t.ppf(0.975, len(percent) - 1) * percent.std() * math.sqrt(1 + 1 / len(percent))
    return percent.mean() - half, percent.mean() + half


def first_step_of_adam():
    ((largest, *_),) = zip(*stored_numbers("03_training", r"layers\S+ +largest change ([\d.]+)"))
    return largest


def size_of_a_saved_run():
    """In kilobytes, rounded to tens."""
    ((kilobytes,),) = stored_numbers("03_training", r"my_recipe\.pt (\d+) kB")
    return round(kilobytes, -1)


def _effect(column, first, second, factor=100):
    """The mean over seeds of first − second, and half of its 95 % interval; in percentage points by default."""
    mean, half = ledger.mean_interval(ledger.paired_differences(_runs(), column, first, second))
    return factor * mean, factor * half


def _recipe_against_neither(column, size=48_000, factor=100):
    neither = {"dropout": 0.0, "weight_decay": 0.0, "train_size": size}
    return _effect(column, {"train_size": size}, neither, factor)


def number_of_runs():
    return len(_runs())


def accuracy_at_48000():
    return _recipe_against_neither("valid_accuracy")


def loss_at_48000():
    return _recipe_against_neither("valid_loss", factor=1)


def gap_at_48000():
    return _recipe_against_neither("gap")


def calibration_at_48000():
    return _recipe_against_neither("test_calibration_error")


def accuracy_at_2000():
    return _recipe_against_neither("valid_accuracy", 2_000)


def accuracy_at_500():
    return _recipe_against_neither("valid_accuracy", 500)


def accuracy_at_500_stopped_early():
    """As accuracy_at_500, but in the epoch with the lowest validation loss of each run."""
    table = ledger.load_ledger()
    best = table.loc[table.groupby(ledger.SETTINGS)["valid_loss"].idxmin()]
    neither = {"dropout": 0.0, "weight_decay": 0.0, "train_size": 500}
    mean, half = ledger.mean_interval(ledger.paired_differences(best, "valid_accuracy", {"train_size": 500}, neither))
    return 100 * mean, 100 * half


def accuracy_of_much_weight_decay():
    return _effect("valid_accuracy", {"weight_decay": 1e-3}, {})


def accuracy_of_too_much_dropout():
    return _effect("valid_accuracy", {"dropout": 0.7}, {})


def first_norm_with_adam():
    """The first layer's norm with dropout 0.2: without weight decay and with 1e-4."""
    return tuple(ledger.select(_runs(), weight_decay=decay)["weight_norm_1"].mean() for decay in (0.0, 1e-4))


def first_norm_with_adamw():
    return ledger.select(_runs(), optimizer="AdamW")["weight_norm_1"].mean()
