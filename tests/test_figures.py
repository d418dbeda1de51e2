"""What the comparison of figures finds, what it lets pass, and that each stored picture has its description."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pytest
from nbformat.v4 import new_code_cell, new_notebook

import execute_notebooks
import figures
from lessons import PATHS, code_cells, read
from mnist_helpers.widgets.panel import Still
from stored_outputs import figure_differences

ROOT = Path(__file__).resolve().parent.parent
DIGIT = np.add.outer(np.arange(28), np.arange(28) ** 2 / 27) / 54


def drawn(noise=0.0, **change):
    """The description of a figure with one of each kind of artist, one thing of it changed."""
    part = {
        "x": np.arange(1, 101),
        "loss": 2.3 / np.sqrt(np.arange(1, 101)),
        "dots": [[0.1, 0.9], [0.5, 0.2]],
        "bars": [3, 1, 2],
        "digit": DIGIT,
        "matrix": [[3, 1], [0, 4]],
        "colour": "#0072B2",
        "scale": "log",
        "title": "seed 1: 97.66 %",
        "label": "training",
        "name": "epoch",
        "ticks": ["dropout", "decay", "neither"],
        "note": "the best",
        "line": "-",
        "marker": "o",
        "face": "black",
        "place": (0.5, 0.5),
        "axes": 6,
    } | change
    figure, axes = plt.subplots(1, part["axes"])
    figure.suptitle("a figure")
    axes[0].plot(part["x"], part["loss"] * (1 + noise), color=part["colour"], label=part["label"], ls=part["line"])
    axes[0].axhline(0.5, color=plt.cm.viridis(0.5))
    axes[0].fill_between(part["x"], 0.9 * part["loss"], 1.1 * part["loss"] * (1 + noise))
    axes[0].set(yscale=part["scale"], title=part["title"], xlabel=part["name"])
    axes[0].legend()
    axes[1].scatter(*part["dots"])
    axes[1].annotate(part["note"], part["place"], (0.2, 0.7), arrowprops={"arrowstyle": "->"})
    axes[2].bar(part["ticks"], part["bars"])
    axes[3].imshow(part["digit"] * (1 + noise), vmin=0, vmax=1)
    axes[4].imshow(part["matrix"])
    if part["axes"] > 5:
        axes[5].errorbar([1, 2], [1, 2], yerr=part.get("error", 0.5), fmt=part["marker"], mfc=part["face"])
    description = json.loads(figures.describe(figure))
    plt.close(figure)
    return description


STORED = drawn()


CHANGES = [
    *({"loss": np.full(100, 1.0)}, {"loss": 2.2 / np.sqrt(np.arange(1, 101))}, {"x": np.arange(2, 102)}),
    *({"dots": [[0.1, 0.9], [0.5, 0.21]]}, {"bars": [3, 1.02, 2]}, {"digit": DIGIT.T}, {"matrix": [[3, 1], [1, 4]]}),
    *({"digit": np.where(DIGIT > 0.9, 0, DIGIT)}, {"error": 0.6}, {"face": "white"}),
    {"place": (0.6, 0.5)},
]
OTHER_WORDS = [
    *({"colour": "#D55E00"}, {"title": "seed 2: 97.66 %"}, {"label": "validation"}, {"name": "step"}),
    *({"line": "--"}, {"marker": "s"}),
    *(
        {"ticks": ["dropout", "decay", "both"]},
        {"note": "the worst"},
        {"axes": 5},
        {"scale": "linear"},
        {"bars": [3, 1], "ticks": ["ab", "cd"]},
    ),
]
RESULT = {"title": "seed 1: 97.71 %"}


@pytest.mark.parametrize("change", [*CHANGES, *OTHER_WORDS, RESULT], ids=str)
def test_without_a_tag_any_change_is_found(change):
    assert figure_differences([STORED], [drawn()]) == []
    assert figure_differences([STORED], [drawn(**change)])


@pytest.mark.parametrize("tag", ["holds:seeds_differ", "drawn-after-training"])
def test_after_training_words_and_kinds_must_be_the_same(tag):
    for change in (*CHANGES, RESULT):
        assert figure_differences([STORED], [drawn(**change)], [tag]) == []
    for change in OTHER_WORDS:
        assert figure_differences([STORED], [drawn(**change)], [tag])


def test_the_last_digits_of_another_processor_and_another_size_are_not_found():
    assert figure_differences([STORED], [drawn(noise=1e-4)]) == []
    with plt.rc_context({"figure.figsize": (20, 3), "figure.dpi": 40, "figure.constrained_layout.use": True}):
        assert figure_differences([STORED], [drawn()]) == []
    assert figure_differences([STORED], [drawn(noise=0.01)])


def test_a_figure_more_or_less_is_found_and_one_that_nbval_does_not_see_is_passed_over():
    assert figure_differences([], []) == figure_differences([drawn()], [None]) == figure_differences([], [None]) == []
    for stored, new in (([], [drawn()]), ([drawn()], []), ([drawn()], [drawn(), drawn()])):
        (message,) = figure_differences(stored, new)
        assert "run tests/execute_notebooks.py" in message


def test_figures_and_the_stills_of_panels_are_described_and_nothing_else():
    figure, axes = plt.subplots()
    axes.plot([1, 2])
    assert figures.describe(Still(figure, "a line")) == figures.describe(figure)
    assert [figures.describe(thing) for thing in (axes, "text", 1, None)] == [None] * 4


def test_the_message_says_what_and_where():
    (message,) = figure_differences([STORED], [drawn(bars=[3, 1.5, 2])])
    assert "axes 3" in message and "Rectangle" in message and "stored:" in message


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_each_stored_picture_has_its_description(path):
    pictures = [
        (cell.id, figures.short(output.data["image/png"]))
        for cell in code_cells(read(path))
        for output in cell.outputs
        if "image/png" in output.get("data", {})
    ]
    assert [(each["cell"], each["png"]) for each in figures.kept(path.stem)] == pictures
    assert figures.MIME not in path.read_text(encoding="utf-8")


def test_execute_keeps_what_pytest_compares(tmp_path, monkeypatch):
    """A lesson with two figures is run and stored; then one is another, and pytest finds it."""
    tests, lessons = tmp_path / "tests", tmp_path / "notebooks"
    tests.mkdir()
    for file in (ROOT / "tests").glob("*.py"):
        shutil.copy(file, tests)
    lessons.mkdir()
    shutil.copy(ROOT / "notebooks" / "conftest.py", lessons)
    path = lessons / "lesson.ipynb"
    cells = ["import matplotlib.pyplot as plt\nheight = 3", "plt.bar([1, 2], [1, height]);", "plt.plot([1, 2]);"]
    cells += ["print([name for name in dir() if 'figure' in name.lower()])"]
    notebook = new_notebook(cells=[new_code_cell(cell) for cell in cells], metadata={"rise": {}})
    nbformat.write(notebook, path)
    monkeypatch.setattr(figures, "FOLDER", tests / "figures")
    execute_notebooks.execute(path)
    stored = read(path)
    assert stored.cells[3].outputs[0].text == "[]\n" and list(stored.cells[1].outputs[0].metadata) == []
    assert sorted(stored.cells[1].outputs[0].data) == ["image/png", "text/plain"]
    assert "4 passed" in run_pytest(tmp_path)
    stored.cells[0].source = stored.cells[0].source.replace("3", "4")
    nbformat.write(stored, path)
    told = run_pytest(tmp_path)
    assert "1 failed, 3 passed" in told and "axes 1 of the figure" in told


def run_pytest(folder):
    command = [sys.executable, "-m", "pytest", "--color=no", "-p", "no:cacheprovider", "-c", ROOT / "pyproject.toml"]
    command += ["--rootdir", folder, folder / "notebooks"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=folder)
    return done.stdout + done.stderr
