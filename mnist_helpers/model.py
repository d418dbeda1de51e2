"""The network of the lessons."""

import torch
from torch import nn

from mnist_helpers.checks import checked


def check_dropout(model: nn.Module, dropout: float = 0.2) -> None:
    """Raise ValueError for a dropout rate outside [0, 1)."""
    if not 0 <= dropout < 1:
        raise ValueError(f"dropout must be in [0, 1), got {dropout}")


def check_images(model: nn.Module, images: torch.Tensor) -> None:
    """Raise ValueError for what is no batch of images of 28 × 28 pixels."""
    dtype = next(model.parameters()).dtype
    if images.shape[1:] != (1, 28, 28) or images.dtype != dtype:
        got = f"{tuple(images.shape)} {images.dtype}"
        raise ValueError(f"images must be (batch, 1, 28, 28) floats ({dtype} as the weights), got {got}")


class MNISTNet(nn.Module):
    """The network of the lessons: 784 → 128 → 64 → 10, ReLU, dropout after each hidden layer, raw logits.

    Takes images (batch, 1, 28, 28), floating point; returns logits (batch, 10), before softmax.
    Raises ValueError for a dropout rate outside [0, 1) and for images of another shape or dtype.
    """

    @checked(check_dropout)
    def __init__(self, dropout: float = 0.2):
        super().__init__()
        # fmt: off
        self.layers = nn.Sequential(
            nn.Flatten(),
            nn.Linear(784, 128), nn.ReLU(), nn.Dropout(dropout),
            nn.Linear(128, 64), nn.ReLU(), nn.Dropout(dropout),
            nn.Linear(64, 10),
        )
        # fmt: on

    @checked(check_images)
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """The logits of the images: what `model(images)` returns."""
        return self.layers(images)


def count_parameters(model: nn.Module) -> int:
    """How many numbers the optimizer may change: the elements of all parameters that require a gradient."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
