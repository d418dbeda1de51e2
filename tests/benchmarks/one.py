"""Measure one way of training in this process: `python -m tests.benchmarks.one MODULE TASK`, TASK as JSON.

Prints a JSON object: the rows, one an epoch; and the largest memory of the process so far, in MB.
"""

import importlib
import json
import sys
from pathlib import Path

from .task import Task, keep_arrays


def peak_memory() -> float:
    """The most memory that this process has held at once, in MB; NaN on Windows."""
    try:
        import resource
    except ModuleNotFoundError:
        return float("nan")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)


def main(module: str, task: str) -> None:
    if module == "arrays":
        print(json.dumps(keep_arrays(Path(task))))
        return
    peer = importlib.import_module(f".peers.{module}", __package__)
    rows = list(peer.epochs(Task(**json.loads(task))))
    print(json.dumps({"rows": rows, "memory": peak_memory()}))


if __name__ == "__main__":
    main(*sys.argv[1:])
