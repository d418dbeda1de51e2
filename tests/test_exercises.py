"""The exercises with a check: right answers are accepted however they are written, wrong ones are named."""

import importlib
import json

import pytest

from lessons import PATHS, code_cells, exercise_cells, read, solutions_of_exercises
from mnist_helpers.exercises import check, examine, progress, show_progress
from mnist_helpers.exercises.checking import exercise_named, exercises_of, lessons

ANSWERS = {lesson: importlib.import_module(f"answers.lesson_{lesson}") for lesson in lessons()}
NAMES = [name for lesson in lessons() for name in exercises_of(lesson)]


def lesson_of(name):
    return name.partition(".")[0]


@pytest.fixture(autouse=True)
def own_progress(tmp_path, monkeypatch):
    monkeypatch.setenv("MNIST_RUNS_DIR", str(tmp_path))


@pytest.mark.parametrize("name", NAMES)
def test_right_answers_are_accepted_and_wrong_ones_named(name):
    answers = ANSWERS[lesson_of(name)]
    right, wrong = answers.RIGHT[name], answers.WRONG[name]
    assert len(right) >= 3 and len(wrong) >= 5
    for answer in right:
        report = examine(name, answer)
        assert report.solved and report.right, report
    for answer, message in wrong.items():
        report = examine(name, answer)
        assert report.written and message in report.wrong, report


@pytest.mark.parametrize("name", NAMES)
def test_each_exercise_has_three_hints(name):
    hints = exercise_named(name).hints
    assert len(set(hints)) == len(hints) == 3


@pytest.mark.parametrize("path", [path for path in PATHS if path.stem.partition("_")[0] in lessons()], ids=str)
def test_a_lesson_s_exercises_are_unanswered_and_their_solutions_right(path):
    notebook, lesson = read(path), path.stem.partition("_")[0]
    names = list(exercises_of(lesson))
    cells = exercise_cells(notebook)
    assert len(names) >= 3 and len(names) == len(cells)
    lines = "\n".join(cell.source for cell in code_cells(notebook)).splitlines()
    imports = "\n".join(line for line in lines if line.startswith(("import ", "from ")))
    for name, cell, solution in zip(names, cells, solutions_of_exercises(notebook), strict=True):
        assert cell.outputs[0].text.startswith(f"Exercise {name}: no answer yet.")
        answered = cell.source.splitlines()[-1].partition(", ")[2].removesuffix(")")
        scope: dict = {}
        exec(f"{imports}\n{solution}", scope)
        assert examine(name, eval(answered, scope)).solved, solution


def test_each_try_gives_a_stronger_hint(capsys):
    for hint in exercise_named("02.1").hints:
        check("02.1", lambda sizes: 0)
        printed = capsys.readouterr().out
        assert "not right yet" in printed and hint in printed
        assert ("solution is folded" in printed) == (hint == exercise_named("02.1").hints[-1])
    check("02.1", ANSWERS["02"].RIGHT["02.1"][0])
    assert "Exercise 02.1: right." in capsys.readouterr().out


def test_an_answer_that_is_not_written_is_no_try(capsys):
    def bare(sizes): ...

    def documented(sizes):
        """Count them."""
        ...

    class Half:
        def forward(self): ...

    for answer in (..., bare, documented, Half, (1, ...)):
        check("02.1", answer)
        assert "no answer yet" in capsys.readouterr().out
    assert not progress.progress_file().exists()


def test_an_error_in_the_answer_is_told_with_its_line(capsys):
    def fails(sizes):
        return sizes + 1

    check("02.1", fails)
    printed = capsys.readouterr().out
    assert "your code raised TypeError" in printed and "return sizes + 1" in printed


def test_an_answer_that_is_interrupted_is_told_so(capsys):
    def endless(slope, w, lr, small):
        raise KeyboardInterrupt  # as Kernel, Interrupt does in a loop without an end

    check("03a.1", endless)
    printed = capsys.readouterr().out
    assert "stopped before it came to an end" in printed and "raise KeyboardInterrupt" in printed
    assert "hint 1" in printed


def test_progress_is_kept_and_shown(capsys):
    show_progress()
    assert "none yet" in capsys.readouterr().out
    check("02.1", lambda sizes: 0)
    check("02.1", ANSWERS["02"].RIGHT["02.1"][0])
    check("02.1", lambda sizes: 0)
    capsys.readouterr()
    show_progress()
    assert f"lesson 02: 1 of {len(exercises_of('02'))}" in capsys.readouterr().out
    assert json.loads(progress.progress_file().read_text())["02.1"] == {"tries": 2, "solved": True}


@pytest.mark.parametrize("text", ["", "[]", '{"02.1": 3}', '{"02.1": {"tries": "x"}}', "\x00"])
def test_a_damaged_file_of_progress_counts_as_none(text, capsys):
    progress.progress_file().write_text(text)
    show_progress()
    assert "none yet" in capsys.readouterr().out


def test_where_progress_cannot_be_kept_the_check_answers_all_the_same(tmp_path, monkeypatch, capsys):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MNIST_RUNS_DIR", str(tmp_path / "file"))
    check("02.1", lambda sizes: 0)
    printed = capsys.readouterr().out
    assert "could not be kept" in printed and "hint 1 of 3" in printed


@pytest.mark.parametrize("name", ["02.99", "99.1", "x", 2])
def test_an_unknown_exercise_is_refused_with_those_that_there_are(name):
    with pytest.raises(ValueError, match="there is no exercise .*02"):
        check(name, 1)
