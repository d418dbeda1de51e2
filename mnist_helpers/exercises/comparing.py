"""Compare what an answer gives with what is right, and with what typical mistakes give."""

from typing import Any

import numpy as np

from mnist_helpers.exercises.checking import MistakeError, near, number


def require(got: Any, right: Any, case: str, mistakes: dict[str, Any]) -> None:
    """Raise MistakeError unless the numbers `got` are `right`, up to rounding; both have the same shape.

    `mistakes`: what a mistake is called → the numbers that it gives; the first that fits is named. `case`: the call.
    """
    got, right = np.asarray(got, dtype=float), np.asarray(right, dtype=float)
    if near(got, right):
        return
    named = [
        name for name, wrong in mistakes.items() if np.allclose(got, np.asarray(wrong, dtype=float), equal_nan=True)
    ]
    raise MistakeError(f"{case} gives {difference(got, right)}{': ' * bool(named)}{named[0] if named else ''}")


def difference(got: np.ndarray, right: np.ndarray) -> str:
    """What came out and what should: all of it when it is short, else the first place where it differs."""
    if got.size <= 6:
        return f"{short(got)}, and {short(right)} is right"
    place = tuple(np.argwhere(~np.isclose(got, right, rtol=1e-4, atol=1e-6))[0])
    return f"{short(got[place])} at [{', '.join(map(str, place))}], and {short(right[place])} is right there"


def short(numbers: np.ndarray) -> str:
    """One number, or a few in brackets, with at most four digits."""
    written = ", ".join(f"{each:,.4g}" for each in np.ravel(numbers))
    return f"[{written}]" if np.ndim(numbers) else written


def pair(value: Any, case: str) -> list[float]:
    """An answer's two numbers; raises MistakeError for anything else."""
    try:
        first, second = value
    except (TypeError, ValueError):
        raise MistakeError(f"{case} should return two numbers, one after the other") from None
    return [number(first, case), number(second, case)]
