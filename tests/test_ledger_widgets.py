"""Guess first, then see; and the measured runs: moved as a reader would, and their figures read back."""

import asyncio
import html
import itertools
import random
import threading
import warnings
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.colors import to_rgb
from scipy import stats

from mnist_helpers import ledger_widgets, training, widgets
from mnist_helpers.labs.ledger import RECIPE
from mnist_helpers.labs.sweep.grid import Setting
from mnist_helpers.labs.sweep.work import train_setting
from mnist_helpers.live import Curve
from mnist_helpers.plots import COLORS
from mnist_helpers.training import Metrics
from mnist_helpers.widgets.ledger import guess, ledger_explorer
from small_ledger import made_ledger

PARTS = ("train", "valid")


def words_of(panel):
    return html.unescape(panel.text.value)


def problem_of(panel):
    return html.unescape(panel.problem.value)


def choices(control):
    """All values of a control that has options, both ends of one that has limits."""
    return [value for _, value in control.options] if hasattr(control, "options") else [control.min, control.max]


def interval(values):
    """Mean and both ends of the 95 % interval, by scipy."""
    return np.mean(values), *stats.t.interval(0.95, len(values) - 1, loc=np.mean(values), scale=stats.sem(values))


def laid_out(still):
    """The still's figure, in which all has found its place."""
    still._repr_png_()
    return still.figure


def texts_of(ax):
    return [text.get_text() for text in ax.texts]


# ---------------------------------------------------------------- guess

QUESTION = "How much better is the recipe?"
MEASURED = pd.Series([0.31, 0.12, 0.27, 0.55, 0.40])


@pytest.fixture
def panel():
    return guess(QUESTION, MEASURED, -3, 3, unit="points")


def committed(panel, number):
    """The panel after a reader has committed the guess."""
    panel.controls["guess"].value = number
    panel.controls["committed"].value = True
    return panel


def all_of(panel):
    """Everything that a reader can see of a panel."""
    controls = [(control.value, control.disabled, control.description) for control in panel.controls.values()]
    return controls, panel.picture.value, panel.text.value, panel.problem.value, repr(panel)


@pytest.mark.parametrize("other", [MEASURED + 20, MEASURED * 0, pd.Series([-900.0, 3.0])])
def test_before_the_guess_is_committed_nothing_depends_on_what_was_measured(panel, other):
    same = guess(QUESTION, other, -3, 3, unit="points")
    for number in (-3.0, 1.5, 3.0):
        panel.controls["guess"].value = same.controls["guess"].value = number
        assert all_of(panel) == all_of(same)
        assert panel.still()._repr_png_() == same.still()._repr_png_() and panel.still().words == same.still().words


def test_before_the_guess_is_committed_only_the_guess_is_drawn(panel):
    (ax,) = panel.still(guess=1.5).figure.axes
    assert [list(line.get_xdata()) for line in ax.lines] == [[0, 0], [1.5]]  # zero and the guess
    assert len(ax.collections) == len(ax.containers) == 0 and texts_of(ax) == ["your guess"]
    assert ax.get_xlim() == panel.still(guess=-3.0).figure.axes[0].get_xlim()


def test_the_words_ask_for_a_guess_and_then_give_the_answer(panel):
    panel.controls["guess"].value = 1.5
    assert words_of(panel) == f"{QUESTION} Your guess: 1.5 points. Press the button to see what was measured."
    mean, low, high = interval(MEASURED)
    assert words_of(committed(panel, 1.5)) == (
        f"{QUESTION} Your guess: 1.5 points. Measured: {mean:.2f} ± {high - mean:.2f} points (mean and 95 % interval "
        "over 5 seeds); the seeds lie between 0.12 and 0.55."
    )


def test_without_a_unit_the_words_have_no_gap():
    assert "Your guess: 0. Press" in words_of(guess(QUESTION, MEASURED, -3, 3))


def test_the_first_guess_is_in_the_middle():
    assert guess(QUESTION, MEASURED, -3, 3).values == {"guess": 0.0, "committed": False}
    assert guess(QUESTION, MEASURED, 0, 0.3).values["guess"] in (0.1, 0.2)  # on the grid


def test_the_committed_picture_shows_guess_seeds_mean_and_interval(panel):
    (ax,) = panel.still(guess=1.5, committed=True).figure.axes
    zero, mark, seeds, middle = ax.lines[:4]
    assert list(mark.get_xdata()) == [1.5]
    assert list(seeds.get_xdata()) == list(MEASURED)
    mean, low, high = interval(MEASURED)
    assert middle.get_xdata() == pytest.approx([mean])
    (bar,) = ax.containers[0].lines[2]
    assert [x for x, _ in bar.get_segments()[0]] == pytest.approx([low, high])
    assert texts_of(ax) == ["your guess", "measured, 5 seeds"]


def test_the_picture_and_the_words_change_when_the_guess_is_committed(panel):
    before = panel.picture.value, words_of(panel)
    after = committed(panel, 0.0).picture.value, words_of(panel)
    assert before[0] != after[0] and before[1] != after[1]


@pytest.mark.parametrize("measured", [MEASURED + 20, MEASURED - 20, MEASURED * 100 - 30])
def test_values_beyond_the_slider_are_within_the_picture(measured):
    panel = guess(QUESTION, measured, -3, 3)
    for number in (-3.0, 3.0):
        figure = laid_out(panel.still(guess=number, committed=True))
        (low, high), values = figure.axes[0].get_xlim(), [-3, 3, *measured, *interval(measured)]
        assert low < min(values) and max(values) < high
        for text in figure.axes[0].texts:
            box = text.get_window_extent()
            assert box.x0 >= 0 and box.x1 <= figure.bbox.x1, f"{text.get_text()} is cut off"


def test_a_committed_guess_locks_both_controls(panel):
    assert not any(control.disabled for control in panel.controls.values())
    committed(panel, 1.0)
    assert all(control.disabled for control in panel.controls.values())


def test_a_committed_guess_stands_whatever_comes_after_it(panel):
    before = all_of(committed(panel, 1.0))
    panel.controls["committed"].value = False  # the second half of a double click
    assert all_of(panel) == before
    panel.controls["guess"].value = 0.3  # a slider that was still moving
    assert all_of(panel) == before


def test_a_double_click_in_another_thread_leaves_the_guess_committed():
    def double_click(button):
        button.value = True
        button.value = False
        button.value = True

    async def play():
        panel = guess(QUESTION, MEASURED, -3, 3)
        thread = threading.Thread(target=double_click, args=[panel.controls["committed"]])
        thread.start()
        thread.join()
        await asyncio.sleep(0.01)
        return panel

    panel = asyncio.run(play())
    assert panel.values["committed"] and all(control.disabled for control in panel.controls.values())


def test_stills_show_both_states_before_and_after_the_guess(panel):
    asked, told = panel.still(guess=1.0).words, panel.still(guess=1.0, committed=True).words
    assert "Measured" not in asked and "Measured" in told
    assert panel.values == {"guess": 0.0, "committed": False}, "a still moved the panel"
    assert not panel.controls["guess"].disabled
    committed(panel, 2.0)
    assert panel.still(guess=1.0, committed=False).words == asked
    assert panel.still(guess=1.0).words == told
    assert panel.values == {"guess": 2.0, "committed": True}


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"low": 3}, "low must be less than high, got 3 and 3"),
        ({"low": 4}, "low must be less than high, got 4 and 3"),
        ({"measured": MEASURED[:1]}, "each of at least 2 seeds"),
        ({"measured": pd.Series([0.1, np.nan, 0.2])}, "a value for each"),
        ({"step": 0}, "got a step of 0"),
        ({"step": -0.1}, "got a step of -0.1"),
        ({"step": 0.7}, "whole steps must lead from low, -3, to high, 3, got a step of 0.7"),
        ({"step": 7}, "got a step of 7"),
        ({"step": np.nan}, "got a step of nan"),
    ],
)
def test_wrong_arguments_are_refused(arguments, message):
    arguments = {"question": QUESTION, "measured": MEASURED, "low": -3, "high": 3, **arguments}
    with pytest.raises(ValueError, match=message):
        guess(**arguments)


@pytest.mark.parametrize("low, high, step", [(-3, 3, 0.1), (0, 1, 1 / 3), (0.8, 1.0, 0.01), (-5, 5, 10)])
def test_steps_that_lead_from_end_to_end_are_taken(low, high, step):
    panel = guess(QUESTION, MEASURED, low, high, step=step)
    for number in (low, high):
        panel.controls["guess"].value = number
        assert problem_of(panel) == "" and f"Your guess: {number:g}." in words_of(panel)


# ---------------------------------------------------------------- ledger_explorer: what was measured


@pytest.fixture(scope="module")
def ledger():
    """The recipe and its neighbours; runs that must not be mixed with them; a point with 1 seed, one that is missing:
    dropout 0.5 with 96 images.
    """
    return made_ledger(
        {"seeds": 5},
        {"dropout": 0.5},
        {"dropout": 0.0, "weight_decay": 0.0, "seeds": 2},
        {"weight_decay": 0.0, "seeds": 1},
        {"train_size": 96, "epochs": 2, "seeds": 5},
        {"train_size": 96, "epochs": 2, "dropout": 0.0},
        {"train_size": 64, "epochs": 2, "seeds": 1},
        {"optimizer": "AdamW"},
        {"pixels": "standardized"},
        {"network": "wide"},
        {"optimizer": "AdamW", "dropout": 0.7},
    )


@pytest.fixture
def explorer(ledger, sample):
    return ledger_explorer(ledger, sample)


@pytest.fixture(scope="module")
def unmoved(ledger, sample):
    """The same for tests that look at its stills only."""
    return ledger_explorer(ledger, sample)


def rows_of(ledger, **point):
    """The rows of one point, in the order of the seeds and epochs."""
    wanted = {**RECIPE, **point}
    rows = ledger[(ledger[list(wanted)] == pd.Series(wanted)).all(axis=1)]
    return rows.sort_values(["seed", "epoch"])


def curves_of(ledger, column, **point):
    """(seeds, epochs): the measured values of one point."""
    return rows_of(ledger, **point).pivot(index="seed", columns="epoch", values=column).to_numpy()


def of_colour(artists, colour):
    return [artist for artist in artists if np.allclose(artist.get_facecolor()[0][:3], to_rgb(colour))]


def faint_lines(ax, part):
    """The values of each seed's line."""
    (lines,) = [
        each
        for each in ax.collections
        if isinstance(each, LineCollection) and np.allclose(each.get_color()[0][:3], to_rgb(COLORS[part]))
    ]
    assert lines.get_alpha() < 1
    return [segment[:, 0].tolist() for segment in lines.get_segments()], np.array(
        [segment[:, 1] for segment in lines.get_segments()]
    )


def filled(ax, colour):
    """The lower and the upper edge of the areas with this colour, at each epoch."""
    (area,) = of_colour([each for each in ax.collections if isinstance(each, PolyCollection)], colour)
    corners = area.get_paths()[0].vertices
    epochs = sorted(set(corners[:, 0]))
    values = [corners[corners[:, 0] == epoch, 1] for epoch in epochs]
    return np.array([each.min() for each in values]), np.array([each.max() for each in values])


MANY = [{}, {"dropout": 0.5}, {"dropout": 0.0, "weight_decay": 0.0}, {"train_size": 96}]
EACH_QUANTITY = pytest.mark.parametrize("place, quantity", [(0, "loss"), (1, "accuracy")])


def test_the_explorer_begins_at_the_recipe(explorer, ledger):
    assert explorer.values == {"dropout": 0.2, "weight_decay": 1e-4, "train_size": 48_000}
    words = "Dropout 0.2, weight decay 0.0001, 48,000 training images, measured with 5 seeds"
    assert words_of(explorer).startswith(words)


@pytest.mark.parametrize(
    "settings, expected",
    [
        ([{"train_size": 500}, {"train_size": 2000}, {"train_size": 2000, "dropout": 0.0}], (0.2, 1e-4, 2000)),
        ([{"dropout": 0.0, "weight_decay": 0.0}, {"train_size": 500}], (0.2, 1e-4, 500)),
        ([{"dropout": 0.5, "weight_decay": 0.0}, {"dropout": 0.2, "weight_decay": 0.0}], (0.2, 0.0, 48_000)),
        ([{"dropout": 0.5, "weight_decay": 0.0, "train_size": 96}], (0.5, 0.0, 96)),
    ],
)
def test_without_the_recipe_the_explorer_begins_at_the_measured_point_that_is_most_like_it(sample, settings, expected):
    explorer = ledger_explorer(made_ledger(*settings), sample)
    assert tuple(explorer.values.values()) == expected
    assert "measured with 3 seeds" in words_of(explorer)


def test_the_sliders_offer_what_was_measured_with_the_recipes_optimizer_network_and_pixels(unmoved):
    offered = {name: choices(control) for name, control in unmoved.controls.items()}
    assert offered == {"dropout": [0.0, 0.2, 0.5], "weight_decay": [0.0, 1e-4], "train_size": [64, 96, 48_000]}


@EACH_QUANTITY
@pytest.mark.parametrize("point", MANY)
def test_each_seed_is_a_faint_line(unmoved, ledger, point, place, quantity):
    ax = unmoved.still(**point).figure.axes[place]
    for part in PARTS:
        epochs, values = faint_lines(ax, part)
        expected = curves_of(ledger, f"{part}_{quantity}", **point)
        assert epochs == [list(range(1, expected.shape[1] + 1))] * len(expected)
        np.testing.assert_array_equal(values, expected)


@EACH_QUANTITY
@pytest.mark.parametrize("point", MANY)
def test_mean_interval_and_gap_are_those_of_numpy_and_scipy(unmoved, ledger, point, place, quantity):
    ax, means = unmoved.still(**point).figure.axes[place], {}
    for line, part in zip(ax.lines, PARTS, strict=True):
        values = curves_of(ledger, f"{part}_{quantity}", **point)
        means[part], low, high = np.array([interval(column) for column in values.T]).T
        assert line.get_color() == COLORS[part] and line.get_linewidth() >= 2.5 and line.get_alpha() is None
        np.testing.assert_array_equal(line.get_xdata(), range(1, values.shape[1] + 1))
        np.testing.assert_allclose(line.get_ydata(), means[part])
        np.testing.assert_allclose(filled(ax, COLORS[part]), [low, high])
    both = np.array([means["train"], means["valid"]])
    np.testing.assert_allclose(filled(ax, "gray"), [both.min(axis=0), both.max(axis=0)])


@pytest.mark.parametrize("point", MANY)
def test_the_words_give_the_last_epoch_with_intervals(unmoved, ledger, point):
    last = rows_of(ledger, **point).query("epoch == epochs")
    numbers = {
        "validation loss": (last["valid_loss"], 3, ""),
        "gap": (100 * (last["train_accuracy"] - last["valid_accuracy"]), 2, " points"),
    }
    for part, name in (("valid", "validation"), ("train", "training")):
        numbers[f"{name} accuracy"] = (100 * last[f"{part}_accuracy"], 2, " %")
    words = unmoved.still(**point).words
    assert f"measured with {len(last)} seeds, after {last['epochs'].iloc[0]} epochs" in words
    for name, (values, digits, unit) in numbers.items():
        mean, low, high = interval(values)
        assert f"{name} {mean:.{digits}f} ± {high - mean:.{digits}f}{unit}" in words


def test_both_pictures_say_measured_and_with_how_many_seeds(unmoved):
    titles = [ax.get_title() for ax in unmoved.still().figure.axes]
    assert titles == ["Loss, measured with 5 seeds", "Accuracy, measured with 5 seeds"]


def test_the_legend_names_the_lines_and_the_gap(unmoved):
    (legend,) = [ax.get_legend() for ax in unmoved.still().figure.axes if ax.get_legend()]
    assert [text.get_text() for text in legend.get_texts()] == ["training", "validation", "gap"]


def test_the_legend_stands_beside_the_curves_and_within_the_picture(unmoved):
    figure = laid_out(unmoved.still())
    box = figure.axes[1].get_legend().get_window_extent()
    assert box.x0 >= figure.axes[1].bbox.x1 and box.x1 <= figure.bbox.x1


def test_points_with_as_many_images_have_the_same_limits_which_hold_the_ends_of_all_curves(unmoved, ledger):
    limits = {}
    for size in (96, 48_000):
        for dropout, decay in itertools.product(choices(unmoved.controls["dropout"]), (0.0, 1e-4)):
            axes = unmoved.still(dropout=dropout, weight_decay=decay, train_size=size).figure.axes
            limits.setdefault(size, set()).add(tuple((*ax.get_xlim(), *ax.get_ylim()) for ax in axes))
            rows = rows_of(ledger, dropout=dropout, weight_decay=decay, train_size=size).query("epoch == epochs")
            for ax, quantity in zip(axes, ("loss", "accuracy")):
                for part in PARTS:
                    assert rows[f"{part}_{quantity}"].between(*ax.get_ylim()).all()
                assert rows["epoch"].between(*ax.get_xlim()).all()
    assert {size: len(found) for size, found in limits.items()} == {96: 1, 48_000: 1}
    assert limits[96] != limits[48_000]


def test_a_run_that_ends_far_from_all_others_is_within_the_limits(sample):
    ledger = made_ledger({"seeds": 10, "epochs": 30})
    ledger.loc[(ledger["seed"] == 3) & (ledger["epoch"] == 30), ["valid_loss", "valid_accuracy"]] = [7.5, 0.11]
    loss, accuracy = ledger_explorer(ledger, sample).still().figure.axes
    assert loss.get_ylim()[1] > 7.5 and accuracy.get_ylim()[0] < 0.11


def test_a_point_with_one_seed_is_shown_without_an_interval(unmoved, ledger):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        still = unmoved.still(weight_decay=0.0)
    loss = rows_of(ledger, weight_decay=0.0)["valid_loss"]
    assert f"measured with 1 seed, after 4 epochs: validation loss {loss.iloc[-1]:.3f}, " in still.words
    assert "one seed says nothing about the spread" in still.words and "±" not in still.words
    assert "nan" not in still.words
    ax = still.figure.axes[0]
    assert ax.get_title() == "Loss, measured with 1 seed"
    np.testing.assert_array_equal(ax.lines[1].get_ydata(), loss)
    areas = [each for each in ax.collections if isinstance(each, PolyCollection)]
    assert of_colour(areas, COLORS["train"]) == of_colour(areas, COLORS["valid"]) == [] and len(areas) == 1


def test_a_ledger_with_one_seed_everywhere_can_be_explored(sample):
    explorer = ledger_explorer(made_ledger({}, {"dropout": 0.0}, seeds=1), sample)
    explorer.controls["dropout"].value = 0.0
    assert problem_of(explorer) == "" and "measured with 1 seed" in words_of(explorer)


def test_a_point_that_was_not_measured_says_so(unmoved):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        still = unmoved.still(dropout=0.5, train_size=96)
        still._repr_png_()
    assert still.words == "Dropout 0.5, weight decay 0.0001, 96 training images, not measured: the button trains it."
    assert [ax.get_title() for ax in still.figure.axes] == ["Loss, not measured", "Accuracy, not measured"]
    assert all(len(ax.lines) == len(ax.collections) == 0 for ax in still.figure.axes)


def test_runs_with_another_optimizer_network_or_pixels_are_never_shown(ledger, unmoved, sample):
    others = ledger.copy()
    foreign = (others[["optimizer", "pixels", "network"]] != ["Adam", "scaled", "MNISTNet"]).any(axis=1)
    assert foreign.sum() == 4 * 3 * 4
    others.loc[foreign, ["train_loss", "valid_loss", "train_accuracy", "valid_accuracy"]] = 77.0
    assert ledger_explorer(others, sample).still().words == unmoved.still().words
    assert ledger_explorer(ledger[~foreign], sample).still()._repr_png_() == unmoved.still()._repr_png_()


@pytest.mark.parametrize("settings", [{"optimizer": "AdamW"}, {"pixels": "standardized"}, {"network": "wide"}])
def test_a_ledger_without_runs_of_the_recipes_kind_is_refused(sample, settings):
    with pytest.raises(ValueError, match="no run of the recipe's network"):
        ledger_explorer(made_ledger(settings), sample)


def test_the_order_of_the_ledgers_rows_does_not_matter(ledger, unmoved, sample):
    mixed = ledger.sample(frac=1, random_state=0)
    assert ledger_explorer(mixed, sample).still()._repr_png_() == unmoved.still()._repr_png_()


def test_the_explorer_leaves_the_ledger_as_it_was(ledger, sample):
    before = ledger.copy()
    explorer = ledger_explorer(ledger, sample)
    explorer.controls["dropout"].value = 0.5
    pd.testing.assert_frame_equal(ledger, before)


def test_every_control_can_be_moved_to_both_ends(explorer):
    for _ in range(2):
        for control in explorer.controls.values():
            words = set()
            for value in (choices(control)[0], choices(control)[-1]):
                control.value = value
                assert problem_of(explorer) == ""
                words.add(words_of(explorer))
            assert len(words) == 2


def test_the_axes_stay_where_they_are_when_the_point_or_the_legend_changes(explorer, curve):
    before = [place.bounds for place in explorer.places]
    explorer.live[0.5, 1e-4, 96] = explorer.live[0.2, 1e-4, 96] = curve
    for point in ({"train_size": 96}, {"dropout": 0.5}, {"train_size": 48_000}):
        for name, value in point.items():
            explorer.controls[name].value = value
        figure, _ = explorer.render(explorer.places, **explorer.values)
        np.testing.assert_allclose([ax.get_position().bounds for ax in figure.axes], before, atol=1e-6)


# ---------------------------------------------------------------- ledger_explorer: train this one now


@pytest.fixture
def at_each_step(monkeypatch):
    """The explorer redraws, and lets others have their turn, at each step of a training."""
    clock = SimpleNamespace(perf_counter=itertools.count(1).__next__)
    monkeypatch.setattr(ledger_widgets, "time", clock)
    monkeypatch.setattr(widgets, "time", clock)


@pytest.fixture
def curve():
    """A finished live run of 2 epochs."""
    settings = {"seed": 7, "epochs": 2, "whole": True}
    return Curve(
        settings, [1, 2], [Metrics(0.4, 0.8), Metrics(0.3, 0.9)], [Metrics(0.5, 0.7), Metrics(0.45, 0.75)], done=2
    )


def play(coroutine):
    """Run to the end; fails when that takes two minutes."""
    return asyncio.run(asyncio.wait_for(coroutine, 120))


async def under_way(explorer):
    """Return when the training has shown itself for the first time."""
    while "Live" not in explorer.text.value:
        assert explorer.running, problem_of(explorer)
        await asyncio.sleep(0)


async def end_of(explorer):
    while explorer.running:
        await asyncio.sleep(0)


def live_values(still, quantity):
    """The black lines: epochs and values, for training and validation."""
    ax = still.figure.axes[("loss", "accuracy").index(quantity)]
    return [line.get_xydata().tolist() for line in ax.lines if line.get_color() == "black"]


def global_random_numbers():
    return random.getstate(), str(np.random.get_state()), torch.get_rng_state().tolist()


@pytest.fixture(scope="module")
def trained_live(ledger, sample):
    """An explorer after a live run of dropout 0.2 with 96 images, and the global random numbers before and after."""
    explorer, before = ledger_explorer(ledger, sample), global_random_numbers()
    play(explorer.train(train_size=96))
    return SimpleNamespace(explorer=explorer, random_numbers=(before, global_random_numbers()))


def test_a_live_run_has_a_seed_that_the_ledger_does_not_have(trained_live):
    live = trained_live.explorer.live[0.2, 1e-4, 96]
    assert live.settings["seed"] == 5 and live.epochs == [1, 2]
    assert "Live, with seed 5, epoch 2.0 of 2" in words_of(trained_live.explorer)


def test_a_live_run_is_to_the_last_bit_what_the_sweep_trains(trained_live, sample):
    rows = train_setting(Setting(train_size=96, epochs=2, seed=5), sample)
    live = trained_live.explorer.live[0.2, 1e-4, 96]
    assert [each.loss for each in live.valid] == list(rows["valid_loss"])
    assert [each.accuracy for each in live.valid] == list(rows["valid_accuracy"])
    assert [each.accuracy for each in live.train] == pytest.approx(list(rows["train_accuracy"]))
    assert [each.loss for each in live.train] == pytest.approx(list(rows["train_loss"]))  # summed in another order


def test_a_live_run_touches_no_global_random_number(trained_live):
    before, after = trained_live.random_numbers
    assert before == after


def test_the_live_curve_lies_over_the_measured_ones(trained_live):
    live = trained_live.explorer.live[0.2, 1e-4, 96]
    still = trained_live.explorer.still()
    for quantity in ("loss", "accuracy"):
        assert live_values(still, quantity) == [
            [[epoch, getattr(each, quantity)] for epoch, each in enumerate(part, start=1)]
            for part in (live.train, live.valid)
        ]
        ax = still.figure.axes[("loss", "accuracy").index(quantity)]
        assert [line.get_color() for line in ax.lines] == [COLORS["train"], COLORS["valid"], "black", "black"]
    labels = [text.get_text() for text in still.figure.axes[1].get_legend().get_texts()]
    assert labels == ["training", "validation", "gap", "live\ntraining", "live\nvalidation"]


def test_the_live_curve_is_shown_at_its_own_point_only_and_again_when_one_returns(trained_live):
    explorer = trained_live.explorer
    before = explorer.picture.value
    explorer.controls["dropout"].value = 0.0
    assert "Live" not in words_of(explorer) and live_values(explorer.still(), "loss") == []
    explorer.controls["dropout"].value = 0.2
    assert "Live" in words_of(explorer) and explorer.picture.value == before


def test_after_a_live_run_only_the_start_button_can_be_pressed(trained_live):
    assert trained_live.explorer.stop_button.disabled and not trained_live.explorer.start_button.disabled


def test_on_the_sample_the_words_say_that_the_live_run_is_not_comparable(trained_live):
    words = words_of(trained_live.explorer)
    assert words.endswith("The ledger's runs were trained and validated on full MNIST, this one was not.")
    assert "lower validation loss" not in words


def test_the_words_place_a_finished_run_among_the_measured_seeds(explorer, ledger, curve):
    losses = rows_of(ledger, train_size=96).query("epoch == epochs")["valid_loss"].sort_values()
    for below in (0, 2, 5):
        ends = [losses.min() - 1, *losses, losses.max() + 1]
        curve.valid[-1] = Metrics((ends[below] + ends[below + 1]) / 2, 0.9)
        explorer.live[0.2, 1e-4, 96] = curve
        words = explorer.still(train_size=96).words
        assert words.endswith(f" Of the 5 measured seeds {below} have a lower validation loss.")


def test_an_unfinished_run_is_not_placed_among_the_seeds(explorer, curve):
    curve.done = 1.5
    explorer.live[0.2, 1e-4, 96] = curve
    words = explorer.still(train_size=96).words
    assert "epoch 1.5 of 2: training loss 0.3000" in words and "lower validation loss" not in words


@pytest.mark.parametrize(
    "source, size, whole", [("full", 48_000, True), ("full", 3000, False), ("mine", 48_000, False)]
)
def test_only_runs_on_all_of_full_mnist_are_comparable(ledger, source, size, whole, monkeypatch):
    asked = {}

    class Data(list):
        source, train, valid = None, range(size), range(12_000)

        def with_split(self, seed):
            asked["split"] = seed
            return self

        def with_train_size(self, size):
            return self

    data = Data()
    data.source = source
    monkeypatch.setattr(ledger_widgets, "make_loader", lambda *_: None)
    monkeypatch.setattr(ledger_widgets, "train_live", lambda *_, **settings: asked.update(settings) or iter([]))
    explorer = ledger_explorer(ledger, data)
    play(explorer.train(train_size=96, dropout=0.0))
    assert problem_of(explorer) == "" and explorer.live[0.0, 1e-4, 96].settings["whole"] == whole
    point = {"dropout": 0.0, "weight_decay": 1e-4, "train_size": 96}
    assert asked == {"split": 3, **point, "seed": 3, "epochs": 2, "points": 1}


def test_a_point_that_was_not_measured_can_be_trained_as_long_as_others_with_as_many_images(explorer):
    play(explorer.train(train_size=96, dropout=0.5))
    live = explorer.live[0.5, 1e-4, 96]
    assert problem_of(explorer) == "" and live.settings["seed"] == 0 and live.epochs == [1, 2]
    assert "not measured: the button trains it. Live, with seed 0, epoch 2.0 of 2" in words_of(explorer)
    assert len(live_values(explorer.still(), "loss")) == 2
    titles = [ax.get_title() for ax in explorer.still().figure.axes]
    assert titles == ["Loss, not measured", "Accuracy, not measured"]


def test_a_point_with_one_seed_can_be_trained(explorer):
    play(explorer.train(train_size=64))
    assert problem_of(explorer) == "" and "Live, with seed 1, epoch 2.0 of 2" in words_of(explorer)


def test_the_picture_grows_while_the_network_trains(explorer, at_each_step):
    explorer.controls["train_size"].value = 96
    shown = []
    explorer.text.observe(lambda change: shown.append(change.new), "value")
    play(explorer.train())
    epochs = [float(words.partition("epoch ")[2].split()[0]) for words in shown if "Live" in words]
    assert epochs == sorted(epochs) and len(set(epochs)) >= 5 and epochs[-1] == 2.0


def test_a_moved_slider_stops_the_run_and_keeps_its_curve(explorer, at_each_step):
    async def move():
        explorer.controls["train_size"].value = 96
        explorer.start_button.click()
        await under_way(explorer)
        explorer.controls["dropout"].value = 0.0
        return explorer.running, explorer.stop_button.disabled

    assert play(move()) == (False, True)
    assert "Live" not in words_of(explorer)
    assert list(explorer.live) == [(0.2, 1e-4, 96)] and 0 < explorer.live[0.2, 1e-4, 96].done < 2
    explorer.controls["dropout"].value = 0.2
    assert f"epoch {explorer.live[0.2, 1e-4, 96].done:.1f} of 2" in words_of(explorer)


def test_stop_ends_the_run_and_shows_how_far_it_came(explorer, at_each_step):
    async def stop():
        explorer.controls["train_size"].value = 96
        explorer.start_button.click()
        await under_way(explorer)
        can_stop = not explorer.stop_button.disabled
        explorer.stop_button.click()
        await asyncio.sleep(0.05)
        return can_stop, explorer.running, explorer.stop_button.disabled

    assert play(stop()) == (True, False, True)
    live = explorer.live[0.2, 1e-4, 96]
    assert 0 < live.done < 2 and f"epoch {live.done:.1f} of 2" in words_of(explorer)


def test_stop_without_a_run_does_nothing(explorer):
    before = all_of(explorer)
    explorer.stop()
    assert all_of(explorer) == before


def test_a_second_start_begins_anew_and_comes_to_the_same(explorer, at_each_step, trained_live):
    async def start_twice():
        explorer.controls["train_size"].value = 96
        explorer.start_button.click()
        await under_way(explorer)
        first = explorer.live[0.2, 1e-4, 96]
        explorer.start_button.click()
        await end_of(explorer)
        return first

    first, second = play(start_twice()), explorer.live[0.2, 1e-4, 96]
    assert first is not second and first.done < 2 and second.done == 2
    assert second.valid == trained_live.explorer.live[0.2, 1e-4, 96].valid


def test_more_images_than_there_are_are_asked_for_in_a_plain_sentence(explorer):
    play(explorer.train(train_size=48_000))
    assert explorer.problem.value == (
        "<b>To train this one takes 48,000 training images, and here are only 3,000. Choose fewer images, or load full "
        "MNIST.</b>"
    )
    assert explorer.live == {} and explorer.stop_button.disabled and not explorer.running
    explorer.controls["train_size"].value = 96
    assert explorer.problem.value == ""


def test_an_error_during_a_run_is_shown_and_ends_it(explorer, monkeypatch):
    def fail(*_):
        raise MemoryError("no <room> left")

    monkeypatch.setattr(training, "train_step", fail)
    with pytest.raises(MemoryError):
        play(explorer.train(train_size=96))
    assert "MemoryError: no <room> left" in problem_of(explorer) and "<room>" not in explorer.problem.value
    assert not explorer.running and explorer.stop_button.disabled


def test_start_outside_a_notebook_says_what_is_missing(explorer):
    explorer.start_button.click()
    assert "no event loop is running" in problem_of(explorer)


def test_settings_there_are_not_are_refused(explorer):
    with pytest.raises(ValueError, match="train_size must be one of 64, 96, 48000, got 97"):
        play(explorer.train(train_size=97))
    assert explorer.live == {}
