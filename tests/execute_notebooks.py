"""Run every notebook in place on full MNIST and leave it clean: cells numbered 1..n, no widget state, no time stamps.

Usage: python tests/execute_notebooks.py [--seconds] [NOTEBOOK ...]     (default: all, in order)

What each took is written into lesson_seconds.json; with --seconds only that, and the notebooks stay as they are.
"""

import base64
import io
import os
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from PIL import Image

import figures
import lesson_seconds
from mnist_helpers import load_mnist

WIDGET = "application/vnd.jupyter.widget-view+json"
NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"


def execute(path: Path, replace: bool = True) -> None:
    """Run one notebook in its own folder; the file is replaced only when every cell ran."""
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        timeout=900,
        kernel_name="python3",
        record_timing=False,
        store_widget_state=False,
        coalesce_streams=True,
        resources={"metadata": {"path": str(path.parent)}},
    )
    with figures.described():
        client.execute()
    if not replace:
        return
    for data in [output.get("data", {}) for cell in notebook.cells for output in cell.get("outputs", [])]:
        data.pop(WIDGET, None)  # without a kernel it would be shown as an error
        if "image/png" in data:
            data["image/png"] = fewer_colours(data["image/png"])
    figures.keep(notebook, path.stem)
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
        "rise": notebook.metadata["rise"],
    }
    unfinished = path.with_name(path.name + ".unfinished")
    nbformat.write(notebook, unfinished)
    unfinished.replace(path)


def fewer_colours(png: str) -> str:
    """The picture (base64) with at most 256 colours: a third of the size, and no eye sees the difference."""
    buffer = io.BytesIO()
    picture = Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB")
    picture.quantize(256, dither=Image.Dither.NONE).save(buffer, format="png", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode()


def main(names: list[str]) -> None:
    """Execute the named notebooks, or all of them. Exits with a message when full MNIST cannot be had."""
    data = load_mnist()
    if data.source != "full":
        sys.exit(f"The notebooks are stored with the results of full MNIST, but this is: {data}")
    with tempfile.TemporaryDirectory() as runs:  # a fresh place, so that no lesson loads what another one made
        os.environ |= {"MNIST_RUNS_DIR": runs, "OMP_NUM_THREADS": "1"}
        replace = "--seconds" not in names
        for path in [Path(name) for name in names if name != "--seconds"] or sorted(NOTEBOOKS.glob("*.ipynb")):
            print(path.name, flush=True)
            lesson_seconds.keep(path.stem, lesson_seconds.processor_seconds(lambda: execute(path, replace)))  # noqa: B023


if __name__ == "__main__":
    main(sys.argv[1:])
