"""Sliders over a network: dropout at work in its hidden units, its answers step by step, its weights epoch by epoch."""

import copy
from collections.abc import Sequence
from functools import partial
from typing import Any

import ipywidgets as widgets
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import PercentFormatter
from torch import nn
from torch.utils.data import TensorDataset

from mnist_helpers.checks import check_examples
from mnist_helpers.model import MNISTNet
from mnist_helpers.plots import COLORS, WRONG, plot_history, plot_probabilities
from mnist_helpers.training import History
from mnist_helpers.widgets.panel import WIDE, Panel, classes_of


def dropout_microscope(model: MNISTNet, dataset: TensorDataset) -> Panel:
    """Watch dropout in the two hidden layers of a trained network, and what it does to the answer.

    Takes a copy of the model as it is now, and from `dataset` the first image of each class. Controls: `digit`, `rate`
    (0 to 0.95), `mode` ("train" or "eval"), `draw` (a number; the button adds 1). Raises ValueError without images,
    TypeError for another network.
    """
    images, labels = dataset.tensors
    check_examples(images, labels)
    if not isinstance(model, MNISTNet):
        raise TypeError(f"the microscope looks into an MNISTNet, got a {type(model).__name__}")
    examples = {digit: images[labels == digit][:1].cpu() for digit in classes_of(labels)}
    digit = widgets.SelectionSlider(options=list(examples), description="digit", **WIDE)
    rate = widgets.FloatSlider(0.2, min=0, max=0.95, step=0.05, description="dropout rate", **WIDE)
    mode = widgets.ToggleButtons(options=[("train()", "train"), ("eval()", "eval")], style={"button_width": "80px"})
    draw = widgets.BoundedIntText(0, 0, 10**6)
    again = widgets.Button(description="Draw again", tooltip="Let dropout choose other units")
    again.on_click(lambda _: setattr(draw, "value", draw.value + 1))
    controls = {"digit": digit, "rate": rate, "mode": mode, "draw": draw}
    frozen = copy.deepcopy(model).cpu().eval()
    return Panel(
        controls, partial(draw_dropout, model=frozen, examples=examples), (10.5, 4.2), shown=[digit, rate, mode, again]
    )


def dropout_draws(
    model: MNISTNet, image: torch.Tensor, rate: float, training: bool, seed: int, draws: int = 200
) -> tuple[list[tuple[torch.Tensor, torch.Tensor]], torch.Tensor]:
    """Send one image (1, 1, 28, 28) through the network `draws` times, each time with units dropped anew.

    Returns, for the first time and each hidden layer, the values after dropout and which units were dropped (both
    (units,)); and the probabilities of all times (draws, 10). PyTorch's random numbers outside are not touched.
    """
    layers, hidden = [], image.expand(draws, -1, -1, -1)
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for layer in model.layers:
            if isinstance(layer, nn.Dropout):
                factors = nn.Dropout(rate).train(training)(torch.ones_like(hidden))  # 0, or 1/(1−rate)
                hidden = hidden * factors
                layers.append((hidden[0], factors[0] == 0))
            else:
                hidden = layer(hidden)
    return layers, hidden.softmax(dim=1)


def draw_dropout(figure: Figure, model: MNISTNet, examples: dict, digit: int, rate: float, mode: str, draw: int) -> str:
    """The image, the units of both hidden layers, and the ten probabilities with their spread."""
    layers, probabilities = dropout_draws(model, examples[digit], rate, mode == "train", seed=draw)
    undropped, _ = dropout_draws(model, examples[digit], 0.0, False, seed=0, draws=1)
    places: list = [["image", "0", "bars"], [".", "1", "bars"]]
    axes = figure.subplot_mosaic(places, width_ratios=[0.6, 1.3, 1.5], height_ratios=[8, 4])
    axes["image"].imshow(examples[digit][0, 0].numpy(), cmap="gray_r")
    axes["image"].set_axis_off()
    for number, (values, dropped) in enumerate(layers):
        draw_units(axes[str(number)], values, dropped, 2 * undropped[number][0].max())
    plot_probabilities(probabilities[0], ax=axes["bars"])
    low, high = np.quantile(probabilities.numpy(), [0.05, 0.95], axis=0)
    axes["bars"].vlines(range(10), low, high, color="black", linewidth=3)
    answers = probabilities.argmax(dim=1)
    axes["bars"].set(ylim=(0, 1.02), ylabel="", xlabel="class, with its probability in this draw")
    axes["bars"].set_title(f"this draw: {answers[0]}, of 200 draws {(answers == digit).sum()} right")
    first, second = [int(dropped.sum()) for _, dropped in layers]
    scaled = f"the others × {1 / (1 - rate):.2f}" if mode == "train" else "nothing is changed"
    return (
        f"Digit {digit}, dropout rate {rate:.2f}, {mode}(): {first} of 128 and {second} of 64 hidden units "
        f"dropped, {scaled}. This draw answers {answers[0]} with probability {probabilities[0].max():.2f}. Of 200 "
        f"draws {(answers == digit).sum()} answer {digit}; its probability is {low[digit]:.2f} to "
        f"{high[digit]:.2f} in the middle 90 % of them."
    )


def draw_units(ax: Axes, values: torch.Tensor, dropped: torch.Tensor, darkest: torch.Tensor) -> None:
    """Units as gray squares in rows of 16, the dropped ones with a cross."""
    ax.imshow(values.reshape(-1, 16).numpy(), cmap="gray_r", vmin=0, vmax=float(darkest))
    rows, columns = dropped.reshape(-1, 16).numpy().nonzero()
    ax.scatter(columns, rows, marker="x", s=60, color=WRONG, linewidths=2.5)
    ax.set(xticks=[], yticks=[], title=f"{len(values)} units, {int(dropped.sum())} dropped")
    ax.spines[:].set_visible(True)
    ax.grid(False)


def step_explorer(images: torch.Tensor, labels: torch.Tensor, logits: torch.Tensor) -> Panel:
    """Follow one batch through its training: the answers after each step, right or wrong, and the loss.

    `images` (n, 1, 28, 28), `labels` (n,), `logits` (steps + 1, n, classes): what the network says of these images
    before the first step and after each. Control: `step`. Raises ValueError when their numbers differ or there is none.
    """
    if len(images) == 0 or logits.ndim != 3 or not len(images) == len(labels) == logits.shape[1]:
        raise ValueError(
            f"at least one image is needed, and for each a label and logits after each step: got {len(images)} images, "
            f"{len(labels)} labels and logits of shape {tuple(logits.shape)}"
        )
    check_examples(images, labels)
    if not logits.is_floating_point() or labels.max() >= logits.shape[2]:
        raise ValueError(f"logits must be floats for each label, got {logits.dtype} for {logits.shape[2]} classes")
    images, labels, logits = images.detach().cpu().clone(), labels.cpu().clone(), logits.detach().cpu().clone()
    curves = {
        "loss": torch.stack([nn.functional.cross_entropy(each, labels) for each in logits]),
        "accuracy": (logits.argmax(dim=2) == labels).float().mean(dim=1),
    }
    step = widgets.IntSlider(0, 0, len(logits) - 1, description="step", **WIDE)
    draw = partial(draw_step, images=images, labels=labels, answers=logits.argmax(dim=2), curves=curves)
    return Panel({"step": step}, draw, (10.5, 4.6))


def draw_step(
    figure: Figure,
    images: torch.Tensor,
    labels: torch.Tensor,
    answers: torch.Tensor,
    curves: dict[str, torch.Tensor],
    step: int,
) -> str:
    """Loss and accuracy on the batch with a line at the step, and the images with the answers of that step."""
    axes = figure.subplot_mosaic([["loss", "images"], ["accuracy", "images"]], width_ratios=[1, 1.9])
    for name, values in curves.items():
        axes[name].plot(values.numpy(), color=COLORS["train"])
        axes[name].axvline(step, color="black", linewidth=1.5)
        axes[name].set(ylabel=name, ylim=(0, 1.05 * float(values.max())))
    axes["accuracy"].set(xlabel="step", ylim=(0, 1.05))
    axes["accuracy"].yaxis.set_major_formatter(PercentFormatter(1))
    correct = answers[step] == labels
    draw_answered(axes["images"], images, answers[step], correct)
    right, loss = int(correct.sum()), curves["loss"][step]
    axes["images"].set_title(f"step {step}: {right} of {len(labels)} right")
    return f"Step {step} of {len(answers) - 1}: loss {loss:.4f}, {right} of {len(labels)} answers right."


def draw_answered(ax: Axes, images: torch.Tensor, answers: torch.Tensor, correct: torch.Tensor) -> None:
    """Images in rows of eight, above each the network's answer; the wrong ones with a cross and a frame."""
    width, height = 32, 43  # of a place, in pixels: above an image of 28 × 28 the answer
    paper = torch.zeros(height * -(-len(images) // 8), width * min(8, len(images)))
    for place, (image, answer, is_correct) in enumerate(zip(images[:, 0], answers.tolist(), correct.tolist())):
        left, top = width * (place % 8) + 2, height * (place // 8) + 13
        paper[top : top + 28, left : left + 28] = image
        look: dict[str, Any] = {"color": "black"} if is_correct else {"color": WRONG, "fontweight": "bold"}
        text = str(answer) if is_correct else f"✗ {answer}"
        ax.text(left + 14, top - 2, text, ha="center", va="bottom", fontsize=13, **look)
        edge: dict[str, Any] = {"edgecolor": "lightgray"} if is_correct else {"edgecolor": WRONG, "linewidth": 3}
        ax.add_patch(Rectangle((left - 0.5, top - 0.5), 28, 28, fill=False, **edge))
    ax.imshow(paper.numpy(), vmin=0, vmax=1, cmap="gray_r")
    ax.set_axis_off()


def curve_reader(history: History, weights: Sequence[torch.Tensor], marked: torch.Tensor | None = None) -> Panel:
    """Step through the epochs of a run: the curves, and the first layer's weights after that epoch as images.

    `weights`: one tensor (units, 784) for each epoch of `history`. `marked`: (units,) booleans, which units get a
    frame. Control: `epoch`, by slider or by the play button. Raises ValueError when the numbers of epochs or units
    differ or there is no epoch.
    """
    if len(history) == 0 or len(weights) != len(history):
        raise ValueError(
            f"one tensor of weights is needed for each epoch and at least one epoch, got {len(weights)} "
            f"tensors and {len(history)} epochs"
        )
    shapes = {tuple(each.shape) for each in weights}
    if len(shapes) > 1 or any(len(shape) != 2 or shape[0] == 0 or shape[1] != 784 for shape in shapes):
        raise ValueError(f"the weights of all epochs must have one shape (units, 784), got {sorted(shapes)}")
    stacked = torch.stack([each.detach().cpu().float() for each in weights])
    marked = torch.zeros(stacked.shape[1], dtype=torch.bool) if marked is None else marked.cpu()
    if len(marked) != stacked.shape[1]:
        raise ValueError(f"one mark is needed for each of {stacked.shape[1]} units, got {len(marked)}")
    epoch = widgets.IntSlider(1, 1, len(history), description="epoch", **WIDE)
    play = widgets.Play(min=1, max=len(history), interval=500, show_repeat=False)
    draw = partial(draw_epoch, history=history, weights=stacked, marked=marked)
    panel = Panel({"epoch": epoch}, draw, (10.5, 4.4), shown=[play, epoch])
    widgets.jslink((play, "value"), (epoch, "value"))
    return panel


def draw_epoch(figure: Figure, history: History, weights: torch.Tensor, marked: torch.Tensor, epoch: int) -> str:
    """Loss and accuracy with a line at the epoch, and the weights of the first 24 units."""
    axes = figure.subplot_mosaic([["loss", "units"], ["accuracy", "units"]], width_ratios=[1, 1.5])
    plot_history(history, axes=np.array([axes["loss"], axes["accuracy"]]))
    for name in ("loss", "accuracy"):
        axes[name].axvline(epoch, color="black", linewidth=1.5)
    axes["loss"].set(title=f"epoch {epoch}", xlabel="")
    axes["loss"].legend(loc="upper right")
    axes["accuracy"].legend().remove()
    largest = float(weights[:, :24].abs().quantile(0.999))
    draw_weights(axes["units"], weights[epoch - 1, :24], marked, largest)
    row = history.to_frame().loc[epoch]
    return (
        f"Epoch {epoch} of {len(history)}: training loss {row.train_loss:.3f}, validation loss "
        f"{row.valid_loss:.3f} (lowest in epoch {history.best_epoch}), validation accuracy "
        f"{row.valid_accuracy:.2%}. Mean size of the first layer's weights: {weights[epoch - 1].abs().mean():.4f}."
    )


def draw_weights(ax: Axes, weights: torch.Tensor, marked: torch.Tensor, largest: float) -> None:
    """The weights (units, 784) as images in rows of 6, a frame around the marked ones; a colour bar to ±`largest`."""
    images = nn.functional.pad(weights.reshape(-1, 28, 28), (1, 1, 1, 1), value=float("nan"))
    rows = [torch.cat(list(row), dim=1) for row in images.split(6)]
    rows[-1] = nn.functional.pad(rows[-1], (0, rows[0].shape[1] - rows[-1].shape[1]), value=float("nan"))
    look: dict[str, Any] = {"cmap": "RdBu", "vmin": -largest, "vmax": largest, "interpolation": "nearest"}
    picture = ax.imshow(torch.cat(rows).numpy(), **look)
    for unit in marked[: len(images)].nonzero()[:, 0].tolist():
        corner = (30 * (unit % 6) + 0.5, 30 * (unit // 6) + 0.5)
        ax.add_patch(Rectangle(corner, 28, 28, fill=False, color="black", linewidth=2.5))
    ax.set_title(f"weights of {len(images)} units")
    ax.set_axis_off()
    ax.figure.colorbar(picture, ax=ax, shrink=0.8, pad=0.02)
