"""Helpers for the MNIST lessons: what a notebook has explained once, the next ones import from here."""

__version__ = "0.2.0"

from mnist_helpers.data import MNISTData, load_mnist, make_dataset, make_loader, split_train_valid, textbook_dataset
from mnist_helpers.diagrams import plot_network, plot_neuron
from mnist_helpers.model import MNISTNet, count_parameters
from mnist_helpers.plots import (
    plot_calibration,
    plot_confusion_matrix,
    plot_differences,
    plot_digits,
    plot_history,
    plot_predictions,
    plot_probabilities,
)
from mnist_helpers.predictions import Interval, Predictions, calibration_table, expected_calibration_error, predict
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
    quick_settings,
    same_order,
    set_seed,
    train_epoch,
    train_step,
)
