"""The symptoms of a broken training beside those of healthy ones, and a diagnosis that is answered with a reason."""

import math
from collections.abc import Mapping, Sequence
from functools import partial
from statistics import fmean, stdev

import ipywidgets as widgets
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from scipy.stats import t

from mnist_helpers.labs.broken import CASES, FAULTS, Symptoms, Trained, answer, symptoms
from mnist_helpers.plots import COLORS, LABELS, WRONG
from mnist_helpers.widgets.panel import NARROW, WIDE, Panel

OPEN = "not yet chosen"
RIGHT = "#005F46"
ROWS = {  # label and format of each number that is shown with what is usual
    "first_step": ("loss of the first step", ".3f"),
    "highest_step": ("highest step of epoch 1", ".3f"),
    "lowest_step": ("lowest step", ".2f"),
    "last_steps": ("mean step of epoch 10", ".2f"),
    "train_loss": ("training loss", ".2f"),
    "train_accuracy": ("training accuracy", ".1%"),
    "valid_accuracy": ("validation accuracy", ".1%"),
    "test_accuracy": ("test accuracy", ".1%"),
}
KEPT = {  # losses of the kept epoch, to be compared with each other
    "recorded": "validation loss of the kept epoch",
    "again": "  measured again",
    "once_more": "  once more",
    "test_loss": "test loss of the kept epoch",
}


def case_file(runs: Mapping[str, Trained], healthy: Sequence[Trained]) -> Panel:
    """Look at the symptoms of broken runs and say which fault it is.

    `runs`: a run for each case, by its letter; `healthy`: runs to compare with. Controls: `case`, and `diagnosis`, a
    name of a fault. Raises ValueError without a case or with fewer than two healthy runs.
    """
    if not runs or len(healthy) < 2:
        raise ValueError(f"at least one case and two healthy runs are needed, got {len(runs)} and {len(healthy)}")
    names = [(OPEN, ""), *sorted((fault.name, key) for key, fault in FAULTS.items())]
    controls = {
        "case": widgets.Dropdown(options=list(runs), description="case", **NARROW),
        "diagnosis": widgets.Dropdown(options=names, description="the fault", **WIDE),
    }
    controls["diagnosis"].layout.width = "480px"
    numbers = {case: symptoms(run) for case, run in runs.items()}
    limits = usual_limits([symptoms(run) for run in healthy])
    return Panel(controls, partial(draw_case, runs=runs, healthy=healthy, numbers=numbers, limits=limits), (11, 4.2))


def usual_limits(healthy: Sequence[Symptoms]) -> dict[str, tuple[float, float]]:
    """The limits between which each number of ROWS lies in 95 % of new healthy runs, by Student's t distribution."""
    factor = t.ppf(0.975, len(healthy) - 1) * math.sqrt(1 + 1 / len(healthy))
    limits = {}
    for name in ROWS:
        values = [run[name] for run in healthy]
        limits[name] = (fmean(values) - factor * stdev(values), fmean(values) + factor * stdev(values))
    return limits


def draw_case(
    figure: Figure,
    runs: Mapping[str, Trained],
    healthy: Sequence[Trained],
    numbers: Mapping[str, Symptoms],
    limits: Mapping[str, tuple[float, float]],
    case: str,
    diagnosis: str,
) -> str:
    """Loss of the steps, accuracies, and a table of numbers with what is usual."""
    steps, accuracy, table = figure.subplots(1, 3, width_ratios=[1, 1, 1.8])
    draw_steps(steps, runs[case], healthy)
    draw_accuracy(accuracy, runs[case], healthy)
    outside = draw_numbers(table, numbers[case], limits)
    words = f"Case {case}. Unusual: {', '.join(outside) or 'nothing'}. The "
    words += ", ".join(f"{label.strip()} {numbers[case][name]:.4f}" for name, label in KEPT.items()) + ". "
    if not diagnosis:
        steps.set_title(f"case {case}: loss of steps")
        return words + "Which fault is it?"
    right = diagnosis == CASES[case]
    steps.set_title(f"case {case}: {'✓ right' if right else '✗ not this'}", color=RIGHT if right else WRONG)
    return f"Case {case}. {answer(case, diagnosis, numbers[case])}"  # with the numbers it would not fit a slide


def draw_steps(ax: Axes, run: Trained, healthy: Sequence[Trained]) -> None:
    """The loss of each step on a logarithmic axis, over the range of the healthy runs."""
    band = np.array([each.steps for each in healthy])
    ax.fill_between(range(band.shape[1]), band.min(axis=0), band.max(axis=0), color="gray", alpha=0.4, linewidth=0)
    ax.plot(run.steps, color="black", linewidth=1)
    ax.set(xlabel="step", yscale="log", ylim=(0.02, 100))
    ax.set_yticks([0.1, 1, 10, 100], ["0.1", "1", "10", "100"])
    ax.locator_params(axis="x", nbins=3)


def draw_accuracy(ax: Axes, run: Trained, healthy: Sequence[Trained]) -> None:
    """Accuracy after each epoch as the script measured it, over the range of the healthy runs."""
    for part, marker in (("train", "o"), ("valid", "s")):
        band = np.array([[each.accuracy for each in getattr(one, f"{part}_curve")] for one in healthy])
        epochs = range(1, band.shape[1] + 1)
        ax.fill_between(epochs, band.min(axis=0), band.max(axis=0), color=COLORS[part], alpha=0.3, linewidth=0)
        curve = [each.accuracy for each in getattr(run, f"{part}_curve")]
        ax.plot(range(1, len(curve) + 1), curve, marker=marker, markersize=5, color=COLORS[part], label=LABELS[part])
    ax.set(xlabel="epoch", title="accuracy", ylim=(0, 1.02), xticks=range(2, 11, 2))
    ax.yaxis.set_major_formatter(PercentFormatter(1))
    ax.legend(loc="best", fontsize=12)


def draw_numbers(ax: Axes, run: Symptoms, limits: Mapping[str, tuple[float, float]]) -> list[str]:
    """The numbers of the run and what is usual; those outside have an arrow, and are returned in words."""
    ax.set_axis_off()
    ax.set(xlim=(0, 1), ylim=(len(ROWS) + len(KEPT) + 0.5, -1.2))
    write_row(ax, -1, "", "this run", "healthy (95 %)")
    outside = []
    for line, (name, (label, form)) in enumerate(ROWS.items()):
        low, high = (format(limit, form) for limit in limits[name])
        value, unusual = format(run[name], form), not limits[name][0] <= run[name] <= limits[name][1]
        write_row(ax, line, label, "► " * unusual + value, f"{low} to {high}", fontweight="bold" * unusual or "normal")
        outside += [f"{label} {value}"] * unusual
    for line, (name, label) in enumerate(KEPT.items(), start=len(ROWS)):
        write_row(ax, line + 0.4, label, "", f"{run[name]:.4f}")
    return outside


def write_row(ax: Axes, line: float, label: str, value: str, usual: str, fontweight: str = "normal") -> None:
    """One line of the table."""
    ax.text(0, line, label, fontsize=13)
    ax.text(0.66, line, value, ha="right", fontsize=13, fontweight=fontweight)
    ax.text(1, line, usual, ha="right", fontsize=13)
