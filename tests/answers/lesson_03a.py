"""Answers to the exercises of lesson 3a."""

import itertools

import numpy as np
import torch

from mnist_helpers.exercises.lesson_03a import path, right_count, two_layers


def with_break(slope, w, lr, small):
    steps = itertools.count()
    while True:
        gradient = slope(w)
        if abs(gradient) < small:
            return next(steps)
        w -= lr * gradient
        next(steps)


def again_and_again(slope, w, lr, small):
    return 0 if abs(slope(w)) < small else 1 + again_and_again(slope, w - lr * slope(w), lr, small)


def no_size(slope, w, lr, small):
    steps = 0
    while slope(w) >= small:
        w, steps = w - lr * slope(w), steps + 1
    return steps


def steps_with(step):
    def count(slope, w, lr, small):
        steps = 0
        while abs(slope(w)) >= small:
            w, steps = step(w, lr, slope(w)), steps + 1
        return steps

    return count


def with_sgd(slope, w, lr, steps, momentum):
    weight = torch.tensor(w, dtype=torch.float64, requires_grad=True)
    optimizer, places = torch.optim.SGD([weight], lr=lr, momentum=momentum), [w]
    for _ in range(steps):
        weight.grad = torch.as_tensor(slope(weight.detach()))
        optimizer.step()
        places.append(weight.item())
    return torch.tensor(places)


def minus_in_the_velocity(slope, w, lr, steps, momentum):
    places, velocity = [w], 0.0
    for _ in range(steps):
        velocity = momentum * velocity - lr * slope(places[-1])
        places.append(places[-1] + velocity)
    return np.array(places)


def by_autograd(x, y, w1, w2):
    weights = torch.tensor([w1, w2], dtype=torch.float64, requires_grad=True)
    ((weights[1] * torch.relu(weights[0] * x) - y) ** 2).mean().backward()
    return weights.grad


def by_hand(x, y, w1, w2):
    hidden = torch.relu(w1 * x)
    error = 2 * (w2 * hidden - y) / len(x)
    return (error * w2 * (w1 * x > 0) * x).sum(), (error * hidden).sum()


def by_differences(x, y, w1, w2, d=1e-6):
    def loss(w1, w2):
        return ((w2 * (w1 * x).clamp(min=0) - y) ** 2).mean().item()

    return [(loss(w1 + d, w2) - loss(w1 - d, w2)) / (2 * d), (loss(w1, w2 + d) - loss(w1, w2 - d)) / (2 * d)]


def wrong_gradients(kind):
    return lambda x, y, w1, w2: two_layers(x, y, w1, w2, kind)


RIGHT = {
    "03a.1": [right_count, with_break, again_and_again],
    "03a.2": [path, with_sgd, minus_in_the_velocity],
    "03a.3": [by_autograd, by_hand, by_differences, lambda *given: np.array(by_differences(*given))],
}

WRONG = {
    "03a.1": {
        no_size: "may be negative",
        steps_with(lambda w, lr, slope: w + lr * slope): "uphill",
        steps_with(lambda w, lr, slope: w - slope): "is `lr` in the step",
        lambda slope, w, lr, small: 0: "gives 0 steps, not",
        lambda *given: right_count(*given) + 1: "one too many",
        lambda *given: right_count(*given) - 1: "one too few",
        lambda slope, w, lr, small: right_count(slope, w, lr, small**2): "steps, not",
        lambda slope, w, lr, small: [w]: "should be one number",
        lambda slope, w, lr, small: print(end=""): "is there a `return`?",
    },
    "03a.2": {
        lambda *given: path(*given, kind="up"): "uphill",
        lambda *given: path(*given, kind="forgets"): "without momentum",
        lambda *given: path(*given, kind="mean"): "1 − momentum",
        lambda *given: path(*given)[1:]: "the start is missing",
        lambda *given: path(*given)[:-1]: "the last place is missing",
        lambda *given: path(*given)[-1]: "a list of all places",
        lambda slope, w, lr, steps, momentum: path(slope, w, lr, steps + 1, momentum): "one too many",
        lambda *given: path(*given, kind="no lr"): "`lr` is missing",
        lambda *given: path(*given, kind="late"): "the velocity of the step before",
        lambda slope, w, lr, steps, momentum: path(slope, w, 2 * lr, steps, momentum): "the places are not the right",
    },
    "03a.3": {
        wrong_gradients("two"): "factor 2",
        wrong_gradients("four"): "twice too large",
        wrong_gradients("sum"): "these are sums",
        wrong_gradients("gate"): "is closed",
        wrong_gradients("weight"): "passes w2",
        wrong_gradients("inner"): "derivative of w1",
        wrong_gradients("sign"): "wrong sign",
        lambda *given: two_layers(*given)[::-1]: "exchanged",
        lambda x, y, w1, w2: (x, y): "the mean over them is missing",
        lambda *given: two_layers(*given)[0]: "should give two gradients",
        lambda *given: (0.0, two_layers(*given)[1]): "that of w2 is right",
    },
}
