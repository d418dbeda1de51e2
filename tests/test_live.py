"""A run while it grows, step by step: it is the run that `train_run` and the sweep make, whatever happens between."""

import dataclasses

import pytest
import torch
from torch.utils.data import TensorDataset

from mnist_helpers import runs
from mnist_helpers.data import make_loader
from mnist_helpers.labs.sweep.grid import Setting
from mnist_helpers.labs.sweep.work import train_setting
from mnist_helpers.live import train_live
from mnist_helpers.model import MNISTNet
from mnist_helpers.quick import flushes_denormals
from mnist_helpers.training import evaluate, set_seed
from panels import equal_weights, random_states

SETTINGS = {"dropout": 0.5, "weight_decay": 1e-4, "train_size": 300, "seed": 0, "epochs": 1}


def steps(data, **changes):
    return train_live(data, **{**SETTINGS, **changes})


def train(data, **changes):
    """The curve at the end."""
    *_, curve = steps(data, **changes)
    return curve


def disturbed(steps):
    """The same, with random numbers drawn in between."""
    return (curve for curve in steps if torch.rand(7) is not None)


@pytest.mark.parametrize("epochs, seed, weight_decay", [(1, 0, 1e-4), (3, 3, 1e-2)])
def test_without_dropout_the_weights_are_those_of_train_run(small, monkeypatch, epochs, seed, weight_decay):
    monkeypatch.setattr(runs, "pick_device", lambda: torch.device("cpu"))
    settings = {"dropout": 0.0, "weight_decay": weight_decay, "seed": seed, "epochs": epochs}
    run = runs.train_run(small, progress=False, **settings)
    assert equal_weights(train(small, **settings).model, run.model)


@pytest.mark.parametrize("dropout, seed", [(0.5, 0), (0.2, 3)])
def test_the_run_is_to_the_last_bit_the_sweeps(sample, dropout, seed):
    rows = train_setting(Setting(dropout, 1e-3, train_size=96, epochs=2, seed=seed), sample)
    data = sample.with_split(seed)
    curve = train(data, dropout=dropout, weight_decay=1e-3, train_size=96, seed=seed, epochs=2, points=1)
    layers = [parameter for parameter in curve.model.parameters() if parameter.ndim == 2]
    for number, weights in enumerate(layers, start=1):
        assert weights.norm().item() == rows[f"weight_norm_{number}"].iloc[-1]
    assert evaluate(curve.model, make_loader(data.valid, 1024)).loss == rows["valid_loss"].iloc[-1]


def test_nothing_of_a_run_is_to_be_seen_outside_between_its_steps(small, monkeypatch):
    threads = [2]  # what PyTorch would say; two real ones wait for each other on a busy machine
    monkeypatch.setattr(torch, "set_num_threads", threads.append)
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads[-1])
    before = random_states()
    for _ in steps(small, epochs=2):
        assert random_states() == before and threads[-1] == 2 and not flushes_denormals()
    assert 1 in threads


def test_what_happens_between_the_steps_changes_nothing(small):
    alone = [train(small, seed=seed) for seed in (1, 2)]
    *_, together = zip(steps(small, seed=1), disturbed(steps(small, seed=2)), strict=True)
    for each, same in zip(together, alone, strict=True):
        assert equal_weights(each.model, same.model)
    assert not equal_weights(*[each.model for each in alone])


@pytest.mark.parametrize("points", [1, 2, 10])
def test_a_curve_has_as_many_points_an_epoch_as_asked_for(small, points):
    curves = list(steps(small, epochs=2, points=points))
    curve, steps_of_an_epoch = curves[-1], 10
    assert len(curves) == 2 * steps_of_an_epoch, "not given after every step"
    assert curve.measured_at == [step / steps_of_an_epoch for step in range(0, 21, steps_of_an_epoch // points)]
    assert len(curve.train) == len(curve.valid) == 2 * points + 1
    assert equal_weights(curve.model, train(small, epochs=2).model), "measuring changed the training"


@pytest.mark.parametrize("size", [20, 352, 1000])
def test_the_curve_goes_from_0_to_the_last_epoch_in_about_10_points_each(sample, size):
    epochs = train(sample, train_size=size, epochs=2).measured_at
    assert epochs[0] == 0 and epochs[-1] == 2 and 1 in epochs
    assert epochs == sorted(set(epochs))
    points = len([epoch for epoch in epochs if 0 < epoch <= 1])
    assert min(5, -(-size // 32)) <= points <= 10


@pytest.mark.parametrize("asked, most", [({}, 1000), ({"most": 100}, 100)])
def test_points_are_measured_with_dropout_off_on_the_first_images_and_training_goes_on_with_it(sample, asked, most):
    tensors = [torch.cat(pair) for pair in zip(sample.valid.tensors, sample.test.tensors, strict=True)]
    data = dataclasses.replace(sample, valid=TensorDataset(*tensors))
    curve = train(data, train_size=1100, dropout=0.9, points=1, **asked)
    set_seed(0)
    for place, model in ((0, MNISTNet()), (-1, curve.model)):
        assert curve.train[place] == evaluate(model, [data.train[:most]])
        assert curve.valid[place] == evaluate(model, [data.valid[:most]])
    assert all(layer.training for layer in curve.model.modules())
