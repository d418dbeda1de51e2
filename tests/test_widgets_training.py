"""The training lab: its runs, its table and its growing picture; buttons pressed and sliders moved during a run."""

import asyncio
import dataclasses
import itertools
from functools import partial

import numpy as np
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.text import Text
from torch import nn
from torch.utils.data import TensorDataset

from mnist_helpers import widgets
from mnist_helpers.live import Curve, train_live
from mnist_helpers.plots import COLORS
from mnist_helpers.training import Metrics, evaluate
from mnist_helpers.widgets.panel import LivePicture
from mnist_helpers.widgets.training import TrainingLab, apart, draw_runs, fill_lines, short_names, training_lab
from panels import at_each_step, choices, end_of, equal_weights, moved, pixels_of, places_of, play, problem_of, words_of


@pytest.fixture(scope="module", autouse=True)
def short_runs():
    """The runs take 1 epoch, and the lab redraws and lets others have their turn at each step."""
    with pytest.MonkeyPatch.context() as patch, at_each_step():
        patch.setattr(widgets.training, "train_live", partial(train_live, epochs=1))
        yield


@pytest.fixture(scope="module")
def few(sample):
    """160 training images, which are 5 steps, and 2,000 validation images."""
    tensors = [torch.cat(pair) for pair in zip(sample.valid.tensors, sample.test.tensors, strict=True)]
    return dataclasses.replace(sample.with_train_size(160), valid=TensorDataset(*tensors))


@pytest.fixture
def lab(few):
    """A lab that has not trained yet."""
    return training_lab(few)


@pytest.fixture
def curve():
    """A run of 10 epochs as they should be."""
    settings = {"dropout": 0.2, "weight_decay": 0.0, "train_size": 300, "seed": 0}
    metrics = [Metrics(2 * 0.7**epoch, 1 - 0.5 * 0.7**epoch) for epoch in range(11)]
    worse = [Metrics(each.loss + 0.2, each.accuracy - 0.05) for each in metrics]
    return Curve(nn.Module(), settings, list(range(11)), metrics, worse)


async def under_way(lab, words="under way"):
    """Return when the training has shown itself for the first time."""
    while words not in lab.text.value:
        await asyncio.sleep(0)


def trained_alone(data, **settings):
    """The model of a run without a panel."""
    *_, curve = train_live(data, weight_decay=1e-4, train_size=160, epochs=1, **settings)
    return curve.model


# ---------------------------------------------------------------- runs that nobody disturbs


def test_a_finished_run_stands_in_words_and_table_and_the_picture_grew_meanwhile(lab, few):
    pictures = set()
    lab.picture.observe(lambda change: pictures.add(change.new), "value")
    assert lab.runs == [] and "No run yet" in words_of(lab)
    play(lab.train(dropout=0.5, seed=2))
    (run,) = lab.runs
    assert run.settings == lab.values == {"dropout": 0.5, "weight_decay": 1e-4, "train_size": 160, "seed": 2}
    expected = "Run 1: dropout 0.5, weight decay 0.0001, 160 images, seed 2, finished at epoch 1 "
    assert words_of(lab).startswith(expected)
    assert equal_weights(run.model, trained_alone(few, dropout=0.5, seed=2)), "the pauses have changed the training"
    on_all, on_half = [evaluate(run.model, [few.valid[:size]]) for size in (2000, 1000)]
    assert f"<td>{on_all.loss:.3f}</td>" in lab.table.value and f"<td>{on_all.accuracy:.2%}</td>" in lab.table.value
    assert f"<td>{on_half.accuracy:.2%}</td>" not in lab.table.value
    assert len(pictures) >= 5
    assert {pixels_of(picture).shape for picture in pictures} == {(310, 1050, 3)}


def test_a_run_takes_10_epochs(sample, monkeypatch):
    monkeypatch.setattr(widgets.training, "train_live", train_live)
    lab = training_lab(sample.with_train_size(32))
    play(lab.train())
    assert lab.runs[0].measured_at == list(range(11))


@pytest.mark.parametrize("size, sizes", [(3000, [500, 1000, 2000, 3000]), (700, [500, 700]), (7, [7])])
def test_the_numbers_of_images_to_choose_from_are_those_there_are(sample, size, sizes):
    assert choices(training_lab(sample.with_train_size(size)).controls["train_size"]) == sizes


def test_only_the_last_runs_are_kept_each_with_its_number_and_a_row_in_the_table(lab, monkeypatch):
    monkeypatch.setattr(TrainingLab, "KEPT", 2)
    for seed, numbers in ((1, [1]), (2, [1, 2]), (3, [2, 3])):
        play(lab.train(seed=seed))
        assert [run.number for run in lab.runs] == [run.settings["seed"] for run in lab.runs] == numbers
        assert lab.table.value.count("<tr") == 1 + len(numbers)


def test_two_labs_train_at_the_same_time_as_if_they_were_alone(lab, few):
    labs = lab, training_lab(few)

    async def train_both():
        await asyncio.gather(*(each.train(seed=seed) for seed, each in enumerate(labs)))

    play(train_both())
    for seed, each in enumerate(labs):
        assert equal_weights(each.runs[0].model, trained_alone(few, dropout=0.2, seed=seed))


def test_an_error_before_the_first_step_is_shown_and_ends_the_run(lab, monkeypatch):
    monkeypatch.setattr(widgets.training, "LivePicture", None)
    with pytest.raises(TypeError):
        play(lab.train())
    assert problem_of(lab) != "" and lab.stop_button.disabled and lab.runs == []


# ---------------------------------------------------------------- sliders and buttons during a run


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("begin", [lambda lab: lab.start_button.click(), lambda lab: asyncio.create_task(lab.train())])
def test_a_moved_slider_or_the_start_button_begins_the_run_anew(lab, begin, seed):
    async def disturb():
        waiting = begin(lab)
        await under_way(lab)
        lab.start_button.click() if seed == 0 else moved(lab, seed=seed)
        await under_way(lab, f"seed {seed}, under way")
        assert not lab.stop_button.disabled
        await (waiting or end_of(lab))

    play(disturb())
    assert [(run.settings["seed"], run.measured_at[-1], run.stopped) for run in lab.runs] == [(seed, 1, False)]


def test_a_slider_moved_without_a_run_or_after_a_stop_starts_none(lab):
    async def stop_and_move():
        moved(lab, seed=1)
        assert not lab.running
        lab.start()
        await under_way(lab)
        lab.stop()
        moved(lab, seed=2)
        assert not lab.running

    play(stop_and_move())
    assert [run.settings["seed"] for run in lab.runs] == [1]


def test_a_stopped_run_is_kept_and_called_stopped(lab):
    async def stop():
        lab.start_button.click()
        await under_way(lab)
        lab.stop_button.click()
        await end_of(lab)

    play(stop())
    (run,) = lab.runs
    assert run.stopped and run.measured_at[-1] < 1
    assert f"stopped at epoch {round(run.measured_at[-1], 1):g} of" in words_of(lab)
    assert f"<td>{round(run.measured_at[-1], 1):g}</td>" in lab.table.value
    assert lab.stop_button.disabled and not lab.start_button.disabled


def test_a_run_stopped_before_its_first_step_is_not_kept(lab):
    async def restart_and_stop():
        lab.start()
        await under_way(lab)
        lab.start()
        lab.stop()
        await end_of(lab)

    play(restart_and_stop())
    assert lab.runs == []


# ---------------------------------------------------------------- the picture


def test_lines_are_the_runs_numbers_over_the_epochs_and_earlier_runs_are_faint(lab, curve):
    lab.runs = [curve, curve]
    for ax, quantity in zip(lab.still().figure.axes, ("loss", "accuracy")):
        assert [line.get_alpha() for line in ax.lines] == [0.35, 0.35, None, None]
        assert [line.get_xdata().tolist() for line in ax.lines] == [curve.measured_at] * 4
        values = [[getattr(point, quantity) for point in part] for part in (curve.train, curve.valid)]
        assert [list(line.get_ydata()) for line in ax.lines] == 2 * values
        assert [(line.get_linestyle(), line.get_marker()) for line in ax.lines] == 2 * [("-", "o"), ("-", "s")]
        assert ax.get_ylabel() == quantity and ax.get_title() == ""


def numbered(curve, *changes):
    """One copy of the curve for each dict of changed settings, numbered from 1."""
    settings = [{**curve.settings, **change} for change in changes]
    return [dataclasses.replace(curve, settings=each, number=place) for place, each in enumerate(settings, 1)]


def test_runs_are_named_by_number_dropout_and_what_differs(curve):
    assert short_names(numbered(curve, {})) == ["1: dropout 0.2"]
    assert short_names(numbered(curve, {"dropout": 0.5}, {"seed": 3})) == [
        "1: dropout 0.5, seed 0",
        "2: dropout 0.2, seed 3",
    ]
    (first, _) = short_names(numbered(curve, {"weight_decay": 1e-3, "train_size": 3000}, {}))
    assert first == "1: dropout 0.2, decay 0.001, 3,000 images"


def test_no_name_lies_on_another_or_is_cut_off(lab, curve):
    for changes in ({"seed": 8}, {"seed": 8, "train_size": 48_000, "weight_decay": 1e-5, "dropout": 0.25}):
        lab.runs = numbered(curve, {}, {}, {}, {}, changes)
        figure = lab.still().figure
        FigureCanvasAgg(figure).draw()
        boxes = [Text.get_window_extent(text) for text in figure.axes[2].texts]
        assert len(boxes) == 5 and max(box.x1 for box in boxes) < figure.bbox.width
        assert not [(one, two) for one, two in itertools.combinations(boxes, 2) if one.overlaps(two)]


@pytest.mark.parametrize("heights", [[], [0.3], [0.9, 0.9], [0.9, 0.91, 0.9, 0.88, 0.1], [0.0] * 5, [1.0] * 5])
def test_names_keep_their_order_and_a_distance(heights):
    placed = apart(heights)
    assert all(0 <= height <= 1 for height in placed)
    for one, two in itertools.combinations(range(len(heights)), 2):
        assert abs(placed[one] - placed[two]) >= 0.22 - 1e-9
        assert (heights[one] - heights[two]) * (placed[one] - placed[two]) >= 0


def test_the_live_picture_is_the_one_of_the_finished_run_but_for_the_runs_number(lab, curve):
    def inked(png, part):
        return (pixels_of(png) == np.round(255 * np.array(to_rgb(COLORS[part])))).all(axis=2).sum()

    lab.runs = [curve]
    lab.show()
    live = LivePicture(lab.size, lambda figure: draw_runs(figure, [], Curve(nn.Module(), {})))
    empty = live.png()
    fill_lines(live.artists, curve)
    assert (pixels_of(live.png()) == pixels_of(lab.picture.value)).all(axis=2).mean() > 0.99
    for part in ("train", "valid"):
        assert inked(empty, part) < 500 < inked(live.png(), part)
        assert inked(live.png(), part) == pytest.approx(inked(lab.picture.value, part), rel=0.1)
    figure, _ = lab.render(lab.places, **lab.values)
    np.testing.assert_allclose(places_of(live.artists["train", "loss"].axes.figure), places_of(figure), atol=0.01)


def test_the_growing_run_stands_in_front_of_the_earlier_ones(lab, curve):
    shown = []
    for lab.runs in ([], [curve]):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(TrainingLab, "keep", lambda *_: None)
            play(lab.train())
        shown.append(pixels_of(lab.picture.value))
    assert (shown[0] != shown[1]).any(axis=2).sum() > 500
