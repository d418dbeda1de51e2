"""Seconds and memory as the work grows: more images, larger batches, wider networks, more models at a time."""

import json
import os
import tempfile
import time
from dataclasses import asdict, replace
from pathlib import Path

from .compare import child, load
from .peers import PEERS
from .task import Task

GROWING = {  # which number of the task grows, and the steps
    "images": (1_000, 4_000, 16_000, 60_000),
    "batch": (8, 32, 128, 1024),
    "width": (64, 128, 512, 2048),
}
MODELS = (1, 2, 4, 8, 16)
WAYS = ("fit", "floor")


def sweep_of(models: int, images: int) -> dict[str, float]:
    """Train so many models of the recipe for an epoch, as the ledger's command does, one on each core: seconds from the
    call to the last result, with the start of the processes; memory of all processes at the end, in MB.
    """
    import psutil

    from mnist_helpers.labs.sweep.grid import Setting
    from mnist_helpers.labs.sweep.work import sweep

    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        sweep([Setting(train_size=images, epochs=1, seed=seed) for seed in range(models)], Path(folder))
        seconds = time.perf_counter() - started
        me = psutil.Process()
        memory = sum(each.memory_info().rss for each in [me, *me.children(recursive=True)])
    return {"seconds": seconds, "memory": memory / 1e6}


def point(way: str, task: Task) -> dict[str, float]:
    """Seconds to train an epoch, without its measurements, and peak memory of one process."""
    result = child(PEERS[way][0], json.dumps(asdict(task)))
    rows = result["rows"][1:]
    return {"seconds": min(row["train"] for row in rows), "memory": result["memory"]}


def grown(task: Task) -> list[dict]:
    """One row for each number, step and way."""
    rows = []
    for name, steps in GROWING.items():
        for step in steps:
            for way in WAYS:
                rows.append({"what": name, "step": step, "way": way} | point(way, replace(task, **{name: step})))
                print("{what:8}{step:>8,} {way:6}{seconds:9.3f} s{memory:8.0f} MB".format(**rows[-1]), flush=True)
    return rows


def sweeps(task: Task, models: tuple[int, ...]) -> list[dict]:
    """One row for each number of models; the floor's is computed from one model, spread over the cores."""
    floor = point("floor", task)
    rows = []
    for number in models:
        found = child("sweep", json.dumps({"models": number, "images": task.images}))
        least = {"seconds": floor["seconds"] * number / min(number, os.cpu_count() or 1), "memory": floor["memory"]}
        for way, values in (("fit", found), ("floor", least)):
            rows.append({"what": "models", "step": number, "way": way} | values)
            print("{what:8}{step:>8,} {way:6}{seconds:9.3f} s{memory:8.0f} MB".format(**rows[-1]), flush=True)
    return rows


def draw(rows: list[dict], path: Path) -> None:
    """Seconds above, memory below, a column for each number that grows."""
    from matplotlib.figure import Figure

    from mnist_helpers.files import complete_file

    columns = dict.fromkeys(row["what"] for row in rows)
    figure = Figure(figsize=(3.2 * len(columns), 5.6), layout="constrained")
    axes = figure.subplots(2, len(columns), squeeze=False)
    for column, what in zip(axes.T, columns):
        for ax, measure in zip(column, ("seconds", "memory")):
            for way, mark in zip(WAYS, "os"):
                points = [row for row in rows if (row["what"], row["way"]) == (what, way)]
                ax.loglog([row["step"] for row in points], [row[measure] for row in points], f"{mark}-", label=way)
            ax.set(xlabel=what, ylabel=f"{measure}{' (MB)' * (measure == 'memory')}")
    axes[0, 0].legend()
    with complete_file(path) as file:
        figure.savefig(file, format="png", dpi=120)


def scaling(task: Task, folder: Path, models: tuple[int, ...] = MODELS) -> list[dict]:
    """Measure and print; write `scaling.json` and `scaling.png` into `folder`."""
    print(
        f"Trained on {task.images:,} images, batches of {task.batch}, width {task.width}, but for what grows;", load()
    )
    with tempfile.TemporaryDirectory() as arrays:
        child("arrays", arrays)
        task = replace(task, folder=arrays)
        rows = grown(task) + sweeps(task, models)
    print(load())
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "scaling.json").write_text(json.dumps(rows), encoding="utf-8")
    draw(rows, folder / "scaling.png")
    return rows
