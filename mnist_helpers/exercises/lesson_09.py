"""The exercises of lesson 9."""

from collections.abc import Callable, Iterator
from typing import Any

import torch

from mnist_helpers.exercises.checking import Exercise, MistakeError, values
from mnist_helpers.exercises.comparing import pair, require


def shares(answer: Callable) -> Iterator[str]:
    """The numbers of the images that each worker takes: each image once, in shares that are as equal as can be."""
    for workers, images in ((2, 8), (3, 10), (4, 11), (5, 3), (1, 4)):
        case = f"with {workers} worker{'s' * (workers > 1)} and {images} images,"
        taken = [image_numbers(answer(rank, workers, images), f"{case} worker {rank}") for rank in range(workers)]
        flat = [each for share in taken for each in share]
        strange = sorted(set(flat) - set(range(images)))
        twice = sorted({each for each in flat if flat.count(each) > 1})
        missing = sorted(set(range(images)) - set(flat))
        sizes = [len(share) for share in taken]
        if strange:
            raise MistakeError(f"{case} there is no image {strange[0]}: they are numbered from 0 to {images - 1}")
        if twice:
            holders = [str(rank) for rank, share in enumerate(taken) if twice[0] in share]
            who = f"the workers {' and '.join(holders)}" if len(holders) > 1 else f"worker {holders[0]}"
            raise MistakeError(f"{case} image {twice[0]} is taken more than once, by {who}")
        if missing:
            raise MistakeError(f"{case} nobody takes {'image' if len(missing) == 1 else 'the images'} {plain(missing)}")
        if max(sizes) - min(sizes) > 1:
            raise MistakeError(f"{case} the shares are unequal: {plain(sizes)} images; the others wait for the largest")
        yield f"{case} shares of {plain(sizes)}"


def image_numbers(share: Any, case: str) -> list[int]:
    """A share as a list of whole numbers."""
    try:
        return [int(each) for each in share]
    except (TypeError, ValueError):
        raise MistakeError(f"{case} should take a list of image numbers, got {type(share).__name__}") from None


def plain(numbers: list[int]) -> str:
    """Numbers in a sentence."""
    return ", ".join(map(str, numbers))


def mean_gradient(answer: Callable) -> Iterator[str]:
    """The mean gradient over all images, from the means of the workers' unequal shares."""
    for counts in ([3, 1], [32, 32, 8], [5], [4, 4]):
        shares = [torch.randn(count, 6) + 2 * place for place, count in enumerate(counts)]
        means, number = torch.stack([share.mean(dim=0) for share in shares]), torch.tensor(counts)
        weighted, case = (means * number[:, None]).sum(dim=0), f"the call with shares of {plain(counts)}"
        got = values(answer(means.clone(), number.clone()), (6,), case)
        mistakes = {
            "the means are averaged as if all shares were equal": means.mean(dim=0),
            "the means are added, not averaged": means.sum(dim=0),
            "that is the sum over all images; divide by their number": weighted,
            "the weighted sum is divided by the number of workers, not by that of the images": weighted / len(counts),
            "only the first worker counts": means[0],
            "each mean is divided by its number of images: it is a mean already": (means / number[:, None]).sum(dim=0),
        }
        require(got, torch.cat(shares).mean(dim=0), case, mistakes)
        yield f"shares of {plain(counts)}"


STEPS = (  # fixed seconds, seconds an image, images, seconds of the exchange, workers
    (0.001, 0.0001, 120, 0.002, 4),
    (0.0, 0.01, 64, 0.0, 8),
    (0.002, 0.00001, 32, 0.05, 2),
    (0.002, 0.001, 100, 0.01, 1),
)


def mistaken(fixed: float, work: float, exchange: float, workers: int, right: list[float]) -> dict[str, list[float]]:
    """What mistakes give; `work`: the seconds of computing all images."""
    alone, share, taken = fixed + work, fixed + work / workers, exchange * (workers > 1)
    again = "one worker alone exchanges nothing, also when the function is called with 1"
    return {
        "the ratio is upside down: more than 1 should mean faster": both(1 / right[0], workers),
        "one worker alone exchanges nothing": both((alone + exchange) / (share + exchange), workers),
        again: both(alone / (share + exchange), workers),
        "the exchange is left out": both(alone / share, workers),
        "the fixed seconds cannot be shared: each worker needs them": both(
            alone / (alone / workers + exchange), workers
        ),
        "each worker computes all images here; they share them": both(alone / (alone + taken), workers),
        "all workers together learn from `images` images, not each": both(
            workers * alone / (alone + exchange), workers
        ),
        "the efficiency is the speed-up divided by the workers": [right[0], 1 / right[1]],
        "the efficiency is a share, not a percentage": [right[0], 100 * right[1]],
        "the two numbers are swapped": right[::-1],
    }


def gain(answer: Callable) -> Iterator[str]:
    """Speed-up and efficiency when workers share the images of one step."""
    for fixed, image, images, exchange, workers in STEPS:
        case = f"the call with {fixed}, {image}, {images}, {exchange}, {workers}"
        work = image * images
        right = both((fixed + work) / (fixed + work / workers + exchange * (workers > 1)), workers)
        mistakes = mistaken(fixed, work, exchange, workers, right)
        require(pair(answer(fixed, image, images, exchange, workers), case), right, case, mistakes)
        yield f"{workers} worker{'s' * (workers > 1)}: {right[0]:.2f} times as fast, efficiency {right[1]:.2f}"


def both(faster: float, workers: int) -> list[float]:
    """Speed-up and efficiency."""
    return [faster, faster / workers]


EXERCISES = {
    "09.1": Exercise(
        shares,
        (
            "deal the images out like cards: which ones does worker 0 get, which ones worker 1?",
            "each worker takes every k-th image, k being the number of workers; each begins at another one",
            "range(start, stop, step): the step is `workers`; where does worker `rank` start?",
        ),
    ),
    "09.2": Exercise(
        mean_gradient,
        (
            "a share of 3 images and a share of 1: how much should the mean of the first count?",
            "a mean times its number of images is a sum; add the sums of all workers, then divide",
            "means (k, p) times counts[:, None] (k, 1), summed over dim 0, divided by counts.sum()",
        ),
    ),
    "09.3": Exercise(
        gain,
        (
            "write down the seconds of a step twice: for one worker alone, and for several that share the images",
            "alone: fixed + image · images. Together: the fixed seconds, a share of the images, and the exchange",
            "speed-up = alone / together, efficiency = speed-up / workers; with one worker the exchange takes no time",
        ),
    ),
}
