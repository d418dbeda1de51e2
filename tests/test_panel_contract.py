"""What each panel owes its readers, whatever it shows."""

import asyncio
import copy
import dataclasses
import gc
import random
import threading
from functools import partial
from types import SimpleNamespace

import joblib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import psutil
import pytest
import torch
from ipywidgets import Button
from torch.utils.data import TensorDataset

from mnist_helpers import training, widgets
from mnist_helpers.labs.broken import raw_digits, run_script, script
from mnist_helpers.labs.own_digits import load_drawings
from mnist_helpers.labs.scaling import Link, Work
from mnist_helpers.live import train_live
from mnist_helpers.quick import flushes_denormals
from mnist_helpers.training import History
from mnist_helpers.widgets import case, clinic, descent, images, ledger, network, pad, scaling
from mnist_helpers.widgets import panel as framework
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

# Each is made at values from which every move can be seen.
MAKERS = {
    "digit_browser": lambda given: moved(images.digit_browser(given.data.test), position=5),
    "descent_explorer": lambda given: descent.descent_explorer(given.ink, 1.1 * given.ink),
    "prediction_explorer": lambda given: images.prediction_explorer(given.predictions),
    "dropout_microscope": lambda given: network.dropout_microscope(given.model, given.data.test),
    "step_explorer": lambda given: network.step_explorer(*given.data.train[:10], given.steps),
    "curve_reader": lambda given: network.curve_reader(given.history, given.weights),
    "training_lab": lambda given: moved(widgets.training_lab(given.more), train_size=500),
    "guess": lambda given: ledger.guess("How much?", given.measured, -3, 3),
    "ledger_explorer": lambda given: ledger.ledger_explorer(given.ledger, given.data),
    "drawing_pad": lambda given: moved(pad.drawing_pad(given.model), example=list(load_drawings())[3]),
    "doubt_meter": lambda given: clinic.doubt_meter(given.model, given.images),
    "change_explorer": lambda given: clinic.change_explorer(given.model, given.data.test),
    "repair_lab": lambda given: clinic.repair_lab(given.data),
    "flip_explorer": lambda given: clinic.flip_explorer(given.model, given.data.test),
    "case_file": lambda given: case.case_file({"A": given.trained[0], "B": given.trained[1]}, given.trained[2:]),
    "scaling_explorer": lambda given: scaling.scaling_explorer(WORKS, LINKS),
}
WORKS = {"small": Work(1e-4, 1e-6, 400_000), "large": Work(1e-3, 1e-3, 40_000_000)}
LINKS = {"slow": Link(1e-4, 1e8), "fast": Link(1e-6, 1e10)}
OF_A_NETWORK = ["dropout_microscope", "curve_reader", "drawing_pad", "doubt_meter", "change_explorer", "flip_explorer"]
MEASURED = [{}, {"dropout": 0.5}, {"train_size": 64, "weight_decay": 0.0, "seeds": 1}]
NOTHING = {"data": SimpleNamespace(test=EMPTY)}


@pytest.fixture(scope="module", autouse=True)
def quickly():
    """Short trainings; drawings that are made once; and PyTorch seems to have another number of threads than a training
    sets, so that one that stays would be seen. In truth it has one: on a busy machine two wait for each other.
    """
    threads = [2]
    with pytest.MonkeyPatch.context() as patch, drawings_once():
        patch.setattr(clinic.RepairLab, "EPOCHS", 2)
        patch.setattr(widgets.training, "train_live", partial(train_live, epochs=2))
        patch.setattr(torch, "set_num_threads", threads.append)
        patch.setattr(torch, "get_num_threads", lambda: threads[-1])
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
        steps=torch.randn(4, 10, 10, generator=random),
        weights=[torch.randn(128, 784, generator=random) for _ in trained.history.to_frame().index],
        predictions=dataclasses.replace(predictions, logits=8 * predictions.logits),  # some are above every threshold
        measured=pd.Series([0.31, 0.12, 0.27]),
        ledger=made_ledger(*[{"train_size": 96, "epochs": 2, **more} for more in MEASURED]),
        ink=sample.train.tensors[0].sum(dim=(1, 2, 3))[:20] / 200,
        trained=[
            run_script(script(which), raw_digits(sample), seed)
            for which, seed in (("A", 2), ("B", 2), ("", 0), ("", 1))
        ],
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
def pair(request, given):
    """Two equal panels, what they show, and how all was before they were made."""
    before, make = (surroundings(), joblib.hash(given)), MAKERS[request.param]
    panel, other = make(given), make(given)
    return SimpleNamespace(name=request.param, panel=panel, other=other, start=state_of(other), before=before)


def each(names):
    return pytest.mark.parametrize("pair", names, indirect=True)


@each(MAKERS)
def test_every_move_is_shown_and_told_and_changes_nothing_else(pair, given, monkeypatch):
    panel, places, to_png = pair.panel, [], framework.to_png
    width, height = (round(100 * inches) for inches in panel.size)
    with monkeypatch.context() as patch:
        patch.setattr(framework, "to_png", lambda figure: (to_png(figure), places.append(places_of(figure)))[0])
        for name, control in panel.controls.items():
            old, (first, *_, last) = control.value, choices(control)
            shown, still = {old: (panel.picture.value, words_of(panel))}, panel.still(**{name: last})
            for value in (first, last):
                control.value = value
                shown[value] = panel.picture.value, words_of(panel)
                assert problem_of(panel) == "", (name, value)
                assert pixels_of(panel.picture.value).shape == (height, width, 3)
            assert still.words == words_of(panel), name
            pictures, words = zip(*shown.values(), strict=True)
            if pair.name != "training_lab":  # it shows its runs, and has none yet
                assert len(set(words)) == len(shown), name
                assert len(set(pictures)) > 1 or name == "clean", name  # the drawing is clean already
            with pytest.MonkeyPatch.context() as quiet:  # all is drawn once more at the end
                quiet.setattr(panel, "redraw", lambda: None)
                control.value = old
        panel.show()
    assert panel.picture.layout.width == f"{width}px"
    assert state_of(panel) == pair.start, "moved back it does not show the same"
    assert state_of(pair.other) == pair.start, "the other panel has moved"
    for each_place in places[1:]:
        np.testing.assert_allclose(each_place, places[0], atol=0.01)
    assert (surroundings(), joblib.hash(given)) == pair.before
    layouts = [control.layout for each in (panel, pair.other) for control in each.controls.values()]
    assert len(set(layouts)) == len(layouts), "what is set for one control shows in another"


@each(OF_A_NETWORK)
def test_the_panel_has_a_copy_of_the_network_with_dropout_off(pair, given):
    model, weights = copy.deepcopy((given.model, given.weights))
    panel = MAKERS[pair.name](SimpleNamespace(**{**vars(given), "model": model.train(), "weights": weights}))
    assert all(layer.training for layer in model.modules())
    with torch.no_grad():
        for tensor in (*model.parameters(), *weights):
            tensor.zero_()
    panel.show()
    assert state_of(panel) == pair.start
    for name, control in panel.controls.items():
        assert panel.still(**{name: another(control)}).words == pair.other.still(**{name: another(control)}).words


# ---------------------------------------------------------------- what can go wrong


@each(MAKERS)
def test_moves_in_another_thread_are_answered_in_the_panels_own(pair, monkeypatch):
    panel, threads = pair.panel, []
    monkeypatch.setattr(panel, "show", lambda: threads.append(threading.get_ident()))

    async def move_all():
        monkeypatch.setattr(panel, "loop", asyncio.get_running_loop())
        for control in panel.controls.values():
            in_another_thread(partial(setattr, control, "value", another(control)))
            assert threads == [], "drawn in the other thread"
            await asyncio.sleep(0.001)
            assert set(threads) == {threading.get_ident()}
            threads.clear()

    play(move_all())
    assert problem_of(panel) == ""


@each(MAKERS)
def test_an_error_in_drawing_is_shown_above_the_last_picture_and_goes_away(pair, monkeypatch):
    def fail(*_, **__):
        raise ArithmeticError("no <ink>")

    panel, (control, *_) = pair.panel, pair.panel.controls.values()
    *_, picture, words = state_of(panel)
    with monkeypatch.context() as patch:
        patch.setattr(panel, "read" if pair.name == "drawing_pad" else "draw", fail)
        control.value = another(control)
    assert "ArithmeticError: no <ink>" in problem_of(panel) and "<ink>" not in panel.problem.value
    assert state_of(panel)[-2:] == (picture, words)
    control.value = another(control)
    assert problem_of(panel) == ""


@each(MAKERS)
def test_a_still_of_what_no_control_can_be_is_refused(pair):
    before = state_of(pair.panel)
    with pytest.raises(ValueError, match=f"no control 'size', only {', '.join(pair.panel.controls)}$"):
        pair.panel.still(size=3)
    for name, control in pair.panel.controls.items():
        wrong = ["no such thing"] if not hasattr(control, "min") else [control.min - 1, control.max + 1]
        for value in wrong:
            with pytest.raises(ValueError, match=f"{name} must be .*, got {value!r}$"):
                pair.panel.still(**{name: value})
    assert state_of(pair.panel) == before


@pytest.mark.parametrize(
    "name, nothing, message",
    [
        ("digit_browser", NOTHING, "dataset is empty"),
        ("descent_explorer", {"ink": torch.zeros(0)}, "at least one input"),
        ("prediction_explorer", {"predictions": []}, "no predictions to explore"),
        ("dropout_microscope", NOTHING, "dataset is empty"),
        ("step_explorer", {"data": SimpleNamespace(train=EMPTY)}, "at least one image"),
        ("curve_reader", {"history": History(), "weights": []}, "at least one epoch"),
        ("guess", {"measured": pd.Series([], dtype=float)}, "at least 2 seeds"),
        ("ledger_explorer", {"ledger": made_ledger({"network": "wide"})}, "no run of the recipe's network"),
        ("doubt_meter", {"images": {}}, "at least one image"),
        ("change_explorer", NOTHING, "dataset is empty"),
        ("case_file", {"trained": 3 * [None]}, "two healthy runs are needed, got 2 and 1"),
        ("flip_explorer", NOTHING, "dataset is empty"),
    ],
)
def test_where_there_is_nothing_to_show_that_is_said(given, name, nothing, message):
    with pytest.raises(ValueError, match=message):
        MAKERS[name](SimpleNamespace(**{**vars(given), **nothing}))


# ---------------------------------------------------------------- the three that train


@pytest.fixture(params=["training_lab", "ledger_explorer", "repair_lab"])
def lab(request, given):
    return MAKERS[request.param](given)


def test_what_breaks_a_training_is_raised_and_shown_and_the_next_leaves_nothing_behind(lab, given, monkeypatch):
    def fail(*_):
        raise MemoryError("no <room> left")

    before = surroundings(), joblib.hash(given)
    with monkeypatch.context() as patch:
        patch.setattr(training, "train_step", fail)
        with pytest.raises(MemoryError, match="no <room> left"):  # a broken cell must not look whole
            play(lab.train())
    assert "MemoryError: no <room> left" in problem_of(lab) and "<room>" not in lab.problem.value
    assert not lab.running and lab.stop_button.disabled
    play(lab.train())
    assert problem_of(lab) == "" and not lab.running
    assert lab.stop_button.disabled and not lab.start_button.disabled
    assert (surroundings(), joblib.hash(given)) == before


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


# ---------------------------------------------------------------- whatever comes, in whatever order


def buttons_in(widget):
    """All buttons of a panel."""
    children = getattr(widget, "children", ())
    return [widget] * isinstance(widget, Button) + [each for child in children for each in buttons_in(child)]


def any_event(panel, chance):
    """Move a control to a value that it can have, press a button, or draw on the pad."""
    control = chance.choice(list(panel.controls.values()))
    value = chance.choice(choices(control))
    if hasattr(control, "min"):
        value = control.min + chance.randrange(round((control.max - control.min) / control.step) + 1) * control.step
    happens = [partial(setattr, control, "value", value)] * 3
    happens += [button.click for button in buttons_in(panel) if not button.disabled]
    if isinstance(panel, pad.DrawingPad):
        pen = chance.choice([panel.pen_goes_down, *[panel.pen_moves] * 5, panel.pen_goes_up])
        happens += [partial(panel.run_here, partial(pen, chance.uniform(-20, 300), chance.uniform(-20, 300)))] * 3
    chance.choice(happens)()


async def any_events(panels, number, chance):
    """So many events, as a page sends them: some to one panel, from another thread, then some to another."""
    while number > 0:
        events = min(number, chance.randrange(1, 40)) * [partial(any_event, chance.choice(panels), chance)]
        in_another_thread(lambda events=events: [happens() for happens in events])
        await asyncio.sleep(0.001)
        number -= len(events)


async def at_rest(panels):
    """Return when no panel trains any more and all that was asked for is drawn."""
    for panel in panels:
        getattr(panel, "stop", lambda: None)()
    await asyncio.sleep(0.1)
    gc.collect()


def test_after_1000_random_events_all_panels_are_well_and_nothing_is_left_behind(given):
    process, before = psutil.Process(), (surroundings(), joblib.hash(given))

    async def go_wild():
        panels, chance = [make(given) for make in MAKERS.values()], random.Random(0)
        await any_events(panels, 400, chance)
        await at_rest(panels)
        memory = process.memory_info().rss
        await any_events(panels, 600, chance)
        await at_rest(panels)
        assert process.memory_info().rss - memory < 50e6
        assert asyncio.all_tasks() == {asyncio.current_task()}
        for name, panel in zip(MAKERS, panels):
            assert problem_of(panel) == "", name
            seen = state_of(panel)
            panel.show()
            assert state_of(panel) == seen, f"{name} showed something older"

    asyncio.run(go_wild())
    assert (surroundings(), joblib.hash(given)) == before
