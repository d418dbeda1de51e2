"""Lessons without solutions: nothing of a solution is left, all else is the same, and they run."""

import os
import re
import shutil
import subprocess
import sys

import nbformat
import pytest
from nbclient import NotebookClient

from lessons import PATHS, code_cells, markdown_cells, read, solutions
from mnist_helpers.classroom import EMPTY, main, strip, teaching_notes

LESSONS = PATHS[0].parent
NOTE = "<summary>Teaching note</summary>"


@pytest.fixture(scope="module")
def stripped(tmp_path_factory):
    """The folder without solutions, and the one without teaching notes as well."""
    folders = [tmp_path_factory.mktemp("stripped") for _ in range(2)]
    strip(folders[0])
    main(["strip", str(folders[1]), "--notes"])
    return folders


def solved(notebook):
    return [cell for cell in code_cells(notebook) if "solution" in cell.metadata.get("tags", [])]


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_nothing_of_a_solution_is_left(path, stripped):
    hidden = solutions(read(path)) + [cell.source for cell in solved(read(path))]
    hidden += [text for cell in solved(read(path)) for output in cell.outputs if (text := output.get("text"))]
    words = re.findall(r"(?s)<details><summary>Solution</summary>.*?```\n(.*?)</details>", str_of(read(path)))
    for folder in stripped:
        text = str_of(read(folder / path.name))
        assert hidden and [code for code in [*hidden, *words] if code.strip() and code.strip() in text] == []
        assert "Solution</summary>" not in text and text.count("<details>") == text.count("</details>") == text.count(
            NOTE
        )
    assert NOTE in str_of(read(stripped[0] / path.name)) and NOTE not in text


def str_of(notebook):
    outputs = [output.get("text", "") for cell in code_cells(notebook) for output in cell.outputs]
    return "\n\n".join([*(cell.source for cell in notebook.cells), *outputs])


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_all_else_is_the_same_and_the_notebook_valid(path, stripped):
    old = read(path)
    for folder, folded in zip(stripped, ("Solution", "(?:Solution|Teaching note)")):
        new = read(folder / path.name)
        nbformat.validate(new)
        cells = {cell.id: cell for cell in new.cells}
        assert list(cells) == [cell.id for cell in old.cells if cell.id in cells] and new.metadata == old.metadata
        for cell in old.cells:
            if cell in solved(old):
                assert (cells[cell.id].source, cells[cell.id].outputs) == (EMPTY, [])
            elif re.search(f"<summary>{folded}</summary>", cell.source):
                left = re.sub(rf"(?s)<details><summary>{folded}</summary>.*?</details>\n*", "", cell.source).strip()
                assert cells[cell.id].source == left if left else cell.id not in cells
            else:
                assert cells[cell.id] == cell


def test_a_lesson_without_solutions_runs(stripped, tmp_path):
    """One with cells in it that were emptied; the sample is enough for that."""
    notebook = read(stripped[1] / "05_predictions.ipynb")
    assert EMPTY in [cell.source for cell in notebook.cells]
    client = NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(stripped[1])}})
    client.execute(env=os.environ | {"MNIST_DATA_DIR": "sample", "MNIST_RUNS_DIR": str(tmp_path)})
    assert code_cells(notebook)[-1].execution_count == len(code_cells(notebook))


def test_a_file_that_is_there_is_kept_unless_asked_for(tmp_path):
    lessons = tmp_path / "lessons"
    lessons.mkdir()
    shutil.copy(PATHS[0], lessons)
    before = (lessons / PATHS[0].name).read_bytes()
    written = tmp_path / "out" / PATHS[0].name
    written.parent.mkdir()
    written.write_text("mine")
    with pytest.raises(SystemExit, match=f"{PATHS[0].name} already; name another folder, or add --overwrite"):
        main(["--lessons", str(lessons), "strip", str(written.parent)])
    assert written.read_text() == "mine" and (lessons / PATHS[0].name).read_bytes() == before
    main(["--lessons", str(lessons), "strip", str(written.parent), "--overwrite"])
    assert "Solution</summary>" not in str_of(read(written)) and (lessons / PATHS[0].name).read_bytes() == before


def test_the_lessons_themselves_are_not_touched():
    before = {path: path.read_bytes() for path in PATHS}
    with pytest.raises(ValueError, match="the lessons themselves"):
        strip(LESSONS, overwrite=True)
    assert {path: path.read_bytes() for path in PATHS} == before


def test_a_folder_without_notebooks_is_said_so(tmp_path):
    with pytest.raises(FileNotFoundError, match="--lessons"):
        strip(tmp_path / "out", tmp_path)
    with pytest.raises(SystemExit, match="--lessons"):
        main(["--lessons", str(tmp_path), "notes"])


def test_the_command_prints_every_teaching_note_below_its_heading():
    command = [sys.executable, "-m", "mnist_helpers.classroom", "notes"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, encoding="utf-8").stdout
    assert printed.strip() == teaching_notes().strip() and "<details>" not in printed
    for path in PATHS:
        text = [cell.source for cell in markdown_cells(read(path))]
        assert text[0] in printed
        for cell in text:
            if NOTE in cell:
                assert cell.partition(NOTE)[2].partition("</details>")[0].strip() in printed
    assert re.search(r"## What is MNIST\?\n\n\*\*Minutes:\*\* 3\.", printed)
