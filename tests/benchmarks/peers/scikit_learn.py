"""scikit-learn's MLPClassifier, which has no dropout: one epoch is one call of `partial_fit`."""

from collections.abc import Iterator

import numpy as np
from sklearn.neural_network import MLPClassifier

from ..task import LR, WEIGHT_DECAY, Task, timed


def epochs(task: Task) -> Iterator[dict[str, float]]:
    images, labels, valid_images, valid_labels = task.arrays()
    images, valid_images = ((part.reshape(-1, 784) / 255).astype(np.float32) for part in (images, valid_images))
    sizes = task.width, task.width // 2
    model = MLPClassifier(sizes, batch_size=task.batch, alpha=WEIGHT_DECAY, learning_rate_init=LR)
    return timed(
        task,
        lambda: model.partial_fit(images, labels, classes=np.arange(10)),
        lambda: model.score(valid_images, valid_labels),
        lambda: model.score(images, labels),
    )
