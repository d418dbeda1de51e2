"""The browser of images and the explorer of predictions: what their pictures and words say, computed anew."""

import dataclasses

import numpy as np
import pytest
import torch
from matplotlib.text import Text
from torch.utils.data import TensorDataset

from mnist_helpers.widgets.images import THRESHOLDS, digit_browser, prediction_explorer
from panels import axes_titled, choices, moved, words_of

# ---------------------------------------------------------------- digit_browser


@pytest.fixture(scope="module")
def browser(sample):
    """All tests share it: they look at its stills and move nothing."""
    return digit_browser(sample.test)


@pytest.mark.parametrize("digit, position", [("all", 0), ("all", 999), (0, 1), (7, -1)])
@pytest.mark.parametrize("row, column", [(14, 14), (0, 27), (26, 2)])
def test_image_numbers_curve_and_words_are_those_of_the_chosen_pixel(browser, sample, digit, position, row, column):
    images, labels = sample.test.tensors
    group = torch.arange(1000) if digit == "all" else (labels == digit).nonzero()[:, 0]
    number, position = group[position], range(len(group))[position]
    pixels = (255 * images[number, 0]).round().int().numpy()
    still = browser.still(digit=digit, position=position, row=row, column=column)
    assert still.words == (
        f"Image {number:,} of the dataset, label {labels[number]}. Pixel in row {row}, column {column}: "
        f"{pixels[row, column]}. The whole row: {' '.join(map(str, pixels[row]))}"
    )
    whole, patch, profile = still.figure.axes
    np.testing.assert_array_equal(whole.images[0].get_array(), pixels)
    assert whole.images[0].get_clim() == (0, 255)
    assert list(profile.lines[0].get_ydata()) == pixels[row].tolist()
    names = [(ax.get_xlabel(), ax.get_ylabel()) for ax in (whole, patch, profile)]
    assert names == [("column", "row"), ("column", "row"), ("column", "ink, 0 to 255")]
    left, top = (round(edge + 0.5) for edge in whole.patches[0].get_xy())
    square = [(x, y) for y in range(top, top + 7) for x in range(left, left + 7)]
    assert {text.get_position(): text.get_text() for text in patch.texts} == {
        (x, y): str(pixels[y, x]) for x, y in square
    }
    assert [text.get_position() for text in patch.texts if text.get_fontweight() == "bold"] == [(column, row)]


def test_the_positions_end_at_the_last_image_of_the_digit(sample):
    browser = moved(digit_browser(sample.test), position=999)
    assert browser.controls["position"].max == 999
    moved(browser, digit=4)
    assert browser.values["position"] == browser.controls["position"].max == 99
    assert words_of(browser).startswith(f"Image {(sample.test.tensors[1] == 4).nonzero()[-1].item()} ")
    assert moved(browser, digit="all").controls["position"].max == 999


def test_of_a_single_image_only_its_digit_can_be_chosen_and_pixels_are_rounded_to_the_nearest_number():
    browser = digit_browser(TensorDataset(torch.full((1, 1, 28, 28), 99.9 / 255), torch.tensor([3])))
    assert {text.get_text() for text in browser.still().figure.axes[1].texts} == {"100"}
    assert choices(browser.controls["position"]) == [0, 0] and choices(browser.controls["digit"]) == ["all", 3]


# ---------------------------------------------------------------- prediction_explorer


@pytest.fixture(scope="module")
def sure(predictions):
    """The predictions of a network that is surer of itself: some are above every threshold but 1."""
    return dataclasses.replace(predictions, logits=8 * predictions.logits)


@pytest.fixture(scope="module")
def explorer(sure):
    """All tests share it: they look at its stills and move nothing."""
    return prediction_explorer(sure)


def masks_of(predictions, threshold):
    """Which predictions are of each kind, computed from the logits."""
    confidence, predicted = predictions.logits.softmax(dim=1).max(dim=1)
    answered, correct = confidence >= threshold, predicted == predictions.labels
    return {"wrong": answered & ~correct, "right": answered & correct, "refused": ~answered}


def test_the_thresholds_are_plain_decimals_that_come_as_near_to_1_as_0_99999():
    assert sorted(set(THRESHOLDS)) == THRESHOLDS and THRESHOLDS[0] == 0 and THRESHOLDS[-1] == 0.99999
    assert {0.1, 0.5, 0.8, 0.9, 0.95, 0.99, 0.999, 0.9995} <= set(THRESHOLDS)


@pytest.mark.parametrize("threshold", [0.0, 0.5, 0.9, 0.99999])
def test_words_and_curves_count_the_answers_and_the_wrong_ones(explorer, sure, threshold):
    masks, still = masks_of(sure, threshold), explorer.still(threshold=threshold)
    wrong = int(masks["wrong"].sum())
    answered = wrong + int(masks["right"].sum())
    assert f"{answered:,} of 1,000 images answered ({answered / 1000:.1%}), {wrong} of them wrong" in still.words
    assert (f"({wrong / max(answered, 1):.2%} of the answers)" in still.words) == (answered > 0)
    for title, share in (("answered", answered / 1000), ("wrong, of the answered", wrong / (answered or np.nan))):
        curve = axes_titled(still.figure, title).lines[0]
        assert list(curve.get_xdata()) == THRESHOLDS
        assert curve.get_ydata()[THRESHOLDS.index(threshold)] == pytest.approx(share, nan_ok=True)


def test_the_last_percent_has_as_much_room_as_the_others_and_the_share_of_wrong_answers_is_logarithmic(explorer):
    answered, wrong = [axes_titled(explorer.still().figure, title) for title in ("answered", "wrong, of the answered")]
    for ax in (answered, wrong):
        places = ax.transData.transform([(each, 0.01) for each in (0, 0.9, 0.99, 0.999)])[:, 0]
        np.testing.assert_allclose(np.diff(places), places[1] - places[0], rtol=1e-6)
        assert [text.get_text() for text in ax.get_xticklabels()][:4] == ["0", "0.9", "0.99", "0.999"]
    assert (answered.get_yscale(), wrong.get_yscale()) == ("linear", "log")
    assert wrong.yaxis.get_major_formatter()(0.001, 0) == "0.1%"


@pytest.mark.parametrize("kind", ["wrong", "right", "refused"])
@pytest.mark.parametrize("true, predicted", [("any", "any"), (3, "any"), ("any", 8), (4, 9), (3, 3)])
def test_the_10_images_asked_for_that_are_nearest_to_the_threshold_are_shown(explorer, sure, kind, true, predicted):
    chosen = masks_of(sure, 0.5)[kind]
    for asked, given in ((true, sure.labels), (predicted, sure.logits.argmax(dim=1))):
        chosen = chosen & (given == asked) if asked != "any" else chosen
    still = explorer.still(threshold=0.5, kind=kind, true=true, predicted=predicted)
    found = sure[chosen]
    found = found[(found.confidence - 0.5).abs().argsort()[:10]]
    assert f"{kind}: {int(chosen.sum())} images, {len(found)} shown" in still.words
    shown = [ax for ax in still.figure.axes if ax.images]
    for ax, image, t, p in zip(shown, found.images, found.labels, found.predicted, strict=True):
        assert ax.get_title() == f"{'✗ ' * bool(t != p)}T: {t}  P: {p}"
        np.testing.assert_array_equal(ax.images[0].get_array(), image[0])
    texts = [text.get_text() for text in still.figure.findobj(Text)]
    assert ("no such image" in texts) == (len(found) == 0)
