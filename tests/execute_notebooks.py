"""Run every notebook in place on full MNIST and leave it clean: cells numbered 1..n, no widget state, no time stamps.

Usage: python tests/execute_notebooks.py [NOTEBOOK ...]     (default: all, in order)
"""
import os
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

from mnist_helpers import load_mnist

WIDGET = "application/vnd.jupyter.widget-view+json"
NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"


def execute(path: Path) -> None:
    """Run one notebook in its own folder; the file is replaced only when every cell ran."""
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(
        notebook,
        timeout=900,
        kernel_name="python3",
        record_timing=False,
        store_widget_state=False,
        coalesce_streams=True,
        resources={"metadata": {"path": str(path.parent)}},
    ).execute()
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            output.get("data", {}).pop(WIDGET, None)  # without a kernel it would be shown as an error
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
        "rise": notebook.metadata["rise"],
    }
    unfinished = path.with_name(path.name + ".unfinished")
    nbformat.write(notebook, unfinished)
    unfinished.replace(path)


def main(names: list[str]) -> None:
    """Execute the named notebooks, or all of them. Exits with a message when full MNIST cannot be had."""
    data = load_mnist()
    if data.source != "full":
        sys.exit(f"The notebooks are stored with the results of full MNIST, but this is: {data}")
    with tempfile.TemporaryDirectory() as runs:  # a fresh place, so that lesson 03 makes what 04 and 05 load
        os.environ["MNIST_RUNS_DIR"] = runs
        for path in [Path(name) for name in names] or sorted(NOTEBOOKS.glob("*.ipynb")):
            print(path.name, flush=True)
            execute(path)


if __name__ == "__main__":
    main(sys.argv[1:])
