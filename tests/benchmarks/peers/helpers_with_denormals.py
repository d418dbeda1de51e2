"""`fit` without flushing denormals to zero."""

import torch

from . import helpers


def epochs(task):
    torch.set_flush_denormal = lambda flush: None
    return helpers.epochs(task)
