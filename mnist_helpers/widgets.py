"""Sliders for the lessons. Each function returns a panel: controls, a picture, and the same in words.

A panel's picture is drawn by a plain function of a matplotlib figure and the values of the controls; that function
returns the words. So a panel has no state but its controls (and, in `training_lab`, its runs), the picture is replaced
in place, and `still` gives the same picture for readers without a running kernel.
"""
import asyncio
import copy
import dataclasses
import html
import io
import math
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

import ipywidgets as widgets
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import PercentFormatter
from PIL import Image
from torch import nn
from torch.utils.data import TensorDataset

from mnist_helpers.data import MNISTData, make_loader
from mnist_helpers.model import MNISTNet
from mnist_helpers.plots import COLORS, LABELS, WRONG, plot_history, plot_predictions, plot_probabilities
from mnist_helpers.predictions import Predictions
from mnist_helpers.training import History, Metrics, evaluate, make_optimizer, quick_settings, train_steps

PIXELS_PER_INCH = 100
WIDE = {"layout": {"width": "310px"}, "style": {"description_width": "initial"}}
NARROW = {"layout": {"width": "190px"}, "style": {"description_width": "initial"}}


class Panel(widgets.VBox):
    """Controls, one picture that follows them, and one sentence that says what the picture shows.

    `controls`: widgets with a `value`, by name. `draw(figure, **values)` draws on an empty figure of `size` (inches)
    and returns the sentence. `shown`: the widgets above the picture, when they are not just the controls. An error in
    `draw` is shown above the picture, with its traceback folded.
    """

    def __init__(
        self,
        controls: dict[str, widgets.ValueWidget],
        draw: Callable[..., str],
        size: tuple[float, float],
        shown: Sequence[widgets.Widget] | None = None,
    ):
        self.controls, self.draw, self.size = controls, draw, size
        self.places: list = []  # where the axes stand: found once, as finding them takes longer than drawing
        self.picture = widgets.Image(format="png", layout=widgets.Layout(max_width="100%", object_fit="contain"))
        self.picture.layout.width = f"{size[0] * PIXELS_PER_INCH:.0f}px"
        self.text, self.problem = widgets.HTML(), widgets.HTML()
        self.thread, self.loop, self.waiting = threading.get_ident(), running_loop(), set()
        self.show()
        for control in controls.values():
            control.observe(lambda change: self.run_here(self.redraw), "value")
        row = widgets.Layout(flex_flow="row wrap", align_items="center")
        bar = widgets.Box(list(controls.values() if shown is None else shown), layout=row)
        super().__init__([bar, self.problem, self.picture, self.text])
        self.add_class("mnist-panel")  # by which our labextension knows them

    @property
    def values(self) -> dict[str, Any]:
        """The controls' values by name."""
        return {name: control.value for name, control in self.controls.items()}

    def show(self) -> None:
        """Draw the present state; errors are raised."""
        figure, words = self.render(self.places, **self.values)
        self.picture.value, self.text.value = to_png(figure), html.escape(words)
        self.places = [ax.get_position(original=True) for ax in figure.axes]
        self.problem.value = ""

    def redraw(self) -> None:
        """Answer to a moved control."""
        self.show()

    def run_here(self, action: Callable[[], object]) -> None:
        """Run what a control asks for in the thread that made the panel, once for several equal requests.

        JupyterLab may deliver a click or a moved slider in another thread (a subshell of the kernel). Drawing or
        training there would get in the way of the notebook's cells.
        """
        if self.loop is None or threading.get_ident() == self.thread:
            self.run_now(action)
        elif action not in self.waiting:
            self.waiting.add(action)
            self.loop.call_soon_threadsafe(self.run_now, action)

    def run_now(self, action: Callable[[], object]) -> None:
        """Run the action; an error is shown to the reader above the picture, as nobody else would see it."""
        self.waiting.discard(action)
        try:
            action()
        except Exception as error:
            self.problem.value = error_text(error)

    def render(self, places: Sequence, **values: Any) -> tuple[Figure, str]:
        """A fresh figure with the picture for these values, its axes at `places` if there are any; the sentence."""
        with plt.style.context("mnist_helpers.lesson"):
            figure = Figure(figsize=self.size, dpi=PIXELS_PER_INCH, layout="none" if places else "constrained")
            words = self.draw(figure, **values)
            for ax, place in zip(figure.axes, places):
                ax.set_position(place)
        return figure, words

    def still(self, **changes: Any) -> "Still":
        """One state as a picture: the controls as they are, except for `changes`. The panel stays as it is.

        Raises ValueError for a name that is no control's, or a value that the control cannot take.
        """
        check_values(changes, self.controls)
        return Still(*self.render([], **{**self.values, **changes}))

    def __repr__(self) -> str:
        return "(Sliders: they appear when this cell is run in JupyterLab.)"


@dataclasses.dataclass(repr=False)
class Still:
    """A picture that a notebook shows and stores, with the words for readers who cannot see it."""

    figure: Figure
    words: str

    def _repr_png_(self) -> bytes:
        return to_png(self.figure)

    def __repr__(self) -> str:
        return self.words


def running_loop() -> asyncio.AbstractEventLoop | None:
    """The event loop of this thread; None where none is running, as in a plain Python program."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def check_values(values: dict[str, Any], controls: dict[str, widgets.ValueWidget]) -> None:
    """Raise ValueError for a name that is no control's, or a value that the control cannot take."""
    for name, value in values.items():
        if name not in controls:
            raise ValueError(f"there is no control {name!r}, only {', '.join(controls)}")
        control = controls[name]
        if hasattr(control, "options"):
            allowed = [option[1] if isinstance(option, tuple) else option for option in control.options]
            if value not in allowed:
                raise ValueError(f"{name} must be one of {', '.join(map(str, allowed))}, got {value!r}")
        elif isinstance(control, (widgets.ToggleButton, widgets.Checkbox)):
            if not isinstance(value, bool):
                raise ValueError(f"{name} must be True or False, got {value!r}")
        elif not control.min <= value <= control.max:
            raise ValueError(f"{name} must be from {control.min} to {control.max}, got {value!r}")


def to_png(figure: Figure) -> bytes:
    """The figure as the bytes of a PNG file."""
    buffer = io.BytesIO()
    with plt.style.context("mnist_helpers.lesson"):  # ticks are made while drawing
        figure.savefig(buffer, format="png", dpi=PIXELS_PER_INCH)
    return buffer.getvalue()


def error_text(error: Exception) -> str:
    """HTML that names the error, with the traceback folded below it."""
    details = html.escape("".join(traceback.format_exception(error)))
    return (f'<b style="color:{WRONG};background:white">{type(error).__name__}: {html.escape(str(error))}</b>'
            f"<details><summary>Traceback</summary><pre>{details}</pre></details>")


def classes_of(labels: torch.Tensor) -> list[int]:
    """The classes that occur in `labels`, in order. Raises ValueError when there is none."""
    if len(labels) == 0:
        raise ValueError("the dataset is empty: there is no image to show")
    return sorted(set(labels.tolist()))


# ---------------------------------------------------------------- the pixels of an image


def digit_browser(dataset: TensorDataset) -> Panel:
    """Look at images one by one and at their pixels as numbers, 0 (paper) to 255 (ink).

    `dataset`: images (n, 1, 28, 28) in [0, 1] and labels (n,). Controls: `digit` (a class, or "all"), `position`
    among its images, `row` and `column` of the pixel in the middle of the numbers. Raises ValueError without images.
    """
    images, labels = dataset.tensors
    groups: dict[int | str, torch.Tensor] = {"all": torch.arange(len(labels))}
    groups |= {digit: (labels == digit).nonzero()[:, 0] for digit in classes_of(labels)}
    digit = widgets.Dropdown(options=[(str(each), each) for each in groups], description="digit", **NARROW)
    position = widgets.IntSlider(0, 0, len(labels) - 1, description="position", **WIDE)
    row = widgets.IntSlider(14, 0, 27, description="row", **WIDE)
    column = widgets.IntSlider(14, 0, 27, description="column", **WIDE)
    digit.observe(lambda change: setattr(position, "max", len(groups[change.new]) - 1), "value")
    controls = {"digit": digit, "position": position, "row": row, "column": column}
    return Panel(controls, partial(draw_pixels, images=images, labels=labels, groups=groups), (10.5, 3.7))


def draw_pixels(
    figure: Figure, images: torch.Tensor, labels: torch.Tensor, groups: dict, digit: int | str, position: int,
    row: int, column: int,
) -> str:
    """The image with a red square, the 7 × 7 numbers in the square, and the pixels of the row as a curve."""
    group = groups[digit]
    index = group[min(position, len(group) - 1)]
    pixels = (images[index, 0] * 255).round().int().numpy()
    top, left = [min(max(middle - 3, 0), 21) for middle in (row, column)]
    whole, patch, profile = figure.subplots(1, 3, width_ratios=[1, 1, 1.25])
    for ax, part, corner in ((whole, pixels, (0, 0)), (patch, pixels[top:top + 7, left:left + 7], (left, top))):
        extent = (corner[0] - 0.5, corner[0] + part.shape[1] - 0.5, corner[1] + part.shape[0] - 0.5, corner[1] - 0.5)
        ax.imshow(part, cmap="gray_r", vmin=0, vmax=255, extent=extent)
        ax.grid(False)
        ax.add_patch(Rectangle((left - 0.5, top - 0.5), 7, 7, fill=False, color="red", linewidth=3))
    for y in range(top, top + 7):
        for x in range(left, left + 7):
            value = int(pixels[y, x])
            patch.text(x, y, value, ha="center", va="center", fontsize=13, color="white" if value > 127 else "black",
                       fontweight="bold" if (y, x) == (row, column) else "normal")
    profile.step(range(28), pixels[row], where="mid", color="black")
    profile.plot(column, pixels[row, column], "o", color="red", markersize=9)
    profile.set(ylim=(-10, 265), xticks=[0, 14, 27], yticks=[0, 255], xlabel="column", title=f"row {row}")
    whole.set_title(f"label {labels[index]}, image {index:,}")
    whole.set(xticks=[0, 14, 27], yticks=[0, 14, 27])
    patch.set(xticks=[], yticks=[], title="pixels in the square")
    numbers = " ".join(str(value) for value in pixels[row].tolist())
    return (f"Image {index:,} of the dataset, label {labels[index]}. Pixel in row {row}, column {column}: "
            f"{pixels[row, column]}. The whole row: {numbers}")


# ---------------------------------------------------------------- dropout at work


def dropout_microscope(model: MNISTNet, dataset: TensorDataset) -> Panel:
    """Watch dropout in the two hidden layers of a trained network, and what it does to the answer.

    Takes a copy of the model as it is now, and from `dataset` the first image of each class. Controls: `digit`, `rate`
    (0 to 0.95), `mode` ("train" or "eval"), `draw` (a number; the button adds 1). Raises ValueError without images.
    """
    images, labels = dataset.tensors
    examples = {digit: images[labels == digit][:1].cpu() for digit in classes_of(labels)}
    digit = widgets.SelectionSlider(options=list(examples), description="digit", **WIDE)
    rate = widgets.FloatSlider(0.2, min=0, max=0.95, step=0.05, description="dropout rate", **WIDE)
    mode = widgets.ToggleButtons(options=[("train()", "train"), ("eval()", "eval")], style={"button_width": "80px"})
    draw = widgets.BoundedIntText(0, 0, 10**6)
    again = widgets.Button(description="Draw again", tooltip="Let dropout choose other units")
    again.on_click(lambda _: setattr(draw, "value", draw.value + 1))
    controls = {"digit": digit, "rate": rate, "mode": mode, "draw": draw}
    frozen = copy.deepcopy(model).cpu().eval()
    return Panel(controls, partial(draw_dropout, model=frozen, examples=examples), (10.5, 4.2),
                 shown=[digit, rate, mode, again])


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


def draw_dropout(
    figure: Figure, model: MNISTNet, examples: dict, digit: int, rate: float, mode: str, draw: int
) -> str:
    """The image, the units of both hidden layers, and the ten probabilities with their spread."""
    layers, probabilities = dropout_draws(model, examples[digit], rate, mode == "train", seed=draw)
    undropped, _ = dropout_draws(model, examples[digit], 0.0, False, seed=0, draws=1)
    axes = figure.subplot_mosaic([["image", "0", "bars"], [".", "1", "bars"]], width_ratios=[0.6, 1.3, 1.5],
                                 height_ratios=[8, 4])
    axes["image"].imshow(examples[digit][0, 0].numpy(), cmap="gray_r")
    axes["image"].set_axis_off()
    for number, (values, dropped) in enumerate(layers):
        draw_units(axes[str(number)], values, dropped, 2 * undropped[number][0].max())
    plot_probabilities(probabilities[0], ax=axes["bars"])
    low, high = np.quantile(probabilities.numpy(), [0.05, 0.95], axis=0)
    axes["bars"].vlines(range(10), low, high, color="black", linewidth=3)
    answers = probabilities.argmax(dim=1)
    axes["bars"].set(ylim=(0, 1.02), ylabel="", xlabel="class, with its probability in this draw",
                     title=f"this draw: {answers[0]}, of 200 draws {(answers == digit).sum()} right")
    first, second = [int(dropped.sum()) for _, dropped in layers]
    scaled = f"the others × {1 / (1 - rate):.2f}" if mode == "train" else "nothing is changed"
    return (f"Digit {digit}, dropout rate {rate:.2f}, {mode}(): {first} of 128 and {second} of 64 hidden units "
            f"dropped, {scaled}. This draw answers {answers[0]} with probability {probabilities[0].max():.2f}. Of 200 "
            f"draws {(answers == digit).sum()} answer {digit}; its probability is {low[digit]:.2f} to "
            f"{high[digit]:.2f} in the middle 90 % of them.")


def draw_units(ax: Axes, values: torch.Tensor, dropped: torch.Tensor, darkest: torch.Tensor) -> None:
    """Units as gray squares in rows of 16, the dropped ones with a cross."""
    ax.imshow(values.reshape(-1, 16).numpy(), cmap="gray_r", vmin=0, vmax=float(darkest))
    rows, columns = dropped.reshape(-1, 16).numpy().nonzero()
    ax.scatter(columns, rows, marker="x", s=60, color=WRONG, linewidths=2.5)
    ax.set(xticks=[], yticks=[], title=f"{len(values)} units, {int(dropped.sum())} dropped")
    ax.spines[:].set_visible(True)
    ax.grid(False)


# ---------------------------------------------------------------- training live


@dataclasses.dataclass
class Curve:
    """A run while it grows: its settings, and at each point the epoch (with a fraction) and what was measured there.

    `done`: how many epochs the model has been trained, `number`: its place in the table.
    """

    settings: dict[str, Any]
    epochs: list[float] = dataclasses.field(default_factory=list)
    train: list[Metrics] = dataclasses.field(default_factory=list)
    valid: list[Metrics] = dataclasses.field(default_factory=list)
    model: nn.Module | None = None
    done: float = 0.0
    number: int = 0
    stopped: bool = False

    def __str__(self) -> str:
        settings = self.settings
        return (f"Run {self.number}: dropout {settings['dropout']:g}, weight decay {settings['weight_decay']:g}, "
                f"{settings['train_size']:,} images, seed {settings['seed']}")


class OwnRandomNumbers:
    """Within a `with` block PyTorch draws from a sequence of its own; outside, nothing of it shows."""

    def __init__(self, seed: int):
        self.inside = torch.Generator().manual_seed(seed).get_state()

    def __enter__(self) -> None:
        self.outside = torch.get_rng_state()
        torch.set_rng_state(self.inside)

    def __exit__(self, *error: object) -> None:
        self.inside = torch.get_rng_state()
        torch.set_rng_state(self.outside)


def live_steps(make_run: Callable[[], tuple[nn.Module, Iterable]], weight_decay: float, epochs: int, seed: int
               ) -> Iterator[tuple[nn.Module, int]]:
    """Train step by step, so that other things can happen in between: yields the model and the number of steps so far,
    first the untrained one with 0.

    `make_run` makes the model and the loader. Whatever draws random numbers or changes PyTorch's settings between two
    steps, the run is the one that `fit` would make with this seed; and nothing of it is to be seen outside.
    """
    random, done = OwnRandomNumbers(seed), 0
    with random:
        model, loader = make_run()
    optimizer = make_optimizer(model, weight_decay)
    yield model, done
    for _ in range(epochs):
        steps = train_steps(model, loader, optimizer)
        while True:
            with random, quick_settings():
                step = next(steps, None)
            if step is None:
                break
            done += 1
            yield model, done


def train_by_steps(
    data: MNISTData, *, dropout: float, weight_decay: float, train_size: int, seed: int, epochs: int = 10,
    points: int = 10,
) -> Iterator[Curve]:
    """Train as `train_run` does, on the first `train_size` images and the processor; yields the curve after each step.

    The curve has about `points` points an epoch, each measured with dropout off on at most 1,000 training and 1,000
    validation images.
    """
    curve = Curve({"dropout": dropout, "weight_decay": weight_decay, "train_size": train_size, "seed": seed})
    data = data.with_train_size(train_size)
    loader = make_loader(data.train, batch_size=32, shuffle=True, generator=torch.Generator().manual_seed(seed))
    steps = len(loader)
    for curve.model, done in live_steps(lambda: (MNISTNet(dropout=dropout), loader), weight_decay, epochs, seed):
        if done % math.ceil(steps / points) == 0 or done % steps == 0:
            measure(curve, data, done / steps)
        curve.done = done / steps
        if done:
            yield curve


def measure(curve: Curve, data: MNISTData, epoch: float) -> None:
    """Add a point to the curve."""
    curve.epochs.append(epoch)
    for part, points in ((data.train, curve.train), (data.valid, curve.valid)):
        points.append(evaluate(curve.model, [part[:1000]]))


class LivePanel(Panel):
    """A panel with buttons that start and stop a training.

    `task` is the training under way, if any; `error` what ended the last one, if it was an error.
    """

    def __init__(
        self, controls: dict[str, widgets.ValueWidget], draw: Callable[..., str], size: tuple[float, float], start: str
    ):
        self.task, self.error = None, None
        self.start_button = widgets.Button(description=start, button_style="primary", icon="play")
        self.stop_button = widgets.Button(description="Stop", icon="stop", disabled=True)
        self.start_button.layout.width = "auto"
        super().__init__(controls, draw, size, shown=[*controls.values(), self.start_button, self.stop_button])
        self.start_button.on_click(lambda button: self.run_here(self.start))
        self.stop_button.on_click(lambda button: self.run_here(self.stop))

    @property
    def running(self) -> bool:
        """Whether a training is under way."""
        return self.task is not None and not self.task.done()

    def start(self) -> None:
        """Begin to train with the present settings; a training under way is dropped."""
        if self.running:
            self.task.cancel()
        if running_loop() is None:
            raise RuntimeError("no event loop is running: training live needs a notebook")
        self.task = asyncio.get_running_loop().create_task(self.train_live())

    def stop(self) -> None:
        """End the training under way."""
        if self.running:
            self.task.cancel()
            self.task, self.stop_button.disabled = None, True

    async def train(self, **settings: Any) -> None:
        """Set the controls, train, and return when the run has ended.

        Raises ValueError for settings there are not, and what the training raises.
        """
        check_values(settings, self.controls)
        for name, value in settings.items():
            self.controls[name].value = value
        self.start()
        while self.running:  # a moved slider puts another task in the place of this one
            await asyncio.gather(self.task, return_exceptions=True)
        if self.error is not None:
            raise self.error

    async def train_live(self) -> None:
        """Train in small pieces, so that the page and the other cells stay alive."""
        self.stop_button.disabled, self.problem.value, self.error = False, "", None
        breath = 0.0
        try:
            for _ in self.pieces():
                if time.perf_counter() - breath > 0.03:
                    await asyncio.sleep(0.001)  # here a moved slider or the stop button gets its turn
                    breath = time.perf_counter()
        except Exception as error:  # a cancelled task is no Exception and ends quietly
            self.problem.value, self.error = error_text(error), error
        finally:
            if self.task is asyncio.current_task():
                self.stop_button.disabled = True

    def pieces(self) -> Iterator[None]:
        """Trains and redraws; yields after every small piece of work."""
        raise NotImplementedError


class TrainingLab(LivePanel):
    """The panel of `training_lab`. `runs` holds the curves in the table, `current` the one that grows, if any."""

    KEPT = 5

    def __init__(self, data: MNISTData):
        self.data, self.current = data, None
        self.runs: list[Curve] = []
        self.kept = 0
        sizes = sorted({size for size in (500, 1000, 2000, 5000, 10000, len(data.train)) if size <= len(data.train)})
        decays = [("0", 0.0), ("1e-5", 1e-5), ("1e-4", 1e-4), ("1e-3", 1e-3), ("1e-2", 1e-2)]
        controls = {
            "dropout": widgets.FloatSlider(0.2, min=0, max=0.9, step=0.05, description="dropout rate", **WIDE),
            "weight_decay": widgets.SelectionSlider(options=decays, value=1e-4, description="weight decay", **WIDE),
            "train_size": widgets.Dropdown(description="images", options=[(f"{size:,}", size) for size in sizes],
                                     value=sizes[:2][-1], **NARROW),
            "seed": widgets.IntSlider(0, 0, 9, description="seed", **WIDE),
        }
        self.table = widgets.HTML()
        super().__init__(controls, self.draw_kept, (10.5, 3.1), "Start")
        self.children = (*self.children, self.table)

    def start(self) -> None:
        """Begin to train with the present settings; a training under way is dropped."""
        self.current = None
        super().start()

    def stop(self) -> None:
        """End the training under way and keep its curve."""
        if self.running:
            super().stop()
            if self.current is not None:
                self.current.stopped = True
                self.keep(self.current)

    def redraw(self) -> None:
        """A control was moved: a training under way starts again with the new settings."""
        if self.running:
            self.start()
        else:
            super().redraw()

    def pieces(self) -> Iterator[None]:
        """Train with the present settings, draw the growing curve, and keep it at the end."""
        picture, drawn = LivePicture(self.size, self.runs), 0.0
        for curve in train_by_steps(self.data, **self.values):
            self.current, curve.number = curve, self.kept + 1
            if time.perf_counter() - drawn > 0.1:
                self.picture.value = picture.png(curve)
                self.text.value = describe(curve, "under way")
                drawn = time.perf_counter()
            yield
        self.keep(curve)

    def keep(self, curve: Curve) -> None:
        """Put the run into the table, measured on all validation images."""
        if curve.done > curve.epochs[-1]:  # stopped between two points
            measure(curve, self.data.with_train_size(curve.settings["train_size"]), curve.done)
        curve.valid[-1] = evaluate(curve.model, make_loader(self.data.valid, 1024))
        self.kept, self.runs = self.kept + 1, [*self.runs, curve][-self.KEPT:]
        self.current, self.stop_button.disabled = None, True
        self.table.value = runs_table(self.runs)
        self.show()

    def draw_kept(self, figure: Figure, **values: Any) -> str:
        """The runs in the table, the last one in full colour."""
        if not self.runs:
            draw_runs(figure, [], None)
            return "No run yet: choose the settings and press Start."
        *earlier, last = self.runs
        draw_runs(figure, earlier, last)
        return describe(last, "stopped" if last.stopped else "finished")


def describe(curve: Curve, state: str) -> str:
    """Where the run stands, in one sentence."""
    return (f"{curve}, {state} at epoch {curve.epochs[-1]:.1f} of 10. Training: {curve.train[-1]}; "
            f"validation: {curve.valid[-1]}.")


def draw_runs(figure: Figure, earlier: Sequence[Curve], latest: Curve | None) -> list[Line2D]:
    """Loss and accuracy of the latest run, the earlier ones faint behind it; returns the latest run's four lines."""
    axes, lines = figure.subplots(1, 2), []
    for ax, quantity, limits in zip(axes, ("loss", "accuracy"), ((0, 2.4), (0.5, 1.01))):
        for curve in earlier:
            draw_curve(ax, curve, quantity, faint=True)
        if latest is not None:
            lines += draw_curve(ax, latest, quantity)
        ax.set(xlim=(0, 10.5), ylim=limits, xlabel="epoch", title=quantity.capitalize())
    for curve in [*earlier, *([latest] if latest and latest.epochs else [])]:
        axes[1].annotate(str(curve.number), (curve.epochs[-1], curve.valid[-1].accuracy), (4, 0), fontsize=13,
                         textcoords="offset points", va="center", color=COLORS["valid"])
    if latest is not None:
        axes[1].legend(loc="lower right", frameon=True, framealpha=0.8, edgecolor="none")
    return lines


def draw_curve(ax: Axes, curve: Curve, quantity: str, faint: bool = False) -> list[Line2D]:
    """One quantity of a run: a line for training, a dashed one for validation."""
    style = {"alpha": 0.3, "linewidth": 2} if faint else {"linewidth": 3}
    lines = []
    for part, dashes in (("train", "-"), ("valid", "--")):
        values = [getattr(point, quantity) for point in getattr(curve, part)]
        label = "_" if faint else LABELS[part]
        lines += ax.plot(curve.epochs, values, dashes, color=COLORS[part], label=label, **style)
    return lines


class LivePicture:
    """A picture of which only the four lines of one run change: the rest is drawn once, which makes it fast."""

    def __init__(self, size: tuple[float, float], runs: Sequence[Curve]):
        with plt.style.context("mnist_helpers.lesson"):
            figure = Figure(figsize=size, dpi=PIXELS_PER_INCH, layout="constrained")
            self.lines = draw_runs(figure, runs, Curve({}))
            self.canvas = FigureCanvasAgg(figure)
            self.canvas.draw()
        self.background = self.canvas.copy_from_bbox(figure.bbox)

    def png(self, curve: Curve) -> bytes:
        """The bytes of a PNG file with the curve as it is now."""
        self.canvas.restore_region(self.background)
        parts = [(part, quantity) for quantity in ("loss", "accuracy") for part in (curve.train, curve.valid)]
        for line, (part, quantity) in zip(self.lines, parts):
            line.set_data(curve.epochs, [getattr(point, quantity) for point in part])
            line.axes.draw_artist(line)
        return quick_png(self.canvas)


def quick_png(canvas: FigureCanvasAgg) -> bytes:
    """What is drawn on the canvas as the bytes of a PNG file: larger than that of `to_png`, and made faster."""
    buffer = io.BytesIO()
    Image.fromarray(np.asarray(canvas.buffer_rgba())).save(buffer, format="png", compress_level=1)
    return buffer.getvalue()


def runs_table(runs: Sequence[Curve]) -> str:
    """The runs as an HTML table; loss and accuracy at the end of each, on all validation images."""
    rows = [{
        "run": curve.number, **curve.settings, "epochs": f"{curve.epochs[-1]:.1f}",
        "training loss": f"{curve.train[-1].loss:.3f}", "validation loss": f"{curve.valid[-1].loss:.3f}",
        "validation accuracy": f"{curve.valid[-1].accuracy:.2%}",
    } for curve in runs]
    frame = pd.DataFrame(rows).rename(columns={"weight_decay": "weight decay", "train_size": "images"})
    style = "<style>table.runs.runs :is(th, td) { text-align: right; padding: 0 12px; line-height: 1.3; }</style>"
    return style + frame.to_html(index=False, border=0, classes="runs", justify="right")


def training_lab(data: MNISTData) -> TrainingLab:
    """Train the recipe live with another dropout rate, weight decay, number of images or seed, and compare the runs.

    Controls: `dropout` (0 to 0.9), `weight_decay`, `train_size` (training images), `seed`, and the buttons Start and
    Stop. A run takes 10 epochs on the processor; the curves are measured with dropout off on up to 1,000 images, the
    table's validation columns on all. `await lab.train(dropout=0.5)` does from a cell what Start does.
    """
    return TrainingLab(data)


# ---------------------------------------------------------------- a finished run, epoch by epoch


def curve_reader(history: History, weights: Sequence[torch.Tensor]) -> Panel:
    """Step through the epochs of a run: the curves, and the first layer's weights after that epoch as images.

    `weights`: one tensor (units, 784) for each epoch of `history`. Control: `epoch`, by slider or by the play button.
    Raises ValueError when their numbers differ or there is no epoch.
    """
    if len(history) == 0 or len(weights) != len(history):
        raise ValueError(f"one tensor of weights is needed for each epoch and at least one epoch, got {len(weights)} "
                         f"tensors and {len(history)} epochs")
    stacked = torch.stack([each.detach().cpu() for each in weights])
    epoch = widgets.IntSlider(1, 1, len(history), description="epoch", **WIDE)
    play = widgets.Play(min=1, max=len(history), interval=500, show_repeat=False)
    panel = Panel({"epoch": epoch}, partial(draw_epoch, history=history, weights=stacked), (10.5, 4.4),
                  shown=[play, epoch])
    widgets.jslink((play, "value"), (epoch, "value"))
    return panel


def draw_epoch(figure: Figure, history: History, weights: torch.Tensor, epoch: int) -> str:
    """Loss and accuracy with a line at the epoch, and the weights of the first 24 units."""
    axes = figure.subplot_mosaic([["loss", "units"], ["accuracy", "units"]], width_ratios=[1, 1.35])
    plot_history(history, axes=[axes["loss"], axes["accuracy"]])
    for name in ("loss", "accuracy"):
        axes[name].axvline(epoch, color="black", linewidth=1.5)
    axes["loss"].set(title=f"epoch {epoch}", xlabel="")
    axes["accuracy"].set_title("")
    axes["loss"].legend(loc="upper right")
    axes["accuracy"].legend().remove()
    largest = float(weights[:, :24].abs().quantile(0.999))
    images = nn.functional.pad(weights[epoch - 1, :24].reshape(-1, 28, 28), (1, 1, 1, 1), value=float("nan"))
    rows = [torch.cat(list(row), dim=1) for row in images.split(6)]
    rows[-1] = nn.functional.pad(rows[-1], (0, rows[0].shape[1] - rows[-1].shape[1]), value=float("nan"))
    axes["units"].imshow(torch.cat(rows).numpy(), cmap="RdBu", vmin=-largest, vmax=largest, interpolation="nearest")
    axes["units"].set_title(f"weights of {len(images)} units")
    axes["units"].set_axis_off()
    row = history.to_frame().loc[epoch]
    return (f"Epoch {epoch} of {len(history)}: training loss {row.train_loss:.3f}, validation loss "
            f"{row.valid_loss:.3f} (lowest in epoch {history.best_epoch}), validation accuracy "
            f"{row.valid_accuracy:.2%}. Mean size of the first layer's weights: {weights[epoch - 1].abs().mean():.4f}.")


# ---------------------------------------------------------------- answers and refusals


def prediction_explorer(predictions: Predictions) -> Panel:
    """Let the network answer only above a threshold of confidence, and look at the ten images nearest to it.

    Controls: `threshold` (0 to 1), `true` and `predicted` (a class, or "any"), `kind` ("wrong" or "right"
    answers, or the "refused"). Raises ValueError without predictions.
    """
    if len(predictions) == 0:
        raise ValueError("there are no predictions to explore, at least one image is needed")
    classes = [(str(each), each) for each in ("any", *range(10))]
    controls = {
        "threshold": widgets.FloatSlider(0.5, min=0, max=1, step=0.01, description="threshold", **WIDE),
        "true": widgets.Dropdown(options=classes, description="true digit", **NARROW),
        "predicted": widgets.Dropdown(options=classes, description="predicted digit", **NARROW),
        "kind": widgets.ToggleButtons(options=["wrong", "right", "refused"], style={"button_width": "100px"}),
    }
    thresholds = torch.arange(101) / 100
    answered = torch.stack([predictions.confidence >= threshold for threshold in thresholds])
    wrong = answered & ~predictions.correct
    table = pd.DataFrame({"threshold": thresholds, "answered": answered.float().mean(dim=1),
                          "wrong": wrong.sum(dim=1) / answered.sum(dim=1)})
    return Panel(controls, partial(draw_answers, predictions=predictions, table=table), (10.5, 4.6))


def draw_answers(
    figure: Figure, predictions: Predictions, table: pd.DataFrame, threshold: float, true: int | str,
    predicted: int | str, kind: str,
) -> str:
    """Share answered and share wrong against the threshold, and up to 10 images of the chosen kind."""
    rows = [["answered", *"01234"], ["wrong", *"56789"]]
    axes = figure.subplot_mosaic(rows, width_ratios=[3, 1.2, 1.2, 1.2, 1.2, 1.2])
    for column, title in (("answered", "answered"), ("wrong", "wrong, of the answered")):
        ax = axes[column]
        ax.plot(table["threshold"], table[column], color=COLORS["test"])
        ax.axvline(threshold, color="black", linewidth=1.5)
        ax.set_title(title)
        ax.set(xlim=(-0.02, 1.02), ylim=(0, None))
        ax.yaxis.set_major_formatter(PercentFormatter(1))
    axes["wrong"].set_xlabel("threshold")
    answered = predictions.confidence >= threshold
    kinds = {"wrong": answered & ~predictions.correct, "right": answered & predictions.correct, "refused": ~answered}
    chosen = kinds[kind].clone()
    for wanted, given in ((true, predictions.labels), (predicted, predictions.predicted)):
        if wanted != "any":
            chosen &= given == wanted
    found = predictions[chosen]
    found = found[(found.confidence - threshold).abs().argsort()[:10]]
    draw_gallery(np.array([axes[str(place)] for place in range(10)]), found)
    number, wrong = int(answered.sum()), int(kinds["wrong"].sum())
    share = f" ({wrong / number:.2%} of the answers)" if number else ""
    return (f"Threshold {threshold:.2f}: {number:,} of {len(predictions):,} images answered "
            f"({number / len(predictions):.1%}), {wrong:,} of them wrong{share}. True digit {true}, predicted "
            f"{predicted}, {kind}: {int(chosen.sum()):,} images, {len(found)} shown, the nearest to the "
            f"threshold first.")


def draw_gallery(axes: np.ndarray, predictions: Predictions) -> None:
    """One prediction on each of the axes, as far as there are any."""
    if len(predictions):
        plot_predictions(predictions, axes=axes)
    for place, ax in enumerate(axes):
        ax.title.set_fontsize(13)
        ax.set_visible(place < len(predictions))
    if not len(predictions):
        axes[0].figure.text(0.7, 0.5, "no such image", ha="center", va="center", fontsize=18)
