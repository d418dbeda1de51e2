"""Draw results. Each function takes axes or makes them, draws on them and returns them; none shows or saves.

The lessons look as they do by `plt.style.use("mnist_helpers.lesson")`, a style file beside this module.
"""

import textwrap
from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.ticker import LogLocator, MaxNLocator, PercentFormatter

from mnist_helpers.alt_text import confusion_words, difference_words, gallery_words, tell
from mnist_helpers.checks import check_whole
from mnist_helpers.predictions import Predictions, calibration_table
from mnist_helpers.training import History, Metrics

COLORS = {"train": "#0072B2", "valid": "#D55E00", "test": "#009E73"}  # the same in every figure
LABELS = {"train": "training", "valid": "validation"}
WRONG = "#882255"  # none of the above


def new_axes(rows: int = 1, columns: int = 1, size: tuple[float, float] = (9, 4)) -> np.ndarray:
    """A (rows, columns) array of fresh axes."""
    return plt.subplots(rows, columns, figsize=size, squeeze=False, layout="constrained")[1]


def plot_digits(
    images: torch.Tensor, titles: Sequence | None = None, *, columns: int = 10, axes: np.ndarray | None = None
) -> np.ndarray:
    """Draw each image in a grid, with a title above it.

    `images`: (n, 1, 28, 28) or (n, 28, 28), from 0 (white) to 1 (black). `titles`: n texts or numbers.
    Returns the axes, (rows, columns). Raises ValueError when there is no image or not one title for each.
    """
    columns = min(check_whole("columns", columns), len(images) or 1)
    titles = [""] * len(images) if titles is None else list(titles)
    if not 0 < len(images) == len(titles) <= 1000:
        got = f"{len(images)} images and {len(titles)} titles"
        raise ValueError(f"one title is needed for each image and at least one image, at most 1000: got {got}")
    if axes is None:
        rows = -(-len(images) // columns)
        height = 1.5 if any(title != "" for title in titles) else 1.15
        axes = new_axes(rows, columns, (1.15 * columns, height * rows))
    if axes.size < len(images):
        raise ValueError(f"{len(images)} images need as many axes, got {axes.size}")
    pictures = torch.as_tensor(images).detach().cpu().numpy().reshape(len(images), *images.shape[-2:])
    for ax, picture, title in zip(axes.flat, pictures, titles):
        ax.imshow(picture, cmap="gray_r", vmin=0, vmax=1)
        ax.set_title(str(int(title) if isinstance(title, torch.Tensor) else title))
    for ax in axes.flat:
        ax.set_axis_off()
    return axes


def plot_history(
    history: History, *, start: Metrics | None = None, running: bool = False, axes: np.ndarray | None = None
) -> np.ndarray:
    """Draw loss (left) and accuracy (right) over the epochs for training and validation data, dropout off.

    `start`, the metrics of the untrained network, is drawn as epoch 0 of both curves; the loss axis is then logarithmic
    and the accuracy axis whole. With `running` also the values over the training steps, dropout on, as dashed lines.
    Returns the two axes.
    """
    axes = new_axes(1, 2, (11, 4))[0] if axes is None else axes
    for ax, quantity in zip(axes, ["loss", "accuracy"]):
        before = [] if start is None else [getattr(start, quantity)]
        for part, marker in {"train": "o", "valid": "s"}.items():
            look: dict[str, Any] = {"color": COLORS[part], "marker": marker, "markersize": 5, "label": LABELS[part]}
            values = before + getattr(history, f"{part}_{quantity}")
            ax.plot(range(1 - len(before), len(history) + 1), values, **look)
        if running:
            values = getattr(history, f"running_{quantity}")
            ax.plot(history.epoch_numbers, values, "--", color=COLORS["train"], label="training, dropout on")
        ax.set(xlabel="epoch", ylabel=quantity)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.legend()
    axes[1].yaxis.set_major_formatter(PercentFormatter(1))
    if start is not None:
        axes[0].set(yscale="log")
        axes[0].yaxis.set(major_locator=LogLocator(subs=(1, 2, 5)), major_formatter="{x:g}", minor_formatter="")
        axes[1].set(ylim=(0, 1.02))
    return axes


def plot_predictions(
    predictions: Predictions, *, confidence: bool = False, columns: int = 5, axes: np.ndarray | None = None
) -> np.ndarray:
    """Draw each image with "T: 7  P: 7" above it: the true and the predicted label.

    With `confidence` that too, cut to one decimal place: "T: 7  P: 7 (99.9 %)". A wrong prediction stands in bold and
    another colour, with a cross and a frame. Returns the axes.
    """
    if len(predictions) == 0:
        raise ValueError("there are no predictions to draw, at least one image is needed")
    columns = check_whole("columns", columns, 1, 50, "as of more nothing could be seen")
    titles = [f"T: {true}  P: {predicted}" for true, predicted in zip(predictions.labels, predictions.predicted)]
    if confidence:
        titles = [f"{title} ({int(1000 * share) / 10:.1f} %)" for title, share in zip(titles, predictions.confidence)]
    if axes is None:
        rows = -(-len(predictions) // columns)
        axes = new_axes(rows, columns, ((2.1 if confidence else 1.6) * columns, 1.8 * rows))
    plot_digits(predictions.images, titles, axes=axes)
    for ax, title, correct in zip(axes.flat, titles, predictions.correct):
        if not correct:
            ax.set_title(f"✗ {title}", color=WRONG, fontweight="bold", fontsize=13)
            ax.set_axis_on()
            ax.set(xticks=[], yticks=[])
            ax.spines[:].set(visible=True, color=WRONG, linewidth=3)
    tell(axes.flat[: len(titles)], gallery_words(titles, predictions.correct.tolist()))
    return axes


def plot_probabilities(probabilities: torch.Tensor, true_label: int | None = None, *, ax: Axes | None = None) -> Axes:
    """Draw the ten class probabilities of one image as bars; an arrow points at the true class, where given.

    Raises ValueError when there are not ten numbers, or no such class.
    """
    if tuple(probabilities.shape) != (10,):
        raise ValueError(f"ten probabilities are needed, got shape {tuple(probabilities.shape)}")
    ax = new_axes()[0, 0] if ax is None else ax
    ax.bar(range(10), probabilities.tolist(), color="#56B4E9", edgecolor="black")
    if true_label is not None:
        true_label = check_whole("true_label", int(true_label), 0, 9)
        tip, arrow = (true_label, float(probabilities[true_label])), {"arrowstyle": "->", "linewidth": 2}
        ax.annotate("true class", tip, (0, 35), textcoords="offset points", ha="center", arrowprops=arrow)
    ax.set(xticks=range(10), ylim=(0, 1.25), yticks=np.linspace(0, 1, 6), xlabel="class", ylabel="probability")
    ax.grid(axis="x", visible=False)
    return ax


def plot_confusion_matrix(predictions: Predictions, *, ax: Axes | None = None) -> Axes:
    """Draw how often each true digit (row) was called each digit (column); colours grow fast, to show rare errors."""
    from sklearn.metrics import ConfusionMatrixDisplay  # takes long to import

    ax = new_axes(size=(7.6, 6.1))[0, 0] if ax is None else ax
    ax.grid(False)
    look = {"cmap": "Blues", "colorbar": False, "im_kw": {"norm": PowerNorm(0.35)}, "text_kw": {"fontsize": 13.5}}
    ConfusionMatrixDisplay.from_predictions(predictions.labels, predictions.predicted, labels=range(10), ax=ax, **look)
    ax.set(xlabel="predicted label", ylabel="true label")
    return tell(ax, confusion_words(predictions.labels.tolist(), predictions.predicted.tolist()))


def plot_calibration(predictions: Predictions, *, bins: int | list[float] = 10, ax: Axes | None = None) -> Axes:
    """Draw accuracy against confidence in the groups of `calibration_table`: 95 % intervals, the line of agreement."""
    ax = new_axes(size=(7, 5))[0, 0] if ax is None else ax
    table = calibration_table(predictions, bins)
    errors = [(table["accuracy"] - table["low"]).clip(lower=0), (table["high"] - table["accuracy"]).clip(lower=0)]
    ax.plot([1e-6, 1 - 1e-6], [1e-6, 1 - 1e-6], ":", color="gray", label="confidence = accuracy")
    look: dict[str, Any] = {"fmt": "o", "capsize": 4, "color": COLORS["test"], "label": "predictions, 95 % interval"}
    ax.errorbar(table["confidence"], table["accuracy"], yerr=errors, **look)
    below: dict[str, Any] = {"xytext": (0, -16), "textcoords": "offset points", "ha": "center", "fontsize": 13}
    for row in table.itertuples():
        ax.annotate(f"{row.images:,}", (row.confidence, row.low), **below)
    ax.set(xlim=(0, 1.02), ylim=(-0.1, 1.05), xlabel="confidence (mean of the group)", ylabel="accuracy")
    ax.legend(loc="upper left")
    return ax


def plot_differences(table: pd.DataFrame, *, axes: np.ndarray | None = None) -> np.ndarray:
    """Draw mean differences with their intervals, one picture for each measure, one line for each setting.

    `table`: columns `measure`, `setting`, `mean` and `half` (half the width of the interval). A full marker means that
    the interval leaves out zero, a hollow one that it does not. Returns the axes, one for each measure.
    """
    measures, settings = list(table["measure"].unique()), list(table["setting"].unique())
    axes = new_axes(1, len(measures), (11, 1.2 + 0.6 * len(settings)))[0] if axes is None else axes
    for ax, measure in zip(axes, measures):
        for row in table[table["measure"] == measure].itertuples():
            look = {"fmt": "o", "markersize": 10, "capsize": 6, "color": "black", "elinewidth": 2.5}
            face = "black" if abs(row.mean) > row.half else "white"
            ax.errorbar(row.mean, settings.index(row.setting), xerr=row.half, markerfacecolor=face, **look)
        ax.axvline(0, color="gray", linestyle=":")
        ax.set(yticks=range(len(settings)), yticklabels=[], ylim=(len(settings) - 0.5, -0.5))
        ax.set_title("\n".join(textwrap.wrap(measure, 19)))  # four titles in a row would overlap
        ax.locator_params(axis="x", nbins=3)
        ax.grid(axis="y", visible=False)
        tell(ax, difference_words(measure, table[table["measure"] == measure]))
    axes[0].set_yticklabels(settings)
    return axes
