"""Compares the outputs stored in a notebook with those of a run now: words exactly, numbers as the cell's tags say.

Without a tag every number must be the same: shapes, counts, settings, what follows from the data. The tags are:

`spread-2000`  The output comes out of training. Processors round differently, and after thousands of steps that makes
               another run, though no farther from the stored one than another seed. Decimal numbers may differ by
               `allowance`, from the ledger's spread over seeds with 2,000 training images: the size nearest to the
               cell's, or a larger one for means over seeds, which scatter less. Whole numbers must be the same.
`counts`       Whole numbers may differ as well, a count n by 3 √n: numbers of mistakes, best epochs.
`chance`       Hangs on single random draws or single images. Only words and settings must be the same.
"""
import math
import re
from functools import lru_cache

from mnist_helpers import ledger

SIZE = 3  # so many standard deviations; the ledger's seeds draw other images as well, so their spread is rather wide
NOT_COMPARED = {  # what differs in every run, and what is put in its place
    r".*\d%\|.*\|.*\n?": "",                                     # a progress bar
    r"(Loaded|Training) the run '\w+'.*\n?": "",                 # depends on what ran before
    r"\b\d+\.\d+ s\b|\b\d+ times as long\b": "(a time)",
    r"<Figure size .*?>": "(a picture)",
    r"\b0x[0-9a-f]+\b": "(an address)",
    r"\b\d+\.\d+\.\d+\S*": "(a version)",
}
NUMBER = re.compile(r"(?:(?<!\w)[-+])?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:e[-+]?\d+)?")
# A setting is a number with one of these words before it, an accuracy one with such a unit behind it.
SETTING = re.compile(r"(\bp =|\bdropout( rate)?|\bweight decay|\bthreshold|\bepoch|×) *$", re.IGNORECASE)
PERCENT = re.compile(r"( ± [\d.]+)?( ?%| percentage points)")
QUANTITIES = {  # how outputs name a quantity, and its column in the ledger
    r"train(ing)?[ _:]+loss": "train_loss",
    r"loss": "valid_loss",
    r"accuracy|gap": "valid_accuracy",
    r"calibration error": "test_calibration_error",
    r"weights": "weight_norm_1",
    r"seconds": "seconds",
    r"std": "std",
}
NAME = re.compile("|".join(f"(?P<{column}>{pattern})" for pattern, column in QUANTITIES.items()))


def text_of(outputs) -> str:
    """The text of a cell's outputs, line by line; for tables and pictures what stands for them in plain text.

    An output with nothing in it is a place on the page that got its picture later, which nbval does not see.
    """
    texts = [output["text"] if "text" in output else output.get("data", {}).get("text/plain", "(a picture)")
             for output in outputs if output.get("name") != "stderr"]
    return "\n".join(text.rstrip("\n") for text in texts if text)


def lines_of(text: str, tags=()) -> list[str]:
    """The lines that are compared; with `chance` those that hold words."""
    for pattern, replacement in NOT_COMPARED.items():
        text = re.sub(pattern, replacement, text)
    if "chance" in tags:
        text = re.sub(r"\bTrue\b|\bFalse\b", "0", text)
    lines = [line for line in text.split("\n") if line.strip()]
    return [line for line in lines if "chance" not in tags or re.search(r"[^\W\d]", line)]


def words_of(line: str) -> str:
    """The line with every number taken out."""
    return " ".join(NUMBER.sub("#", line).split())


def quantity(lines: list[str], row: int, number: re.Match) -> str:
    """The column of the ledger that a number is about, by the last name before it or above it in a table."""
    named = list(NAME.finditer(lines[row][:number.start()]))
    for above in [] if named else reversed(lines[:row]):
        named = named or [name for name in NAME.finditer(above) if name.end() == number.end()]
    return named[-1].lastgroup if named else "valid_loss"


@lru_cache
def spread(train_size: int):
    """(standard deviations, the same as shares of the mean) over seeds in the last epoch, by column of the ledger.

    The median over all settings that have at least five seeds with so many training images.
    """
    last = ledger.last_epochs(ledger.load_ledger())
    groups = last[last["train_size"] == train_size].groupby([name for name in ledger.SETTINGS if name != "seed"])
    columns = [column for column in QUANTITIES.values() if column in last and column != "seconds"]
    enough = groups.size() >= 5
    deviation, mean = groups[columns].std()[enough], groups[columns].mean()[enough]
    if deviation.empty:
        raise ValueError(f"the ledger has no setting with five seeds and {train_size} training images")
    return deviation.median(), (deviation / mean).median()


def allowance(lines: list[str], row: int, number: re.Match, train_size: int) -> float:
    """By how much a decimal number that comes out of training may differ: three standard deviations over seeds.

    Accuracies, gaps and everything in percent or percentage points: those of the validation accuracy. Differences of
    losses (lines with "−"): those of the loss. Other numbers: that share of the number by which their quantity
    spreads, or the validation loss where the ledger has no such column. A standard deviation or an interval from
    few seeds is known to a factor of about two only: it may change by its own size. Seconds may change at will.
    """
    before, behind, value = lines[row][:number.start()], lines[row][number.end():], abs(float(plain(number[0])))
    about = quantity(lines, row, number)
    if about == "seconds":
        return math.inf
    if about == "std" or before.endswith("± "):
        return value
    deviation, share = spread(train_size)
    if PERCENT.match(behind):
        return SIZE * 100 * deviation["valid_accuracy"]
    if about == "valid_accuracy" or "−" in before:
        return SIZE * deviation[about]
    return SIZE * share[about] * value


def plain(number: str) -> str:
    return number.replace(",", "")


def allowed(lines: list[str], row: int, number: re.Match, tags) -> float:
    """By how much this number of the stored lines may differ, by the tags of its cell."""
    sizes = [int(tag.removeprefix("spread-")) for tag in tags if tag.startswith("spread-")]
    whole = number[0].lstrip("+-").replace(",", "").isdigit()
    if not whole and SETTING.search(lines[row][:number.start()]):
        return 0
    if "chance" in tags:
        return math.inf
    if whole:
        return SIZE * math.sqrt(abs(int(plain(number[0])))) if "counts" in tags else 0
    return allowance(lines, row, number, *sizes) if sizes else 0


def differences(stored: str, new: str, tags=()) -> list[str]:
    """What is wrong with the new text of a cell's outputs, a message for each line; empty if nothing is."""
    stored, new, found = lines_of(stored, tags), lines_of(new, tags), []
    for row in range(max(len(stored), len(new))):
        old_line, new_line = [lines[row] if row < len(lines) else "(no line)" for lines in (stored, new)]
        if words_of(old_line) != words_of(new_line):
            return [*found, message(row, old_line, new_line, "other words")]  # the lines below may be shifted
        for old, now in zip(NUMBER.finditer(old_line), NUMBER.finditer(new_line)):
            limit = allowed(stored, row, old, tags)
            if old[0] != now[0] and abs(float(plain(old[0])) - float(plain(now[0]))) > limit:
                why = f"{old[0]} became {now[0]}, allowed is a difference of {limit:.2g}"
                found.append(message(row, old_line, new_line, why))
    return found


def message(row: int, stored: str, new: str, why: str) -> str:
    return f"  line {row + 1} of the output: {why}\n    stored: {stored}\n    new:    {new}"


def compare_cell(cell, new, stored, skip_compare=None) -> bool:
    """Whether a cell's outputs are as stored; nbval calls this in place of its own comparison.

    What is stored comes from full MNIST. Where a notebook says that it has only the sample, the cells below are run
    and not compared, except for those with nbval's own tag for outputs that are the same everywhere.
    """
    if cell.cell.source.rstrip().endswith(";"):  # hides the last value; nbval's way of running a cell shows it
        new = [output for output in new if output["output_type"] != "execute_result"]
    new, stored, tags = text_of(new), text_of(stored), cell.cell.metadata.get("tags", [])
    if "MNIST sample: " in new:
        cell.parent.on_the_sample = True
    if getattr(cell.parent, "on_the_sample", False) and "nbval-check-output" not in tags:
        return True
    cell.comparison_traceback = differences(stored, new, tags)
    return not cell.comparison_traceback
