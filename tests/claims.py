"""The numbers that the texts state as results, computed from the ledger or from the outputs stored in the lessons.

In the text a mark stands behind the number, which readers do not see: `97.7 %<!-- claim: recipe_test_accuracy -->`.
It names a function in this file; test_claims.py compares. A function returns the number in the unit of the text, or
the numbers in the order of the text when the mark stands behind several: `97–98 %`, `0.16 ± 0.05 points`.
"""
import math
from functools import lru_cache

import pandas as pd
from test_notebooks import stored_numbers

from mnist_helpers import ledger


@lru_cache
def _runs() -> pd.DataFrame:
    """The ledger's runs, one row each, as they are after their last epoch."""
    return ledger.last_epochs(ledger.load_ledger())


def recipe_test_accuracy_range():
    """In whole percent, from just below the worst seed to just above the best."""
    percent = 100 * ledger.select(_runs())["test_accuracy"]
    return math.floor(percent.min()), math.ceil(percent.max())


def first_step_of_adam():
    ((largest, *_),) = zip(*stored_numbers("03_training", r"layers\S+ +largest change ([\d.]+)"))
    return largest


def size_of_a_saved_run():
    """In kilobytes, rounded to tens."""
    ((kilobytes,),) = stored_numbers("03_training", r"recipe\.pt (\d+) kB")
    return round(kilobytes, -1)
