"""Train and measure the runs of the ledger, on all cores or on a Dask cluster; what is finished is kept."""

import dataclasses
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import joblib
import pandas as pd
import torch
from torch import nn
from torch.utils.data import TensorDataset
from tqdm import tqdm

from mnist_helpers.data import MNISTData, load_mnist
from mnist_helpers.files import complete_file
from mnist_helpers.labs.ledger import write_table
from mnist_helpers.labs.networks import NETWORKS
from mnist_helpers.labs.sweep.grid import Setting
from mnist_helpers.predictions import expected_calibration_error, predict
from mnist_helpers.quick import quick_settings
from mnist_helpers.runs import library_versions, train_run
from mnist_helpers.training import History

PATIENCE = 30  # seconds that a Dask scheduler may take to answer
ONE_AT_A_TIME = threading.Lock()  # PyTorch's random numbers belong to the process: two runs in it would share them
tqdm.set_lock(threading.RLock())  # the default one uses a semaphore, which a stopped worker would leave behind


OPTIMIZERS = {"Adam": torch.optim.Adam, "AdamW": torch.optim.AdamW}


def train_setting(setting: Setting, data: MNISTData) -> pd.DataFrame:
    """Train one run and measure it: the rows of the ledger for it, one an epoch (`ledger.COLUMNS` explains them).

    The seed decides the split into training and validation images, the initial weights and the order of the batches,
    whatever the rest of the setting is. Seed 0 has the split of the lessons. Trains on the processor.
    """
    data = data.with_split(setting.seed).with_train_size(setting.train_size)
    if setting.pixels == "standardized":
        data = standardized(data)
    settings: dict[str, Any] = {name: getattr(setting, name) for name in ("dropout", "weight_decay", "epochs", "seed")}
    kinds: dict[str, Any] = {"optimizer_class": OPTIMIZERS[setting.optimizer]}
    kinds["loss_function"] = partial(nn.functional.cross_entropy, label_smoothing=setting.label_smoothing)
    models, tests = [], []

    def network(dropout: float) -> nn.Module:
        models.append(NETWORKS[setting.network](dropout))  # kept here to be measured after each epoch
        return models[0]

    def measure(history: History) -> None:
        tests.append(on_test_images(models[0], data))

    run = train_run(data, network=network, **settings, **kinds, on_epoch_end=measure, device="cpu", progress=False)
    if len(run.history) < setting.epochs:  # `fit` ends early on Ctrl+C
        raise KeyboardInterrupt
    rows = run.history.to_frame().reset_index().join(pd.DataFrame(tests))
    for column, value in (weight_norms(run.model) | library_versions()).items():
        rows[column] = value
    for place, (column, value) in enumerate(dataclasses.asdict(setting).items()):
        rows.insert(place, column, value)
    return rows


def standardized(data: MNISTData) -> MNISTData:
    """The same images with the training set's mean pixel subtracted, in units of its standard deviation."""
    pixels = data.train.tensors[0]
    mean, deviation = pixels.mean(), pixels.std()
    parts = [data.train.tensors, data.valid.tensors, data.test.tensors]
    train, valid, test = [TensorDataset((images - mean) / deviation, labels) for images, labels in parts]
    return MNISTData(train, valid, test, source=data.source, note=data.note)


def on_test_images(model: nn.Module, data: MNISTData) -> dict[str, float]:
    """Loss, accuracy and calibration of a model on the test images."""
    predictions = predict(model, data.test)
    return {
        "test_loss": nn.functional.cross_entropy(predictions.logits, predictions.labels).item(),
        "test_accuracy": predictions.accuracy,
        "test_calibration_error": expected_calibration_error(predictions),
    }


def weight_norms(model: nn.Module) -> dict[str, float]:
    """The norms of the layers' weights, three in all; 0 for layers that a smaller network does not have."""
    norms = [parameter.detach().norm().item() for parameter in model.parameters() if parameter.ndim > 1]
    return {f"weight_norm_{layer}": norm for layer, norm in enumerate([*norms, 0.0, 0.0, 0.0][:3], start=1)}


@lru_cache(maxsize=1)
def load_once(root: str | None) -> tuple[MNISTData, str]:
    """The images and their fingerprint, kept for the next run in the same process."""
    data = load_mnist(root)
    return data, data.fingerprint()


class RunFailedError(Exception):
    """A run ended with an error."""


def work_on(setting: Setting, root: str | None, fingerprint: str) -> tuple[Setting, pd.DataFrame | Exception]:
    """What a worker does for one run: load the images, train, measure.

    Gives back an error that says what is wrong instead of raising it, so that joblib first hands over the runs that
    were finished before.
    """
    try:
        with ONE_AT_A_TIME, quick_settings():
            data, found = load_once(root)
            if found != fingerprint:
                raise ValueError(
                    f"a worker loaded other images than the program that started the sweep: {data}. "
                    "Let MNIST_DATA_DIR name the folder with the MNIST files on every machine"
                )
            return setting, train_setting(setting, data)
    except (ArithmeticError, OSError, ValueError) as error:
        return setting, error


def sweep(
    wanted: list[Setting], folder: Path, *, root: str | None = None, jobs: int = -1, scheduler: str | None = None
) -> None:
    """Train those of the runs `wanted` that have no file in `folder` yet; each finished run is written at once.

    Works on `jobs` runs at a time (-1: one for each core), or on all workers of the Dask scheduler at the address
    `scheduler`. Stopped at any time, it goes on from there when it is started again. Several sweeps may share a
    folder: files are always complete, and a run that two of them train is written twice with equal content.

    Raises ValueError when `folder` holds runs on other images, or there are fewer training images than wanted;
    RunFailedError when a run ends with an error; ConnectionError without a Dask scheduler.
    """
    if jobs < 1 and jobs != -1:
        raise ValueError(f"jobs must be a whole number from 1 up, or -1 for one on each core, got {jobs}")
    data, fingerprint = load_once(root)
    check_size(max(setting.train_size for setting in wanted), data)
    claim(folder, data, fingerprint)
    missing = [setting for setting in wanted if not (folder / setting.name).exists()]
    print(f"{data}\n{len(wanted) - len(missing)} of {len(wanted)} runs are in {folder}, {len(missing)} to train.")
    with workers(jobs, scheduler) as parallel, progress_of(missing) as bar:
        for setting, rows in parallel(
            joblib.delayed(work_on)(setting, root, fingerprint) for setting in still_missing(missing, folder, bar)
        ):
            if isinstance(rows, Exception):
                raise RunFailedError(f"the run {setting.name} failed: {rows}") from rows
            write_table(rows, folder / setting.name)
            bar.update(setting.work)
    lost = sum(not (folder / setting.name).exists() for setting in missing)
    if lost:  # joblib ends without an error when Dask's scheduler goes away
        raise ConnectionError(
            f"the workers were lost with {lost} runs still to train. The finished runs are kept; "
            "the same command goes on from there"
        )


def check_size(largest: int, data: MNISTData) -> None:
    """Raise ValueError when there are fewer than `largest` training images."""
    if largest > len(data.train):
        raise ValueError(
            f"there are runs with {largest:,} training images, but this is all there is: {data}. "
            "Choose smaller sizes, or let MNIST_DATA_DIR name the folder with the MNIST files"
        )


def claim(folder: Path, data: MNISTData, fingerprint: str) -> None:
    """Note in a new `folder` which images its runs are on. Raises ValueError when an older note names others."""
    note, mine = folder / "images.txt", f"{fingerprint} {data}"
    if not note.exists():
        with complete_file(note) as file:
            file.write(f"{mine}\n".encode())
    found = note.read_text(encoding="utf-8").strip()
    if not found.startswith(fingerprint):
        raise ValueError(
            f"{folder} holds runs on other images ({found}) than are loaded now ({mine}). "
            "Name another folder, or load the same images"
        )


@contextmanager
def workers(jobs: int, scheduler: str | None) -> Iterator[joblib.Parallel]:
    """What runs the tasks, each result as soon as it is there: processes on this machine, or Dask's workers."""
    with ExitStack() as stack:
        if scheduler is not None:
            stack.enter_context(client_of(scheduler))
            stack.enter_context(joblib.parallel_config("dask", wait_for_workers_timeout=PATIENCE))
        yield stack.enter_context(
            joblib.Parallel(n_jobs=jobs, return_as="generator_unordered", batch_size=1, pre_dispatch="2*n_jobs")
        )


def client_of(scheduler: str) -> AbstractContextManager:
    """The connection to the Dask scheduler at this address.

    Raises ModuleNotFoundError without the package distributed, ConnectionError where no scheduler answers.
    """
    try:
        from distributed import Client
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            'a Dask scheduler needs the package distributed, an extra of this one: pip install -e ".[cluster]"'
        ) from error
    try:
        return Client(scheduler, timeout=PATIENCE)
    except OSError as error:
        raise ConnectionError(
            f"no Dask scheduler answered at {scheduler} within {PATIENCE} seconds ({error}). "
            "Start one with `dask scheduler` and give the address that it prints"
        ) from error


def progress_of(settings: list[Setting]) -> tqdm:
    """A bar over the work of all these runs, with the time left."""
    form = "{percentage:5.1f} %|{bar}| {elapsed} so far, about {remaining} left"
    return tqdm(total=sum(setting.work for setting in settings), bar_format=form, ncols=100, smoothing=0.02)


def still_missing(settings: list[Setting], folder: Path, bar: tqdm) -> Iterator[Setting]:
    """Those of the runs that nobody else has finished by the time that it is their turn."""
    for setting in settings:
        if (folder / setting.name).exists():
            bar.total -= setting.work
        else:
            yield setting
