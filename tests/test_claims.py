"""No number in a text goes stale: each that looks like a result has a mark, and what the mark names agrees with it.

The chain: text = ledger or stored output (here, to the last digit that the text writes), stored output = the same cell
run again, within the spread over seeds (stored_outputs.py, in every run of the notebooks).
"""

import re
from pathlib import Path

import pytest

import claims
from claims import CLAIMS
from lessons import PATHS, markdown_cells, read

README = Path(__file__).parent.parent / "README.md"
MARK = r"[*_]*<!-- claim: (?P<name>\w+) -->"
NUMBER = r"(?:(?<![\w.])[-+−])?\d+(?:,\d{3})*(?:\.\d+)?"
UNIT = r" ?(?:%|percent\b|(?:percentage )?points?\b|nats?\b|seconds?\b|s\b|kB\b|[MG]B\b|times as\b)"
PHRASE = rf"{NUMBER}(?:{UNIT})?(?: ?(?:±|–|to|and) ?{NUMBER})*(?:{UNIT})?(?:{MARK})?"  # what one mark is about
SPELLED = rf"\b(?:one|two|three|four|five|six|seven|eight|nine|ten|half a)(?= ){UNIT}"
NO_TEXT = [r"(?s)```.*?```", r"`[^`\n]*`", r"(?m)^#+ .*", r"\$.*?\$"]  # code, headings, formulas
NO_TEXT += [r"!\[.*?\]\(.*?\)", r"(?<=\])\(.*?\)", r"https?://\S+"]  # pictures and addresses

NO_RESULTS = {  # numbers that only look like results: what stands in the text (a pattern) and why it needs no mark
    r"dropout (rate )?0\.\d": "a setting",
    r"p = 0\.\d": "a setting",
    r"instead of 0\.001": "a setting, the learning rate",
    r"[Aa]t 0\.[28] (most|the few)": "a setting of the picture",
    r"90 % of the hidden units": "a setting",
    r"learning rate of 0\.0001": "a setting",
    r"gradient 0\.0001": "a setting of the example",
    r"1 − 0\.001 · 0\.0001": "a product of settings",
    r"moves? by 0\.0?0?1\b": "the learning rate, by theory",
    r"move by the learning rate, 0\.001": "the learning rate, by theory",
    r"(at most|never above|close to) 0\.25": "the largest slope of the sigmoid",
    r"√\(1/3\) ≈ 0\.58": "theory, worked out in the text",
    r"0\.58 · √\(1/2\) ≈ 0\.41": "theory, worked out in the text",
    r"√\(1/3\) · 0\.25 ≈ 0\.14": "theory, worked out in the text",
    r"0\.5 · 0\.5 = 0\.25": "worked out in the text",
    r"1/\(1 − 0\.2\) = 1\.25": "worked out in the text",
    r"ln 10 ≈ 2\.30": "worked out in the text",
    r"ln\(e \+ 9\) − 1 ≈ 1\.46": "worked out in the text",
    r"\| 1 \| 0\.5 \| 0\.1 \| 0\.01 \|": "examples of probabilities",
    r"\| 0 \| 0\.69 \| 2\.30 \| 4\.61 \|": "−ln of these probabilities",
    r"right in 90 % of cases": "an invented program",
    r"(about|around|close to|near) 10 %": "chance with ten classes",
    r"near 0\.1\b": "chance with ten classes",
    r"exactly (10 %|0\.1\b)": "a wrong answer",
    r"accuracy of 0 %, of 50 %": "wrong answers",
    r"nine 1s": "nine images of the digit 1",
    r"\b[27]s\b": "images of a digit",
    r"in steps of 0\.1\b": "a setting",
    r"middle 90 % of": "how an interval is defined",
    r"95 % interval": "how an interval is defined",
    r"90 % mean 90 %": "a question about any confidence",
    r"near 0\.9 about 90 %": "what an honest confidence would mean",
    r"(about|above) 0\.9\b|from 0\.5 to 0\.99\b|Above 0\.99\b": "bounds of the groups",
    r"0\.9, 0\.99 and 0\.999 are almost equally far": "the scale of an axis",
    r"a threshold: 0\.5, 0\.9 or 0\.99": "a setting",
    r"100 % minus the validation accuracy": "all of them",
    r"at 0\.8 it is already": "a setting of the picture",
    r"95 % of these (repetitions|intervals)": "how an interval is defined",
    r"less than one percentage point": "a bound; findings.dropout_lowers_the_loss holds it",
    r"more than 1 % below": "the bound that the cell below uses",
    r"46 % of cases \(1 − 0\.95": "theory, worked out in the text",
    r"a guess of 1 point": "a setting of the picture",
    r"1\.60 %|and 1\.25 %": "reported by the paper that the sentence names",
    r"section 7\.4": "a section of that paper",
    r"Python 3\.10": "a version",
    r"CC BY-SA 3\.0": "a version",
    r"MNIST \(12 MB\)": "the size of a download",
    r"up to 100 MB": "a bound",
}


def prose(text):
    """The sentences and tables alone: no code, headings, pictures, addresses or formulas; one space between words."""
    for pattern in NO_TEXT:
        text = re.sub(pattern, " ", text)
    return " ".join(text.split())


def texts():
    """(name, prose) of the README and of each notebook."""
    yield "README", prose(README.read_text(encoding="utf-8"))
    for path in PATHS:
        yield path.stem, prose("\n\n".join(cell.source for cell in markdown_cells(read(path))))


TEXTS = dict(texts())
MARKED = [
    (name, match["name"], match[0])
    for name, text in TEXTS.items()
    for match in re.finditer(PHRASE, text)
    if match["name"]
]


def unmarked(text):
    """The phrases in prose that look like results, with a unit or a decimal point, and have neither mark nor reason."""
    for pattern in NO_RESULTS:
        text = re.sub(pattern, "…", text)
    looks = [
        match[0]
        for match in re.finditer(PHRASE, text)
        if not match["name"] and re.search(rf"\d\.\d|\d{UNIT}", match[0])
    ]
    return looks + re.findall(SPELLED, text)


def agrees(phrase, values):
    """Whether the numbers of the phrase are these values, rounded to the digits that the phrase writes."""
    values = values if isinstance(values, tuple) else (values,)
    written = [number.replace("−", "-").replace(",", "") for number in re.findall(NUMBER, phrase.partition("<!--")[0])]
    return len(written) == len(values) and all(
        abs(float(number) - value) <= 0.5 * 10.0 ** -len(number.partition(".")[2]) + 1e-9
        for number, value in zip(written, values)
    )


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
    found = unmarked(TEXTS[name])
    assert found == [], "print it, mark it (see claims.py), or say in NO_RESULTS why it is no result"


@pytest.mark.parametrize("pattern", NO_RESULTS)
def test_no_reason_outlives_its_number(pattern):
    assert any(re.search(pattern, text) for text in TEXTS.values())


@pytest.mark.parametrize(
    "sentence",
    [
        *("It reaches 98.1 %.", "It reaches 98.1%.", "about 98 percent", "by 0.4 points", "a loss of 0.087", "97–98 %"),
        *("in 44 seconds", "it takes 1.2 s", "30 times as long", "a lead of two percentage points", "**98.1 %**"),
        *("| 97.7 | 97.8 |", "dropout 0.2 reaches 98 %", "<details>98.1 %</details>"),
    ],
)
def test_an_unmarked_result_is_found(sentence):
    assert unmarked(prose(sentence))


@pytest.mark.parametrize(
    "sentence",
    [
        *("32 images", "lesson 3", "`lr=0.001`", "the recipe (dropout 0.2)", "28 · 28 = 784 numbers"),
        *("# Heading with 9.5 %", "**Minutes:** 10, of which 4", "![97.2 % right](a.png)", "[here](https://a.b/v1.5)"),
        *("98.1 %<!-- claim: x -->", "**98.1 %**<!-- claim: x -->", "97–98 %<!-- claim: x -->"),
        "0.16 ± 0.05 percentage points<!-- claim: x -->",
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
    ],
)
def test_agrees_to_the_digits_written(phrase, values, right):
    assert agrees(phrase, values) is right
