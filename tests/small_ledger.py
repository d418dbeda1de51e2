"""Made-up runs with all columns of the ledger, for tests."""

import zlib

import numpy as np
import pandas as pd

from mnist_helpers.labs.ledger import COLUMNS, OF_EPOCHS, RECIPE


def made_run(seed=0, epochs=4, **settings):
    """The rows of one run of the recipe with other `settings`; its curves are plausible and its own."""
    settings = {**RECIPE, "epochs": epochs, "seed": seed, **settings}
    random = np.random.default_rng(zlib.crc32(repr(sorted(settings.items())).encode()))
    epoch = np.arange(1, epochs + 1)
    rows = pd.DataFrame({**settings, "epoch": epoch})
    for part, worse in (("train", 0.0), ("valid", 0.2)):
        rows[f"{part}_loss"] = 0.8 / epoch + worse + random.uniform(0, 0.1, epochs)
        rows[f"{part}_accuracy"] = 0.95 - 0.3 / epoch - worse / 4 + random.uniform(0, 0.05, epochs)
    for column in set(COLUMNS) - set(rows):
        size = epochs if column in OF_EPOCHS else None
        rows[column] = "3.12.1" if column in ("python", "torch") else random.uniform(0.1, 1, size)
    return rows[list(COLUMNS)]


def made_ledger(*settings, seeds=3):
    """Runs for each of the settings, with so many seeds; a setting may name its own `seeds`."""
    return pd.concat(
        [
            made_run(seed, **{name: value for name, value in each.items() if name != "seeds"})
            for each in settings
            for seed in range(each.get("seeds", seeds))
        ],
        ignore_index=True,
    )
