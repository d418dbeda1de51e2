"""What all panels are built from: controls, picture and words; stills; trainings that run live; quick pictures."""

import asyncio
import re
import threading

import numpy as np
import pytest
from IPython.core.formatters import DisplayFormatter
from ipywidgets import Dropdown, IntSlider, ToggleButton

from mnist_helpers.widgets.panel import LivePanel, LivePicture, Panel
from panels import (
    at_each_step,
    end_of,
    in_another_thread,
    moved,
    pixels_of,
    places_of,
    play,
    problem_of,
    state_of,
    words_of,
)


def draw_number(figure, number, colour, bold):
    """A number in a colour; 13 cannot be drawn."""
    if number == 13:
        raise ArithmeticError("no <ink> for 13")
    figure.text(0.5, 0.5, number, color=colour, weight="bold" if bold else "normal")
    return f"{number} is {'very ' * bold}<{colour}> & small"


def number_panel(number=1):
    """A small panel: a slider, a list and a button that stays pressed."""
    controls = {
        "number": IntSlider(number, 0, 20),
        "colour": Dropdown(options=[("ruby", "red"), ("sky", "blue")]),
        "bold": ToggleButton(False),
    }
    return Panel(controls, draw_number, (3, 2))


@pytest.fixture
def panel():
    return number_panel()


@pytest.mark.parametrize("name, value", [("number", 7), ("colour", "blue"), ("bold", True)])
def test_picture_and_words_follow_a_control_there_and_back(panel, name, value):
    values, _, picture, words = before = state_of(panel)
    moved(panel, **{name: value})
    assert panel.values == {**values, name: value}
    assert panel.picture.value != picture and panel.text.value != words
    assert state_of(moved(panel, **{name: values[name]})) == before


def test_controls_problem_picture_and_words_stand_below_each_other(panel):
    bar, *others = panel.children
    assert list(bar.children) == list(panel.controls.values())
    assert others == [panel.problem, panel.picture, panel.text]
    assert panel.text.value == "1 is &lt;red&gt; &amp; small"
    assert "appear when this cell is run" in repr(panel)


def test_an_error_is_raised_in_making_a_panel_or_a_still_and_shown_with_its_traceback_folded_after_a_move(panel):
    before = state_of(panel)
    for action in (lambda: number_panel(13), lambda: panel.still(number=13)):
        with pytest.raises(ArithmeticError, match="for 13"):
            action()
    assert state_of(panel) == before
    problem = moved(panel, number=13).problem.value
    folded = re.search("<details>(.*)</details>", problem, re.DOTALL)[1]
    assert "Traceback" in folded and "draw_number" in folded
    assert problem.count("ArithmeticError: no &lt;ink&gt; for 13") == 2 and "<ink>" not in problem


def test_controls_moved_in_another_thread_are_answered_once_in_the_panels_own():
    threads = []

    def draw(figure, place):
        threads.append(threading.get_ident())
        return f"at {place}, {1 / (60 - place)}"

    async def move_often():
        slider = IntSlider(0, 0, 100)
        panel = Panel({"place": slider}, draw, (2, 1))
        threads.clear()
        in_another_thread(lambda: [setattr(slider, "value", place) for place in range(1, 51)])
        assert words_of(panel).startswith("at 0"), "drawn in the other thread"
        await asyncio.sleep(0.01)
        assert threads == [threading.get_ident()] and words_of(panel).startswith("at 50")
        in_another_thread(lambda: setattr(slider, "value", 60))
        await asyncio.sleep(0.01)
        assert "ZeroDivisionError" in problem_of(panel)

    play(move_often())


# ---------------------------------------------------------------- stills


def test_a_notebook_stores_the_stills_picture_and_its_words(panel):
    before = state_of(moved(panel, colour="blue"))
    stored, _ = DisplayFormatter().format(panel.still(number=7))
    assert stored["text/plain"] == "7 is <blue> & small"
    assert pixels_of(stored["image/png"]).shape == (200, 300, 3)
    assert panel.still(bold=True).words == "1 is very <blue> & small"
    assert state_of(panel) == before


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"size": 3}, "'size', only number, colour, bold"),
        ({"number": -1}, "number must be from 0 to 20, got -1"),
        ({"number": 21}, "number must be from 0 to 20, got 21"),
        ({"number": 2, "colour": "sky"}, "colour must be one of red, blue, got 'sky'"),
        *[({"bold": value}, f"bold must be True or False, got {value!r}") for value in ("yes", None, 0, 1)],
    ],
)
def test_a_still_of_what_a_control_cannot_be_is_refused(panel, changes, message):
    with pytest.raises(ValueError, match=message):
        panel.still(**changes)


# ---------------------------------------------------------------- LivePanel


class Counter(LivePanel):
    """The smallest live panel: it counts to the number of its slider."""

    def __init__(self):
        self.count = 0
        super().__init__({"number": IntSlider(5, 0, 20)}, self.say, (2, 1), "Count")

    def say(self, figure, number):
        return f"{self.count} of {number}"

    def pieces(self):
        for count in range(1, self.values["number"] + 1):
            self.count = count
            self.show()
            yield


@pytest.fixture
def counter():
    """A panel that lets others have their turn after each number."""
    with at_each_step():
        yield Counter()


async def counted_to(counter, number):
    while counter.count < number:
        await asyncio.sleep(0)


@pytest.mark.parametrize("number", [7, 0])
def test_a_live_panel_works_through_its_pieces(counter, number):
    assert counter.children[0].children == (counter.controls["number"], counter.start_button, counter.stop_button)
    assert counter.start_button.description == "Count"
    assert counter.stop_button.disabled and not counter.running
    play(counter.train(number=number))
    assert words_of(counter) == f"{number} of {number}" and problem_of(counter) == ""
    assert counter.stop_button.disabled and not counter.running


@pytest.mark.parametrize("where", [lambda click: click(), in_another_thread])
def test_a_live_panel_stops_in_the_middle_wherever_the_click_comes_from(counter, where):
    async def stop():
        counter.loop = asyncio.get_running_loop()  # as if it had been made in a notebook
        where(counter.start_button.click)
        await counted_to(counter, 2)
        assert counter.running and not counter.stop_button.disabled
        where(counter.stop_button.click)
        assert counter.running == (where is in_another_thread), "answered in the other thread"
        await asyncio.sleep(0.05)

    play(stop())
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


# ---------------------------------------------------------------- LivePicture


def draw_line(figure, values=()):
    ax = figure.subplots()
    ax.set(xlim=(0, 3), ylim=(0, 3), title="a line")
    return {"line": ax.plot(range(len(values)), values, linewidth=4)[0]}


def test_a_live_picture_is_the_one_of_a_panel_and_shows_nothing_older():
    live, panel = LivePicture((3, 2), draw_line), Panel({}, lambda figure: str(draw_line(figure, [1, 2, 1])), (3, 2))
    pictures = []
    for values in ([1, 2, 1], [2, 1], [1, 2, 1]):
        live.artists["line"].set_data(range(len(values)), values)
        pictures.append(live.png())
    assert pictures[0] != pictures[1] and pictures[0] == pictures[2]
    differing = (pixels_of(pictures[0]) != pixels_of(panel.picture.value)).any(axis=2)
    assert differing.mean() < 0.005
    figure, _ = panel.render(panel.places)
    np.testing.assert_allclose(places_of(live.artists["line"].axes.figure), places_of(figure), atol=0.01)
