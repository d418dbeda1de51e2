"""Answers to the exercises of lesson 6."""

import math
import statistics

import numpy as np
import pandas as pd
import torch
from scipy.stats import sem

from mnist_helpers.labs.ledger import holm


def by_index(first, second):
    d = (first.set_index("seed")["valid_accuracy"] - second.set_index("seed")["valid_accuracy"]).dropna()
    return d.mean(), d.std() / len(d) ** 0.5


def by_merging(first, second):
    both = first.merge(second, on="seed", suffixes=("", "_of_second"))
    d = both.valid_accuracy - both.valid_accuracy_of_second
    return torch.tensor([d.mean(), d.std(ddof=1) / np.sqrt(d.size)])


def by_dictionaries(first, second):
    of_first, of_second = [dict(zip(each.seed, each.valid_accuracy)) for each in (first, second)]
    d = [of_first[seed] - of_second[seed] for seed in of_first if seed in of_second]
    return [statistics.mean(d), statistics.stdev(d) / math.sqrt(len(d))]


def differences(first, second):
    return (first.set_index("seed")["valid_accuracy"] - second.set_index("seed")["valid_accuracy"]).dropna()


def by_row(first, second):
    d = (first["valid_accuracy"] - second["valid_accuracy"]).dropna()
    return d.mean(), d.sem()


def two_groups(first, second):
    first, second = first["valid_accuracy"], second["valid_accuracy"]
    return first.mean() - second.mean(), (first.var() / len(first) + second.var() / len(second)) ** 0.5


def holm_in_a_loop(p_values):
    order = sorted(range(len(p_values)), key=lambda place: p_values[place])
    result, highest = [0.0] * len(p_values), 0.0
    for done, place in enumerate(order):
        highest = max(highest, min((len(p_values) - done) * p_values[place], 1))
        result[place] = highest
    return result


def holm_with_numpy(p_values):
    p_values = np.array(p_values)
    order = p_values.argsort()
    adjusted = np.maximum.accumulate(p_values[order] * np.arange(len(order), 0, -1)).clip(max=1)
    result = np.empty(len(order))
    result[order] = adjusted
    return result


def holm_by_definition(p_values):
    n = len(p_values)
    return [max(min(1, p * sum(q >= p for q in p_values)) for p in p_values if p <= own) for own in p_values][:n]


def ranks(p_values):
    return np.argsort(np.argsort(p_values, kind="stable"))


RIGHT = {
    "06.1": [
        lambda before, after: (after - before) / (1 - before),
        lambda before, after: 1 - (1 - after) / (1 - before),
        lambda before, after: torch.tensor((1 - before) - (1 - after)) / (1 - before),
    ],
    "06.2": [
        by_index,
        by_merging,
        by_dictionaries,
        lambda *given: (differences(*given).mean(), sem(differences(*given))),
    ],
    "06.3": [holm_in_a_loop, holm_with_numpy, lambda p_values: holm(pd.Series(p_values)).sort_index()]
    + [holm_by_definition],
}

WRONG = {
    "06.1": {
        lambda before, after: after - before: "difference of the accuracies",
        lambda before, after: 100 * (after - before): "in points",
        lambda before, after: (before - after) / (1 - before): "sign",
        lambda before, after: 100 * (after - before) / (1 - before): "percentage",
        lambda before, after: (after - before) / before: "relative to the accuracy",
        lambda before, after: (1 - after) / (1 - before): "left",
        lambda before, after: (after - before) / (1 - after): "afterwards",
    },
    "06.2": {
        lambda first, second: by_index(second, first): "sign",
        by_row: "row by row",
        two_groups: "two independent groups",
        lambda *given: (differences(*given).mean(), differences(*given).std()): "varies less",
        lambda *given: (
            differences(*given).mean(),
            np.std(differences(*given)) / len(differences(*given)) ** 0.5,
        ): "n − 1",
        lambda *given: (differences(*given).mean(), differences(*given).std() / len(differences(*given))): "root of n",
        lambda *given: (two_groups(*given)[0], differences(*given).sem()): "without a partner",
        lambda *given: differences(*given).mean(): "two numbers",
    },
    "06.3": {
        lambda p_values: holm(pd.Series(p_values)): "order of the questions",
        lambda p_values: [min(len(p_values) * p, 1) for p in p_values]: "Bonferroni",
        lambda p_values: np.minimum((len(p_values) - ranks(p_values)) * p_values, 1): "from a smaller p",
        lambda p_values: np.minimum((1 + ranks(p_values)) * p_values, 1): "the wrong way",
        lambda p_values: np.minimum(np.arange(len(p_values), 0, -1) * p_values, 1): "places in the list",
        lambda p_values: [p * (3 if p < 0.55 else 2) for p in holm_in_a_loop(p_values)]: "is right",
        lambda p_values: (
            (pd.Series(p_values).sort_values() * np.arange(len(p_values), 0, -1)).cummax().sort_index()
        ): "above 1",
        lambda p_values: min(holm_in_a_loop(p_values)): "shape",
    },
}
