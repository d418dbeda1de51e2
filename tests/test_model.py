"""The network of the lessons."""

import pytest
import torch
from torch import nn

from mnist_helpers import MNISTNet, count_parameters, layer_table


def test_the_network_has_109386_parameters(model):
    assert count_parameters(model) == 109_386


def test_the_layers_have_the_sizes_of_the_recipe(model):
    sizes = [(layer.in_features, layer.out_features) for layer in model.modules() if isinstance(layer, nn.Linear)]
    assert sizes == [(784, 128), (128, 64), (64, 10)]


def test_relu_and_dropout_follow_each_hidden_layer_only(model):
    kinds = [type(layer).__name__ for layer in model.layers]
    assert kinds == ["Flatten", "Linear", "ReLU", "Dropout", "Linear", "ReLU", "Dropout", "Linear"]


def test_frozen_parameters_are_not_counted(model):
    next(model.parameters()).requires_grad_(False)
    assert count_parameters(model) == 109_386 - 784 * 128


def test_logits_have_one_row_an_image_and_one_column_a_digit(model, batch):
    assert model(batch[0]).shape == (32, 10)


def test_logits_are_raw_for_they_scale_with_the_last_layer(model, batch):
    model.eval()
    logits = model(batch[0])
    for parameter in list(model.parameters())[-2:]:
        parameter.data *= 3
    torch.testing.assert_close(model(batch[0]), 3 * logits)


def test_each_image_is_judged_by_itself(model, batch):
    model.eval()
    torch.testing.assert_close(model(batch[0])[5:6], model(batch[0][5:6]))


def test_each_parameter_gets_a_gradient(batch):
    model = MNISTNet(dropout=0)
    model(batch[0]).square().sum().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in model.parameters())


# ---------------------------------------------------------------- dropout


@pytest.mark.parametrize("rate", [0.2, 0.5, 0.8])
@pytest.mark.parametrize("upto", [4, 7], ids=["first", "second"])
def test_dropout_keeps_the_expected_activation(batch, rate, upto):
    torch.manual_seed(0)
    layers, passes = MNISTNet(dropout=rate).layers, 20_000
    with torch.no_grad():
        hidden = layers[: upto - 1].eval()(batch[0][:1])
        dropped = layers[upto - 1].train()(hidden.expand(passes, -1))
    standard_error = dropped.std(dim=0) / passes**0.5
    assert ((dropped.mean(dim=0) - hidden).abs() <= 5 * standard_error + 1e-6).all()
    assert (dropped == 0)[:, hidden[0] > 0].float().mean().item() == pytest.approx(rate, abs=0.01)


def test_training_mode_draws_anew_in_each_pass(model, batch):
    model.train()
    assert not torch.equal(model(batch[0]), model(batch[0]))


def test_evaluation_mode_is_deterministic(model, batch):
    model.eval()
    assert torch.equal(model(batch[0]), model(batch[0]))


def test_without_dropout_both_modes_agree(batch):
    model = MNISTNet(dropout=0)
    assert torch.equal(model.train()(batch[0]), model.eval()(batch[0]))


@pytest.mark.parametrize("rate", [1, 1.0, -0.1, 2, float("nan"), float("inf")])
def test_a_dropout_rate_outside_0_to_1_is_refused_with_its_value(rate):
    with pytest.raises(ValueError, match=rf"dropout must be in \[0, 1\), got {rate}"):
        MNISTNet(dropout=rate)


# ---------------------------------------------------------------- wrong images


@pytest.mark.parametrize("shape", [(2, 28, 28), (2, 784), (2, 3, 28, 28), (2, 1, 28, 27), (1, 28, 28), (784,)])
def test_images_of_another_shape_are_refused_with_their_shape(model, shape):
    with pytest.raises(ValueError) as caught:
        model(torch.zeros(shape))
    assert str(shape) in str(caught.value) and "(batch, 1, 28, 28)" in str(caught.value)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64, torch.bool])
def test_images_of_another_dtype_are_refused_with_their_dtype(model, dtype):
    with pytest.raises(ValueError, match=rf"\(2, 1, 28, 28\) {dtype}"):
        model(torch.zeros(2, 1, 28, 28, dtype=dtype))


# ---------------------------------------------------------------- the table of layers


def test_the_tables_parameters_add_up(model):
    assert layer_table(model)["parameters"].sum() == 109_386


def test_the_table_shows_how_the_sizes_shrink(model):
    assert layer_table(model)["output size"].tolist() == [784, 128, 128, 64, 64, 10]


def test_the_table_names_layers_and_dropout_rate(model):
    assert layer_table(model)["layer"].tolist() == [
        "Flatten",
        "Linear",
        "Dropout (rate 0.5)",
        "Linear",
        "Dropout (rate 0.5)",
        "Linear",
    ]


def test_the_table_puts_the_activation_beside_the_layer_before_it(model):
    assert layer_table(model)["activation"].tolist() == ["", "ReLU", "", "ReLU", "", ""]


def test_looking_at_the_table_draws_no_random_numbers(model):
    before = torch.get_rng_state()
    layer_table(model)
    assert torch.equal(torch.get_rng_state(), before)


def test_looking_at_the_table_leaves_the_mode_alone(model):
    for mode in (True, False):
        model.train(mode)
        layer_table(model)
        assert all(layer.training is mode for layer in model.modules())
