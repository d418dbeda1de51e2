"""Keras on JAX: `fit` and `evaluate` on arrays in memory. The first epoch holds the compilation of what it calls."""

import os
from collections.abc import Iterator

import numpy as np

from ..task import DROPOUT, LR, VALID_BATCH, WEIGHT_DECAY, Task, timed

os.environ["KERAS_BACKEND"] = "jax"

import keras  # noqa: E402  (it reads the line above)
from keras import layers  # noqa: E402


def network(width: int) -> keras.Model:
    # fmt: off
    return keras.Sequential([
        layers.Input((784,)),
        layers.Dense(width, activation="relu"), layers.Dropout(DROPOUT),
        layers.Dense(width // 2, activation="relu"), layers.Dropout(DROPOUT),
        layers.Dense(10),
    ])
    # fmt: on


def epochs(task: Task) -> Iterator[dict[str, float]]:
    images, labels, valid_images, valid_labels = task.arrays()
    images, valid_images = (part.reshape(-1, 784).astype(np.float32) / 255 for part in (images, valid_images))
    model = network(task.width)
    model.compile(
        keras.optimizers.Adam(LR, weight_decay=WEIGHT_DECAY),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return timed(
        task,
        lambda: model.fit(images, labels, batch_size=task.batch, verbose=0),
        lambda: model.evaluate(valid_images, valid_labels, batch_size=VALID_BATCH, verbose=0)[1],
        lambda: model.evaluate(images, labels, batch_size=VALID_BATCH, verbose=0),
    )
