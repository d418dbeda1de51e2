"""Compares the outputs stored in a notebook with those of a run now: words exactly, numbers as the cell's tags say.

Without a tag every number must be the same: shapes, counts, settings, what follows from the data or from the run that
comes with the package. A cell that trains or draws random numbers has the tag `holds:NAME`: its words and settings
must be the same, and NAME, a function in findings.py, says what must hold of its numbers. Figures are compared by their
descriptions (figures.py): without a tag all of it, with `holds:NAME` or DRAWN the words and what is drawn.
"""

import re
from itertools import zip_longest

import figures
import findings

HOLDS = "holds:"
DRAWN = "drawn-after-training"  # a cell without numbers of its own, whose figure shows a network that was trained here
NOT_COMPARED = {  # what differs in every run, and what is put in its place
    r".*\d%\|.*\|.*\n?": "",  # a progress bar
    r"(Took|Loaded|Training) the run '\w+'.*\n?": "",  # depends on what ran before
    r"\b\d+\.\d+ s\b|\b\d+ times as long\b": "(a time)",
    r"<Figure size .*?>": "(a picture)",
    r"\b0x[0-9a-f]+\b": "(an address)",
    r"\b\d+\.\d+\.\d+\S*": "(a version)",
    r"this computer: .*": "(a computer)",
}
NUMBER = re.compile(r"(?:(?<!\w)[-+])?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:e[-+]?\d+)?")
SETTING = re.compile(r"(\bp =|\bdropout( rate)?|\bweight decay|\bthreshold|\bseed|×) *$", re.IGNORECASE)  # before it
IMAGES = re.compile(r" (training )?images\b")  # behind a setting
ANSWERS = re.compile(r"(, # times #)+")  # two or three, as it happens


def text_of(outputs) -> str:
    """The text of a cell's outputs, line by line; for tables and pictures what stands for them in plain text.

    An output with nothing in it is a place on the page that got its picture later, which nbval does not see.
    """
    texts = [
        output["text"] if "text" in output else output.get("data", {}).get("text/plain", "(a picture)")
        for output in outputs
        if output.get("name") != "stderr"
    ]
    return "\n".join(text.rstrip("\n") for text in texts if text)


def lines_of(text: str) -> list[str]:
    """The lines that are compared."""
    for pattern, replacement in NOT_COMPARED.items():
        text = re.sub(pattern, replacement, text)
    return [" ".join(line.split()) for line in text.split("\n") if line.strip()]


def without_results(line: str) -> str:
    """The line with "#" for every number that is no setting."""

    def hidden(number: re.Match) -> str:
        setting = SETTING.search(line[: number.start()]) or IMAGES.match(line[number.end() :])
        return number[0] if setting else "#"

    return ANSWERS.sub("", NUMBER.sub(hidden, line))


def differences(stored: str, new: str, tags=()) -> list[str]:
    """What is wrong with the new text of a cell's outputs, a message for each thing; empty if nothing is."""
    names = [tag.removeprefix(HOLDS) for tag in tags if tag.startswith(HOLDS)]
    seen = without_results if names else str
    pairs = zip_longest(lines_of(stored), lines_of(new), fillvalue="(no line)")
    found = [message(row, old, now) for row, (old, now) in enumerate(pairs) if seen(old) != seen(now)]
    return found[:3] + [each for name in names for each in broken(name, new)]


def broken(name: str, text: str) -> list[str]:
    """What the function `name` in findings.py says against the text: one message, or none."""
    try:
        getattr(findings, name)(text)
    except (AssertionError, KeyError, ValueError) as error:
        return [f"  what the lesson says no longer holds ({name}): {error}\n{text}"]
    return []


def message(row: int, stored: str, new: str) -> str:
    return f"  line {row + 1} of the output differs\n    stored: {stored}\n    new:    {new}"


def compare_cell(cell, new, stored, skip_compare=None) -> bool:
    """Whether a cell's outputs are as stored; nbval calls this in place of its own comparison.

    What is stored comes from full MNIST. Where a notebook says that it has only the sample, the cells below are run
    and not compared, except for those with nbval's own tag for outputs that are the same everywhere.
    """
    if cell.cell.source.rstrip().endswith(";"):  # hides the last value; nbval's way of running a cell shows it
        new = [output for output in new if output["output_type"] != "execute_result"]
    pictures = figures.described_in(new)
    new, stored, tags = text_of(new), text_of(stored), cell.cell.metadata.get("tags", [])
    if "MNIST sample: " in new:
        cell.parent.on_the_sample = True
    sample = getattr(cell.parent, "on_the_sample", False)
    if sample and "nbval-check-output" not in tags:
        return True
    cell.comparison_traceback = differences(stored, new, tags)
    if not sample:
        kept = [each for each in getattr(cell.parent, "figures", []) if each["cell"] == cell.cell.get("id")]
        cell.comparison_traceback += figure_differences(kept, pictures, tags)
    return not cell.comparison_traceback


def figure_differences(stored: list[dict], new: list[dict | None], tags=()) -> list[str]:
    """What is wrong with the figures of a cell, by their descriptions; None: a place that nbval does not see."""
    if len(stored) != len(new):
        new = [description for description in new if description is not None]
    if len(stored) != len(new):
        return [f"  {len(new)} figures, {len(stored)} are described in tests/figures: run tests/execute_notebooks.py"]
    exactly = not any(tag.startswith(HOLDS) or tag == DRAWN for tag in tags)
    seen = list if exactly else lambda texts: [without_results(text) for text in texts]
    pairs = [(old, now) for old, now in zip(stored, new) if now is not None]
    return [each for old, now in pairs for each in figures.different(old, now, seen, exactly)]
