"""Sliders over gradient descent: the steps of one weight on its loss curve."""

import dataclasses
from collections.abc import Callable
from functools import partial

import ipywidgets as widgets
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch

from mnist_helpers.plots import COLORS
from mnist_helpers.widgets.panel import WIDE, Panel


def descend(gradient: Callable[[float], float], w: float, lr: float, steps: int) -> list[float]:
    """Gradient descent with one weight: where it stands at the start and after each step, `steps + 1` numbers."""
    path = [w]
    for _ in range(steps):
        w = w - lr * gradient(w)
        path.append(w)
    return path


def descent_explorer(inputs: torch.Tensor, targets: torch.Tensor) -> Panel:
    """Watch the weight of targets ≈ w · inputs take its steps on the curve of the mean squared error.

    `inputs` and `targets`: (examples,), of a size near 0.5, for which the sliders are made. Controls: `lr` (learning
    rate), `steps`, `start`. Raises ValueError without examples, and for numbers
    that make no such curve.
    """
    if len(inputs) == 0 or inputs.ndim != 1 or inputs.shape != targets.shape:
        raise ValueError(
            f"one target is needed for each input and at least one input, got {len(inputs)} inputs "
            f"and {len(targets)} targets"
        )
    if not torch.cat([inputs.double(), targets.double()]).abs().max() <= 1000 or not inputs.any():
        raise ValueError("inputs and targets must be from -1000 to 1000 and some input not 0")
    controls = {
        "lr": widgets.FloatSlider(0.4, min=0.1, max=4.5, step=0.1, description="learning rate", **WIDE),
        "steps": widgets.IntSlider(8, 0, 30, description="steps", **WIDE),
        "start": widgets.FloatSlider(-0.5, min=-1, max=3, step=0.1, description="start", **WIDE),
    }
    return Panel(controls, partial(draw_descent, parabola=parabola_of(inputs, targets)), (10.5, 4.2))


@dataclasses.dataclass(frozen=True)
class Parabola:
    """A loss curve with one minimum: the loss `lowest` at w = `best`, and everywhere the same `curvature`."""

    curvature: float
    best: float
    lowest: float

    def loss(self, w: np.ndarray) -> np.ndarray:
        """The loss at each w."""
        return self.lowest + self.curvature / 2 * (w - self.best) ** 2

    def slope(self, w: float) -> float:
        """The gradient at w."""
        return self.curvature * (w - self.best)


def parabola_of(inputs: torch.Tensor, targets: torch.Tensor) -> Parabola:
    """The mean squared error of w · inputs as a function of w."""
    x, y = inputs.double(), targets.double()
    best = (x * y).mean() / (x * x).mean()
    return Parabola(2 * (x * x).mean().item(), best.item(), ((best * x - y) ** 2).mean().item())


def kind_of_descent(lr: float, curvature: float) -> str:
    """What such steps do on a parabola: each multiplies the distance to the best w by 1 − lr · curvature."""
    factor = 1 - lr * curvature
    if abs(factor) >= 1:
        return "each step lands farther away"
    return "one side all the way" if factor >= 0 else "from side to side, closer each time"


def draw_descent(figure: Figure, parabola: Parabola, lr: float, steps: int, start: float) -> str:
    """The loss curve with the steps on it, and the loss after each step."""
    path = np.array(descend(parabola.slope, start, lr, steps))
    losses, (curve, history) = parabola.loss(path), figure.subplots(1, 2, width_ratios=[1.4, 1])
    ends = parabola.best - 2.5, parabola.best + 2.5
    grid = np.linspace(*ends, 200)
    curve.plot(grid, parabola.loss(grid), color="black")
    draw_steps(curve, path, losses)
    highest = parabola.loss(grid).max()
    curve.set(xlim=ends, ylim=(-0.06 * highest, highest), xlabel="weight w", ylabel="loss")
    kind = kind_of_descent(lr, parabola.curvature) if steps else "no step yet"
    curve.set_title(kind)
    history.plot(losses, "o-", color=COLORS["train"], markersize=6, linewidth=1.5)
    history.axhline(parabola.lowest, color="gray", linestyle=":")
    history.annotate("lowest loss there is", (30, parabola.lowest), (0, -18), textcoords="offset points", ha="right")
    history.set(yscale="log", xlim=(-0.9, 30.9), ylim=(parabola.lowest / 3, 1e3 * parabola.lowest))
    history.set(xlabel="step", ylabel="loss, logarithmic")
    outside = int(((path < ends[0]) | (path > ends[1])).sum())
    return (
        f"Learning rate {lr:.1f}, {steps} steps from w = {start:.1f}: w = {path[-1]:,.3f} with loss {losses[-1]:,.4f}; "
        f"the lowest is {parabola.lowest:.4f} at w = {parabola.best:.3f}. "
        f"{kind.capitalize()}; {outside} of {steps + 1} dots outside of the picture."
    )


def draw_steps(ax: Axes, path: np.ndarray, losses: np.ndarray) -> None:
    """A dot for the start and for each step, with arrows between them; the first one is hollow."""
    ax.plot(path, losses, "o", color=COLORS["train"], markersize=8)
    ax.plot(path[0], losses[0], "o", color=COLORS["train"], markersize=11, markerfacecolor="white", markeredgewidth=2.5)
    for before, after in zip(zip(path[:-1], losses[:-1]), zip(path[1:], losses[1:])):
        arrow = FancyArrowPatch(before, after, arrowstyle="->", mutation_scale=14, shrinkA=5, shrinkB=3)
        arrow.set(color=COLORS["train"], linewidth=1.5)
        ax.add_patch(arrow)
