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
from mnist_helpers.quick import flushes_denormals
from mnist_helpers.training import DivergedError, History, Metrics, evaluate, fit, make_optimizer, set_seed, train_step
from panels import equal_weights, random_states


def sgd(model, lr=0.1):
    return torch.optim.SGD(model.parameters(), lr=lr)


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


def test_loss_and_accuracy_of_a_step_are_those_before_it_as_evaluate_gives_them(still_model, batch):
    images, labels = batch[0], still_model(batch[0]).argmax(dim=1)
    labels[:8] = (labels[:8] + 1) % 10
    logits = still_model(images)
    by_hand = logits.exp().sum(dim=1).log() - logits[range(32), labels]  # log Σ exp(logits) − the true class's logit
    for metrics in (
        evaluate(still_model, [(images, labels)]),
        train_step(still_model, images, labels, sgd(still_model)),
    ):
        assert metrics.loss == pytest.approx(by_hand.mean().item(), rel=1e-6) and metrics.accuracy == 0.75


def test_each_step_moves_the_weights_against_the_gradient_of_its_batch_only(still_model, batch):
    optimizer = sgd(still_model, lr=0.1)
    for _ in range(2):
        twin = copy.deepcopy(still_model)
        twin.zero_grad()
        nn.functional.nll_loss(twin(batch[0]).log_softmax(dim=1), batch[1]).backward()
        expected = [parameter.detach() - 0.1 * parameter.grad for parameter in twin.parameters()]
        train_step(still_model, *batch, optimizer)
        torch.testing.assert_close([parameter.detach() for parameter in still_model.parameters()], expected)


def test_each_example_weighs_the_same_in_a_ragged_last_batch(still_model):
    images = torch.rand(33, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():  # the model is right about the last one only, so that the lonely last batch is unlike others
        labels = still_model(images).argmin(dim=1)
        labels[-1] = still_model(images[-1:]).argmax()
    for measure in (evaluate, lambda model, loader: training.train_epoch(model, loader, sgd(model, lr=0))):
        whole, ragged = (measure(still_model, make_loader(TensorDataset(images, labels), size)) for size in (33, 32))
        assert ragged.loss == pytest.approx(whole.loss, rel=1e-5)
        assert ragged.accuracy == pytest.approx(whole.accuracy) == pytest.approx(1 / 33)


def test_a_step_has_dropout_on_and_evaluate_has_it_off_without_gradients_and_changes_nothing(model, batch):
    enabled, before = [], copy.deepcopy(model)
    model.register_forward_hook(lambda *_: enabled.append(torch.is_grad_enabled()))
    assert evaluate(model, [batch]) == evaluate(model, [batch])
    assert enabled == [False, False]
    assert equal_weights(model, before)
    assert all(parameter.grad is None for parameter in model.parameters())
    assert len({train_step(model.eval(), *batch, sgd(model, lr=0)).loss for _ in range(3)}) == 3


@pytest.mark.parametrize("modes", [(True, True), (False, False), (True, False), (False, True)])
@pytest.mark.parametrize(
    "run, error",
    [
        (lambda model, batch: evaluate(model, [batch]), None),
        (lambda model, batch: predict(model, TensorDataset(*batch)), None),
        (lambda model, batch: evaluate(model, [batch, None]), TypeError),
        (lambda model, batch: predict(model, TensorDataset(torch.zeros(2, 5), torch.zeros(2))), ValueError),
    ],
    ids=["evaluate", "predict", "evaluate with an error", "predict with an error"],
)
def test_each_layer_comes_back_in_the_mode_it_was_in(model, batch, run, error, modes):
    whole, dropout = modes
    model.train(whole).layers[3].train(dropout)
    before = [layer.training for layer in model.modules()]
    with pytest.raises(error) if error else contextlib.nullcontext():
        run(model, batch)
    assert [layer.training for layer in model.modules()] == before


def trained_model(data, look=lambda model, loader, dataset: None):
    """A model after three epochs, with `look` called between them and in the middle of the second."""
    set_seed(0)
    model, loader = MNISTNet(), make_loader(data.train, 32, shuffle=True)
    optimizer = make_optimizer(model)
    training.train_epoch(model, loader, optimizer)
    for step, _ in enumerate(training.train_steps(model, loader, optimizer)):
        if step in (0, 3):
            before = random_states()
            look(model, loader, data.valid)
            assert random_states() == before
    look(model, loader, data.valid)
    training.train_epoch(model, loader, optimizer)
    return model


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
    assert equal_weights(trained_model(small, look), trained_model(small))


def test_fit_lowers_the_loss_on_real_digits_as_evaluate_measures_it(model, loaders):
    before = evaluate(model, loaders[1])
    history = fit(model, torch.optim.Adam(model.parameters()), *loaders, epochs=4, progress=False)
    assert history.train_loss[-1] < history.train_loss[0] < before.loss
    assert history.valid_loss[-1] < history.valid_loss[0] < before.loss
    assert history.valid_accuracy[-1] > before.accuracy + 0.3
    for part, loader in zip(["train", "valid"], loaders):
        metrics = evaluate(model, loader)
        assert getattr(history, f"{part}_loss")[-1] == pytest.approx(metrics.loss, rel=1e-5)
        assert getattr(history, f"{part}_accuracy")[-1] == pytest.approx(metrics.accuracy, rel=1e-5)


def test_the_running_values_are_taken_while_the_weights_move_and_with_dropout_on(still_model, model, loaders):
    before = evaluate(still_model, loaders[0]).loss
    history = fit(still_model, sgd(still_model), *loaders, epochs=1, progress=False)
    assert history.train_loss[0] < history.running_loss[0] < before
    history = fit(model, sgd(model, lr=0), *loaders, epochs=1, progress=False)
    assert history.running_loss[0] > history.train_loss[0] + 1e-3


@pytest.mark.parametrize("epochs", [2, np.int64(2)], ids=["int", "numpy's int"])
def test_the_history_holds_one_entry_an_epoch_with_its_wall_time(model, loaders, monkeypatch, epochs):
    clock, lengths = iter([100.0, 102.5, 200.0, 203.0]), []
    monkeypatch.setattr(training.time, "perf_counter", lambda: next(clock))
    options = {"progress": False, "on_epoch_end": lambda history: lengths.append(len(history))}
    history = fit(model, sgd(model), *loaders, epochs=epochs, **options)
    assert len(history) == 2 and history.epoch_numbers == lengths == [1, 2]
    assert {len(values) for values in vars(history).values()} == {2}
    assert history.seconds == [2.5, 3.0]


def test_the_same_seed_gives_the_same_run_to_the_last_bit_and_another_seed_another(small):
    def seeded_run(seed):
        set_seed(seed)
        model = MNISTNet()
        loaders = make_loader(small.train, 32, shuffle=True), make_loader(small.valid, 1000)
        history = fit(model, make_optimizer(model), *loaders, epochs=2, progress=False)
        return model, history.to_frame().drop(columns="seconds")

    (model, history), (again, history_again), (other, other_history) = (seeded_run(seed) for seed in (3, 3, 4))
    assert equal_weights(model, again) and not equal_weights(model, other)
    pd.testing.assert_frame_equal(history, history_again, check_exact=True)
    assert not history.equals(other_history)


def test_fit_trains_any_module_with_any_optimizer(loaders):
    set_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 4, 5, stride=3), nn.BatchNorm2d(4), nn.Flatten(), nn.LazyLinear(10))
    model(torch.zeros(2, 1, 28, 28))
    before = evaluate(model, loaders[1]).loss
    fit(model, torch.optim.RMSprop(model.parameters(), lr=0.001), *loaders, epochs=2, progress=False)
    assert evaluate(model, loaders[1]).loss < before


@pytest.mark.parametrize("progress", [True, False])
def test_fit_takes_an_iterable_without_a_length_and_a_stream(model, batch, progress):
    stream = type("Stream", (IterableDataset,), {"__iter__": lambda self: zip(*batch)})()
    for loader in (passes(lambda _: [batch, batch]), DataLoader(stream, batch_size=8)):
        assert len(fit(model, sgd(model), loader, loader, epochs=2, progress=progress)) == 2


@pytest.mark.parametrize("number", [0, -1, 2.5, "3", True], ids=repr)
@pytest.mark.parametrize("name", ["epochs", "threads"])
def test_a_number_of_epochs_or_threads_that_cannot_be_is_refused(model, loaders, name, number):
    before = copy.deepcopy(model)
    with pytest.raises(ValueError, match=f"{name} must be a whole number from 1 up, got {number!r}"):
        fit(model, sgd(model), *loaders, **{name: number})
    assert equal_weights(model, before)


def test_a_loader_without_batches_is_refused(model, batch):
    for run in (
        lambda: evaluate(model, []),
        lambda: training.train_epoch(model, [], sgd(model)),
        lambda: fit(model, sgd(model), [], [batch], progress=False),
        lambda: fit(model, sgd(model), [batch], [], progress=False),
    ):
        with pytest.raises(ValueError, match="empty"):
            run()


def test_the_progress_bar_counts_epochs_and_steps_and_can_be_left_out(model, batch, capsys):
    fit(model, sgd(model), [batch] * 4, [batch], epochs=2)
    shown = capsys.readouterr().out
    assert "epoch 2/2" in shown and "8/8" in shown
    fit(model, sgd(model), [batch] * 4, [batch], epochs=2, progress=False)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    "answer, epochs",
    [(True, 1), (np.bool_(True), 1)]
    + [(answer, 2) for answer in (None, False, np.bool_(False), "a figure", [1, 2], np.array([True, True]))],
    ids=repr,
)
def test_training_stops_when_on_epoch_end_returns_true_and_nothing_else(model, batch, answer, epochs):
    assert len(fit(model, sgd(model), [batch], [batch], epochs=2, on_epoch_end=lambda _: answer)) == epochs


def interrupted_in(pass_number, batch):
    """Passes of three batches; in the pass of that number an interrupt comes after the first batch."""

    def batches(number):
        yield batch
        if number == pass_number:
            raise KeyboardInterrupt
        yield batch
        yield batch

    return passes(batches)


def interrupt(history):
    if len(history) == 2:
        raise KeyboardInterrupt


@pytest.mark.parametrize(
    "pass_number, on_epoch_end, epoch, completed",
    [(1, None, 1, 0), (2, None, 1, 0), (3, None, 2, 1), (4, None, 2, 1), (0, interrupt, 2, 2)],
    ids=["training 1", "measuring 1", "training 2", "measuring 2", "in the callback"],
)
def test_an_interrupt_returns_the_completed_epochs(model, batch, capsys, pass_number, on_epoch_end, epoch, completed):
    for progress in (True, False):
        options = {"epochs": 5, "progress": progress, "on_epoch_end": on_epoch_end}
        history = fit(model, sgd(model), interrupted_in(pass_number, batch), [batch], **options)
        assert {len(values) for values in vars(history).values()} == {completed}
        assert f"Interrupted in epoch {epoch}: the history holds the completed epochs." in capsys.readouterr().out


def test_an_interrupted_model_keeps_the_weights_of_its_last_step(still_model, batch):
    twin = copy.deepcopy(still_model)
    train_step(twin, *batch, sgd(twin))
    fit(still_model, sgd(still_model), interrupted_in(1, batch), [batch], progress=False)
    assert equal_weights(still_model, twin)


def test_nan_in_the_images_is_reported_with_epoch_and_step_and_the_epochs_before(model, batch):
    poisoned = (batch[0] * torch.nan, batch[1])
    loader = passes(lambda number: [batch, batch, poisoned] if number == 5 else [batch] * 3)
    with pytest.raises(DivergedError, match="epoch 3.*nan.*step 3.*learning rate.*NaN in the images") as caught:
        fit(model, sgd(model), loader, [batch], epochs=5, progress=False)
    assert len(caught.value.history) == 2


@pytest.mark.parametrize("steps", [1, 5], ids=["in the last step", "before"])
def test_a_learning_rate_that_is_far_too_high_is_reported(still_model, batch, steps):
    with pytest.raises(DivergedError, match="epoch 1"):
        fit(still_model, sgd(still_model, lr=1e30), [batch] * steps, [batch], epochs=1, progress=False)


def made_history(*valid_losses):
    history = History()
    for loss in valid_losses:
        history.append(Metrics(0.3, 2.0), Metrics(loss, 4.0), Metrics(5.0, 6.0), 7.0)
    return history


@pytest.mark.parametrize("losses, best", [([0.5, 0.2, 0.3], 2), ([0.5, math.nan, 0.4], 3)])
def test_the_best_epoch_has_the_lowest_validation_loss(losses, best):
    assert made_history(*losses).best_epoch == best
    with pytest.raises(ValueError, match="empty"):
        _ = History().best_epoch


def test_metrics_are_shown_with_percent_and_a_history_as_a_table_with_the_epochs_from_1():
    assert str(Metrics(0.12345, 0.975)) == "loss 0.1235, accuracy 97.50%"
    assert made_history(3.0) == History([0.3], [2.0], [3.0], [4.0], [5.0], [6.0], [7.0])
    history = made_history(0.5, 0.1 + 0.2, 1e-17)
    frame, lines, html = history.to_frame(), str(history).splitlines(), history._repr_html_()
    assert frame.index.tolist() == history.epoch_numbers == [1, 2, 3] and frame.index.name == "epoch"
    assert repr(history) == str(history) and lines[0].split() == list(vars(history))
    assert lines[3].split()[:4] == ["2", "0.3000", "2.0000", "0.3000"]
    assert "<table" in html and "<th>valid_loss</th>" in html and "<td>0.3000</td>" in html


def test_set_seed_repeats_the_random_numbers_of_python_numpy_and_torch():
    drawn = []
    for seed in (7, 7, 8):
        set_seed(seed)
        drawn.append([random.random(), np.random.rand(), torch.rand(1).item()])
    assert drawn[0] == drawn[1] and not set(drawn[0]) & set(drawn[2])


def test_pick_device_prefers_cuda_to_mps_to_the_processor(monkeypatch):
    assert (torch.ones(2, device=training.pick_device()) + 1).sum().item() == 4
    for cuda, mps, expected in [
        (True, True, "cuda"),
        (True, False, "cuda"),
        (False, True, "mps"),
        (False, False, "cpu"),
    ]:
        monkeypatch.setattr(torch.cuda, "is_available", lambda answer=cuda: answer)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda answer=mps: answer)
        assert training.pick_device() == torch.device(expected)


def test_the_optimizer_is_the_recipe_s(model):
    optimizer = make_optimizer(model)
    assert type(optimizer) is torch.optim.Adam
    (group,) = optimizer.param_groups
    assert (group["lr"], group["weight_decay"], group["betas"], len(group["params"])) == (0.001, 1e-4, (0.9, 0.999), 6)
    other = make_optimizer(model, 0.1, torch.optim.AdamW, lr=0.5)
    assert type(other) is torch.optim.AdamW
    assert (other.param_groups[0]["weight_decay"], other.param_groups[0]["lr"]) == (0.1, 0.5)


def test_importing_the_package_changes_no_setting_of_pytorch():
    code = (
        "import torch; torch.set_num_threads(3); import mnist_helpers, mnist_helpers.widgets; "
        "print(torch.get_num_threads(), (torch.tensor([1e-38]) * 0.1).item() > 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout == "3 True\n"


@pytest.fixture(params=[(2, False), (3, True)], ids=["two threads", "three threads, denormals flushed"])
def other_settings(request):
    """Settings of PyTorch as the user may have them (threads, denormals flushed); the tests' own come back."""
    before = torch.get_num_threads(), flushes_denormals()
    torch.set_num_threads(request.param[0])
    torch.set_flush_denormal(request.param[1])
    yield torch.get_num_threads(), flushes_denormals()
    torch.set_num_threads(before[0])
    torch.set_flush_denormal(before[1])


@pytest.mark.parametrize("error", [None, ZeroDivisionError, KeyboardInterrupt])
@pytest.mark.parametrize("threads", [{}, {"threads": 4}], ids=str)
def test_fit_puts_pytorchs_settings_back_and_lets_errors_pass(model, batch, other_settings, error, threads):
    inside = []

    def look(history):
        inside.append((torch.get_num_threads(), flushes_denormals()))
        if error:
            raise error

    with pytest.raises(ZeroDivisionError) if error is ZeroDivisionError else contextlib.nullcontext():
        fit(model, sgd(model), [batch], [batch], epochs=1, on_epoch_end=look, **threads)
    outside = torch.get_num_threads(), flushes_denormals()
    assert outside == other_settings
    assert inside == [(threads.get("threads", 1), torch.set_flush_denormal(True))]
