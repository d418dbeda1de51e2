"""Guess first, then see; and the measured runs: moved as a reader would, and their figures read back."""

import asyncio
import itertools
import re
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.colors import to_rgb
from scipy import stats
from torch import nn

from mnist_helpers.labs.ledger import RECIPE
from mnist_helpers.labs.sweep.grid import Setting
from mnist_helpers.labs.sweep.work import train_setting
from mnist_helpers.live import Curve
from mnist_helpers.plots import COLORS
from mnist_helpers.training import Metrics
from mnist_helpers.widgets import ledger as of_ledger
from mnist_helpers.widgets import panel as framework
from mnist_helpers.widgets.ledger import guess, ledger_explorer
from panels import choices, in_another_thread, moved, play, problem_of, words_of
from small_ledger import made_ledger

PARTS, QUANTITIES = ("train", "valid"), ("loss", "accuracy")


def interval(values):
    """Mean and both ends of the 95 % interval, by scipy."""
    return np.mean(values), *stats.t.interval(0.95, len(values) - 1, loc=np.mean(values), scale=stats.sem(values))


# ---------------------------------------------------------------- guess

QUESTION = "How much better is the recipe?"
MEASURED = pd.Series([0.31, 0.12, 0.27, 0.55, 0.40])


@pytest.fixture
def panel():
    return guess(QUESTION, MEASURED, -3, 3, unit="points")


def all_of(panel):
    """Everything that a reader can see of a panel."""
    controls = [(control.value, control.disabled, control.description) for control in panel.controls.values()]
    return controls, panel.picture.value, panel.text.value, panel.problem.value, repr(panel)


@pytest.mark.parametrize("other", [MEASURED + 20, pd.Series([-900.0, 3.0])])
def test_before_the_guess_is_committed_nothing_depends_on_what_was_measured(panel, other):
    same = guess(QUESTION, other, -3, 3, unit="points")
    for number in (-3.0, 1.5):
        assert all_of(moved(panel, guess=number)) == all_of(moved(same, guess=number))
        assert panel.still()._repr_png_() == same.still()._repr_png_() and panel.still().words == same.still().words


def test_guess_seeds_mean_and_interval_are_drawn_and_before_it_is_committed_the_guess_only(panel):
    (ax,) = panel.still(guess=1.5).figure.axes
    assert [list(line.get_xdata()) for line in ax.lines] == [[0, 0], [1.5]]  # zero and the guess
    assert len(ax.collections) == len(ax.containers) == 0 and [text.get_text() for text in ax.texts] == ["your guess"]
    assert ax.get_xlim() == panel.still(guess=-3.0).figure.axes[0].get_xlim()
    (ax,) = panel.still(guess=1.5, committed=True).figure.axes
    mean, low, high = interval(MEASURED)
    assert [list(line.get_xdata()) for line in ax.lines[:4]] == [[0, 0], [1.5], [*MEASURED], pytest.approx([mean])]
    (bar,) = ax.containers[0].lines[2]
    assert [x for x, _ in bar.get_segments()[0]] == pytest.approx([low, high])
    assert [text.get_text() for text in ax.texts] == ["your guess", "measured, 5 seeds"]


def test_stills_show_the_words_before_and_after_the_guess(panel):
    asked, told = panel.still(guess=1.5).words, panel.still(guess=1.5, committed=True).words
    assert asked.startswith(f"{QUESTION} Your guess: 1.5 points. ") and "easured:" not in asked
    mean, low, high = interval(MEASURED)
    assert told.startswith(f"{QUESTION} Your guess: 1.5 points. Measured: {mean:.2f} ± {high - mean:.2f} points (")
    assert "over 5 seeds" in told and told.endswith("between 0.12 and 0.55.")
    assert panel.values == {"guess": 0.0, "committed": False} and not panel.controls["guess"].disabled
    moved(panel, guess=2.0, committed=True)
    assert panel.still(guess=1.5, committed=False).words == asked and panel.still(guess=1.5).words == told


@pytest.mark.parametrize("measured", [MEASURED + 20, MEASURED - 20, MEASURED * 100 - 30])
def test_values_beyond_the_slider_are_within_the_picture(measured):
    panel = guess(QUESTION, measured, -3, 3)
    for number in (-3.0, 3.0):
        figure, _ = panel.render(panel.places, guess=number, committed=True)
        framework.to_png(figure)  # now all has found its place
        (ax,), values = figure.axes, [0, number, *measured, *interval(measured)]
        assert ax.get_xlim()[0] < min(values) and max(values) < ax.get_xlim()[1]
        for text in ax.texts:
            box = text.get_window_extent()
            assert box.x0 >= 0 and box.x1 <= figure.bbox.x1, f"{text.get_text()} is cut off"


def test_a_committed_guess_stands_whatever_comes_after_it(panel):
    asked = all_of(moved(panel, guess=1.0))
    assert not any(control.disabled for control in panel.controls.values())
    told = all_of(moved(panel, committed=True))
    assert all(control.disabled for control in panel.controls.values()) and told[1] != asked[1]
    assert all_of(moved(panel, committed=False)) == told, "the second half of a double click"
    assert all_of(moved(panel, guess=0.3)) == told, "a slider that was still moving"


def test_a_double_click_in_another_thread_leaves_the_guess_committed(panel):
    async def click():
        panel.loop = asyncio.get_running_loop()
        in_another_thread(lambda: [moved(panel, committed=value) for value in (True, False, True)])
        await asyncio.sleep(0.01)

    play(click())
    assert panel.values["committed"] and all(control.disabled for control in panel.controls.values())


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
        ({"step": np.nan}, "got a step of nan"),
    ],
)
def test_wrong_arguments_are_refused(arguments, message):
    arguments = {"question": QUESTION, "measured": MEASURED, "low": -3, "high": 3, **arguments}
    with pytest.raises(ValueError, match=message):
        guess(**arguments)


@pytest.mark.parametrize("low, high, step", [(-3, 3, 0.1), (0, 1, 1 / 3), (0, 0.3, 0.1), (-5, 5, 10)])
def test_steps_that_lead_from_end_to_end_are_taken_and_the_guess_begins_on_one_near_the_middle(low, high, step):
    panel = guess(QUESTION, MEASURED, low, high, step=step)
    first = panel.values["guess"]
    assert abs(first - (low + high) / 2) <= step / 2 + 1e-9
    assert (first - low) / step == pytest.approx(round((first - low) / step))
    for number in (low, high):
        assert f"Your guess: {number:g}. " in words_of(moved(panel, guess=number)) and problem_of(panel) == ""


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


def of_colour(ax, kind, colour):
    """The collections of this kind and colour."""
    found = [each for each in ax.collections if isinstance(each, kind)]
    return [each for each in found if np.allclose(each.get_edgecolor()[0][:3], to_rgb(colour))]


def filled(ax, colour):
    """The lower and the upper edge of the area with this colour, at each epoch."""
    (area,) = of_colour(ax, PolyCollection, colour)
    corners = area.get_paths()[0].vertices
    values = [corners[corners[:, 0] == epoch, 1] for epoch in sorted(set(corners[:, 0]))]
    return np.array([each.min() for each in values]), np.array([each.max() for each in values])


@pytest.mark.parametrize(
    "settings, expected",
    [
        ([{"dropout": 0.0}, {}, {"dropout": 0.5}, {"train_size": 500}], (0.2, 1e-4, 48_000)),
        ([{"train_size": 500}, {"train_size": 2000}, {"train_size": 2000, "dropout": 0.0}], (0.2, 1e-4, 2000)),
        ([{"dropout": 0.5, "weight_decay": 0.0}, {"dropout": 0.2, "weight_decay": 0.0}], (0.2, 0.0, 48_000)),
        ([{"dropout": 0.5, "weight_decay": 0.0, "train_size": 96}], (0.5, 0.0, 96)),
    ],
)
def test_the_explorer_begins_at_the_recipe_or_the_measured_point_that_is_most_like_it(sample, settings, expected):
    explorer = ledger_explorer(made_ledger(*settings), sample)
    assert tuple(explorer.values.values()) == expected
    words = "Dropout {:g}, weight decay {:g}, {:,} training images, measured with 3 seeds, ".format(*expected)
    assert words_of(explorer).startswith(words)


def test_the_sliders_offer_what_was_measured_with_the_recipes_optimizer_network_and_pixels(unmoved):
    offered = {name: choices(control) for name, control in unmoved.controls.items()}
    assert offered == {"dropout": [0.0, 0.2, 0.5], "weight_decay": [0.0, 1e-4], "train_size": [64, 96, 48_000]}


@pytest.mark.parametrize(
    "point", [{}, {"dropout": 0.5}, {"dropout": 0.0, "weight_decay": 0.0}, {"train_size": 96}], ids=str
)
def test_curves_and_words_are_those_of_numpy_and_scipy(unmoved, ledger, point):
    """Each seed is a faint line; mean, interval and gap; and in the words the last epoch."""
    still, rows = unmoved.still(**point), rows_of(ledger, **point)
    number, epochs = rows["seed"].nunique(), rows["epoch"].unique()
    for ax, quantity in zip(still.figure.axes, QUANTITIES, strict=True):
        assert ax.get_title() == f"{quantity.capitalize()}, measured with {number} seeds"
        means = {}
        for line, part in zip(ax.lines, PARTS, strict=True):
            values = rows[f"{part}_{quantity}"].to_numpy().reshape(number, -1)
            (seeds,) = of_colour(ax, LineCollection, COLORS[part])
            np.testing.assert_array_equal(seeds.get_segments(), [np.column_stack([epochs, each]) for each in values])
            means[part], low, high = np.array([interval(column) for column in values.T]).T
            assert line.get_color() == COLORS[part] and line.get_linewidth() > 2 * seeds.get_linewidth()[0]
            assert seeds.get_alpha() < 1 and line.get_alpha() is None
            np.testing.assert_allclose(line.get_xydata(), np.column_stack([epochs, means[part]]))
            np.testing.assert_allclose(filled(ax, COLORS[part]), [low, high])
        both = np.array(list(means.values()))
        np.testing.assert_allclose(filled(ax, "gray"), [both.min(axis=0), both.max(axis=0)])
    assert f"measured with {number} seeds, after {epochs[-1]} epochs" in still.words
    last = rows.query("epoch == epochs")
    for name, values, digits, unit in (
        ("validation loss", last["valid_loss"], 3, ""),
        ("validation accuracy", 100 * last["valid_accuracy"], 2, " %"),
        ("training accuracy", 100 * last["train_accuracy"], 2, " %"),
        ("gap", 100 * (last["train_accuracy"] - last["valid_accuracy"]), 2, " points"),
    ):
        mean, low, high = interval(values)
        assert f"{name} {mean:.{digits}f} ± {high - mean:.{digits}f}{unit}" in still.words


def test_one_legend_names_the_lines_and_the_gap_beside_the_curves_and_within_the_picture(unmoved):
    still = unmoved.still()
    still._repr_png_()
    ((ax, legend),) = [(ax, ax.get_legend()) for ax in still.figure.axes if ax.get_legend()]
    assert [text.get_text() for text in legend.get_texts()] == ["training", "validation", "gap"]
    box = legend.get_window_extent()
    assert box.x0 >= ax.bbox.x1 and box.x1 <= still.figure.bbox.x1


def test_the_percentages_beside_the_accuracy_are_where_they_stand(unmoved):
    ax = unmoved.still().figure.axes[1]
    ax.set_yticks([0.925, 0.95, 0.975])
    ax.figure.canvas.draw()
    shown = [float(label.get_text().rstrip("%")) for label in ax.get_yticklabels()]
    assert shown == pytest.approx([92.5, 95, 97.5])


def test_points_with_as_many_images_have_the_same_limits_which_hold_the_ends_of_all_curves(unmoved, ledger):
    limits = {}
    for size, dropout, decay in itertools.product((96, 48_000), (0.0, 0.2, 0.5), (0.0, 1e-4)):
        axes = unmoved.still(dropout=dropout, weight_decay=decay, train_size=size).figure.axes
        limits.setdefault(size, set()).add(tuple((*ax.get_xlim(), *ax.get_ylim()) for ax in axes))
        rows = rows_of(ledger, dropout=dropout, weight_decay=decay, train_size=size).query("epoch == epochs")
        for ax, quantity in zip(axes, QUANTITIES, strict=True):
            assert rows["epoch"].between(*ax.get_xlim()).all()
            assert all(rows[f"{part}_{quantity}"].between(*ax.get_ylim()).all() for part in PARTS)
    assert {size: len(found) for size, found in limits.items()} == {96: 1, 48_000: 1}
    assert limits[96] != limits[48_000]


def test_a_run_that_ends_far_from_all_others_is_within_the_limits(sample):
    ledger = made_ledger({"seeds": 10, "epochs": 30})
    ledger.loc[(ledger["seed"] == 3) & (ledger["epoch"] == 30), ["valid_loss", "valid_accuracy"]] = [7.5, 0.11]
    loss, accuracy = ledger_explorer(ledger, sample).still().figure.axes
    assert loss.get_ylim()[1] > 7.5 and accuracy.get_ylim()[0] < 0.11


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("everywhere", [False, True])
def test_a_point_with_one_seed_is_shown_without_an_interval(ledger, sample, everywhere):
    explorer = ledger_explorer(ledger[ledger["seed"] == 0] if everywhere else ledger, sample)
    still = explorer.still(weight_decay=0.0)
    still._repr_png_()
    loss = rows_of(ledger, weight_decay=0.0)["valid_loss"]
    assert f"measured with 1 seed, after 4 epochs: validation loss {loss.iloc[-1]:.3f}, " in still.words
    assert "one seed says nothing about the spread" in still.words
    assert "±" not in still.words and "nan" not in still.words
    ax = still.figure.axes[0]
    assert ax.get_title() == "Loss, measured with 1 seed"
    np.testing.assert_array_equal(ax.lines[1].get_ydata(), loss)
    assert [len(of_colour(ax, PolyCollection, colour)) for colour in (*map(COLORS.get, PARTS), "gray")] == [0, 0, 1]


@pytest.mark.filterwarnings("error")
def test_a_point_that_was_not_measured_says_so(unmoved):
    still = unmoved.still(dropout=0.5, train_size=96)
    still._repr_png_()
    assert still.words == "Dropout 0.5, weight decay 0.0001, 96 training images, not measured: the button trains it."
    assert [ax.get_title() for ax in still.figure.axes] == ["Loss, not measured", "Accuracy, not measured"]
    assert all(len(ax.lines) == len(ax.collections) == 0 for ax in still.figure.axes)


def test_neither_foreign_runs_nor_the_order_of_the_rows_change_the_picture(ledger, unmoved, sample):
    """Foreign: with another optimizer, network or pixels."""
    others = ledger.sample(frac=1, random_state=0)
    foreign = (others[["optimizer", "pixels", "network"]] != ["Adam", "scaled", "MNISTNet"]).any(axis=1)
    assert foreign.sum() == 4 * 3 * 4
    others.loc[foreign, ["train_loss", "valid_loss", "train_accuracy", "valid_accuracy"]] = 77.0
    assert ledger_explorer(others, sample).still()._repr_png_() == unmoved.still()._repr_png_()
    with pytest.raises(ValueError, match="no run of the recipe's network"):
        ledger_explorer(others[foreign], sample)


# ---------------------------------------------------------------- ledger_explorer: train this one now


@pytest.fixture
def at_each_step(monkeypatch):
    """The explorer redraws, and lets others have their turn, at each step of a training."""
    clock = SimpleNamespace(perf_counter=itertools.count(1).__next__)
    for module in (of_ledger, framework):
        monkeypatch.setattr(module, "time", clock)


POINT = (0.2, 1e-4, 96)


async def under_way(explorer):
    """Return when the training has shown itself for the first time."""
    while "Live" not in explorer.text.value:
        assert explorer.running, problem_of(explorer)
        await asyncio.sleep(0)


def live_values(still, quantity):
    """The black lines: epochs and values, for training and validation."""
    ax = still.figure.axes[QUANTITIES.index(quantity)]
    return [line.get_xydata().tolist() for line in ax.lines if line.get_color() == "black"]


@pytest.fixture(scope="module")
def trained_live(ledger, sample):
    """An explorer after a live run of dropout 0.2 with 96 images."""
    explorer = ledger_explorer(ledger, sample)
    play(explorer.train(train_size=96))
    return explorer


def test_a_live_run_is_to_the_last_bit_what_the_sweep_trains(trained_live, sample):
    rows, live = train_setting(Setting(train_size=96, epochs=2, seed=5), sample), trained_live.live[POINT]
    assert live.measured_at == [0, 1, 2]
    assert [each.loss for each in live.valid[1:]] == list(rows["valid_loss"])
    assert [each.accuracy for each in live.valid[1:]] == list(rows["valid_accuracy"])
    assert [each.accuracy for each in live.train[1:]] == pytest.approx(list(rows["train_accuracy"]))
    assert [each.loss for each in live.train[1:]] == pytest.approx(list(rows["train_loss"]))  # summed in another order


def test_the_live_curve_lies_over_the_measured_ones_at_its_own_point_only(trained_live):
    live, still = trained_live.live[POINT], trained_live.still()
    for ax, quantity in zip(still.figure.axes, QUANTITIES, strict=True):
        assert live_values(still, quantity) == [
            [[epoch, getattr(part[epoch], quantity)] for epoch in (1, 2)] for part in (live.train, live.valid)
        ]
        assert [line.get_color() for line in ax.lines] == [COLORS["train"], COLORS["valid"], "black", "black"]
    labels = [text.get_text() for text in still.figure.axes[1].get_legend().get_texts()]
    assert labels == ["training", "validation", "gap", "live\ntraining", "live\nvalidation"]
    before = trained_live.picture.value
    assert "Live" not in words_of(moved(trained_live, dropout=0.0)) and live_values(trained_live.still(), "loss") == []
    assert "Live" in words_of(moved(trained_live, dropout=0.2)) and trained_live.picture.value == before


@pytest.mark.parametrize(
    "source, size, done, expected",
    [
        ("full", 48_000, 0.5, "epoch 0.5 of 2."),
        ("full", 48_000, 1.5, "epoch 1.5 of 2: training loss 0.3000, accuracy 90.00%; validation {valid}."),
        ("full", 48_000, 2, "Of the 5 measured seeds {below} have a lower validation loss."),
        ("full", 3000, 2, "this one was not."),
        ("sample", 48_000, 2, "this one was not."),
    ],
)
def test_only_finished_runs_on_all_of_full_mnist_are_placed_among_the_seeds(
    explorer, ledger, source, size, done, expected
):
    losses = rows_of(ledger, train_size=96).query("epoch == epochs")["valid_loss"].sort_values()
    ends = [losses.min() - 1, *losses, losses.max() + 1]
    explorer.data = SimpleNamespace(source=source, train=range(size))
    for below in (0, 2, 5):
        train, valid = Metrics(0.3, 0.9), Metrics((ends[below] + ends[below + 1]) / 2, 0.9)
        settings = {"seed": 7, "train_size": 96}
        explorer.live[POINT] = Curve(nn.Module(), settings, [0, 1, 2], [train] * 3, [train, train, valid], done=done)
        words = explorer.still(train_size=96).words
        assert "Live, with seed 7, " in words and words.endswith(expected.format(below=below, valid=valid))


@pytest.mark.parametrize(
    "point, seed, measured",
    [
        ({"train_size": 96, "dropout": 0.5}, 0, "not measured: the button trains it."),
        ({"train_size": 64}, 1, "measured with 1 seed"),
        ({"train_size": 96}, 5, "measured with 5 seeds"),
    ],
    ids=str,
)
def test_a_live_run_has_a_seed_that_the_ledger_does_not_have_and_as_many_epochs(explorer, point, seed, measured):
    play(explorer.train(**point))
    (live,) = explorer.live.values()
    words = words_of(explorer)
    assert problem_of(explorer) == "" and live.settings["seed"] == seed and live.done == 2
    assert measured in words and f"Live, with seed {seed}, epoch 2.0 of 2" in words
    assert words.endswith("The ledger's runs were trained and validated on full MNIST, this one was not.")
    assert len(live_values(explorer.still(), "loss")) == 2
    assert [measured.split(":")[0] in ax.get_title() for ax in explorer.still().figure.axes] == [True, True]


def test_the_picture_grows_while_the_network_trains(explorer, at_each_step):
    moved(explorer, train_size=96)
    shown = []
    explorer.text.observe(lambda change: shown.append(change.new), "value")
    play(explorer.train())
    epochs = [float(re.search(r"epoch ([\d.]+) of 2", words)[1]) for words in shown if "Live" in words]
    assert epochs == sorted(epochs) and len(set(epochs)) >= 5 and epochs[-1] == 2.0


@pytest.mark.parametrize("end", [lambda each: each.stop_button.click(), lambda each: moved(each, dropout=0.0)])
def test_stop_or_a_moved_slider_ends_the_run_and_keeps_its_curve(explorer, at_each_step, end, monkeypatch):
    async def begin_and_end():
        moved(explorer, train_size=96).start_button.click()
        await under_way(explorer)
        shown, can_stop = explorer.live[POINT].done, not explorer.stop_button.disabled
        while explorer.live[POINT].done == shown:
            await asyncio.sleep(0)
        end(explorer)
        await asyncio.sleep(0.05)
        return can_stop, explorer.running, explorer.stop_button.disabled

    monkeypatch.setattr(of_ledger, "time", SimpleNamespace(perf_counter=lambda: 1))  # only the first step is drawn
    assert play(begin_and_end()) == (True, False, True)
    assert list(explorer.live) == [POINT] and 0 < explorer.live[POINT].done < 2
    assert ("Live" in words_of(explorer)) == (explorer.values["dropout"] == 0.2)
    assert f"epoch {explorer.live[POINT].done:.1f} of 2" in words_of(moved(explorer, dropout=0.2))


def test_a_second_start_begins_anew_and_comes_to_the_same(explorer, at_each_step, trained_live):
    async def start_twice():
        moved(explorer, train_size=96).start_button.click()
        await under_way(explorer)
        first = explorer.live[POINT]
        explorer.start_button.click()
        while explorer.running:
            await asyncio.sleep(0)
        return first

    first, second = play(start_twice()), explorer.live[POINT]
    assert first is not second and first.done < 2 and second.done == 2
    assert second.valid == trained_live.live[POINT].valid


def test_more_images_than_there_are_are_asked_for_in_a_plain_sentence(explorer):
    play(explorer.train(train_size=48_000))
    assert "takes 48,000 training images, and here are only 3,000." in problem_of(explorer)
    assert "Traceback" not in problem_of(explorer)
    assert explorer.live == {} and explorer.stop_button.disabled and not explorer.running
    assert problem_of(moved(explorer, train_size=96)) == ""
