"""Answers to the exercises of lesson 9."""

import numpy as np
import torch
from torch.utils.data import DistributedSampler


def in_blocks(rank, workers, images):
    return [image for image in range(images) if image * workers // images == rank]


def by_remainder(rank, workers, images):
    numbers = torch.arange(images)
    return numbers[numbers % workers == rank]


def padded_sampler(rank, workers, images):
    return list(DistributedSampler(range(images), workers, rank, shuffle=False))


def last_takes_the_rest(rank, workers, images):
    share = images // workers
    return range(rank * share, images if rank == workers - 1 else (rank + 1) * share)


def weighted_in_a_loop(gradients, counts):
    total = 0
    for gradient, count in zip(gradients, counts):
        total = total + gradient * count
    return total / sum(counts)


def multiplies_in_place(gradients, counts):
    gradients *= counts[:, None]
    return gradients.sum(dim=0) / counts.sum()


def gain(fixed, image, images, exchange, workers):
    together = fixed + image * images / workers + (exchange if workers > 1 else 0)
    faster = (fixed + image * images) / together
    return faster, faster / workers


def gain_as_tensor(fixed, image, images, exchange, workers):
    number = torch.tensor([1, workers], dtype=torch.float64)
    seconds = fixed + image * images / number + exchange * (number > 1)
    return seconds[0] / seconds[1] / torch.tensor([1, workers])


def gain_by_rates(fixed, image, images, exchange, workers):
    if workers == 1:
        return [1, 1]
    alone, together = images / (fixed + images * image), images / (fixed + images / workers * image + exchange)
    return np.array([together / alone, together / alone / workers])


def seconds(fixed, image, images, exchange, workers):
    return fixed + image * images, fixed + image * images / workers + exchange * (workers > 1)


def both(faster, workers):
    return faster, faster / workers


RIGHT = {
    "09.1": [lambda rank, workers, images: range(rank, images, workers), in_blocks, by_remainder]
    + [lambda rank, workers, images: np.array_split(np.arange(images), workers)[rank]],
    "09.2": [
        weighted_in_a_loop,
        multiplies_in_place,
        lambda gradients, counts: counts.float() @ gradients / counts.sum(),
        lambda gradients, counts: np.average(gradients.numpy(), axis=0, weights=counts.numpy()),
    ],
    "09.3": [gain, gain_as_tensor, gain_by_rates],
}

WRONG = {
    "09.1": {
        padded_sampler: "taken more than once",
        last_takes_the_rest: "unequal",
        lambda rank, workers, images: range(
            rank * (images // workers), (rank + 1) * (images // workers)
        ): "nobody takes",
        lambda rank, workers, images: range(images): "by the workers 0 and 1",
        lambda rank, workers, images: range(rank + 1, images + 1, workers): "there is no image",
        lambda rank, workers, images: range(rank, images, rank + 1): "taken more than once",
        lambda rank, workers, images: images // workers: "list of image numbers",
        lambda rank, workers, images: torch.randint(images, (images // workers,)): "is taken more than once, by",
    },
    "09.2": {
        lambda gradients, counts: gradients.mean(dim=0): "as if all shares were equal",
        lambda gradients, counts: gradients.sum(dim=0): "added",
        lambda gradients, counts: (gradients * counts[:, None]).sum(dim=0): "divide by their number",
        lambda gradients, counts: (gradients * counts[:, None]).mean(dim=0): "number of workers",
        lambda gradients, counts: gradients[0]: "only the first",
        lambda gradients, counts: (gradients / counts[:, None]).sum(dim=0): "a mean already",
        lambda gradients, counts: weighted_in_a_loop(gradients, counts).mean(): "the shape",
    },
    "09.3": {
        lambda *given: both(seconds(*given)[1] / seconds(*given)[0], given[4]): "upside down",
        lambda f, i, n, e, k: both((f + i * n + e) / (f + i * n / k + e), k): "exchanges nothing",
        lambda f, i, n, e, k: both((f + i * n) / (f + i * n / k + e), k): "also when the function is called with 1",
        lambda f, i, n, e, k: both((f + i * n) / (f + i * n / k), k): "left out",
        lambda f, i, n, e, k: both((f + i * n) / ((f + i * n) / k + e), k): "cannot be shared",
        lambda f, i, n, e, k: both(k * (f + i * n) / (f + i * n + e), k): "not each",
        lambda *given: (gain(*given)[0], 100 * gain(*given)[1]): "percentage",
        lambda *given: gain(*given)[::-1]: "swapped",
        lambda *given: gain(*given)[0]: "two numbers",
    },
}
