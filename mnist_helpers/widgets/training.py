"""The training lab: the recipe trained live with other settings, and the runs compared."""

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import ipywidgets as widgets
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from torch import nn

from mnist_helpers.data import MNISTData, make_loader
from mnist_helpers.live import Curve, train_live
from mnist_helpers.plots import COLORS, LABELS
from mnist_helpers.training import evaluate
from mnist_helpers.widgets.panel import NARROW, WIDE, LivePanel, LivePicture


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
        picture, drawn = (
            LivePicture(self.size, lambda figure: draw_runs(figure, self.runs, Curve(nn.Module(), {}))),
            0.0,
        )
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
            draw_runs(figure, [], None)
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
        f"{curve}, {state} at epoch {curve.measured_at[-1]:.1f} of 10. Training: {curve.train[-1]}; "
        f"validation: {curve.valid[-1]}."
    )


def draw_runs(figure: Figure, earlier: Sequence[Curve], latest: Curve | None) -> dict[tuple[str, str], Line2D]:
    """Loss and accuracy of the latest run, the earlier ones faint behind it; returns the latest run's lines by name."""
    axes, lines = figure.subplots(1, 2), dict[tuple[str, str], Line2D]()
    for ax, quantity, limits in zip(axes, ("loss", "accuracy"), ((0, 2.4), (0.5, 1.01))):
        for curve in earlier:
            draw_curve(ax, curve, quantity, faint=True)
        if latest is not None:
            lines |= draw_curve(ax, latest, quantity)
        ax.set(xlim=(0, 10.5), ylim=limits, xlabel="epoch", title=quantity.capitalize())
    for curve in [*earlier, *([latest] if latest and latest.measured_at else [])]:
        end = (curve.measured_at[-1], curve.valid[-1].accuracy)
        right = {"xytext": (4, 0), "textcoords": "offset points", "va": "center"}
        axes[1].annotate(str(curve.number), end, **right, fontsize=13, color=COLORS["valid"])
    if latest is not None:
        axes[1].legend(loc="lower right", frameon=True, framealpha=0.8, edgecolor="none")
    return lines


def draw_curve(ax: Axes, curve: Curve, quantity: str, faint: bool = False) -> dict[tuple[str, str], Line2D]:
    """One quantity of a run: a line for training, a dashed one for validation, by part and quantity."""
    style = {"alpha": 0.3, "linewidth": 2} if faint else {"linewidth": 3}
    lines = dict[tuple[str, str], Line2D]()
    for part, dashes in (("train", "-"), ("valid", "--")):
        values = [getattr(point, quantity) for point in getattr(curve, part)]
        label = "_" if faint else LABELS[part]
        (lines[part, quantity],) = ax.plot(curve.measured_at, values, dashes, color=COLORS[part], label=label, **style)
    return lines


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
            "epochs": f"{curve.measured_at[-1]:.1f}",
            "training loss": f"{curve.train[-1].loss:.3f}",
            "validation loss": f"{curve.valid[-1].loss:.3f}",
            "validation accuracy": f"{curve.valid[-1].accuracy:.2%}",
        }
        for curve in runs
    ]
    frame = pd.DataFrame(rows).rename(columns={"weight_decay": "weight decay", "train_size": "images"})
    style = "<style>table.runs.runs :is(th, td) { text-align: right; padding: 0 12px; line-height: 1.3; }</style>"
    return style + frame.to_html(index=False, border=0, classes="runs", justify="right")
