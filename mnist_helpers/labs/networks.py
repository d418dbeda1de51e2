"""Other networks for the same images, to compare `MNISTNet` with. Each is made from a dropout rate."""

from collections.abc import Callable
from functools import partial

import torch
from torch import nn

from mnist_helpers.model import MNISTNet


def linear_net(dropout: float = 0.0) -> nn.Sequential:
    """784 → 10 without a hidden layer (softmax regression); there is no unit to drop, so `dropout` changes nothing."""
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 10))


def small_cnn(dropout: float = 0.2) -> nn.Sequential:
    """Two convolutions of 3 × 3 pixels (16 and 32 channels), each halved by max pooling, then one linear layer."""
    # fmt: off
    return nn.Sequential(
        nn.Conv2d(1, 16, kernel_size=3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, kernel_size=3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Dropout(dropout), nn.Linear(32 * 7 * 7, 10),
    )
    # fmt: on


def wide_net(dropout: float, pixels: float = 0.0) -> nn.Sequential:
    """784 → 1024 → 1024 → 10, otherwise as `MNISTNet`: as wide as the smaller networks in Srivastava et al. (2014).

    `pixels`: the dropout rate of the pixels.
    """
    # fmt: off
    return nn.Sequential(
        nn.Flatten(), nn.Dropout(pixels),
        nn.Linear(784, 1024), nn.ReLU(), nn.Dropout(dropout),
        nn.Linear(1024, 1024), nn.ReLU(), nn.Dropout(dropout),
        nn.Linear(1024, 10),
    )
    # fmt: on


def batch_norm_net(dropout: float = 0.2) -> nn.Sequential:
    """`MNISTNet` with batch normalization before each ReLU (Ioffe and Szegedy, 2015)."""
    # fmt: off
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(784, 128), nn.BatchNorm1d(128), nn.ReLU(), nn.Dropout(dropout),
        nn.Linear(128, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Dropout(dropout),
        nn.Linear(64, 10),
    )
    # fmt: on


class RandomShift(nn.Module):
    """In training shifts each image (batch, 1, 28, 28) by up to `pixels` up or down and left or right; what
    comes in at the edge is 0. With the model in evaluation mode it changes nothing."""

    def __init__(self, pixels: int):
        super().__init__()
        self.pixels = pixels

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """The shifted images."""
        if not self.training:
            return images
        padded = nn.functional.pad(images, [self.pixels] * 4)[:, 0]  # (batch, height + 2 pixels, width + 2 pixels)
        first = torch.randint(2 * self.pixels + 1, (2, len(images), 1), device=images.device)
        rows, columns = [start + torch.arange(28, device=images.device) for start in first]  # (batch, 28) each
        which = torch.arange(len(images), device=images.device)
        return padded[which[:, None, None], rows[:, :, None], columns[:, None, :]].unsqueeze(1)


def shifted_net(dropout: float = 0.2) -> nn.Sequential:
    """`MNISTNet` that sees each training image shifted by up to 2 pixels, each time anew: data augmentation."""
    return nn.Sequential(RandomShift(2), MNISTNet(dropout))


NETWORKS: dict[str, Callable[[float], nn.Module]] = {
    "MNISTNet": MNISTNet,
    "wide": wide_net,
    "wide_drops_pixels": partial(wide_net, pixels=0.2),
    "linear": linear_net,
    "cnn": small_cnn,
    "batch_norm": batch_norm_net,
    "shifted": shifted_net,
}
