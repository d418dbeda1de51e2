"""Run a model over a dataset and keep what it said."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import TensorDataset

from mnist_helpers.predictions import Predictions, calibration_table, expected_calibration_error, predict
from panels import EMPTY


def said(confidences, correct):
    """Predictions of class 3 with the given confidences; the true class is 3 where `correct`, else 8."""
    probabilities = ((1 - torch.tensor(confidences, dtype=torch.double)) / 9).unsqueeze(1).repeat(1, 10)
    probabilities[:, 3] = torch.tensor(confidences, dtype=torch.double)
    labels = torch.where(torch.tensor(correct), 3, 8)
    return Predictions(probabilities.log(), labels, torch.arange(len(labels)).float().reshape(-1, 1, 1, 1))


def test_predictions_are_the_models_own_in_order_with_dropout_off_and_without_gradients(model, sample):
    predictions = predict(model.train(), sample.test)
    images, labels = sample.test.tensors
    assert torch.equal(predictions.labels, labels) and torch.equal(predictions.images, images)
    assert not predictions.logits.requires_grad
    with torch.no_grad():
        torch.testing.assert_close(predictions.logits, model.eval()(images))


@pytest.mark.parametrize("batch_size", [1, 7, 1000])
def test_neither_the_batch_size_nor_the_kind_of_dataset_changes_the_predictions(model, batch, batch_size):
    expected = predict(model, TensorDataset(*batch))
    for dataset in (TensorDataset(*batch), [(image, int(label)) for image, label in zip(*batch)]):
        predictions = predict(model, dataset, batch_size)
        torch.testing.assert_close(predictions.logits, expected.logits)
        assert torch.equal(predictions.labels, batch[1]) and torch.equal(predictions.images, batch[0])


def test_predict_takes_a_model_without_parameters_but_no_empty_dataset(batch):
    onehot = nn.functional.one_hot(batch[1], 10).float()
    assert predict(nn.Identity(), TensorDataset(onehot, batch[1])).accuracy == 1
    with pytest.raises(ValueError, match="empty"):
        predict(nn.Identity(), EMPTY)


def test_probabilities_confidence_and_class_follow_from_the_logits():
    logits = torch.zeros(2, 10)
    logits[0, 4] = logits[1, 7] = torch.tensor(3.0).log()
    predictions = Predictions(logits, torch.tensor([4, 5]), torch.zeros(2, 1, 28, 28))
    assert predictions.probabilities[0].tolist() == pytest.approx([1 / 12] * 4 + [3 / 12] + [1 / 12] * 5)
    assert predictions.predicted.tolist() == [4, 7]
    assert predictions.confidence.tolist() == pytest.approx([0.25, 0.25])
    assert predictions.correct.tolist() == [True, False] and predictions.accuracy == 0.5


@pytest.mark.parametrize("rows", [slice(2, 5), [2, 3, 4], torch.tensor([2, 3, 4])], ids=["slice", "list", "tensor"])
def test_rows_are_taken_from_logits_labels_and_images_alike(predictions, rows):
    part = predictions[rows]
    assert len(part) == 3
    for name in ("logits", "labels", "images"):
        assert torch.equal(getattr(part, name), getattr(predictions, name)[2:5])
    assert predictions[predictions.correct].accuracy == 1


@pytest.mark.parametrize("row", [0, 7, -1, np.int64(3)], ids=repr)
def test_one_row_is_a_batch_of_one_and_a_row_that_there_is_not_is_refused(predictions, row):
    one = predictions[row]
    assert one.logits.shape == (1, 10) and one.images.shape == (1, 1, 28, 28) and len(one) == 1
    assert one.labels[0] == predictions.labels[row] and torch.equal(one.images[0], predictions.images[row])
    assert one.accuracy in (0.0, 1.0)
    for missing in (1000, -1001):
        with pytest.raises(IndexError, match=f"1000 predictions.*{missing}"):
            predictions[missing]


@pytest.mark.parametrize(
    "right, n, low, high",
    [(8, 10, 0.4902, 0.9433), (0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (9750, 10_000, 0.9718, 0.9779)],
)
def test_wilsons_interval_has_its_known_numbers(right, n, low, high):
    predictions = said([0.9] * n, [True] * right + [False] * (n - right))
    less, interval, more = (predictions.accuracy_interval(confidence) for confidence in (0.8, 0.95, 0.99))
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=5e-5)
    assert less.half < interval.half < more.half and interval == predictions.accuracy_interval()


def test_mistakes_are_the_wrong_ones_with_their_images_the_most_confident_first(predictions):
    mistakes = predictions.mistakes()
    assert not mistakes.correct.any()
    assert 0 < len(mistakes) == len(predictions) - int(predictions.correct.sum())
    four = said([0.5, 0.9, 0.7, 0.8], [False, True, False, False])
    assert four.mistakes().images.flatten().tolist() == [3, 2, 0]
    assert len(said([0.9] * 3, [True] * 3).mistakes()) == 0


def test_a_sample_holds_no_prediction_twice_and_depends_on_its_seed_only():
    predictions = said([0.9] * 1000, [True] * 1000)
    assert predictions.sample(1000).images.unique().numel() == 1000
    first, again, other = (predictions.sample(25, seed=seed).images.flatten().tolist() for seed in (4, 4, 5))
    assert first == again != other and len(set(first)) == 25


@pytest.mark.parametrize("number", [2.5, "3", True, 0, -1], ids=repr)
def test_a_number_that_is_not_whole_or_too_small_is_refused(predictions, number):
    for call in (calibration_table, expected_calibration_error, Predictions.sample):
        with pytest.raises(ValueError, match=f"must be a whole number from 1 .*got {number!r}"):
            call(predictions, number)
    with pytest.raises(ValueError, match="size must be a whole number from 1 to 1000.*got 1001"):
        predictions.sample(1001)


def test_the_groups_may_be_named_by_their_edges():
    table = calibration_table(said([0.94, 0.45, 0.92, 1.0, 0.97], [True, False, True, True, False]), [0, 0.5, 0.95, 1])
    assert table["images"].tolist() == [1, 2, 2], "the upper edge belongs to its group"
    assert table["accuracy"].tolist() == [0, 1, 0.5]


@pytest.mark.parametrize("bins", [1, 5, 10, 37])
def test_each_prediction_is_in_one_group_with_its_interval(predictions, bins):
    table = calibration_table(predictions, bins)
    assert 0 < len(table) <= bins and (table["images"] > 0).all()
    assert ((table["low"] <= table["accuracy"] + 1e-9) & (table["accuracy"] <= table["high"] + 1e-9)).all()
    assert ((table["low"] >= 0) & (table["low"] < table["high"]) & (table["high"] <= 1)).all()
    assert table["images"].sum() == len(predictions)
    shares = table["images"] / len(predictions)
    assert (shares * table["accuracy"]).sum() == pytest.approx(predictions.accuracy)
    assert (shares * table["confidence"]).sum() == pytest.approx(predictions.confidence.mean().item(), rel=1e-5)


def test_groups_are_equally_wide_and_come_in_order_and_full_confidence_belongs_to_the_last():
    table = calibration_table(said([0.95, 0.15, 0.55, 1.0, 0.58], [True, False, True, False, False]))
    assert table["images"].tolist() == [1, 2, 2]
    assert table["confidence"].tolist() == pytest.approx([0.15, 0.565, 0.975])
    assert table["accuracy"].tolist() == [0, 0.5, 0.5]


@pytest.mark.parametrize(
    "groups, error",
    [
        ([(0.55, 55, 100), (0.75, 75, 100), (0.95, 95, 100)], 0),
        ([(0.99, 50, 100)], 0.49),
        ([(0.35, 100, 100)], 0.65),
        ([(0.55, 15, 30), (0.85, 10, 10)], (30 * 0.05 + 10 * 0.15) / 40),
    ],
    ids=["calibrated", "overconfident", "underconfident", "weighted by images"],
)
def test_the_calibration_error_is_the_mean_distance_of_confidence_and_accuracy(groups, error):
    confidences = [confidence for confidence, _, size in groups for _ in range(size)]
    correct = [number < right for _, right, size in groups for number in range(size)]
    assert expected_calibration_error(said(confidences, correct)) == pytest.approx(error, abs=1e-9)
