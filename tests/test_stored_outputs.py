"""What the comparison of stored outputs finds, and what it lets pass."""

import inspect
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

import findings
from lessons import PATHS, code_cells, read
from stored_outputs import DRAWN, HOLDS, broken, compare_cell, differences, text_of

ROOT = Path(__file__).resolve().parent.parent
TABLE = """       train_loss  train_accuracy  valid_loss  valid_accuracy
epoch
11         0.0805           0.989      0.4171          0.8818
40         0.0030           1.000      0.5744          0.8835"""
TRAINED = ["holds:the_loss_turns_and_rises"]
STEP = ["holds:one_step_lowers_the_loss"]


@pytest.mark.parametrize(
    "stored, new",
    [
        *(("(32, 784)", "(32, 785)"), ("ln 10 = 2.303", "ln 10 = 2.304"), ("1,500 batches", "1,501 batches")),
        *(("sum: -1", "sum: 1"), ("equal? True", "equal? False"), ("a\nb", "a"), ("a", "a\nb"), ("a", ""), ("", "a")),
    ],
)
def test_without_a_tag_any_change_is_found(stored, new):
    assert differences(stored, stored) == []
    assert len(differences(stored, new)) == 1


def test_after_training_what_the_lesson_says_decides():
    assert differences(TABLE, TABLE.replace("0.4171", "0.3999"), TRAINED) == []
    assert differences(TABLE, TABLE.replace("0.4171", "0.3999")) != [], "without the tag nothing may change"
    for old, new in (("0.5744", "0.4200"), ("40 ", "39 "), ("0.0030", "0.3000"), ("0.8835", "0.5835")):
        (found,) = differences(TABLE, TABLE.replace(old, new), TRAINED)
        assert "no longer holds (the_loss_turns_and_rises)" in found


@pytest.mark.parametrize(
    "change",
    [("dropout 0.2", "dropout 0.3"), ("seed 1", "seed 2"), ("1,000 images", "1,001 images"), (": loss", ": cost")],
)
def test_after_training_settings_and_words_must_be_the_same(change):
    stored = "dropout 0.2, seed 1, 1,000 images: loss before 2.31, after 2.25"
    assert differences(stored, stored.replace("2.25", "2.26"), STEP) == []
    assert "line 1" in differences(stored, stored.replace(*change), STEP)[0]


def test_the_number_of_different_answers_may_change():
    stored = "1, wide. Plain softmax: 7 with probability 0.72. mean 0.54 for 7; answers: 67 times 7, 33 times 9."
    new = stored.replace(", 33 times 9", ", 22 times 9, 11 times 1")
    assert differences(stored, new, ["holds:a_wide_one_is_misread"]) == []


@pytest.mark.parametrize(
    "stored, new",
    [
        ("epoch 10/10: 100%|████| 15000/15000 [00:44<00:00, 339.25 steps/s]\nend", "end"),
        ("Took the run 'recipe' that comes with the package.", "Training the run 'recipe' now (there is no file)."),
        ("one pass over 48,000 images: 4.77 s", "one pass over 48,000 images: 9.12 s"),
        ("30 times as long", "17 times as long"),
        ("<Figure size 900x400 with 1 Axes>", "<Figure size 450x200 with 1 Axes>"),
        ("<Thing at 0x7f3a>", "<Thing at 0x11bc>"),
        ("torch 2.6.0+cpu", "torch 2.9.1"),
        ("a  1\nb 10", "a 1\nb  10"),
    ],
)
def test_what_differs_in_every_run_is_not_compared(stored, new):
    assert differences(stored, new) == []


def test_the_message_has_both_lines():
    (message,) = differences("a 1\naccuracy 97.66%", "a 1\naccuracy 92.00%")
    for part in ("line 2", "stored: accuracy 97.66%", "new:    accuracy 92.00%"):
        assert part in message


def holding():
    """(notebook, name of the finding, text of the stored outputs) of each cell with such a tag."""
    for path in PATHS:
        for each in code_cells(read(path)):
            for tag in each.metadata.get("tags", []):
                if tag.startswith(HOLDS):
                    yield path.stem, tag.removeprefix(HOLDS), text_of(each.outputs)


HELD = list(holding())


@pytest.mark.parametrize("lesson, name, text", HELD, ids=[f"{lesson}-{name}" for lesson, name, _ in HELD])
def test_what_the_lessons_say_holds_of_what_is_stored_and_not_of_just_any_numbers(lesson, name, text):
    """Other numbers in the same words are found, and so is an empty output."""
    assert broken(name, text) == []
    others = [
        re.sub(r"\d+\.\d+", "0.0", text),
        re.sub(r"\d+\.\d+", "0.5", text),
        re.sub(r"\d+", lambda number: str(2 * int(number[0]) + 1), text),
    ]
    assert any(broken(name, other) for other in others) and broken(name, "")


def test_every_finding_has_its_cell():
    functions = {
        name
        for name, function in inspect.getmembers(findings, inspect.isfunction)
        if function.__module__ == "findings" and list(inspect.signature(function).parameters) == ["text"]
    }
    assert functions == {name for _, name, _ in HELD}


def test_the_tags_are_known():
    tags = {tag for path in PATHS for cell in code_cells(read(path)) for tag in cell.metadata.get("tags", [])}
    assert all(re.match(f"nbval-check-output$|solution$|exercise$|{DRAWN}$|mirrors:|holds:", tag) for tag in tags)


def cell(source="print(1)", tags=()):
    return SimpleNamespace(cell=new_code_cell(source, metadata={"tags": list(tags)}), parent=SimpleNamespace())


def stream(text, name="stdout"):
    return new_output("stream", name=name, text=text)


def result(text, kind="execute_result"):
    return new_output(kind, data={"text/plain": text, "text/html": "<b>not compared</b>"})


def test_outputs_of_every_kind_are_compared():
    stored = [stream("a 1\n"), result("b 2")]
    assert compare_cell(cell(), stored, stored)
    for new in ([stream("a 1\n")], [result("b 2")], [stream("a 1\n"), result("b 3")], []):
        assert not compare_cell(cell(), new, stored)


def test_warnings_and_hidden_values_are_not_compared_and_a_place_for_a_picture_counts_as_one():
    picture = result("<Figure size 900x400 with 1 Axes>", "display_data")
    assert compare_cell(cell(), [stream("a"), stream("careful", "stderr")], [stream("a")])
    assert compare_cell(cell("plot(1);"), [result("<Axes: >"), picture], [picture])
    assert not compare_cell(cell("plot(1);"), [result("<Axes: >")], [picture])
    assert compare_cell(cell(), [new_output("display_data")], [picture])
    assert not compare_cell(cell(), [], [picture])


def test_on_the_sample_only_what_is_the_same_everywhere_is_compared():
    here = cell()
    assert compare_cell(here, [stream("MNIST sample: 3,000 training")], [stream("Full MNIST: 48,000 training")])
    assert compare_cell(here, [stream("3,000")], [stream("48,000")])
    here.cell.metadata.tags = ["nbval-check-output"]
    assert not compare_cell(here, [stream("3,000")], [stream("48,000")])


def test_pytest_compares_what_a_notebook_stores(tmp_path):
    """A run of pytest as the README shows it, on a notebook with one right and one wrong stored output."""
    cells = [new_code_cell(f"print({number})", outputs=[stream(f"{number}\n")], execution_count=1) for number in (1, 2)]
    cells[1].outputs[0].text = "3\n"
    nbformat.write(new_notebook(cells=cells), tmp_path / "lesson.ipynb")
    command = [sys.executable, "-m", "pytest", "--color=no", "-p", "no:cacheprovider", "-c", ROOT / "pyproject.toml"]
    command += ["--rootdir", ROOT, ROOT / "notebooks" / "conftest.py", tmp_path / "lesson.ipynb"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT)
    assert "1 failed, 1 passed" in done.stdout, done.stdout + done.stderr
    assert "Cell 1: Cell outputs differ" in done.stdout and "stored: 3" in done.stdout
