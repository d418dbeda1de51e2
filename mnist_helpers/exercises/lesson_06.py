"""The exercises of lesson 6."""

import math
from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd

from mnist_helpers.exercises.checking import Exercise, MistakeError, number, values
from mnist_helpers.exercises.comparing import pair, require
from mnist_helpers.labs.ledger import holm


def fewer_mistakes(answer: Callable) -> Iterator[str]:
    """Which share of the mistakes is gone, from two accuracies."""
    for before, after in ((0.96, 0.97), (0.9, 0.99), (0.975, 0.975), (0.98, 0.97), (0.5, 1.0)):
        case = f"the call with {before}, {after}"
        gone = (after - before) / (1 - before)
        mistakes = {
            "that is the difference of the accuracies; which share of the mistakes is it?": after - before,
            "that is a difference in points; which share of the mistakes is it?": 100 * (after - before),
            "the sign is wrong: fewer mistakes are a positive share": -gone,
            "that is a percentage, and a share is asked for": 100 * gone,
            "that is relative to the accuracy before, not to the mistakes before": (after - before) / before,
            "that is the share of the mistakes that is left": 1 - gone,
            "that is relative to the mistakes afterwards": (after - before) / (1 - after) if after < 1 else math.nan,
        }
        require(number(answer(before, after), case), gone, case, mistakes)
        yield f"from {before} to {after}: {gone:+.2f}"


def some_runs(seeds: list[int], accuracies: list[float]) -> pd.DataFrame:
    """A small table of runs, one row for each seed."""
    return pd.DataFrame({"seed": seeds, "valid_accuracy": accuracies})


PAIRS = {
    "the same seeds in the same order": (
        some_runs([0, 1, 2, 3], [0.90, 0.94, 0.92, 0.97]),
        some_runs([0, 1, 2, 3], [0.89, 0.91, 0.90, 0.95]),
    ),
    "the same seeds in another order": (
        some_runs([2, 0, 1], [0.92, 0.90, 0.95]),
        some_runs([0, 1, 2], [0.91, 0.93, 0.90]),
    ),
    "a seed that only one of them has": (
        some_runs([0, 1, 2, 7], [0.90, 0.95, 0.92, 0.80]),
        some_runs([0, 1, 2], [0.91, 0.93, 0.90]),
    ),
}


def paired(answer: Callable) -> Iterator[str]:
    """Mean and standard error of the differences of runs with the same seed."""
    for name, (first, second) in PAIRS.items():
        case = f"the call with {name}"
        both = first.merge(second, on="seed")
        differences = both["valid_accuracy_x"] - both["valid_accuracy_y"]
        right = [differences.mean(), differences.sem()]
        apart = [first["valid_accuracy"], second["valid_accuracy"]]
        by_row = (apart[0] - apart[1]).dropna()
        means = apart[0].mean() - apart[1].mean()
        mistakes = {
            "the sign is wrong: the first minus the second": [-right[0], right[1]],
            "the runs are subtracted row by row, and these rows have different seeds": [by_row.mean(), by_row.sem()],
            "a seed without a partner is counted": [means, right[1]],
            "the error is that of two independent groups; here the runs are pairs": [
                means,
                math.hypot(apart[0].sem(), apart[1].sem()),
            ],
            "the standard deviation divides by n, not by n − 1": [right[0], differences.sem(ddof=0)],
            "that is the standard deviation of one difference; the mean of n varies less": [
                right[0],
                differences.std(),
            ],
            "the standard deviation is divided by n, not by the root of n": [right[0], right[1] / len(both) ** 0.5],
        }
        require(pair(answer(first.copy(), second.copy()), case), right, case, mistakes)
        yield f"{name}: {right[0]:+.4f} ± {right[1]:.4f}"


def corrected(answer: Callable) -> Iterator[str]:
    """Holm's correction of a list of p-values."""
    for given in ([0.01, 0.02, 0.5], [0.04, 0.001, 0.02, 0.03], [0.03, 0.03, 0.01], [0.6, 0.9], [0.02]):
        p_values, case = np.array(given), f"the call with {given}"
        right = holm(pd.Series(given)).sort_index().to_numpy()
        ranks = p_values.argsort(kind="stable").argsort()
        number_left = len(given) - ranks
        mistakes = {
            "the values come in rising order; they belong in the order of the questions": np.sort(right),
            "that is Bonferroni's correction: every value is multiplied by their number": np.minimum(
                len(given) * p_values, 1
            ),
            "values above 1 are left; no probability is": uncut(p_values, number_left),
            "a value may not be below one that comes from a smaller p": np.minimum(number_left * p_values, 1),
            "the factors run the wrong way: the smallest p gets the largest": np.minimum((ranks + 1) * p_values, 1),
            "the factors follow the places in the list, not the sizes": np.minimum(
                np.arange(len(given), 0, -1) * p_values, 1
            ),
        }
        got = values(as_plain(answer(list(given))), (len(given),), case).numpy()
        require(got, right, case, mistakes)
        yield f"{given}: {right.round(4).tolist()}"


def uncut(p_values: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """Holm's correction without the bound 1."""
    order = p_values.argsort(kind="stable")
    return np.maximum.accumulate((p_values * factors)[order])[order.argsort()]


def as_plain(value: object) -> object:
    """The numbers of a Series, as they lie in it."""
    if value is None:
        raise MistakeError("the function returns None (is there a `return`?)")
    return value.to_numpy(copy=True) if isinstance(value, pd.Series) else value


EXERCISES = {
    "06.1": Exercise(
        fewer_mistakes,
        (
            "an accuracy of 0.96 leaves 0.04 wrong. How many are wrong afterwards, and which part of the 0.04 is gone?",
            "the share of mistakes is 1 − accuracy; compare with the share of mistakes *before*",
            "(mistakes before − mistakes after) / mistakes before",
        ),
    ),
    "06.2": Exercise(
        paired,
        (
            "which run belongs to which? Not the place in the table says that",
            "with the seed as index, pandas subtracts by seed; `dropna` removes those that one table lacks",
            "with `d` for the differences: d.mean(), and d.std() divided by the root of len(d)",
        ),
    ),
    "06.3": Exercise(
        corrected,
        (
            "the smallest p is multiplied by their number n, the next by n − 1. What must also hold of the results?",
            "no result is below the result of a smaller p, and none is above 1; each stands where its p stood",
            "the lesson's holm on a pd.Series does all but one thing: its result is sorted by size",
        ),
    ),
}
