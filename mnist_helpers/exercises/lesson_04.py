"""The exercises of lesson 4."""

import math
from collections.abc import Callable, Iterator

from mnist_helpers import History
from mnist_helpers.exercises.checking import Exercise, MistakeError, fitting, number
from mnist_helpers.exercises.comparing import pair

LOSSES = {
    "falls, then rises": [1.4, 0.7, 0.5, 0.45, 0.47, 0.52, 0.6],
    "falls to the end": [2.0, 1.1, 0.9, 0.8],
    "rises from the first epoch on": [0.4, 0.5, 0.7],
    "the lowest value twice": [0.9, 0.5, 0.6, 0.5, 0.8],
    "all very high": [150.0, 120.0, 130.0],
    "one epoch": [0.9],
}

GAPS = {
    "validation is better at first": (
        [0.70, 0.80, 0.88, 0.93, 0.95, 0.97, 0.98, 0.985],
        [0.76, 0.79, 0.87, 0.925, 0.93, 0.93, 0.93, 0.955],
        2.5,
    ),
    "the gap opens slowly": ([0.80, 0.90, 0.95, 0.98, 0.99], [0.795, 0.885, 0.92, 0.925, 0.92], 2.0),
    "wide from the first epoch on": ([0.95, 0.99], [0.90, 0.91], 1.0),
    "it closes again": ([0.80, 0.91, 0.92, 0.95], [0.79, 0.86, 0.90, 0.93], 4.0),
    "exactly as wide at first": ([0.75, 0.60, 0.875], [0.50, 0.50, 0.50], 25.0),
    "never as wide": ([0.80, 0.90, 0.91], [0.80, 0.895, 0.90], 1.5),
}
RUNS = {
    "jumps after its minimum": ([1.0, 0.8, 0.6, 0.5, 0.55, 0.52, 0.58, 0.6, 0.62, 0.4, 0.41], 3),
    "jumps on its way down": ([1.0, 1.1, 0.9, 0.95, 0.85, 0.9, 0.8, 0.9, 0.9, 0.9], 2),
    "the patience is not used up": ([0.9, 0.7, 0.6, 0.65], 2),
    "equal losses": ([0.9, 0.5, 0.5, 0.5, 0.5, 0.6, 0.7, 0.4], 2),
    "a patience of one": ([0.5, 0.6, 0.4], 1),
    "one epoch": ([0.7], 5),
}


def best_so_far(losses: list[float]) -> int:
    """The package's answer."""
    return History(valid_loss=losses, seconds=losses).best_epoch


def best_epoch(answer: Callable) -> Iterator[str]:
    """The epoch with the lowest validation loss, counted from 1, the first one of several."""
    for case, losses in LOSSES.items():
        told, right = f"{case}, {losses}", best_so_far(losses)
        got = number(answer(list(losses)), told)
        wrong = {
            "the epochs are counted from 1, the places in a list from 0": right - 1,
            "two epochs have the lowest loss; the first of them is asked for": len(losses)
            - losses[::-1].index(min(losses)),
            "that is the epoch with the highest loss": losses.index(max(losses)) + 1,
            "that is the place of the highest loss": losses.index(max(losses)),
            "that is the lowest loss itself; its epoch is asked for": min(losses),
            "that is the last epoch": len(losses),
        }
        if got != right:
            why = fitting(got, wrong, "that is not the best epoch")
            raise MistakeError(f"{told}: your answer is {got:g}, not {right}: {why}")
        yield f"{case}: epoch {right}"


def first_wide(gaps: list[float], points: float) -> int | None:
    """The first place, counted from 1, with more than so many points; None where there is none."""
    return next((epoch for epoch, gap in enumerate(gaps, start=1) if gap > points), None)


def gap_mistakes(gaps: list[float], points: float) -> dict[str, int | None]:
    """What typical mistakes give where the gap (in percentage points) gets wide."""
    wide = [epoch for epoch, gap in enumerate(gaps, start=1) if gap > points]
    return {
        "where validation is better there is no such gap: take training − validation, and no abs()": first_wide(
            [abs(gap) for gap in gaps], points
        ),
        "the epochs are counted from 1, the places in a list from 0": wide[0] - 1,
        "none found: compare 100 · (training − validation) with `points`, and return None after the loop only": None,
        "larger than `points` is asked for; a gap of just so many does not count": next(
            epoch for epoch, gap in enumerate(gaps, start=1) if gap >= points
        ),
        "take the accuracies times 100, or `points` divided by 100, but not both": first_wide(gaps, points / 100),
        "that is the last epoch with such a gap; the first is asked for": wide[-1],
        "that is the epoch with the largest gap": gaps.index(max(gaps)) + 1,
        "that is the number of epochs with such a gap": len(wide),
    }


def gap_opens(answer: Callable) -> Iterator[str]:
    """The first epoch with a gap of more than so many points; None where there is none."""
    for case, (train, valid, points) in GAPS.items():
        gaps = [100 * (one - two) for one, two in zip(train, valid)]
        value, right = answer(list(train), list(valid), points), first_wide(gaps, points)
        got = None if value is None else number(value, case)
        if got != right:
            known = gap_mistakes(gaps, points) if right else {}
            shown = f"the gaps are {', '.join(f'{gap:.1f}' for gap in gaps)} percentage points"
            why = next((words for words, wrong in known.items() if wrong == got), shown)
            given = f"training {train}\n    validation {valid}\n    points {points}"
            raise MistakeError(f"{case}: your answer is {value}, not {right}: {why}\n    {given}")
        yield f"{case}: {right and f'epoch {right}'}"


def stopping(losses: list[float], patience: int) -> tuple[int, int]:
    """When the package would stop with the lesson's `stop_early`, and which epoch it would keep."""
    for epoch in range(1, len(losses) + 1):
        best = best_so_far(losses[:epoch])
        if epoch - best >= patience:
            return epoch, best
    return len(losses), best_so_far(losses)


def waiting(losses: list[float], patience: int, good: Callable[[float, float, float], bool], reset: bool = True) -> int:
    """The last epoch of one that stops after so many epochs that are not `good(loss, lowest, last)`."""
    waited, lowest, last = 0, math.inf, math.inf
    for epoch, loss in enumerate(losses, start=1):
        if not good(loss, lowest, last):
            waited += 1
        elif reset:
            waited = 0
        if waited >= patience:
            return epoch
        lowest, last = min(loss, lowest), loss
    return len(losses)


def stop_mistakes(losses: list[float], patience: int) -> dict[str, int]:
    """After which epoch typical mistakes stop."""
    return {
        "the patience is one epoch too long": stopping(losses, patience + 1)[0],
        "the patience is one epoch too short": stopping(losses, max(patience - 1, 1))[0],
        "compare each loss with the lowest so far, not with that of the epoch before": waiting(
            losses, patience, lambda loss, lowest, last: loss < last
        ),
        "count anew after each improvement": waiting(losses, patience, lambda loss, low, last: loss < low, reset=False),
        "an equal loss is no improvement": waiting(losses, patience, lambda loss, lowest, last: loss <= lowest),
        "it never stops early": len(losses),
        "this counts from the lowest loss of the whole list, but training does not know what comes later": best_so_far(
            losses
        )
        + patience,
    }


def keep_mistakes(losses: list[float], patience: int) -> dict[str, int]:
    """Which epoch's weights typical mistakes keep."""
    stop, best = stopping(losses, patience)
    return {
        "this epoch comes after the stop, so nobody knows its loss": best_so_far(losses) if stop < len(losses) else 0,
        "these are the weights at the stop; those of the lowest loss are wanted": stop,
        "of equal losses the first one is kept": stop - losses[:stop][::-1].index(min(losses[:stop])),
    }


def early_stopping(answer: Callable) -> Iterator[str]:
    """After which epoch training stops, and which epoch's weights are kept."""
    for case, (losses, patience) in RUNS.items():
        right, given = stopping(losses, patience), f"\n    losses {losses}\n    patience {patience}"
        found = pair(answer(list(losses), patience), case)
        if found == [each - 1 for each in right]:
            raise MistakeError(f"{case}: both epochs are one too low: they are counted from 1, not from 0{given}")
        if found != list(right) and found[::-1] == list(right):
            raise MistakeError(f"{case}: both are right, but the epoch after which training stops comes first{given}")
        words = "training stops after epoch", "the weights are those of epoch"
        known = stop_mistakes(losses, patience), keep_mistakes(losses, patience)
        unknown = "that is when the best epoch so far is `patience` epochs old", "its loss is the lowest until then"
        for part, got, wanted, wrong, otherwise in zip(words, found, right, known, unknown):
            if got != wanted:
                why = fitting(got, wrong, otherwise)
                raise MistakeError(f"{case}: {part} {got:g} in your answer, not {wanted}: {why}{given}")
        yield f"{case}: stops after epoch {right[0]}, keeps epoch {right[1]}"


EXERCISES = {
    "04.1": Exercise(
        best_epoch,
        (
            "which loss is the lowest, and where does it stand in the list?",
            "min(losses) is the lowest loss; a list's `index` says where a value stands first, counted from 0",
            "losses.index(min(losses)) counts from 0, so one thing is left to do",
        ),
    ),
    "04.2": Exercise(
        gap_opens,
        (
            "which unit have the accuracies, and which has `points`? What comes out when no gap is wide enough?",
            "the gap of an epoch in percentage points is 100 · (training − validation); compare it with `points`",
            "for epoch, (one, two) in enumerate(zip(…, …), start=1): return the first wide one; after it None",
        ),
    ),
    "04.3": Exercise(
        early_stopping,
        (
            "go from epoch to epoch as training does, and do not look ahead; what must you remember on the way?",
            "remember the best epoch so far; how many epochs old may it be before training stops?",
            "lower than the lowest so far: it is the new best. Then: if epoch − best >= patience, return both",
        ),
    ),
}
