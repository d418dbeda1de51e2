"""Answers to the exercises of lesson 8."""

import copy
import math
import re

import numpy as np
import torch
import torch.nn.functional as F
from torch.utils.data import TensorDataset

from lessons import PATHS, markdown_cells, read
from mnist_helpers import train_step
from mnist_helpers.labs.broken import shared_images


def from_logits(classes):
    label = torch.tensor([classes - 1])
    equal, sure = torch.ones(1, classes), torch.eye(classes)[-1:]
    return F.cross_entropy(equal, label), F.cross_entropy(sure, label)


def from_probabilities(classes):
    odds = np.exp([1.0] + [0.0] * (classes - 1))
    return -np.log([1 / classes, odds[0] / odds.sum()])


def ends(classes):
    return math.log(math.e + classes - 1) - 1


def in_two_loops(train, valid):
    count = 0
    for image in valid:
        for other in train:
            if torch.equal(image, other):
                count += 1
                break
    return count


def with_bytes(train, valid):
    kept = {image.numpy().tobytes() for image in train}
    return len([image for image in valid if image.numpy().tobytes() in kept])


def all_pairs(train, valid):
    return (train.flatten(1)[None] == valid.flatten(1)[:, None]).all(dim=2).any(dim=1).sum()


def at_distance_zero(train, valid):
    return (torch.cdist(valid.flatten(1), train.flatten(1), p=1).min(dim=1).values == 0).sum().item()


def with_numbers_of_rows(train, valid):
    _, numbers = torch.cat([train, valid]).flatten(1).unique(dim=0, return_inverse=True)
    return np.isin(numbers[len(train) :], numbers[: len(train)]).sum()


def sums(train, valid):
    return np.isin(valid.numpy().sum(axis=(1, 2, 3)), train.numpy().sum(axis=(1, 2, 3))).sum()


def in_a_set(train, valid):
    kept = set(train)
    return sum(image in kept for image in valid)


def pairs(train, valid):
    return sum(torch.equal(image, other) for image in valid for other in train)


def nearly(train, valid):
    return torch.isclose(train[:, None], valid, atol=0.01).flatten(2).all(dim=2).any(dim=0).sum()


def each_once(train, valid):
    return len({tuple(image.flatten().tolist()) for image in valid} & {tuple(x.flatten().tolist()) for x in train})


def of_package_for_all_sets(train, valid):
    return shared_images(TensorDataset(train), TensorDataset(valid))


RIGHT_TEXT = """
def training(model, optimizer, batches, valid_images, valid_labels, epochs):
    losses = []
    for _ in range(epochs):
        model.train()
        for images, labels in batches:
            loss = F.cross_entropy(model(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            losses.append(F.cross_entropy(model(valid_images), valid_labels).item())
        if losses[-1] == min(losses):
            best = copy.deepcopy(model.state_dict())
    model.load_state_dict(best)
    return losses
"""


def with_lines(*changes, text=RIGHT_TEXT):
    """The training with other lines."""
    for line, other in changes:
        assert line in text
        text = text.replace(line, other)
    scope = {"F": F, "torch": torch, "copy": copy}
    exec(text, scope)
    return scope["training"]


def of_package(model, optimizer, batches, valid_images, valid_labels, epochs):
    best, losses = float("inf"), []
    for epoch in range(epochs):
        for images, labels in batches:
            train_step(model, images, labels, optimizer)
        with torch.inference_mode():
            losses.append(F.cross_entropy(model.eval()(valid_images), valid_labels))
        if losses[epoch] < best:
            best = losses[epoch]
            kept = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    model.load_state_dict(kept)
    return torch.stack(losses)


def keeps_copies_of_all(model, optimizer, batches, valid_images, valid_labels, epochs):
    copies, losses = [], np.zeros(epochs)
    for epoch in range(epochs):
        model.train()
        for images, labels in batches:
            (-model(images).log_softmax(dim=1)[range(len(labels)), labels].mean()).backward()
            optimizer.step()
            optimizer.zero_grad()
        copies.append(copy.deepcopy(model).eval())
        losses[epoch] = F.cross_entropy(copies[-1](valid_images), valid_labels).item()
    model.load_state_dict(copies[losses.argmin()].state_dict())
    return losses


def given(*changes):
    """The training with its faults, as the lesson shows it, with other lines."""
    (path,) = [path for path in PATHS if path.stem.startswith("08")]
    text = "\n".join(cell.source for cell in markdown_cells(read(path)))
    return with_lines(*changes, text=re.search(r"```python\n(def training.*?)```", text, re.S)[1])


ZERO = "            optimizer.zero_grad()\n"
TRAIN = "        model.train()\n"
STEP = "            loss.backward()\n            optimizer.step()\n"
COPY = "copy.deepcopy(model.state_dict())", "model.state_dict()"
LOGITS = "model(images), labels", "model(images).softmax(dim=1), labels"
BETWEEN = "            loss.backward()\n            optimizer.zero_grad()\n            optimizer.step()\n"
BACKWARDS = "            optimizer.step()\n            loss.backward()\n"
LOAD = "    model.load_state_dict(best)\n"
LOOP = "    for _ in range(epochs):\n"

RIGHT = {
    "08.1": [lambda classes: (math.log(classes), ends(classes)), from_logits, from_probabilities],
    "08.2": [in_two_loops, with_bytes, all_pairs, at_distance_zero, with_numbers_of_rows],
    "08.3": [with_lines(), of_package, keeps_copies_of_all, with_lines((COPY[0], "copy.deepcopy(model).state_dict()"))],
}

WRONG = {
    "08.1": {
        lambda classes: (math.log10(classes), ends(classes)): "the first number gives 1, and 2.303 is right: the logar",
        lambda classes: (math.log2(classes), ends(classes)): "base 2",
        lambda classes: (1 / classes, ends(classes)): "probability of each class",
        lambda classes: (1 - 1 / classes, ends(classes)): "how often a guess is wrong",
        lambda classes: (math.log(10), ends(classes)): "whatever the number",
        lambda classes: (math.log(1 / classes), ends(classes)): "sign",
        lambda classes: (-math.log(1 / classes) / classes, ends(classes)): "not weighted",
        lambda classes: (ends(classes), math.log(classes)): "swapped",
        lambda classes: (math.log(classes), 0): "for logits",
        lambda classes: (math.log(classes), ends(10)): "for 10 classes",
        lambda classes: (math.log(classes), math.log(math.e + classes) - 1): "*other* classes",
        lambda classes: (math.log(classes), math.log(math.e + classes - 1)): "on a wrong class",
        lambda classes: (math.log(classes), 1 - math.log(math.e + classes - 1)): "sign",
        lambda classes: (math.log(classes), math.log(classes)): "nothing is known",
        lambda classes: (math.log(classes), math.e / (math.e + classes - 1)): "second softmax",
        lambda classes: (math.log(classes), ends(classes) / math.log(10)): "base 10",
        lambda classes: math.log(classes): "two numbers",
    },
    "08.2": {
        lambda train, valid: sum(torch.equal(*both) for both in zip(train, valid)): "same place only",
        sums: "only the sums",
        lambda train, valid: sum(image in train for image in valid): "`image in train`",
        lambda train, valid: torch.isin(valid, train).sum(): "counts pixels",
        lambda train, valid: (train[:, None] == valid).sum(): "equal pixels in all pairs",
        lambda train, valid: (train[: len(valid)] == valid[: len(train)]).sum().item(): "counts pixels, not images",
        in_a_set: "0: tensors in a set",
        pairs: "counts pairs",
        lambda train, valid: with_bytes(valid, train): "the other way",
        each_once: "counts each time",
        of_package_for_all_sets: "twice in the same set",
        lambda train, valid: with_bytes(train, valid) / len(valid): "the share",
        lambda train, valid: len(valid) - with_bytes(train, valid): "*not* in both",
        nearly: "nearly equal",
        lambda train, valid: with_bytes(train, valid) > 0: "should be one number",
    },
    "08.3": {
        with_lines(LOGITS): "one fault shows: `F.cross_entropy` gets probabilities",
        with_lines((ZERO + STEP, BETWEEN)): "one fault shows: no weight moves",
        with_lines((ZERO, ""), (STEP, BACKWARDS)): "`step()` comes before `backward()`",
        with_lines((ZERO + STEP, ZERO + BACKWARDS)): "one fault shows: no weight moves",
        with_lines((ZERO, "")): "one fault shows: the gradients are never set",
        with_lines((TRAIN, "")): "one fault shows: dropout is off while training",
        with_lines((TRAIN, ""), (LOOP, "    model.train()\n" + LOOP)): "nothing switches it on for the next epoch",
        with_lines((TRAIN, ""), ("        if losses", TRAIN + "        if losses")): "arrives in eval mode",
        with_lines(("        model.eval()\n", "")): "one fault shows: dropout is on while measuring",
        with_lines(("model(valid_images)", "model(valid_images).softmax(dim=1)")): "is computed from probabilities",
        with_lines(("min(losses)", "max(losses)")): "one fault shows: the epoch with the highest",
        with_lines(COPY): "one fault shows: at the end",
        with_lines((LOAD, "")): "one fault shows: at the end",
        with_lines((LOAD, "        model.load_state_dict(best)\n")): "after the loop",
        with_lines(LOGITS, COPY): "2 faults show; one of them: `F.cross_entropy`",
        with_lines(LOGITS, COPY, (TRAIN, "")): "3 faults show; one of them: `F.cross_entropy`",
        with_lines((ZERO, ""), COPY): "2 faults show; one of them: the gradients are never",
        with_lines(("F.cross_entropy(model(images)", "F.nll_loss(model(images)")): "the validation losses are",
        with_lines(("losses[-1] == min(losses)", "len(losses) == 2")): "not those after epoch",
        with_lines(("return losses", "return min(losses)")): "should have the shape (5,)",
        with_lines(("    return losses", "")): "is there a `return`?",
        given(): "one fault shows: no weight moves",
        given(("            optimizer.zero_grad()\n", "")): "faults show; one of them: `F.cross_entropy`",
        given((BETWEEN, ZERO + STEP)): "3 faults show; one of them: `F.cross_entropy`",
    },
}
