"""The stored notebooks, and what can be read from them: for the tests of the notebooks and of what texts say."""

import re
from pathlib import Path

import nbformat

START, *PATHS = sorted((Path(__file__).parent.parent / "notebooks").glob("*.ipynb"))  # 00_start_here, and the lessons
MIRROR = "mirrors:"
NUMBER = r"([+-]?\d+(?:,\d{3})*(?:\.\d+)?)"


def read(path):
    return nbformat.read(path, as_version=4)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def markdown_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "markdown"]


def text_outputs(notebook):
    outputs = [output for cell in code_cells(notebook) for output in cell.outputs]
    return "\n".join(output.get("text") or output.get("data", {}).get("text/plain", "") for output in outputs)


def mirrors():
    """(notebook, cell source, dotted name) of each definition that stands in a notebook and in the package."""
    for path in PATHS:
        for cell in code_cells(read(path)):
            for tag in cell.metadata.get("tags", []):
                if tag.startswith(MIRROR):
                    yield path.stem, cell.source, tag.removeprefix(MIRROR)


def solutions(notebook):
    """The code of the folded solutions, in order."""
    text = "\n".join(cell.source for cell in markdown_cells(notebook))
    folded = re.findall(r"<details>.*?</details>", text, re.S)
    return [code for part in folded for code in re.findall(r"```python\n(.*?)```", part, re.S)]


def numbers(text, pattern):
    """All matches of `pattern`, where # stands for a number, as tuples of numbers; there must be one at least."""
    found = [match.groups() for match in re.finditer(pattern.replace("#", NUMBER), text)]
    assert found, f"nothing in the output matches {pattern}:\n{text}"
    return [tuple(float(number.replace(",", "")) for number in groups) for groups in found]


def stored_numbers(lesson, pattern):
    """The numbers in the stored text outputs of a lesson."""
    return numbers(text_outputs(read(next(path for path in PATHS if path.stem == lesson))), pattern)


def exercise_cells(notebook):
    """The code cells for the answers to the exercises with a check."""
    return [cell for cell in code_cells(notebook) if "exercise" in cell.metadata.get("tags", [])]


def solutions_of_exercises(notebook):
    """The first folded code behind each of them."""
    cells = notebook.cells
    places = [place for place, cell in enumerate(cells) if "exercise" in cell.metadata.get("tags", [])]
    return [re.findall(r"<details>.*?```python\n(.*?)```", cells[place + 1].source, re.S)[0] for place in places]
