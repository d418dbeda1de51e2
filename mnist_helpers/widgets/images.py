"""Sliders over images: their pixels as numbers, and what a network answers or refuses to answer."""

from functools import partial

import ipywidgets as widgets
import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import PercentFormatter
from torch.utils.data import TensorDataset

from mnist_helpers.checks import check_examples
from mnist_helpers.plots import COLORS, plot_predictions
from mnist_helpers.predictions import Predictions
from mnist_helpers.widgets.panel import NARROW, WIDE, Panel, classes_of

THRESHOLDS = [0.0] + [round(1 - tenth / 10**place, place) for place in range(1, 6) for tenth in range(9, 0, -1)]


def digit_browser(dataset: TensorDataset) -> Panel:
    """Look at images one by one and at their pixels as numbers, 0 (paper) to 255 (ink).

    `dataset`: images (n, 1, 28, 28) in [0, 1] and labels (n,). Controls: `digit` (a class, or "all"), `position`
    among its images, `row` and `column` of the pixel in the middle of the numbers. Raises ValueError without images.
    """
    labels = dataset.tensors[1]
    check_examples(dataset.tensors[0], labels)
    groups: dict[int | str, torch.Tensor] = {"all": torch.arange(len(labels))}
    groups |= {digit: (labels == digit).nonzero()[:, 0] for digit in classes_of(labels)}
    digit = widgets.Dropdown(options=[(str(each), each) for each in groups], description="digit", **NARROW)
    position = widgets.IntSlider(0, 0, len(labels) - 1, description="position", **WIDE)
    row = widgets.IntSlider(14, 0, 27, description="row", **WIDE)
    column = widgets.IntSlider(14, 0, 27, description="column", **WIDE)
    digit.observe(lambda change: setattr(position, "max", len(groups[change.new]) - 1), "value")
    controls = {"digit": digit, "position": position, "row": row, "column": column}
    return Panel(controls, partial(draw_pixels, dataset=dataset, groups=groups), (11, 4))


def draw_pixels(
    figure: Figure, dataset: TensorDataset, groups: dict, digit: int | str, position: int, row: int, column: int
) -> str:
    """The image with a red square, the 7 × 7 numbers in the square, and the pixels of the row as a curve."""
    (images, labels), group = dataset.tensors, groups[digit]
    index = group[min(position, len(group) - 1)]
    pixels = (images[index, 0] * 255).round().int().numpy()
    top, left = [min(max(middle - 3, 0), 21) for middle in (row, column)]
    whole, patch, profile = figure.subplots(1, 3, width_ratios=[1, 1.25, 1.1])
    for ax, part, corner in ((whole, pixels, (0, 0)), (patch, pixels[top : top + 7, left : left + 7], (left, top))):
        extent = (corner[0] - 0.5, corner[0] + part.shape[1] - 0.5, corner[1] + part.shape[0] - 0.5, corner[1] - 0.5)
        ax.imshow(part, cmap="gray_r", vmin=0, vmax=255, extent=extent)
        ax.grid(False)
        ax.add_patch(Rectangle((left - 0.5, top - 0.5), 7, 7, fill=False, color="red", linewidth=3))
    write_numbers(patch, pixels, top, left, (row, column))
    profile.step(range(28), pixels[row], where="mid", color="black")
    profile.plot(column, pixels[row, column], "o", color="red", markersize=9)
    whole.set(xticks=[0, 14, 27], yticks=[0, 14, 27], title=f"label {labels[index]}, image {index:,}")
    patch.set(xticks=[left, left + 3, left + 6], yticks=[top, top + 3, top + 6], title="numbers in the square")
    for ax in (whole, patch):
        ax.set(xlabel="column", ylabel="row")
    profile.set(ylim=(-10, 265), xticks=[0, 14, 27], yticks=[0, 255], title=f"the whole row {row}")
    profile.set(xlabel="column", ylabel="ink, 0 to 255")
    numbers = " ".join(str(value) for value in pixels[row].tolist())
    return (
        f"Image {index:,} of the dataset, label {labels[index]}. Pixel in row {row}, column {column}: "
        f"{pixels[row, column]}. The whole row: {numbers}"
    )


def write_numbers(ax: Axes, pixels: np.ndarray, top: int, left: int, chosen: tuple[int, int]) -> None:
    """The numbers of the 7 × 7 pixels from (top, left) on, that of the chosen (row, column) in bold."""
    for y in range(top, top + 7):
        for x in range(left, left + 7):
            color = "white" if pixels[y, x] > 137 else "black"  # which has more contrast
            weight = "bold" if (y, x) == chosen else "normal"
            ax.text(x, y, str(pixels[y, x]), ha="center", va="center", fontsize=13, color=color, fontweight=weight)


def prediction_explorer(predictions: Predictions) -> Panel:
    """Let the network answer only above a threshold of confidence, and look at the ten images nearest to it.

    Controls: `threshold` (one of `THRESHOLDS`), `true` and `predicted` (a class, or "any"), `kind` ("wrong" or "right"
    answers, or the "refused"). Raises ValueError without predictions.
    """
    if len(predictions) == 0:
        raise ValueError("there are no predictions to explore, at least one image is needed")
    classes = [(str(each), each) for each in ("any", *range(10))]
    controls = {
        "threshold": widgets.SelectionSlider(
            options=[(f"{each:g}", each) for each in THRESHOLDS], value=0.5, description="threshold", **WIDE
        ),
        "true": widgets.Dropdown(options=classes, description="true digit", **NARROW),
        "predicted": widgets.Dropdown(options=classes, description="predicted digit", **NARROW),
        "kind": widgets.ToggleButtons(options=["wrong", "right", "refused"], style={"button_width": "100px"}),
    }
    answered = torch.stack([predictions.confidence >= threshold for threshold in THRESHOLDS])
    wrong = answered & ~predictions.correct
    shares = {"answered": answered.float().mean(dim=1), "wrong": wrong.sum(dim=1) / answered.sum(dim=1)}
    table = pd.DataFrame({"threshold": THRESHOLDS, **shares})
    return Panel(controls, partial(draw_answers, predictions=predictions, table=table), (10.5, 4.6))


def draw_answers(
    figure: Figure,
    predictions: Predictions,
    table: pd.DataFrame,
    threshold: float,
    true: int | str,
    predicted: int | str,
    kind: str,
) -> str:
    """Share answered and share wrong against the threshold, and up to 10 images of the chosen kind."""
    axes = figure.subplot_mosaic([["answered", *"01234"], ["wrong", *"56789"]], width_ratios=[3] + 5 * [1.2])
    draw_shares(axes, table, threshold)
    answered = predictions.confidence >= threshold
    kinds = {"wrong": answered & ~predictions.correct, "right": answered & predictions.correct, "refused": ~answered}
    chosen = kinds[kind].clone()
    for wanted, given in ((true, predictions.labels), (predicted, predictions.predicted)):
        chosen &= (given == wanted) | (wanted == "any")
    found = predictions[chosen]
    found = found[(found.confidence - threshold).abs().argsort()[:10]]
    draw_gallery(np.array([axes[str(place)] for place in range(10)]), found)
    number, wrong = int(answered.sum()), int(kinds["wrong"].sum())
    share = f" ({wrong / number:.2%} of the answers)" if number else ""
    return (
        f"Threshold {threshold:g}: {number:,} of {len(predictions):,} images answered "
        f"({number / len(predictions):.1%}), {wrong:,} of them wrong{share}. True digit {true}, predicted "
        f"{predicted}, {kind}: {int(chosen.sum()):,} images, {len(found)} shown, the nearest to the "
        f"threshold first."
    )


def draw_shares(axes: dict[str, Axes], table: pd.DataFrame, threshold: float) -> None:
    """The shares answered and wrong against the threshold, with a line at the chosen one.

    From left to right 1 − threshold falls by the same factor everywhere; the share of wrong answers is logarithmic.
    """
    scale = (lambda each: -np.log10(np.maximum(1 - each, 1e-9)), lambda step: 1 - 10.0**-step)
    for column, title in (("answered", "answered"), ("wrong", "wrong, of the answered")):
        ax = axes[column]
        ax.plot(table["threshold"], table[column], color=COLORS["test"])
        ax.axvline(threshold, color="black", linewidth=1.5)
        ax.set(title=title, xlim=(THRESHOLDS[0], THRESHOLDS[-1]))
        ax.set_xscale("function", functions=scale)
        ax.set_xticks([0, 0.9, 0.99, 0.999, 0.9999], ["0", "0.9", "0.99", "0.999", "0.9999"], fontsize=13)
    axes["answered"].set(ylim=(0, 1.02))
    axes["answered"].yaxis.set_major_formatter(PercentFormatter(1))
    axes["wrong"].set(xlabel="threshold", yscale="log", ylim=(1e-4, 1.5 * table["wrong"].clip(lower=0.03).max()))
    axes["wrong"].yaxis.set_major_formatter(lambda share, _: f"{100 * share:g}%")


def draw_gallery(axes: np.ndarray, predictions: Predictions) -> None:
    """One prediction on each of the axes, as far as there are any."""
    if len(predictions):
        plot_predictions(predictions, axes=axes)
    for place, ax in enumerate(axes):
        ax.title.set_fontsize(13)
        ax.set_visible(place < len(predictions))
    if not len(predictions):
        axes[0].figure.text(0.7, 0.5, "no such image", ha="center", va="center", fontsize=18)
