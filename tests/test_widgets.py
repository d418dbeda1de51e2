"""Controls → picture and words: the panels are moved as a reader would move them, and their figures read back."""

import asyncio
import copy
import dataclasses
import html
import io
import itertools
import re
import threading
from contextlib import contextmanager
from functools import partial
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from IPython.core.formatters import DisplayFormatter
from ipywidgets import Button, Dropdown, IntSlider, Play, ToggleButton
from matplotlib.colors import to_rgb
from matplotlib.text import Text
from PIL import Image
from scipy.stats import binom
from torch.utils.data import TensorDataset

from mnist_helpers import runs, training, widgets
from mnist_helpers.data import make_loader
from mnist_helpers.labs.sweep.grid import Setting
from mnist_helpers.labs.sweep.work import train_setting
from mnist_helpers.live import Curve, train_live
from mnist_helpers.model import MNISTNet
from mnist_helpers.plots import COLORS
from mnist_helpers.runs import train_run
from mnist_helpers.training import History, Metrics, evaluate, set_seed
from mnist_helpers.widgets.images import digit_browser, prediction_explorer
from mnist_helpers.widgets.network import curve_reader, dropout_draws, dropout_microscope
from mnist_helpers.widgets.panel import LivePanel, LivePicture, Panel
from mnist_helpers.widgets.training import TrainingLab, training_lab


def pixels_of(png):
    """The PNG file as an array (height, width, 3)."""
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def words_of(panel):
    """What stands below the picture, without HTML's marks."""
    return html.unescape(panel.text.value)


def problem_of(panel):
    """What stands above the picture, "" where all is well."""
    return html.unescape(panel.problem.value)


def state_of(panel):
    return panel.values, panel.problem.value, panel.picture.value, panel.text.value


def choices(control):
    """All values of a control that has options, both ends of one that has limits."""
    if hasattr(control, "options"):
        return [option[1] if isinstance(option, tuple) else option for option in control.options]
    return [control.min, control.max]


def axes_titled(figure, beginning):
    """The first axes whose title begins so."""
    return next(ax for ax in figure.axes if ax.get_title().startswith(beginning))


def places_of(figure):
    """Where the axes stand in the picture, in pixels."""
    return np.array([ax.figure.transSubfigure.transform(ax.get_position(original=True)) for ax in figure.axes])


def equal_weights(first, second):
    """Whether two models have the same weights to the last bit."""
    first, second = first.state_dict(), second.state_dict()
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def of_classes(dataset, *classes):
    """The images of some classes only."""
    images, labels = dataset.tensors
    chosen = torch.isin(labels, torch.tensor(classes))
    return TensorDataset(images[chosen], labels[chosen])


EMPTY = TensorDataset(torch.zeros(0, 1, 28, 28), torch.zeros(0, dtype=torch.int64))


def moved(panel, **values):
    """The panel after its controls were moved to `values`."""
    for name, value in values.items():
        panel.controls[name].value = value
    return panel


@pytest.fixture
def network(trained):
    """A trained network on the processor, dropout off."""
    return copy.deepcopy(trained.model).cpu().eval()


@pytest.fixture(scope="module")
def image(sample):
    return sample.test.tensors[0][:1]


# ---------------------------------------------------------------- any panel


def draw_number(figure, number, colour):
    """A number in a colour; 13 cannot be drawn."""
    if number == 13:
        raise ArithmeticError("no <ink> for 13")
    figure.text(0.5, 0.5, number, color=colour)
    return f"{number} is <{colour}> & small"


def number_panel(number=1):
    """The smallest panel: a slider and a list."""
    controls = {"number": IntSlider(number, 0, 20), "colour": Dropdown(options=["red", "blue"])}
    return Panel(controls, draw_number, (3, 2))


@pytest.fixture
def panel():
    return number_panel()


@pytest.mark.parametrize("name, value", [("number", 7), ("colour", "blue")])
def test_picture_and_words_follow_a_control(panel, name, value):
    *_, picture, words = state_of(panel)
    moved(panel, **{name: value})
    assert panel.picture.value != picture and panel.text.value != words


def test_a_control_moved_back_brings_picture_and_words_back(panel):
    before = state_of(panel)
    assert state_of(moved(panel, number=7)) != before
    assert state_of(moved(panel, number=1)) == before


def test_the_values_are_those_of_the_controls(panel):
    assert moved(panel, colour="blue").values == {"number": 1, "colour": "blue"}


def test_words_may_hold_the_signs_of_html(panel):
    assert panel.text.value == "1 is &lt;red&gt; &amp; small"


def test_controls_problem_picture_and_words_stand_below_each_other(panel):
    bar, *others = panel.children
    assert list(bar.children) == list(panel.controls.values())
    assert others == [panel.problem, panel.picture, panel.text]


def test_a_panel_says_in_a_stored_notebook_where_its_sliders_are(panel):
    assert "appear when this cell is run" in repr(panel)


def test_moving_one_of_two_panels_leaves_the_other_as_it_is(panel):
    other = number_panel()
    before = state_of(other)
    moved(panel, number=7)
    assert state_of(other) == before


# ---------------------------------------------------------------- an error while drawing


def test_an_error_while_drawing_is_named_above_the_picture(panel):
    assert problem_of(panel) == ""
    assert "ArithmeticError: no <ink> for 13" in problem_of(moved(panel, number=13))


def test_an_error_while_drawing_comes_with_its_traceback_folded(panel):
    folded = re.search("<details>(.*)</details>", moved(panel, number=13).problem.value, re.DOTALL)[1]
    assert "Traceback" in folded and "draw_number" in folded


def test_neither_message_nor_traceback_of_an_error_can_become_html(panel):
    problem = moved(panel, number=13).problem.value
    assert problem.count("no &lt;ink&gt; for 13") >= 2 and "<ink>" not in problem


def test_after_an_error_the_last_picture_and_its_words_are_still_there(panel):
    *_, picture, words = state_of(panel)
    assert state_of(moved(panel, number=13))[-2:] == (picture, words)


def test_the_next_picture_without_an_error_removes_the_message(panel):
    assert problem_of(moved(panel, number=13)) != ""
    assert problem_of(moved(panel, number=7)) == "" and words_of(panel) == "7 is <red> & small"


def test_an_error_while_a_panel_is_made_is_raised():
    with pytest.raises(ArithmeticError, match="for 13"):
        number_panel(13)


def test_an_error_in_a_still_is_raised_and_the_panel_stays_as_it_is(panel):
    before = state_of(panel)
    with pytest.raises(ArithmeticError, match="for 13"):
        panel.still(number=13)
    assert state_of(panel) == before


# ---------------------------------------------------------------- stills


def test_a_still_has_the_words_that_the_moved_panel_has(panel):
    still = panel.still(number=7)
    assert still.words == words_of(moved(panel, number=7))


def test_a_still_without_changes_shows_the_controls_as_they_are(panel):
    assert moved(panel, number=7).still().words == words_of(panel)


def test_a_still_leaves_the_panel_as_it_is(panel):
    before = state_of(panel)
    panel.still(number=7, colour="blue")
    assert state_of(panel) == before


def test_a_notebook_stores_the_stills_picture_and_its_words(panel):
    stored, _ = DisplayFormatter().format(panel.still(number=7))
    assert stored["text/plain"] == "7 is <red> & small"
    assert pixels_of(stored["image/png"]).shape == (200, 300, 3)


def test_a_still_of_an_unknown_control_is_refused_with_the_controls_there_are(panel):
    with pytest.raises(ValueError, match="'size', only number, colour"):
        panel.still(size=3)


@pytest.mark.parametrize("number", [-1, 21])
def test_a_still_beyond_a_sliders_ends_is_refused_with_both_ends(panel, number):
    with pytest.raises(ValueError, match=f"number must be from 0 to 20, got {number}"):
        panel.still(number=number)


def test_a_still_of_an_option_there_is_not_is_refused_with_the_options(panel):
    with pytest.raises(ValueError, match="colour must be one of red, blue, got 'green'"):
        panel.still(colour="green")


# ---------------------------------------------------------------- each of the five panels


PANELS = ["digit_browser", "dropout_microscope", "curve_reader", "prediction_explorer", "training_lab"]


@pytest.fixture(scope="module", params=PANELS)
def make(request, sample, trained, sure, weights):
    """A function that makes one of the panels, at values from which every move can be seen."""
    return {
        "digit_browser": lambda: moved(digit_browser(sample.test), position=20),
        "dropout_microscope": lambda: dropout_microscope(trained.model, sample.test),
        "curve_reader": lambda: curve_reader(trained.history, weights),
        "prediction_explorer": lambda: prediction_explorer(sure),
        "training_lab": lambda: training_lab(sample),
    }[request.param]


@pytest.fixture(scope="module")
def walk(make):
    """A panel of which each control was moved to both its ends and back; what it showed at each step, where the axes
    stood in each picture, and matplotlib's settings before and after.
    """
    steps, figures, to_png, before = [], [], widgets.to_png, plt.rcParams.copy()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(widgets, "to_png", lambda figure: figures.append(figure) or to_png(figure))
        panel = make()
        for name, control in panel.controls.items():
            start, (first, *_, last) = control.value, choices(control)
            for value in dict.fromkeys([first, last, start]):
                control.value = value
                steps.append(
                    SimpleNamespace(
                        control=name,
                        value=value,
                        problem=problem_of(panel),
                        picture=panel.picture.value,
                        words=words_of(panel),
                    )
                )
            control.value = start
    panel.still()._repr_png_()
    return SimpleNamespace(
        panel=panel,
        steps=steps,
        places=[places_of(figure) for figure in figures],
        settings=(before, plt.rcParams.copy()),
        open_figures=plt.get_fignums(),
    )


EACH_PANEL_THAT_TELLS = pytest.mark.parametrize("make", PANELS[:-1], indirect=True)  # a lab has to train first


def test_the_picture_is_a_png_file_of_100_pixels_an_inch(walk):
    width, height = (round(100 * inches) for inches in walk.panel.size)
    assert {pixels_of(step.picture).shape for step in walk.steps} == {(height, width, 3)}
    assert walk.panel.picture.layout.width == f"{width}px"


def test_a_control_can_be_moved_to_both_its_ends(walk):
    assert [(step.control, step.value) for step in walk.steps if step.problem] == []


@EACH_PANEL_THAT_TELLS
def test_every_move_of_a_control_changes_the_words_and_some_change_the_picture(walk):
    for name in walk.panel.controls:
        steps = [step for step in walk.steps if step.control == name]
        assert len({step.words for step in steps}) == len(steps), name
        assert len({step.picture for step in steps}) > 1, name


@EACH_PANEL_THAT_TELLS
def test_every_option_of_a_control_has_words_of_its_own(walk):
    for name, control in walk.panel.controls.items():
        words = {walk.panel.still(**{name: value}).words for value in choices(control)}
        assert len(words) == len(choices(control)), name


def test_the_axes_stay_where_they_are_when_a_control_is_moved(walk):
    for places in walk.places[1:]:
        np.testing.assert_allclose(places, walk.places[0], atol=0.01)


def test_a_panel_leaves_no_figure_and_no_setting_of_matplotlib_behind(walk):
    before, after = walk.settings
    assert walk.open_figures == [] and after == before


def test_each_control_has_a_layout_of_its_own(sample):
    first, second = digit_browser(sample.test), digit_browser(sample.test)
    layouts = [control.layout for panel in (first, second) for control in panel.controls.values()]
    assert len(set(layouts)) == len(layouts)


# ---------------------------------------------------------------- clicks that JupyterLab delivers in another thread


def in_another_thread(action):
    """Run the action in a thread of its own while this one, with the panel's event loop, waits."""
    thread = threading.Thread(target=action)
    thread.start()
    thread.join()


def test_controls_moved_in_another_thread_are_answered_once_in_the_panel_s_own():
    threads = []

    def draw(figure, place):
        threads.append(threading.get_ident())
        return f"at {place}"

    async def move_often():
        slider = IntSlider(0, 0, 100)
        panel = Panel({"place": slider}, draw, (2, 1))
        threads.clear()
        in_another_thread(lambda: [setattr(slider, "value", place) for place in range(1, 51)])
        assert panel.text.value == "at 0", "drawn in the other thread"
        await asyncio.sleep(0.01)
        return panel

    panel = asyncio.run(move_often())
    assert threads == [threading.get_ident()]
    assert panel.text.value == "at 50"


def test_an_error_after_a_move_in_another_thread_is_shown():
    async def move():
        slider = IntSlider(1, 0, 5)
        panel = Panel({"divisor": slider}, lambda figure, divisor: str(1 / divisor), (2, 1))
        in_another_thread(lambda: setattr(slider, "value", 0))
        await asyncio.sleep(0.01)
        return panel

    assert "ZeroDivisionError" in problem_of(asyncio.run(move()))


# ---------------------------------------------------------------- digit_browser


@pytest.fixture(scope="module")
def browser(sample):
    """All tests share it: they look at its stills and move nothing."""
    return digit_browser(sample.test)


def shown_in(words):
    """The image's number in the dataset and its label."""
    number, label = re.match(r"Image ([\d,]+) of the dataset, label (\d)", words).groups()
    return int(number.replace(",", "")), int(label)


@pytest.mark.parametrize("position", [0, 1, 40, -1])
@pytest.mark.parametrize("digit", [0, 7])
def test_a_chosen_digit_is_the_only_one_to_be_seen(browser, sample, digit, position):
    numbers = (sample.test.tensors[1] == digit).nonzero().flatten().tolist()
    still = browser.still(digit=digit, position=range(len(numbers))[position])
    assert shown_in(still.words) == (numbers[position], digit)


@pytest.mark.parametrize("position", [0, 1, 999])
def test_without_a_chosen_digit_the_positions_are_those_of_the_dataset(browser, sample, position):
    assert shown_in(browser.still(position=position).words) == (position, sample.test.tensors[1][position])


def test_the_image_is_drawn_with_its_pixels_from_0_to_255(browser, sample):
    drawn = browser.still(position=5).figure.axes[0].images[0]
    np.testing.assert_array_equal(drawn.get_array(), (255 * sample.test.tensors[0][5, 0]).round())
    assert drawn.get_clim() == (0, 255)


def test_the_slider_of_the_positions_ends_at_the_last_image_of_the_digit(sample):
    dataset = TensorDataset(*sample.test[:200])
    browser = digit_browser(dataset)
    assert browser.controls["position"].max == 199
    assert moved(browser, digit=3).controls["position"].max == (dataset.tensors[1] == 3).sum() - 1
    assert moved(browser, digit="all").controls["position"].max == 199


def test_a_position_beyond_the_last_image_of_a_digit_moves_to_the_last(sample):
    browser = moved(digit_browser(sample.test), position=999, digit=4)
    assert browser.values["position"] == 99
    assert shown_in(words_of(browser)) == ((sample.test.tensors[1] == 4).nonzero()[-1], 4)


@pytest.mark.parametrize("row, column", [(14, 14), (0, 0), (27, 27), (0, 27), (26, 2), (5, 20)])
def test_the_49_numbers_are_the_pixels_in_the_red_square_round_the_chosen_one(browser, sample, row, column):
    whole, patch, _ = browser.still(position=5, row=row, column=column).figure.axes
    numbers = {text.get_position(): int(text.get_text()) for text in patch.texts}
    pixels = (255 * sample.test.tensors[0][5, 0]).round()
    left, top = (edge + 0.5 for edge in whole.patches[0].get_xy())
    assert {(x, y) for x in range(28) for y in range(28) if left <= x < left + 7 and top <= y < top + 7} == set(numbers)
    assert len(numbers) == 49 and (column, row) in numbers
    assert numbers == {(x, y): pixels[y, x] for x, y in numbers}


def test_a_pixel_between_two_numbers_is_shown_as_the_nearest():
    browser = digit_browser(TensorDataset(torch.full((1, 1, 28, 28), 99.9 / 255), torch.tensor([0])))
    assert {text.get_text() for text in browser.still().figure.axes[1].texts} == {"100"}


def test_the_number_of_the_chosen_pixel_is_the_only_bold_one(browser):
    patch = browser.still(row=2, column=20).figure.axes[1]
    assert [text.get_position() for text in patch.texts if text.get_fontweight() == "bold"] == [(20, 2)]


def test_the_curve_and_the_words_hold_the_pixels_of_the_row(browser, sample):
    still = browser.still(position=5, row=10, column=12)
    pixels = (255 * sample.test.tensors[0][5, 0, 10]).round().int().tolist()
    assert list(still.figure.axes[2].lines[0].get_ydata()) == pixels
    assert f"row 10, column 12: {pixels[12]}. The whole row: {' '.join(map(str, pixels))}" in still.words


def test_an_empty_dataset_has_nothing_to_browse():
    with pytest.raises(ValueError, match="dataset is empty"):
        digit_browser(EMPTY)


def test_only_digits_that_occur_can_be_chosen(sample):
    browser = digit_browser(of_classes(sample.test, 3, 8))
    assert choices(browser.controls["digit"]) == ["all", 3, 8]


def test_a_single_image_can_be_browsed(sample):
    browser = digit_browser(TensorDataset(*sample.test[5:6]))
    assert shown_in(words_of(browser)) == (0, sample.test.tensors[1][5])
    assert choices(browser.controls["position"]) == [0, 0]


# ---------------------------------------------------------------- dropout_draws


@pytest.mark.parametrize("rate, training", [(0.0, True), (0.0, False), (0.5, False)])
def test_without_dropout_every_draw_gives_the_networks_answer(network, image, rate, training):
    layers, probabilities = dropout_draws(network, image, rate, training, seed=0)
    expected = network(image).softmax(dim=1).detach()
    torch.testing.assert_close(probabilities, expected.expand(200, 10))
    assert not any(dropped.any() for _, dropped in layers)


@pytest.mark.parametrize("rate", [0.2, 0.5, 0.95])
def test_the_draws_are_those_of_the_network_in_training_mode(network, image, rate):
    same = MNISTNet(dropout=rate).train()
    same.load_state_dict(network.state_dict())
    _, probabilities = dropout_draws(network, image, rate, True, seed=7)
    torch.manual_seed(7)
    expected = same(image.expand(200, 1, 28, 28)).softmax(dim=1).detach()
    torch.testing.assert_close(probabilities, expected)


def test_the_same_seed_draws_the_same_and_another_seed_something_else(network, image):
    first, again, other = [dropout_draws(network, image, 0.5, True, seed)[1] for seed in (1, 1, 2)]
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_dropped_units_are_0_and_the_others_grow_by_1_over_1_minus_rate(network, image):
    (first, first_dropped), (second, second_dropped) = dropout_draws(network, image, 0.2, True, seed=0)[0]
    with torch.no_grad():
        before_first = network.layers[:3](image)[0]
        before_second = network.layers[4:6](first)
    for before, after, dropped in ((before_first, first, first_dropped), (before_second, second, second_dropped)):
        torch.testing.assert_close(after, torch.where(dropped, 0, before / 0.8))


def test_the_first_hidden_layer_has_128_units_and_the_second_64(network, image):
    layers, probabilities = dropout_draws(network, image, 0.5, True, seed=0, draws=3)
    assert [(len(values), len(dropped)) for values, dropped in layers] == [(128, 128), (64, 64)]
    assert probabilities.shape == (3, 10)


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.95])
def test_the_share_of_dropped_units_is_the_rate(network, image, rate):
    draws = [dropout_draws(network, image, rate, True, seed, draws=1)[0] for seed in range(20)]
    dropped = torch.cat([units for layers in draws for _, units in layers])
    low, high = binom.interval(0.99999, len(dropped), rate)
    assert low <= dropped.sum() <= high


def test_draws_leave_pytorchs_random_numbers_as_they_were(network, image):
    before = torch.get_rng_state()
    dropout_draws(network, image, 0.5, True, seed=0)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("training", [True, False])
def test_draws_leave_the_models_mode_and_weights_as_they_were(network, image, training):
    before = copy.deepcopy(network)
    dropout_draws(network.train(training), image, 0.5, True, seed=0)
    assert all(layer.training == training for layer in network.modules())
    assert equal_weights(network, before)
    assert [layer.p for layer in network.layers if hasattr(layer, "p")] == [0.2, 0.2]


# ---------------------------------------------------------------- dropout_microscope


@pytest.fixture(scope="module")
def microscope(trained, sample):
    """All tests share it: they look at its stills and move nothing."""
    return dropout_microscope(trained.model, sample.test)


@pytest.fixture
def three(sample):
    """The first 3 of the dataset."""
    return of_classes(sample.test, 3).tensors[0][:1]


def dropped_in(words):
    """How many units of each hidden layer were dropped."""
    return [int(number) for number in re.search(r"(\d+) of 128 and (\d+) of 64 hidden units dropped", words).groups()]


def draw_again(microscope):
    (button,) = [each for each in microscope.children[0].children if isinstance(each, Button)]
    button.click()


def test_draw_again_drops_other_units_in_training_mode(network, sample):
    microscope = dropout_microscope(network, sample.test)
    *_, picture, words = state_of(microscope)
    draw_again(microscope)
    assert microscope.picture.value != picture and microscope.text.value != words


def test_draw_again_changes_nothing_in_evaluation_mode(network, sample):
    microscope = moved(dropout_microscope(network, sample.test), mode="eval")
    *_, picture, words = state_of(microscope)
    draw_again(microscope)
    assert microscope.values["draw"] == 1
    assert (microscope.picture.value, microscope.text.value) == (picture, words)


def test_no_unit_is_dropped_in_evaluation_mode_or_at_rate_0(microscope):
    assert dropped_in(microscope.still(mode="eval", rate=0.95).words) == [0, 0]
    assert dropped_in(microscope.still(mode="train", rate=0.0).words) == [0, 0]


def test_hardly_a_unit_is_left_at_the_highest_rate(microscope):
    first, second = dropped_in(microscope.still(rate=0.95).words)
    assert 100 < first <= 128 and 45 < second <= 64


def test_each_dropped_unit_has_a_cross_at_its_place(microscope, network, three):
    figure = microscope.still(digit=3, rate=0.5, draw=4).figure
    for units, (_, dropped) in zip((128, 64), dropout_draws(network, three, 0.5, True, seed=4)[0]):
        crosses = axes_titled(figure, f"{units} units").collections[0].get_offsets().astype(int)
        assert sorted(16 * row + column for column, row in crosses.tolist()) == dropped.nonzero().flatten().tolist()


def test_the_squares_are_the_values_of_the_units(microscope, network, three):
    figure = microscope.still(digit=3, rate=0.5, draw=4).figure
    for units, (values, _) in zip((128, 64), dropout_draws(network, three, 0.5, True, seed=4)[0]):
        squares = axes_titled(figure, f"{units} units").images[0].get_array()
        np.testing.assert_array_equal(squares.flatten(), values)


def test_the_bars_are_the_probabilities_of_this_draw(microscope, network, three):
    figure = microscope.still(digit=3, rate=0.5, draw=4).figure
    probabilities = dropout_draws(network, three, 0.5, True, seed=4)[1]
    heights = [bar.get_height() for bar in axes_titled(figure, "this draw").patches]
    assert heights == pytest.approx(probabilities[0].tolist())


def test_the_words_count_the_right_answers_among_200_draws(microscope, network, three):
    words = microscope.still(digit=3, rate=0.5, draw=4).words
    answers = dropout_draws(network, three, 0.5, True, seed=4)[1].argmax(dim=1)
    assert f"This draw answers {answers[0]} " in words
    assert f"Of 200 draws {(answers == 3).sum()} answer 3;" in words


def test_the_microscope_keeps_the_model_as_it_was(network, sample):
    microscope = dropout_microscope(network, sample.test)
    before = microscope.still().words
    with torch.no_grad():
        network.layers[1].weight.zero_()
    assert microscope.still().words == before


def test_a_model_in_training_mode_gives_the_same_panel_and_stays_in_it(microscope, network, sample):
    other = dropout_microscope(network.train(), sample.test)
    assert words_of(other) == words_of(microscope)
    assert all(layer.training for layer in network.modules())


def test_the_microscope_leaves_pytorchs_random_numbers_as_they_were(microscope):
    before = torch.get_rng_state()
    microscope.still()
    assert torch.equal(torch.get_rng_state(), before)


def test_the_microscope_offers_the_digits_that_occur(network, sample):
    assert choices(dropout_microscope(network, of_classes(sample.test, 3, 8)).controls["digit"]) == [3, 8]


def test_an_empty_dataset_has_nothing_for_the_microscope(network):
    with pytest.raises(ValueError, match="dataset is empty"):
        dropout_microscope(network, EMPTY)


# ---------------------------------------------------------------- train_live


def steps(data, **changes):
    settings = {"dropout": 0.5, "weight_decay": 1e-4, "train_size": 300, "seed": 0, "epochs": 1}
    return train_live(data, **{**settings, **changes})


def train(data, **settings):
    """The curve at the end."""
    *_, curve = steps(data, **settings)
    return curve


def with_more_validation_images(data):
    """2,000 validation images: those of `data` and its test images."""
    tensors = [torch.cat(pair) for pair in zip(data.valid.tensors, data.test.tensors)]
    return dataclasses.replace(data, valid=TensorDataset(*tensors))


@pytest.mark.parametrize("epochs", [1, 3])
@pytest.mark.parametrize("seed, weight_decay", [(0, 1e-4), (3, 1e-2)])
def test_without_dropout_the_weights_are_those_of_train_run(sample, monkeypatch, epochs, seed, weight_decay):
    monkeypatch.setattr(runs, "pick_device", lambda: torch.device("cpu"))
    settings = {"dropout": 0.0, "weight_decay": weight_decay, "seed": seed, "epochs": epochs}
    run = train_run(sample.with_train_size(300), progress=False, **settings)
    assert equal_weights(train(sample, train_size=300, **settings).model, run.model)


def test_random_numbers_drawn_between_the_steps_change_nothing(small):
    torch.manual_seed(1)
    for disturbed in steps(small):
        torch.rand(7)
    assert equal_weights(disturbed.model, train(small).model)


def test_two_runs_in_turn_are_like_one_after_the_other(small):
    *_, (first, second) = zip(steps(small, seed=1), steps(small, seed=2))
    assert equal_weights(first.model, train(small, seed=1).model)
    assert equal_weights(second.model, train(small, seed=2).model)


def test_another_seed_gives_other_weights(small):
    assert not equal_weights(train(small, seed=1).model, train(small, seed=2).model)


def test_no_step_touches_the_random_numbers_outside(small):
    before = torch.get_rng_state()
    for _ in steps(small, epochs=2):
        assert torch.equal(torch.get_rng_state(), before)


def test_the_curve_is_given_after_every_step(small):
    assert len(list(steps(small, epochs=2))) == 2 * 10


@pytest.mark.parametrize("size", [20, 300, 352, 3000])
def test_the_curve_goes_from_0_to_the_last_epoch_in_about_10_points_each(sample, size):
    epochs = train(sample, train_size=size, epochs=2).epochs
    assert epochs[0] == 0 and epochs[-1] == 2 and 1 in epochs
    assert epochs == sorted(set(epochs))
    points = len([epoch for epoch in epochs if 0 < epoch <= 1])
    assert min(5, -(-size // 32)) <= points <= 10


def test_each_point_has_training_and_validation_values(small):
    curve = train(small)
    assert len(curve.train) == len(curve.valid) == len(curve.epochs)


def test_the_first_point_is_measured_before_the_first_step(small):
    set_seed(4)
    fresh = evaluate(MNISTNet(), [small.valid[:]])
    assert train(small, seed=4).valid[0] == fresh


def test_the_points_are_measured_with_dropout_off_and_training_goes_on_with_it(small):
    curve = train(small, dropout=0.9)
    assert curve.train[-1] == evaluate(curve.model, [small.train[:]])
    assert curve.valid[-1] == evaluate(curve.model, [small.valid[:]])
    assert all(layer.training for layer in curve.model.modules())


def test_the_points_are_measured_on_the_first_1000_images(sample):
    data = with_more_validation_images(sample)
    curve = train(data, train_size=1500)
    assert curve.train[-1] == evaluate(curve.model, [data.train[:1000]])
    assert curve.valid[-1] == evaluate(curve.model, [data.valid[:1000]])


def test_more_images_than_there_are_are_refused(small):
    with pytest.raises(ValueError, match="from 1 to 300"):
        train(small, train_size=301)


# ---------------------------------------------------------------- training_lab


@contextmanager
def short_runs():
    """Within a `with` block a lab's runs take 1 epoch, and it redraws and lets others have their turn at each step."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(widgets, "train_live", partial(train_live, epochs=1))
        patch.setattr(widgets, "time", SimpleNamespace(perf_counter=itertools.count(1).__next__))
        yield


@pytest.fixture(scope="module")
def few(sample):
    """160 training images, which are 5 steps, and 2,000 validation images."""
    return with_more_validation_images(sample.with_train_size(160))


@pytest.fixture
def lab(few):
    """A lab that has not trained yet."""
    with short_runs():
        yield training_lab(few)


@pytest.fixture
def curve():
    """A run of 10 epochs as they should be."""
    settings = {"dropout": 0.2, "weight_decay": 0.0, "train_size": 300, "seed": 0}
    metrics = [Metrics(2 * 0.7**epoch, 1 - 0.5 * 0.7**epoch) for epoch in range(11)]
    worse = [Metrics(each.loss + 0.2, each.accuracy - 0.05) for each in metrics]
    return Curve(settings, list(range(11)), metrics, worse)


def play(coroutine):
    """Run to the end; fails when that takes a minute."""
    return asyncio.run(asyncio.wait_for(coroutine, 60))


async def under_way(lab):
    """Return when the training has shown itself for the first time."""
    while "under way" not in lab.text.value:
        await asyncio.sleep(0)


async def end_of(lab):
    """Return when no training is under way."""
    while lab.running:
        await asyncio.sleep(0)


def test_the_lab_begins_without_a_run(lab):
    assert lab.runs == [] and "No run yet" in words_of(lab)


@pytest.fixture(scope="module")
def finished(few):
    """A lab after one run, and what could be seen meanwhile. All tests share it."""
    pictures, before = set(), torch.get_rng_state()
    with short_runs():
        lab = training_lab(few)
        lab.picture.observe(lambda change: pictures.add(change.new), "value")
        play(lab.train(dropout=0.5, weight_decay=1e-3, seed=2))
    return SimpleNamespace(lab=lab, pictures=pictures, random_numbers=(before, torch.get_rng_state()))


def test_a_finished_run_is_kept_with_its_settings(finished):
    settings = {"dropout": 0.5, "weight_decay": 1e-3, "train_size": 160, "seed": 2}
    assert [run.settings for run in finished.lab.runs] == [settings] and finished.lab.values == settings


def test_a_finished_run_stands_in_the_words(finished):
    expected = "Run 1: dropout 0.5, weight decay 0.001, 160 images, seed 2, finished at epoch 1.0"
    assert words_of(finished.lab).startswith(expected)


def test_a_run_with_its_pauses_has_the_weights_of_one_without(finished, few):
    without = train(few, dropout=0.5, weight_decay=1e-3, train_size=160, seed=2)
    assert equal_weights(finished.lab.runs[0].model, without.model)


def test_the_table_holds_loss_and_accuracy_on_all_validation_images(finished, few):
    model, table = finished.lab.runs[0].model, finished.lab.table.value
    on_all, on_half = [evaluate(model, [few.valid[:size]]) for size in (2000, 1000)]
    assert f"<td>{on_all.loss:.3f}</td>" in table and f"<td>{on_all.accuracy:.2%}</td>" in table
    assert f"<td>{on_half.accuracy:.2%}</td>" not in table


def test_the_picture_grows_while_the_network_trains(finished):
    assert len(finished.pictures) >= 5
    assert {pixels_of(picture).shape for picture in finished.pictures} == {(310, 1050, 3)}


def test_a_run_leaves_pytorchs_random_numbers_as_they_were(finished):
    assert torch.equal(*finished.random_numbers)


def test_after_a_run_only_the_start_button_can_be_pressed(finished):
    assert finished.lab.stop_button.disabled and not finished.lab.start_button.disabled


def test_a_run_takes_10_epochs(sample):
    lab = training_lab(sample.with_train_size(32))
    play(lab.train())
    assert lab.runs[0].epochs == list(range(11))


def test_the_numbers_of_images_to_choose_from_are_those_there_are(sample):
    assert choices(training_lab(sample).controls["train_size"]) == [500, 1000, 2000, 3000]
    assert choices(training_lab(sample.with_train_size(700)).controls["train_size"]) == [500, 700]
    assert choices(training_lab(sample.with_train_size(7)).controls["train_size"]) == [7]


def test_each_run_has_a_row_in_the_table_and_a_number(lab):
    play(lab.train(seed=1))
    play(lab.train(seed=2))
    assert [run.number for run in lab.runs] == [1, 2]
    assert lab.table.value.count("<tr") == 1 + 2


def test_only_the_last_runs_are_kept(lab, monkeypatch):
    monkeypatch.setattr(TrainingLab, "KEPT", 1)
    play(lab.train(seed=1))
    play(lab.train(seed=2))
    assert [run.settings["seed"] for run in lab.runs] == [2]
    assert lab.table.value.count("<tr") == 1 + 1


def test_earlier_runs_are_faint_and_the_last_is_not(lab, curve):
    lab.runs = [curve, curve]
    for ax in lab.still().figure.axes:
        assert [line.get_alpha() for line in ax.lines] == [0.3, 0.3, None, None]


def test_the_lines_are_the_runs_numbers_over_the_epochs(lab, curve):
    lab.runs = [curve]
    for ax, quantity in zip(lab.still().figure.axes, ("loss", "accuracy")):
        assert [line.get_xdata().tolist() for line in ax.lines] == [curve.epochs] * 2
        assert [list(line.get_ydata()) for line in ax.lines] == [
            [getattr(point, quantity) for point in part] for part in (curve.train, curve.valid)
        ]


def test_others_have_their_turn_while_the_network_trains(lab):
    async def count_turns():
        lab.start()
        turns = 0
        while lab.running:
            turns += 1
            await asyncio.sleep(0)
        return turns

    assert play(count_turns()) >= 5


def test_a_slider_moved_during_a_run_starts_again_with_the_new_setting(lab):
    async def move_a_slider():
        lab.start_button.click()
        await under_way(lab)
        moved(lab, seed=1)
        await end_of(lab)

    play(move_a_slider())
    assert [run.settings["seed"] for run in lab.runs] == [1]
    assert lab.runs[0].epochs[-1] == 1 and not lab.runs[0].stopped


def test_a_slider_moved_during_train_does_not_end_the_waiting(lab):
    async def move_a_slider():
        waiting = asyncio.create_task(lab.train())
        await under_way(lab)
        moved(lab, seed=1)
        await waiting

    play(move_a_slider())
    assert [run.settings["seed"] for run in lab.runs] == [1]


def test_a_slider_moved_without_a_run_starts_none(lab):
    async def move_a_slider():
        moved(lab, seed=1)
        return lab.running

    assert not play(move_a_slider())


def test_start_during_a_run_begins_anew(lab):
    async def start_twice():
        lab.start_button.click()
        await under_way(lab)
        lab.start_button.click()
        await end_of(lab)

    play(start_twice())
    assert [(run.epochs[-1], run.stopped) for run in lab.runs] == [(1, False)]


@pytest.fixture(scope="module")
def stopped(few):
    """A lab whose only run was stopped. All tests share it."""

    async def stop(lab):
        lab.start_button.click()
        await under_way(lab)
        lab.stop_button.click()
        await end_of(lab)

    with short_runs():
        lab = training_lab(few)
        play(stop(lab))
    return lab


def test_a_stopped_run_is_kept_and_called_stopped(stopped):
    (run,) = stopped.runs
    assert run.stopped and run.epochs[-1] < 1
    assert f"stopped at epoch {run.epochs[-1]:.1f}" in words_of(stopped)
    assert f"<td>{run.epochs[-1]:.1f}</td>" in stopped.table.value


def test_after_a_stop_only_the_start_button_can_be_pressed(stopped):
    assert stopped.stop_button.disabled and not stopped.start_button.disabled


def test_a_slider_moved_right_after_a_stop_starts_no_run(lab):
    async def stop_and_move():
        lab.start()
        await under_way(lab)
        lab.stop()
        moved(lab, seed=1)
        await end_of(lab)

    play(stop_and_move())
    assert [run.settings["seed"] for run in lab.runs] == [0]


def test_a_run_stopped_before_its_first_step_is_not_kept(lab):
    async def restart_and_stop():
        lab.start()
        await under_way(lab)
        lab.start()
        lab.stop()
        await end_of(lab)

    play(restart_and_stop())
    assert lab.runs == []


def test_stop_pressed_in_another_thread_ends_the_run(few):
    async def start_and_stop():
        lab = training_lab(few)
        lab.start_button.click()
        await under_way(lab)
        in_another_thread(lab.stop_button.click)
        await asyncio.sleep(0.05)
        return lab

    with short_runs():
        lab = play(start_and_stop())
    assert [run.stopped for run in lab.runs] == [True]
    assert "stopped at epoch" in lab.text.value and not lab.running and lab.stop_button.disabled


def test_stop_without_a_run_does_nothing(lab):
    before = state_of(lab)
    lab.stop()
    assert lab.runs == [] and state_of(lab) == before


def test_the_stop_button_can_be_pressed_once_a_run_is_under_way(lab):
    async def look():
        before = lab.stop_button.disabled
        lab.start_button.click()
        await under_way(lab)
        return before, lab.stop_button.disabled

    assert play(look()) == (True, False)


def test_the_stop_button_can_be_pressed_in_the_run_that_a_moved_slider_started(lab):
    async def look():
        lab.start_button.click()
        await under_way(lab)
        moved(lab, seed=1)
        while "seed 1, under way" not in lab.text.value:
            await asyncio.sleep(0)
        return lab.stop_button.disabled

    assert not play(look())


def test_start_outside_a_notebook_says_what_is_missing(lab):
    lab.start_button.click()
    assert "no event loop is running: training live needs a notebook" in problem_of(lab)
    assert not lab.running and lab.stop_button.disabled


def test_an_error_during_a_run_is_shown_and_ends_it(lab, monkeypatch):
    def fail(*_):
        raise MemoryError("no <room> left")

    monkeypatch.setattr(training, "train_step", fail)
    with pytest.raises(MemoryError):  # a broken cell must not look whole
        play(lab.train())
    assert "MemoryError: no <room> left" in problem_of(lab) and "<room>" not in lab.problem.value
    assert lab.runs == [] and not lab.running and lab.stop_button.disabled


def test_an_error_before_the_first_step_is_shown_and_ends_the_run(lab, monkeypatch):
    monkeypatch.setattr(widgets, "LivePicture", None)
    with pytest.raises(TypeError):
        play(lab.train())
    assert problem_of(lab) != "" and lab.stop_button.disabled


def test_a_run_can_follow_one_that_failed(lab, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(training, "train_step", None)
        with pytest.raises(TypeError):
            play(lab.train())
    assert problem_of(lab) != ""
    play(lab.train())
    assert len(lab.runs) == 1 and problem_of(lab) == ""


def test_two_labs_train_at_the_same_time_as_if_they_were_alone(lab, few):
    first, second = lab, training_lab(few)

    async def train_both():
        await asyncio.gather(first.train(seed=1), second.train(seed=2))

    play(train_both())
    assert equal_weights(first.runs[0].model, train(few, dropout=0.2, train_size=160, seed=1).model)
    assert equal_weights(second.runs[0].model, train(few, dropout=0.2, train_size=160, seed=2).model)


def test_refused_settings_leave_the_controls_as_they_were(lab):
    before = lab.values
    with pytest.raises(ValueError):
        play(lab.train(dropout=0.5, layers=3))
    assert lab.values == before


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"layers": 3}, "no control 'layers', only dropout, weight_decay, train_size, seed"),
        ({"dropout": 1.0}, "dropout must be from 0.* to 0.9, got 1.0"),
        ({"train_size": 161}, "train_size must be one of 160, got 161"),
    ],
)
def test_settings_there_are_not_are_refused(lab, settings, message):
    with pytest.raises(ValueError, match=message):
        play(lab.train(**settings))
    assert not lab.running


# ---------------------------------------------------------------- LivePicture

SIZE = (10.5, 3.1)


def beginning(curve, points):
    """The curve as it was at its first points."""
    return dataclasses.replace(
        curve, epochs=curve.epochs[:points], train=curve.train[:points], valid=curve.valid[:points]
    )


def inked(png, color):
    """Where the picture has this very colour."""
    return (pixels_of(png) == np.round(255 * np.array(to_rgb(color)))).all(axis=2)


def test_the_live_picture_shows_the_curve_as_it_is_now_and_nothing_older(curve):
    picture = LivePicture(SIZE, [])
    early, late, again = [picture.png(each) for each in (beginning(curve, 3), curve, beginning(curve, 3))]
    assert early != late and early == again


def test_the_live_picture_is_the_one_of_the_finished_run_but_for_the_runs_number(lab, curve):
    lab.runs = [curve]
    lab.show()
    live, finished = LivePicture(lab.size, []).png(curve), lab.picture.value
    assert (pixels_of(live) == pixels_of(finished)).all(axis=2).mean() > 0.99
    for color in (COLORS["train"], COLORS["valid"]):
        assert inked(finished, color).sum() > 500
        assert inked(live, color).sum() == pytest.approx(inked(finished, color).sum(), rel=0.1)


def test_the_axes_of_the_live_picture_stand_where_the_panels_do(lab):
    live = LivePicture(lab.size, []).lines[0].axes.figure
    np.testing.assert_allclose(places_of(live), places_of(lab.render(lab.places, **lab.values)[0]), atol=0.01)


def test_the_live_picture_shows_the_earlier_runs_behind_the_curve(curve):
    alone, behind = [LivePicture(SIZE, earlier).png(beginning(curve, 2)) for earlier in ([], [curve])]
    assert (pixels_of(alone) != pixels_of(behind)).any(axis=2).sum() > 500


# ---------------------------------------------------------------- curve_reader


@pytest.fixture(scope="module")
def weights():
    """Weights of 128 units after each of 2 epochs; those of the second are larger."""
    return list(torch.randn(2, 128, 784, generator=torch.Generator().manual_seed(0)) * torch.tensor([[[1.0]], [[3.0]]]))


@pytest.fixture(scope="module")
def reader(trained, weights):
    """All tests share it: they look at its stills and move nothing."""
    return curve_reader(trained.history, weights)


def images_of(still):
    """The picture of the weights: its matplotlib image."""
    return axes_titled(still.figure, "weights of").images[0]


@pytest.mark.parametrize("epoch", [1, 2])
def test_the_words_of_an_epoch_are_the_historys_numbers(reader, trained, weights, epoch):
    words, row = reader.still(epoch=epoch).words, trained.history.to_frame().loc[epoch]
    assert f"Epoch {epoch} of 2: training loss {row.train_loss:.3f}, validation loss {row.valid_loss:.3f}" in words
    assert f"validation accuracy {row.valid_accuracy:.2%}" in words
    assert f"{weights[epoch - 1].abs().mean():.4f}." in words


@pytest.mark.parametrize("epoch", [1, 2])
def test_a_line_stands_at_the_epoch_in_both_curves(reader, epoch):
    for name in ("loss", "accuracy"):
        (ax,) = [ax for ax in reader.still(epoch=epoch).figure.axes if ax.get_ylabel() == name]
        assert list(ax.lines[-1].get_xdata()) == [epoch, epoch]


@pytest.mark.parametrize("epoch", [1, 2])
def test_the_images_are_the_weights_of_the_first_24_units_in_rows_of_6(reader, weights, epoch):
    picture = images_of(reader.still(epoch=epoch)).get_array()
    assert picture.shape == (4 * 30, 6 * 30)
    for unit in range(24):
        top, left = 30 * (unit // 6) + 1, 30 * (unit % 6) + 1
        np.testing.assert_array_equal(
            picture[top : top + 28, left : left + 28], weights[epoch - 1][unit].reshape(28, 28)
        )


def test_a_colour_means_the_same_weight_at_every_epoch(reader):
    (low, high), later = [images_of(reader.still(epoch=epoch)).get_clim() for epoch in (1, 2)]
    assert (low, high) == later and low == -high < 0


@pytest.mark.parametrize("units, shape", [(1, (1, 1)), (5, (1, 5)), (6, (1, 6)), (7, (2, 6))])
def test_fewer_than_24_units_have_as_many_images(trained, weights, units, shape):
    still = curve_reader(trained.history, [each[:units] for each in weights]).still()
    assert images_of(still).get_array().shape == (30 * shape[0], 30 * shape[1])
    assert axes_titled(still.figure, f"weights of {units} units")


def test_the_play_button_and_the_slider_have_the_same_range(reader):
    play_button, slider = reader.children[0].children
    assert isinstance(play_button, Play) and slider is reader.controls["epoch"]
    assert (play_button.min, play_button.max) == (slider.min, slider.max) == (1, 2)


def test_later_changes_of_the_weights_are_not_seen(trained, weights):
    weights = [each.clone() for each in weights]
    reader = curve_reader(trained.history, weights)
    before = reader.still(epoch=2).words
    weights[1].zero_()
    assert reader.still(epoch=2).words == before


def test_the_weights_may_be_the_parameters_themselves(trained):
    weight = trained.model.layers[1].weight
    assert "Epoch 1 of 2" in words_of(curve_reader(trained.history, [weight, weight]))


def test_weights_for_other_epochs_than_the_historys_are_refused_with_both_numbers(trained, weights):
    with pytest.raises(ValueError, match="1 tensors and 2 epochs"):
        curve_reader(trained.history, weights[:1])


def test_a_history_without_an_epoch_is_refused():
    with pytest.raises(ValueError, match="at least one epoch"):
        curve_reader(History(), [])


# ---------------------------------------------------------------- prediction_explorer


@pytest.fixture(scope="module")
def sure(predictions):
    """The predictions of a network that is surer of itself: some are above every threshold but 1."""
    return dataclasses.replace(predictions, logits=8 * predictions.logits)


@pytest.fixture(scope="module")
def explorer(sure):
    """All tests share it: they look at its stills and move nothing."""
    return prediction_explorer(sure)


def mask_of(predictions, threshold, kind):
    """Which predictions are of the kind, computed from the logits."""
    confidence, predicted = predictions.logits.softmax(dim=1).max(dim=1)
    answered, correct = confidence >= threshold, predicted == predictions.labels
    return {"wrong": answered & ~correct, "right": answered & correct, "refused": ~answered}[kind]


def gallery_of(still):
    """The axes of the gallery that show an image."""
    return [ax for ax in still.figure.axes if ax.images]


@pytest.mark.parametrize("threshold", [0.0, 0.5, 0.9, 1.0])
def test_the_words_count_the_answers_and_the_wrong_ones(explorer, sure, threshold):
    right, wrong = [int(mask_of(sure, threshold, kind).sum()) for kind in ("right", "wrong")]
    words, answered = explorer.still(threshold=threshold).words, right + wrong
    assert f"{answered:,} of 1,000 images answered ({answered / 1000:.1%}), {wrong} of them wrong" in words
    assert ("of the answers)" in words) == (answered > 0)
    assert answered == 0 or f"({wrong / answered:.2%} of the answers)" in words


@pytest.mark.parametrize("kind", ["wrong", "right", "refused"])
@pytest.mark.parametrize("true, predicted", [("any", "any"), (3, "any"), ("any", 8), (4, 9)])
def test_the_words_count_the_images_that_were_asked_for(explorer, sure, kind, true, predicted):
    chosen = mask_of(sure, 0.5, kind)
    if true != "any":
        chosen = chosen & (sure.labels == true)
    if predicted != "any":
        chosen = chosen & (sure.logits.argmax(dim=1) == predicted)
    still, count = explorer.still(threshold=0.5, kind=kind, true=true, predicted=predicted), int(chosen.sum())
    assert f"{kind}: {count} images, {min(count, 10)} shown" in still.words
    assert len(gallery_of(still)) == min(count, 10)


@pytest.mark.parametrize("kind", ["wrong", "right", "refused"])
def test_the_10_nearest_to_the_threshold_are_shown_the_nearest_first(explorer, sure, kind):
    shown = gallery_of(explorer.still(threshold=0.5, kind=kind))
    expected = sure[mask_of(sure, 0.5, kind)]
    expected = expected[(expected.confidence - 0.5).abs().argsort()[:10]]
    for ax, image in zip(shown, expected.images, strict=True):
        np.testing.assert_array_equal(ax.images[0].get_array(), image[0])


def test_wrong_answers_are_titled_with_a_cross_and_both_digits(explorer):
    titles = [ax.get_title() for ax in gallery_of(explorer.still(threshold=0.0, true=4, predicted=9, kind="wrong"))]
    assert set(titles) == {"✗ T: 4  P: 9"}


def test_right_answers_are_titled_without_a_cross(explorer):
    titles = [ax.get_title() for ax in gallery_of(explorer.still(threshold=0.0, true=7, kind="right"))]
    assert set(titles) == {"T: 7  P: 7"}


def test_where_nothing_is_found_the_picture_says_so(explorer):
    still = explorer.still(true=3, predicted=3, kind="wrong")
    texts = [text.get_text() for text in still.figure.findobj(Text)]
    assert "no such image" in texts and "0 images, 0 shown" in still.words
    assert gallery_of(still) == [] and still._repr_png_()


def test_where_something_is_found_the_picture_does_not_say_otherwise(explorer):
    texts = [text.get_text() for text in explorer.still(threshold=0.0).figure.findobj(Text)]
    assert "no such image" not in texts


def test_the_curves_are_the_shares_of_answers_and_of_wrong_ones(explorer, sure):
    figure = explorer.still().figure
    answered, wrong = [axes_titled(figure, title).lines[0] for title in ("answered", "wrong, of the answered")]
    np.testing.assert_allclose(answered.get_xdata(), np.arange(101) / 100)
    for percent in (0, 50, 90, 100):
        number = int((sure.confidence >= percent / 100).sum())
        errors = int(mask_of(sure, percent / 100, "wrong").sum())
        assert answered.get_ydata()[percent] == pytest.approx(number / 1000)
        assert wrong.get_ydata()[percent] == pytest.approx(errors / number if number else np.nan, nan_ok=True)


def test_no_predictions_at_all_cannot_be_explored(sure):
    with pytest.raises(ValueError, match="no predictions to explore"):
        prediction_explorer(sure[:0])


# ---------------------------------------------------------------- what other modules build on


@pytest.mark.parametrize("points", [1, 2, 10])
def test_a_curve_has_as_many_points_an_epoch_as_asked_for(small, points):
    settings = {"dropout": 0.5, "weight_decay": 1e-4, "train_size": 300, "seed": 0, "epochs": 2}
    *_, curve = train_live(small, **settings, points=points)
    steps_of_an_epoch = 10
    assert curve.epochs == [step / steps_of_an_epoch for step in range(0, 21, steps_of_an_epoch // points)]
    assert len(curve.train) == len(curve.valid) == 2 * points + 1
    assert equal_weights(curve.model, train(small, epochs=2).model), "measuring changed the training"


@pytest.mark.parametrize("dropout, seed", [(0.0, 0), (0.5, 0), (0.2, 3)])
def test_a_run_by_steps_is_to_the_last_bit_the_sweeps(sample, dropout, seed):
    rows = train_setting(Setting(dropout, 1e-3, train_size=96, epochs=2, seed=seed), sample)
    data = sample.with_split(seed)
    *_, curve = train_live(data, dropout=dropout, weight_decay=1e-3, train_size=96, seed=seed, epochs=2, points=1)
    layers = [parameter for parameter in curve.model.parameters() if parameter.ndim == 2]
    for number, weights in enumerate(layers, start=1):
        assert weights.norm().item() == rows[f"weight_norm_{number}"].iloc[-1]
    assert evaluate(curve.model, make_loader(data.valid, 1024)).loss == rows["valid_loss"].iloc[-1]


@pytest.fixture
def switch():
    """A panel with a button that stays pressed."""
    return Panel({"on": ToggleButton(False)}, lambda figure, on: "on" if on else "off", (2, 1))


def test_a_still_of_a_button_pressed_or_not(switch):
    assert [switch.still(on=on).words for on in (True, False)] == ["on", "off"]
    assert switch.text.value == "off"


@pytest.mark.parametrize("value", ["yes", None, 0, 1])
def test_a_button_is_pressed_or_not_and_nothing_else(switch, value):
    with pytest.raises(ValueError, match=f"on must be True or False, got {value!r}"):
        switch.still(on=value)


class Counter(LivePanel):
    """The smallest live panel: it counts to the number of its slider; 13 is an error."""

    def __init__(self):
        self.count = 0
        super().__init__({"number": IntSlider(5, 0, 20)}, self.say, (2, 1), "Count")

    def say(self, figure, number):
        return f"{self.count} of {number}"

    def pieces(self):
        for self.count in range(1, self.values["number"] + 1):
            if self.count == 13:
                raise ArithmeticError("no 13")
            self.show()
            yield


@pytest.fixture
def counter(monkeypatch):
    """A panel that lets others have their turn after each number."""
    monkeypatch.setattr(widgets, "time", SimpleNamespace(perf_counter=itertools.count(1).__next__))
    return Counter()


async def counted_to(counter, number):
    while counter.count < number:
        await asyncio.sleep(0)


def test_a_live_panel_has_its_buttons_beside_its_controls(counter):
    assert counter.start_button.description == "Count"
    assert counter.children[0].children == (counter.controls["number"], counter.start_button, counter.stop_button)
    assert counter.stop_button.disabled and not counter.running


def test_a_live_panel_works_through_its_pieces(counter):
    play(counter.train(number=7))
    assert words_of(counter) == "7 of 7" and problem_of(counter) == ""
    assert counter.stop_button.disabled and not counter.running


def test_a_live_panel_without_any_piece_ends_at_once(counter):
    play(counter.train(number=0))
    assert counter.count == 0 and counter.stop_button.disabled and not counter.running


def test_a_live_panel_stops_in_the_middle(counter):
    async def stop():
        counter.start_button.click()
        await counted_to(counter, 2)
        before = counter.running, counter.stop_button.disabled
        counter.stop_button.click()
        await asyncio.sleep(0.05)
        return before

    assert play(stop()) == (True, False)
    assert 2 <= counter.count < 5 and not counter.running and counter.stop_button.disabled


def test_a_live_panel_started_again_begins_anew(counter):
    seen = []

    async def start_twice():
        counter.start_button.click()
        await counted_to(counter, 3)
        counter.text.observe(lambda change: seen.append(change.new), "value")
        counter.start_button.click()
        await end_of(counter)

    play(start_twice())
    assert seen == [f"{count} of 5" for count in range(1, 6)]


def test_an_error_in_a_live_panel_is_shown_and_goes_with_the_next_start(counter):
    with pytest.raises(ArithmeticError, match="no 13"):
        play(counter.train(number=20))
    assert "ArithmeticError: no 13" in problem_of(counter) and counter.stop_button.disabled
    play(counter.train(number=3))
    assert problem_of(counter) == "" and words_of(counter) == "3 of 3"
