"""Draw what a network is made of: one unit with its numbers, and all layers with their sizes and parameters.

What is drawn is read from the numbers or the model given.
"""

from collections.abc import Sequence

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from torch import nn

from mnist_helpers.alt_text import neuron_words, tell
from mnist_helpers.plots import new_axes

NEGATIVE, POSITIVE = "#B2182B", "#2166AC"  # weights: the two ends of the colour map RdBu
SHOWN = 10  # a larger layer is drawn with the first and the last few of its units


def plot_neuron(
    inputs: Sequence[float] | torch.Tensor,
    weights: Sequence[float] | torch.Tensor,
    bias: float,
    *,
    ax: Axes | None = None,
) -> Axes:
    """Draw one unit with all its numbers: each input times its weight, their sum, the bias, ReLU, the output.

    A line is the thicker the larger its weight; blue: above zero, red: below.
    Raises ValueError when there is no input, not one weight for each, or more than can be drawn.
    """
    if not 0 < len(inputs) == len(weights) <= 100:
        got = f"got {len(inputs)} and {len(weights)}"
        raise ValueError(f"one weight is needed for each of at most 100 inputs and at least one input, {got}")
    x, w = [torch.as_tensor(numbers, dtype=torch.float64).tolist() for numbers in (inputs, weights)]
    ax = new_axes(size=(11, 1 + 0.9 * len(x)))[0, 0] if ax is None else ax
    total, middle = sum(a * b for a, b in zip(x, w)), (len(x) - 1) / 2
    largest = max(map(abs, w)) or 1.0
    for row, (value, weight) in enumerate(zip(x, w)):
        ax.plot(
            [0, 4], [row, middle], color=NEGATIVE if weight < 0 else POSITIVE, linewidth=1 + 5 * abs(weight) / largest
        )
        write(ax, 0, row, signed(value), "circle")
        write(ax, 1.8, row + 0.45 * (middle - row), f"× {signed(weight)}")
    ax.plot([4, 10], [middle, middle], color="black", linewidth=1.5, zorder=0)
    write(ax, 4, middle, signed(total), "round")
    write(ax, 6, middle, f"{'−' if bias < 0 else '+'} {signed(abs(bias))}")
    write(ax, 8, middle, f"max(0, {signed(total + bias)})", "round")
    write(ax, 10, middle, signed(max(total + bias, 0)), "circle")
    for place, name in zip((0, 1.8, 4, 6, 8, 10), ("inputs", "weights", "sum", "bias", "ReLU", "output")):
        ax.text(place, -0.85, name, ha="center", va="center", fontweight="bold")
    ax.set(xlim=(-0.8, 10.8), ylim=(len(x) - 0.5, -1.1))
    ax.set_axis_off()
    tell(ax, neuron_words(x, w, bias))
    return ax


def signed(value: float) -> str:
    """The number, short, with a minus sign as long as the plus."""
    return f"{value:.3g}".replace("-", "−")


def write(ax: Axes, x: float, y: float, text: str, boxstyle: str = "") -> None:
    """Text on white, in a box with a frame where a style is given."""
    box = {"boxstyle": f"{boxstyle},pad=0.5", "edgecolor": "black"} if boxstyle else {"pad": 2, "edgecolor": "none"}
    ax.text(x, y, text, ha="center", va="center", bbox={"facecolor": "white", **box})


def layer_columns(model: nn.Module) -> list[tuple[int, list[str]]]:
    """(number of units, names of the layers that act on each of them) of the input and of each linear layer.

    Raises ValueError for a model without linear layers, with one that has no bias, and with parameters outside of them.
    """
    layers = [layer for layer in model.modules() if not list(layer.children())]
    linear = [layer for layer in layers if isinstance(layer, nn.Linear)]
    parameters = sum((layer.in_features + 1) * layer.out_features for layer in linear)
    if not linear or parameters != sum(parameter.numel() for parameter in model.parameters()):
        names = [type(layer).__name__ for layer in layers]
        raise ValueError(f"all parameters must be in linear layers with a bias, got {names}")
    columns: list[tuple[int, list[str]]] = [(linear[0].in_features, [])]
    for layer in layers:
        if isinstance(layer, nn.Linear):
            columns.append((layer.out_features, []))
        else:
            columns[-1][1].append(type(layer).__name__ + (f" {layer.p}" if isinstance(layer, nn.Dropout) else ""))
    return columns


def plot_network(model: nn.Module, *, ax: Axes | None = None) -> Axes:
    """Draw the units of a network as circles and its weights as lines, with the shapes and the numbers of parameters.

    `model`: flat layers (`nn.Linear`) in the order in which images pass them, with layers without parameters between.
    """
    columns = layer_columns(model)
    ax = new_axes(size=(11, 4.6))[0, 0] if ax is None else ax
    heights = [unit_heights(units) for units, _ in columns]
    for place, ((inputs, _), (outputs, _)) in enumerate(zip(columns, columns[1:])):
        lines = [[(place, low), (place + 1, high)] for low in heights[place] for high in heights[place + 1]]
        ax.add_collection(LineCollection(lines, colors="gray", linewidths=0.6, alpha=0.5, zorder=0))
        count = f"({inputs} + 1) · {outputs}\n= {(inputs + 1) * outputs:,}\nparameters"
        ax.text(place + 0.5, 1.12, "Linear", ha="center", fontweight="bold")
        ax.text(place + 0.5, -0.08, count, ha="center", va="top")
    for place, (units, names) in enumerate(columns):
        ax.scatter([place] * len(heights[place]), heights[place], s=190, color="white", edgecolor="black")
        if units > SHOWN:
            ax.text(place, 0.5, "⋮", ha="center", va="center", fontsize=22)
        ax.text(place, 1.12, f"(batch, {units})", ha="center")
        ax.text(place, -0.08, "\n".join(names), ha="center", va="top", fontweight="bold")
    ax.set(xlim=(-0.3, len(columns) - 0.7), ylim=(-0.42, 1.22))
    ax.set_axis_off()
    return ax


def unit_heights(units: int) -> np.ndarray:
    """Where the circles of a layer stand, from 0 to 1: all of a small layer, of a larger one some below and above."""
    if units <= SHOWN:
        return np.linspace(0, 1, units) if units > 1 else np.array([0.5])
    places = np.linspace(0, 1, SHOWN + 1)
    return np.concatenate([places[: SHOWN // 2 - 1], places[-(SHOWN // 2 - 1) :]])
