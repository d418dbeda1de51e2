"""The networks beside MNISTNet."""

import pytest
import torch
from torch import nn

from mnist_helpers.labs.networks import NETWORKS
from mnist_helpers.model import count_parameters

PARAMETERS = {
    "MNISTNet": 109_386,
    "wide": 785 * 1024 + 1025 * 1024 + 1025 * 10,
    "linear": 785 * 10,
    "cnn": (9 + 1) * 16 + (9 * 16 + 1) * 32 + (32 * 7 * 7 + 1) * 10,
}


@pytest.mark.parametrize("name", NETWORKS)
def test_each_network_gives_ten_logits_an_image_and_has_the_dropout_asked_for(name):
    network = NETWORKS[name](0.3)
    assert network(torch.rand(5, 1, 28, 28)).shape == (5, 10)
    assert count_parameters(network) == PARAMETERS[name]
    rates = {layer.p for layer in network.modules() if isinstance(layer, nn.Dropout)}
    assert rates == (set() if name == "linear" else {0.3})
