"""Figures in words: what the plots tell, what is told of a student's own figure, and how it gets into a notebook."""

from types import SimpleNamespace

import IPython
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from IPython.core.formatters import DisplayFormatter
from IPython.core.pylabtools import print_figure
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

import mnist_helpers as mh
from lessons import PATHS, code_cells, read
from mnist_helpers.alt_text import alt_text, publish
from test_plots import DIFFERENCES, SHARES


@pytest.fixture
def history(trained):
    return trained.history


def told(axes):
    return alt_text(np.ravel(axes)[0].figure)


def test_the_curves_are_told_with_their_first_and_last_values(history):
    words = told(mh.plot_history(history))
    for part, name in (("train", "training"), ("valid", "validation")):
        first, *_, last = getattr(history, f"{part}_loss")
        assert f"{name} falls from {first:.3g} at 1 to {last:.3g} at 2" in words
    assert "loss against epoch" in words and "accuracy against epoch" in words and "% at 2" in words


def test_galleries_are_told_with_their_labels_and_the_mistakes_first(predictions):
    ten = predictions[:10]
    wrong = (~ten.correct).sum()
    assert 0 < wrong < 10
    words = told(mh.plot_predictions(ten))
    true, answer = ten.labels[~ten.correct][0], ten.predicted[~ten.correct][0]
    assert f"10 images with their true (T) and predicted (P) label, {wrong} wrong. wrong: T: {true} " in words
    assert words.count(f"T: {true}  P: {answer}") + words.count(f"T: {true} P: {answer}") > 0
    assert told(mh.plot_digits(ten.images, range(10))) == "10 pictures: 0; 1; 2; 3; 4; 5; 6; 7; 8; 9"


def test_the_confusion_matrix_is_told_with_its_most_frequent_mistakes(predictions):
    words = told(mh.plot_confusion_matrix(predictions))
    assert f"1,000 images, {(~predictions.correct).sum()} of them wrong" in words
    counts = torch.zeros(10, 10, dtype=torch.int64)
    for true, answer in zip(predictions.labels, predictions.predicted):
        counts[true, answer] += 1
    counts.fill_diagonal_(0)
    true, answer = divmod(int(counts.argmax()), 10)
    assert f"{true} called {answer}: {counts.max()} times" in words


def test_the_other_plots_are_told_with_their_numbers(predictions):
    assert "10 bars, 0.5 at 0; 0.3 at 1; " in told(mh.plot_probabilities(SHARES, 2))
    assert "true class at 2" in told(mh.plot_probabilities(SHARES, 2))
    table = mh.calibration_table(predictions)
    assert f"{table['accuracy'].iloc[0]:.3g} at {table['confidence'].iloc[0]:.3g}" in told(
        mh.plot_calibration(predictions)
    )
    row = DIFFERENCES.iloc[0]
    assert f"{row['measure']}: {row.setting} {row['mean']:.3g} ± {row.half:.2g}" in told(
        mh.plot_differences(DIFFERENCES)
    )
    words = told(mh.plot_neuron([1.0, 0.5], [0.2, -2.0], -1))
    assert (
        words == "one unit, inputs times weights: 1 · 0.2 + 0.5 · -2 = -0.8; with the bias -1 it is -1.8, after ReLU 0"
    )
    assert "(784 + 1) · 128 = 100,480 parameters" in told(mh.plot_network(mh.MNISTNet()))


def test_a_students_own_figure_is_told_as_well():
    figure, (left, right) = plt.subplots(1, 2)
    left.plot([1, 2, 3], [0.5, 0.9, 0.7], label="mine")
    left.axhline(0.6)
    left.set(title="My\nrun", xlabel="epoch", ylabel="accuracy")
    left.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    right.bar(["a", "b"], [1200, 3])
    assert alt_text(figure) == (
        "My run, accuracy against epoch: mine rises from 50% at 1 to 70% at 3, highest 90% at 2. "
        "2 bars, 1,200 at a; 3 at b"
    )
    assert alt_text(Figure()) == ""
    cloud = plt.subplots()[1]
    cloud.scatter(range(100), range(100, 200), label="dots")
    assert told(cloud) == "dots 100 points between 100 and 199, at 0 to 99"


def test_a_figure_goes_out_with_its_alt_also_when_the_words_cannot_be_found(monkeypatch):
    shell = SimpleNamespace(display_formatter=DisplayFormatter())
    monkeypatch.setattr(IPython, "get_ipython", lambda: shell)
    publish()
    formatter = shell.display_formatter.formatters["image/png"]
    formatter.for_type(Figure, lambda figure: print_figure(figure, base64=True))  # as the inline backend does, later
    figure, ax = plt.subplots()
    ax.plot([1, 2], [3, 4])
    data, metadata = shell.display_formatter.format(figure)
    assert metadata["image/png"] == {"alt": "rises from 3 at 1 to 4 at 2"} and data["image/png"].startswith("iVBOR")
    monkeypatch.setattr("mnist_helpers.alt_text.alt_text", lambda figure: 1 / 0)
    data, metadata = shell.display_formatter.format(figure)
    assert "image/png" not in metadata and data["image/png"].startswith("iVBOR")


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_every_stored_figure_has_a_text_alternative(path):
    outputs = [
        output for cell in code_cells(read(path)) for output in cell.outputs if "image/png" in output.get("data", {})
    ]
    without = [
        output["data"]["text/plain"] for output in outputs if not output.metadata.get("image/png", {}).get("alt")
    ]
    assert outputs and without == []
