"""How long it takes from Run All to the first figure of each lesson, the start of the kernel included."""

import copy
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parent.parent.parent


def up_to_first_figure(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """The notebook without what stands after the cell that draws its first figure, as the stored outputs tell."""
    outputs = [cell.get("outputs", []) for cell in notebook.cells]
    drawn = [any("image/png" in output.get("data", {}) for output in of_cell) for of_cell in outputs]
    return nbformat.from_dict({**notebook, "cells": notebook.cells[: drawn.index(True) + 1]})


def seconds_to_run(notebook: nbformat.NotebookNode, folder: Path) -> float:
    """The seconds from the start of a new kernel to the end of the last cell, without the kernel's shutdown."""
    ended = []
    client = NotebookClient(copy.deepcopy(notebook), timeout=600, resources={"metadata": {"path": str(folder)}})
    client.on_cell_executed = lambda **_: ended.append(time.perf_counter())
    started = time.perf_counter()
    client.execute(stderr=subprocess.DEVNULL)  # where new kernels warn that their messages are not encrypted
    return ended[-1] - started


def first_figures(rounds: int) -> None:
    """Print the medians for all lessons that draw a figure."""
    print(f"{'':26}{'seconds':>9}   (medians of {rounds} kernels, lowest and highest)")
    with tempfile.TemporaryDirectory() as runs:  # a fresh place, so that no lesson loads what another one made
        os.environ["MNIST_RUNS_DIR"] = runs
        for path in sorted((ROOT / "notebooks").glob("0[1-9]*.ipynb")):
            begun = up_to_first_figure(nbformat.read(path, as_version=4))
            seconds = [seconds_to_run(begun, path.parent) for _ in range(rounds)]
            print(f"{path.stem:26}{statistics.median(seconds):9.1f}   ({min(seconds):.1f}–{max(seconds):.1f})")
            sys.stdout.flush()
