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


RIGHT = {"02.1": [in_a_loop, with_pytorch, as_a_tensor, lambda sizes: np.dot(np.add(sizes[:-1], 1), sizes[1:])]}

WRONG = {
    "02.1": {
        lambda sizes: sum(a * b for a, b in pairs(sizes)): "biases are not counted",
        lambda sizes: sum(a * b + 1 for a, b in pairs(sizes)): "one bias is counted for each layer",
        lambda sizes: sum(a * b for a, b in pairs(sizes)) + sum(sizes): "the inputs are counted",
        lambda sizes: sum(a * (b + 1) for a, b in pairs(sizes)): "belongs to the outputs",
        lambda sizes: (sizes[0] + 1) * sizes[-1]: "left out",
        lambda sizes: [(a + 1) * b for a, b in pairs(sizes)]: "should be one number",
        lambda sizes: print(end=""): "is there a `return`?",
    }
}
