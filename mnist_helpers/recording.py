"""A training step recorded once on an NVIDIA GPU and repeated from there (a CUDA graph): the same step in less time."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from mnist_helpers.model import MNISTNet

Metrics = TypeVar("Metrics")
LAYERS = {MNISTNet, nn.Sequential, nn.Flatten, nn.Linear, nn.ReLU, nn.Dropout}
HOOKS = ["_forward_pre_hooks", "_forward_hooks", "_backward_pre_hooks", "_backward_hooks"]
HOOKS += ["_post_accumulate_grad_hooks"]


class Recording:
    """What one call of `function(*tensors)` does on the GPU, to be done again with other tensors of the same shapes.

    For a small network most of a step's time is Python telling the GPU what to do next; a recording does without. So it
    repeats no Python: what `function` reads from Python objects stays as it was when it was recorded.
    """

    def __init__(self, function: Callable[..., tuple[Tensor, ...]], *tensors: Tensor):
        self.tensors = [tensor.clone() for tensor in tensors]
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph, capture_error_mode="thread_local"):
            self.results = function(*self.tensors)

    def __call__(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Do it with these tensors; the results are overwritten by the next call."""
        for mine, given in zip(self.tensors, tensors, strict=True):
            mine.copy_(given)
        self.graph.replay()
        return self.results


def on_gpu(parameters: list[nn.Parameter]) -> bool:
    """Whether all of them lie on an NVIDIA GPU."""
    return {parameter.device.type for parameter in parameters} == {"cuda"}


def is_recordable(model: nn.Module, optimizer: Optimizer, loss_function: Callable[..., Tensor]) -> bool:
    """Whether a recorded step does all that the step does: on a GPU, with known layers, Adam and no hook.

    A layer of the student's own may do something in Python at each step, which a recording would leave out.
    """
    parameters = list(model.parameters())
    return (
        on_gpu(parameters)
        and {type(layer) for layer in model.modules()} <= LAYERS
        and not any(getattr(part, name, None) for part in [*model.modules(), *parameters] for name in HOOKS)
        and loss_function is F.cross_entropy
        and type(optimizer) is Adam
        and all(group["fused"] for group in optimizer.param_groups)
    )


def recorded_steps(
    metrics: Callable[[float, float], Metrics],
    check: Callable[[float, str], None],
    model: nn.Module,
    loader: Iterable,
    optimizer: Optimizer,
    loss_function: Callable[..., Tensor],
) -> Iterator[tuple[Metrics, int]]:
    """`train_steps` in less time, where `is_recordable` says yes: its second step is recorded, and then repeated.

    The first step, which readies the optimizer, and batches of another size are done as they come.
    `metrics` makes what a step yields from loss and accuracy; `check` raises for a loss that is no number, as there.
    """
    device, recording, size = next(model.parameters()).device, None, 0

    def step(images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        # the lines of train_step, without reading the two numbers
        model.train()  # dropout on
        logits = model(images)  # (batch, 10), before softmax
        loss = loss_function(logits, labels)  # a mean over the batch
        optimizer.zero_grad()  # forget the gradients of the last step
        loss.backward()  # compute the new ones
        optimizer.step()  # change the weights
        correct = (logits.argmax(dim=1) == labels).sum()
        return loss.detach(), correct

    for number, (images, labels) in enumerate(loader, start=1):
        images, labels = images.to(device), labels.to(device)
        if number > 1 and len(labels) == size:
            if recording is None:
                with capturable(optimizer):
                    recording = Recording(step, images, labels)
            loss, correct = recording(images, labels)
        else:
            loss, correct = step(images, labels)
            size = size or len(labels)
        check(loss.item(), f"at step {number}")
        yield metrics(loss.item(), correct.item() / len(labels)), len(labels)


@contextmanager
def capturable(optimizer: Optimizer) -> Iterator[None]:
    """Within a `with` block the optimizer's step may be recorded, which PyTorch refuses else."""
    for group in optimizer.param_groups:
        group["capturable"] = True
    try:
        yield
    finally:
        for group in optimizer.param_groups:
            group["capturable"] = False
