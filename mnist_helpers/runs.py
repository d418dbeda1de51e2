"""Train the recipe, keep trained runs in files and find them again.

`python -m mnist_helpers.runs` trains the run anew that comes with the package.
"""

import dataclasses
import inspect
import io
import os
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from mnist_helpers.checks import names_batch_size
from mnist_helpers.data import MNISTData, load_mnist, make_loader
from mnist_helpers.files import ASSETS, complete_file, user_folder
from mnist_helpers.model import MNISTNet
from mnist_helpers.training import History, fit, make_optimizer, pick_device, set_seed

FORMAT = "mnist_helpers run 1"
ALWAYS = ("dropout", "weight_decay", "epochs", "seed")  # settings that every file of a run has
LATER = {"lr": 0.001, "batch_size": 32}  # settings that older files do not have, and what they were then
SETTINGS = (*ALWAYS, *LATER)  # of a run; arguments of `train_run`
SHIPPED = ASSETS / "recipe.pt"


@dataclasses.dataclass
class Run:
    """A trained model with its history and the settings that made it (arguments of `train_run`)."""

    model: nn.Module
    history: History
    settings: dict
    versions: dict = dataclasses.field(default_factory=lambda: library_versions())


@names_batch_size
def train_run(
    data: MNISTData,
    *,
    dropout: float = 0.2,
    weight_decay: float = 1e-4,
    epochs: int = 10,
    seed: int = 0,
    network: Callable[[float], nn.Module] = MNISTNet,
    optimizer_class: Callable[..., torch.optim.Optimizer] = torch.optim.Adam,
    lr: float = 0.001,
    batch_size: int = 32,
    device: torch.device | str | None = None,
    **fit_options: Any,
) -> Run:
    """Train `MNISTNet` by the recipe; each argument changes one part of it. `fit_options` go to `fit`.

    `network` makes a model from a dropout rate. `device`: where to train, by default the fastest there is.
    The same seed gives the same initial weights and the same order of batches whatever the other settings are.
    """
    set_seed(seed)
    model = network(dropout).to(device or pick_device())
    batch_order = torch.Generator().manual_seed(seed)
    train_loader = make_loader(data.train, batch_size, shuffle=True, generator=batch_order)
    valid_loader = make_loader(data.valid, batch_size=1024)
    optimizer = make_optimizer(model, weight_decay, optimizer_class, lr)
    history = fit(model, optimizer, train_loader, valid_loader, epochs=epochs, **fit_options)
    settings = {"dropout": dropout, "weight_decay": weight_decay, "epochs": epochs, "seed": seed}
    return Run(model, history, settings | {"lr": lr, "batch_size": batch_size})


def runs_dir() -> Path:
    """Where runs are kept: the folder in the environment variable MNIST_RUNS_DIR, else see `files.user_folder`."""
    return Path(os.environ.get("MNIST_RUNS_DIR") or user_folder("runs"))


def library_versions() -> dict:
    """The versions of Python and PyTorch at work."""
    return {"python": platform.python_version(), "torch": str(torch.__version__)}


def save_run(path: str | Path, run: Run, data: MNISTData, **more: str) -> Path:
    """Write a run to a file: weights, history, settings, library versions and the data it was trained on.

    `more` is written beside what is said of the data.

    The file is written under another name first, so an older run at `path` is lost only when the new one is complete.
    """
    path = Path(path)
    content = {
        "format": FORMAT,
        "weights": {name: tensor.cpu() for name, tensor in run.model.state_dict().items()},
        "history": dataclasses.asdict(run.history),
        "settings": {name: value.item() if hasattr(value, "item") else value for name, value in run.settings.items()},
        "versions": run.versions,
        "data": {"about": str(data), "fingerprint": data.fingerprint(), **more},
    }
    packed = io.BytesIO()  # on a full disk torch.save would speak of an unexpected position
    torch.save(content, packed)
    with complete_file(path) as file:
        file.write(packed.getbuffer())
    return path


def load_run(path: str | Path, data: MNISTData | None, device: torch.device | str | None = None) -> Run:
    """Read a run that `save_run` wrote. Nothing in the file is executed (`weights_only=True`).

    Raises FileNotFoundError when there is no such file; ValueError when it is damaged or incomplete, when it is no run,
    and when the run was trained on other data than `data`. Without `data` (None) a run on any data will do.
    `device`: where the model is to be, by default the fastest there is.
    """
    path = Path(path)
    content = read_run(path)
    trained_on = content["data"]
    if data is not None and trained_on["fingerprint"] != data.fingerprint():
        raise ValueError(
            f"{path} was trained on other data ({trained_on['about']}) than is loaded now ({data}). "
            "Load the same data, or train again"
        )
    try:
        model = MNISTNet(dropout=content["settings"]["dropout"])
        model.load_state_dict(content["weights"])
    except RuntimeError as error:
        raise ValueError(f"the weights in {path} do not fit MNISTNet, they belong to another network") from error
    return Run(
        model.to(device or pick_device()), History(**content["history"]), content["settings"], content["versions"]
    )


def read_run(path: Path) -> dict:
    """The content of a file that `save_run` wrote, complete. Raises as `load_run` does."""
    if not path.is_file():
        raise FileNotFoundError(f"there is no run file {path}. Lesson 3b trains the recipe and saves it")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load raises many kinds
        raise ValueError(
            f"{path} is damaged, or no file that save_run wrote ({type(error).__name__}). Delete it and train again"
        ) from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ValueError(
            f"{path} holds no run: save_run writes the mark '{FORMAT}' into its files. Was it made by "
            "another program or another version? Then delete it and train again"
        )
    fields = [field.name for field in dataclasses.fields(History)]
    parts = {"weights": [], "history": fields, "settings": ALWAYS, "versions": [], "data": ["about", "fingerprint"]}
    kept = {part: content[part] for part in parts if isinstance(content.get(part), dict)}
    missing = [part for part, names in parts.items() if part not in kept or not set(names) <= set(kept[part])]
    if missing:
        raise ValueError(
            f"{path} is incomplete: {', '.join(missing)} is missing or lacks a part. Delete it and train again"
        )
    content["settings"] = LATER | content["settings"]
    return content


def load_or_train(name: str, data: MNISTData, *, device: torch.device | str | None = None, **settings: Any) -> Run:
    """The run `name` for `data` and `settings`: shipped with the package, trained before, or trained now. Says which.

    `settings` are arguments of `train_run`; those not given have its defaults. The name "recipe" with the recipe's
    settings is the run that comes with the package, the same on every machine; on the sample, too, though it was
    trained on full MNIST. Other runs are looked for in `runs_dir()`; a newly trained one is kept there for the next
    time, where it can be written and no other file stands. Raises TypeError for a setting that there is not.
    """
    defaults = {key: inspect.signature(train_run).parameters[key].default for key in SETTINGS}
    check_settings(settings)
    wanted = {key: settings.get(key, default) for key, default in defaults.items()}
    if name == "recipe" and wanted == defaults and (note := shipped_for(data)):
        print(f"Took the run 'recipe' that comes with the package. {note}")
        return load_run(SHIPPED, None, device)
    path = runs_dir() / f"{name}.pt"
    try:
        run = load_run(path, data, device)
        if run.settings == wanted and len(run.history) == run.settings["epochs"]:
            print(f"Loaded the run '{name}' that was trained before.")
            return run
        reason = f"the saved one has other settings or is not complete: {run.settings}, {len(run.history)} epochs done"
    except (FileNotFoundError, ValueError) as error:
        reason = "there is no saved one" if isinstance(error, FileNotFoundError) else str(error)
    print(f"Training the run '{name}' now ({reason}).")
    run = train_run(data, device=device, **settings)
    try:
        if not path.exists() and len(run.history) == run.settings["epochs"]:
            save_run(path, run, data)
    except OSError as error:
        print(f"This run could not be kept for the next time: {error}.")
    return run


def check_settings(settings: dict) -> None:
    """Raise TypeError for a name that is neither an argument of `train_run` nor an option of `fit`."""
    options = [*SETTINGS, "on_epoch_end", "progress", "threads"]
    if unknown := [key for key in settings if key not in options]:
        raise TypeError(f"there is no setting {', '.join(map(repr, unknown))}, only {', '.join(options)}")


def shipped_for(data: MNISTData) -> str:
    """What to say of the shipped run when it is to be used with `data`; empty when it is not."""
    shipped = read_run(SHIPPED)["data"]
    if data.fingerprint() == shipped["fingerprint"]:
        return "It was trained on these training images."
    if data.source == "sample" and data.fingerprint() == shipped["sample"]:
        return (
            "It was trained on full MNIST, and most images of the sample were among its training images: "
            "what is measured here on the sample comes out too good."
        )
    return ""


def ship() -> None:
    """Train the recipe on full MNIST and write the file that comes with the package."""
    data = load_mnist()
    if data.source != "full":
        raise SystemExit(f"the shipped run is one on full MNIST, but this is: {data}")
    save_run(SHIPPED, train_run(data), data, sample=load_mnist("sample").fingerprint())


if __name__ == "__main__":
    ship()
