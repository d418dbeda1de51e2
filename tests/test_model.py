"""The network of the lessons."""

import pytest
import torch
from torch import nn

from mnist_helpers import MNISTNet, count_parameters


def test_the_network_is_that_of_the_recipe(model, batch):
    kinds = [type(layer).__name__ for layer in model.layers]
    assert kinds == ["Flatten", "Linear", "ReLU", "Dropout", "Linear", "ReLU", "Dropout", "Linear"]
    sizes = [(layer.in_features, layer.out_features) for layer in model.modules() if isinstance(layer, nn.Linear)]
    assert sizes == [(784, 128), (128, 64), (64, 10)]
    assert [layer.p for layer in MNISTNet().modules() if isinstance(layer, nn.Dropout)] == [0.2, 0.2]
    assert model(batch[0]).shape == (32, 10)


def test_frozen_parameters_are_not_counted(model):
    assert count_parameters(model) == 109_386
    next(model.parameters()).requires_grad_(False)
    assert count_parameters(model) == 109_386 - 784 * 128


def test_logits_are_raw_for_they_scale_with_the_last_layer_and_each_image_is_judged_by_itself(model, batch):
    model.eval()
    logits = model(batch[0])
    torch.testing.assert_close(logits[5:6], model(batch[0][5:6]))
    for parameter in list(model.parameters())[-2:]:
        parameter.data *= 3
    torch.testing.assert_close(model(batch[0]), 3 * logits)


@pytest.mark.parametrize("rate", [1, -0.1, 2, float("nan")])
def test_a_dropout_rate_outside_0_to_1_is_refused_with_its_value(rate):
    with pytest.raises(ValueError, match=rf"dropout must be in \[0, 1\), got {rate}"):
        MNISTNet(dropout=rate)


WRONG_SHAPES = [(2, 28, 28), (2, 784), (2, 3, 28, 28), (2, 1, 28, 27), (784,)]
WRONG_TYPES = [torch.uint8, torch.int64, torch.bool]


@pytest.mark.parametrize(
    "images",
    [torch.zeros(shape) for shape in WRONG_SHAPES] + [torch.zeros(2, 1, 28, 28, dtype=dtype) for dtype in WRONG_TYPES],
    ids=[str(kind) for kind in WRONG_SHAPES + WRONG_TYPES],
)
def test_images_of_another_shape_or_type_are_refused_with_what_they_are(model, images):
    with pytest.raises(ValueError) as caught:
        model(images)
    assert f"{tuple(images.shape)} {images.dtype}" in str(caught.value) and "(batch, 1, 28, 28)" in str(caught.value)
