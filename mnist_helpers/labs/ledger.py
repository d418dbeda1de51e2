"""The ledger: a table of measured training runs, and what can be asked of it."""

import zlib
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pandas as pd
from scipy.stats import t

from mnist_helpers.files import ASSETS, complete_file
from mnist_helpers.predictions import Interval

LEDGER = ASSETS / "ledger"  # a folder with the two tables
COLUMNS = {
    "dropout": "dropout rate after each hidden layer",
    "weight_decay": "weight_decay of the optimizer",
    "label_smoothing": "share of the target probability that is spread evenly over the ten digits in training",
    "train_size": "number of training images",
    "epochs": "number of epochs of the run",
    "pixels": "'scaled' to [0, 1], or 'standardized': mean 0 and standard deviation 1 over the training images",
    "optimizer": "'Adam' or 'AdamW', learning rate 0.001",
    "network": "'MNISTNet', 'wide' with 784 → 1024 → 1024 → 10, 'wide_drops_pixels': with dropout 0.2 of the pixels, "
    "too, 'linear' with 784 → 10, 'cnn' with two convolutions, 'batch_norm': MNISTNet with batch normalization, "
    "'shifted': MNISTNet on training images shifted by up to 2 pixels",
    "seed": "decides the split into training and validation images, the initial weights and the order of the batches",
    "epoch": "the epoch that the next ten columns are about, counted from 1",
    "train_loss": "cross-entropy in nats on the training images after the epoch, dropout off",
    "train_accuracy": "share of them that are right, from 0 to 1",
    "valid_loss": "the same loss on the 12,000 validation images",
    "valid_accuracy": "share of them that are right",
    "running_loss": "mean loss over the steps of the epoch, dropout on",
    "running_accuracy": "share right over the steps of the epoch, dropout on",
    "seconds": "wall time of the epoch, training and measuring, on one core of a busy machine",
    "test_loss": "loss on the 10,000 test images after the epoch",
    "test_accuracy": "share of the test images that are right",
    "test_calibration_error": "expected calibration error on the test images, in ten bins of confidence",
    "weight_norm_1": "Euclidean norm of the first layer's weights after the last epoch, in each row of the run, "
    "like the rest",
    "weight_norm_2": "of the second layer's",
    "weight_norm_3": "of the output layer's; 0 where a network has fewer layers",
    "python": "version of Python",
    "torch": "version of PyTorch",
}
SETTINGS = list(COLUMNS)[:9]  # these columns tell runs from each other
OF_EPOCHS = list(COLUMNS)[9:20]  # these differ from epoch to epoch, all others are the same in all rows of a run
TABLES = {"runs": ["run", *(name for name in COLUMNS if name not in OF_EPOCHS)], "epochs": ["run", *OF_EPOCHS]}


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Write a table as CSV, packed when the name ends in .gz: complete or not at all, and equal tables to equal bytes.

    Numbers keep six significant digits; that is enough to tell how many of 60,000 images an accuracy stands for.
    """
    with complete_file(path) as file:
        put_table(table, file, packed=path.suffix == ".gz")


def put_table(table: pd.DataFrame, file: BinaryIO, packed: bool) -> None:
    """Write a table as CSV into an open file."""
    packing = {"method": "gzip", "mtime": 0} if packed else None
    table.to_csv(file, index=False, float_format="%.6g", lineterminator="\n", compression=packing)
    file.flush()


def read_table(path: Path, columns: Iterable[str] = COLUMNS) -> pd.DataFrame:
    """Read a table that `write_table` wrote.

    Raises FileNotFoundError where there is none, ValueError for a file that is damaged or has other columns than
    `columns`.
    """
    try:
        table = pd.read_csv(path, dtype={"dropout": float, "weight_decay": float, "label_smoothing": float})
    except FileNotFoundError:
        raise
    except (ValueError, EOFError, OSError, zlib.error) as error:
        raise ValueError(f"{path} is damaged ({error}). Delete it and make it again") from error
    if list(table.columns) != list(columns):
        raise ValueError(f"{path} holds no runs: it should have the columns {list(columns)}, got {list(table.columns)}")
    if table.empty or table.isna().any(axis=None):
        raise ValueError(f"{path} is damaged (values are missing). Delete it and make it again")
    return table


def write_ledger(ledger: pd.DataFrame, folder: Path) -> None:
    """Write a table with all `COLUMNS` as two: `runs.csv.gz` and `epochs.csv.gz`, which the number `run` connects.

    Both get their names when both are written; where one cannot be, the older ledger stays.
    """
    numbered = ledger.assign(run=ledger.groupby(SETTINGS, sort=False).ngroup())
    with ExitStack() as both:
        for name, columns in TABLES.items():
            file = both.enter_context(complete_file(folder / f"{name}.csv.gz"))
            put_table(numbered[columns].drop_duplicates(), file, packed=True)


def gather(folder: Path) -> pd.DataFrame:
    """All runs whose files lie in `folder`, as one table in the order of its settings.

    Raises FileNotFoundError where there is none, ValueError for a damaged file.
    """
    paths = sorted(Path(folder).glob("*.csv"))
    if not paths:
        raise FileNotFoundError(f"there is no run in {folder}. python -m mnist_helpers.labs.sweep trains them")
    return pd.concat([read_table(path) for path in paths]).sort_values([*SETTINGS, "epoch"], ignore_index=True)


RECIPE = {
    "dropout": 0.2,
    "weight_decay": 1e-4,
    "label_smoothing": 0.0,
    "train_size": 48_000,
    "pixels": "scaled",
    "optimizer": "Adam",
    "network": "MNISTNet",
}


def load_ledger(folder: str | Path = LEDGER) -> pd.DataFrame:
    """The ledger that came with the package, or the one in another folder: one row for each epoch of each run.

    `COLUMNS` explains the columns. Raises FileNotFoundError, and ValueError for files that are no ledger.
    """
    runs, epochs = [read_table(Path(folder) / f"{name}.csv.gz", columns) for name, columns in TABLES.items()]
    if epochs["run"].value_counts().to_dict() != runs.set_index("run")["epochs"].to_dict():
        raise ValueError(f"the two tables in {folder} do not belong together: they hold other runs. Make them again")
    ledger = epochs.merge(runs, on="run")
    return ledger[list(COLUMNS)]


def last_epochs(ledger: pd.DataFrame) -> pd.DataFrame:
    """One row for each run, with the values after its last epoch.

    Adds the column `gap`: training accuracy minus validation accuracy, both with dropout off.
    """
    runs = ledger[ledger["epoch"] == ledger["epochs"]].reset_index(drop=True)
    return runs.assign(gap=runs["train_accuracy"] - runs["valid_accuracy"])


def best_epochs(ledger: pd.DataFrame) -> pd.DataFrame:
    """One row for each run, with the values at its best epoch: the one with the lowest validation loss.

    Adds the column `gap` as `last_epochs` does. The epoch is chosen on the validation images, so their loss is a little
    too low, in all settings alike.
    """
    runs = ledger.loc[ledger.groupby(SETTINGS)["valid_loss"].idxmin()].reset_index(drop=True)
    return runs.assign(gap=runs["train_accuracy"] - runs["valid_accuracy"])


def select(table: pd.DataFrame, **settings: object) -> pd.DataFrame:
    """The rows with these settings; for those not named, the recipe's: dropout 0.2, 48,000 images and so on.

    Raises ValueError for a setting that the ledger does not have, or a value that none of its runs has.
    """
    for name, value in settings.items():
        if name not in RECIPE:
            raise ValueError(f"there is no setting {name!r} to select by, only {', '.join(RECIPE)}")
        if value not in set(table[name]):
            raise ValueError(f"no run has {name} {value!r}, there are {sorted(set(table[name]))}")
    return matching(table, {**RECIPE, **settings})


def matching(table: pd.DataFrame, settings: dict) -> pd.DataFrame:
    """The rows with these settings and any others."""
    return table[(table[list(settings)] == pd.Series(settings)).all(axis=1)]


def paired_differences(runs: pd.DataFrame, column: str, first: dict, second: dict) -> pd.Series:
    """For each seed, the value in `column` with the settings `first` minus the one with the settings `second`.

    `runs`: one row a run. Seeds that only one of the two has are left out.
    """
    values = select(runs, **first).set_index("seed")[column]
    return (values - select(runs, **second).set_index("seed")[column]).dropna()


def mean_interval(values: pd.Series | pd.DataFrame, confidence: float = 0.95, overlap: float = 0.0) -> Interval:
    """The mean over seeds and its interval, by Student's t distribution.

    `values`: one for each seed, or a table with a row for each seed (then mean and half of each column).
    `overlap`: the number of validation images divided by that of training images, where the splits of the seeds share
    most of their images: then the values are not independent, and the interval gets wider (Nadeau and Bengio, 2003).
    Raises ValueError for fewer than two seeds, as one alone says nothing about the spread, and for missing values.
    """
    if len(values) < 2 or values.isna().any(axis=None):
        raise ValueError(f"an interval needs a value for each of at least 2 seeds, got\n{values}")
    error = values.std() * (1 / len(values) + overlap) ** 0.5
    return Interval(values.mean(), t.ppf((1 + confidence) / 2, len(values) - 1) * error)


def p_value(values: pd.Series, overlap: float = 0.0) -> float:
    """How probable a mean at least as far from zero is if there is no effect: Student's t test, two-sided.

    `values`: one difference for each seed. `overlap`: as in `mean_interval`.
    """
    error = values.std() * (1 / len(values) + overlap) ** 0.5
    return float(2 * t.sf(abs(values.mean()) / error, len(values) - 1))


def holm(p_values: pd.Series) -> pd.Series:
    """The p-values of several questions asked at once, corrected by Holm's method (1979): the smallest times their
    number n, the next times n − 1 and so on; none below the one before, none above 1."""
    ordered = p_values.sort_values()
    factors = np.arange(len(ordered), 0, -1)
    return (ordered * factors).cummax().clip(upper=1)
