"""`fit` with the batches that DataLoader gives, also where the training images are measured."""

import mnist_helpers.training

from . import helpers


def epochs(task):
    mnist_helpers.training.whole_batches = lambda loader, size=1, device=None: loader
    return helpers.epochs(task)
