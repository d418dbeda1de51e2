"""How well a confidence tells right answers from wrong ones, and a temperature that makes it fit."""

import numpy as np
import torch
import torch.nn.functional as F
from scipy.optimize import minimize_scalar
from scipy.stats import bootstrap
from sklearn.metrics import roc_auc_score

from mnist_helpers.predictions import Interval, Predictions


def fit_temperature(predictions: Predictions) -> float:
    """The number, from 0.1 to 10, by which logits must be divided to make the loss of these predictions lowest.

    Fit it on validation images. Follows Guo et al. (2017), On Calibration of Modern Neural Networks.
    """

    def loss(temperature: float) -> float:
        return F.cross_entropy(predictions.logits / temperature, predictions.labels).item()

    return float(minimize_scalar(loss, bounds=(0.1, 10), method="bounded").x)


def risk_coverage(predictions: Predictions) -> tuple[torch.Tensor, torch.Tensor]:
    """The share of images answered and the share of the answers that are wrong, the most confident answered first.

    Two tensors (n,): after one image, two, and so on up to all. Where confidences are equal the order stays.
    """
    wrong = ~predictions.correct[predictions.confidence.argsort(descending=True, stable=True)]
    answered = torch.arange(1, len(wrong) + 1)
    return answered / len(wrong), wrong.cumsum(dim=0) / answered


def auroc(predictions: Predictions) -> float:
    """How often a right answer has more confidence than a wrong one, both drawn at random: 1 is perfect, 0.5 luck.

    The area under the ROC curve of "right" by confidence. Raises ValueError when all are right or all are wrong.
    """
    if predictions.correct.all() or not predictions.correct.any():
        raise ValueError("right and wrong answers are needed, and these are all of one kind")
    return float(roc_auc_score(predictions.correct, predictions.confidence))


def auroc_gain(predictions: Predictions, other: Predictions, resamples: int = 200) -> Interval:
    """The 95 % interval of what `auroc` gains over `other`, for the same images, by bootstrap over these images."""
    both = [(each.correct.numpy(), each.confidence.numpy()) for each in (predictions, other)]

    def gain(rows: np.ndarray) -> float:
        first, second = [roc_auc_score(correct[rows], confidence[rows]) for correct, confidence in both]
        return first - second

    options = {"vectorized": False, "method": "percentile", "random_state": np.random.default_rng(0)}
    low, high = bootstrap((np.arange(len(other)),), gain, n_resamples=resamples, **options).confidence_interval
    return Interval(float(low + high) / 2, float(high - low) / 2)
