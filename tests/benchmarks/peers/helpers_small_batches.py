"""`fit` that measures the training images in batches as small as those of its steps."""

import mnist_helpers.training
from mnist_helpers.quick import whole_batches

from . import helpers


def epochs(task):
    mnist_helpers.training.whole_batches = lambda loader, size=1, device=None: whole_batches(loader)
    return helpers.epochs(task)
