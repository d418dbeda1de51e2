"""The exercises of lesson 3a."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from mnist_helpers.exercises.checking import Exercise, MistakeError, brief, fitting, near, number, values

MANY = 10_000  # calls after which an answer is stopped
FAR = 1e6  # how far a weight may run


def bowl(curvature: float, lowest: float) -> Callable[[Any], Any]:
    """The slope of a parabola; it refuses to be asked without end."""
    calls = [0]

    def slope(w: Any) -> Any:
        calls[0] += 1
        if abs(w) > FAR:
            raise MistakeError(
                "the weight runs away: do the steps go uphill? They go against the slope, w − lr · slope"
            )
        if calls[0] > MANY:
            raise MistakeError(f"after {MANY:,} calls the slope is still not small: is `lr` in the step?")
        return curvature * (w - lowest)

    return slope


def right_count(slope: Callable, w: float, lr: float, small: float) -> int:
    """How many steps it takes."""
    steps = 0
    while abs(slope(w)) >= small:
        w, steps = w - lr * slope(w), steps + 1
    return steps


def steps_needed(answer: Callable) -> Iterator[str]:
    """How many steps of gradient descent until the slope is small."""
    cases = (
        (2.0, 1.0, 3.0, 0.1),
        (2.0, 1.0, -3.0, 0.1),
        (0.5, -2.0, 4.0, 1.0),
        (2.0, 0.0, 1.0, 0.9),
        (1.0, 2.0, 2.0, 0.1),
    )
    for curvature, lowest, w, lr in cases:
        bottom = f"(w {'−' if lowest >= 0 else '+'} {abs(lowest):g})"
        case = f"a slope of {curvature:g} · {bottom}, w = {w:g}, lr = {lr:g}, small = 0.01"
        got = number(answer(bowl(curvature, lowest), w, lr, 0.01), f"the call with {case}")
        right = right_count(bowl(curvature, lowest), w, lr, 0.01)
        if got == 0 != right and w < lowest:
            raise MistakeError(f"{case} gives 0 steps: a steep slope may be negative, so compare its size, abs(slope)")
        if got == right + 1:
            raise MistakeError(
                f"{case} gives {got:g}, one too many: after {right} steps the slope is small, so stop there"
            )
        if got == right - 1:
            raise MistakeError(f"{case} gives {got:g}, one too few: the first step and the last one count, too")
        if got != right:
            raise MistakeError(f"{case} gives {got:g} steps, not {right}")
        yield f"{case}: {right} steps"


def path(slope: Callable, w: float, lr: float, steps: int, momentum: float, kind: str = "") -> list[float]:
    """All places that gradient descent with momentum visits; `kind` names a typical mistake."""
    velocity, places = 0.0, [w]
    for _ in range(steps):
        gradient = slope(w)
        before = velocity
        if kind == "forgets":
            velocity = gradient
        elif kind == "mean":
            velocity = momentum * velocity + (1 - momentum) * gradient
        else:
            velocity = momentum * velocity + gradient
        factor = {"up": -lr, "no lr": 1.0}.get(kind, lr)
        w = w - factor * (before if kind == "late" else velocity)
        places.append(w)
    return places


WRONG_PATHS = {
    "up": "the steps go uphill: the sign is wrong",
    "forgets": "this is gradient descent without momentum: the velocity before must stay in the new one",
    "no lr": "`lr` is missing in the step",
    "late": "each step uses the velocity of the step before: first the new velocity, then the step",
    "mean": "the gradient counts with 1 − momentum here; in the formula it counts in full",
}


def momentum_path(answer: Callable) -> Iterator[str]:
    """The places visited by gradient descent with momentum."""
    for curvature, w, lr, steps, momentum in (
        (1.0, 2.0, 0.1, 5, 0.9),
        (3.0, -1.0, 0.2, 4, 0.5),
        (1.0, 2.0, 0.1, 0, 0.9),
    ):
        case = f"w = {w:g}, lr = {lr:g}, {steps} steps, momentum {momentum:g}"
        got = answer(bowl(curvature, 0.0), w, lr, steps, momentum)
        if not hasattr(got, "__len__"):
            raise MistakeError(f"{case} should give a list of all places, got {brief(got)}")
        right = path(bowl(curvature, 0.0), w, lr, steps, momentum)
        if steps and len(got) == steps:
            missing = "the start is missing" if not near(number(got[0], case), w) else "the last place is missing"
            raise MistakeError(f"{case} gives {steps} places: {missing}")
        if len(got) == steps + 2:
            raise MistakeError(f"{case} gives {len(got)} places, one too many: the start and one for each step")
        found = values(
            [number(place, f"{case}: a place") for place in got], (steps + 1,), f"{case}: the list of places"
        )
        if not near(found, right):
            made = {
                told: path(bowl(curvature, 0.0), w, lr, steps, momentum, kind) for kind, told in WRONG_PATHS.items()
            }
            raise MistakeError(f"{case}: {fitting(found, made, 'the places are not the right ones')}")
        yield f"{case}: {', '.join(f'{place:.3f}' for place in right)}"


def two_layers(x: Tensor, y: Tensor, w1: float, w2: float, kind: str = "") -> tuple[float, float]:
    """The gradients of mean((w2 · relu(w1 · x) − y)²) for w1 and w2; `kind` names a typical mistake."""
    hidden = (w1 * x).clamp(min=0)
    error = (w2 * hidden - y) * {"two": 1, "four": 4}.get(kind, 2)
    gate = torch.ones_like(x) if kind == "gate" else (w1 * x > 0).to(x.dtype)
    weight = 1.0 if kind == "weight" else w2
    total = torch.sum if kind == "sum" else torch.mean
    inner = torch.ones_like(x) if kind == "inner" else x
    sign = -1 if kind == "sign" else 1
    return sign * total(error * weight * gate * inner).item(), sign * total(error * hidden).item()


WRONG_GRADIENTS = {
    "two": "the factor 2 from the square is missing",
    "four": "they are twice too large: is the factor 2 from the square there twice?",
    "sum": "these are sums over the examples; the loss is a mean",
    "gate": "where the ReLU is closed, nothing may come through to w1",
    "weight": "on its way back to w1 the error passes w2, which is missing",
    "inner": "the derivative of w1 · x is x, which is missing",
    "sign": "both have the wrong sign: prediction − target",
}


def gradients(answer: Callable) -> Iterator[str]:
    """Both gradients of a network with two layers, by the chain rule."""
    for count, w1, w2 in ((6, 1.5, -0.5), (6, -0.8, 2.0), (1, 0.7, 0.3)):
        x, y = torch.randn(count, dtype=torch.float64), torch.randn(count, dtype=torch.float64)
        x[0] = abs(x[0]) * (1 if w1 > 0 else -1)  # at least one unit is open
        case, right = f"{count} example{'s' * (count > 1)}, w1 = {w1}, w2 = {w2}", two_layers(x, y, w1, w2)
        got = answer(x.clone(), y.clone(), w1, w2)
        if not hasattr(got, "__len__") or len(got) != 2:
            raise MistakeError(f"{case} should give two gradients, of w1 and of w2, got {brief(got)}")
        if all(getattr(part, "shape", ()) == (count,) != (1,) for part in got):
            raise MistakeError(f"{case} gives numbers for each example; the mean over them is missing")
        found = [number(part, f"{case}: a gradient") for part in got]
        if not near(found, right):
            only = " (that of w2 is right)" if near(found[1], right[1]) else ""
            made = {told: two_layers(x, y, w1, w2, kind) for kind, told in WRONG_GRADIENTS.items()}
            made["the two are exchanged; that of w1 comes first"] = right[::-1]
            raise MistakeError(f"{case}: {fitting(found, made, f'they are not the right ones{only}')}")
        yield f"{case}: {right[0]:+.3f} and {right[1]:+.3f}"


EXERCISES = {
    "03a.1": Exercise(
        steps_needed,
        (
            "you do not know the number of steps before: which kind of loop goes on until something holds?",
            "`while abs(slope(w)) >= small:` take a step and count it",
            "begin with steps = 0; in the loop: w = w - lr * slope(w), then steps += 1",
        ),
    ),
    "03a.2": Exercise(
        momentum_path,
        (
            "two things live on from step to step: the place and the velocity. What is the velocity at the start?",
            "in each step: velocity = momentum · velocity + gradient, then w = w − lr · velocity",
            "start with places = [w] and velocity = 0.0; append the new w at the end of each step",
        ),
    ),
    "03a.3": Exercise(
        gradients,
        (
            "go forward first and keep what you meet: h = relu(w1 · x), then error = 2 · (prediction − y)",
            "the gradient of w2 is the mean of error · h; for w1 the chain goes on: times w2, ReLU's slope, and x",
            "ReLU's slope is 1 where w1 · x > 0 and else 0: `(w1 * x > 0)`; both gradients are means over the examples",
        ),
    ),
}
