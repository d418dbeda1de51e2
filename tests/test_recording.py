"""The recorded step of an NVIDIA GPU: the same steps. Without a GPU a stand-in repeats the recorded function."""

import inspect
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mnist_helpers import MNISTNet, fit, make_loader, make_optimizer, recording, set_seed, training

needs_a_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="records on an NVIDIA GPU only")


class DoneAgain:
    """In the place of a Recording, without a GPU: calls the function each time."""

    def __init__(self, function, *tensors):
        self.function, self.shapes = function, [tensor.shape for tensor in tensors]

    def __call__(self, *tensors):
        assert [tensor.shape for tensor in tensors] == self.shapes
        return self.function(*tensors)


def run(data, device="cpu", batch_size=32, epochs=2, network=MNISTNet):
    set_seed(0)
    model = network().to(device)
    optimizer, loader = make_optimizer(model), make_loader(data.train, batch_size, shuffle=True)
    history = fit(model, optimizer, loader, make_loader(data.valid, 100), epochs=epochs, progress=False)
    weights = torch.cat([parameter.detach().cpu().flatten() for parameter in model.parameters()])
    assert not any(group["capturable"] for group in optimizer.param_groups)
    return weights, [values for name, values in vars(history).items() if name != "seconds"]


def test_the_recorded_lines_are_those_of_train_step():
    recorded, step = [inspect.getsource(function) for function in (recording.recorded_steps, training.train_step)]
    lines = [line.strip() for line in step.splitlines()]
    body = lines[lines.index("model.train()  # dropout on") : -1]
    assert len(body) == 7 and body[-1].startswith("correct =")
    assert "\n".join(body) in "\n".join(line.strip() for line in recorded.splitlines())


@pytest.mark.parametrize("batch_size", [32, 30, 1000], ids=["whole batches", "a smaller last batch", "one batch"])
def test_recorded_steps_are_the_steps(small, monkeypatch, batch_size):
    expected = run(small, batch_size=batch_size)
    monkeypatch.setattr(recording, "Recording", DoneAgain)
    monkeypatch.setattr(training, "is_recordable", lambda *anything: True)
    weights, history = run(small, batch_size=batch_size)
    assert torch.equal(weights, expected[0]) and history == expected[1]


def test_batches_of_another_size_are_done_as_they_come(small, monkeypatch):
    monkeypatch.setattr(recording, "Recording", DoneAgain)
    images, labels = small.train.tensors
    batches = [(images[:size], labels[:size]) for size in (32, 32, 16, 16, 32, 8)]

    def losses(steps):
        model = MNISTNet(dropout=0.0)
        model.load_state_dict(start)
        found = steps(model, batches, make_optimizer(model), F.cross_entropy)
        return [(metrics.loss, metrics.accuracy, count) for metrics, count in found]

    start = MNISTNet().state_dict()
    recorded = losses(partial(recording.recorded_steps, training.Metrics, training.check_finite))
    assert recorded == losses(training.train_steps) and [count for *_, count in recorded] == [32, 32, 16, 16, 32, 8]


def test_a_recorded_step_that_diverges_is_reported(small, monkeypatch):
    monkeypatch.setattr(recording, "Recording", DoneAgain)
    monkeypatch.setattr(training, "is_recordable", lambda *anything: True)
    model, loader = MNISTNet(), make_loader(small.train, 32)
    steps = training.epoch_steps(model, make_optimizer(model), loader, loader, training.History())
    next(steps)
    model.layers[7].bias.data[0] = torch.nan
    with pytest.raises(training.DivergedError, match="nan at step 2"):
        next(steps)


def with_hook(model):
    model.layers[2].register_forward_hook(lambda *anything: None)
    return model


def with_parameter_hook(model):
    model.layers[7].bias.register_hook(lambda gradient: gradient)
    return model


class OwnLayer(nn.ReLU):
    pass


@pytest.mark.parametrize(
    "model, optimizer, loss_function, expected",
    [
        (MNISTNet, make_optimizer, F.cross_entropy, True),
        (lambda: nn.Sequential(nn.Flatten(), nn.Linear(784, 10)), make_optimizer, F.cross_entropy, True),
        (lambda: with_hook(MNISTNet()), make_optimizer, F.cross_entropy, False),
        (lambda: with_parameter_hook(MNISTNet()), make_optimizer, F.cross_entropy, False),
        (lambda: nn.Sequential(nn.Flatten(), OwnLayer(), nn.Linear(784, 10)), make_optimizer, F.cross_entropy, False),
        (MNISTNet, lambda model: torch.optim.SGD(model.parameters(), lr=0.1, fused=True), F.cross_entropy, False),
        (MNISTNet, lambda model: torch.optim.Adam(model.parameters()), F.cross_entropy, False),
        (MNISTNet, make_optimizer, F.nll_loss, False),
    ],
    ids=["recipe", "sequential", "hook", "parameter-hook", "own-layer", "SGD", "not-fused", "own-loss"],
)
def test_only_what_a_recording_does_wholly_is_recorded(monkeypatch, model, optimizer, loss_function, expected):
    model = model()
    optimizer = optimizer(model)
    assert not recording.is_recordable(model, optimizer, loss_function)  # on the processor
    monkeypatch.setattr(recording, "on_gpu", lambda parameters: True)
    assert recording.is_recordable(model, optimizer, loss_function) is expected


@needs_a_gpu
@pytest.mark.parametrize("batch_size", [32, 30], ids=["whole batches", "a smaller last batch"])
def test_on_a_gpu_the_recorded_run_is_the_run(small, monkeypatch, batch_size):
    weights, history = run(small, "cuda", batch_size)
    monkeypatch.setattr(training, "is_recordable", lambda *anything: False)
    expected = run(small, "cuda", batch_size)
    assert torch.equal(weights, expected[0]) and history == expected[1]


@needs_a_gpu
def test_on_a_gpu_what_changes_between_epochs_is_recorded_anew(small, monkeypatch):
    def run_with_changes():
        set_seed(0)
        model = MNISTNet().to("cuda")
        optimizer = make_optimizer(model)

        def change(history):
            optimizer.param_groups[0]["lr"] *= 0.1
            model.layers[3].p = 0.5

        loader = make_loader(small.train, 32, shuffle=True)
        return fit(model, optimizer, loader, loader, epochs=3, on_epoch_end=change, progress=False).running_loss

    recorded = run_with_changes()
    monkeypatch.setattr(training, "is_recordable", lambda *anything: False)
    assert recorded == run_with_changes()
