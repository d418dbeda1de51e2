"""The steps of one weight on its loss curve: the parabola is that of the examples, and the picture shows its steps."""

import numpy as np
import pytest
import torch

from mnist_helpers.widgets.descent import Parabola, descend, descent_explorer, kind_of_descent, parabola_of

INPUTS, TARGETS = torch.tensor([0.2, 0.5, 0.9]), torch.tensor([0.3, 0.4, 1.1])


@pytest.fixture(scope="module")
def parabola():
    return parabola_of(INPUTS, TARGETS)


def test_the_parabola_has_the_loss_and_the_slope_of_the_examples(parabola):
    for w in (-1.0, 0.0, parabola.best, 2.5):
        weight = torch.tensor(w, requires_grad=True)
        loss = ((weight * INPUTS - TARGETS) ** 2).mean()
        loss.backward()
        assert parabola.loss(w) == pytest.approx(loss.item(), rel=1e-5)
        assert parabola.slope(w) == pytest.approx(weight.grad.item(), abs=1e-6)


@pytest.mark.parametrize("share, steps", [(0.1, 5), (1.0, 1), (1.7, 12), (2.3, 4), (1.0, 0)])
def test_the_path_is_that_of_pytorchs_sgd(parabola, share, steps):
    lr, weight = share / parabola.curvature, torch.tensor(-0.5, dtype=torch.float64, requires_grad=True)
    optimizer, expected = torch.optim.SGD([weight], lr=lr), [-0.5]
    for _ in range(steps):
        optimizer.zero_grad()
        ((weight * INPUTS - TARGETS) ** 2).mean().backward()
        optimizer.step()
        expected.append(weight.item())
    assert descend(parabola.slope, -0.5, lr, steps) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("lr", [0.1, 0.24, 0.26, 0.49, 0.51, 0.6])
def test_the_kind_of_descent_is_what_the_path_does(lr):
    parabola = Parabola(curvature=4.0, best=1.0, lowest=0.0)
    path = np.array(descend(parabola.slope, 0.0, lr, 10)) - 1
    closer, one_side = abs(path[-1]) < abs(path[0]), bool((path <= 0).all())
    kind = {(True, True): "one side", (True, False): "from side to side", (False, False): "each step lands farther"}
    assert kind_of_descent(lr, 4.0).startswith(kind[closer, one_side])


@pytest.mark.parametrize("lr, steps, start", [(0.4, 8, -0.5), (4.5, 30, 3.0), (2.0, 0, 0.0)])
def test_dots_arrows_and_words_are_those_of_the_path(parabola, lr, steps, start):
    still = descent_explorer(INPUTS, TARGETS).still(lr=lr, steps=steps, start=start)
    path = descend(parabola.slope, start, lr, steps)
    curve, history = still.figure.axes
    np.testing.assert_allclose(curve.lines[1].get_xdata(), path)
    np.testing.assert_allclose(history.lines[0].get_ydata(), parabola.loss(np.array(path)))
    assert len(curve.patches) == steps
    assert f"{steps} steps from w = {start}: w = {path[-1]:,.3f}" in still.words
    inside = [abs(w - parabola.best) <= 2.5 for w in path]
    assert f"{inside.count(False)} of {steps + 1} dots outside" in still.words


def test_each_input_needs_its_target():
    with pytest.raises(ValueError, match="got 3 inputs and 2 targets"):
        descent_explorer(INPUTS, TARGETS[:2])
