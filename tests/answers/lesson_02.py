"""Answers to the exercises of lesson 2."""

import numpy as np
import torch
from torch import nn


def in_a_loop(sizes):
    total = 0
    for before, after in zip(sizes, sizes[1:]):
        total += (before + 1) * after
    return total


def with_pytorch(sizes):
    net = nn.Sequential(*(nn.Linear(before, after) for before, after in zip(sizes, sizes[1:])))
    return sum(parameter.numel() for parameter in net.parameters())


def as_a_tensor(sizes):
    sizes = torch.tensor(sizes)
    return ((sizes[:-1] + 1) * sizes[1:]).sum()


def pairs(sizes):
    return list(zip(sizes, sizes[1:]))


def by_numpy(logits):
    powers = np.exp(logits.numpy() - logits.numpy().max(axis=1, keepdims=True))
    return powers.argmax(axis=1).tolist(), (powers / powers.sum(axis=1, keepdims=True)).max(axis=1)


def one_by_one(logits):
    rows = [row.softmax(dim=0) for row in logits]
    return [int(row.argmax()) for row in rows], [float(row.max()) for row in rows]


def from_max(logits):
    probabilities, classes = logits.softmax(dim=1).max(dim=1)
    return classes, probabilities


def unstable(logits):
    return logits.argmax(dim=1), (logits.exp() / logits.exp().sum(dim=1, keepdim=True)).max(dim=1).values


def unstable_throughout(logits):
    probabilities = logits.exp() / logits.exp().sum(dim=1, keepdim=True)
    return probabilities.argmax(dim=1), probabilities.max(dim=1).values


def dropout_with(mask, factor, in_evaluation=lambda values, p: values):
    def dropout(values, p, training):
        return values * mask(values, p) * factor(p) if training else in_evaluation(values, p)

    return dropout


def drawn(values, p):
    return torch.rand_like(values) >= p


def exactly_so_many(values, p):
    mask = torch.ones(values.numel())
    mask[torch.randperm(len(mask))[: round(p * len(mask))]] = 0
    return mask.reshape(values.shape)


def grown(p):
    return 1 / (1 - p)


def with_where(values, p, training):
    if not training:
        return values
    return torch.where(torch.rand(values.shape) < p, torch.zeros(()), values / (1 - p))


def with_bernoulli(values, p, training):
    return values * torch.bernoulli(torch.full_like(values, 1 - p)) / (1 - p) if training else values.clone()


def with_numpy(values, p, training):
    keep = np.random.default_rng().random(values.shape) >= p
    return values.numpy() * keep / (1 - p) if training else values.numpy()


def in_place(values, p, training):
    return values.mul_(drawn(values, p)).div_(1 - p) if training else values


RIGHT = {
    "02.1": [in_a_loop, with_pytorch, as_a_tensor, lambda sizes: np.dot(np.add(sizes[:-1], 1), sizes[1:])],
    "02.2": [from_max, by_numpy, one_by_one],
    "02.3": [dropout_with(drawn, grown), with_where, with_bernoulli, with_numpy, nn.functional.dropout],
}

WRONG = {
    "02.1": {
        lambda sizes: sum(a * b for a, b in pairs(sizes)): "biases are not counted",
        lambda sizes: sum(a * b + 1 for a, b in pairs(sizes)): "one bias is counted for each layer",
        lambda sizes: sum(a * b for a, b in pairs(sizes)) + sum(sizes): "the inputs are counted",
        lambda sizes: sum(a * (b + 1) for a, b in pairs(sizes)): "belongs to the outputs",
        lambda sizes: (sizes[0] + 1) * sizes[-1]: "left out",
        lambda sizes: [(a + 1) * b for a, b in pairs(sizes)]: "should be one number",
        lambda sizes: print(end=""): "is there a `return`?",
    },
    "02.2": {
        lambda logits: (logits.argmax(dim=0), logits.softmax(dim=1).max(dim=1).values): "goes down the images",
        lambda logits: (logits.argmin(dim=1), logits.softmax(dim=1).max(dim=1).values): "smallest logits",
        lambda logits: (logits.argmax(dim=1), logits.max(dim=1).values): "the softmax is missing",
        lambda logits: (logits.argmax(dim=1), logits.softmax(dim=1)): "all probabilities came out",
        lambda logits: (
            logits.argmax(dim=1),
            logits.softmax(dim=0).gather(1, logits.argmax(dim=1, keepdim=True))[:, 0],
        ): "across the classes of one image",
        lambda logits: (logits.argmax(dim=1), logits.log_softmax(dim=1).max(dim=1).values): "logarithms",
        lambda logits: (logits.argmax(dim=1), logits.sigmoid().max(dim=1).values): "sigmoids",
        lambda logits: logits.softmax(dim=1).max(dim=1): "exchanged",
        lambda logits: logits.softmax(dim=0).max(dim=1)[::-1]: "across the classes",
        lambda logits: logits.softmax(dim=1).max(dim=0)[::-1]: "goes down the images",
        lambda logits: (logits.argmax(), logits.softmax(dim=1).max()): "one number for all images",
        lambda logits: (logits.argmax(dim=1), logits.exp().amax(dim=1)): "by their sum is missing",
        lambda logits: (logits.argmax(dim=1), logits.amax(dim=1) / logits.sum(dim=1)): "comes first",
        lambda logits: (logits.argmax(dim=1), logits.softmax(dim=1).max(dim=1)): "gives two things",
        unstable_throughout: "nan",
        lambda logits: logits.argmax(dim=1).tolist(): "should give classes and probabilities",
        unstable: "nan",
    },
    "02.3": {
        dropout_with(drawn, lambda p: 1): "divide by 1 − p",
        dropout_with(drawn, lambda p: 1 / p): "divided by p",
        dropout_with(drawn, lambda p: 1 - p): "multiplied by 1 − p",
        dropout_with(lambda values, p: torch.rand_like(values) < p, grown): "not to keep",
        dropout_with(drawn, grown, lambda values, p: (1 - p) * values): "superfluous",
        dropout_with(drawn, grown, lambda values, p: values * drawn(values, p)): "in training only",
        dropout_with(lambda values, p: torch.rand(values.shape[1]) >= p, grown): "draw for each value",
        dropout_with(
            lambda values, p: torch.rand(values.shape, generator=torch.Generator().manual_seed(0)) >= p, grown
        ): "draw anew",
        dropout_with(exactly_so_many, grown): "on its own",
        dropout_with(lambda values, p: 1, lambda p: 1): "no value is dropped",
        in_place: "changed its input",
    },
}
