"""No number in a text goes stale: each that looks like a result has a mark, and what the mark names agrees with it.

The chain: text = ledger or stored output (here, to the last digit that the text writes), stored output = the same cell
run again, within the spread over seeds (stored_outputs.py, in every run of the notebooks).
"""

import re
from pathlib import Path

import pytest

import claims
import findings
from claims import CLAIMS
from lessons import PATHS, START, read
from no_results import NO_RESULTS
from results import NUMBER, PHRASE, comments, prose, unmarked, whole

README = Path(__file__).parent.parent / "README.md"
REASONS = [(name, pattern) for name, reasons in NO_RESULTS.items() for pattern in reasons]


def texts():
    """(name, prose) of the README and of each notebook, with the comments in its code."""
    yield "README", prose(README.read_text(encoding="utf-8"))
    for path in [START, *PATHS]:
        cells = read(path).cells
        parts = [cell.source if cell.cell_type == "markdown" else comments(cell.source) for cell in cells]
        yield path.stem, prose("\n\n".join(parts))


TEXTS = dict(texts())
MARKED = [
    (name, match["name"], match[0])
    for name, text in TEXTS.items()
    for match in re.finditer(PHRASE, text)
    if match["name"]
]


def agrees(phrase, values):
    """Whether the numbers of the phrase are these values, rounded to the digits that the phrase writes."""
    values = values if isinstance(values, tuple) else (values,)
    written = [number.replace("−", "-").replace(",", "") for number in re.findall(NUMBER, phrase.partition("<!--")[0])]
    return len(written) == len(values) and all(
        abs(float(number) - value) <= 0.5 * last_digit(number) + 1e-9 for number, value in zip(written, values)
    )


def last_digit(number):
    """What one more in the last digit written is worth: 0.01 for 3.14, 1e-5 for 1.5e-4."""
    mantissa, _, exponent = number.partition("e")
    return 10.0 ** (int(exponent or 0) - len(mantissa.partition(".")[2]))


def test_claims_are_computed_without_the_package_that_prints_the_tables():
    assert not re.search(r"(?m)^ *(from|import) mnist_helpers", Path(claims.__file__).read_text(encoding="utf-8"))


@pytest.mark.parametrize("text, name, phrase", MARKED)
def test_a_marked_number_is_what_the_ledger_or_the_outputs_say(text, name, phrase):
    values = CLAIMS[name]()
    assert agrees(phrase, values), f"{text} says {phrase}, but {name} is {values}"


def test_every_mark_stands_behind_a_number_and_every_claim_has_its_mark():
    assert {name for _, name, _ in MARKED} == set(CLAIMS)
    assert sum(text.count("claim:") for text in TEXTS.values()) == len(MARKED), "a mark that is misspelled or astray"


@pytest.mark.parametrize("name", TEXTS)
def test_no_result_without_a_mark(name):
    found = unmarked(TEXTS[name], NO_RESULTS.get(name, ()))
    assert found == [], "print it, mark it (see claims.py), or say in no_results.py why it is no result"


@pytest.mark.parametrize("name, pattern", REASONS)
def test_no_reason_outlives_its_number(name, pattern):
    assert re.search(whole(pattern), TEXTS[name])
    others = [other for other in NO_RESULTS[name] if other != pattern]
    assert unmarked(TEXTS[name], others), "a reason for what does not look like a result"


@pytest.mark.parametrize("name, pattern", REASONS)
def test_what_a_reason_says_to_hold_it_is_there(name, pattern):
    held = re.match("held by (.*)", NO_RESULTS[name][pattern])
    tests = (Path(__file__).parent / "test_notebooks.py").read_text(encoding="utf-8")
    assert not held or hasattr(findings, held[1]) or f"def {held[1]}(" in tests


def test_a_reason_counts_for_its_own_text_and_for_whole_numbers():
    reported, elsewhere = NO_RESULTS["06_regularization_lab"], NO_RESULTS["05_predictions"]
    sentence = "without dropout | 1.60 % | a network"
    assert unmarked(sentence, reported) == [] and unmarked(sentence, elsewhere) == ["1.60 %"]
    for other in ("21.60 %", "1.605 %", "1.6 %", "1,1.60 %"):
        assert unmarked(sentence.replace("1.60 %", other), reported)
    assert unmarked("dropout 0.25", reported) == ["0.25"]


@pytest.mark.parametrize(
    "sentence",
    [
        *("It reaches 98.1 %.", "It reaches 98.1%.", "about 98 percent", "by 0.4 points", "a loss of 0.087", "97–98 %"),
        *("in 44 seconds", "it takes 1.2 s", "30 times as long", "a lead of two percentage points", "**98.1 %**"),
        *("| 97.7 | 97.8 |", "dropout 0.2 reaches 98 %", "<details>98.1 %</details>"),
        *("`98.1 %` are right", "`98.1%`", "a loss of `0.087`", "`97–98 %`", "# Now 98.1 %", "### 0.4 points more"),
        *("about 0.97", "rose to 21.60 %", "a loss of .087", "98 per cent", "98 % (9,800 images)", "3.2e-4", "5e-4"),
        *("234 of 10,000 images", "234 images of 10,000", "234 out of the 10,000", "97 in 100", "97 images in 100"),
        *(
            "30 times longer",
            "3 times fewer",
            "30 times",
            "3× faster",
            "a 30-fold gain",
            "ten times as long",
            "tenfold",
        ),
        *("ten times longer", "in 12 ms", "40 MB", "0.4 pp", "half a percentage point", "a percentage point more"),
        *("two thirds of the images", "nine of ten", "nine of the ten", "nine out of ten images", "one in ten"),
        *(
            "nine images of ten",
            "half of the mistakes",
            "Half the images",
            "a third of them",
            "half as many",
            "by half",
        ),
        *("twice as many", "Twice", "the loss is halved", "it doubles the loss", "some tenths of a point"),
        *("ninety-eight percent", "9/10 of the images", "every tenth image", "44 mistakes", "two are wrong"),
        *("12 images were missed", "three images in a hundred", "3× as fast", "by a factor of 4", "an accuracy of 98"),
        *("234 images misread", "only 12 wrong", "![97.2 % right](a.png)", "[98.1 % right](a.md)", "$98.1 %$"),
        *("```python\nfit(model)  # reaches 98.1 %\n```", "```\n# about 0.97\n```"),
    ],
)
def test_an_unmarked_result_is_found(sentence):
    assert unmarked(prose(sentence))


@pytest.mark.parametrize(
    "sentence",
    [
        *("32 images", "lesson 3", "`lr=0.001`", "28 · 28 = 784 numbers", "batches of 32", "10 epochs", "[0, 1]"),
        *("**Minutes:** 10, of which 4", "[here](https://a.b/v1.5)", "![a curve](v1.5.png)", "(lesson 3b)"),
        *("`weight_decay=1e-4`", "`p = 0.5`", "```python\nlr = 0.001\n```", "3 rows and 4 columns", "28 × 28 pixels"),
        *("98.1 %<!-- claim: x -->", "**98.1 %**<!-- claim: x -->", "97–98 %<!-- claim: x -->"),
        *(
            "0.16 ± 0.05 percentage points<!-- claim: x -->",
            "234 of 10,000<!-- claim: x --> images",
            "30 times<!-- claim: x --> as long",
            "a second one",
        ),
        *(
            "one of them",
            "the tenth epoch",
            "several times",
            "a batch of 32 images",
            "the third column",
            "the other half",
        ),
    ],
)
def test_what_is_marked_or_no_result_is_left_alone(sentence):
    assert unmarked(prose(sentence)) == []


@pytest.mark.parametrize(
    "phrase, values, right",
    [
        ("97.7 %<!-- claim: x1 -->", 97.7499, True),
        ("97.7 %", 97.76, False),
        ("97–98 %", (97, 98), True),
        ("−0.074 ± 0.021", (-0.0740, 0.0211), True),
        ("0.074", -0.074, False),
        ("97–98 %", 97, False),
        ("48,000", 48000, True),
        ("+1.3 points", 1.34, True),
        (".087", 0.0874, True),
        ("1.5e-4", 1.54e-4, True),
        ("1.5e-4", 1.56e-4, False),
        ("234 of 10,000", (234, 10_000), True),
    ],
)
def test_agrees_to_the_digits_written(phrase, values, right):
    assert agrees(phrase, values) is right
