"""Results → Axes, read back from the Axes."""

import warnings

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.colors import to_hex, to_rgba
from sklearn.metrics import confusion_matrix

from mnist_helpers import plots
from mnist_helpers.plots import COLORS, WRONG, plot_digits, plot_predictions
from mnist_helpers.predictions import Predictions, calibration_table
from mnist_helpers.training import History, Metrics

STYLE = "mnist_helpers.lesson"
SHARES = torch.tensor([0.5, 0.3, 0.1, 0.02, 0.02, 0.02, 0.01, 0.01, 0.01, 0.01])
DIGITS = list("0123456789")

DIFFERENCES = pd.DataFrame(
    {
        "measure": ["accuracy"] * 3 + ["calibration error (points)"] * 2,
        "setting": ["dropout", "decay", "both", "dropout", "both"],
        "mean": [0.3, -0.2, -0.5, 2.0, -7.0],
        "half": [0.1, 0.3, 0.4, 2.0, 6.9],
    }
)


@pytest.fixture(scope="module")
def history():
    columns = [[0.5, 0.3, 0.2], [0.8, 0.9, 0.95], [0.6, 0.4, 0.35], [0.7, 0.85, 0.9], [0.9, 0.5, 0.4], [0.6, 0.7, 0.75]]
    return History(*columns, [1, 1, 1])


@pytest.fixture(scope="module")
def three(sample):
    """Three predictions: right, wrong (a 5 called 3), right."""
    logits = torch.zeros(3, 10)
    logits[0, 7] = logits[1, 3] = logits[2, 1] = 4
    return Predictions(logits, torch.tensor([7, 5, 1]), sample.test.tensors[0][:3])


def titles_of(axes):
    return [ax.get_title() for ax in axes.flat]


def texts_of(texts):
    return [text.get_text() for text in texts]


def names_of(ax):
    return ax.get_xlabel(), ax.get_ylabel()


def assert_shows(axes, images):
    """Whether each image is drawn as it is, ink dark on white."""
    for ax, image in zip(axes.flat, images):
        (drawn,) = ax.images
        np.testing.assert_array_equal(drawn.get_array(), image.squeeze(0))
        assert drawn.get_clim() == (0, 1), "one scale for all images"
        assert drawn.cmap(0.0)[:3] == (1, 1, 1) and drawn.cmap(1.0)[:3] == (0, 0, 0)


PLOTS = {
    "digits": (lambda p, h, axes: plot_digits(p.images[:10], p.labels[:10], axes=axes), (2, 5)),
    "history": (lambda p, h, axes: plots.plot_history(h, running=True, axes=axes), (1, 2)),
    "predictions": (lambda p, h, axes: plot_predictions(p[:10], axes=axes), (2, 5)),
    "probabilities": (lambda p, h, axes: plots.plot_probabilities(SHARES, 2, ax=axes), ()),
    "confusion_matrix": (lambda p, h, axes: plots.plot_confusion_matrix(p, ax=axes), ()),
    "calibration": (lambda p, h, axes: plots.plot_calibration(p, ax=axes), ()),
    "differences": (lambda p, h, axes: plots.plot_differences(DIFFERENCES, axes=axes), (1, 2)),
}
EACH_PLOT = pytest.mark.parametrize("draw, shape", PLOTS.values(), ids=PLOTS)


@EACH_PLOT
def test_a_plot_draws_on_the_axes_it_is_given_and_makes_no_figure(predictions, history, draw, shape):
    axes = plt.subplots(*shape)[1]
    assert draw(predictions, history, axes) is axes
    assert len(plt.get_fignums()) == 1 and all(ax.has_data() for ax in np.ravel(axes))


@EACH_PLOT
def test_a_plot_makes_one_opaque_figure_in_the_lessons_style_without_a_warning_and_neither_shows_nor_saves(
    predictions, history, draw, shape, monkeypatch, tmp_path
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(plt, "show", lambda *_, **__: pytest.fail("shown"))
    with plt.style.context(STYLE), warnings.catch_warnings():
        warnings.simplefilter("error")
        figures = {ax.figure for ax in np.ravel(draw(predictions, history, None))}
        assert list(tmp_path.iterdir()) == []
        assert len(figures) == 1 and len(plt.get_fignums()) == 1
        plt.savefig("plot.png", dpi=20)
    assert plt.imread("plot.png")[..., 3:].min(initial=1) == 1


@EACH_PLOT
def test_lines_with_a_name_differ_by_more_than_their_colour(predictions, history, draw, shape):
    for ax in np.ravel(draw(predictions, history, None)):
        looks = [(line.get_linestyle(), line.get_marker()) for line in ax.lines if line.get_label()[0] != "_"]
        assert len(looks) == len(set(looks))


def test_the_lessons_style_has_an_opaque_figure_readable_letters_and_the_colours_of_the_three_sets():
    with plt.style.context(STYLE):
        assert to_rgba(plt.rcParams["figure.facecolor"])[3] == 1 and plt.rcParams["font.size"] >= 12
        palette = [to_hex(color).upper() for color in plt.rcParams["axes.prop_cycle"].by_key()["color"]]
    assert len(set(COLORS.values())) == 3 and set(COLORS.values()) <= set(palette)


def test_images_are_drawn_as_they_are_with_a_channel_or_without(sample):
    images = sample.test.tensors[0][:4]
    for given in (images, images[:, 0]):
        axes = plot_digits(given)
        assert_shows(axes, images)
        assert titles_of(axes) == [""] * 4


def test_titles_may_be_texts_or_numbers(sample):
    for titles in ([7, 2, 1], ["7", "2", "1"], torch.tensor([7, 2, 1]), np.array([7, 2, 1])):
        assert titles_of(plot_digits(sample.test.tensors[0][:3], titles)) == ["7", "2", "1"]


@pytest.mark.parametrize("count, columns, shape", [(7, 3, (3, 3)), (6, 3, (2, 3)), (2, 10, (1, 2)), (1, 1, (1, 1))])
def test_the_grid_has_as_many_rows_as_the_images_need_and_no_frames(sample, count, columns, shape):
    axes = plot_digits(sample.test.tensors[0][:count], columns=columns)
    assert axes.shape == shape
    assert [bool(ax.images) for ax in axes.flat] == [True] * count + [False] * (axes.size - count)
    assert not any(ax.axison for ax in axes.flat)


def test_too_few_images_titles_or_axes_are_refused_with_their_numbers(three):
    for call, message in {
        lambda: plot_digits(three.images, [1, 2]): "3 images and 2 titles",
        lambda: plot_digits(three.images, []): "3 images and 0 titles",
        lambda: plot_digits(three.images, [1, 2, 3, 4]): "3 images and 4 titles",
        lambda: plot_digits(three.images, axes=plt.subplots(1, 2)[1]): "3 images .* got 2",
        lambda: plot_digits(three.images[:0]): "at least one image",
        lambda: plot_predictions(three[:0]): "no predictions",
    }.items():
        with pytest.raises(ValueError, match=message):
            call()


@pytest.mark.parametrize("columns", [0, 2.5, "3", True], ids=repr)
def test_a_number_of_columns_that_cannot_be_is_refused(three, columns):
    for plot, what in ((plot_digits, three.images), (plot_predictions, three)):
        with pytest.raises(ValueError, match=f"columns must be a whole number from 1 .*got {columns!r}"):
            plot(what, columns=columns)


@pytest.mark.parametrize("running", [False, True], ids=["measured only", "running values too"])
def test_the_curves_are_the_historys_numbers_over_whole_epochs_each_in_the_legend(history, running):
    axes = plots.plot_history(history, running=running)
    parts = ["train", "valid", "running"] if running else ["train", "valid"]
    for ax, quantity in zip(axes, ["loss", "accuracy"]):
        assert [list(line.get_xdata()) for line in ax.lines] == [[1, 2, 3]] * len(parts)
        assert [list(line.get_ydata()) for line in ax.lines] == [
            getattr(history, f"{part}_{quantity}") for part in parts
        ]
        assert [line.get_color() for line in ax.lines] == [COLORS["train"], COLORS["valid"], COLORS["train"]][
            : len(parts)
        ]
        assert ax.lines[0].get_marker() != ax.lines[1].get_marker() and ax.lines[-1].get_linestyle() == (
            "--" if running else "-"
        )
        legend = ["training", "validation", "training, dropout on"]
        assert texts_of(ax.get_legend().get_texts()) == legend[: len(parts)]
        assert (ax.get_title(), *names_of(ax)) == ("", "epoch", quantity)
        assert ax.get_yscale() == "linear"
        assert all(tick == int(tick) for tick in ax.get_xticks())
    assert [len(line.get_xdata()) for line in plots.plot_history(History())[0].lines] == [0, 0]


def test_the_curves_may_start_with_the_untrained_network_in_epoch_0_with_all_of_both_axes_to_be_read(history):
    with plt.style.context(STYLE):
        axes = plots.plot_history(history, start=Metrics(2.3, 0.1), running=True)
        axes[0].figure.canvas.draw()
        labels = [text.get_text() for text in axes[0].get_yticklabels()]
    for ax, quantity, first in zip(axes, ["loss", "accuracy"], [2.3, 0.1]):
        train, valid, running = ax.lines
        assert [list(line.get_xdata()) for line in ax.lines] == [[0, 1, 2, 3], [0, 1, 2, 3], [1, 2, 3]]
        assert list(train.get_ydata()) == [first, *getattr(history, f"train_{quantity}")]
        assert list(valid.get_ydata()) == [first, *getattr(history, f"valid_{quantity}")]
    assert (axes[0].get_yscale(), axes[1].get_yscale()) == ("log", "linear")
    assert {"0.2", "0.5", "1", "2"} <= set(labels), "plain numbers, no powers of ten"
    assert axes[1].get_ylim()[0] == 0 and axes[1].get_ylim()[1] >= 1


def test_only_wrong_predictions_have_a_cross_bold_letters_another_colour_and_a_whole_frame_without_ticks(three):
    with plt.style.context(STYLE):
        axes = plot_predictions(three)
    assert_shows(axes, three.images)
    assert axes.shape == (1, 5) and plot_predictions(three, columns=2).shape == (2, 2)
    assert titles_of(axes) == ["T: 7  P: 7", "✗ T: 5  P: 3", "T: 1  P: 1", "", ""]
    assert [ax.title.get_fontweight() == "bold" for ax in axes.flat] == [False, True, False, False, False]
    assert [ax.title.get_color() == WRONG for ax in axes.flat] == [False, True, False, False, False]
    framed = [ax.axison and all(spine.get_visible() for spine in ax.spines.values()) for ax in axes.flat]
    assert framed == [False, True, False, False, False]
    assert len(axes[0, 1].get_xticks()) == len(axes[0, 1].get_yticks()) == 0


def test_the_confidence_may_stand_behind_the_labels_and_is_never_rounded_up(three):
    sure = Predictions(three.logits * torch.tensor([[1.0], [2.0], [3.0]]), three.labels, three.images)
    axes = plot_predictions(sure, confidence=True)
    shares = sure.confidence.tolist()
    assert shares[2] > 0.9999 and all(
        f"{share:.4f}"[2:4] in title for share, title in zip(shares, titles_of(axes)[0:2])
    )
    assert titles_of(axes)[2] == "T: 1  P: 1 (99.9 %)" and titles_of(axes)[1].startswith("✗ T: 5  P: 3 (")


def test_the_bars_are_the_probabilities_and_an_arrow_points_at_that_of_the_true_class():
    ax = plots.plot_probabilities(SHARES)
    assert [bar.get_height() for bar in ax.patches] == pytest.approx(SHARES.tolist())
    assert [bar.get_x() + bar.get_width() / 2 for bar in ax.patches] == pytest.approx(range(10))
    assert texts_of(ax.get_xticklabels()) == DIGITS and names_of(ax) == ("class", "probability")
    assert ax.get_ylim()[0] == 0 and ax.get_ylim()[1] >= 1
    assert len(ax.texts) == 0
    for label in (2, torch.tensor(2)):
        (text,) = plots.plot_probabilities(SHARES, label).texts
        assert text.get_text() == "true class" and text.arrow_patch is not None
        assert text.xy == pytest.approx((2, 0.1))


@pytest.mark.parametrize("shape", [(9,), (11,), (1, 10), ()])
def test_anything_but_ten_probabilities_is_refused_with_its_shape(shape):
    with pytest.raises(ValueError) as caught:
        plots.plot_probabilities(torch.zeros(shape))
    assert str(shape) in str(caught.value)


def test_the_confusion_matrix_shows_scikit_learns_counts_at_each_digit(predictions):
    ax = plots.plot_confusion_matrix(predictions)
    expected = confusion_matrix(predictions.labels, predictions.predicted)
    assert texts_of(ax.texts) == [str(count) for count in expected.flatten()]
    assert texts_of(ax.get_xticklabels()) == texts_of(ax.get_yticklabels()) == DIGITS


def test_rows_of_the_confusion_matrix_are_true_labels_and_each_digit_has_one(three):
    ax = plots.plot_confusion_matrix(three)
    image = ax.images[0].get_array()
    assert image.shape == (10, 10) and image[5, 3] == 1 and image[3, 5] == 0
    assert names_of(ax) == ("predicted label", "true label")


@pytest.mark.parametrize("bins", [5, 10, [0, 0.5, 0.9, 0.99, 1]], ids=str)
def test_the_calibration_shows_the_groups_of_the_table_beside_the_line_of_agreement(predictions, bins):
    ax, table = plots.plot_calibration(predictions, bins=bins), calibration_table(predictions, bins)
    points, _, (bars,) = ax.containers[0].lines
    np.testing.assert_allclose(points.get_xydata(), table[["confidence", "accuracy"]])
    ends = [segment[:, 1] for segment in bars.get_segments()]
    np.testing.assert_allclose(ends, table[["low", "high"]], atol=1e-9)
    assert texts_of(ax.texts) == [f"{images:,}" for images in table["images"]]
    np.testing.assert_allclose([text.xy for text in ax.texts], table[["confidence", "low"]])
    assert all(text.xyann[1] < 0 for text in ax.texts)  # below the interval
    np.testing.assert_allclose(ax.lines[0].get_xydata(), [[0, 0], [1, 1]], atol=1e-5)
    assert (ax.lines[0].get_xydata() % 1 > 0).all(), (
        "within 0 and 1, so that axes with more room for the last percent have it"
    )
    assert texts_of(ax.get_legend().get_texts()) == ["confidence = accuracy", "predictions, 95 % interval"]
    assert names_of(ax) == ("confidence (mean of the group)", "accuracy")


def points_of(ax):
    """{height: (mean, low end, high end, marker full)} of the errorbars."""
    points = {}
    for container in ax.containers:
        (mark, _, (bar,)) = container.lines
        (x,), (y,) = mark.get_data()
        (low, _), (high, _) = bar.get_segments()[0]
        points[int(y)] = (x, low, high, to_hex(mark.get_markerfacecolor()) == to_hex(mark.get_markeredgecolor()))
    return points


def test_each_difference_stands_in_the_line_of_its_setting_with_a_full_marker_where_its_interval_leaves_out_zero():
    axes = plots.plot_differences(DIFFERENCES)
    accuracy, calibration = [points_of(ax) for ax in axes]
    assert accuracy == {
        0: pytest.approx((0.3, 0.2, 0.4, True)),
        1: pytest.approx((-0.2, -0.5, 0.1, False)),
        2: pytest.approx((-0.5, -0.9, -0.1, True)),
    }
    assert calibration == {0: pytest.approx((2, 0, 4, False)), 2: pytest.approx((-7, -13.9, -0.1, True))}
    assert texts_of(axes[0].get_yticklabels()) == ["dropout", "decay", "both"]
    assert "".join(texts_of(axes[1].get_yticklabels())) == ""
    for ax in axes:
        assert ax.get_ylim()[0] > 2 and ax.get_ylim()[1] < 0 and list(ax.get_yticks()) == [0, 1, 2]
        assert [list(line.get_xdata()) for line in ax.lines if line.get_linestyle() == ":"] == [[0, 0]]


def test_titles_and_numbers_of_the_differences_have_room():
    scales = {"accuracy": 1, "loss": 0.007, "gap": 0.2, "calibration error": 0.1}
    table = pd.concat(
        DIFFERENCES.assign(measure=f"{name} (points)", mean=DIFFERENCES["mean"] * scale, half=scale)
        for name, scale in scales.items()
    )
    with plt.style.context(STYLE):
        axes = plots.plot_differences(table)
        figure = axes[0].figure
        figure.canvas.draw()
        titles = [ax.title.get_window_extent() for ax in axes]
        assert all(left.x1 < right.x0 for left, right in zip(titles, titles[1:])) and titles[-1].x1 <= figure.bbox.x1
        for ax in axes:
            boxes = [text.get_window_extent() for text in ax.get_xticklabels()]
            low, high = ax.bbox.x0 - 1, ax.bbox.x1 + 1
            boxes = [box for box in boxes if low <= (box.x0 + box.x1) / 2 <= high]
            assert len(boxes) >= 2 and all(left.x1 < right.x0 for left, right in zip(boxes, boxes[1:]))
