"""Sliders over the ledger: guess first, then see; and walk through the measured runs."""

import textwrap
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import ipywidgets as widgets
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from mnist_helpers.data import MNISTData
from mnist_helpers.labs.ledger import RECIPE, last_epochs, matching, mean_interval
from mnist_helpers.live import Curve, train_live
from mnist_helpers.plots import COLORS, LABELS
from mnist_helpers.predictions import Interval
from mnist_helpers.widgets.panel import WIDE, LivePanel, Panel

GUESS = "#56B4E9"
POINT = ["dropout", "weight_decay", "train_size"]  # what the explorer's sliders choose

# ---------------------------------------------------------------- guess, then see


class Guess(Panel):
    """The panel of `guess`. Once the guess is committed, neither it nor the button can be moved any more."""

    def __init__(self, question: str, measured: pd.Series, low: float, high: float, step: float, unit: str):
        if not low < high:
            raise ValueError(f"low must be less than high, got {low} and {high}")
        if not step > 0 or abs((high - low) / step - round((high - low) / step)) > 1e-6:
            raise ValueError(f"whole steps must lead from low, {low}, to high, {high}, got a step of {step}")
        start = low + round((high - low) / 2 / step) * step
        slider = widgets.FloatSlider(start, min=low, max=high, step=step, description="your guess", **WIDE)
        commit = widgets.ToggleButton(False, description="This is my guess", button_style="primary")
        commit.layout.width = "auto"
        given = {"question": question, "measured": measured, "limits": (low, high), "unit": unit}
        draw = partial(draw_guess, interval=mean_interval(measured), **given)
        self.final: dict | None = None  # the values of the controls, once the guess is committed
        super().__init__({"guess": slider, "committed": commit}, draw, (10.5, 2.5))

    def redraw(self) -> None:
        """A committed guess stands, whatever comes after it (a double click): the controls are locked."""
        if self.final is None and self.values["committed"]:
            self.final = self.values
        for name, value in (self.final or {}).items():
            self.controls[name].disabled = True
            self.controls[name].value = value
        super().redraw()


def guess(question: str, measured: pd.Series, low: float, high: float, *, step: float = 0.1, unit: str = "") -> Guess:
    """Ask for a number before the measured one is shown next to it.

    `measured`: one value for each seed, at least two. Controls: `guess` (from `low` to `high`) and `committed`, a
    button: pressed once, it fixes the guess and shows the measured values, their mean and its 95 % interval.
    Raises ValueError for fewer than two values, a missing one, `low` not below `high`, or steps that do not lead there.
    """
    return Guess(question, measured, low, high, step, unit)


def draw_guess(
    figure: Figure,
    question: str,
    measured: pd.Series,
    interval: Interval,
    limits: tuple[float, float],
    unit: str,
    guess: float,
    committed: bool,
) -> str:
    """A line with the guess on it and, once that is committed, the measured values with mean and interval."""
    ax = figure.subplots()
    # after the guess the axis holds what is measured and no more, so that the seeds lie apart
    shown = [0, guess, *measured, interval.low, interval.high] if committed else limits
    margin = 0.05 * (max(shown) - min(shown))
    ax.set(xlim=(min(shown) - margin, max(shown) + margin), ylim=(-1, 1.4), yticks=[], xlabel=unit)
    ax.set_title("\n".join(textwrap.wrap(question, 90)), loc="left")
    ax.spines["left"].set_visible(False)
    if limits[0] < 0 < limits[1]:
        ax.axvline(0, color="gray", linewidth=1.5)
    ax.plot(guess, 0.9, "v", color=GUESS, markeredgecolor="black", markersize=16)
    aside = {"xytext": (14, 0), "ha": "left"} if guess < sum(ax.get_xlim()) / 2 else {"xytext": (-14, 0), "ha": "right"}
    ax.annotate("your guess", (guess, 0.9), va="center", textcoords="offset points", **aside)  # type: ignore[arg-type]
    words = f"{question} Your guess: {guess:g} {unit}".strip() + ". "
    if not committed:
        return words + "Press the button to see what was measured."
    ax.plot(measured, np.linspace(-0.4, -0.7, len(measured)), "o", color="gray", alpha=0.5, markersize=8)
    mean, half = interval
    ax.errorbar(mean, -0.55, xerr=half, fmt="D", color="black", capsize=9, capthick=3, elinewidth=3, markersize=10)
    inside = np.clip(mean, min(shown) + 4 * margin, max(shown) - 4 * margin)  # so that the text is not cut off
    ax.text(inside, 0.05, f"measured, {len(measured)} seeds", ha="center", va="center")
    return words + (
        f"Measured: {mean:.2f} ± {half:.2f} {unit} (mean and 95 % interval over {len(measured)} seeds); "
        f"the seeds lie between {measured.min():.2f} and {measured.max():.2f}."
    )


# ---------------------------------------------------------------- the measured runs


class LedgerExplorer(LivePanel):
    """The panel of `ledger_explorer`. `live` holds the curves that were trained live, by the sliders' values."""

    def __init__(self, ledger: pd.DataFrame, data: MNISTData):
        runs = matching(ledger, {name: value for name, value in RECIPE.items() if name not in POINT})
        if runs.empty:
            raise ValueError("the ledger holds no run of the recipe's network and optimizer: there is nothing to show")
        self.points = dict(iter(runs.sort_values(["seed", "epoch"]).groupby(POINT)))
        self.limits = {int(size): axis_limits(rows) for size, rows in runs.groupby("train_size")}
        self.epochs = runs.groupby("train_size")["epochs"].max().to_dict()
        self.data = data
        self.live: dict[tuple, Curve] = {}
        start = max(self.points, key=lambda key: (sum(key[i] == RECIPE[name] for i, name in enumerate(POINT)), key))
        sizes = [(f"{size:,}", size) for size in sorted(self.limits)]
        decays = [(f"{decay:g}", decay) for decay in sorted(set(runs["weight_decay"]))]
        rates = [(f"{rate:g}", rate) for rate in sorted(set(runs["dropout"]))]
        controls = {
            "dropout": widgets.SelectionSlider(options=rates, description="dropout rate"),
            "weight_decay": widgets.SelectionSlider(options=decays, description="weight decay"),
            "train_size": widgets.SelectionSlider(options=sizes, description="images"),
        }
        for control, value in zip(controls.values(), start):
            control.value, control.layout.width, control.style.description_width = value, "275px", "initial"
        super().__init__(controls, self.draw_point, (10.5, 3.9), "Train this one now")
        self.stop_button.layout.width = "auto"  # with that, all stand in one row

    def stop(self) -> None:
        """End the training under way; its curve stays, as far as it came."""
        if self.running:
            super().stop()
            self.show()

    def redraw(self) -> None:
        """Another point was chosen: a training under way belongs to the old one and ends."""
        super().stop()
        super().redraw()

    def draw_point(self, figure: Figure, **point: Any) -> str:
        """Loss and accuracy over the epochs at this point: every seed faint, mean and interval, the gap shaded."""
        axes, key = figure.subplots(1, 2), tuple(point[name] for name in POINT)
        rows, live, limits = self.points.get(key), self.live.get(key), self.limits[point["train_size"]]
        measured = "not measured" if rows is None else f"measured with {seeds_text(rows)}"
        for ax, quantity in zip(axes, ("loss", "accuracy")):
            ax.set(xlim=limits["epoch"], ylim=limits[quantity], xlabel="epoch")
            ax.set_title(f"{quantity.capitalize()}, {measured}", y=1)  # to find the place of a title takes long
            if rows is not None:
                draw_measured(ax, rows, quantity)
            if live is not None:
                draw_live(ax, live, quantity)
            ax.locator_params(nbins=4)  # ticks take most of the time of a redraw
        if axes[1].lines:
            axes[1].legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize=13)  # inside it would hide a curve
        axes[1].yaxis.set_major_formatter(PercentFormatter(1))
        return self.describe(point)

    def describe(self, point: dict[str, Any]) -> str:
        """The picture in words."""
        key = tuple(point[name] for name in POINT)
        rows, live = self.points.get(key), self.live.get(key)
        words = (
            f"Dropout {point['dropout']:g}, weight decay {point['weight_decay']:g}, "
            f"{point['train_size']:,} training images, "
        )
        words += "not measured: the button trains it." if rows is None else describe_measured(rows)
        return words + (self.describe_live(live, rows) if live else "")

    def describe_live(self, live: Curve, rows: pd.DataFrame | None) -> str:
        """Where the live run stands and, at its end, where among the seeds it came out."""
        epochs = self.epochs[live.settings["train_size"]]
        words = f" Live, with seed {live.settings['seed']}, epoch {live.done:.1f} of {epochs}"
        if live.done < 1:
            return words + "."
        words += f": training {live.train[-1]}; validation {live.valid[-1]}."
        if self.data.source != "full" or len(self.data.train) != RECIPE["train_size"]:
            return words + " The ledger's runs were trained and validated on full MNIST, this one was not."
        if live.done < epochs or rows is None:
            return words
        seeds = last_epochs(rows)["valid_loss"]
        below = int((seeds < live.valid[-1].loss).sum())
        return words + f" Of the {len(seeds)} measured seeds {below} have a lower validation loss."

    def pieces(self) -> Iterator[None]:
        """Train the chosen point with a seed that the ledger does not have, measured as the ledger's runs are."""
        point, drawn = self.values, 0.0
        key = tuple(point[name] for name in POINT)
        rows = self.points.get(key)
        seed = 0 if rows is None else int(rows["seed"].max()) + 1
        epochs = self.epochs[point["train_size"]]
        if point["train_size"] > len(self.data.train):
            self.problem.value = (
                f"<b>To train this one takes {point['train_size']:,} training images, and here are "
                f"only {len(self.data.train):,}. Choose fewer images, or load full MNIST.</b>"
            )
            return
        data = self.data.with_split(seed)
        for curve in train_live(data, **point, seed=seed, epochs=epochs, points=1, most=len(data.train)):
            self.live[key] = curve
            if time.perf_counter() - drawn > 0.3 or curve.done == epochs:
                self.show()
                drawn = time.perf_counter()
            yield


def ledger_explorer(ledger: pd.DataFrame, data: MNISTData) -> LedgerExplorer:
    """Walk through the measured runs of the recipe's network: loss and accuracy over the epochs, with every seed.

    Controls: `dropout`, `weight_decay`, `train_size`. The button trains the chosen point on `data` with a seed that the
    ledger does not have and lays the curve over the measured ones; `await explorer.train(dropout=0.5)` does it from a
    cell. Raises ValueError for a ledger without such runs.
    """
    return LedgerExplorer(ledger, data)


def axis_limits(rows: pd.DataFrame) -> dict[str, tuple[float, float]]:
    """Limits for all points with as many images, so that they compare: for nearly all of the curves and for their ends.

    A curve may begin outside, as otherwise nothing could be seen of the ends.
    """
    ends, epochs = last_epochs(rows), rows["epochs"].max()
    loss = max(max(rows[name].quantile(0.97), ends[name].max()) for name in ("train_loss", "valid_loss"))
    wrong = 1 - min(min(rows[name].quantile(0.03), ends[name].min()) for name in ("train_accuracy", "valid_accuracy"))
    return {"epoch": (0, 1.02 * epochs), "loss": (0.0, 1.05 * loss), "accuracy": (1 - 1.1 * wrong, 1 + 0.03 * wrong)}


def draw_measured(ax: Axes, rows: pd.DataFrame, quantity: str) -> None:
    """Every seed as a thin line, the mean as a thick one with its 95 % interval, and the gap shaded.

    `rows`: in the order of seeds and epochs. A single seed has no interval.
    """
    epochs, means = rows["epoch"].unique(), {}
    for part, marker in (("train", "o"), ("valid", "s")):
        seeds = pd.DataFrame(rows[f"{part}_{quantity}"].to_numpy().reshape(-1, len(epochs)))
        lines = [np.column_stack([epochs, values]) for values in seeds.to_numpy()]
        ax.add_collection(LineCollection(lines, colors=COLORS[part], alpha=0.3, linewidths=1.2), autolim=False)
        if len(seeds) == 1:
            means[part] = seeds.mean()
        else:
            interval = mean_interval(seeds)
            means[part] = interval.middle
            ax.fill_between(epochs, interval.low, interval.high, color=COLORS[part], alpha=0.35, linewidth=0)
        look: dict[str, Any] = {
            "color": COLORS[part],
            "linewidth": 3,
            "marker": marker,
            "markersize": 8,
            "markevery": 0.12,
        }
        ax.plot(epochs, means[part], label=LABELS[part], **look)
    ax.fill_between(epochs, means["train"], means["valid"], color="gray", alpha=0.15, linewidth=0, label="gap")


def draw_live(ax: Axes, live: Curve, quantity: str) -> None:
    """The curve that was trained live, in black: circles for training, squares for validation."""
    for part, marker in (("train", "o"), ("valid", "s")):
        values = [getattr(point, quantity) for point in getattr(live, part)[1:]]  # without the untrained network
        look: dict[str, Any] = {"color": "black", "linewidth": 2, "marker": marker, "markersize": 5, "markevery": 0.08}
        ax.plot(live.measured_at[1:], values, label=f"live\n{LABELS[part]}", **look)


def seeds_text(rows: pd.DataFrame) -> str:
    """How many seeds a point was measured with, in words."""
    number = rows["seed"].nunique()
    return f"{number} seed" + "s" * (number > 1)


def describe_measured(rows: pd.DataFrame) -> str:
    """What the runs of one point have after their last epoch."""
    last = last_epochs(rows)
    loss = interval_text(last["valid_loss"], 3)
    accuracy, train, gap = [interval_text(100 * last[name], 2) for name in ("valid_accuracy", "train_accuracy", "gap")]
    how = "mean and 95 % interval" if len(last) > 1 else "one seed says nothing about the spread"
    return (
        f"measured with {seeds_text(rows)}, after {last['epochs'].iloc[0]} epochs: validation loss {loss}, "
        f"validation accuracy {accuracy} %, training accuracy {train} %, gap {gap} points ({how})."
    )


def interval_text(values: pd.Series, digits: int) -> str:
    """The mean over seeds ± half of its 95 % interval; a single seed has none."""
    if len(values) == 1:
        return f"{values.iloc[0]:.{digits}f}"
    mean, half = mean_interval(values)
    return f"{mean:.{digits}f} ± {half:.{digits}f}"
