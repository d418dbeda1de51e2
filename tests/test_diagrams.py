"""Pictures of a unit and of a network, read back from the axes."""

import warnings

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from torch import nn

from mnist_helpers import MNISTNet, count_parameters, plot_network, plot_neuron
from mnist_helpers.diagrams import NEGATIVE, POSITIVE

STYLE = "mnist_helpers.lesson"


def two_layers(inputs=784, hidden=32, outputs=10):
    return nn.Sequential(nn.Flatten(), nn.Linear(inputs, hidden), nn.Sigmoid(), nn.Linear(hidden, outputs))


def texts_at(ax):
    """{text: x} of all texts; of those that occur several times the last."""
    return {text.get_text(): text.get_position()[0] for text in ax.texts}


EACH_DRAWING = pytest.mark.parametrize(
    "draw",
    [lambda ax: plot_neuron([0.5, 1], [2, -1], 0, ax=ax), lambda ax: plot_network(MNISTNet(), ax=ax)],
    ids=["neuron", "network"],
)


@EACH_DRAWING
def test_a_drawing_takes_axes_or_makes_one_figure_without_a_warning(draw):
    ax = plt.subplots()[1]
    assert draw(ax) is ax and len(plt.get_fignums()) == 1
    plt.close("all")
    with plt.style.context(STYLE), warnings.catch_warnings():
        warnings.simplefilter("error")
        draw(None).figure.canvas.draw()
    assert len(plt.get_fignums()) == 1


@EACH_DRAWING
def test_no_words_are_cut_off_or_lie_on_each_other(draw):
    with plt.style.context(STYLE):
        ax = draw(None)
        ax.figure.canvas.draw()
        boxes = [text.get_window_extent() for text in ax.texts]
        page = ax.figure.bbox
    assert all(page.x0 <= box.x0 and box.x1 <= page.x1 and page.y0 <= box.y0 and box.y1 <= page.y1 for box in boxes)
    assert not [1 for number, box in enumerate(boxes) for other in boxes[:number] if box.overlaps(other)]


@pytest.mark.parametrize("bias, after, output", [(-0.1, "0.5", "0.5"), (-1.0, "−0.4", "0"), (0.4, "1", "1")])
def test_the_numbers_of_a_unit_are_those_of_relu_of_the_weighted_sum(bias, after, output):
    inputs, weights = torch.tensor([0.0, 0.5, 1.0]), torch.tensor([0.9, -0.4, 0.8])
    assert float(torch.relu(inputs @ weights + bias)) == pytest.approx(float(output))
    ax = plot_neuron(inputs, weights, bias)
    texts = [text.get_text() for text in ax.texts]
    expected = ["0", "× 0.9", "0.5", "× −0.4", "1", "× 0.8", "0.6"]
    assert texts[:10] == [*expected, f"{'−' if bias < 0 else '+'} {abs(bias):.3g}", f"max(0, {after})", output]
    assert texts[10:] == ["inputs", "weights", "sum", "bias", "ReLU", "output"]
    lines = ax.lines[:3]
    assert [line.get_color() for line in lines] == [POSITIVE, NEGATIVE, POSITIVE]
    assert np.argsort([line.get_linewidth() for line in lines]).tolist() == [1, 2, 0], "the thicker the larger"


@pytest.mark.parametrize("inputs, weights", [([], []), ([1.0], []), ([1.0, 2.0], [1.0])])
def test_a_unit_needs_one_weight_for_each_input(inputs, weights):
    with pytest.raises(ValueError, match=f"at least one input, got {len(inputs)} and {len(weights)}"):
        plot_neuron(inputs, weights, 0.0)


@pytest.mark.parametrize("model", [MNISTNet(dropout=0.3), two_layers(), nn.Linear(5, 1)], ids=["lessons", "two", "one"])
def test_sizes_and_parameters_are_read_from_the_model(model):
    ax = plot_network(model)
    linear = [layer for layer in model.modules() if isinstance(layer, nn.Linear)]
    units = [linear[0].in_features, *(layer.out_features for layer in linear)]
    places = texts_at(ax)
    assert {f"(batch, {number})": place for place, number in enumerate(units)}.items() <= places.items()
    counts = [text for text in places if "weights" in text]
    for place, (text, layer) in enumerate(zip(counts, linear, strict=True)):
        rows, columns = layer.weight.T.shape
        total = f"{count_parameters(layer):,}"
        assert text == f"{rows} · {columns} weights\n+ {len(layer.bias)} biases\n= {total}"
        assert places[text] == place + 0.5, "between the units that it joins"


def test_the_layers_between_stand_under_the_units_that_they_act_on():
    places = texts_at(plot_network(MNISTNet(dropout=0.3)))
    assert places["Flatten"] == 0 and places["ReLU\nDropout 0.3"] == 2
    assert texts_at(plot_network(two_layers()))["Sigmoid"] == 1


def test_small_layers_are_drawn_whole_large_ones_with_dots_and_each_unit_is_joined_with_each_of_the_next():
    ax = plot_network(two_layers(inputs=11, hidden=10, outputs=1))
    drawn = [len(circles.get_offsets()) for circles in ax.collections if not hasattr(circles, "get_segments")]
    assert drawn == [8, 10, 1]
    assert [text.get_position()[0] for text in ax.texts if text.get_text() == "⋮"] == [0]
    lines = [lines.get_segments() for lines in ax.collections if hasattr(lines, "get_segments")]
    assert [len(segments) for segments in lines] == [80, 10]


@pytest.mark.parametrize("model", [nn.ReLU(), nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(1352, 10))])
def test_a_network_of_other_layers_is_refused_with_their_names(model):
    with pytest.raises(ValueError, match="all parameters must be in linear layers, got .*(ReLU|Conv2d)"):
        plot_network(model)
