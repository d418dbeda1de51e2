"""Run a model over a dataset and keep what it said."""

import dataclasses
from numbers import Integral
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import nn
from torch.utils.data import Dataset

from mnist_helpers.checks import check_predictions, check_some, check_whole, checked, names_batch_size
from mnist_helpers.data import make_loader
from mnist_helpers.training import device_of, eval_mode

if TYPE_CHECKING:
    import pandas as pd


class Interval(NamedTuple):
    """A confidence interval, `middle` ± `half`: two numbers, or two columns of numbers."""

    middle: float
    half: float

    @property
    def low(self) -> float:
        """Its lower end."""
        return self.middle - self.half

    @property
    def high(self) -> float:
        """Its upper end."""
        return self.middle + self.half


@dataclasses.dataclass(frozen=True, eq=False)
class Predictions:
    """What a model said about n images, all on the CPU: logits (n, 10), true labels (n,), images (n, 1, 28, 28).

    Raises ValueError when their numbers differ.
    """

    logits: torch.Tensor
    labels: torch.Tensor
    images: torch.Tensor

    def __post_init__(self) -> None:
        check_predictions(self.logits, self.labels, self.images)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, rows: int | slice | torch.Tensor | list) -> "Predictions":
        """The predictions at `rows`: a row number, a slice, a boolean mask or a list of row numbers.

        Raises IndexError for a row number that there is not.
        """
        if isinstance(rows, Integral) and not isinstance(rows, bool):
            if not -len(self) <= rows < len(self):
                raise IndexError(f"there are {len(self)} predictions, numbered from 0, and none has the number {rows}")
            rows = [int(rows)]  # a list, so that the result is again a batch, of one
        return Predictions(self.logits[rows], self.labels[rows], self.images[rows])

    @property
    def probabilities(self) -> torch.Tensor:
        """Softmax of the logits: (n, 10), each row sums to 1."""
        return self.logits.softmax(dim=1)

    @property
    def predicted(self) -> torch.Tensor:
        """The class with the largest logit: (n,)."""
        return self.logits.argmax(dim=1)

    @property
    def confidence(self) -> torch.Tensor:
        """The probability given to the predicted class: (n,), from 0.1 to 1 with ten classes."""
        return self.probabilities.max(dim=1).values

    @property
    def correct(self) -> torch.Tensor:
        """Whether each prediction equals the true label: (n,) booleans."""
        return self.predicted == self.labels

    @property
    def accuracy(self) -> float:
        """The share of correct predictions, from 0 to 1."""
        return self.correct.double().mean().item()

    def accuracy_interval(self, confidence: float = 0.95) -> Interval:
        """Wilson's interval for the accuracy, counting only the luck of which images were drawn.

        Its middle is not the accuracy itself but a little nearer to one half.
        """
        from scipy.stats import binomtest  # takes long to import

        interval = binomtest(int(self.correct.sum()), len(self)).proportion_ci(confidence, method="wilson")
        return Interval(float(interval.low + interval.high) / 2, float(interval.high - interval.low) / 2)

    def mistakes(self) -> "Predictions":
        """The wrong predictions only, the most confident first."""
        wrong = self[~self.correct]
        return wrong[wrong.confidence.argsort(descending=True)]

    def sample(self, size: int, seed: int = 0) -> "Predictions":
        """`size` predictions drawn at random without repetition; the same seed draws the same ones."""
        size = check_whole("size", size, 1, len(self), "the predictions there are")
        return self[torch.randperm(len(self), generator=torch.Generator().manual_seed(seed))[:size]]


@names_batch_size
def predict(model: nn.Module, dataset: Dataset, batch_size: int = 1024) -> Predictions:
    """Run `model` over a `TensorDataset` of images and labels, in order and with dropout off.

    The model comes back in the mode it was in. Raises ValueError for no images, MemoryError for too large batches.
    """
    device, logits, labels, images = device_of(model), [], [], []
    with eval_mode(model), torch.no_grad():
        for batch_images, batch_labels in make_loader(dataset, batch_size):
            logits.append(model(batch_images.to(device)).cpu())
            labels.append(batch_labels.cpu())
            images.append(batch_images.cpu())
    return Predictions(torch.cat(logits), torch.cat(labels), torch.cat(images))


def calibration_table(predictions: Predictions, bins: int | list[float] = 10) -> "pd.DataFrame":
    """Predictions grouped by confidence: does 90 % confidence mean 90 % correct?

    `bins`: how many groups of equal width, or a list of their edges from 0 to 1; the upper edge belongs to its group.
    Columns: images (how many), confidence (mean), accuracy, and low and high (Wilson's 95 % interval of the accuracy).
    Groups without any prediction are left out.
    """
    import pandas as pd

    edges = torch.tensor(bins) if type(bins) is list else torch.linspace(0, 1, check_whole("bins", bins, 1, 1000) + 1)
    group = torch.bucketize(predictions.confidence, edges)
    rows = []
    for number in group.unique():
        part = predictions[group == number]
        interval, confidence = part.accuracy_interval(), part.confidence.mean().item()
        rows.append([len(part), confidence, part.accuracy, interval.low, interval.high])
    return pd.DataFrame(rows, columns=["images", "confidence", "accuracy", "low", "high"])


@checked(check_some)
def expected_calibration_error(predictions: Predictions, bins: int = 10) -> float:
    """The mean distance between confidence and accuracy over the groups of `calibration_table`, by their images.

    Follows Guo et al. (2017), On Calibration of Modern Neural Networks, equation 3.
    """
    table = calibration_table(predictions, bins)
    distance = (table["accuracy"] - table["confidence"]).abs()
    return float((distance * table["images"]).sum() / table["images"].sum())
