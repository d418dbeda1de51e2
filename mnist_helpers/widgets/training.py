"""The training lab: the recipe trained live with other settings, and the runs compared."""

import textwrap
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import ipywidgets as widgets
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import PercentFormatter
from torch import nn

from mnist_helpers.data import MNISTData, make_loader
from mnist_helpers.live import Curve, train_live
from mnist_helpers.plots import COLORS, LABELS
from mnist_helpers.training import evaluate
from mnist_helpers.widgets.panel import NARROW, WIDE, LivePanel, LivePicture

NO_RUN = Curve(nn.Module(), {})


class TrainingLab(LivePanel):
    """The panel of `training_lab`. `runs` holds the curves in the table, `current` the one that grows, if any."""

    KEPT = 5

    def __init__(self, data: MNISTData):
        self.data = data
        self.current: Curve | None = None
        self.runs: list[Curve] = []
        self.kept = 0
        sizes = sorted({size for size in (500, 1000, 2000, 5000, 10000, len(data.train)) if size <= len(data.train)})
        decays = [("0", 0.0), ("1e-5", 1e-5), ("1e-4", 1e-4), ("1e-3", 1e-3), ("1e-2", 1e-2)]
        controls = {
            "dropout": widgets.FloatSlider(0.2, min=0, max=0.9, step=0.05, description="dropout rate", **WIDE),
            "weight_decay": widgets.SelectionSlider(options=decays, value=1e-4, description="weight decay", **WIDE),
            "train_size": widgets.Dropdown(
                description="images", options=[(f"{size:,}", size) for size in sizes], value=sizes[:2][-1], **NARROW
            ),
            "seed": widgets.IntSlider(0, 0, 9, description="seed", **WIDE),
        }
        self.table = widgets.HTML()
        super().__init__(controls, self.draw_kept, (10.5, 3.1), "Start")
        self.children += (self.table,)  # type: ignore[has-type]

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
        picture, drawn = LivePicture(self.size, lambda figure: draw_runs(figure, self.runs, NO_RUN)), 0.0
        for curve in train_live(self.data, **self.values):
            self.current, curve.number = curve, self.kept + 1
            if time.perf_counter() - drawn > 0.1:
                fill_lines(picture.artists, curve)
                self.picture.value = picture.png()
                self.text.value = describe(curve, "under way")
                drawn = time.perf_counter()
            yield
        self.keep(curve)

    def keep(self, curve: Curve) -> None:
        """Put the run into the table, measured on all validation images."""
        if curve.done > curve.measured_at[-1]:  # stopped between two points
            curve.measure(self.data.with_train_size(curve.settings["train_size"]))
        curve.valid[-1] = evaluate(curve.model, make_loader(self.data.valid, 1024))
        self.kept, self.runs = self.kept + 1, [*self.runs, curve][-self.KEPT :]
        self.current, self.stop_button.disabled = None, True
        self.table.value = runs_table(self.runs)
        self.show()

    def draw_kept(self, figure: Figure, **values: Any) -> str:
        """The runs in the table, the last one in full colour."""
        if not self.runs:
            draw_runs(figure, [], NO_RUN)
            return "No run yet: choose the settings and press Start."
        *earlier, last = self.runs
        draw_runs(figure, earlier, last)
        return describe(last, "stopped" if last.stopped else "finished")


def training_lab(data: MNISTData) -> TrainingLab:
    """Train the recipe live with another dropout rate, weight decay, number of images or seed, and compare the runs.

    Controls: `dropout` (0 to 0.9), `weight_decay`, `train_size` (training images), `seed`, and the buttons Start and
    Stop. A run takes 10 epochs on the processor; the curves are measured with dropout off on up to 1,000 images, the
    table's validation columns on all. `await lab.train(dropout=0.5)` does from a cell what Start does.
    """
    return TrainingLab(data)


def describe(curve: Curve, state: str) -> str:
    """Where the run stands, in one sentence."""
    return (
        f"{curve}, {state} at epoch {round(curve.measured_at[-1], 1):g} of 10. Training: {curve.train[-1]}; "
        f"validation: {curve.valid[-1]}."
    )


def draw_runs(figure: Figure, earlier: Sequence[Curve], latest: Curve) -> dict[tuple[str, str], Line2D]:
    """Loss and accuracy of the latest run, the earlier ones faint behind it, and the names of all beside them.

    Returns the latest run's lines by name.
    """
    *axes, names = figure.subplots(1, 3, width_ratios=(4, 4, 3.2))
    lines = dict[tuple[str, str], Line2D]()
    for ax, quantity, limits in zip(axes, ("loss", "accuracy"), ((0, 2.4), (0, 1.01))):
        ax.set(xlim=(0, 10.2), xticks=range(0, 11, 2), ylim=limits, xlabel="epoch", ylabel=quantity)
        for curve in earlier:
            draw_curve(ax, curve, quantity, faint=True)
        lines |= draw_curve(ax, latest, quantity)
    axes[0].legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderaxespad=0)
    axes[1].yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    names.axis("off")
    name_runs(names, axes[1], [curve for curve in (*earlier, latest) if curve.measured_at])
    return lines


def draw_curve(ax: Axes, curve: Curve, quantity: str, faint: bool = False) -> dict[tuple[str, str], Line2D]:
    """One quantity of a run: a line with circles for training, one with squares for validation."""
    style: dict[str, Any] = {"linewidth": 3, "markersize": 8, "markevery": 0.12}
    if faint:
        style |= {"alpha": 0.35, "linewidth": 1.5, "markersize": 5}
    lines = dict[tuple[str, str], Line2D]()
    for part, marker in (("train", "o"), ("valid", "s")):
        values = [getattr(point, quantity) for point in getattr(curve, part)]
        label = "_" if faint else LABELS[part]
        (lines[part, quantity],) = ax.plot(
            curve.measured_at, values, color=COLORS[part], marker=marker, label=label, **style
        )
    return lines


def name_runs(names: Axes, ax: Axes, curves: Sequence[Curve]) -> None:
    """Name each run on the empty axes `names`, the latest in bold; a line leads there from its validation curve."""
    low, high = ax.get_ylim()
    ends = [min(max(curve.valid[-1].accuracy, low), high) for curve in curves]
    texts = short_names(curves)
    look: dict[str, Any] = {"va": "center", "in_layout": False, "linespacing": 1.0, "textcoords": names.transAxes}
    look["fontsize"], width = (13, 23) if max(map(len, texts), default=0) <= 46 else (11, 26)
    look["arrowprops"] = {"arrowstyle": "-", "color": "gray", "shrinkA": 0, "shrinkB": 3, "relpos": (0, 0.5)}
    for curve, text, end, height in zip(curves, texts, ends, apart([(end - low) / (high - low) for end in ends])):
        weight = "bold" if curve is curves[-1] else "normal"
        text = "\n".join(textwrap.wrap(text, width))
        names.annotate(text, (curve.measured_at[-1], end), (0, height), xycoords=ax.transData, weight=weight, **look)


def apart(heights: Sequence[float], gap: float = 0.22) -> list[float]:
    """Up to 5 heights (shares of 0 to 1), moved so that all lie at least `gap` apart and keep their order."""
    order = sorted(range(len(heights)), key=lambda place: -heights[place])
    placed = dict[int, float]()
    for above, place in enumerate(order):
        room_below = gap * (len(order) - 1 - above)
        highest = placed[order[above - 1]] - gap if above else 1.0
        placed[place] = min(highest, max(heights[place], room_below))
    return [placed[place] for place in range(len(heights))]


def short_names(curves: Sequence[Curve]) -> list[str]:
    """For each run its number, its dropout rate, and those other settings that are not the same in all of them."""
    words = {"dropout": "dropout {:g}", "weight_decay": "decay {:g}", "train_size": "{:,} images", "seed": "seed {}"}
    told = [name for name in words if name == "dropout" or len({curve.settings[name] for curve in curves}) > 1]
    texts = [", ".join(words[name].format(curve.settings[name]) for name in told) for curve in curves]
    return [f"{curve.number}: {text}" for curve, text in zip(curves, texts)]


def fill_lines(lines: Mapping[tuple[str, str], Any], curve: Curve) -> None:
    """Let the lines that `draw_runs` made show the curve as it is now."""
    for (part, quantity), line in lines.items():
        line.set_data(curve.measured_at, [getattr(point, quantity) for point in getattr(curve, part)])


def runs_table(runs: Sequence[Curve]) -> str:
    """The runs as an HTML table; loss and accuracy at the end of each, on all validation images."""
    rows = [
        {
            "run": curve.number,
            **curve.settings,
            "train_size": f"{curve.settings['train_size']:,}",
            "epochs": f"{round(curve.measured_at[-1], 1):g}",
            "training loss": f"{curve.train[-1].loss:.3f}",
            "validation loss": f"{curve.valid[-1].loss:.3f}",
            "validation accuracy": f"{curve.valid[-1].accuracy:.2%}",
        }
        for curve in runs
    ]
    frame = pd.DataFrame(rows).rename(columns={"weight_decay": "weight decay", "train_size": "images"})
    style = "<style>table.runs.runs :is(th, td) { text-align: right; padding: 0 12px; line-height: 1.3; }</style>"
    return style + frame.to_html(index=False, border=0, classes="runs", justify="right")
