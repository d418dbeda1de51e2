"""The site for reading, built from the stored lessons as the README says, with warnings as errors."""

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from lessons import PATHS, code_cells, markdown_cells, read, solutions

ROOT = Path(__file__).resolve().parent.parent
EACH_LESSON = pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)


def build_site(folder):
    """Run the README's command for another folder and for a fork, and give the folder with the pages."""
    (command,) = re.findall(r"(?m)^\.venv/bin/sphinx-build (.*)$", (ROOT / "README.md").read_text(encoding="utf-8"))
    arguments = [str(folder) if word == "runs/site" else word for word in command.split()]
    command = [sys.executable, "-m", "sphinx", *arguments, "-q"]
    environ = os.environ | {"GITHUB_REPOSITORY": "somebody/a-fork"}
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder / "html"


class Page(HTMLParser):
    """A page's text outside and inside of <details>, its links, and the descriptions of its figures."""

    def __init__(self, file):
        super().__init__()
        self.source, self.depth, self.text, self.links, self.figures = file.read_text("utf-8"), 0, ["", ""], [], []
        self.feed(self.source)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.depth += tag == "details"
        if "href" in attributes:
            self.links.append(attributes["href"])
        if tag == "img" and attributes["src"].startswith("_images/"):
            self.figures.append(attributes.get("alt"))

    def handle_endtag(self, tag):
        self.depth -= tag == "details"

    def handle_data(self, data):
        self.text[self.depth > 0] += data


def squeezed(text):
    """Letters and digits only: a page has other spaces, and other quotation marks in its text."""
    return re.sub(r"[\W_]", "", text)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    return build_site(tmp_path_factory.mktemp("site"))


@pytest.fixture
def page(site, path):
    return Page(site / f"{path.stem}.html")


@EACH_LESSON
def test_a_page_has_the_sections_of_its_lesson_and_no_teaching_note(page, path):
    notebook, text = read(path), squeezed("".join(page.text))
    headings = [line for cell in markdown_cells(notebook) for line in re.findall("(?m)^#+ (.*)$", cell.source)]
    assert headings and [heading for heading in headings if squeezed(heading) not in text] == []
    assert [words for words in ("Teaching note", "Ask before running", "Expected answer") if words in page.source] == []


@EACH_LESSON
def test_solutions_are_folded_and_no_other_code_is(page, path):
    notebook, (shown, folded) = read(path), map(squeezed, page.text)
    parts = {True: solutions(notebook), False: []}
    for cell in code_cells(notebook):
        parts["solution" in cell.metadata.get("tags", [])].append(cell.source)
    assert [code for code in parts[True] if squeezed(code) not in folded or squeezed(code) in shown] == []
    assert [code for code in parts[False] if squeezed(code) not in shown] == []


@EACH_LESSON
def test_every_stored_figure_is_there_and_a_panel_leaves_nothing_that_needs_a_kernel(page, path):
    stored = [output.get("data", {}) for cell in code_cells(read(path)) for output in cell.outputs]
    assert len(page.figures) == sum("image/png" in data for data in stored) and all(page.figures)
    assert not re.search(r"widget-view|Jupyter widget|\w+Box\(|Figure size", page.source)


@EACH_LESSON
def test_a_lesson_has_buttons_for_binder_and_colab_and_stands_in_the_contents(site, page, path):
    file = f"notebooks/{path.name}"
    assert f"https://mybinder.org/v2/gh/somebody/a-fork/HEAD?urlpath=lab/tree/{file}" in page.links
    assert f"https://colab.research.google.com/github/somebody/a-fork/blob/HEAD/{file}" in page.links
    assert f"{path.stem}.html" in Page(site / "index.html").links


def test_the_first_page_takes_its_table_and_addresses_from_the_readme_and_names_the_fork(site):
    page = Page(site / "index.html")
    shown, _ = page.text
    assert page.links.count("01_data_loading.html") > 1, "in the contents, and in the table"
    assert "git clone https://github.com/somebody/a-fork" in shown and "YOU/" not in shown


def test_the_search_knows_the_titles_and_the_words_of_the_lessons(site):
    index = (site / "searchindex.js").read_text("utf-8")
    assert "Lesson 5: Predictions" in index and re.search(r'"?dropout"?:\[', index)
