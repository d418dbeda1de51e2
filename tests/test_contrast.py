"""Contrast on the figures' white (WCAG 2): at least 4.5 for text, 3 for lines and marks.

The words around the figures follow the theme of JupyterLab: they are looked at in the browser, in both themes.
"""

import re
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgb

from lessons import PATHS, read
from mnist_helpers.diagrams import NEGATIVE, POSITIVE
from mnist_helpers.plots import COLORS, WRONG
from mnist_helpers.widgets.images import write_numbers

PACKAGE = Path(__file__).resolve().parent.parent / "mnist_helpers"
WITH_ANOTHER_EDGE = {  # colours of areas that need no contrast of their own
    "#56B4E9": "bars and a mark with a black edge",
    "lightgray": "empty places, and frames around images that are dark themselves",
    "white": "boxes behind text, and text on dark pixels",
}
NAMED = re.compile(r"""(#[0-9A-Fa-f]{6})|color["']?[=:] ?["']([a-z]+)["']""")


def luminance(color):
    """The relative luminance of WCAG 2."""
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in to_rgb(color)]
    return np.dot([0.2126, 0.7152, 0.0722], linear)


def contrast(color, other="white"):
    low, high = sorted((luminance(color), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_contrast_is_that_of_wcag():
    assert contrast("black") == pytest.approx(21) and contrast("#767676") == pytest.approx(4.54, abs=0.01)


def test_lines_and_marks_stand_out_from_white():
    with plt.style.context("mnist_helpers.lesson"):
        cycle = plt.rcParams["axes.prop_cycle"].by_key()["color"]
        assert {plt.rcParams[f"{part}.facecolor"] for part in ("figure", "savefig", "axes")} == {"white"}
    sources = [path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py")]
    sources += [cell.source for path in PATHS for cell in read(path).cells if cell.cell_type == "code"]
    found = {name or word for source in sources for name, word in NAMED.findall(source)} - {"none"}
    assert {"black", "gray", WRONG, *COLORS.values()} <= found
    colors = {*[f"#{color.lstrip('#')}" for color in cycle], *found} - set(WITH_ANOTHER_EDGE)
    assert {color: round(contrast(color), 2) for color in colors if contrast(color) < 3} == {}


@pytest.mark.parametrize("color", [WRONG, NEGATIVE, POSITIVE])
def test_coloured_text_can_be_read(color):
    assert contrast(color) >= 4.5


def test_numbers_can_be_read_on_a_pixel_of_any_gray():
    ax = plt.subplots()[1]
    for ink in range(256):
        write_numbers(ax, np.full((28, 28), ink), 0, 0, (3, 3))
        assert contrast(ax.texts[-1].get_color(), plt.get_cmap("gray_r")(ink / 255)[:3]) >= 4.5, ink
