"""Checks of what the user gives."""

import functools
import inspect
from collections.abc import Callable, Sized
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


def check_examples(images: torch.Tensor, labels: torch.Tensor, some: bool = True) -> None:
    """Raise ValueError unless these are n images of floats, (n, 1, 28, 28), with labels from 0 to 9; `some`: n > 0."""
    if some and len(labels) == 0:
        raise ValueError("the dataset is empty: there is no image to show")
    fit = images.shape == (len(labels), 1, 28, 28) and images.is_floating_point() and labels.ndim == 1
    if not fit or labels.dtype not in (torch.int64, torch.uint8) or (labels > 9).any() or (labels < 0).any():
        got = f"{tuple(images.shape)} {images.dtype} and {tuple(labels.shape)} {labels.dtype}, {labels.flatten()[:5]}"
        raise ValueError(f"images must be (n, 1, 28, 28) floats and labels n whole numbers from 0 to 9, got {got}")


def check_batches(batches: list[tuple[Any, int]]) -> None:
    """Raise ValueError when there is no batch; each comes with its number of examples."""
    if sum(size for _, size in batches) == 0:
        raise ValueError("the loader gave no examples: its dataset is empty, or it can be read only once")


def check_some(predictions: Sized, bins: object = None) -> None:
    """Raise ValueError when there is no prediction."""
    if len(predictions) == 0:
        raise ValueError("there are no predictions, at least one is needed")


def check_predictions(logits: torch.Tensor, labels: torch.Tensor, images: torch.Tensor) -> None:
    """Raise ValueError unless there is one row of logits, one label and one image for each."""
    if logits.ndim != 2 or labels.ndim != 1 or images.ndim < 1 or not len(logits) == len(labels) == len(images):
        shapes = ", ".join(str(tuple(each.shape)) for each in (logits, labels, images))
        raise ValueError(f"logits (n, classes), labels (n,) and n images are needed, got the shapes {shapes}")


def names_batch_size(function: Function) -> Function:
    """A decorator: where PyTorch gets no memory, a MemoryError names the argument `batch_size`."""

    @functools.wraps(function)
    def named(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except RuntimeError as error:
            if not isinstance(error, torch.OutOfMemoryError) and "can't allocate memory" not in str(error):
                raise
            given = inspect.signature(function).bind(*args, **kwargs)
            given.apply_defaults()
            size = given.arguments["batch_size"]
            raise MemoryError(f"there is no memory for batches of {size:,} images: make them smaller") from error

    return named  # type: ignore[return-value]
