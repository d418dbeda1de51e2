"""Checks of what the user gives."""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from numbers import Integral
from typing import Any, TypeVar

import torch

Function = TypeVar("Function", bound=Callable)


def check_whole(name: str, value: object, low: int = 1, high: int | None = None, what: str = "") -> int:
    """`value` as an int when it is a whole number from `low` to `high`; `what` says why it may not be above `high`.

    Raises ValueError with the name, the value and what is allowed for anything else: 2.5, "3", True, 0.
    """
    if isinstance(value, Integral) and not isinstance(value, bool):
        number = int(value)
        if low <= number and (high is None or number <= high):
            return number
    limits = f"from {low} up" if high is None else f"from {low} to {high}{', ' * bool(what)}{what}"
    raise ValueError(f"{name} must be a whole number {limits}, got {value!r}")


def checked(check: Callable) -> Callable[[Function], Function]:
    """A decorator: `check` sees the arguments first and raises for what is not allowed.

    So code that a lesson shows stays free of checks. `check` has the parameters of the function and their defaults.
    """

    def decorate(function: Function) -> Function:
        @functools.wraps(function)
        def checked_function(*args: Any, **kwargs: Any) -> Any:
            check(*args, **kwargs)
            return function(*args, **kwargs)

        return checked_function  # type: ignore[return-value]

    return decorate


@contextmanager
def enough_memory(batch_size: int) -> Iterator[None]:
    """Within a `with` block: a MemoryError that names the batch size where PyTorch says that it got no memory."""
    try:
        yield
    except RuntimeError as error:
        if not isinstance(error, torch.OutOfMemoryError) and "can't allocate memory" not in str(error):
            raise
        raise MemoryError(f"there is no memory for batches of {batch_size:,} images: make them smaller") from error
