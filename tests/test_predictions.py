"""Run a model over a dataset and keep what it said."""

import numpy as np
import pytest
import torch
from scipy.stats import norm
from torch import nn
from torch.utils.data import TensorDataset

from mnist_helpers.predictions import Predictions, calibration_table, expected_calibration_error, predict


def said(confidences, correct):
    """Predictions of class 3 with the given confidences; the true class is 3 where `correct`, else 8."""
    probabilities = ((1 - torch.tensor(confidences, dtype=torch.double)) / 9).unsqueeze(1).repeat(1, 10)
    probabilities[:, 3] = torch.tensor(confidences, dtype=torch.double)
    labels = torch.where(torch.tensor(correct), 3, 8)
    return Predictions(probabilities.log(), labels, torch.zeros(len(labels), 1, 28, 28))


# ---------------------------------------------------------------- predict


def test_predictions_come_in_the_order_of_the_dataset(predictions, sample):
    assert torch.equal(predictions.labels, sample.test.tensors[1])
    assert torch.equal(predictions.images, sample.test.tensors[0])


def test_logits_are_the_models_own_with_dropout_off(model, sample):
    logits = predict(model.train(), sample.valid).logits
    with torch.no_grad():
        torch.testing.assert_close(logits, model.eval()(sample.valid.tensors[0]))


@pytest.mark.parametrize("batch_size", [1, 7, 32, 1000])
def test_the_batch_size_does_not_change_the_predictions(model, batch, batch_size):
    logits = predict(model, TensorDataset(*batch), batch_size).logits
    torch.testing.assert_close(logits, predict(model, TensorDataset(*batch)).logits)


def test_predictions_remember_no_gradients(model, batch):
    assert not predict(model, TensorDataset(*batch)).logits.requires_grad


def test_predict_takes_a_plain_list_of_examples(model, batch):
    predictions = predict(model, [(image, int(label)) for image, label in zip(*batch)])
    assert torch.equal(predictions.labels, batch[1]) and torch.equal(predictions.images, batch[0])


def test_predict_takes_a_model_without_parameters(batch):
    onehot = nn.functional.one_hot(batch[1], 10).float()
    assert predict(nn.Identity(), TensorDataset(onehot, batch[1])).accuracy == 1


def test_predict_refuses_an_empty_dataset(model):
    with pytest.raises(ValueError, match="empty"):
        predict(model, TensorDataset(torch.zeros(0, 1, 28, 28), torch.zeros(0)))


def test_layers_come_back_in_their_modes_after_an_exception(model):
    model.train().layers[3].eval()
    before = [layer.training for layer in model.modules()]
    with pytest.raises(ValueError, match="images must be"):
        predict(model, TensorDataset(torch.zeros(2, 5), torch.zeros(2)))
    assert [layer.training for layer in model.modules()] == before


# ---------------------------------------------------------------- Predictions


def test_probabilities_sum_to_1(predictions):
    assert predictions.probabilities.min() >= 0
    torch.testing.assert_close(predictions.probabilities.sum(dim=1), torch.ones(1000))


def test_a_logit_that_is_larger_by_log_3_is_three_times_as_probable():
    logits = torch.zeros(1, 10)
    logits[0, 4] = torch.tensor(3.0).log()
    assert Predictions(logits, torch.tensor([4]), None).probabilities[0].tolist() == pytest.approx(
        [1 / 12] * 4 + [3 / 12] + [1 / 12] * 5
    )


def test_the_predicted_class_has_the_largest_logit():
    logits = torch.tensor([[0.0, 5, 1], [-1, -3, -2], [1, 2, 3]])
    assert Predictions(logits, torch.zeros(3), None).predicted.tolist() == [1, 0, 2]


def test_confidence_is_the_probability_of_the_predicted_class(predictions):
    rows = range(len(predictions))
    assert torch.equal(predictions.confidence, predictions.probabilities[rows, predictions.predicted])


def test_accuracy_is_the_share_of_correct_predictions():
    predictions = said([0.9] * 4, [True, True, False, True])
    assert predictions.correct.tolist() == [True, True, False, True]
    assert predictions.accuracy == 0.75


@pytest.mark.parametrize("rows", [slice(2, 5), [2, 3, 4], torch.tensor([2, 3, 4])], ids=["slice", "list", "tensor"])
def test_rows_are_taken_from_logits_labels_and_images_alike(predictions, rows):
    part = predictions[rows]
    assert len(part) == 3
    for name in ("logits", "labels", "images"):
        assert torch.equal(getattr(part, name), getattr(predictions, name)[2:5])


def test_a_mask_picks_predictions(predictions):
    assert predictions[predictions.correct].accuracy == 1


# ---------------------------------------------------------------- the interval of the accuracy


@pytest.mark.parametrize(
    "right, n, low, high",
    [(8, 10, 0.4902, 0.9433), (0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (9750, 10_000, 0.9718, 0.9779)],
)
def test_wilsons_interval_has_its_known_numbers(right, n, low, high):
    interval = said([0.9] * n, [True] * right + [False] * (n - right)).accuracy_interval()
    assert interval == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.99])
def test_the_ends_of_wilsons_interval_lie_z_standard_errors_from_the_accuracy(predictions, confidence):
    z = norm.ppf(0.5 + confidence / 2)
    for end in predictions.accuracy_interval(confidence):
        standard_error = (end * (1 - end) / len(predictions)) ** 0.5
        assert abs(end - predictions.accuracy) == pytest.approx(z * standard_error)


# ---------------------------------------------------------------- mistakes and samples


def test_mistakes_are_all_the_wrong_ones_and_no_other(predictions):
    mistakes = predictions.mistakes()
    assert not mistakes.correct.any()
    assert 0 < len(mistakes) == len(predictions) - int(predictions.correct.sum())


def test_the_most_confident_mistake_comes_first(predictions):
    confidence = predictions.mistakes().confidence
    assert (confidence[:-1] >= confidence[1:]).all() and confidence[0] > confidence[-1]


def test_a_mistake_keeps_its_own_image():
    predictions = said([0.5, 0.9, 0.7, 0.8], [False, True, False, False])
    predictions.images[:] = torch.arange(4).reshape(4, 1, 1, 1)
    assert predictions.mistakes().images[:, 0, 0, 0].tolist() == [3, 2, 0]


def test_a_model_without_mistakes_has_none():
    assert len(said([0.9] * 3, [True] * 3).mistakes()) == 0


def test_a_sample_holds_no_prediction_twice(predictions):
    assert len(predictions.sample(1000).images.flatten(1).unique(dim=0)) == 1000
    assert len(predictions.sample(25)) == 25


def test_the_same_seed_samples_the_same(predictions):
    first = predictions.sample(25, seed=4).logits
    torch.rand(1)
    assert torch.equal(predictions.sample(25, seed=4).logits, first)


def test_another_seed_samples_others(predictions):
    assert not torch.equal(predictions.sample(25, seed=4).logits, predictions.sample(25, seed=5).logits)


@pytest.mark.parametrize("size", [0, -1, 1001])
def test_a_sample_of_a_size_that_cannot_be_is_refused(predictions, size):
    with pytest.raises(ValueError, match=f"from 1 to 1000.*got {size}$"):
        predictions.sample(size)


# ---------------------------------------------------------------- calibration


@pytest.mark.parametrize("bins", [1, 5, 10, 37])
def test_each_prediction_is_in_one_group(predictions, bins):
    table = calibration_table(predictions, bins)
    assert table["images"].sum() == len(predictions)
    assert 0 < len(table) <= bins and (table["images"] > 0).all()


@pytest.mark.parametrize("bins", [1, 5, 10, 37])
def test_the_accuracy_of_a_group_lies_within_its_interval(predictions, bins):
    table = calibration_table(predictions, bins)
    assert ((table["low"] <= table["accuracy"] + 1e-9) & (table["accuracy"] <= table["high"] + 1e-9)).all()
    assert ((table["low"] >= 0) & (table["low"] < table["high"]) & (table["high"] <= 1)).all()


def test_the_groups_means_average_to_the_whole(predictions):
    table = calibration_table(predictions)
    shares = table["images"] / len(predictions)
    assert (shares * table["accuracy"]).sum() == pytest.approx(predictions.accuracy)
    assert (shares * table["confidence"]).sum() == pytest.approx(predictions.confidence.mean().item(), rel=1e-5)


def test_groups_are_equally_wide_and_come_in_order():
    table = calibration_table(said([0.95, 0.15, 0.55, 0.97, 0.58], [True, False, True, False, False]))
    assert table["images"].tolist() == [1, 2, 2]
    assert table["confidence"].tolist() == pytest.approx([0.15, 0.565, 0.96])
    assert table["accuracy"].tolist() == [0, 0.5, 0.5]


def test_full_confidence_belongs_to_the_last_group():
    assert calibration_table(said([1.0, 0.95], [True, True]))["images"].tolist() == [2]


@pytest.mark.parametrize("bins", [0, -1])
def test_a_number_of_groups_that_cannot_be_is_refused(predictions, bins):
    with pytest.raises(ValueError, match=f"got {bins}"):
        calibration_table(predictions, bins)


CALIBRATED = [(0.55, 55), (0.75, 75), (0.95, 95)]  # confidence, right ones of 100


def test_a_calibrated_model_has_no_calibration_error():
    confidences = [confidence for confidence, _ in CALIBRATED for _ in range(100)]
    correct = [number < right for _, right in CALIBRATED for number in range(100)]
    assert expected_calibration_error(said(confidences, correct)) == pytest.approx(0, abs=1e-9)


def test_an_overconfident_model_has_a_calibration_error_of_its_excess():
    assert expected_calibration_error(said([0.99] * 100, [True] * 50 + [False] * 50)) == pytest.approx(0.49)


def test_an_underconfident_model_has_a_calibration_error_too():
    assert expected_calibration_error(said([0.35] * 100, [True] * 100)) == pytest.approx(0.65)


def test_groups_weigh_as_much_as_they_have_images():
    predictions = said([0.55] * 30 + [0.85] * 10, [True] * 15 + [False] * 15 + [True] * 10)
    assert expected_calibration_error(predictions) == pytest.approx((30 * 0.05 + 10 * 0.15) / 40)


@pytest.mark.parametrize("row", [0, 7, -1, np.int64(3), torch.tensor(5)], ids=repr)
def test_one_row_is_a_batch_of_one(predictions, row):
    if isinstance(row, torch.Tensor):
        row = int(row)
    one = predictions[row]
    assert one.logits.shape == (1, 10) and one.images.shape == (1, 1, 28, 28) and len(one) == 1
    assert one.labels[0] == predictions.labels[row] and one.accuracy in (0.0, 1.0)


@pytest.mark.parametrize("row", [1000, -1001])
def test_a_row_that_there_is_not_is_refused(predictions, row):
    with pytest.raises(IndexError, match=f"1000 predictions.*{row}"):
        predictions[row]


@pytest.mark.parametrize("number", [2.5, "3", True, 0], ids=repr)
def test_a_number_that_is_not_whole_is_refused(predictions, number):
    for call in (
        lambda: calibration_table(predictions, number),
        lambda: predictions.sample(number),
        lambda: expected_calibration_error(predictions, bins=number),
    ):
        with pytest.raises(ValueError, match="must be a whole number from 1 .*got"):
            call()
