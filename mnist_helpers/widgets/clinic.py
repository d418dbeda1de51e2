"""Panels of the error clinic: doubts, changed images, steps until the answer flips, and the repair, trained live."""

import copy
from collections.abc import Callable, Iterator
from functools import lru_cache, partial

import ipywidgets as widgets
import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from torch import nn
from torch.utils.data import TensorDataset

from mnist_helpers.data import MNISTData, make_loader
from mnist_helpers.labs.clinic import Shifted, adversarial_steps, change_images, mc_dropout
from mnist_helpers.labs.kept_drawings import kept_drawings
from mnist_helpers.labs.own_digits import drawn_digits
from mnist_helpers.live import OwnRandomNumbers, live_steps
from mnist_helpers.model import MNISTNet
from mnist_helpers.plots import COLORS, WRONG, plot_predictions, plot_probabilities
from mnist_helpers.predictions import predict
from mnist_helpers.training import evaluate
from mnist_helpers.widgets.panel import NARROW, WIDE, LivePanel, Panel, classes_of


def doubt_meter(model: MNISTNet, images: dict[str, torch.Tensor]) -> Panel:
    """The plain probabilities of an image beside those of 100 passes with dropout left on.

    `images`: (1, 28, 28) by name. Takes a copy of the model. Controls: `picture` (a name) and `rate`, the dropout rate
    of the passes (0 to 0.9). Raises ValueError without images.
    """
    if not images:
        raise ValueError("at least one image is needed")
    controls = {
        "picture": widgets.Dropdown(options=list(images), description="picture", **NARROW),
        "rate": widgets.FloatSlider(0.2, min=0, max=0.9, step=0.05, description="dropout rate", **WIDE),
    }
    frozen = copy.deepcopy(model).cpu().eval()
    return Panel(controls, partial(draw_doubt, model=frozen, images=images), (10.5, 3.6))


def draw_doubt(figure: Figure, model: MNISTNet, images: dict[str, torch.Tensor], picture: str, rate: float) -> str:
    """The image, its plain probabilities, and the mean and the middle 90 % of the passes."""
    image = images[picture][None].cpu()
    with torch.no_grad():
        plain = model(image).softmax(dim=1)[0]
    model = copy.deepcopy(model)
    for layer in model.modules():
        if isinstance(layer, nn.Dropout):
            layer.p = rate
    with OwnRandomNumbers(0):
        passes = mc_dropout(model, image)[:, 0]
    shown, left, right = figure.subplots(1, 3, width_ratios=[0.8, 1.3, 1.3])
    shown.imshow(image[0, 0].numpy(), cmap="gray_r", vmin=0, vmax=1)
    shown.set_axis_off()
    for ax, probabilities, name in ((left, plain, "plain"), (right, passes.mean(dim=0), "mean of 100 passes")):
        plot_probabilities(probabilities, ax=ax)
        ax.set(title=f"{name}: {probabilities.argmax()} with {probabilities.max():.2f}", ylim=(0, 1.02))
    right.vlines(range(10), *np.quantile(passes.numpy(), [0.05, 0.95], axis=0), color="black", linewidth=3)
    right.set_ylabel("")
    answers = passes.argmax(dim=1).bincount(minlength=10)
    most = [digit for digit in answers.argsort(descending=True)[:3].tolist() if answers[digit]]
    said = ", ".join(f"{answers[digit]} times {digit}" for digit in most)
    return (
        f"Picture: {picture}. Plain softmax: {plain.argmax()} with probability {plain.max():.2f}. 100 passes with "
        f"dropout {rate:g}: mean probability {passes.mean(dim=0).max():.2f} for {passes.mean(dim=0).argmax()}; "
        f"answers: {said}."
    )


def change_explorer(model: nn.Module, dataset: TensorDataset) -> Panel:
    """Shift, turn and scale all images of a dataset and see what is left of the accuracy.

    Takes a copy of the model as it is now. Controls: `right` and `down` (pixels), `angle` (degrees, clockwise),
    `scale`. Shows the first image of each class. Raises ValueError without images.
    """
    images, labels = dataset.tensors
    rows = [int((labels == digit).nonzero()[0]) for digit in classes_of(labels)]
    controls = {
        "right": widgets.IntSlider(0, -8, 8, description="right", **WIDE),
        "down": widgets.IntSlider(0, -8, 8, description="down", **WIDE),
        "angle": widgets.IntSlider(0, -90, 90, 5, description="angle", **WIDE),
        "scale": widgets.FloatSlider(1, min=0.5, max=1.5, step=0.05, description="scale", **WIDE),
    }
    for control in controls.values():
        control.layout.width = "255px"
    frozen = copy.deepcopy(model).cpu().eval()
    unchanged = predict(frozen, dataset).accuracy
    draw = partial(draw_changed, model=frozen, dataset=dataset, rows=rows, unchanged=unchanged)
    return Panel(controls, draw, (10.5, 3.9))


def draw_changed(
    figure: Figure, model: nn.Module, dataset: TensorDataset, rows: list[int], unchanged: float, **change: float
) -> str:
    """Ten changed images with their answers, and the accuracy of each digit on the whole dataset."""
    images, labels = dataset.tensors
    predictions = predict(model, TensorDataset(change_images(images, **change), labels))
    axes = figure.subplot_mosaic([[*"01234", "bars"], [*"56789", "bars"]], width_ratios=[1, 1, 1, 1, 1, 3.2])
    places = np.array([axes[str(place)] for place in range(10)])
    plot_predictions(predictions[rows], axes=places)
    for place, ax in enumerate(places):
        ax.title.set_fontsize(12)
        ax.set_visible(place < len(rows))
    digits = [(digit, predictions[labels == digit].accuracy) for digit in classes_of(labels)]
    axes["bars"].bar(*zip(*digits), color=COLORS["test"], edgecolor="black")
    axes["bars"].axhline(unchanged, linestyle=":", color="black")
    axes["bars"].set(xticks=range(10), ylim=(0, 1.02), xlabel="digit", title=f"accuracy {predictions.accuracy:.1%}")
    axes["bars"].yaxis.set_major_formatter(PercentFormatter(1))
    how = ", ".join(f"{name} {value:g}" for name, value in change.items())
    return (
        f"All {len(labels):,} images changed by {how}: accuracy {predictions.accuracy:.2%}, unchanged "
        f"{unchanged:.2%} (dotted). Lowest for the digit {min(digits, key=lambda each: each[1])[0]}."
    )


def flip_explorer(model: nn.Module, dataset: TensorDataset, size: float = 0.01) -> Panel:
    """Change an image step by step so that the loss grows, and see when the answer flips.

    Takes from `dataset` the first image of each class that the model reads rightly. Controls: `digit`, `steps` (0 to
    30); in each step each pixel changes by at most `size`. Raises ValueError when the model reads none rightly.
    """
    predictions = predict(model, dataset)
    right = predictions[predictions.correct]
    if not len(right):
        raise ValueError("the model reads none of these images rightly, so no answer can flip")
    frozen = copy.deepcopy(model).cpu().eval()

    @lru_cache
    def path(digit: int) -> torch.Tensor:
        first = right[right.labels == digit][:1]
        return adversarial_steps(frozen, first.images, first.labels, 30, size)[:, 0]

    controls = {
        "digit": widgets.SelectionSlider(options=classes_of(right.labels), description="digit", **WIDE),
        "steps": widgets.IntSlider(0, 0, 30, description="steps", **WIDE),
    }
    return Panel(controls, partial(draw_flip, model=frozen, path=path, size=size), (10.5, 3.6))


def draw_flip(
    figure: Figure, model: nn.Module, path: Callable[[int], torch.Tensor], size: float, digit: int, steps: int
) -> str:
    """The image, the change, their sum, and the ten probabilities."""
    images = path(digit)
    with torch.no_grad():
        probabilities = model(images).softmax(dim=1)
    answers = probabilities.argmax(dim=1)
    flipped = (answers != digit).nonzero()
    first, change, sum_, bars = figure.subplots(1, 4, width_ratios=[1, 1, 1, 1.7])
    for ax, picture, title, look in (
        (first, images[0, 0], "image", {"cmap": "gray_r", "vmin": 0, "vmax": 1}),
        (change, images[steps, 0] - images[0, 0], "change", {"cmap": "RdBu", "vmin": -0.3, "vmax": 0.3}),
        (sum_, images[steps, 0], "both together", {"cmap": "gray_r", "vmin": 0, "vmax": 1}),
    ):
        ax.imshow(picture.numpy(), **look)
        ax.set_title(title)
        ax.set_axis_off()
    plot_probabilities(probabilities[steps], ax=bars)
    wrong = int(answers[steps]) != digit
    bars.set(ylim=(0, 1.02), ylabel="")
    bars.set_title(f"{'✗ ' * wrong}answer {answers[steps]}", color=WRONG if wrong else "black")
    when = f"flips at step {flipped[0].item()}" if len(flipped) else f"does not flip within {len(images) - 1} steps"
    return (
        f"Digit {digit} after {steps} steps: no pixel has changed by more than {steps * size:.2f} of 1. Answer "
        f"{answers[steps]} with probability {probabilities[steps].max():.2f}. It {when}."
    )


class RepairLab(LivePanel):
    """The panel of `repair_lab`. `runs` holds for each shift the accuracies after every epoch, by name."""

    EPOCHS, IMAGES = 10, 3_000

    def __init__(self, data: MNISTData):
        self.data = data.with_train_size(min(self.IMAGES, len(data.train)))
        self.runs: dict[int, dict[str, list[float]]] = {}
        images, labels = TensorDataset(*data.valid[:1000]).tensors
        with OwnRandomNumbers(0):
            shifted = torch.stack([Shifted(TensorDataset(images, labels), 4)[row][0] for row in range(len(labels))])
        self.sets = {
            "validation": TensorDataset(images, labels),
            "validation, shifted by up to 4": TensorDataset(shifted, labels),
            "example drawings, not centred": drawn_digits(("center",)),
        }
        if len(own := kept_drawings(("center",))):
            self.sets["your drawings, not centred"] = own
        controls = {"shift": widgets.IntSlider(4, 0, 6, description="random shifts, up to", **WIDE)}
        super().__init__(controls, self.draw_runs, (10.5, 3.6), "Train")

    def redraw(self) -> None:
        """Another shift was chosen: a training under way belongs to the old one and ends."""
        super().stop()
        super().redraw()

    def pieces(self) -> Iterator[None]:
        """Train with the chosen shifts; measure after every epoch."""
        shift = self.values["shift"]
        curves: dict[str, list[float]] = {name: [] for name in self.sets}
        loader = make_loader(
            Shifted(self.data.train, shift) if shift else self.data.train,
            32,
            shuffle=True,
            generator=torch.Generator().manual_seed(0),
        )
        for model, done in live_steps(lambda: (MNISTNet(dropout=0.2), loader), 1e-4, self.EPOCHS, seed=0):
            yield
            if done and done % len(loader) == 0:
                for name, dataset in self.sets.items():
                    curves[name].append(evaluate(model, make_loader(dataset, 1024)).accuracy)
                self.runs[shift] = curves  # only now: an earlier run stays until this one has something to show
                self.show()

    def draw_runs(self, figure: Figure, shift: int) -> str:
        """The run with this shift, epoch by epoch; and the last epoch of all runs so far against their shift."""
        over_epochs, over_shifts = figure.subplots(1, 2, sharey=True)
        ends = dict(sorted(self.runs.items()))
        styles = zip(self.sets, (COLORS["valid"], "#CC79A7", "#004000", "#8000E0"), ("s-", "o--", "^:", "D-."))
        for name, color, style in styles:
            curve = self.runs.get(shift, {}).get(name, [])
            over_epochs.plot(range(1, len(curve) + 1), curve, style, color=color, label=name)
            over_shifts.plot(list(ends), [curves[name][-1] for curves in ends.values()], style, color=color, label=name)
        over_epochs.set(xlim=(0.5, self.EPOCHS + 0.5), ylim=(0, 1.02), xlabel="epoch", title=f"shifts up to {shift}")
        over_epochs.yaxis.set_major_formatter(PercentFormatter(1))
        over_shifts.set(xlim=(-0.5, 6.5), xlabel="random shifts, up to (pixels)", title="after the last epoch")
        figure.legend(*over_shifts.get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=12)
        if shift not in ends:
            return f"Not trained yet with shifts up to {shift} pixels: press Train."
        state = ", ".join(f"{name} {curve[-1]:.1%}" for name, curve in ends[shift].items())
        return (
            f"{len(self.data.train):,} training images, shifts up to {shift} pixels, epoch "
            f"{len(ends[shift]['validation'])} of {self.EPOCHS}. Accuracy: {state}."
        )


def repair_lab(data: MNISTData) -> RepairLab:
    """Train live on 3,000 images that are shifted at random, by as much as the slider says.

    Control: `shift` (0 to 6 pixels). Accuracy is measured on 1,000 validation images, on the same shifted by up to 4
    pixels, on the shipped drawings and on those that you kept (`keep_drawing`), if any. `await lab.train(shift=4)`
    does from a cell what the button does.
    """
    return RepairLab(data)
