"""This project's `fit`, as the lessons call it. Its epochs are timed whole, by its own history."""

import time
from collections.abc import Iterator

from mnist_helpers import evaluate, fit, make_dataset, make_loader
from mnist_helpers.quick import quick_settings
from mnist_helpers.training import make_optimizer

from ..task import VALID_BATCH, Task
from .textbook import network


def seconds_of(loader, model, threads):
    """How long `evaluate` takes, as `fit` calls it."""
    with quick_settings(threads):
        started = time.perf_counter()
        evaluate(model, loader)
        return time.perf_counter() - started


def epochs(task: Task, threads: int = 1) -> Iterator[dict[str, float]]:
    images, labels, valid_images, valid_labels = task.arrays()
    train_loader = make_loader(make_dataset(images, labels), batch_size=task.batch, shuffle=True)
    valid_loader = make_loader(make_dataset(valid_images, valid_labels), batch_size=VALID_BATCH)
    model = network(task.width)
    loaders, cpu = (train_loader, valid_loader), time.process_time()
    history = fit(model, make_optimizer(model), *loaders, epochs=task.epochs, progress=False, threads=threads)
    cpu = (time.process_time() - cpu) / task.epochs
    for whole, accuracy in zip(history.seconds, history.valid_accuracy):
        curve, valid = (seconds_of(loader, model, threads) for loader in loaders)
        yield {"train": whole - valid - curve, "valid": valid, "curve": curve, "cpu": cpu, "accuracy": accuracy}
