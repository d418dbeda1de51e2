"""How many minutes a lesson takes: reading and trying, its cells, its exercises, and in class.

    python tests/benchmarks/lesson_minutes.py

Reading is computed from the stored notebook by the rates below; they are those of a careful reader of a foreign
language, not of a fast one. In class: the minutes in the teaching notes, added up. Its cells: what
execute_notebooks.py measured last.
"""

import re
import sys
from pathlib import Path

import nbformat

sys.path.insert(0, str(Path(__file__).parent.parent))

from lesson_seconds import kept
from lessons import PATHS, code_cells, markdown_cells, read

WORDS = 100  # read in a minute
LINES = 10  # of code, read in a minute
FIGURE, PANEL, QUESTION, EXERCISE = 1, 5, 1, 12  # minutes for each
FOLDED = r"(?s)<details>.*?</details>"


def reading_minutes(notebook: nbformat.NotebookNode) -> float:
    """Minutes to read a lesson and to try its sliders, without the exercises and without waiting for its cells."""
    text = re.sub(FOLDED, "", "\n".join(cell.source for cell in markdown_cells(notebook)))
    code = [cell for cell in code_cells(notebook) if not {"solution", "exercise"} & set(cell.metadata.get("tags", []))]
    lines = sum(bool(line.strip()) for cell in code for line in cell.source.splitlines())
    outputs = [output for cell in code for output in cell.outputs]
    figures = sum("image/png" in output.get("data", {}) for output in outputs)
    panels = str(outputs).count("(Sliders: ")
    questions = len(re.findall(r"\*\*(Predict|Look for|Compare|Guess)", text))
    return len(text.split()) / WORDS + lines / LINES + FIGURE * figures + PANEL * panels + QUESTION * questions


def exercise_minutes(notebook: nbformat.NotebookNode) -> float:
    """Minutes for the exercises in the text and at the end."""
    inside = sum("solution" in cell.metadata.get("tags", []) for cell in code_cells(notebook))
    text = "\n".join(cell.source for cell in markdown_cells(notebook))
    return EXERCISE * (inside + text.rpartition("## Try it")[2].count("<details>"))


def class_minutes(notebook: nbformat.NotebookNode) -> tuple[int, int]:
    """What the teaching notes say: of the whole lesson (the first note), and its sections added up."""
    text = "\n".join(cell.source for cell in markdown_cells(notebook))
    whole, *sections = [int(minutes) for minutes in re.findall(r"\*\*Minutes:\*\* (\d+)", text)]
    return whole, sum(sections)


def main() -> None:
    """Print the table."""
    seconds = kept()
    print(f"{'lesson':26}{'stated':>8}{'reading':>9}{'exercises':>11}{'in class':>10}{'sections':>10}{'cells':>10}")
    for path in PATHS:
        notebook = read(path)
        (stated,) = re.findall(r"\*\*Time:\*\* about (\d+)", notebook.cells[0].source)
        cells = f"{seconds[path.stem]:8.0f} s" if path.stem in seconds else ""
        print(
            f"{path.stem:26}{stated:>8}{reading_minutes(notebook):9.0f}{exercise_minutes(notebook):11.0f}"
            f"{class_minutes(notebook)[0]:10}{class_minutes(notebook)[1]:10}{cells:>10}"
        )


if __name__ == "__main__":
    main()
