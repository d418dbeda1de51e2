"""Where each term of the glossary in 00_start_here.ipynb first appears in the lessons.

python tests/glossary.py        write the links anew, after a lesson has changed
"""

import re
from functools import cache
from urllib.parse import quote

import nbformat

from lessons import PATHS, START, markdown_cells, read

FOLDED = r"(?s)<details>.*?</details>"
HIDDEN = r"(?s)```.*?```|<!--.*?-->|\]\([^)]*\)"  # code, marks, the targets of links
LINE = r"(?m)^\| \*\*(.+?)\*\* \| (.+) \| \[(.+?)\]\((.+?)\) \|$"


@cache
def sections() -> list[tuple[str, str, str]]:
    """(lesson, heading, text with the heading) of each section in order, without what is folded and without code."""
    found = []
    for path in PATHS:
        text = re.sub(FOLDED, "", "\n\n".join(cell.source for cell in markdown_cells(read(path))))
        parts = re.split("(?m)^## ", re.sub(HIDDEN, " ", text))[1:]
        found += [(path.stem, part.partition("\n")[0].strip(), part) for part in parts]
    return found


def stands_in(term: str, text: str) -> bool:
    """Whether the text has the term as a word, in whatever case, in the plural too, over the end of a line too."""
    words = r"\s+".join(re.escape(word) for word in term.split())
    return bool(re.search(rf"(?i)(?<![\w.]){words}(?:s|es)?(?!\w)", text))


def first_place(term: str) -> tuple[str, str]:
    """(lesson, heading) of the first section that has the term; the lessons' lists of aims do not count."""
    for lesson, heading, text in sections():
        if stands_in(term, text):
            return lesson, heading
    raise LookupError(f"no lesson says {term!r}; take it out of the glossary, or write it as the lessons do")


def link(lesson: str, heading: str) -> str:
    """The address of a section as JupyterLab, nbconvert and GitHub make it from the heading."""
    return f"{lesson}.ipynb#{quote(heading.replace(' ', '-'), safe='?,:')}"


def line(term: str, meaning: str) -> str:
    """The term's line in the table."""
    lesson, heading = first_place(term)
    return f"| **{term}** | {meaning} | [{lesson.partition('_')[0].lstrip('0')}]({link(lesson, heading)}) |"


def main() -> None:
    """Write the links of the glossary anew."""
    notebook = read(START)
    for cell in markdown_cells(notebook):
        cell.source = re.sub(LINE, lambda found: line(found[1], found[2]), cell.source)
    nbformat.write(notebook, START)


if __name__ == "__main__":
    main()
