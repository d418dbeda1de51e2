"""The runs of the ledger: which there are, and the command that trains them, `python -m mnist_helpers.sweep`."""
import argparse
import dataclasses
import threading
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from pathlib import Path

import joblib
import pandas as pd
import torch
from torch import nn
from torch.utils.data import TensorDataset
from tqdm import tqdm

from mnist_helpers.data import MNISTData, load_mnist, make_loader
from mnist_helpers.ledger import gather, write_table
from mnist_helpers.model import MNISTNet
from mnist_helpers.predictions import expected_calibration_error, predict
from mnist_helpers.runs import library_versions, runs_dir
from mnist_helpers.training import fit, set_seed

EPOCHS = {500: 100, 2_000: 60, 10_000: 40, 48_000: 10}  # by number of training images; lesson 06 shows why
DROPOUT = (0.0, 0.1, 0.2, 0.3, 0.5, 0.7)
WEIGHT_DECAY = (0.0, 1e-5, 1e-4, 1e-3)
CORNERS = ((0.0, 0.0), (0.2, 0.0), (0.0, 1e-4), (0.2, 1e-4))  # neither, dropout, weight decay, both: the recipe
FAR = ((0.5, 1e-4), (0.7, 1e-4), (0.0, 1e-3), (0.2, 1e-3))    # too much of one of them
MANY, FEW, WIDE = 10, 3, 5  # seeds
ONE_AT_A_TIME = threading.Lock()  # PyTorch's random numbers belong to the process: two runs in it would share them


@dataclasses.dataclass(frozen=True)
class Setting:
    """All that tells one run of the ledger from another; what is not given is the recipe's."""

    dropout: float = 0.2
    weight_decay: float = 1e-4
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
        return self.epochs * images * (6 if self.network == "wide" else 1)


def grid() -> list[Setting]:
    """All runs of the ledger, those that the lessons talk about first."""
    points = [(dropout, decay) for dropout in DROPOUT for decay in WEIGHT_DECAY]
    rest = [point for point in points if point not in CORNERS + FAR]
    return [
        *settings(CORNERS, MANY),
        *(Setting(pixels="standardized", seed=seed) for seed in range(MANY)),
        *(Setting(optimizer="AdamW", seed=seed) for seed in range(MANY)),
        *(Setting(optimizer="AdamW", weight_decay=decay, seed=seed) for decay in (1e-2, 1e-1) for seed in range(FEW)),
        *(Setting(dropout, 0.0, network="wide", seed=seed) for seed in range(WIDE) for dropout in (0.0, 0.5)),
        *settings(FAR, MANY),
        *settings(rest, FEW),
    ]


def settings(points: Iterable[tuple[float, float]], seeds: int) -> list[Setting]:
    """These dropout rates and weight decays with each number of training images and each seed."""
    return [Setting(dropout, decay, size, EPOCHS[size], seed=seed)
            for seed in range(seeds) for size in EPOCHS for dropout, decay in points]


def wide_net(dropout: float) -> nn.Sequential:
    """784 → 1024 → 1024 → 10, otherwise as `MNISTNet`: one of the networks in Srivastava et al. (2014), table 2."""
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(784, 1024), nn.ReLU(), nn.Dropout(dropout),
        nn.Linear(1024, 1024), nn.ReLU(), nn.Dropout(dropout),
        nn.Linear(1024, 10),
    )


NETWORKS = {"MNISTNet": MNISTNet, "wide": wide_net}
OPTIMIZERS = {"Adam": torch.optim.Adam, "AdamW": torch.optim.AdamW}


def train_setting(setting: Setting, data: MNISTData) -> pd.DataFrame:
    """Train one run and measure it: the rows of the ledger for it, one an epoch (`ledger.COLUMNS` explains them).

    The seed decides the split into training and validation images, the initial weights and the order of the batches,
    whatever the rest of the setting is. Seed 0 has the split of the lessons. Trains on the processor.
    """
    data = data.with_split(setting.seed).with_train_size(setting.train_size)
    if setting.pixels == "standardized":
        data = standardized(data)
    set_seed(setting.seed)
    model = NETWORKS[setting.network](setting.dropout)
    options = {"lr": 0.001, "weight_decay": setting.weight_decay, "fused": True}
    optimizer = OPTIMIZERS[setting.optimizer](model.parameters(), **options)
    order = torch.Generator().manual_seed(setting.seed)  # of its own, so that dropout cannot change the batches
    train_loader = make_loader(data.train, batch_size=32, shuffle=True, generator=order)
    valid_loader = make_loader(data.valid, batch_size=1024)
    history = fit(model, optimizer, train_loader, valid_loader, epochs=setting.epochs, progress=False)
    if len(history) < setting.epochs:  # `fit` ends early on Ctrl+C
        raise KeyboardInterrupt
    rows = history.to_frame().reset_index()
    for column, value in (measured(model, data) | library_versions()).items():
        rows[column] = value
    for place, (column, value) in enumerate(dataclasses.asdict(setting).items()):
        rows.insert(place, column, value)
    return rows


def standardized(data: MNISTData) -> MNISTData:
    """The same images with the training set's mean pixel subtracted, in units of its standard deviation."""
    pixels = data.train.tensors[0]
    mean, deviation = pixels.mean(), pixels.std()
    parts = {name: getattr(data, name).tensors for name in ("train", "valid", "test")}
    return dataclasses.replace(data, **{
        name: TensorDataset((images - mean) / deviation, labels) for name, (images, labels) in parts.items()})


def measured(model: nn.Module, data: MNISTData) -> dict[str, float]:
    """What the ledger says of a trained model: loss, accuracy and calibration on the test set, norms of its weights."""
    predictions = predict(model, data.test)
    norms = [parameter.detach().norm().item() for parameter in model.parameters() if parameter.ndim == 2]
    return {
        "test_loss": nn.functional.cross_entropy(predictions.logits, predictions.labels).item(),
        "test_accuracy": predictions.accuracy,
        "test_calibration_error": expected_calibration_error(predictions),
        **{f"weight_norm_{layer}": norm for layer, norm in enumerate(norms, start=1)},
    }


@lru_cache(maxsize=1)
def load_once(root: str | None) -> tuple[MNISTData, str]:
    """The images and their fingerprint, kept for the next run in the same process."""
    data = load_mnist(root)
    return data, data.fingerprint()


def work_on(setting: Setting, root: str | None, fingerprint: str) -> tuple[Setting, pd.DataFrame]:
    """What a worker does for one run: load the images, train, measure.

    Raises ValueError where the images are others than those with `fingerprint`.
    """
    torch.set_flush_denormal(True)  # holds for one thread only, and Dask's workers work in threads of their own
    torch.set_num_threads(1)
    data, found = load_once(root)
    if found != fingerprint:
        raise ValueError(f"a worker loaded other images than the program that started the sweep: {data}. "
                         "Let MNIST_DATA_DIR name the folder with the MNIST files on every machine")
    with ONE_AT_A_TIME:
        return setting, train_setting(setting, data)


def sweep(
    wanted: list[Setting], folder: Path, *, root: str | None = None, jobs: int = -1, scheduler: str | None = None
) -> None:
    """Train those of the runs `wanted` that have no file in `folder` yet; each finished run is written at once.

    Works on `jobs` runs at a time (-1: one for each core), or on all workers of the Dask scheduler at the address
    `scheduler`. Stopped at any time, it goes on from there when it is started again. Several sweeps may share a
    folder: files are always complete, and a run that two of them train is written twice with equal content.

    Raises ValueError when `folder` holds runs on other images, or there are fewer training images than wanted.
    """
    data, fingerprint = load_once(root)
    claim(folder, data, fingerprint)
    data.with_train_size(max(setting.train_size for setting in wanted))  # raises ValueError
    missing = [setting for setting in wanted if not (folder / setting.name).exists()]
    print(f"{data}\n{len(wanted) - len(missing)} of {len(wanted)} runs are in {folder}, {len(missing)} to train.")
    with workers(jobs, scheduler) as parallel, progress_of(missing) as bar:
        for setting, rows in parallel(
            joblib.delayed(work_on)(setting, root, fingerprint) for setting in still_missing(missing, folder, bar)
        ):
            write_table(rows, folder / setting.name)
            bar.update(setting.work)


def claim(folder: Path, data: MNISTData, fingerprint: str) -> None:
    """Note in a new `folder` which images its runs are on. Raises ValueError when an older note names others."""
    folder.mkdir(parents=True, exist_ok=True)
    note, mine = folder / "images.txt", f"{fingerprint} {data}\n"
    if not note.exists():
        note.write_text(mine, encoding="utf-8")
    if note.read_text(encoding="utf-8").split()[0] != fingerprint:
        raise ValueError(f"{folder} holds runs on other images ({note.read_text(encoding='utf-8').strip()}) than are "
                         f"loaded now ({mine.strip()}). Name another folder, or load the same images")


@contextmanager
def workers(jobs: int, scheduler: str | None) -> Iterator[joblib.Parallel]:
    """What runs the tasks, each result as soon as it is there: processes on this machine, or Dask's workers."""
    with ExitStack() as stack:
        if scheduler is not None:
            from dask.distributed import Client  # an extra: pip install "mnist-helpers[cluster]"

            stack.enter_context(Client(scheduler, timeout=30))
            stack.enter_context(joblib.parallel_config("dask"))
        yield stack.enter_context(
            joblib.Parallel(n_jobs=jobs, return_as="generator_unordered", batch_size=1, pre_dispatch="2*n_jobs"))


def progress_of(settings: list[Setting]) -> tqdm:
    """A bar over the work of all these runs, with the time left."""
    form = "{percentage:5.1f} %|{bar}| {elapsed} so far, about {remaining} left{postfix}"
    return tqdm(total=sum(setting.work for setting in settings), bar_format=form, ncols=100, smoothing=0.02)


def still_missing(settings: list[Setting], folder: Path, bar: tqdm) -> Iterator[Setting]:
    """Those of the runs that nobody else has finished by the time that it is their turn."""
    for setting in settings:
        if (folder / setting.name).exists():
            bar.update(setting.work)
        else:
            yield setting


def main(arguments: list[str] | None = None) -> None:
    """The command `python -m mnist_helpers.sweep`."""
    parser = argparse.ArgumentParser(
        prog="python -m mnist_helpers.sweep", description="Train the runs of the ledger and write it. Stop it whenever "
        "you like (Ctrl+C): every finished run is kept, and the same command goes on from there.")
    parser.add_argument("--folder", type=Path, default=runs_dir() / "sweep", help="one file a run (%(default)s)")
    parser.add_argument("--ledger", type=Path, default=runs_dir() / "ledger.csv.gz", help="the table (%(default)s)")
    parser.add_argument("--data", help="the folder with the MNIST files, as load_mnist takes it")
    parser.add_argument("--jobs", type=int, default=-1, help="runs at a time; -1, the default: one for each core")
    parser.add_argument("--scheduler", help="address of a Dask scheduler whose workers are to train, "
                                            "for example tcp://10.0.0.1:8786")
    parser.add_argument("--train-sizes", type=int, nargs="+", choices=EPOCHS, default=list(EPOCHS), help="only these")
    parser.add_argument("--seeds", type=int, default=MANY, help="at most so many for each point (%(default)s)")
    options = parser.parse_args(arguments)
    wanted = [setting for setting in grid()
              if setting.train_size in options.train_sizes and setting.seed < options.seeds]
    try:
        sweep(wanted, options.folder, root=options.data, jobs=options.jobs, scheduler=options.scheduler)
    except KeyboardInterrupt:
        print("\nStopped. The finished runs are kept; the same command goes on from there.")
    write_table(gather(options.folder), options.ledger)
    print(f"All runs of {options.folder} are now in {options.ledger}.")


if __name__ == "__main__":
    from mnist_helpers import sweep as module  # workers must find the functions under this name, not in __main__

    module.main()
