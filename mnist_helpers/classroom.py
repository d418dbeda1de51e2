"""For instructors: lessons without their solutions, and all teaching notes on one page.

    python -m mnist_helpers.classroom strip FOLDER [--notes] [--overwrite]
    python -m mnist_helpers.classroom notes > teaching_notes.md

Both read the notebooks, by default those beside the package, and never change them.
"""

import argparse
import json
import re
import sys
from pathlib import Path

from mnist_helpers.files import complete_file

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"
FOLDED = r"(?s)<details><summary>{}.*?</details>\n*"
SOLUTION, NOTE = FOLDED.format("Solution"), FOLDED.format("Teaching note")
EMPTY = "# Your answer"


def without_solutions(notebook: dict, notes: bool = False) -> dict:
    """A copy of a notebook (its JSON) without solutions, for students; with `notes`, without teaching notes too.

    A folded solution leaves the text. A code cell with the tag "solution" stays, with the comment "# Your answer" and
    without outputs. A text cell with nothing else in it goes. All other cells stay as they are.
    """
    patterns = [SOLUTION, NOTE] if notes else [SOLUTION]
    cells = [
        without(cell, patterns) if cell["cell_type"] == "markdown" else unsolved(cell) for cell in notebook["cells"]
    ]
    return {**notebook, "cells": [cell for cell in cells if cell["source"] or cell["cell_type"] == "code"]}


def without(cell: dict, patterns: list[str]) -> dict:
    """The cell without what the patterns match; the same cell if they match nothing."""
    text = "".join(cell["source"])
    left = text
    for pattern in patterns:
        left = re.sub(pattern, "", left)
    return cell if left == text else {**cell, "source": left.strip().splitlines(keepends=True)}


def unsolved(cell: dict) -> dict:
    """A code cell that holds a solution becomes an open, empty one; any other stays as it is."""
    if "solution" not in cell["metadata"].get("tags", []):
        return cell
    shown = {key: value for key, value in cell["metadata"].items() if key not in ("jupyter", "tags")}
    return {**cell, "source": [EMPTY], "outputs": [], "execution_count": None, "metadata": shown}


def notebooks_in(lessons: Path) -> list[Path]:
    """The notebooks in a folder, in order. Raises FileNotFoundError where there are none."""
    found = sorted(lessons.glob("*.ipynb"))
    if not found:
        raise FileNotFoundError(f"no notebooks in {lessons}; name the folder that has them with --lessons")
    return found


def strip(folder: Path, lessons: Path = NOTEBOOKS, notes: bool = False, overwrite: bool = False) -> list[Path]:
    """Write every notebook in `lessons` without its solutions into `folder`; gives the new files.

    Raises FileNotFoundError where there are no notebooks, ValueError if `folder` is the lessons' own, and
    FileExistsError, before anything is written, if a file is there already and `overwrite` was not asked for.
    """
    sources = notebooks_in(lessons)
    if folder.resolve() == lessons.resolve():
        raise ValueError(f"{folder} holds the lessons themselves; name another folder")
    there = [path.name for path in sources if (folder / path.name).exists()]
    if there and not overwrite:
        raise FileExistsError(f"{folder} has {', '.join(there)} already; name another folder, or add --overwrite")
    for source in sources:
        notebook = without_solutions(json.loads(source.read_text(encoding="utf-8")), notes)
        with complete_file(folder / source.name) as file:
            file.write((json.dumps(notebook, indent=1, ensure_ascii=False) + "\n").encode())
    return [folder / source.name for source in sources]


def teaching_notes(lessons: Path = NOTEBOOKS) -> str:
    """What each lesson says it is for, and the teaching note of each section, as one Markdown text.

    Raises FileNotFoundError where there are no notebooks.
    """
    return "\n\n".join(notes_of(json.loads(path.read_text(encoding="utf-8"))) for path in notebooks_in(lessons))


def notes_of(notebook: dict) -> str:
    """The first cell of a lesson, its headings, and below each its teaching note, unfolded."""
    first, *others = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "markdown"]
    wanted = r"<details><summary>Teaching note</summary>\n*((?s:.*?))\n*</details>|(?m:^## .*$)"
    parts = [found[1] or found[0] for text in others for found in re.finditer(wanted, text)]
    return "\n\n".join([first.strip(), *parts])


def main(arguments: list[str] | None = None) -> None:
    """Read the command line and do what it asks; exits with a message where that cannot be done."""
    parser = argparse.ArgumentParser(prog="python -m mnist_helpers.classroom", description="For instructors.")
    parser.add_argument("--lessons", type=Path, default=NOTEBOOKS, help="the folder with the notebooks")
    commands = parser.add_subparsers(dest="command", required=True)
    stripping = commands.add_parser("strip", help="write the notebooks without solutions into another folder")
    stripping.add_argument("folder", type=Path, help="where they go")
    stripping.add_argument("--notes", action="store_true", help="leave out the teaching notes as well")
    stripping.add_argument("--overwrite", action="store_true", help="replace notebooks that are there already")
    commands.add_parser("notes", help="print all teaching notes")
    options = parser.parse_args(arguments)
    try:
        if options.command == "notes":
            print(teaching_notes(options.lessons))
        else:
            written = strip(options.folder, options.lessons, options.notes, options.overwrite)
            print(f"{len(written)} notebooks without solutions in {options.folder}")
    except (OSError, ValueError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
