"""What the tests of the panels share: how they are moved, and what is read back from their pictures and words."""

import asyncio
import functools
import html
import io
import itertools
import random
import threading
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import TensorDataset

from mnist_helpers.labs.own_digits import drawn_digits
from mnist_helpers.widgets import clinic, ledger, pad, training
from mnist_helpers.widgets import panel as framework

EMPTY = TensorDataset(torch.zeros(0, 1, 28, 28), torch.zeros(0, dtype=torch.int64))


def words_of(panel):
    """What stands below the picture, without HTML's marks."""
    return html.unescape(panel.text.value)


def problem_of(panel):
    """What stands above the picture, "" where all is well."""
    return html.unescape(panel.problem.value)


def state_of(panel):
    return panel.values, panel.problem.value, panel.picture.value, panel.text.value


def pixels_of(png):
    """The PNG file as an array (height, width, 3)."""
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


def moved(panel, **values):
    """The panel after its controls were moved to `values`."""
    for name, value in values.items():
        panel.controls[name].value = value
    return panel


def choices(control):
    """All values of a control that has options, both ends of one that has limits, both of a switch."""
    if hasattr(control, "options"):
        return [option[1] if isinstance(option, tuple) else option for option in control.options]
    return [control.min, control.max] if hasattr(control, "min") else [False, True]


def axes_titled(figure, beginning):
    """The first axes whose title begins so."""
    return next(ax for ax in figure.axes if ax.get_title().startswith(beginning))


def of_classes(dataset, *classes):
    """The images of some classes only."""
    images, labels = dataset.tensors
    chosen = torch.isin(labels, torch.tensor(classes))
    return TensorDataset(images[chosen], labels[chosen])


def equal_weights(first, second):
    """Whether two models have the same weights to the last bit."""
    first, second = first.state_dict(), second.state_dict()
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def random_states():
    """All global random numbers, to be compared."""
    numbers = np.random.get_state()
    return torch.get_rng_state().tolist(), random.getstate(), numbers[1].tolist(), numbers[2]


def in_another_thread(action):
    """Run the action in a thread of its own while this one, with the panel's event loop, waits."""
    thread = threading.Thread(target=action)
    thread.start()
    thread.join()


def play(coroutine):
    """Run to the end; fails when that takes a minute."""
    return asyncio.run(asyncio.wait_for(coroutine, 60))


def places_of(figure):
    """Where the axes stand in the picture, in pixels."""
    return np.array([ax.figure.transSubfigure.transform(ax.get_position(original=True)) for ax in figure.axes])


drawn_digits_once = functools.cache(drawn_digits)


@contextmanager
def drawings_once():
    """Within a `with` block the 40 preprocessed drawings are made once for each way, not once for each panel: that
    takes most of its time.
    """
    with pytest.MonkeyPatch.context() as patch:
        for module in (pad, clinic):
            patch.setattr(module, "drawn_digits", drawn_digits_once)
        yield


@contextmanager
def at_each_step():
    """Within a `with` block what trains live redraws, and lets others have their turn, at each step."""
    clock = SimpleNamespace(perf_counter=itertools.count(1).__next__)
    with pytest.MonkeyPatch.context() as patch:
        for module in (framework, training, ledger):
            patch.setattr(module, "time", clock)
        yield


async def end_of(lab):
    """Return when no training is under way."""
    while lab.running:
        await asyncio.sleep(0)
