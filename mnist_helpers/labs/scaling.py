"""What a step costs when several workers share it: computing against communicating, measured and extended on paper.

    torchrun --standalone --nproc-per-node=2 -m mnist_helpers.labs.scaling

measures how long an all-reduce and a step of training take with two processes, and prints both as JSON.
"""

import dataclasses
import json
import time
from collections.abc import Callable
from functools import partial

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from mnist_helpers.labs.data_parallel import join
from mnist_helpers.labs.networks import NETWORKS
from mnist_helpers.quick import quick_settings
from mnist_helpers.training import device_of, make_optimizer, set_seed, train_step

SIZES = (4, 437_544, 40_000_000)  # bytes: one number, the gradients of MNISTNet, ten million numbers
BATCH = 128  # images of all workers together


@dataclasses.dataclass(frozen=True)
class Work:
    """What a worker computes in a step: `fixed` seconds, `image` seconds for each image; then `gradient` bytes."""

    fixed: float
    image: float
    gradient: int

    def seconds(self, share: int) -> float:
        """The seconds that a step of `share` images takes."""
        return self.fixed + self.image * share


@dataclasses.dataclass(frozen=True)
class Link:
    """A connection between two workers: seconds until a message arrives (`latency`), bytes a second (`bandwidth`)."""

    latency: float
    bandwidth: float


def all_reduce_seconds(link: Link, size: int, workers: int) -> float:
    """How long it takes until each worker has the mean of all gradients, of `size` bytes, with the ring algorithm.

    In a ring each worker sends a piece of size / workers to its neighbour, 2 (workers − 1) times. Source: Patarasuk and
    Yuan (2009), Bandwidth optimal all-reduce algorithms for clusters of workstations.
    """
    return 2 * (workers - 1) * (link.latency + size / workers / link.bandwidth)


def speed_up(work: Work, link: Link, share: int, workers: int) -> float:
    """How many times as many images a second `workers` workers learn from as one, with `share` images each a step."""
    compute = work.seconds(share)
    return workers * compute / (compute + all_reduce_seconds(link, work.gradient, workers))


def line_through(first: tuple[float, float], second: tuple[float, float]) -> tuple[float, float]:
    """Where the line through two points (x, y) begins at x = 0, never below 0, and its slope."""
    slope = (second[1] - first[1]) / (second[0] - first[0])
    return max(0.0, first[1] - slope * first[0]), slope


def shortest_seconds(action: Callable[[], object], repeats: int = 20) -> float:
    """The shortest time of `action` in so many repeats, after two that do not count: others can only make it longer."""
    times = []
    for _ in range(repeats + 2):
        started = time.perf_counter()
        action()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        times.append(time.perf_counter() - started)
    return min(times[2:])


def seconds_per_step(model: nn.Module, batch_size: int, repeats: int = 20) -> float:
    """The shortest time of a training step on `batch_size` random images, on the device where the model lies."""
    images = torch.rand(batch_size, 1, 28, 28, device=device_of(model))
    labels = torch.randint(10, (batch_size,), device=device_of(model))
    optimizer = make_optimizer(model)
    return shortest_seconds(lambda: train_step(model, images, labels, optimizer), repeats)


def measured() -> dict[str, dict]:
    """Seconds of an all-reduce by size in bytes, and of a step by network; all processes must call it together."""
    device = join()
    set_seed(0)
    share = BATCH // dist.get_world_size()
    buffers = {size: torch.zeros(size // 4, device=device) for size in SIZES}
    models = {name: DistributedDataParallel(NETWORKS[name](0.2).to(device)) for name in ("MNISTNet", "cnn")}
    return {
        "all_reduce": {size: shortest_seconds(partial(dist.all_reduce, each)) for size, each in buffers.items()},
        "step": {name: seconds_per_step(model, share) for name, model in models.items()},
    }


def main() -> None:
    """What each process does; process 0 prints."""
    with quick_settings():
        seconds = measured()
    if dist.get_rank() == 0:
        print(json.dumps(seconds))
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
