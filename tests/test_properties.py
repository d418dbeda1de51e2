"""Every public function, whatever it is given, works or raises the error that it documents: Hypothesis tries it."""

import inspect

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.data import TensorDataset

import mnist_helpers as mh
from mnist_helpers import widgets
from mnist_helpers.labs import clinic, ledger, own_digits
from mnist_helpers.labs.networks import linear_net, small_cnn
from mnist_helpers.training import History, Metrics

# ---------------------------------------------------------------- odd things, and usual ones among them

REAL_TYPES = [torch.float32, torch.float64, torch.float16, torch.uint8, torch.int64]
TYPES = [*REAL_TYPES, torch.bool, torch.complex64]
VALUES = [0, 1, 0.5, -1, 7, 255, 1e30, float("nan"), float("inf")]
SHAPES = [(), (0,), (1,), (3,), (10,), (0, 1, 28, 28), (3, 28, 28), (28, 28), (3, 1, 28, 28), (2, 28, 27), (3, 784)]
SHAPES += [(0, 10), (3, 10), (3, 11), (3, 3, 28, 28), (3, 1, 5, 5), (20_000, 1, 28, 28), (100_000,), (5, 3, 10)]


def filled(shape, dtype, value):
    """A tensor with the same value everywhere, which takes next to no memory however large it is."""
    return torch.full((1,) * len(shape), 1).to(dtype).mul(value).to(dtype).expand(shape)


def tensors(shapes, types=TYPES, values=VALUES):
    return st.builds(filled, st.sampled_from(shapes), st.sampled_from(types), st.sampled_from(values))


def dataset_of(images, labels):
    """As many images as labels, as a TensorDataset."""
    size = min(len(images), len(labels))
    return TensorDataset(images[:size], labels[:size])


def history_of(points):
    history = History()
    for metrics in points:
        history.append(metrics, metrics, metrics, 1.0)
    return history


def predictions_of(size, classes, logit, label):
    logits = filled((size, classes), torch.float32, logit)
    return mh.Predictions(logits, filled((size,), torch.int64, label), torch.zeros(size, 1, 28, 28))


ODD = tensors(SHAPES)
IMAGES = tensors([(3, 1, 28, 28)], [torch.float32], [0, 0.5, 1]) | tensors(SHAPES[5:-2])
LABELS = tensors([(3,)], [torch.int64], [0, 7]) | tensors([(0,), (1,), (3,), (40,), (3, 1)], values=[0, 7, -1, 10])
ARRAYS = ODD.map(lambda tensor: tensor.numpy()) | st.sampled_from([np.array(["7", "2"]), np.array([None, 3])])
WHOLE = st.sampled_from([0, 1, 2, 5, -1, 10**12, 2**80, True, 2.5, "3", None, float("nan"), np.int64(3)])
REAL = st.sampled_from([0, 0.2, 0.5, 1, -1, 1.5, 1e300, float("nan"), float("inf"), None, "0.5", True])
FINITE = st.sampled_from([0, 0.2, 1, -1, 30])
DATASETS = st.builds(dataset_of, IMAGES, LABELS)
SETS = st.builds(dataset_of, IMAGES, tensors([(3,), (40,), (0,)], [torch.int64], [0, 7]))
DATA = SETS.map(lambda dataset: mh.MNISTData(dataset, dataset, dataset, "sample"))
NETWORK = st.sampled_from([mh.MNISTNet(), mh.MNISTNet(0.5)])
MODELS = NETWORK | st.sampled_from([linear_net(), small_cnn(), nn.Identity(), nn.Linear(784, 10), nn.Sequential()])
PREDICTIONS = st.builds(predictions_of, *map(st.sampled_from, ([0, 1, 3, 40], [10, 10, 3, 1], VALUES, [0, 7, -1, 10])))
METRICS = st.builds(Metrics, st.sampled_from(VALUES), st.sampled_from(VALUES))
TITLES = st.none() | LABELS
HISTORIES = st.lists(METRICS, max_size=3).map(history_of)
EDGES = st.lists(st.sampled_from([0.0, 0.5, 1.0, -1.0, float("nan")]), max_size=4)
NUMBERS = st.lists(st.sampled_from(VALUES), min_size=1, max_size=4).map(lambda values: pd.Series(values, dtype=float))
TABLES = st.lists(st.tuples(*[st.sampled_from("ab")] * 2, *[st.sampled_from(VALUES)] * 2), min_size=1, max_size=4)
TABLES = TABLES.map(lambda rows: pd.DataFrame(rows, columns=["measure", "setting", "mean", "half"]))
SETTINGS = st.tuples(st.sampled_from(["dropout", "weight_decay", "seed", "lr"]), REAL)
SETTINGS = SETTINGS | st.tuples(st.just("batch_size"), WHOLE)
PLACES = st.sampled_from(["sample", "/nowhere", "/etc/passwd", "\0", "~nobody-of-that-name/x", 5, ["a"]])

STEPS = IMAGES, LABELS, tensors([(5, 3, 10)], [torch.float32]) | tensors([(5, 3, 0), (3, 10), (5, 40, 10)])


CALLS = {
    "load_mnist": (mh.load_mnist, PLACES),
    "make_dataset": (mh.make_dataset, IMAGES | ARRAYS, LABELS | ARRAYS),
    "make_loader": (lambda *given: list(mh.make_loader(*given)), DATASETS, WHOLE, st.booleans()),
    "split_train_valid": (mh.split_train_valid, DATASETS, REAL, WHOLE),
    "textbook_dataset": (lambda dataset: list(mh.textbook_dataset(dataset)), DATASETS),
    "MNISTData.with_split": (mh.MNISTData.with_split, DATA, WHOLE),
    "MNISTData.with_train_size": (mh.MNISTData.with_train_size, DATA, WHOLE),
    "MNISTData.fingerprint": (mh.MNISTData.fingerprint, DATA),
    "MNISTNet": (mh.MNISTNet, REAL),
    "MNISTNet.forward": (lambda model, images: model(images), NETWORK, IMAGES),
    "count_parameters": (mh.count_parameters, MODELS),
    "device_of": (mh.device_of, MODELS),
    "plot_network": (mh.plot_network, MODELS),
    "plot_neuron": (mh.plot_neuron, *[ODD | st.just([0.5, 2])] * 2, REAL),
    "plot_calibration": (lambda some, bins: mh.plot_calibration(some, bins=bins), PREDICTIONS, WHOLE | EDGES),
    "plot_confusion_matrix": (mh.plot_confusion_matrix, PREDICTIONS),
    "plot_differences": (mh.plot_differences, TABLES),
    "plot_digits": (lambda some, titles, columns: mh.plot_digits(some, titles, columns=columns), IMAGES, TITLES, WHOLE),
    "plot_history": (lambda history, start: mh.plot_history(history, start=start), HISTORIES, st.none() | METRICS),
    "plot_predictions": (lambda some, columns: mh.plot_predictions(some, columns=columns), PREDICTIONS, WHOLE),
    "plot_probabilities": (mh.plot_probabilities, ODD | tensors([(10,)]), st.sampled_from([None, 0, 9, 10, -1, "x"])),
    "Predictions": (mh.Predictions, ODD | tensors([(3, 10)]), LABELS, IMAGES),
    "Predictions[…]": (lambda some, rows: some[rows], PREDICTIONS, WHOLE | LABELS),
    "Predictions.sample": (mh.Predictions.sample, PREDICTIONS, WHOLE),
    "Predictions.mistakes": (mh.Predictions.mistakes, PREDICTIONS),
    "Predictions.accuracy_interval": (mh.Predictions.accuracy_interval, PREDICTIONS, REAL),
    "predict": (mh.predict, NETWORK, DATASETS, WHOLE),
    "calibration_table": (mh.calibration_table, PREDICTIONS, WHOLE | EDGES),
    "expected_calibration_error": (mh.expected_calibration_error, PREDICTIONS, WHOLE),
    "train_run": (
        lambda data, setting: mh.train_run(data, **{"progress": False, "epochs": 1, setting[0]: setting[1]}),
        DATA,
        SETTINGS,
    ),
    "set_seed": (mh.set_seed, WHOLE),
    "check_finite": (mh.check_finite, REAL, st.just("now")),
    "make_optimizer": (lambda model, decay, lr: mh.make_optimizer(model, decay, lr=lr), MODELS, REAL, REAL),
    "mean_interval": (ledger.mean_interval, NUMBERS, REAL, REAL),
    "p_value": (ledger.p_value, NUMBERS, REAL),
    "holm": (ledger.holm, NUMBERS),
    "select": (lambda dropout: ledger.select(ledger.load_ledger(), dropout=dropout), REAL),
    "change_images": (clinic.change_images, IMAGES, *[REAL] * 4),
    "confusion_counts": (clinic.confusion_counts, ODD | tensors([(2, 3)], [torch.int64], [0, 7]), LABELS),
    "draw_strokes": (own_digits.draw_strokes, st.lists(st.lists(st.tuples(FINITE, FINITE), max_size=3)), FINITE),
    "digit_browser": (widgets.digit_browser, DATASETS),
    "descent_explorer": (widgets.descent_explorer, *[ODD | tensors([(3,)], [torch.float32], [0.5])] * 2),
    "prediction_explorer": (widgets.prediction_explorer, PREDICTIONS),
    "dropout_microscope": (widgets.dropout_microscope, MODELS, DATASETS),
    "step_explorer": (widgets.step_explorer, *STEPS),
    "curve_reader": (widgets.curve_reader, HISTORIES, st.lists(ODD, max_size=3) | st.just([torch.zeros(3, 784)])),
    "training_lab": (widgets.training_lab, DATA),
}
MORE = {"load_mnist": FileNotFoundError, "Predictions[…]": IndexError, "train_run": mh.DivergedError}
MORE |= {"check_finite": mh.DivergedError}
ELSEWHERE = {  # of what others cannot be given, or what a loop that the student writes may do
    **dict.fromkeys(["load_or_train", "load_run", "runs_dir", "save_run"], "test_runs.py: damaged and foreign files"),
    **dict.fromkeys(["eval_mode", "same_order", "quick_settings", "pick_device"], "test_training.py"),
    **dict.fromkeys(["train_step", "train_epoch", "evaluate", "fit"], "test_training.py: PyTorch's errors pass"),
}
SLOW = {
    "prediction_explorer": 6,
    "training_lab": 4,
    "step_explorer": 40,
    "load_mnist": 8,
    "digit_browser": 12,
    "plot_digits": 12,
    "plot_predictions": 12,
}
SLOW |= {"descent_explorer": 12, "curve_reader": 12, "dropout_microscope": 12, "select": 6}


def test_no_public_function_is_left_out():
    public = {name for name in mh.__all__ if inspect.isfunction(getattr(mh, name))} | set(widgets.__all__)
    assert public <= set(CALLS) | set(ELSEWHERE) and not set(CALLS) & set(ELSEWHERE)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", CALLS)
def test_a_public_function_works_or_raises_its_documented_error(name):
    (function, *parts), worked, refused = CALLS[name], [], []

    @settings(
        max_examples=SLOW.get(name, 30),
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.tuples(*parts))
    def call(arguments):
        try:
            function(*arguments)
            worked.append(arguments)
        except (ValueError, TypeError, MORE.get(name, ValueError)) as error:
            assert len(str(error)) > 5
            refused.append(error)
        plt.close("all")

    call()
    assert worked, f"nothing works, but {refused[-1]}"
