"""The first notebook: its table of lessons, its check of the installation, and its glossary."""

import re
from urllib.parse import unquote

import pytest

import glossary
from benchmarks.lesson_minutes import class_minutes
from lessons import PATHS, START, code_cells, markdown_cells, read, text_outputs

TEXT = "\n\n".join(cell.source for cell in markdown_cells(read(START)))
TERMS = re.findall(glossary.LINE, TEXT)


def test_the_table_has_every_lesson_with_its_title_and_its_minutes():
    rows = re.findall(r"(?m)^\| \[(\S+) (.+?)\]\((\w+)\.ipynb\) \| .+ \| (\d+) \|$", TEXT)
    lessons = [read(path).cells[0].source for path in PATHS]
    heads = [re.match(r"# Lesson (\S+): (.+)", lesson).groups() for lesson in lessons]
    minutes = [re.search(r"\*\*Time:\*\* about (\d+) minutes", lesson)[1] for lesson in lessons]
    assert rows == [(*head, path.stem, time) for head, path, time in zip(heads, PATHS, minutes)]


def test_the_glossary_is_in_order_and_each_word_stands_in_it_once():
    words = [term.lower() for term, *_ in TERMS]
    assert len(TERMS) > 60 and words == sorted(set(words))
    assert len(TERMS) == len(re.findall(r"(?m)^\| \*\*", TEXT))


@pytest.mark.parametrize("term, meaning, lesson, target", TERMS, ids=[term for term, *_ in TERMS])
def test_a_word_first_stands_where_its_link_leads(term, meaning, lesson, target):
    """`python tests/glossary.py` writes the links anew."""
    name, _, anchor = target.partition("#")
    (path,) = [path for path in PATHS if path.name == name]
    cells = "\n".join(cell.source for cell in markdown_cells(read(path)))
    headings = [heading.replace(" ", "-") for heading in re.findall("(?m)^## (.+)$", cells)]
    assert headings.count(unquote(anchor)) == 1
    assert glossary.line(term, meaning) == f"| **{term}** | {meaning} | [{lesson}]({target}) |"


def test_first_place_looks_at_whole_words_in_whatever_form_and_not_at_code():
    for text in ("Two logits.", "a\nLogit,", "**logit**s", "`logit`"):
        assert glossary.stands_in("logit", text)
    for text in ("logistic", "model.logit", "prelogit"):
        assert not glossary.stands_in("logit", text)
    assert glossary.stands_in("test set", "the test\nset") and not glossary.stands_in("test set", "test a set")
    with pytest.raises(LookupError, match="no lesson says 'phlogiston'"):
        glossary.first_place("phlogiston")


def test_the_links_to_files_lead_somewhere():
    for target in re.findall(r"\]\(([\w./]+)(?:#[^)]*)?\)", TEXT):
        assert (START.parent / target).is_file(), target


def test_the_check_prints_versions_computer_and_images():
    assert len(code_cells(read(START))) == 1
    printed = text_outputs(read(START))
    for pattern in (r"torch +\d", r"mnist_helpers \d\S+, Python 3\.", "this computer: ", "Full MNIST: 48,000 training"):
        assert re.search(pattern, printed), pattern


def test_its_minutes_add_up():
    whole, sections = class_minutes(read(START))
    (stated,) = re.findall(r"\*\*Time:\*\* about (\d+) minutes", TEXT)
    text = TEXT.partition("## What does this word mean?")[0]
    assert whole == sections and abs(int(stated) - len(text.split()) / 100 - 5) <= 5
