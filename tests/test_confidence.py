"""What a confidence is worth: temperature, risk and coverage, AUROC, the bootstrap over images."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mnist_helpers.labs.confidence import auroc, auroc_gain, fit_temperature, risk_coverage
from mnist_helpers.predictions import Predictions


def said(probabilities, right):
    """Two classes; each answer is 0 with this probability, and right or wrong."""
    first = torch.tensor(probabilities, dtype=torch.float64)
    labels = torch.where(torch.tensor(right, dtype=torch.bool), 0, 1)
    return Predictions(torch.stack([first, 1 - first], dim=1).log(), labels, torch.zeros(len(first), 1, 28, 28))


FOUR = said([0.9, 0.6, 0.8, 0.7], [1, 0, 0, 1])


@pytest.mark.parametrize("factor", [0.5, 1, 3])
def test_the_temperature_takes_back_what_the_logits_were_multiplied_by(factor):
    generator = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(20_000, 10, generator=generator)
    labels = torch.multinomial(logits.softmax(dim=1), 1, generator=generator)[:, 0]  # true probabilities
    predictions = Predictions(factor * logits, labels, torch.zeros(20_000, 0))
    found = fit_temperature(predictions)
    assert found == pytest.approx(factor, rel=0.03)
    best = F.cross_entropy(predictions.logits / found, labels)
    assert all(best <= F.cross_entropy(predictions.logits / (found * other), labels) for other in (0.95, 1.05))


def test_risk_counts_the_wrong_among_the_most_confident():
    answered, wrong = risk_coverage(FOUR)
    assert answered.tolist() == [0.25, 0.5, 0.75, 1]
    assert wrong.tolist() == pytest.approx([0, 1 / 2, 1 / 3, 2 / 4])


def test_among_equal_confidences_the_order_stays():
    right = [number % 3 == 0 for number in range(1000)]
    answered, wrong = risk_coverage(said([0.8] * 1000, right))
    expected = [sum(not each for each in right[:number]) / number for number in range(1, 1001)]
    assert wrong.tolist() == pytest.approx(expected)


def test_auroc_counts_the_pairs_in_the_right_order():
    """Of the pairs of a right and a wrong answer, 0.9 beats both wrong ones and 0.7 one of them."""
    assert auroc(FOUR) == 3 / 4
    assert auroc(said([0.9, 0.8, 0.6], [1, 1, 0])) == 1 and auroc(said([0.8, 0.8], [1, 0])) == 0.5
    for right in ([1, 1], [0, 0]):
        with pytest.raises(ValueError, match="right and wrong answers are needed"):
            auroc(said([0.9, 0.8], right))


def test_the_gain_is_that_of_the_same_images_and_surer_with_more_of_them():
    random = np.random.default_rng(1)

    def drawn(images):
        right, luck = random.random(images) < 0.8, random.random(images)
        return [said(0.5 + 0.49 * (share * right + (1 - share) * luck), right) for share in (0.3, 0.1)]

    few, many = drawn(500), drawn(5_000)
    assert tuple(auroc_gain(*few)) == tuple(auroc_gain(*few)) != tuple(auroc_gain(*many))
    for good, bad in (few, many):
        interval, there = auroc_gain(good, bad), auroc(good) - auroc(bad)
        assert 0 < interval.low < there < interval.high
        assert tuple(auroc_gain(good, good)) == (0, 0)
        back = auroc_gain(bad, good)
        assert (back.low, back.high) == pytest.approx((-interval.high, -interval.low))
    assert auroc_gain(*few).half > 2 * auroc_gain(*many).half
