"""Results → Axes, read back from the Axes."""

import warnings

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.colors import to_hex, to_rgba
from sklearn.metrics import confusion_matrix

from mnist_helpers.plots import (
    COLORS,
    WRONG,
    plot_calibration,
    plot_confusion_matrix,
    plot_differences,
    plot_digits,
    plot_history,
    plot_predictions,
    plot_probabilities,
)
from mnist_helpers.predictions import Predictions, calibration_table
from mnist_helpers.training import History

STYLE = "mnist_helpers.lesson"
SHARES = torch.tensor([0.5, 0.3, 0.1, 0.02, 0.02, 0.02, 0.01, 0.01, 0.01, 0.01])

DIFFERENCES = pd.DataFrame(
    [
        ["accuracy", "dropout", 0.3, 0.1],
        ["accuracy", "decay", -0.2, 0.3],
        ["accuracy", "both", -0.5, 0.4],
        ["calibration error (points)", "dropout", 2.0, 2.0],
        ["calibration error (points)", "both", -7.0, 6.9],
    ],
    columns=["measure", "setting", "mean", "half"],
)


@pytest.fixture(scope="module")
def history():
    return History(
        [0.5, 0.3, 0.2],
        [0.8, 0.9, 0.95],
        [0.6, 0.4, 0.35],
        [0.7, 0.85, 0.9],
        [0.9, 0.5, 0.4],
        [0.6, 0.7, 0.75],
        [1, 1, 1],
    )


@pytest.fixture(scope="module")
def three(sample):
    """Three predictions: right, wrong (a 5 called 3), right."""
    logits = torch.zeros(3, 10)
    logits[0, 7] = logits[1, 3] = logits[2, 1] = 4
    return Predictions(logits, torch.tensor([7, 5, 1]), sample.test.tensors[0][:3])


def titles_of(axes):
    return [ax.get_title() for ax in axes.flat]


def legend_of(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


# ---------------------------------------------------------------- all plots

PLOTS = {
    "digits": (lambda p, h, axes: plot_digits(p.images[:10], p.labels[:10], axes=axes), (2, 5)),
    "history": (lambda p, h, axes: plot_history(h, running=True, axes=axes), (1, 2)),
    "predictions": (lambda p, h, axes: plot_predictions(p[:10], axes=axes), (2, 5)),
    "probabilities": (lambda p, h, axes: plot_probabilities(SHARES, 2, ax=axes), ()),
    "confusion_matrix": (lambda p, h, axes: plot_confusion_matrix(p, ax=axes), ()),
    "calibration": (lambda p, h, axes: plot_calibration(p, ax=axes), ()),
    "differences": (lambda p, h, axes: plot_differences(DIFFERENCES, axes=axes), (1, 2)),
}
EACH_PLOT = pytest.mark.parametrize("draw, shape", PLOTS.values(), ids=PLOTS)


@EACH_PLOT
def test_a_plot_draws_on_the_axes_it_is_given_and_makes_no_figure(predictions, history, draw, shape):
    axes = plt.subplots(*shape)[1]
    returned = draw(predictions, history, axes)
    assert returned is axes
    assert len(plt.get_fignums()) == 1
    assert all(ax.has_data() for ax in np.ravel(axes))


@EACH_PLOT
def test_a_plot_without_axes_makes_one_figure_and_returns_its_axes(predictions, history, draw, shape):
    axes = draw(predictions, history, None)
    figures = {ax.figure.number for ax in np.ravel(axes)}
    assert figures == set(plt.get_fignums()) and len(figures) == 1


@EACH_PLOT
def test_a_plot_neither_shows_nor_saves(predictions, history, draw, shape, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    shown = []
    monkeypatch.setattr(plt, "show", lambda *_, **__: shown.append(1))
    draw(predictions, history, None)
    assert shown == [] and list(tmp_path.iterdir()) == []


@EACH_PLOT
def test_a_plot_in_the_lessons_style_draws_without_a_warning(predictions, history, draw, shape):
    with plt.style.context(STYLE), warnings.catch_warnings():
        warnings.simplefilter("error")
        draw(predictions, history, None)
        plt.gcf().canvas.draw()


@EACH_PLOT
def test_a_plot_in_the_lessons_style_is_opaque(predictions, history, draw, shape, tmp_path):
    with plt.style.context(STYLE):
        draw(predictions, history, None)
        plt.savefig(tmp_path / "plot.png", dpi=20)
    assert plt.imread(tmp_path / "plot.png")[..., 3:].min(initial=1) == 1


def test_the_lessons_style_has_an_opaque_figure_and_readable_letters():
    with plt.style.context(STYLE):
        assert to_rgba(plt.rcParams["figure.facecolor"])[3] == 1
        assert plt.rcParams["font.size"] >= 12


def test_training_validation_and_test_have_colours_of_their_own_from_the_style():
    with plt.style.context(STYLE):
        palette = [to_hex(color).upper() for color in plt.rcParams["axes.prop_cycle"].by_key()["color"]]
    assert len(set(COLORS.values())) == 3 and set(COLORS.values()) <= set(palette)


# ---------------------------------------------------------------- plot_digits


def test_each_image_is_drawn_as_it_is(sample):
    images = sample.test.tensors[0][:4]
    axes = plot_digits(images)
    for ax, image in zip(axes.flat, images):
        np.testing.assert_array_equal(ax.images[0].get_array(), image[0])


def test_ink_is_dark_on_white(sample):
    image = plot_digits(sample.test.tensors[0][:1])[0, 0].images[0]
    assert image.cmap(0.0)[:3] == (1, 1, 1) and image.cmap(1.0)[:3] == (0, 0, 0)


def test_images_may_come_without_a_channel(sample):
    axes = plot_digits(sample.test.tensors[0][:2, 0])
    assert [ax.images[0].get_array().shape for ax in axes.flat] == [(28, 28)] * 2


@pytest.mark.parametrize(
    "titles",
    [[7, 2, 1], ["7", "2", "1"], torch.tensor([7, 2, 1]), np.array([7, 2, 1])],
    ids=["ints", "texts", "tensor", "array"],
)
def test_titles_may_be_texts_or_numbers(sample, titles):
    assert titles_of(plot_digits(sample.test.tensors[0][:3], titles)) == ["7", "2", "1"]


def test_without_titles_there_are_none(sample):
    assert titles_of(plot_digits(sample.test.tensors[0][:2])) == ["", ""]


@pytest.mark.parametrize("count, columns, shape", [(7, 3, (3, 3)), (6, 3, (2, 3)), (2, 10, (1, 2)), (1, 1, (1, 1))])
def test_the_grid_has_as_many_rows_as_the_images_need(sample, count, columns, shape):
    axes = plot_digits(sample.test.tensors[0][:count], columns=columns)
    assert axes.shape == shape
    assert [bool(ax.images) for ax in axes.flat] == [True] * count + [False] * (axes.size - count)


def test_no_field_of_the_grid_shows_a_frame(sample):
    assert not any(ax.axison for ax in plot_digits(sample.test.tensors[0][:7], columns=3).flat)


@pytest.mark.parametrize("titles", [[], [1], [1, 2, 3]], ids=len)
def test_too_few_or_too_many_titles_are_refused_with_both_numbers(sample, titles):
    with pytest.raises(ValueError, match=f"2 images and {len(titles)} titles"):
        plot_digits(sample.test.tensors[0][:2], titles)


def test_no_images_at_all_are_refused():
    with pytest.raises(ValueError, match="at least one image"):
        plot_digits(torch.zeros(0, 1, 28, 28))


def test_images_without_a_field_on_the_axes_are_refused(sample):
    with pytest.raises(ValueError, match="3 images .* got 2"):
        plot_digits(sample.test.tensors[0][:3], axes=plt.subplots(1, 2)[1])


# ---------------------------------------------------------------- plot_history


@pytest.mark.parametrize("column, quantity", [(0, "loss"), (1, "accuracy")])
def test_the_curves_are_the_historys_numbers_over_the_epochs(history, column, quantity):
    lines = plot_history(history)[column].lines
    assert [line.get_xdata().tolist() for line in lines] == [[1, 2, 3]] * 2
    assert [list(line.get_ydata()) for line in lines] == [
        getattr(history, f"train_{quantity}"),
        getattr(history, f"valid_{quantity}"),
    ]


@pytest.mark.parametrize("column, quantity", [(0, "loss"), (1, "accuracy")])
def test_the_running_values_are_a_dashed_line_of_their_own(history, column, quantity):
    line = plot_history(history, running=True)[column].lines[2]
    assert list(line.get_ydata()) == getattr(history, f"running_{quantity}")
    assert line.get_linestyle() == "--" and line.get_color() == COLORS["train"]


def test_each_curve_stands_in_the_legend(history):
    assert [legend_of(ax) for ax in plot_history(history)] == [["training", "validation"]] * 2
    running = ["training", "validation", "training, dropout on"]
    assert [legend_of(ax) for ax in plot_history(history, running=True)] == [running] * 2


def test_curves_differ_by_colour_and_by_marker(history):
    train, valid = plot_history(history)[0].lines
    assert (train.get_color(), valid.get_color()) == (COLORS["train"], COLORS["valid"])
    assert train.get_marker() != valid.get_marker()


def test_loss_and_accuracy_are_named(history):
    axes = plot_history(history)
    assert titles_of(axes) == ["Loss", "Accuracy"]
    assert [(ax.get_xlabel(), ax.get_ylabel()) for ax in axes] == [("epoch", "loss"), ("epoch", "accuracy")]


def test_the_epochs_ticks_are_whole_numbers(history):
    for ax in plot_history(history):
        assert all(tick == int(tick) for tick in ax.get_xticks())


def test_an_empty_history_gives_empty_axes():
    assert [len(line.get_xdata()) for line in plot_history(History())[0].lines] == [0, 0]


# ---------------------------------------------------------------- plot_predictions


def test_right_predictions_are_titled_with_both_labels(three):
    assert titles_of(plot_predictions(three))[::2][:2] == ["T: 7  P: 7", "T: 1  P: 1"]


def test_a_wrong_prediction_has_a_cross_before_its_labels(three):
    assert plot_predictions(three)[0, 1].get_title() == "✗ T: 5  P: 3"


def test_only_wrong_predictions_are_bold_and_in_another_colour(three):
    titles = [ax.title for ax in plot_predictions(three).flat[:3]]
    assert [title.get_fontweight() == "bold" for title in titles] == [False, True, False]
    assert [title.get_color() == WRONG for title in titles] == [False, True, False]


def test_only_wrong_predictions_have_a_frame(three):
    framed = [
        ax.axison and all(spine.get_visible() for spine in ax.spines.values()) for ax in plot_predictions(three).flat
    ]
    assert framed == [False, True, False, False, False]


def test_the_frame_of_a_wrong_prediction_has_no_ticks(three):
    ax = plot_predictions(three)[0, 1]
    assert len(ax.get_xticks()) == len(ax.get_yticks()) == 0


def test_the_frame_is_whole_in_the_lessons_style_too(three):
    with plt.style.context(STYLE):
        assert all(spine.get_visible() for spine in plot_predictions(three)[0, 1].spines.values())


def test_predictions_are_drawn_with_their_images(three):
    for ax, image in zip(plot_predictions(three).flat, three.images):
        np.testing.assert_array_equal(ax.images[0].get_array(), image[0])


def test_predictions_fill_rows_of_five_or_of_as_many_columns_as_asked_for(predictions):
    assert plot_predictions(predictions[:12]).shape == (3, 5)
    assert plot_predictions(predictions[:12], columns=6).shape == (2, 6)


def test_no_predictions_at_all_are_refused(three):
    with pytest.raises(ValueError, match="no predictions"):
        plot_predictions(three[:0])


# ---------------------------------------------------------------- plot_probabilities


def test_the_bars_are_the_probabilities():
    ax = plot_probabilities(SHARES)
    assert [bar.get_height() for bar in ax.patches] == pytest.approx(SHARES.tolist())
    assert [bar.get_x() + bar.get_width() / 2 for bar in ax.patches] == pytest.approx(range(10))


def test_each_class_has_a_tick():
    assert [text.get_text() for text in plot_probabilities(SHARES).get_xticklabels()] == list("0123456789")


@pytest.mark.parametrize("label", [2, torch.tensor(2)], ids=["int", "tensor"])
def test_an_arrow_points_at_the_bar_of_the_true_class(label):
    (text,) = plot_probabilities(SHARES, label).texts
    assert text.get_text() == "true class" and text.arrow_patch is not None
    assert text.xy == pytest.approx((2, 0.1))


def test_without_a_true_class_there_is_no_arrow():
    assert len(plot_probabilities(SHARES).texts) == 0


def test_the_axes_of_the_probabilities_are_named_and_hold_a_bar_of_1():
    ax = plot_probabilities(SHARES)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("class", "probability")
    assert ax.get_ylim()[0] == 0 and ax.get_ylim()[1] >= 1


@pytest.mark.parametrize("shape", [(9,), (11,), (1, 10), ()])
def test_anything_but_ten_probabilities_is_refused_with_its_shape(shape):
    with pytest.raises(ValueError) as caught:
        plot_probabilities(torch.zeros(shape))
    assert str(shape) in str(caught.value)


# ---------------------------------------------------------------- plot_confusion_matrix


def test_the_confusion_matrix_shows_scikit_learns_counts(predictions):
    texts = [text.get_text() for text in plot_confusion_matrix(predictions).texts]
    expected = confusion_matrix(predictions.labels, predictions.predicted)
    assert texts == [str(count) for count in expected.flatten()] and len(texts) == 100


def test_rows_of_the_confusion_matrix_are_true_labels(three):
    ax = plot_confusion_matrix(three)
    image = ax.images[0].get_array()
    assert image[5, 3] == 1 and image[3, 5] == 0
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("predicted label", "true label")


def test_digits_that_do_not_occur_have_their_row_and_column_too(three):
    assert len(plot_confusion_matrix(three).texts) == 100


def test_the_confusion_matrix_has_a_tick_for_each_digit(predictions):
    ax = plot_confusion_matrix(predictions)
    for labels in (ax.get_xticklabels(), ax.get_yticklabels()):
        assert [text.get_text() for text in labels] == list("0123456789")


# ---------------------------------------------------------------- plot_calibration


def test_each_group_is_annotated_with_its_number_of_images(predictions):
    texts = [text.get_text() for text in plot_calibration(predictions).texts]
    assert texts == [f"{images:,}" for images in calibration_table(predictions)["images"]]
    assert sum(int(text.replace(",", "")) for text in texts) == 1000


def test_the_number_of_images_stands_below_the_interval(predictions):
    texts = plot_calibration(predictions).texts
    np.testing.assert_allclose([text.xy for text in texts], calibration_table(predictions)[["confidence", "low"]])
    assert all(text.xyann[1] < 0 for text in texts)


@pytest.mark.parametrize("bins", [5, 10])
def test_the_points_are_the_accuracies_over_the_confidences(predictions, bins):
    ax = plot_calibration(predictions, bins=bins)
    table, points = calibration_table(predictions, bins), ax.containers[0].lines[0]
    np.testing.assert_allclose(points.get_xydata(), table[["confidence", "accuracy"]])


def test_the_bars_are_the_intervals_of_the_accuracies(predictions):
    (bars,) = plot_calibration(predictions).containers[0].lines[2]
    ends = np.array([segment[:, 1] for segment in bars.get_segments()])
    np.testing.assert_allclose(ends, calibration_table(predictions)[["low", "high"]], atol=1e-9)


def test_the_diagonal_is_where_confidence_and_accuracy_agree(predictions):
    ax = plot_calibration(predictions)
    assert ax.lines[0].get_xydata().tolist() == [[0, 0], [1, 1]]
    assert legend_of(ax) == ["confidence = accuracy", "predictions, 95 % interval"]


def test_the_axes_of_the_calibration_are_named(predictions):
    ax = plot_calibration(predictions)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("confidence (mean of the group)", "accuracy")


# ---------------------------------------------------------------- plot_differences


def points_of(ax):
    """{height: (mean, low end, high end, marker full)} of the errorbars."""
    points = {}
    for container in ax.containers:
        (mark, _, (bar,)) = container.lines
        (x,), (y,) = mark.get_data()
        (low, _), (high, _) = bar.get_segments()[0]
        points[int(y)] = (x, low, high, to_hex(mark.get_markerfacecolor()) == to_hex(mark.get_markeredgecolor()))
    return points


def test_each_difference_stands_in_the_line_of_its_setting_with_its_interval():
    accuracy, calibration = [points_of(ax) for ax in plot_differences(DIFFERENCES)]
    for points, measure in ((accuracy, "accuracy"), (calibration, "calibration error (points)")):
        rows = DIFFERENCES[DIFFERENCES["measure"] == measure].set_index("setting")
        assert set(points) == {["dropout", "decay", "both"].index(setting) for setting in rows.index}
        for setting, row in rows.iterrows():
            found = points[["dropout", "decay", "both"].index(setting)][:3]
            assert found == pytest.approx((row["mean"], row["mean"] - row["half"], row["mean"] + row["half"]))


def test_a_marker_is_full_where_the_interval_leaves_out_zero():
    accuracy, calibration = [points_of(ax) for ax in plot_differences(DIFFERENCES)]
    assert {line: full for line, (*_, full) in accuracy.items()} == {0: True, 1: False, 2: True}
    assert {line: full for line, (*_, full) in calibration.items()} == {0: False, 2: True}


def test_the_settings_are_named_from_above_and_once():
    first, second = plot_differences(DIFFERENCES)
    assert [text.get_text() for text in first.get_yticklabels()] == ["dropout", "decay", "both"]
    assert "".join(text.get_text() for text in second.get_yticklabels()) == ""
    for ax in (first, second):
        assert ax.get_ylim()[0] > 2 and ax.get_ylim()[1] < 0 and list(ax.get_yticks()) == [0, 1, 2]


def test_a_dotted_line_marks_no_difference_in_each_picture():
    for ax in plot_differences(DIFFERENCES):
        assert [list(line.get_xdata()) for line in ax.lines if line.get_linestyle() == ":"] == [[0, 0]]


def test_titles_and_numbers_of_the_differences_have_room():
    table = pd.concat(
        [
            DIFFERENCES.assign(measure=f"{name} (points)", mean=DIFFERENCES["mean"] * scale, half=scale)
            for name, scale in (("accuracy", 1), ("loss", 0.007), ("gap", 0.2), ("calibration error", 0.1))
        ]
    )
    with plt.style.context(STYLE):
        axes = plot_differences(table)
        figure = axes[0].figure
        figure.canvas.draw()
        titles = [ax.title.get_window_extent() for ax in axes]
        assert all(left.x1 < right.x0 for left, right in zip(titles, titles[1:])) and titles[-1].x1 <= figure.bbox.x1
        for ax in axes:
            boxes = [text.get_window_extent() for text in ax.get_xticklabels()]
            low, high = ax.bbox.x0 - 1, ax.bbox.x1 + 1
            boxes = [box for box in boxes if low <= (box.x0 + box.x1) / 2 <= high]
            assert len(boxes) >= 2 and all(left.x1 < right.x0 for left, right in zip(boxes, boxes[1:]))


@pytest.mark.parametrize("columns", [0, 2.5, "3", True], ids=repr)
def test_a_number_of_columns_that_cannot_be_is_refused(predictions, columns):
    for call in (
        lambda: plot_digits(predictions.images[:4], columns=columns),
        lambda: plot_predictions(predictions[:4], columns=columns),
    ):
        with pytest.raises(ValueError, match="columns must be a whole number from 1 up"):
            call()
