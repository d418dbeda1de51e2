"""What every way of training gets to do, and how it is timed."""

import dataclasses
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

VALID_BATCH = 1024  # what is only measured goes through every network in batches of this size
DROPOUT, LR, WEIGHT_DECAY = 0.2, 0.001, 1e-4


@dataclasses.dataclass(frozen=True)
class Task:
    """The recipe, or one number of it changed. `folder` holds the arrays that `keep_arrays` wrote."""

    folder: str
    epochs: int = 3
    images: int = 48_000
    batch: int = 32
    width: int = 128  # of the first hidden layer; the second has half of it

    def arrays(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Training images and labels, validation images and labels: uint8 (n, 28, 28) and int64 (n,)."""
        images, labels, valid_images, valid_labels = (np.load(Path(self.folder, f"{name}.npy")) for name in ARRAYS)
        return images[: self.images], labels[: self.images], valid_images, valid_labels


ARRAYS = ("images", "labels", "valid_images", "valid_labels")


def keep_arrays(folder: Path) -> str:
    """Write the lessons' images into `folder`, so that no way of training pays for reading MNIST's own files.

    Behind the training images stand the validation images, for those who ask for more than 48,000. Says what they are.
    """
    from mnist_helpers import load_mnist

    data = load_mnist()
    (images, labels), (valid_images, valid_labels) = (
        ((255 * part.tensors[0]).round().byte().squeeze(1).numpy(), part.tensors[1].numpy())
        for part in (data.train, data.valid)
    )
    both = np.concatenate([images, valid_images]), np.concatenate([labels, valid_labels])
    for name, array in zip(ARRAYS, (*both, valid_images, valid_labels)):
        np.save(folder / f"{name}.npy", array)
    return str(data)


def timed(
    task: Task, train: Callable[[], object], valid: Callable[[], float], curve: Callable[[], object]
) -> Iterator[dict[str, float]]:
    """The seconds of each epoch: `train` goes once over the training images, `valid` measures the validation images and
    returns the accuracy, `curve` measures the training images, dropout off, for the second of the two curves. "cpu" are
    the seconds of the processor in all three, on all threads: other programs change them less than the others.
    """
    for _ in range(task.epochs):
        cpu, marks = time.process_time(), [time.perf_counter()]
        train()
        marks.append(time.perf_counter())
        accuracy = valid()
        marks.append(time.perf_counter())
        curve()
        marks.append(time.perf_counter())
        seconds = dict(zip(("train", "valid", "curve"), np.diff(marks).tolist()))
        yield seconds | {"cpu": time.process_time() - cpu, "accuracy": float(accuracy)}
