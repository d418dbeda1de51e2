"""Steps, epochs and the history of a training run."""

import dataclasses
import math
import random
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer
from tqdm import tqdm

from mnist_helpers.checks import check_batches, check_whole, checked
from mnist_helpers.quick import quick_settings, whole_batches
from mnist_helpers.recording import is_recordable, recorded_steps

if TYPE_CHECKING:
    import pandas as pd

Loss = Callable[..., Tensor]  # from logits and labels to the number that training lowers


@dataclasses.dataclass(frozen=True)
class Metrics:
    """Loss (cross-entropy in nats) and accuracy (a share from 0 to 1), both means over examples."""

    loss: float
    accuracy: float

    def __str__(self) -> str:
        return f"loss {self.loss:.4f}, accuracy {self.accuracy:.2%}"


@dataclasses.dataclass
class History:
    """What happened in each epoch of a training run, one list entry an epoch.

    `train_*` and `valid_*` are measured after the epoch in the same way, with dropout off. `running_*` are the means
    over the epoch's own steps, while the weights still change and with dropout on. Accuracies are shares from 0 to 1,
    losses are in nats, `seconds` is the wall time of training and measuring.
    """

    train_loss: list[float] = dataclasses.field(default_factory=list)
    train_accuracy: list[float] = dataclasses.field(default_factory=list)
    valid_loss: list[float] = dataclasses.field(default_factory=list)
    valid_accuracy: list[float] = dataclasses.field(default_factory=list)
    running_loss: list[float] = dataclasses.field(default_factory=list)
    running_accuracy: list[float] = dataclasses.field(default_factory=list)
    seconds: list[float] = dataclasses.field(default_factory=list)

    def append(self, train: Metrics, valid: Metrics, running: Metrics, seconds: float) -> None:
        """Add one epoch."""
        for name, metrics in {"train": train, "valid": valid, "running": running}.items():
            getattr(self, f"{name}_loss").append(metrics.loss)
            getattr(self, f"{name}_accuracy").append(metrics.accuracy)
        self.seconds.append(seconds)

    def __len__(self) -> int:
        return len(self.seconds)

    @property
    def epoch_numbers(self) -> list[int]:
        """1, 2, 3, …"""
        return list(range(1, len(self) + 1))

    @property
    def best_epoch(self) -> int:
        """The epoch (counted from 1) with the lowest validation loss. Raises ValueError when there is no epoch."""
        if not len(self):
            raise ValueError("the history is empty: no epoch was completed")
        return 1 + int(np.nanargmin(self.valid_loss))

    def to_frame(self) -> "pd.DataFrame":
        """The history as a pandas table with the epoch as its index."""
        import pandas as pd  # takes long to import

        return pd.DataFrame(dataclasses.asdict(self), index=pd.Index(self.epoch_numbers, name="epoch"), dtype=float)

    def __repr__(self) -> str:
        return self.to_frame().to_string(float_format="{:.4f}".format)

    def _repr_html_(self) -> str:
        return self.to_frame().to_html(float_format="{:.4f}".format)


class DivergedError(ArithmeticError):
    """The loss became infinite or not a number. `history` holds the epochs that were completed before."""

    def __init__(self, message: str, history: History | None = None):
        super().__init__(message)
        self.history = history


def set_seed(seed: int) -> None:
    """Start the random numbers of Python, NumPy and PyTorch from `seed`, for weights, batches and dropout alike.

    The same seed gives the same numbers to the last bit on the same machine with the same number of threads.
    """
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def pick_device() -> torch.device:
    """The fastest device there is: an NVIDIA GPU ("cuda"), else an Apple GPU ("mps"), else the processor ("cpu")."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def device_of(model: nn.Module) -> torch.device:
    """The device on which the model's parameters lie."""
    return next((parameter.device for parameter in model.parameters()), torch.device("cpu"))


def make_optimizer(
    model: nn.Module,
    weight_decay: float = 1e-4,
    optimizer_class: Callable[..., Optimizer] = torch.optim.Adam,
    lr: float = 0.001,
) -> Optimizer:
    """The recipe's optimizer for the parameters of `model`: Adam with learning rate 0.001, or another.

    `fused` does the whole step in one piece of code, which is faster and changes no number.
    """
    return optimizer_class(model.parameters(), lr=lr, weight_decay=weight_decay, fused=True)


@contextmanager
def same_order(loader: Iterable) -> Iterator[None]:
    """Within a `with` block `loader` may be read; after it, it goes on as if it had not been read.

    A loader that shuffles draws its order from a generator of its own, which is set back here.
    """
    generator = getattr(loader, "generator", None)
    state = None if generator is None else generator.get_state()
    try:
        yield
    finally:
        if generator is not None:
            generator.set_state(state)


@contextmanager
def eval_mode(model: nn.Module) -> Iterator[None]:
    """Within a `with` block: dropout off. After it every layer is in the mode it was in before."""
    modes = {layer: layer.training for layer in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for layer, training in modes.items():
            layer.training = training


def train_step(
    model: nn.Module, images: Tensor, labels: Tensor, optimizer: Optimizer, loss_function: Loss = F.cross_entropy
) -> Metrics:
    """One step of training on one batch; returns the batch's loss and accuracy before the step, dropout on.

    `images`: whatever the model takes, (batch, 1, 28, 28) for MNISTNet. `labels`: int64 (batch,).
    """
    model.train()  # dropout on
    logits = model(images)  # (batch, 10), before softmax
    loss = loss_function(logits, labels)  # a mean over the batch
    optimizer.zero_grad()  # forget the gradients of the last step
    loss.backward()  # compute the new ones
    optimizer.step()  # change the weights
    correct = (logits.argmax(dim=1) == labels).sum()
    return Metrics(loss.item(), correct.item() / len(labels))


@checked(check_batches)
def weighted_mean(batches: list[tuple[Metrics, int]]) -> Metrics:
    """The mean of the batches' metrics, each batch weighing as much as it has examples.

    Raises ValueError when there is no batch.
    """
    count = sum(size for _, size in batches)
    loss = sum(batch.loss * size for batch, size in batches) / count
    accuracy = sum(batch.accuracy * size for batch, size in batches) / count
    return Metrics(loss, accuracy)


def train_steps(
    model: nn.Module, loader: Iterable, optimizer: Optimizer, loss_function: Loss = F.cross_entropy
) -> Iterator[tuple[Metrics, int]]:
    """One pass over the training batches, a step each time that the next value is asked for (a generator).

    Yields the metrics of the step and the number of its examples. Raises DivergedError after the first step whose loss
    is infinite or not a number: the weights are then useless.
    """
    device = device_of(model)
    for step, (images, labels) in enumerate(loader, start=1):
        metrics = train_step(model, images.to(device), labels.to(device), optimizer, loss_function)
        check_finite(metrics.loss, f"at step {step}")
        yield metrics, len(labels)


def train_epoch(model: nn.Module, loader: Iterable, optimizer: Optimizer) -> Metrics:
    """One pass over the training batches; returns the running loss and accuracy, while the weights change.

    Raises DivergedError as `train_steps` does, ValueError when there is no batch.
    """
    return weighted_mean(list(train_steps(model, loader, optimizer)))


def check_finite(loss: float, when: str) -> None:
    """Raise DivergedError when the loss is infinite or not a number."""
    if not math.isfinite(loss):
        raise DivergedError(f"the loss became {loss} {when}: lower the learning rate, or look for NaN in the images")


def evaluate(model: nn.Module, loader: Iterable) -> Metrics:
    """Loss and accuracy over all batches of `loader`, with dropout off.

    Looking changes nothing: the model comes back in the mode it was in, and a loader that shuffles goes on as if it had
    not been read. Raises ValueError when there is no batch.
    """
    device, batches = device_of(model), []
    with eval_mode(model), same_order(loader), torch.no_grad():
        for images, labels in loader:
            logits, labels = model(images.to(device)), labels.to(device)
            loss = F.cross_entropy(logits, labels).item()
            correct = (logits.argmax(dim=1) == labels).sum().item()
            batches.append((Metrics(loss, correct / len(labels)), len(labels)))
    return weighted_mean(batches)


def fit(
    model: nn.Module,
    optimizer: Optimizer,
    train_loader: Iterable,
    valid_loader: Iterable,
    epochs: int = 10,
    on_epoch_end: Callable[[History], object] | None = None,
    progress: bool = True,
    threads: int = 1,
    loss_function: Loss = F.cross_entropy,
) -> History:
    """Train for `epochs` epochs and measure after each of them; returns the history.

    Shows a progress bar with the time left, unless `progress` is False. After each epoch calls `on_epoch_end(history)`;
    when that returns True, training stops there (early stopping). Kernel → Interrupt (KeyboardInterrupt) stops it too:
    the history then holds the completed epochs, and the model keeps the weights of its last step.
    `threads`: on how many threads of the processor; one is the fastest for networks as small as MNISTNet, a large
    one may want torch.get_num_threads(). PyTorch's settings are put back at the end (see `quick_settings`).
    `loss_function`: what the steps lower, from logits and labels; after an epoch the cross-entropy is measured always.

    Raises ValueError for fewer than 1 epoch or an empty loader; DivergedError (with the history so far in its
    attribute `history`) when the loss is infinite or not a number.
    """
    epochs, threads = check_whole("epochs", epochs), check_whole("threads", threads)
    history = History()
    with quick_settings(threads), progress_bar(epochs, train_loader, progress) as bar:
        try:
            for epoch in range(1, epochs + 1):
                bar.set_description(f"epoch {epoch}/{epochs}")
                for _ in epoch_steps(model, optimizer, train_loader, valid_loader, history, loss_function):
                    bar.update()
                stop = on_epoch_end(history) if on_epoch_end is not None else False
                if isinstance(stop, (bool, np.bool_)) and stop:
                    break
        except KeyboardInterrupt:
            bar.write(f"Interrupted in epoch {epoch}: the history holds the completed epochs.", file=sys.stdout)
        except DivergedError as error:
            raise DivergedError(f"epoch {epoch}: {error}", history) from None
    return history


def epoch_steps(
    model: nn.Module,
    optimizer: Optimizer,
    train_loader: Iterable,
    valid_loader: Iterable,
    history: History,
    loss_function: Loss = F.cross_entropy,
) -> Iterator[tuple[Metrics, int]]:
    """`train_steps` of one epoch; at the end of them measures the model and adds the epoch to `history`."""
    started, batches = time.perf_counter(), []
    device, recordable = device_of(model), is_recordable(model, optimizer, loss_function)
    steps = partial(recorded_steps, Metrics, check_finite) if recordable else train_steps
    for batch in steps(model, whole_batches(train_loader, device=device), optimizer, loss_function):
        batches.append(batch)
        yield batch
    running = weighted_mean(batches)
    train, valid = evaluate(model, whole_batches(train_loader, 1024, device)), evaluate(model, valid_loader)
    check_finite(train.loss, "after the last step")
    history.append(train, valid, running, time.perf_counter() - started)


def progress_bar(epochs: int, loader: Iterable, shown: bool) -> tqdm:
    """A bar over all steps of all epochs, on standard output so that a notebook keeps its last state."""
    try:
        total = epochs * len(loader)  # type: ignore[arg-type]
    except TypeError:  # a stream, whose length nobody knows
        total = None
    return tqdm(total=total, unit=" steps", file=sys.stdout, disable=not shown, ncols=90, mininterval=0.25)
