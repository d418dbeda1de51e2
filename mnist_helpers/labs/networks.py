"""Other networks for the same images, to compare `MNISTNet` with. Each is made from a dropout rate."""

from collections.abc import Callable

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


def wide_net(dropout: float) -> nn.Sequential:
    """784 → 1024 → 1024 → 10, otherwise as `MNISTNet`: as wide as the smaller networks in Srivastava et al. (2014)."""
    # fmt: off
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(784, 1024), nn.ReLU(), nn.Dropout(dropout),
        nn.Linear(1024, 1024), nn.ReLU(), nn.Dropout(dropout),
        nn.Linear(1024, 10),
    )
    # fmt: on


NETWORKS: dict[str, Callable[[float], nn.Module]] = {
    "MNISTNet": MNISTNet,
    "wide": wide_net,
    "linear": linear_net,
    "cnn": small_cnn,
}
