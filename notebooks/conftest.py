"""What pytest does with the notebooks: keep their runs apart, and compare their outputs with the stored ones."""

import collections
import functools
import os
import sys
from pathlib import Path

from nbval.plugin import IPyNbCell

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

import figures
from own_runs import keep_runs_apart
from stored_outputs import compare_cell


def pytest_configure(config):
    keep_runs_apart(config)
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # of the lessons' kernels: two run at a time, on two cores as a rule


def pytest_collection_modifyitems(items):
    """Let nbval, which runs the cells of the notebooks, compare their outputs in our way (see stored_outputs.py)."""
    for item in items:
        if isinstance(item, IPyNbCell):
            if not hasattr(item.parent, "figures"):
                item.parent.figures = figures.kept(item.path.stem)
                item.parent.setup = figures.described()(item.parent.setup)  # it starts the kernel
            item.options["check"] = True
            item.compare_outputs = functools.partial(compare_cell, item)


SECONDS: collections.Counter = collections.Counter()  # of each notebook


def pytest_runtest_logreport(report):
    notebook = report.nodeid.partition("::")[0]
    if notebook.endswith(".ipynb"):
        SECONDS[notebook] += report.duration


def pytest_terminal_summary(terminalreporter):
    """How long the cells took here; what the lessons say is compared with tests/lesson_seconds.json."""
    if SECONDS:
        terminalreporter.section("seconds of the lessons", sep="-")
    for notebook, seconds in sorted(SECONDS.items()):
        terminalreporter.write_line(f"{notebook:45}{seconds:6.0f}")
