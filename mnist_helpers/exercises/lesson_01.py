"""The exercises of lesson 1."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import torch

from mnist_helpers.exercises.checking import Exercise, MistakeError, brief, fitting, near, number, values


def batches_in(answer: Callable) -> Iterator[str]:
    """How many batches an epoch has."""
    for images, size in ((48_000, 32), (11, 4), (9, 4), (12_000, 1_024), (3, 8), (8, 8)):
        case, right = f"the call with {images:,} images and batches of {size:,}", math.ceil(images / size)
        got = number(answer(images, size), case)
        wrong = {
            images / size: "a part of a batch is a batch, too: the number must be whole",
            images // size: "the last batch, which is smaller, is forgotten",
            images // size + 1: "no batch is left over here, but one is counted",
            round(images / size): "a last batch that is less than half full is rounded away",
            size / images: "that is the batch size divided by the number of images",
        }
        if got != right:
            raise MistakeError(f"{case} gives {got:g}: {wrong.get(got, f'there are {right:,}')}")
        yield f"{images:,} images, batches of {size:,}: {right:,}"


def shapes(count: int) -> dict[tuple[int, ...], str]:
    """Shapes that typical mistakes give, and what is wrong with them."""
    return {
        (28, 28): "a batch of one is a batch all the same, and the channel is missing",
        (count, 28, 28): "the channel is missing",
        (1, count, 28, 28): "the channel comes behind the number of images, not before it",
        (count, 28, 28, 1): "the channel comes before the rows and columns, not behind them",
        (count, 784): "the rows and columns are joined; they stay apart here",
    }


def wrong_scales(right: torch.Tensor) -> dict[str, torch.Tensor]:
    """What typical mistakes in scaling give in place of `right`, by what is wrong."""
    return {
        "the pixels are still between 0 and 255": 255 * right,
        "full ink is 255, not 256": right * 255 / 256,
        "all but full ink became 0: divide with /, not with //": right.floor(),
        "the pixels are rounded to 0 and 1": right.round(),
        "the pixels are divided by 255 twice": right / 255,
        "the largest number of these images decides; full ink must be 255 for all images": right / right.max(),
        "the result is between −1 and 1": 2 * right - 1,
        "ink and paper are exchanged": 1 - right,
    }


def to_floats(answer: Callable) -> Iterator[str]:
    """Whole numbers from 0 to 255 as floats in [0, 1], with a channel."""
    for count, brightest in ((3, 256), (1, 256), (2, 100)):
        pixels = torch.randint(brightest, (count, 28, 28)).to(torch.uint8)
        pixels[0, 0, 0], pixels[0, 0, 1] = brightest - 1, 0
        case, right = f"the call with pixels of shape {tuple(pixels.shape)}", pixels[:, None].double() / 255
        got = answer(pixels.clone())
        if isinstance(got, torch.Tensor) and got.dtype != torch.float32:
            whole = "" if got.dtype.is_floating_point else "; dividing bytes with / (not //) gives that"
            raise MistakeError(f"{case} gives {got.dtype}: a network wants torch.float32{whole}")
        shape = tuple(getattr(got, "shape", ()))
        if shape != right.shape and shape in shapes(count):
            raise MistakeError(f"{case} gives the shape {shape}: {shapes(count)[shape]}")
        found = values(got, (count, 1, 28, 28), case)
        if not near(found, right):
            raise MistakeError(f"{case}: {fitting(found, wrong_scales(right), 'the numbers are not the right ones')}")
        yield f"{count} image{'s' * (count > 1)}, largest number {brightest - 1}: right"


def indices(part: Any, case: str) -> list[int]:
    """A part of the split as a list of whole numbers."""
    try:
        return [int(index) for index in part]
    except (TypeError, ValueError):
        raise MistakeError(f"{case} should give the numbers of images, got {brief(part)}") from None


def parts(answer: Callable, count: int, share: float, seed: int) -> tuple[list[int], list[int]]:
    """The training and the validation part that the answer gives, checked for what makes them a split."""
    case = f"the call with {count} images, share {share} and seed {seed}"
    got = answer(count, share, seed)
    if not isinstance(got, (tuple, list)) or len(got) != 2:
        raise MistakeError(f"{case} should give two parts, training and validation, got {brief(got)}")
    train, valid = indices(got[0], case), indices(got[1], case)
    if set(train) & set(valid):
        raise MistakeError(f"{case}: {len(set(train) & set(valid))} validation images are in the training set, too")
    if len(set(train)) < len(train) or len(set(valid)) < len(valid):
        raise MistakeError(f"{case}: an image comes twice; draw without putting back, as torch.randperm does")
    if (len(valid), len(train)) == (count - round(share * count), round(share * count)) and len(train) != len(valid):
        raise MistakeError(
            f"{case}: the sizes are exchanged, {len(train)} for training and {len(valid)} for validation"
        )
    if set(train) | set(valid) != set(range(count)):
        raise MistakeError(f"{case}: the parts together should have the numbers 0 to {count - 1}, each of them once")
    if len(valid) != round(share * count):
        raise MistakeError(f"{case}: {len(valid)} images for validation, {round(share * count)} are asked for")
    return train, valid


def split(answer: Callable) -> Iterator[str]:
    """Numbers of images for training and for validation, at random, the same for the same seed."""
    for count, share in ((10, 0.2), (100, 0.25), (1_000, 0.1)):
        parts(answer, count, share, 0)
        yield f"{count} images, share {share}: two parts without a common image, nothing left out"
    first, again, other = (set(parts(answer, 1_000, 0.2, seed)[1]) for seed in (0, 0, 1))
    if max(first) - min(first) == len(first) - 1:
        raise MistakeError("the validation images are neighbours: where files are sorted, some digits would be missing")
    if first != again:
        raise MistakeError("two calls with the same seed give different splits, so no result can be had again")
    yield "the same seed gives the same split"
    if first == other:
        raise MistakeError("seeds 0 and 1 give the same split: the seed is not used")
    yield "another seed gives another split"


EXERCISES = {
    "01.1": Exercise(
        batches_in,
        (
            "count by hand for 11 images in batches of 4",
            "the last batch may be smaller: divide and round up",
            "math.ceil rounds up; or count the starts, range(0, images, batch_size)",
        ),
    ),
    "01.2": Exercise(
        to_floats,
        (
            "two things change: the numbers, and the shape",
            "pixels / 255 gives floats from 0 to 1; the channel is a new axis of length 1 behind the first",
            "pixels[:, None] or pixels.unsqueeze(1) makes the new axis; torch.float32 is what division gives",
        ),
    ),
    "01.3": Exercise(
        split,
        (
            "first bring all numbers 0 … count − 1 into a random order, then cut it in two",
            "torch.randperm(count, generator=…) is a random order; a generator can be started from the seed",
            "torch.Generator().manual_seed(seed); the first round(share · count) of the order: validation",
        ),
    ),
}
