"""Seconds, memory and accuracy of the ways of training in `peers`, in turns, each in a process of its own."""

import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import asdict, replace
from pathlib import Path

from .peers import PEERS, VARIANTS, missing
from .task import Task

ROOT = Path(__file__).resolve().parent.parent.parent
RECIPE_EPOCHS = 10  # what happens once, such as compiling, counts a tenth in each of them


def child(*arguments: str, threads: int | None = None) -> dict | str:
    """What `one.py` prints, run in a new process. Without `threads` each way takes its own default."""
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    environment |= {} if threads is None else {"OMP_NUM_THREADS": str(threads)}
    command = [sys.executable, "-m", "tests.benchmarks.one", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def measured(name: str, task: Task, threads: int | None = None) -> dict:
    """One round of one way: its rows and its memory."""
    print(f"{name} …", file=sys.stderr, flush=True)
    return child((PEERS | VARIANTS)[name][0], json.dumps(asdict(task)), threads=threads)


def rounds_of(names: list[str], task: Task, rounds: int, threads: int | None) -> dict[str, list[dict]]:
    """`rounds` rounds of each way, in turns, so that what else the machine does meets all of them."""
    results: dict[str, list[dict]] = {name: [] for name in names}
    for _ in range(rounds):
        for name in names:
            results[name].append(measured(name, task, threads))
    return results


def whole(row: dict) -> float:
    """The seconds of an epoch with both of its measurements."""
    return row["train"] + row["valid"] + row["curve"]


def summary(rounds: list[dict]) -> dict:
    """Medians and extremes over all epochs but the first of each round; `with_start` adds what the first has more.

    A process with one epoch only has no other: it is taken then, start and all.
    """
    later = [row for each in rounds for row in (each["rows"][1:] or each["rows"])]
    seconds = [whole(row) for row in later]
    more = statistics.median(whole(each["rows"][0]) for each in rounds) - statistics.median(seconds)
    return {
        "train_valid": statistics.median(row["train"] + row["valid"] for row in later),
        "epoch": statistics.median(seconds),
        "low": min(seconds),
        "high": max(seconds),
        "with_start": statistics.median(seconds) + max(more, 0) / RECIPE_EPOCHS,
        "cpu": statistics.median(row["cpu"] for row in later),
        "memory": statistics.median(each["memory"] for each in rounds),
        "accuracy": statistics.mean(each["rows"][-1]["accuracy"] for each in rounds),
    }


def table(summaries: dict[str, dict], epochs: int) -> str:
    """The summaries as lines of text; ratios are those of whole epochs, in multiples of `fit`."""
    lines = [
        f"{'':20}{'seconds an epoch':>19}{'× fit':>8}{'with start':>12}{'× fit':>8}"
        f"{'train+valid':>13}{'CPU s':>8}{'peak MB':>9}{f'accuracy, {epochs} ep.':>17}"
    ]
    ours = summaries.get("fit", {"epoch": math.nan, "with_start": math.nan})
    for name, row in summaries.items():
        spread = f"{row['epoch']:.2f} ({row['low']:.2f}–{row['high']:.2f})"
        lines.append(
            f"{name:20}{spread:>19}{row['epoch'] / ours['epoch']:8.2f}{row['with_start']:12.2f}"
            f"{row['with_start'] / ours['with_start']:8.2f}{row['train_valid']:13.2f}{row['cpu']:8.2f}"
            f"{row['memory']:9.0f}{row['accuracy']:17.2%}"
        )
    return "\n".join(lines)


NOTES = f"""An epoch: training, then loss and accuracy of the validation and of the training images, dropout off
(medians, lowest and highest). "with start": a tenth of what the first epoch takes longer is added, as in a run of
{RECIPE_EPOCHS} epochs; for Keras this is the compilation. "train+valid": without measuring the training images.
"CPU s": of all threads, which other programs change less."""


def draw(summaries: dict[str, dict], path: Path) -> None:
    """A bar for each way, with its lowest and highest epoch, and what the start adds."""
    from matplotlib.figure import Figure

    from mnist_helpers.files import complete_file

    figure = Figure(figsize=(8, 0.6 * len(summaries) + 1.2), layout="constrained")
    ax = figure.subplots()
    for name, row in reversed(summaries.items()):
        ax.barh(name, row["with_start"], color="0.85")
        spread = [[row["epoch"] - row["low"]], [row["high"] - row["epoch"]]]
        ax.barh(name, row["epoch"], xerr=spread, color="#0072B2", capsize=3)
    ax.set(xlabel="seconds an epoch, medians with the lowest and the highest; grey: a tenth of the start")
    with complete_file(path) as file:
        figure.savefig(file, format="png", dpi=120)


def compare(task: Task, ways: list[str], rounds: int, folder: Path, threads: int | None = None) -> dict[str, dict]:
    """Measure, print the table, write `compare.json` and `compare.png` into `folder`; returns the summaries."""
    gone = {name: missing(name) for name in ways if missing(name)}
    with tempfile.TemporaryDirectory() as arrays:
        print(child("arrays", arrays), f"{os.cpu_count()} cores", load(), sep="; ", flush=True)
        names = [name for name in ways if name not in gone]
        results = rounds_of(names, replace(task, folder=arrays), rounds, threads)
    summaries = {name: summary(each) for name, each in results.items()}
    print(table(summaries, task.epochs))
    for name, packages in gone.items():
        print(f'{name:20} missing: {", ".join(packages)} (pip install -e ".[benchmarks]")')
    print(NOTES, load(), sep="\n")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "compare.json").write_text(json.dumps(results), encoding="utf-8")
    draw(summaries, folder / "compare.png")
    return summaries


def load() -> str:
    """How busy the machine is: the processes that want a core, in the mean of the last minute."""
    return f"load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "load unknown"
