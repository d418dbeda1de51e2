"""Which runs the ledger has."""

import dataclasses
from collections.abc import Iterable

EPOCHS = {500: 100, 2_000: 60, 10_000: 40, 48_000: 10}  # by number of training images; lesson 06 shows why
DROPOUT = (0.0, 0.1, 0.2, 0.3, 0.5, 0.7)
WEIGHT_DECAY = (0.0, 1e-5, 1e-4, 1e-3)
CORNERS = ((0.0, 0.0), (0.2, 0.0), (0.0, 1e-4), (0.2, 1e-4))  # neither, dropout, weight decay, both: the recipe
FAR = ((0.7, 1e-4), (0.2, 1e-3), (0.5, 0.0))  # much of one of them: what lesson 06 compares with the recipe or neither
NEAR = ((0.5, 1e-4), (0.0, 1e-3))
OTHERS = ({"label_smoothing": 0.1}, {"network": "batch_norm"}, {"network": "shifted"})  # in place of dropout
WIDE = ((0.0, "wide"), (0.5, "wide_drops_pixels"))  # without dropout, and with the paper's
MANY, SOME, FEW = 10, 5, 3  # seeds


@dataclasses.dataclass(frozen=True)
class Setting:
    """All that tells one run of the ledger from another; what is not given is the recipe's."""

    dropout: float = 0.2
    weight_decay: float = 1e-4
    label_smoothing: float = 0.0
    train_size: int = 48_000
    epochs: int = 10
    pixels: str = "scaled"
    optimizer: str = "Adam"
    network: str = "MNISTNet"
    seed: int = 0

    @property
    def name(self) -> str:
        """The name of this run's file."""
        return "-".join(str(value) for value in dataclasses.astuple(self)) + ".csv"

    @property
    def work(self) -> float:
        """How long the run takes, roughly, in validation images of `MNISTNet`: for the estimate of the time left."""
        images = 13 * self.train_size + 12_000  # a training image takes as long as 13 validation images
        return self.epochs * images * {"wide": 10, "wide_drops_pixels": 10, "cnn": 5}.get(self.network, 1)


def grid() -> list[Setting]:
    """All runs of the ledger, those that the lessons talk about most first and the longest last."""
    points = [(dropout, decay) for dropout in DROPOUT for decay in WEIGHT_DECAY]
    rest = sorted(set(points) - {*CORNERS, *FAR, *NEAR}, key=lambda point: (point[1] != 1e-4, point))
    return [
        *settings(CORNERS, MANY),
        *(Setting(pixels="standardized", seed=seed) for seed in range(MANY)),
        *(Setting(optimizer="AdamW", seed=seed) for seed in range(MANY)),
        *(Setting(optimizer="AdamW", weight_decay=decay, seed=seed) for decay in (1e-2, 1e-1) for seed in range(MANY)),
        *in_place_of_dropout(),
        *settings(FAR, MANY),
        *settings(NEAR, SOME),
        *(Setting(network=network, seed=seed) for seed in range(MANY) for network in ("linear", "cnn")),
        *(setting for point in rest for setting in settings([point], FEW)),
        *(
            Setting(dropout, 0.0, epochs=30, network=network, seed=seed)
            for seed in range(MANY)
            for dropout, network in WIDE
        ),
    ]


def in_place_of_dropout() -> list[Setting]:
    """The recipe with each of OTHERS in place of dropout, with few images and with all."""
    return [
        Setting(0.0, train_size=train_size, epochs=EPOCHS[train_size], seed=seed, **other)
        for train_size in (2_000, 48_000)
        for seed in range(MANY)
        for other in OTHERS
    ]


def settings(points: Iterable[tuple[float, float]], seeds: int) -> list[Setting]:
    """These dropout rates and weight decays with each number of training images and each seed."""
    return [
        Setting(dropout, decay, train_size=train_size, epochs=epochs, seed=seed)
        for seed in range(seeds)
        for train_size, epochs in EPOCHS.items()
        for dropout, decay in points
    ]
