"""Steps, epochs and the history of a training run."""

import contextlib
import copy
import math
import random
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from mnist_helpers import training
from mnist_helpers.data import make_loader
from mnist_helpers.model import MNISTNet
from mnist_helpers.predictions import predict
from mnist_helpers.training import (
    DivergedError,
    History,
    Metrics,
    evaluate,
    fit,
    flushes_denormals,
    make_optimizer,
    pick_device,
    set_seed,
    train_epoch,
    train_step,
    train_steps,
)


def sgd(model, lr=0.1):
    return torch.optim.SGD(model.parameters(), lr=lr)


def weights_of(model):
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


def loss_by_hand(logits, labels):
    """The mean over the batch of log Σ exp(logits) − the true class's logit."""
    return (logits.exp().sum(dim=1).log() - logits[range(len(labels)), labels]).mean().item()


def passes(make_batches):
    """An iterable without a length; its n-th pass, counted from 1, gives `make_batches(n)`."""
    count = iter(range(1, 1000))
    return type("Passes", (), {"__iter__": lambda self: iter(make_batches(next(count)))})()


@pytest.fixture
def still_model():
    """A network that gives the same logits in both modes."""
    set_seed(0)
    return MNISTNet(dropout=0)


@pytest.fixture
def loaders(small):
    """Training batches (10, the last one ragged) and validation batches."""
    return make_loader(small.train, 32, shuffle=True), make_loader(small.valid, 1000)


# ---------------------------------------------------------------- train_step


def test_the_loss_of_a_step_is_the_cross_entropy_before_it(still_model, batch):
    expected = loss_by_hand(still_model(batch[0]), batch[1])
    assert train_step(still_model, *batch, sgd(still_model)).loss == pytest.approx(expected, rel=1e-6)


def test_the_accuracy_of_a_step_is_the_share_of_right_ones_before_it(still_model, batch):
    images, labels = batch[0], still_model(batch[0]).argmax(dim=1)
    labels[:8] = (labels[:8] + 1) % 10
    assert train_step(still_model, images, labels, sgd(still_model)).accuracy == 0.75


def test_a_step_moves_the_weights_against_the_gradient(still_model, batch):
    twin = copy.deepcopy(still_model)
    nn.functional.nll_loss(twin(batch[0]).log_softmax(dim=1), batch[1]).backward()
    expected = [parameter.detach() - 0.1 * parameter.grad for parameter in twin.parameters()]
    train_step(still_model, *batch, sgd(still_model, lr=0.1))
    torch.testing.assert_close([parameter.detach() for parameter in still_model.parameters()], expected)


def test_a_step_forgets_the_gradient_of_the_step_before(still_model, batch):
    optimizer = sgd(still_model, lr=0)
    train_step(still_model, *batch, optimizer)
    first = still_model.layers[1].weight.grad.clone()
    train_step(still_model, *batch, optimizer)
    assert torch.equal(still_model.layers[1].weight.grad, first)


def test_a_step_trains_with_dropout_on(model, batch):
    model.eval()
    losses = {train_step(model, *batch, sgd(model, lr=0)).loss for _ in range(3)}
    assert len(losses) == 3


# ---------------------------------------------------------------- evaluate and train_epoch


def test_evaluate_equals_a_computation_by_hand(still_model, batch):
    logits = still_model(batch[0])
    metrics = evaluate(still_model, [batch])
    assert metrics.loss == pytest.approx(loss_by_hand(logits, batch[1]), rel=1e-6)
    assert metrics.accuracy == pytest.approx((logits.argmax(dim=1) == batch[1]).float().mean().item())


def uneven_dataset(model):
    """33 images; the model is right about the last one only, so that a lonely last batch is unlike the others."""
    images = torch.rand(33, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        labels = model.eval()(images).argmin(dim=1)
        labels[-1] = model(images[-1:]).argmax()
    return TensorDataset(images, labels)


@pytest.mark.parametrize(
    "measure",
    [evaluate, lambda model, loader: train_epoch(model, loader, sgd(model, lr=0))],
    ids=["evaluate", "train_epoch"],
)
def test_each_example_weighs_the_same_in_a_ragged_last_batch(still_model, measure):
    dataset = uneven_dataset(still_model)
    whole, ragged = (measure(still_model, make_loader(dataset, size)) for size in (33, 32))
    assert ragged.loss == pytest.approx(whole.loss, rel=1e-5)
    assert ragged.accuracy == pytest.approx(whole.accuracy) == pytest.approx(1 / 33)


def test_evaluate_switches_dropout_off(model, batch):
    assert evaluate(model, [batch]) == evaluate(model, [batch])


def test_evaluate_keeps_no_record_for_gradients(model, batch):
    enabled = []
    model.register_forward_hook(lambda *_: enabled.append(torch.is_grad_enabled()))
    evaluate(model, [batch])
    assert enabled == [False]


def test_evaluate_leaves_weights_and_gradients_alone(model, batch):
    before = weights_of(model)
    evaluate(model, [batch])
    assert torch.equal(weights_of(model), before)
    assert all(parameter.grad is None for parameter in model.parameters())


def test_the_running_values_are_taken_while_the_weights_move(still_model, small):
    loader = make_loader(small.train, 32)
    before = evaluate(still_model, loader).loss
    running = train_epoch(still_model, loader, sgd(still_model, lr=0.1)).loss
    assert evaluate(still_model, loader).loss < running < before


@pytest.mark.parametrize(
    "measure", [evaluate, lambda model, loader: train_epoch(model, loader, sgd(model))], ids=["evaluate", "train_epoch"]
)
def test_a_loader_without_batches_is_refused(model, measure):
    with pytest.raises(ValueError, match="empty"):
        measure(model, [])


def failing_batches(batch):
    yield batch
    raise OSError("the disk is gone")


@pytest.mark.parametrize("modes", [(True, True), (False, False), (True, False), (False, True)])
@pytest.mark.parametrize(
    "run",
    [lambda model, batch: evaluate(model, [batch]), lambda model, batch: predict(model, TensorDataset(*batch))],
    ids=["evaluate", "predict"],
)
def test_each_layer_comes_back_in_the_mode_it_was_in(model, batch, run, modes):
    whole, dropout = modes
    model.train(whole).layers[3].train(dropout)
    before = [layer.training for layer in model.modules()]
    run(model, batch)
    assert [layer.training for layer in model.modules()] == before


def test_each_layer_comes_back_in_its_mode_after_an_exception_too(model, batch):
    model.train().layers[3].eval()
    before = [layer.training for layer in model.modules()]
    with pytest.raises(OSError, match="disk"):
        evaluate(model, failing_batches(batch))
    assert [layer.training for layer in model.modules()] == before


# ---------------------------------------------------------------- fit


def test_fit_lowers_the_loss_on_real_digits(model, small, loaders):
    before = evaluate(model, loaders[1])
    history = fit(model, torch.optim.Adam(model.parameters()), *loaders, epochs=4, progress=False)
    assert history.train_loss[-1] < history.train_loss[0] < before.loss
    assert history.valid_loss[-1] < history.valid_loss[0] < before.loss
    assert history.valid_accuracy[-1] > before.accuracy + 0.3


def test_both_curves_are_what_evaluate_measures(model, loaders):
    history = fit(model, sgd(model), *loaders, epochs=1, progress=False)
    for part, loader in zip(["train", "valid"], loaders):
        metrics = evaluate(model, loader)
        assert getattr(history, f"{part}_loss")[0] == pytest.approx(metrics.loss, rel=1e-5)
        assert getattr(history, f"{part}_accuracy")[0] == pytest.approx(metrics.accuracy, rel=1e-5)


def test_the_running_values_are_taken_with_dropout_on(model, loaders):
    history = fit(model, sgd(model, lr=0), *loaders, epochs=1, progress=False)
    assert history.running_loss[0] > history.train_loss[0] + 1e-3


def test_the_history_holds_one_entry_an_epoch(model, loaders):
    history = fit(model, sgd(model), *loaders, epochs=3, progress=False)
    assert len(history) == 3 and history.epochs == [1, 2, 3]
    assert {len(values) for values in vars(history).values()} == {3}


def test_the_seconds_are_wall_time(model, loaders, monkeypatch):
    clock = iter([100.0, 102.5, 200.0, 203.0])
    monkeypatch.setattr(training.time, "perf_counter", lambda: next(clock))
    assert fit(model, sgd(model), *loaders, epochs=2, progress=False).seconds == [2.5, 3.0]


def seeded_run(seed, data):
    """Weights and history (without the seconds) of two epochs."""
    set_seed(seed)
    model = MNISTNet()
    optimizer = torch.optim.Adam(model.parameters(), fused=True)
    loaders = make_loader(data.train, 32, shuffle=True), make_loader(data.valid, 1000)
    history = fit(model, optimizer, *loaders, epochs=2, progress=False)
    return weights_of(model), history.to_frame().drop(columns="seconds")


def test_the_same_seed_gives_the_same_run_to_the_last_bit(small):
    (weights, history), (weights_again, history_again) = seeded_run(3, small), seeded_run(3, small)
    assert torch.equal(weights, weights_again)
    pd.testing.assert_frame_equal(history, history_again, check_exact=True)


def test_another_seed_gives_another_run(small):
    (weights, history), (other_weights, other_history) = seeded_run(3, small), seeded_run(4, small)
    assert not torch.equal(weights, other_weights)
    assert not history.equals(other_history)


@pytest.mark.parametrize(
    "optimizer",
    [
        lambda parameters: torch.optim.SGD(parameters, lr=0.05, momentum=0.9, nesterov=True),
        lambda parameters: torch.optim.RMSprop(parameters, lr=0.001),
        lambda parameters: torch.optim.AdamW(parameters, lr=0.001),
    ],
    ids=["SGD", "RMSprop", "AdamW"],
)
def test_fit_trains_any_module_with_any_optimizer(loaders, optimizer):
    set_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 4, 5, stride=3), nn.BatchNorm2d(4), nn.Flatten(), nn.LazyLinear(10))
    model(torch.zeros(2, 1, 28, 28))
    before = evaluate(model, loaders[1]).loss
    fit(model, optimizer(model.parameters()), *loaders, epochs=2, progress=False)
    assert evaluate(model, loaders[1]).loss < before


@pytest.mark.parametrize("progress", [True, False])
def test_fit_takes_an_iterable_without_a_length(model, batch, progress):
    loader = passes(lambda _: [batch, batch])
    assert len(fit(model, sgd(model), loader, loader, epochs=2, progress=progress)) == 2


@pytest.mark.parametrize("progress", [True, False])
def test_fit_takes_a_dataloader_over_a_stream(model, batch, progress):
    stream = type("Stream", (IterableDataset,), {"__iter__": lambda self: zip(*batch)})()
    loader = DataLoader(stream, batch_size=8)
    assert len(fit(model, sgd(model), loader, loader, epochs=1, progress=progress)) == 1


@pytest.mark.parametrize("epochs", [0, -1, 1.5])
def test_a_number_of_epochs_that_cannot_be_is_refused(model, loaders, epochs):
    before = weights_of(model)
    with pytest.raises(ValueError, match=f"epochs must be a whole number from 1 up, got {epochs}"):
        fit(model, sgd(model), *loaders, epochs=epochs)
    assert torch.equal(weights_of(model), before)


def test_a_numpy_integer_is_a_whole_number_of_epochs(model, loaders):
    assert len(fit(model, sgd(model), *loaders, epochs=np.int64(1), progress=False)) == 1


@pytest.mark.parametrize("empty", [0, 1], ids=["training", "validation"])
def test_an_empty_loader_is_refused(model, batch, empty):
    loaders = [[batch], [batch]]
    loaders[empty] = []
    with pytest.raises(ValueError, match="empty"):
        fit(model, sgd(model), *loaders, progress=False)


# ---------------------------------------------------------------- stopping


def test_on_epoch_end_is_called_after_each_epoch_with_the_history(model, loaders):
    lengths = []
    fit(model, sgd(model), *loaders, epochs=3, progress=False, on_epoch_end=lambda h: lengths.append(len(h)))
    assert lengths == [1, 2, 3]


@pytest.mark.parametrize("yes", [True, np.bool_(True)], ids=["bool", "numpy's bool"])
def test_training_stops_when_on_epoch_end_returns_true(model, loaders, yes):
    answers = iter([False, yes, False])
    history = fit(model, sgd(model), *loaders, epochs=3, progress=False, on_epoch_end=lambda _: next(answers))
    assert len(history) == 2


@pytest.mark.parametrize("answer", [None, False, np.bool_(False), "a figure", [1, 2], np.array([True, True])], ids=str)
def test_training_goes_on_when_on_epoch_end_returns_anything_else(model, loaders, answer):
    assert len(fit(model, sgd(model), *loaders, epochs=2, progress=False, on_epoch_end=lambda _: answer)) == 2


def interrupt(history):
    if len(history) == 2:
        raise KeyboardInterrupt


@pytest.mark.parametrize("progress", [True, False])
def test_an_interrupt_in_a_callback_returns_the_completed_epochs(model, loaders, capsys, progress):
    history = fit(model, sgd(model), *loaders, epochs=5, progress=progress, on_epoch_end=interrupt)
    assert {len(values) for values in vars(history).values()} == {2}
    assert "Interrupted in epoch 2: the history holds the completed epochs." in capsys.readouterr().out


def interrupted_in(pass_number, batch):
    """Passes of three batches; in the pass of that number an interrupt comes after the first batch."""

    def batches(number):
        yield batch
        if number == pass_number:
            raise KeyboardInterrupt
        yield batch
        yield batch

    return passes(batches)


@pytest.mark.parametrize(
    "pass_number, completed",
    [(1, 0), (2, 0), (3, 1), (4, 1)],
    ids=["training 1", "measuring 1", "training 2", "measuring 2"],
)
def test_an_interrupt_within_an_epoch_returns_the_epochs_before_it(model, batch, capsys, pass_number, completed):
    history = fit(model, sgd(model), interrupted_in(pass_number, batch), [batch], epochs=5, progress=False)
    assert {len(values) for values in vars(history).values()} == {completed}
    assert f"Interrupted in epoch {completed + 1}" in capsys.readouterr().out


def test_an_interrupted_model_keeps_the_weights_of_its_last_step(still_model, batch):
    twin = copy.deepcopy(still_model)
    train_step(twin, *batch, sgd(twin))
    fit(still_model, sgd(still_model), interrupted_in(1, batch), [batch], progress=False)
    assert torch.equal(weights_of(still_model), weights_of(twin))


def test_other_exceptions_pass_through(model, batch):
    with pytest.raises(OSError, match="disk"):
        fit(model, sgd(model), failing_batches(batch), [batch], progress=False)


# ---------------------------------------------------------------- diverging


def test_nan_in_the_images_is_reported_with_epoch_and_step(model, batch):
    poisoned = (batch[0] * torch.nan, batch[1])
    loader = passes(lambda number: [batch, batch, poisoned] if number == 3 else [batch] * 3)
    with pytest.raises(DivergedError, match="epoch 2.*nan.*step 3.*learning rate.*NaN in the images"):
        fit(model, sgd(model), loader, [batch], epochs=5, progress=False)


def test_a_diverged_run_hands_over_the_epochs_before(model, batch):
    poisoned = (batch[0] * torch.nan, batch[1])
    loader = passes(lambda number: [poisoned] if number == 5 else [batch])
    with pytest.raises(DivergedError) as caught:
        fit(model, sgd(model), loader, [batch], epochs=5, progress=False)
    assert len(caught.value.history) == 2


def test_a_learning_rate_that_is_far_too_high_is_reported(still_model, batch):
    with pytest.raises(DivergedError, match="epoch 1"):
        fit(still_model, sgd(still_model, lr=1e30), [batch] * 5, [batch], progress=False)


def test_a_last_step_that_ruins_the_model_is_reported(still_model, batch):
    with pytest.raises(DivergedError, match="epoch 1"):
        fit(still_model, sgd(still_model, lr=1e30), [batch], [batch], epochs=1, progress=False)


# ---------------------------------------------------------------- the progress bar


def test_the_progress_bar_counts_epochs_and_steps(model, batch, capsys):
    fit(model, sgd(model), [batch] * 4, [batch], epochs=2, progress=True)
    shown = capsys.readouterr().out
    assert "epoch 2/2" in shown and "8/8" in shown


def test_without_the_progress_bar_nothing_is_shown(model, batch, capsys):
    fit(model, sgd(model), [batch] * 4, [batch], epochs=2, progress=False)
    assert capsys.readouterr() == ("", "")


# ---------------------------------------------------------------- Metrics and History


def test_metrics_are_printed_with_the_accuracy_in_percent():
    assert str(Metrics(0.12345, 0.975)) == "loss 0.1235, accuracy 97.50%"


AWKWARD = [0.1 + 0.2, 1 / 3, 1e-17, 123456789.123456789, 2.0]


@pytest.fixture
def history():
    """Five epochs of numbers that are hard to write down; the third has the lowest validation loss."""
    history = History()
    for epoch, value in enumerate(AWKWARD):
        train, valid, running = (Metrics(value * part, value / 3 / part) for part in (1, 7, 11))
        history.append(train, valid, running, epoch / 13)
    return history


def test_append_puts_each_number_into_its_column():
    history = History()
    history.append(Metrics(1.0, 2.0), Metrics(3.0, 4.0), Metrics(5.0, 6.0), 7.0)
    assert history == History([1.0], [2.0], [3.0], [4.0], [5.0], [6.0], [7.0])


def test_the_table_is_indexed_by_the_epochs_from_1(history):
    assert history.to_frame().index.tolist() == history.epochs == [1, 2, 3, 4, 5]
    assert history.to_frame().index.name == "epoch"


def test_the_best_epoch_has_the_lowest_validation_loss(history):
    assert history.best_epoch == 3


def test_an_epoch_whose_loss_is_not_a_number_is_not_the_best():
    history = History()
    for loss in (0.5, math.nan, 0.4):
        history.append(Metrics(1, 0), Metrics(loss, 0), Metrics(1, 0), 1)
    assert history.best_epoch == 3


def test_an_empty_history_has_no_best_epoch():
    with pytest.raises(ValueError, match="empty"):
        History().best_epoch


def test_a_history_is_printed_as_a_table(history):
    assert str(history).splitlines()[0].split() == list(vars(history))
    assert str(history).splitlines()[2].split()[:3] == ["1", "0.3000", "0.1000"]


def test_a_cell_that_ends_with_a_history_shows_the_table(history):
    assert repr(history) == str(history)


def test_a_notebook_shows_a_history_as_a_table(history):
    html = history._repr_html_()
    assert "<table" in html and "<th>valid_loss</th>" in html and "<td>0.3000</td>" in html


# ---------------------------------------------------------------- seeds, devices, denormals


@pytest.mark.parametrize(
    "draw", [random.random, np.random.rand, lambda: torch.rand(1).item()], ids=["python", "numpy", "torch"]
)
def test_set_seed_repeats_the_random_numbers(draw):
    set_seed(7)
    first = [draw() for _ in range(3)]
    set_seed(7)
    assert [draw() for _ in range(3)] == first
    set_seed(8)
    assert [draw() for _ in range(3)] != first


@pytest.mark.parametrize(
    "cuda, mps, expected", [(True, True, "cuda"), (True, False, "cuda"), (False, True, "mps"), (False, False, "cpu")]
)
def test_pick_device_prefers_cuda_to_mps_to_the_processor(monkeypatch, cuda, mps, expected):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert pick_device() == torch.device(expected)


def test_pick_device_gives_a_device_that_works():
    assert (torch.ones(2, device=pick_device()) + 1).sum().item() == 4


@pytest.fixture
def other_settings():
    """Two threads and denormal numbers kept, as a program without this package has them; the tests' own come back."""
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    torch.set_flush_denormal(False)
    yield
    torch.set_num_threads(threads)


def test_importing_the_package_changes_no_setting_of_pytorch():
    code = (
        "import torch; before = torch.get_num_threads(); import mnist_helpers, mnist_helpers.widgets; "
        "print(torch.get_num_threads() == before, (torch.tensor([1e-38]) * 0.1).item() > 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout == "True True\n"


@pytest.mark.parametrize("end", [lambda history: None, lambda history: 1 / 0], ids=["done", "error"])
def test_fit_sets_threads_and_denormals_for_itself_only(model, loaders, other_settings, end):
    inside = []

    def look(history):
        inside.append((torch.get_num_threads(), flushes_denormals()))
        return end(history)

    with contextlib.suppress(ZeroDivisionError):
        fit(model, sgd(model), *loaders, epochs=1, on_epoch_end=look, progress=False)
    assert inside == [(1, torch.set_flush_denormal(True))]
    torch.set_flush_denormal(False)
    assert torch.get_num_threads() == 2 and not flushes_denormals()


def test_fit_takes_more_threads_where_asked(model, loaders):
    seen = []
    fit(
        model,
        sgd(model),
        *loaders,
        epochs=1,
        on_epoch_end=lambda _: seen.append(torch.get_num_threads()),
        threads=2,
        progress=False,
    )
    assert seen == [2]


def trained_weights(small, look=lambda model, loader, dataset: None):
    """The weights after two epochs, with `look` called between them and in the middle of the second."""
    set_seed(0)
    model, loader = MNISTNet(), make_loader(small.train, 32, shuffle=True)
    optimizer = make_optimizer(model)
    train_epoch(model, loader, optimizer)
    look(model, loader, small.valid)
    for step, _ in enumerate(train_steps(model, loader, optimizer)):
        if step == 3:
            look(model, loader, small.valid)
    return weights_of(model)


@pytest.mark.parametrize(
    "look",
    [
        lambda model, loader, dataset: predict(model, dataset),
        lambda model, loader, dataset: evaluate(model, make_loader(dataset, 100)),
        lambda model, loader, dataset: evaluate(model, loader),
        lambda model, loader, dataset: list(make_loader(dataset, 32)),
    ],
    ids=["predict", "evaluate", "evaluate the training loader", "read a loader"],
)
def test_looking_does_not_change_the_run(small, look):
    assert torch.equal(trained_weights(small, look), trained_weights(small))


def test_the_optimizer_is_the_recipe_s(model):
    optimizer = make_optimizer(model)
    assert type(optimizer) is torch.optim.Adam
    (group,) = optimizer.param_groups
    assert (group["lr"], group["weight_decay"], group["betas"], len(group["params"])) == (0.001, 1e-4, (0.9, 0.999), 6)
    assert type(make_optimizer(model, 0.1, torch.optim.AdamW)) is torch.optim.AdamW
