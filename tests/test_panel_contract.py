"""What each of the twelve panels owes its readers, whatever it shows."""

import asyncio
import copy
import dataclasses
import threading
from functools import partial
from types import SimpleNamespace

import joblib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from panels import (
    EMPTY,
    choices,
    drawings_once,
    in_another_thread,
    moved,
    pixels_of,
    places_of,
    play,
    problem_of,
    random_states,
    state_of,
    words_of,
)
from small_ledger import made_ledger
from torch.utils.data import TensorDataset

from mnist_helpers import training
from mnist_helpers.labs.own_digits import load_drawings
from mnist_helpers.training import History, flushes_denormals
from mnist_helpers.widgets import panel as framework
from mnist_helpers.widgets.clinic import change_explorer, doubt_meter, flip_explorer, repair_lab
from mnist_helpers.widgets.images import digit_browser, prediction_explorer
from mnist_helpers.widgets.ledger import guess, ledger_explorer
from mnist_helpers.widgets.network import curve_reader, dropout_microscope
from mnist_helpers.widgets.pad import drawing_pad
from mnist_helpers.widgets.training import training_lab

# Each is made at values from which every move can be seen.
MAKERS = {
    "digit_browser": lambda given: moved(digit_browser(given.data.test), position=5),
    "prediction_explorer": lambda given: prediction_explorer(given.predictions),
    "dropout_microscope": lambda given: dropout_microscope(given.model, given.data.test),
    "curve_reader": lambda given: curve_reader(given.history, given.weights),
    "training_lab": lambda given: moved(training_lab(given.more), train_size=500),
    "guess": lambda given: guess("How much?", given.measured, -3, 3),
    "ledger_explorer": lambda given: ledger_explorer(given.ledger, given.data),
    "drawing_pad": lambda given: moved(drawing_pad(given.model), example=list(load_drawings())[3]),
    "doubt_meter": lambda given: doubt_meter(given.model, given.images),
    "change_explorer": lambda given: change_explorer(given.model, given.data.test),
    "repair_lab": lambda given: repair_lab(given.data),
    "flip_explorer": lambda given: flip_explorer(given.model, given.data.test),
}
LABS = ["training_lab", "ledger_explorer", "repair_lab"]
THAT_TELL = [name for name in MAKERS if name != "training_lab"]  # which shows its runs, and has none yet
OF_A_NETWORK = ["dropout_microscope", "curve_reader", "drawing_pad", "doubt_meter", "change_explorer", "flip_explorer"]


@pytest.fixture(scope="module", autouse=True)
def quick_drawings():
    with drawings_once():
        yield


@pytest.fixture(scope="module", autouse=True)
def two_threads():
    """PyTorch seems to have another number of threads than a training sets, so that one that stays would be seen. In
    truth it has one: on a busy machine two wait for each other.
    """
    numbers = [2]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "set_num_threads", numbers.append)
        patch.setattr(torch, "get_num_threads", lambda: numbers[-1])
        yield


@pytest.fixture(scope="module")
def given(sample, trained, predictions):
    """What the panels are made of, as little of it as they need."""
    parts = {"valid": TensorDataset(*sample.valid[:100]), "test": TensorDataset(*sample.test[:100])}
    random = torch.Generator().manual_seed(0)
    return SimpleNamespace(
        data=dataclasses.replace(sample.with_train_size(96), **parts),
        more=dataclasses.replace(sample.with_train_size(501), **parts),
        model=copy.deepcopy(trained.model).cpu().eval(),
        history=trained.history,
        weights=[torch.randn(128, 784, generator=random) for _ in trained.history.to_frame().index],
        predictions=dataclasses.replace(predictions, logits=8 * predictions.logits),  # some are above every threshold
        measured=pd.Series([0.31, 0.12, 0.27]),
        ledger=made_ledger(
            {"train_size": 96, "epochs": 2},
            {"train_size": 96, "epochs": 2, "dropout": 0.5},
            {"train_size": 64, "epochs": 2, "weight_decay": 0.0, "seeds": 1},
        ),
        images={"a digit": sample.test.tensors[0][0], "another": sample.test.tensors[0][1]},
    )


def surroundings():
    """All that a panel could change around itself."""
    return {
        "figures": plt.get_fignums(),
        "matplotlib": plt.rcParams.copy(),
        "random numbers": random_states(),
        "threads": torch.get_num_threads(),
        "denormals": flushes_denormals(),
    }


def another(control):
    """A value that the control does not have now."""
    return next(value for value in choices(control) if value != control.value)


@pytest.fixture(scope="module")
def walk(request, given):
    """Two panels, of which one stays as it is and the other's controls are moved to both their ends and back; what
    it showed at each step, where the axes stood in each picture, and how all was around it before and after.
    """
    make, steps, stills, places = MAKERS[request.param], [], {}, []
    to_png, quick_png = framework.to_png, framework.LivePicture.png

    def watched_png(figure):
        png = to_png(figure)  # which finds the places
        places.append(places_of(figure))
        return png

    def watched_quick_png(picture):
        places.append(places_of(next(iter(picture.artists.values())).axes.figure))
        return quick_png(picture)

    before = surroundings(), joblib.hash(given)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(framework, "to_png", watched_png)
        patch.setattr(framework.LivePicture, "png", watched_quick_png)
        other, panel = make(given), make(given)
        start = state_of(panel)
        for name, control in panel.controls.items():
            old, (first, *_, last) = control.value, choices(control)
            still = panel.still(**{name: last}).words
            for value in dict.fromkeys([first, last, old]):
                control.value = value
                shown = {"problem": problem_of(panel), "picture": panel.picture.value, "words": words_of(panel)}
                steps.append(SimpleNamespace(control=name, value=value, **shown))
                if value == last:
                    stills[name] = still, words_of(panel)
            control.value = old
    after = surroundings(), joblib.hash(given)
    return SimpleNamespace(
        name=request.param,
        panel=panel,
        other=other,
        start=start,
        steps=steps,
        stills=stills,
        places=places,
        around=(before, after),
    )


def each(names):
    return pytest.mark.parametrize("walk", names, indirect=True)


# ---------------------------------------------------------------- what it shows


@each(MAKERS)
def test_the_picture_is_a_png_file_of_100_pixels_an_inch(walk):
    width, height = (round(100 * inches) for inches in walk.panel.size)
    assert {pixels_of(step.picture).shape for step in walk.steps} == {(height, width, 3)}
    assert walk.panel.picture.layout.width == f"{width}px"


@each(MAKERS)
def test_each_control_can_be_moved_to_both_its_ends(walk):
    assert [(step.control, step.value, step.problem) for step in walk.steps if step.problem] == []


@each(THAT_TELL)
def test_every_move_changes_the_words_and_some_change_the_picture(walk):
    for name in walk.panel.controls:
        steps = [step for step in walk.steps if step.control == name]
        assert len({step.words for step in steps}) == len(steps), name
        assert len({step.picture for step in steps}) > 1 or name == "clean", name  # nothing is to be cleaned


@each(THAT_TELL)
def test_every_option_has_words_of_its_own(walk):
    for name, control in walk.other.controls.items():
        if hasattr(control, "options") and len(choices(control)) < 20:  # the pad has 40 examples
            words = {walk.other.still(**{name: value}).words for value in choices(control)}
            assert len(words) == len(choices(control)), name
    assert state_of(walk.other) == walk.start, "a still moved the panel"


@each(MAKERS)
def test_a_still_has_the_words_of_the_moved_panel(walk):
    for name, (still, words) in walk.stills.items():
        assert still == words, name


@each(MAKERS)
def test_the_axes_stay_where_they_are(walk):
    for places in walk.places:
        np.testing.assert_allclose(places, walk.places[0], atol=0.01)


# ---------------------------------------------------------------- what it leaves alone


@each(MAKERS)
def test_nothing_is_left_behind_and_nothing_of_what_was_given_is_changed(walk):
    (around, given), (around_after, given_after) = walk.around
    assert around_after == around
    assert given_after == given


@each(MAKERS)
def test_two_panels_have_a_state_and_layouts_of_their_own(walk):
    assert state_of(walk.other) == walk.start
    layouts = [control.layout for panel in (walk.panel, walk.other) for control in panel.controls.values()]
    assert len(set(layouts)) == len(layouts)


@each(OF_A_NETWORK)
def test_the_panel_has_a_copy_of_the_network_with_dropout_off(walk, given):
    model, weights = copy.deepcopy((given.model.train(), given.weights))
    given.model.eval()
    panel = MAKERS[walk.name](SimpleNamespace(**{**vars(given), "model": model, "weights": weights}))
    assert all(layer.training for layer in model.modules())
    with torch.no_grad():
        for tensor in (*model.parameters(), *weights):
            tensor.zero_()
    panel.show()
    assert state_of(panel) == walk.start
    for step in {step.control: step for step in walk.steps if step.words != words_of(panel)}.values():
        assert panel.still(**{step.control: step.value}).words == step.words


# ---------------------------------------------------------------- what can go wrong


@each(MAKERS)
def test_moves_in_another_thread_are_answered_in_the_panels_own(walk):
    panel, threads, show = walk.panel, [], walk.panel.show

    def watched_show():
        threads.append(threading.get_ident())
        show()

    async def move_all():
        panel.loop, panel.show = asyncio.get_running_loop(), watched_show
        for control in panel.controls.values():
            in_another_thread(partial(setattr, control, "value", another(control)))
            assert threads == [], "drawn in the other thread"
            await asyncio.sleep(0.001)
            assert set(threads) == {threading.get_ident()}
            threads.clear()

    try:
        play(move_all())
    finally:
        panel.loop, panel.show = None, show
    assert problem_of(panel) == ""


@each(MAKERS)
def test_an_error_in_drawing_is_shown_above_the_last_picture_and_goes_away(walk, monkeypatch):
    def fail(*_, **__):
        raise ArithmeticError("no <ink>")

    panel, (control, *_) = walk.panel, walk.panel.controls.values()
    *_, picture, words = state_of(panel)
    with monkeypatch.context() as patch:
        patch.setattr(panel, "read" if walk.name == "drawing_pad" else "draw", fail)
        control.value = another(control)
    assert "ArithmeticError: no <ink>" in problem_of(panel) and "<ink>" not in panel.problem.value
    assert state_of(panel)[-2:] == (picture, words)
    control.value = another(control)
    assert problem_of(panel) == ""


@each(MAKERS)
def test_a_still_of_what_no_control_can_be_is_refused(walk):
    before = state_of(walk.panel)
    with pytest.raises(ValueError, match=f"no control 'size', only {', '.join(walk.panel.controls)}$"):
        walk.panel.still(size=3)
    for name, control in walk.panel.controls.items():
        wrong = ["no such thing"] if not hasattr(control, "min") else [control.min - 1, control.max + 1]
        for value in wrong:
            with pytest.raises(ValueError, match=f"{name} must be .*, got {value!r}$"):
                walk.panel.still(**{name: value})
    assert state_of(walk.panel) == before


@pytest.mark.parametrize(
    "name, nothing, message",
    [
        ("digit_browser", {"data": SimpleNamespace(test=EMPTY)}, "dataset is empty"),
        ("prediction_explorer", {"predictions": []}, "no predictions to explore"),
        ("dropout_microscope", {"data": SimpleNamespace(test=EMPTY)}, "dataset is empty"),
        ("curve_reader", {"history": History(), "weights": []}, "at least one epoch"),
        ("guess", {"measured": pd.Series([], dtype=float)}, "at least 2 seeds"),
        ("ledger_explorer", {"ledger": made_ledger({"network": "wide"})}, "no run of the recipe's network"),
        ("doubt_meter", {"images": {}}, "at least one image"),
        ("change_explorer", {"data": SimpleNamespace(test=EMPTY)}, "dataset is empty"),
        ("flip_explorer", {"data": SimpleNamespace(test=EMPTY)}, "dataset is empty"),
    ],
)
def test_where_there_is_nothing_to_show_that_is_said(given, name, nothing, message):
    with pytest.raises(ValueError, match=message):
        MAKERS[name](SimpleNamespace(**{**vars(given), **nothing}))


# ---------------------------------------------------------------- the three that train


@pytest.fixture(params=LABS)
def lab(request, given):
    return MAKERS[request.param](given)


def test_a_training_ends_quietly_and_leaves_nothing_behind(lab, given):
    before = surroundings(), joblib.hash(given)
    play(lab.train())
    assert problem_of(lab) == "" and not lab.running
    assert lab.stop_button.disabled and not lab.start_button.disabled
    assert (surroundings(), joblib.hash(given)) == before


def test_what_breaks_a_training_is_raised_to_the_cell_and_shown(lab, monkeypatch):
    def fail(*_):
        raise MemoryError("no <room> left")

    with monkeypatch.context() as patch:
        patch.setattr(training, "train_step", fail)
        with pytest.raises(MemoryError, match="no <room> left"):
            play(lab.train())
    assert "MemoryError: no <room> left" in problem_of(lab) and "<room>" not in lab.problem.value
    assert not lab.running and lab.stop_button.disabled
    play(lab.train())
    assert problem_of(lab) == ""


def test_settings_there_are_not_start_no_training(lab):
    before, (name, control) = lab.values, next(iter(lab.controls.items()))
    for wrong, message in (({"epochs": 3}, "no control 'epochs', only"), ({name: -1}, f"{name} must be .*, got -1")):
        with pytest.raises(ValueError, match=message):
            play(lab.train(**{name: another(control), **wrong}))
        assert lab.values == before and not lab.running and lab.task is None


def test_stop_without_a_training_does_nothing_and_start_outside_a_notebook_says_what_is_missing(lab):
    before = state_of(lab)
    lab.stop_button.click()
    assert state_of(lab) == before
    lab.start_button.click()
    assert "no event loop is running: training live needs a notebook" in problem_of(lab)
    assert not lab.running and lab.stop_button.disabled
