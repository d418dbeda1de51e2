"""Train the recipe, keep trained runs in files and find them again."""
import dataclasses
import inspect
import os
import platform
from pathlib import Path

import torch
from torch import nn

from mnist_helpers.data import MNISTData, make_loader
from mnist_helpers.model import MNISTNet
from mnist_helpers.training import History, fit, pick_device, set_seed

FORMAT = "mnist_helpers run 1"


@dataclasses.dataclass
class Run:
    """A trained model with its history and the settings that made it (arguments of `train_run`)."""

    model: nn.Module
    history: History
    settings: dict
    versions: dict = dataclasses.field(default_factory=lambda: library_versions())


def train_run(
    data: MNISTData,
    *,
    dropout: float = 0.2,
    weight_decay: float = 1e-4,
    epochs: int = 10,
    seed: int = 0,
    **fit_options: object,
) -> Run:
    """Train `MNISTNet` by the recipe; each argument changes one part of it. `fit_options` go to `fit`.

    The same seed gives the same initial weights and the same order of batches whatever the other settings are.
    """
    set_seed(seed)
    model = MNISTNet(dropout=dropout).to(pick_device())
    optimizer = torch.optim.Adam(model.parameters(), lr=0.001, weight_decay=weight_decay, fused=True)
    order = torch.Generator().manual_seed(seed)  # of its own, so that dropout cannot change the batches
    train_loader = make_loader(data.train, batch_size=32, shuffle=True, generator=order)
    valid_loader = make_loader(data.valid, batch_size=1024)
    history = fit(model, optimizer, train_loader, valid_loader, epochs=epochs, **fit_options)
    settings = {"dropout": dropout, "weight_decay": weight_decay, "epochs": epochs, "seed": seed}
    return Run(model, history, settings)


def runs_dir() -> Path:
    """Where runs are kept: the folder in the environment variable MNIST_RUNS_DIR, else `runs/` in the repository."""
    return Path(os.environ.get("MNIST_RUNS_DIR") or Path(__file__).resolve().parent.parent / "runs")


def library_versions() -> dict:
    """The versions of Python and PyTorch at work."""
    return {"python": platform.python_version(), "torch": str(torch.__version__)}


def save_run(path: str | Path, run: Run, data: MNISTData) -> Path:
    """Write a run to a file: weights, history, settings, library versions and the data it was trained on.

    The file is written under another name first, so an older run at `path` is lost only when the new one is complete.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "format": FORMAT,
        "weights": {name: tensor.cpu() for name, tensor in run.model.state_dict().items()},
        "history": dataclasses.asdict(run.history),
        "settings": {name: getattr(value, "item", lambda: value)() for name, value in run.settings.items()},
        "versions": run.versions,
        "data": {"about": str(data), "fingerprint": data.fingerprint()},
    }
    unfinished = path.with_name(path.name + ".unfinished")
    torch.save(content, unfinished)
    unfinished.replace(path)
    return path


def load_run(path: str | Path, data: MNISTData) -> Run:
    """Read a run that `save_run` wrote. Nothing in the file is executed (`weights_only=True`).

    Raises FileNotFoundError when there is no such file; ValueError when it is damaged, when it is no run, and when
    the run was trained on other data than `data`.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no run file {path}. Lesson 03 trains the recipe and saves it")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load raises many kinds
        raise ValueError(f"{path} is damaged, or no file that save_run wrote ({type(error).__name__}). "
                         "Delete it and train again") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ValueError(f"{path} holds no run: save_run writes the mark '{FORMAT}' into its files. Was it made by "
                         "another program or another version? Then delete it and train again")
    trained_on = content["data"]
    if trained_on["fingerprint"] != data.fingerprint():
        raise ValueError(f"{path} was trained on other data ({trained_on['about']}) than is loaded now ({data}). "
                         "Load the same data, or train again")
    model = MNISTNet(dropout=content["settings"]["dropout"])
    try:
        model.load_state_dict(content["weights"])
    except RuntimeError as error:
        raise ValueError(f"the weights in {path} do not fit MNISTNet, they belong to another network") from error
    return Run(model.to(pick_device()), History(**content["history"]), content["settings"], content["versions"])


def load_or_train(name: str, data: MNISTData, **settings: object) -> Run:
    """The run `name` from `runs_dir()` if it fits `data` and `settings`; otherwise trains it now. Says which.

    `settings` are arguments of `train_run`; those not given have its defaults. A newly trained run is kept for the
    next time, unless another file stands at its place.
    """
    path = runs_dir() / f"{name}.pt"
    try:
        run = load_run(path, data)
        arguments = inspect.signature(train_run).parameters
        wanted = {key: settings.get(key, arguments[key].default) for key in run.settings}
        if run.settings == wanted and len(run.history) == run.settings["epochs"]:
            print(f"Loaded the run '{name}' that was trained before.")
            return run
        reason = f"the saved one has other settings or is not complete: {run.settings}, {len(run.history)} epochs done"
    except (FileNotFoundError, ValueError) as error:
        reason = "there is no saved one" if isinstance(error, FileNotFoundError) else str(error)
    print(f"Training the run '{name}' now ({reason}).")
    run = train_run(data, **settings)
    if not path.exists() and len(run.history) == run.settings["epochs"]:
        save_run(path, run, data)
    return run
