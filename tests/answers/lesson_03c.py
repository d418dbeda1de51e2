"""Answers to the exercises of lesson 3c."""

import math
import statistics

import numpy as np
import pandas as pd
import torch
from scipy import stats
from scipy.stats import t

# ---------------------------------------------------------------- 03c.1


def in_a_loop(first, second):
    found = {}
    for seed in sorted(set(first) & set(second), reverse=True):
        found[seed] = first[seed] * 100 - second[seed] * 100
    return found


def by_place(first, second):
    return {seed: 100 * (one - two) for (seed, one), two in zip(first.items(), second.values())}


def one_mean(first, second):
    apart = 100 * (sum(first.values()) / len(first) - sum(second.values()) / len(second))
    return {seed: apart for seed in first if seed in second}


def changed(factor):
    return lambda first, second: {seed: factor * (first[seed] - second[seed]) for seed in first if seed in second}


# ---------------------------------------------------------------- 03c.2


def as_in_the_lesson(values):
    half = t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / len(values) ** 0.5
    return values.mean() - half, values.mean() + half


def with_scipy(values):
    return stats.t.interval(0.95, len(values) - 1, loc=np.mean(values), scale=stats.sem(values))


def with_torch(values):
    values = torch.tensor(values)
    half = -t.ppf(0.025, df=len(values) - 1) * values.std() / math.sqrt(len(values))
    return torch.stack([values.mean() - half, values.mean() + half])


def around(half_of):
    return lambda values: [values.mean() - half_of(values), values.mean() + half_of(values)]


def error(values):
    return values.std(ddof=1) / len(values) ** 0.5


# ---------------------------------------------------------------- 03c.3


def one_after_the_other(sd, half):
    n = 2
    while t.ppf(0.975, n - 1) * sd / n**0.5 > half:
        n += 1
    return n


def first_of_many(sd, half):
    n = np.arange(2, 1000)
    return n[t.ppf(0.975, n - 1) * sd / np.sqrt(n) <= half][0]


def upwards(sd, half, first=2, level=0.975, less=1, root=0.5):
    return next(n for n in range(first, 100_000) if t.ppf(level, n - less) * sd / n**root <= half)


RIGHT = {
    "03c.1": [in_a_loop, changed(100), lambda first, second: (100 * (pd.Series(first) - pd.Series(second))).dropna()],
    "03c.2": [as_in_the_lesson, with_scipy, with_torch, around(lambda each: t.ppf(0.975, len(each) - 1) * error(each))],
    "03c.3": [one_after_the_other, first_of_many, upwards, lambda sd, half: float(upwards(sd, half))],
}
WRONG = {
    "03c.1": {
        by_place: "the second dict has its seeds in another order",
        one_mean: "the same difference of the means",
        changed(-100): "the sign is wrong",
        changed(1): "these are shares",
        lambda first, second: {seed: 100 * (first[seed] - second.get(seed, 0)) for seed in first}: "with both settings",
        lambda first, second: {seed: 100 * (first[seed] - second[seed]) for seed in first}: "KeyError",
        lambda first, second: 100 * (statistics.mean(first.values()) - statistics.mean(second.values())): "a dict",
        lambda first, second: {seed: 100 * abs(first[seed] - second[seed]) for seed in first}: "abs()",
    },
    "03c.2": {
        around(lambda each: t.ppf(0.975, len(each) - 1) * each.std() / len(each) ** 0.5): "as NumPy does",
        around(lambda each: 1.96 * error(each)): "Student's t",
        around(
            lambda each: 1.96 * each.std() / len(each) ** 0.5
        ): "take Student's t; and the standard deviation divides by n",
        around(lambda each: t.ppf(0.975, len(each) - 1) * each.std(ddof=1)): "not divided by √n",
        around(lambda each: each.std(ddof=1)): "one standard deviation",
        around(error): "one standard error",
        around(lambda each: 2 * error(each)): "2 is right for very many runs",
        lambda values: t.interval(0.95, len(values) - 1, values.mean(), values.std()): "not divided by √n",
        around(lambda each: t.ppf(0.95, len(each) - 1) * error(each)): "5 % on either side",
        around(lambda each: t.ppf(0.975, len(each)) * error(each)): "degrees of freedom",
        lambda values: (values.mean(), t.ppf(0.975, len(values) - 1) * error(values)): "its two ends",
        lambda values: as_in_the_lesson(values)[::-1]: "the lower one comes first",
        lambda values: [100 * end for end in as_in_the_lesson(values)]: "percent",
        lambda values: t.ppf(0.975, len(values) - 1) * error(values): "should have the shape (2,)",
    },
    "03c.3": {
        lambda sd, half: math.ceil((1.96 * sd / half) ** 2): "1.96 is too small",
        lambda sd, half: int((1.96 * sd / half) ** 2): "rounded down",
        lambda sd, half: upwards(sd, half / 2): "for the whole width",
        lambda sd, half: upwards(sd, half, level=0.95): "5 % on either side",
        lambda sd, half: upwards(sd, half) + 1: "one seed fewer is enough",
        lambda sd, half: upwards(sd, half) - 1: "one seed too few",
        lambda sd, half: upwards(sd, half, root=1): "divided by n, not by √n",
        lambda sd, half: 5: "not the smallest",
        lambda sd, half: upwards(sd, half) if sd > 0.1 else 1: "at least 2 are needed",
    },
}
