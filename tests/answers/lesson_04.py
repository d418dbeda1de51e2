"""Answers to the exercises of lesson 4."""

import math

import numpy as np
import torch

# ---------------------------------------------------------------- 04.1


def best_in_a_loop(losses):
    best = 1
    for epoch, loss in enumerate(losses, start=1):
        if loss < losses[best - 1]:
            best = epoch
    return best


# ---------------------------------------------------------------- 04.2


def gap_in_a_loop(train, valid, points):
    for epoch, (one, two) in enumerate(zip(train, valid), start=1):
        if 100 * one - 100 * two > points:
            return epoch
    return None


def gap_with_numpy(train, valid, points):
    wide = np.subtract(train, valid) > points / 100
    return wide.argmax() + 1 if wide.any() else None


def gap_with_torch(train, valid, points):
    epochs = ((torch.tensor(train) - torch.tensor(valid)) * 100 > points).nonzero()
    return epochs[0] + 1 if len(epochs) else None


def gap_gives_up(train, valid, points):
    for epoch, (one, two) in enumerate(zip(train, valid), start=1):
        return epoch if 100 * (one - two) > points else None
    return None


def gap_or_equal(train, valid, points):
    wide = np.subtract(train, valid) >= points / 100
    return wide.argmax() + 1 if wide.any() else None


def gap(of=lambda one, two: 100 * (one - two), choose=lambda wide: wide[0]):
    def answer(train, valid, points):
        wide = [epoch for epoch, pair in enumerate(zip(train, valid), start=1) if of(*pair) > points]
        return choose(wide) if wide else None

    return answer


# ---------------------------------------------------------------- 04.3


def as_in_the_lesson(losses, patience):
    best = 1
    for epoch in range(1, len(losses) + 1):
        if losses[epoch - 1] < losses[best - 1]:
            best = epoch
        if epoch - best >= patience:
            return epoch, best
    return len(losses), best


def with_a_counter(losses, patience):
    lowest, best, waited, epoch = math.inf, 0, 0, 0
    while epoch < len(losses) and waited < patience:
        epoch += 1
        if losses[epoch - 1] < lowest:
            lowest, best, waited = losses[epoch - 1], epoch, 0
        else:
            waited += 1
    return [epoch, best]


def with_numpy(losses, patience):
    ages = [epoch - 1 - np.argmin(losses[:epoch]) for epoch in range(1, len(losses) + 1)]
    stop = next((place for place, age in enumerate(ages) if age >= patience), len(losses) - 1) + 1
    return np.array([stop, np.argmin(losses[:stop]) + 1])


def counter(better=lambda loss, lowest, last: loss < lowest, reset=True, more=0):
    """As `with_a_counter`, with a part of it changed."""

    def answer(losses, patience):
        lowest, last, best, waited = math.inf, math.inf, 0, 0
        for epoch, loss in enumerate(losses, start=1):
            if better(loss, lowest, last):
                waited = 0 if reset else waited
            else:
                waited += 1
            if loss < lowest:
                lowest, best = loss, epoch
            last = loss
            if waited >= patience + more:
                break
        return epoch, best

    return answer


RIGHT = {
    "04.1": [best_in_a_loop, lambda losses: np.argmin(losses) + 1, lambda losses: torch.tensor(losses).argmin() + 1],
    "04.2": [gap_in_a_loop, gap_with_numpy, gap_with_torch, gap()],
    "04.3": [as_in_the_lesson, with_a_counter, with_numpy, counter()],
}
WRONG = {
    "04.1": {
        lambda losses: losses.index(min(losses)): "counted from 1",
        lambda losses: losses.index(max(losses)) + 1: "highest loss",
        lambda losses: len(losses) - losses[::-1].index(min(losses)): "the first of them",
        min: "the lowest loss itself",
        len: "the last epoch",
        lambda losses: losses.index(min(losses)) + 2: "not the best epoch",
        lambda losses: [losses.index(min(losses)) + 1] * 2: "should be one number",
    },
    "04.2": {
        gap(of=lambda one, two: one - two): "compare 100 · (training − validation) with `points`",
        gap_gives_up: "after the loop only",
        gap_or_equal: "larger than `points`",
        gap(of=lambda one, two: 100 * (two - one)): "training − validation",
        gap(of=lambda one, two: 100 * abs(one - two)): "no abs()",
        gap(of=lambda one, two: 10_000 * (one - two)): "but not both",
        gap(choose=lambda wide: wide[0] - 1): "counted from 1",
        gap(choose=lambda wide: wide[-1]): "the last epoch with such a gap",
        gap(choose=len): "the number of epochs",
        lambda train, valid, points: gap()(train, valid, points) or len(train): "not None",
        lambda train, valid, points: gap()(train, valid, points) or 0: "not None",
        lambda train, valid, points: [100 * (one - two) for one, two in zip(train, valid)]: "should be one number",
    },
    "04.3": {
        counter(more=1): "one epoch too long",
        lambda losses, patience: as_in_the_lesson(losses, patience - 1): "one epoch too short",
        counter(better=lambda loss, lowest, last: loss < last): "not with that of the epoch before",
        counter(reset=False): "count anew",
        counter(better=lambda loss, lowest, last: loss <= lowest): "no improvement",
        lambda losses, patience: (len(losses), best_in_a_loop(losses)): "never stops early",
        lambda losses, patience: (best_in_a_loop(losses) + patience, best_in_a_loop(losses)): "what comes later",
        lambda losses, patience: (as_in_the_lesson(losses, patience)[0],) * 2: "the weights at the stop",
        lambda losses, patience: (as_in_the_lesson(losses, patience)[0], best_in_a_loop(losses)): "after the stop",
        lambda losses, patience: [each - 1 for each in as_in_the_lesson(losses, patience)]: "counted from 1",
        lambda losses, patience: as_in_the_lesson(losses, patience)[::-1]: "comes first",
        lambda losses, patience: (as_in_the_lesson(losses, patience)[0], 1): "is the lowest until then",
        lambda losses, patience: (as_in_the_lesson(losses, patience)[0] + 5, 1): "is `patience` epochs old",
        lambda losses, patience: as_in_the_lesson(losses, patience)[1]: "two numbers, one after the other",
    },
}
