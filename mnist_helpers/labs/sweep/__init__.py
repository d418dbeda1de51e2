"""The runs of the ledger: which there are, and the command that trains them, `python -m mnist_helpers.labs.sweep`."""

from mnist_helpers.labs.sweep.grid import Setting, grid
from mnist_helpers.labs.sweep.work import RunFailedError, sweep, train_setting

__all__ = ["RunFailedError", "Setting", "grid", "sweep", "train_setting"]
