"""Sliders over workers that share the training of one network: computing against communicating."""

from collections.abc import Mapping, Sequence
from functools import partial

import ipywidgets as widgets
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mnist_helpers.labs.scaling import Link, Work, all_reduce_seconds, speed_up
from mnist_helpers.widgets.panel import WIDE, Panel

WORKERS = (2, 8, 64, 1000)  # those that are named
SHARES = [2**power for power in range(13)]
GRID = np.unique(np.geomspace(2, 1000, 60).round().astype(int)).tolist()  # whole numbers of workers
COMPUTE, COMMUNICATE = "#000000", "#CC79A7"


def scaling_explorer(works: Mapping[str, Work], links: Mapping[str, Link]) -> Panel:
    """See how a step and the speed-up change with the number of workers, up to 1,000.

    Controls: `share` (images that each worker gets in a step), `network` (a name in `works`), `link` (a name in
    `links`). Raises ValueError when there is no network or no link.
    """
    if not works or not links:
        raise ValueError(f"at least one network and one link are needed, got {len(works)} and {len(links)}")
    controls = {
        "share": widgets.SelectionSlider(options=SHARES, value=32, description="images per worker", **WIDE),
        "network": widgets.Dropdown(options=list(works), description="network", **WIDE),
        "link": widgets.Dropdown(options=list(links), description="link", **WIDE),
    }
    return Panel(controls, partial(draw_scaling, works=works, links=links), (10.5, 4.0))


def draw_scaling(
    figure: Figure, works: Mapping[str, Work], links: Mapping[str, Link], share: int, network: str, link: str
) -> str:
    """Left the seconds of a step, right the speed-up, both against the number of workers."""
    left, right = figure.subplots(1, 2)
    work, cable = works[network], links[link]
    communicate = [all_reduce_seconds(cable, work.gradient, workers) for workers in GRID]
    left.plot(GRID, [work.seconds(share)] * len(GRID), color=COMPUTE, linestyle="--", label="compute")
    left.plot(GRID, communicate, color=COMMUNICATE, label="communicate")
    left.legend()
    right.plot(GRID, GRID, color="gray", linestyle=":", label="ideal")
    right.plot(GRID, [speed_up(work, cable, share, workers) for workers in GRID], color=COMPUTE)
    gains = [speed_up(work, cable, share, workers) for workers in WORKERS]
    right.plot(WORKERS, gains, "o", color=COMPUTE, markersize=8)
    label_dots(right, gains)
    right.legend(loc="upper left")
    left.set(ylabel="seconds in a step", yscale="log", ylim=(1e-6, 1e2))
    right.set(ylabel="speed-up", yscale="log", ylim=(0.01, 2000))
    for ax in (left, right):
        ax.set(
            xscale="log",
            xlim=(1.3, 1500),
            xlabel="workers",
            xticks=WORKERS,
            xticklabels=[f"{each:,}" for each in WORKERS],
        )
        ax.minorticks_off()
    return words_for(work, share, f"{network}, {share} images per worker, {link}", gains)


def words_for(work: Work, share: int, setting: str, gains: Sequence[float]) -> str:
    """What the picture shows: the time of a step, and the speed-up with each number of workers that is named."""
    told = ", ".join(f"{gain:.3g} times with {each:,}" for each, gain in zip(WORKERS, gains))
    return (
        f"{setting}: a worker computes {work.seconds(share):.2g} s in a step. "
        f"Images a second, compared with one worker: {told} workers."
    )


def label_dots(ax: Axes, gains: Sequence[float]) -> None:
    """Write each speed-up below its dot."""
    for each, gain in zip(WORKERS, gains):
        ax.annotate(f"{gain:.3g}", (each, gain), (0, -20), textcoords="offset points", ha="center")
