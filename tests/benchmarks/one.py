"""Measure one thing in this process: `python -m tests.benchmarks.one MODULE TASK`, TASK as JSON. Prints JSON.

MODULE is one of the ways of training in `peers`: its rows, one an epoch, and the largest memory of the process in MB.
Or "arrays", which writes the images into the folder TASK; "startup"; "sweep".
"""

import importlib
import json
import sys
from pathlib import Path


def peak_memory() -> float:
    """The most memory that this process has held at once, in MB; NaN on Windows."""
    try:
        import resource
    except ModuleNotFoundError:
        return float("nan")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)


def measure(module: str, task: str) -> object:
    if module == "startup":
        return importlib.import_module(".startup", __package__).steps()
    from .task import Task, keep_arrays  # NumPy with it, which "startup" does without

    if module == "arrays":
        return keep_arrays(Path(task))
    if module == "sweep":
        return importlib.import_module(".scaling", __package__).sweep_of(**json.loads(task))
    rows = list(importlib.import_module(f".peers.{module}", __package__).epochs(Task(**json.loads(task))))
    return {"rows": rows, "memory": peak_memory()}


if __name__ == "__main__":
    print(json.dumps(measure(*sys.argv[1:])))
