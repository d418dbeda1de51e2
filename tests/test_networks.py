"""The networks beside MNISTNet."""

import pytest
import torch
from torch import nn

from mnist_helpers.labs.networks import NETWORKS, RandomShift
from mnist_helpers.model import count_parameters

PARAMETERS = {
    "MNISTNet": 109_386,
    "wide": 785 * 1024 + 1025 * 1024 + 1025 * 10,
    "wide_drops_pixels": 785 * 1024 + 1025 * 1024 + 1025 * 10,
    "linear": 785 * 10,
    "batch_norm": 109_386 + 2 * 128 + 2 * 64,
    "shifted": 109_386,
    "cnn": (9 + 1) * 16 + (9 * 16 + 1) * 32 + (32 * 7 * 7 + 1) * 10,
}


@pytest.mark.parametrize("name", NETWORKS)
def test_each_network_gives_ten_logits_an_image_and_has_the_dropout_asked_for(name):
    network = NETWORKS[name](0.3)
    assert network(torch.rand(5, 1, 28, 28)).shape == (5, 10)
    assert count_parameters(network) == PARAMETERS[name]
    rates = {layer.p for layer in network.modules() if isinstance(layer, nn.Dropout)}
    of_pixels = {"wide": {0.0}, "wide_drops_pixels": {0.2}}.get(name, set())
    assert rates == (set() if name == "linear" else {0.3} | of_pixels)


def test_a_random_shift_moves_each_image_by_up_to_two_pixels_both_ways_and_only_in_training():
    torch.manual_seed(0)
    images, shift = torch.rand(300, 1, 28, 28), RandomShift(2)
    padded = nn.functional.pad(images, [2] * 4)
    places = [(row, column) for row in range(5) for column in range(5)]
    windows = torch.stack([padded[:, :, row : row + 28, column : column + 28] for row, column in places])
    found = (windows == shift(images)).flatten(2).all(dim=2)  # (25, 300)
    assert (found.sum(dim=0) == 1).all(), "each image is at one place"
    assert (found.sum(dim=1) > 0).all(), "each place is taken"
    assert shift.eval()(images) is images
