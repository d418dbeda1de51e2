"""A run while it grows, step by step: what the panels that train live draw. Without any widget."""

import dataclasses
import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import nn

from mnist_helpers.data import MNISTData, make_loader
from mnist_helpers.model import MNISTNet
from mnist_helpers.quick import quick_settings
from mnist_helpers.training import Metrics, evaluate, make_optimizer, train_steps


@dataclasses.dataclass
class Curve:
    """A run while it grows: its model, its settings, and what was measured when.

    `measured_at`: after how many epochs (with fractions, the first is 0); `done`: how many epochs the model has been
    trained; `number`: its place in a table.
    """

    model: nn.Module
    settings: dict[str, Any]
    measured_at: list[float] = dataclasses.field(default_factory=list)
    train: list[Metrics] = dataclasses.field(default_factory=list)
    valid: list[Metrics] = dataclasses.field(default_factory=list)
    done: float = 0.0
    number: int = 0
    stopped: bool = False

    def __str__(self) -> str:
        settings = self.settings
        return (
            f"Run {self.number}: dropout {settings['dropout']:g}, weight decay {settings['weight_decay']:g}, "
            f"{settings['train_size']:,} images, seed {settings['seed']}"
        )

    def measure(self, data: MNISTData, most: int = 1000) -> None:
        """Add a point: the model as it is now, dropout off, on at most `most` training and `most` validation images."""
        self.measured_at.append(self.done)
        for part, points in ((data.train, self.train), (data.valid, self.valid)):
            points.append(evaluate(self.model, [part[:most]]))


class OwnRandomNumbers:
    """Within a `with` block PyTorch draws from a sequence of its own; outside, nothing of it shows."""

    def __init__(self, seed: int):
        self.inside = torch.Generator().manual_seed(seed).get_state()

    def __enter__(self) -> None:
        self.outside = torch.get_rng_state()
        torch.set_rng_state(self.inside)

    def __exit__(self, *error: object) -> None:
        self.inside = torch.get_rng_state()
        torch.set_rng_state(self.outside)


def live_steps(
    make_run: Callable[[], tuple[nn.Module, Iterable]], weight_decay: float, epochs: int, seed: int
) -> Iterator[tuple[nn.Module, int]]:
    """Train step by step, so that other things can happen in between: yields the model and the number of steps so far,
    first the untrained one with 0.

    `make_run` makes the model and the loader. Whatever draws random numbers or changes PyTorch's settings between two
    steps, the run is the one that `fit` would make with this seed; and nothing of it is to be seen outside.
    """
    random, done = OwnRandomNumbers(seed), 0
    with random:
        model, loader = make_run()
    optimizer = make_optimizer(model, weight_decay)
    yield model, done
    for _ in range(epochs):
        steps = train_steps(model, loader, optimizer)
        while True:
            with random, quick_settings():
                step = next(steps, None)
            if step is None:
                break
            done += 1
            yield model, done


def train_live(
    data: MNISTData,
    *,
    dropout: float,
    weight_decay: float,
    train_size: int,
    seed: int,
    epochs: int = 10,
    points: int = 10,
    most: int = 1000,
) -> Iterator[Curve]:
    """Train as `train_run` does, on the first `train_size` images and the processor; yields the curve after each step.

    The curve has about `points` points an epoch, each measured on at most `most` images of each kind.
    """
    settings = {"dropout": dropout, "weight_decay": weight_decay, "train_size": train_size, "seed": seed}
    data, curve = data.with_train_size(train_size), None
    loader = make_loader(data.train, batch_size=32, shuffle=True, generator=torch.Generator().manual_seed(seed))
    steps = len(loader)
    for model, done in live_steps(lambda: (MNISTNet(dropout=dropout), loader), weight_decay, epochs, seed):
        curve = curve or Curve(model, settings)
        curve.done = done / steps
        if done % math.ceil(steps / points) == 0 or done % steps == 0:
            curve.measure(data, most)
        if done:
            yield curve
