"""Helpers for the MNIST lessons: what a notebook has explained once, the next ones import from here."""

__version__ = "0.2.0"

from importlib import import_module
from typing import Any

from mnist_helpers import alt_text
from mnist_helpers.data import MNISTData, load_mnist, make_dataset, make_loader, split_train_valid, textbook_dataset
from mnist_helpers.model import MNISTNet, count_parameters
from mnist_helpers.predictions import Interval, Predictions, calibration_table, expected_calibration_error, predict
from mnist_helpers.quick import quick_settings
from mnist_helpers.runs import Run, load_or_train, load_run, runs_dir, save_run, train_run
from mnist_helpers.training import (
    DivergedError,
    History,
    Metrics,
    check_finite,
    device_of,
    eval_mode,
    evaluate,
    fit,
    make_optimizer,
    pick_device,
    same_order,
    set_seed,
    train_epoch,
    train_step,
)

alt_text.publish()

DRAWING = {  # what is imported when it is first asked for, and matplotlib with it
    "diagrams": ("plot_network", "plot_neuron"),
    "plots": (
        "plot_calibration",
        "plot_confusion_matrix",
        "plot_differences",
        "plot_digits",
        "plot_history",
        "plot_predictions",
        "plot_probabilities",
    ),
}


def __getattr__(name: str) -> Any:
    for module, functions in DRAWING.items():
        if name in functions:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *DRAWING["diagrams"], *DRAWING["plots"]])


__all__ = [
    name
    for name in __dir__()
    if not name.startswith("_") and name not in ("Any", "DRAWING", "alt_text", "import_module")
]
