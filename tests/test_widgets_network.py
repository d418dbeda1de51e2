"""Dropout under the microscope, answers step by step, weights epoch by epoch: the panels show what the network does."""

import copy

import numpy as np
import pytest
import torch
from ipywidgets import Button, Play

from mnist_helpers.model import MNISTNet
from mnist_helpers.plots import WRONG
from mnist_helpers.widgets.network import curve_reader, dropout_draws, dropout_microscope, step_explorer
from panels import axes_titled, choices, equal_weights, moved, of_classes, state_of, words_of


@pytest.fixture
def network(trained):
    """A trained network on the processor, dropout off."""
    return copy.deepcopy(trained.model).cpu().eval()


@pytest.fixture(scope="module")
def image(sample):
    """The first 3 of the test images."""
    return of_classes(sample.test, 3).tensors[0][:1]


# ---------------------------------------------------------------- dropout_draws


@pytest.mark.parametrize("rate, seed", [(0.0, 7), (0.2, 7), (0.5, 7), (0.5, 8), (0.95, 7)])
@pytest.mark.parametrize("training", [True, False])
def test_the_draws_are_those_of_the_network(network, image, training, rate, seed):
    same = MNISTNet(dropout=rate).train(training)
    same.load_state_dict(network.state_dict())
    layers, probabilities = dropout_draws(network, image, rate, training, seed)
    torch.manual_seed(seed)
    expected = same(image.expand(200, 1, 28, 28)).softmax(dim=1).detach()
    torch.testing.assert_close(probabilities, expected)
    assert all(dropped.any() == (training and rate > 0) for _, dropped in layers)


def test_dropped_units_are_0_and_the_others_grow_by_1_over_1_minus_rate(network, image):
    ((first, first_dropped), (second, second_dropped)), probabilities = dropout_draws(network, image, 0.2, True, 0, 3)
    with torch.no_grad():
        before_first = network.layers[:3](image)[0]
        before_second = network.layers[4:6](first)
    assert (before_first.shape, before_second.shape, probabilities.shape) == ((128,), (64,), (3, 10))
    for before, after, dropped in ((before_first, first, first_dropped), (before_second, second, second_dropped)):
        assert 0 < dropped.sum() < len(dropped) / 2
        torch.testing.assert_close(after, torch.where(dropped, 0, before / 0.8))


def test_draws_leave_the_models_mode_and_weights_and_the_random_numbers_as_they_were(network, image):
    before, random = copy.deepcopy(network), torch.get_rng_state()
    dropout_draws(network.train(), image, 0.5, False, seed=0)
    assert all(layer.training for layer in network.modules())
    assert equal_weights(network, before) and torch.equal(torch.get_rng_state(), random)
    assert [layer.p for layer in network.layers if hasattr(layer, "p")] == [0.2, 0.2]


# ---------------------------------------------------------------- dropout_microscope


@pytest.fixture(scope="module")
def microscope(trained, sample):
    """All tests share it: they look at its stills and move nothing."""
    return dropout_microscope(trained.model, sample.test)


@pytest.mark.parametrize("mode", ["train", "eval"])
def test_draw_again_drops_other_units_in_training_mode_and_changes_nothing_in_evaluation_mode(network, sample, mode):
    microscope = moved(dropout_microscope(network, sample.test), mode=mode)
    *_, picture, words = state_of(microscope)
    (button,) = [each for each in microscope.children[0].children if isinstance(each, Button)]
    button.click()
    assert microscope.values["draw"] == 1
    assert (microscope.picture.value != picture) == (microscope.text.value != words) == (mode == "train")


@pytest.mark.parametrize("mode, rate", [("train", 0.5), ("train", 0.0), ("eval", 0.95)])
def test_picture_and_words_of_the_microscope_are_those_of_the_draws(microscope, network, image, mode, rate):
    still = microscope.still(digit=3, rate=rate, draw=4, mode=mode)
    layers, probabilities = dropout_draws(network, image, rate, mode == "train", seed=4)
    first, second = [int(dropped.sum()) for _, dropped in layers]
    assert f"{first} of 128 and {second} of 64 hidden units dropped" in still.words
    for values, dropped in layers:
        ax = axes_titled(still.figure, f"{len(values)} units")
        np.testing.assert_array_equal(ax.images[0].get_array().flatten(), values)
        crosses = ax.collections[0].get_offsets().astype(int).tolist()
        assert sorted(16 * row + column for column, row in crosses) == dropped.nonzero().flatten().tolist()
    heights = [bar.get_height() for bar in axes_titled(still.figure, "this draw").patches]
    assert heights == pytest.approx(probabilities[0].tolist())
    answers = probabilities.argmax(dim=1)
    assert f"This draw answers {answers[0]} " in still.words
    assert f"Of 200 draws {(answers == 3).sum()} answer 3;" in still.words


def test_the_microscope_offers_the_digits_that_occur(network, sample):
    assert choices(dropout_microscope(network, of_classes(sample.test, 3, 8)).controls["digit"]) == [3, 8]


# ---------------------------------------------------------------- step_explorer


@pytest.fixture(scope="module")
def steps(sample):
    """Ten images, their labels, and logits: all answers are "3" first, then one more of them is right at each step."""
    images, labels = sample.test[:10]
    answers = torch.full((11, 10), 3)
    for step in range(11):
        answers[step, :step] = labels[:step]
    return images, labels, 5 * torch.nn.functional.one_hot(answers, 10).float()


@pytest.mark.parametrize("step", [0, 4, 10])
def test_the_answers_and_the_loss_are_those_of_the_step(steps, step):
    images, labels, logits = steps
    still = step_explorer(*steps).still(step=step)
    answers, loss = logits[step].argmax(dim=1), torch.nn.functional.cross_entropy(logits[step], labels)
    right = answers == labels
    assert still.words == f"Step {step} of 10: loss {loss:.4f}, {right.sum()} of 10 answers right."
    ax = axes_titled(still.figure, f"step {step}: {right.sum()} of 10 right")
    expected = [str(answer) if is_right else f"✗ {answer}" for answer, is_right in zip(answers.tolist(), right)]
    assert [text.get_text() for text in ax.texts] == expected
    assert [text.get_color() == WRONG for text in ax.texts] == (~right).tolist()
    paper = ax.images[0].get_array()
    np.testing.assert_array_equal(paper[13:41, 34:62], images[1, 0], "the second, in the first row")
    np.testing.assert_array_equal(paper[56:84, 34:62], images[9, 0], "the tenth, below it")
    for name in ("loss", "accuracy"):
        (curve, line) = next(each for each in still.figure.axes if each.get_ylabel() == name).lines
        assert list(line.get_xdata()) == [step, step] and len(curve.get_ydata()) == 11
        value = loss if name == "loss" else right.float().mean()
        assert curve.get_ydata()[step] == pytest.approx(float(value))


def test_the_steps_are_a_copy_and_each_image_needs_its_logits(steps):
    images, labels, logits = (each.clone() for each in steps)
    panel = step_explorer(images, labels, logits)
    before = panel.still(step=5).words
    for each in (images, labels, logits):
        each.zero_()
    assert panel.still(step=5).words == before
    for wrong in (logits[0], logits[:, :9]):
        with pytest.raises(ValueError, match="10 images, 10 labels and logits of shape"):
            step_explorer(images, labels, wrong)


# ---------------------------------------------------------------- curve_reader


@pytest.fixture(scope="module")
def weights():
    """Weights of 128 units after each of 2 epochs; those of the second are larger."""
    return list(torch.randn(2, 128, 784, generator=torch.Generator().manual_seed(0)) * torch.tensor([[[1.0]], [[3.0]]]))


@pytest.fixture(scope="module")
def reader(trained, weights):
    """All tests share it: they look at its stills and move nothing."""
    return curve_reader(trained.history, weights)


def images_of(still):
    """The picture of the weights: its matplotlib image."""
    return axes_titled(still.figure, "weights of").images[0]


@pytest.mark.parametrize("epoch", [1, 2])
def test_words_lines_and_images_are_those_of_the_epoch(reader, trained, weights, epoch):
    still, row = reader.still(epoch=epoch), trained.history.to_frame().loc[epoch]
    assert (
        f"Epoch {epoch} of 2: training loss {row.train_loss:.3f}, validation loss {row.valid_loss:.3f}" in still.words
    )
    assert f"validation accuracy {row.valid_accuracy:.2%}" in still.words
    assert f"{weights[epoch - 1].abs().mean():.4f}." in still.words
    curves = [ax for ax in still.figure.axes if ax.get_ylabel() in ("loss", "accuracy")]
    assert [list(ax.lines[-1].get_xdata()) for ax in curves] == [[epoch, epoch]] * 2
    rows = images_of(still).get_array().reshape(4, 30, 6, 30).transpose(0, 2, 1, 3)
    np.testing.assert_array_equal(rows[:, :, 1:-1, 1:-1].reshape(24, 784), weights[epoch - 1][:24])


def test_at_every_epoch_a_colour_means_the_same_weight_and_the_play_button_goes_from_the_first_to_the_last(
    reader, weights
):
    (low, high), later = [images_of(reader.still(epoch=epoch)).get_clim() for epoch in (1, 2)]
    assert (low, high) == later and low == -high < 0
    assert 0 < (torch.stack(weights)[:, :24].abs() > high).float().mean() < 0.002
    play_button, slider = reader.children[0].children
    assert isinstance(play_button, Play) and slider is reader.controls["epoch"]
    assert (play_button.min, play_button.max) == (slider.min, slider.max) == (1, 2)


def test_a_colour_bar_says_which_weight_has_which_colour(reader):
    still = reader.still(epoch=1)
    (bar,) = [ax for ax in still.figure.axes if ax.get_label() == "<colorbar>"]
    assert bar.get_ylim() == images_of(still).get_clim()
    assert min(images_of(still).cmap(0.5)[:3]) > 0.95, "zero is white"


def test_marked_units_have_a_frame(trained, weights, reader):
    marked = torch.zeros(128, dtype=torch.bool)
    marked[[0, 7, 30]] = True
    frames = axes_titled(curve_reader(trained.history, weights, marked).still().figure, "weights of").patches
    assert [frame.get_xy() for frame in frames] == [(0.5, 0.5), (30.5, 30.5)], "of the 24 that are shown"
    assert [(frame.get_width(), frame.get_fill()) for frame in frames] == [(28, False)] * 2
    assert len(axes_titled(reader.still().figure, "weights of").patches) == 0
    with pytest.raises(ValueError, match="each of 128 units, got 3"):
        curve_reader(trained.history, weights, marked[:3])


@pytest.mark.parametrize("units, shape", [(1, (1, 1)), (5, (1, 5)), (6, (1, 6)), (7, (2, 6))])
def test_fewer_than_24_units_have_as_many_images(trained, weights, units, shape):
    still = curve_reader(trained.history, [each[:units] for each in weights]).still()
    assert images_of(still).get_array().shape == (30 * shape[0], 30 * shape[1])
    assert axes_titled(still.figure, f"weights of {units} units")


def test_there_has_to_be_a_tensor_for_each_epoch_and_it_may_be_a_parameter(trained, weights):
    weight = trained.model.layers[1].weight
    assert "Epoch 1 of 2" in words_of(curve_reader(trained.history, [weight, weight]))
    with pytest.raises(ValueError, match="1 tensors and 2 epochs"):
        curve_reader(trained.history, weights[:1])
