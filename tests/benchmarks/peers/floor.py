"""What is left when nothing but the arithmetic is done: gradients by hand, every result into a buffer that is there.

One thread, no autograd, no modules, one call of Adam for all weights, dropout masks drawn for many steps at once, no
running loss. The arithmetic and its precision are those of the recipe.
"""

from collections.abc import Iterator

import numpy as np
import torch

from ..task import DROPOUT, LR, VALID_BATCH, WEIGHT_DECAY, Task, timed

MASKS = 50  # steps whose dropout masks are drawn at once
relu_backward = torch.ops.aten.threshold_backward


class Floor:
    """A network 784 → `sizes` → 10 with its gradients, the state of Adam, and the buffers for one batch size."""

    def __init__(self, sizes: tuple[int, ...], batch: int, dropout: float = DROPOUT):
        self.batch, self.dropout = batch, dropout
        shapes = list(zip((*sizes, 10), (784, *sizes)))
        count = sum(outputs * inputs + outputs for outputs, inputs in shapes)
        self.flat, self.flat_gradient, self.mean, self.square = torch.zeros(4, count).unbind()
        self.steps = torch.zeros(())
        self.layers, self.gradients = (views(flat, shapes) for flat in (self.flat, self.flat_gradient))
        for (_, inputs), layer in zip(shapes, self.layers):
            for part in layer:
                part.uniform_(-(inputs**-0.5), inputs**-0.5)
        self.images, self.truth = torch.empty(batch, 784), torch.empty(batch, 10)
        self.outputs, self.errors = ([torch.empty(batch, size) for size in (*sizes, 10)] for _ in range(2))
        self.masks = [torch.empty(MASKS, batch, size) for size in sizes]
        self.unused, self.random = MASKS, np.random.Generator(np.random.SFC64())

    def draw_masks(self) -> None:
        """Numbers 0 or 1 / (1 − dropout) for the next MASKS steps."""
        for masks in self.masks:
            self.random.random(out=masks.numpy(), dtype=np.float32)  # faster than PyTorch's bernoulli_
            torch.ge(masks, self.dropout, out=masks).div_(1 - self.dropout)
        self.unused = 0

    def forward(self) -> None:
        """From `images` to `outputs`, with dropout; the last of them are the logits."""
        if self.unused == MASKS:
            self.draw_masks()
        inputs = self.images
        for (weight, bias), outputs, masks in zip(self.layers, self.outputs, self.masks):
            torch.addmm(bias, inputs, weight.T, out=outputs)
            inputs = outputs.relu_().mul_(masks[self.unused])
        weight, bias = self.layers[-1]
        torch.addmm(bias, inputs, weight.T, out=self.outputs[-1])
        self.unused += 1

    def backward(self) -> None:
        """The gradients of the mean cross-entropy, into `gradients`: softmax − truth, then layer by layer."""
        torch.softmax(self.outputs[-1], 1, out=self.errors[-1]).sub_(self.truth).div_(self.batch)
        for number in reversed(range(len(self.layers))):
            inputs, errors = (self.outputs[number - 1] if number else self.images), self.errors[number]
            torch.mm(errors.T, inputs, out=self.gradients[number][0])
            torch.sum(errors, 0, out=self.gradients[number][1])
            if number:  # a unit that is 0 was below zero or dropped; the others were divided by 1 − dropout
                below = torch.mm(errors, self.layers[number][0], out=self.errors[number - 1])
                relu_backward(below, inputs, 0, grad_input=below).div_(1 - self.dropout)

    def adam(self) -> None:
        """One step of Adam on all weights at once."""
        self.steps += 1
        state = [self.flat], [self.flat_gradient], [self.mean], [self.square], [], [self.steps]
        settings = {"lr": LR, "beta1": 0.9, "beta2": 0.999, "weight_decay": WEIGHT_DECAY, "eps": 1e-8}
        torch._fused_adam_(*state, **settings, amsgrad=False, maximize=False)

    def measure(self, images: torch.Tensor, labels: torch.Tensor) -> float:
        """The accuracy on these images, dropout off; the loss is computed, too, as everywhere else."""
        loss = correct = 0
        for values, truth in zip(images.split(VALID_BATCH), labels.split(VALID_BATCH)):
            for weight, bias in self.layers[:-1]:
                values = torch.addmm(bias, values, weight.T).relu_()
            logits = torch.addmm(self.layers[-1][1], values, self.layers[-1][0].T)
            loss += torch.nn.functional.cross_entropy(logits, truth, reduction="sum").item()
            correct += (logits.argmax(dim=1) == truth).sum().item()
        return correct / len(labels)


def views(flat: torch.Tensor, shapes: list[tuple[int, int]]) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Weight and bias of each layer as parts of one long tensor."""
    parts, start = [], 0
    for outputs, inputs in shapes:
        end = start + outputs * inputs
        parts.append((flat[start:end].view(outputs, inputs), flat[end : end + outputs]))
        start = end + outputs
    return parts


def epochs(task: Task) -> Iterator[dict[str, float]]:
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    images, labels, valid_images, valid_labels = (torch.from_numpy(array) for array in task.arrays())
    images, valid_images = (part.flatten(1) / 255 for part in (images, valid_images))
    one_hot = torch.nn.functional.one_hot(labels, 10).float()
    floor = Floor((task.width, task.width // 2), min(task.batch, len(images)))

    def train():
        for rows in torch.randperm(len(images)).split(floor.batch):
            if len(rows) == floor.batch:  # an incomplete last batch is left out
                torch.index_select(images, 0, rows, out=floor.images)
                torch.index_select(one_hot, 0, rows, out=floor.truth)
                floor.forward()
                floor.backward()
                floor.adam()

    with torch.no_grad():
        yield from timed(
            task, train, lambda: floor.measure(valid_images, valid_labels), lambda: floor.measure(images, labels)
        )
