"""Panels for own digits and for the error clinic: a pad to draw on, and what changes of an image do to the answer."""
import copy
import dataclasses
import html
from collections.abc import Callable, Iterator
from functools import lru_cache, partial

import ipywidgets as widgets
import matplotlib.pyplot as plt
import numpy as np
import torch
from ipycanvas import Canvas, hold_canvas
from matplotlib.artist import Artist
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from PIL import Image
from torch import nn
from torch.utils.data import TensorDataset

from mnist_helpers.clinic import Shifted, adversarial_steps, change_images, mc_dropout
from mnist_helpers.data import MNISTData, make_loader
from mnist_helpers.model import MNISTNet
from mnist_helpers.own_digits import (
    BRUSH,
    CANVAS,
    STEPS,
    NoDigitError,
    Photo,
    draw_strokes,
    drawn_digits,
    load_drawings,
    preprocess_digit,
    preprocessing_stages,
    read_photo,
)
from mnist_helpers.plots import COLORS, WRONG, plot_predictions, plot_probabilities
from mnist_helpers.predictions import predict
from mnist_helpers.training import evaluate
from mnist_helpers.widgets import (
    NARROW,
    PIXELS_PER_INCH,
    WIDE,
    LivePanel,
    OwnRandomNumbers,
    Panel,
    classes_of,
    live_steps,
    quick_png,
)

SWITCHES = {"invert": "invert if need be", "clean": "clean", "crop": "crop", "scale": "scale to 20",
            "center": "centre by mass"}
TITLES = {"picture": "picture", "invert": "inverted", "clean": "cleaned", "crop": "cropped", "scale": "scaled",
          "center": "centred"}
INVITATION = "Draw a digit with mouse, pen or finger, choose an example, or upload a photo."
REDRAW_AFTER = 0.02  # seconds: strokes come in faster than pictures can be made

# ---------------------------------------------------------------- draw, and see what the network sees


@dataclasses.dataclass(frozen=True, eq=False)
class Reading:
    """What the network makes of a picture: the stages by name, ten probabilities or None, and the same in words."""

    stages: dict[str, np.ndarray]
    probabilities: torch.Tensor | None
    words: str


class DrawingPad(Panel):
    """The panel of `drawing_pad`. `strokes` is what was drawn, `photo` what was uploaded instead, if anything."""

    def __init__(self, model: nn.Module):
        self.model = copy.deepcopy(model).cpu().eval()
        self.examples = load_drawings()
        self.strokes: list[list[tuple[float, float]]] = []
        self.photo: Photo | None = None
        self.history: list[tuple] = []  # what undo goes back to
        self.refusal = ""  # why the last upload was not taken, if so
        self.pen_down = self.due = False
        self.share_right = lru_cache(partial(share_right, self.model))
        self.live = PadPicture((7.6, 3.5))
        apart = {"width": "auto", "margin": "2px 14px 2px 0"}
        options = [("(your own)", ""), *[(name, name) for name in self.examples]]
        controls = {
            "example": widgets.Dropdown(options=options, description="example", layout={"width": "230px"}),
            "brush": widgets.IntSlider(BRUSH, 8, 40, description="brush width", **WIDE),
            **{step: widgets.Checkbox(True, description=text, indent=False, layout=apart)
               for step, text in SWITCHES.items()},
        }
        self.canvas = make_canvas(self)
        self.upload = widgets.FileUpload(accept=".png,.jpg,.jpeg", description="Upload a photo",
                                         layout={"width": "auto"})
        self.upload.observe(lambda change: self.run_here(self.take_upload), "value")
        super().__init__(controls, self.draw_pad, (7.6, 3.5))
        self.children = self.arrange()
        self.share_right(())  # computed before the first stroke, which need not wait for it then

    def arrange(self) -> tuple[widgets.Widget, ...]:
        """The pad on the left, the picture on the right, the switches of the steps above the picture."""
        undo, clear = widgets.Button(description="Undo", icon="undo"), widgets.Button(description="Clear", icon="trash")
        undo.on_click(lambda button: self.run_here(lambda: self.undo()))  # two clicks are two requests
        clear.on_click(lambda button: self.run_here(self.clear))
        for button in (undo, clear):
            button.layout.width = f"{CANVAS // 2 - 4}px"
        row = widgets.Layout(flex_flow="row wrap", align_items="center")
        bar = widgets.Box([self.controls["example"], self.controls["brush"], self.upload], layout=row)
        switches = widgets.Box([self.controls[step] for step in STEPS], layout=row)
        left = widgets.VBox([self.canvas, widgets.HBox([undo, clear])], layout={"flex": "0 0 auto"})
        right = widgets.VBox([switches, self.picture, self.text],
                             layout={"min_width": "0", "flex": "1 1 auto", "margin": "0 0 0 12px"})
        return bar, self.problem, widgets.HBox([left, right])

    @property
    def picture_now(self) -> np.ndarray:
        """The picture on the pad, (height, width) in [0, 1]: for `preprocess_digit`."""
        return self.picture_of(self.controls["example"].value, self.controls["brush"].value)

    def picture_of(self, example: str, brush: int) -> np.ndarray:
        """The picture of an example or, without one, of what was uploaded or drawn."""
        if self.photo and not example:
            return self.photo.picture
        return draw_strokes(self.examples[example] if example else self.strokes, brush)

    def read(self, example: str, brush: int, **switches: bool) -> Reading:
        """What the network makes of the picture on the pad."""
        if not (example or self.strokes or self.photo):
            return Reading({}, None, INVITATION)
        picture, left_out = self.picture_of(example, brush), tuple(step for step in STEPS if not switches[step])
        note = f" {self.photo.note}" if self.photo and not example and self.photo.note else ""
        try:
            digit = preprocess_digit(picture, left_out)
        except NoDigitError as error:
            return Reading({"picture": picture}, None, f"No answer: {error}.{note}")
        with torch.no_grad():
            probabilities = self.model(digit[None]).softmax(dim=1)[0]
        first, second = probabilities.topk(2).indices.tolist()
        words = (f"The network reads {first}, with probability {probabilities[first]:.2f}; next comes {second} with "
                 f"{probabilities[second]:.2f}.{note} ")
        missing = f"Left out: {', '.join(SWITCHES[step] for step in left_out)}. " if left_out else ""
        right, of = self.share_right(left_out)
        words += f"{missing}With these steps it reads {right} of the {of} example drawings of digits rightly."
        return Reading(preprocessing_stages(picture, left_out), probabilities, words)

    def draw_pad(self, figure: Figure, **values: str | int | bool) -> str:
        """The stages side by side, the last one is what the network sees; the ten probabilities below."""
        reading = self.read(**values)
        fill(pad_artists(figure), reading)
        return reading.words

    def show(self) -> None:
        """As in any panel, but only what changes is drawn anew: the picture has to follow the pen."""
        reading = self.read(**self.values)
        self.picture.value, self.text.value = self.live.png(reading), html.escape(reading.words)
        self.problem.value = self.refusal

    def redraw(self) -> None:
        """Another example, brush or step: the canvas may have to change as well."""
        self.paint()
        self.show()

    def paint(self) -> None:
        """Draw all of it anew on the canvas in the page."""
        example, brush = self.controls["example"].value, self.controls["brush"].value
        with hold_canvas():
            self.canvas.fill_style, self.canvas.line_width = "white", brush
            self.canvas.fill_rect(0, 0, CANVAS, CANVAS)
            self.canvas.fill_style = "black"
            if self.photo and not example:
                self.canvas.put_image_data(on_square(self.photo.picture), 0, 0)
                return
            for stroke in self.examples[example] if example else self.strokes:
                self.canvas.fill_circle(*stroke[0], brush / 2)
                if len(stroke) > 1:
                    self.canvas.stroke_lines(stroke)

    def soon(self) -> None:
        """Draw in a moment, once for all that happens until then."""
        if self.loop is None:
            self.run_now(self.show)
        elif not self.due:
            self.due = True
            self.loop.call_soon_threadsafe(self.loop.call_later, REDRAW_AFTER, self.draw_due)

    def draw_due(self) -> None:
        """Draw what has come in."""
        self.due = False
        self.run_now(self.show)

    def remember(self) -> None:
        """Keep the state for undo; an example becomes the user's own drawing."""
        example = self.controls["example"].value
        self.history.append((self.strokes, self.photo, example))
        self.strokes = [list(stroke) for stroke in (self.examples[example] if example else self.strokes)]
        self.photo, self.refusal = None if example else self.photo, ""
        self.controls["example"].value = ""

    def pen_goes_down(self, x: float, y: float) -> None:
        """A new stroke begins; a photo makes room for it."""
        self.remember()
        if self.photo:
            self.strokes, self.photo = [], None
            self.paint()
        self.strokes.append([(x, y)])
        self.pen_down = True
        self.canvas.fill_circle(x, y, self.controls["brush"].value / 2)
        self.soon()

    def pen_moves(self, x: float, y: float) -> None:
        """The stroke under way gets longer."""
        if self.pen_down:
            self.canvas.stroke_line(*self.strokes[-1][-1], x, y)
            self.strokes[-1].append((x, y))
            self.soon()

    def pen_goes_up(self, *point: float) -> None:
        """The stroke is complete."""
        self.pen_down = False

    def undo(self) -> None:
        """Take back the choice of an example or else the last stroke, upload or "Clear"."""
        self.pen_down, self.refusal = False, ""
        if self.controls["example"].value:
            self.controls["example"].value = ""
        elif self.history:
            self.strokes, self.photo, self.controls["example"].value = self.history.pop()
        self.redraw()

    def clear(self) -> None:
        """An empty canvas."""
        self.remember()
        self.strokes, self.photo, self.pen_down = [], None, False
        self.redraw()

    def take_upload(self) -> None:
        """Read the uploaded file; it is kept in memory only, as a small gray picture."""
        if not self.upload.value:
            return
        name, content = self.upload.value[0]["name"], bytes(self.upload.value[0]["content"])
        self.upload.value = ()
        try:
            photo = read_photo(content)
        except NoDigitError as error:
            self.refusal = f"<b>{html.escape(name)} was not taken: {html.escape(str(error))}.</b>"
            self.show()
            return
        self.remember()
        self.strokes, self.photo, self.pen_down = [], photo, False
        self.redraw()


def drawing_pad(model: nn.Module) -> DrawingPad:
    """Draw a digit, upload a photo or choose an example, and see each step of the preprocessing and the answer.

    Takes a copy of the model. Controls: `example` (a name from `load_drawings`, or "" for the own drawing), `brush`
    (pixels) and a switch for each of the STEPS. The attribute `picture_now` is the picture, for `preprocess_digit`.
    """
    return DrawingPad(model)


def make_canvas(pad: DrawingPad) -> Canvas:
    """A white canvas whose mouse, pen and finger movements go to the pad."""
    canvas = Canvas(width=CANVAS, height=CANVAS, layout={"border": "1px solid gray", "width": f"{CANVAS}px"})
    canvas.line_cap = canvas.line_join = "round"
    canvas.on_client_ready(lambda: pad.run_here(pad.paint))  # a new page shows what there is

    def here(action: Callable[..., None]) -> Callable[..., None]:
        return lambda *point: pad.run_here(lambda: action(*point))  # each event is a request of its own, in order

    canvas.on_mouse_down(here(pad.pen_goes_down))
    canvas.on_mouse_move(here(pad.pen_moves))
    canvas.on_mouse_up(here(pad.pen_goes_up))
    canvas.on_mouse_out(here(pad.pen_goes_up))
    canvas.on_touch_start(lambda touches: here(pad.pen_goes_down)(*touches[0]))
    canvas.on_touch_move(lambda touches: here(pad.pen_moves)(*touches[0]))
    canvas.on_touch_end(here(pad.pen_goes_up))
    canvas.on_touch_cancel(here(pad.pen_goes_up))
    return canvas


def on_square(picture: np.ndarray) -> np.ndarray:
    """The picture as large as fits on the canvas, white around it: (280, 280, 3) bytes."""
    image = Image.fromarray(np.rint(255 * picture).astype(np.uint8))
    factor = CANVAS / max(image.size)
    image = image.resize([max(round(side * factor), 1) for side in image.size])
    square = Image.new("L", (CANVAS, CANVAS), 255)
    square.paste(image, [(CANVAS - side) // 2 for side in image.size])
    return np.asarray(square.convert("RGB"))


def share_right(model: nn.Module, left_out: tuple[str, ...]) -> tuple[int, int]:
    """How many of the shipped drawings of digits the model reads rightly, and how many there are."""
    correct = predict(model, drawn_digits(left_out)).correct
    return int(correct.sum()), len(correct)


def pad_artists(figure: Figure) -> dict[str, Artist]:
    """Places for the six stages and the ten bars, by name; the bars are "0" to "9", their title "answer"."""
    axes = figure.subplot_mosaic([list(TITLES), ["bars"] * 6], height_ratios=[1, 1.15])
    artists = {}
    for name, title in TITLES.items():
        axes[name].set(title=title, facecolor="lightgray", xlim=(0, 1), ylim=(0, 1), aspect="equal")
        axes[name].set(xticks=[], yticks=[])
        axes[name].spines[:].set_visible(True)
        axes[name].grid(False)
        artists[name] = axes[name].imshow(np.zeros((1, 1)), cmap="gray", vmin=0, vmax=1, extent=(0, 1, 0, 1))
    plot_probabilities(torch.zeros(10), ax=axes["bars"])
    axes["bars"].set(ylim=(0, 1.02), yticks=[0, 0.5, 1], axisbelow=True)
    return artists | {str(digit): bar for digit, bar in enumerate(axes["bars"].patches)}


def fill(artists: dict[str, Artist], reading: Reading) -> None:
    """Put the stages and the probabilities in their places; a place without one stays empty."""
    stages, probabilities = reading.stages, reading.probabilities
    for name in TITLES:
        artists[name].set_visible(name in stages)
        if name in stages:
            height, width = np.array(stages[name].shape) / max(stages[name].shape) / 2
            artists[name].set(data=stages[name], extent=(0.5 - width, 0.5 + width, 0.5 - height, 0.5 + height))
            artists[name].axes.set(xlim=(0, 1), ylim=(0, 1))  # a new extent would move them
    for digit in range(10):
        artists[str(digit)].set_height(0 if probabilities is None else float(probabilities[digit]))


class PadPicture:
    """A picture of which only the stages and the bars change: the rest is drawn once, which makes it fast."""

    def __init__(self, size: tuple[float, float]):
        with plt.style.context("mnist_helpers.lesson"):
            figure = Figure(figsize=size, dpi=PIXELS_PER_INCH, layout="constrained")
            self.artists = pad_artists(figure)
            self.canvas = FigureCanvasAgg(figure)
            for artist in self.artists.values():
                artist.set_visible(False)
            self.canvas.draw()
        for artist in self.artists.values():
            artist.set_visible(True)
        self.frames = [spine for ax in figure.axes for spine in ax.spines.values() if spine.get_visible()]
        self.background = self.canvas.copy_from_bbox(figure.bbox)

    def png(self, reading: Reading) -> bytes:
        """The bytes of a PNG file with its stages and probabilities."""
        self.canvas.restore_region(self.background)
        fill(self.artists, reading)
        for artist in self.artists.values():
            artist.axes.draw_artist(artist)
        for spine in self.frames:  # the images lie over them
            spine.axes.draw_artist(spine)
        return quick_png(self.canvas)


# ---------------------------------------------------------------- how sure is it?


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


def draw_doubt(
    figure: Figure, model: MNISTNet, images: dict[str, torch.Tensor], picture: str, rate: float
) -> str:
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
    said = ", ".join(f"{answers[digit]} times {digit}" for digit in answers.argsort(descending=True)[:3].tolist()
                     if answers[digit])
    return (f"Picture: {picture}. Plain softmax: {plain.argmax()} with probability {plain.max():.2f}. 100 passes with "
            f"dropout {rate:g}: mean probability {passes.mean(dim=0).max():.2f} for {passes.mean(dim=0).argmax()}; "
            f"answers: {said}.")


# ---------------------------------------------------------------- shifted, turned, scaled


def change_lab(model: nn.Module, dataset: TensorDataset) -> Panel:
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
    return Panel(controls, partial(draw_changed, model=frozen, dataset=dataset, rows=rows, unchanged=unchanged),
                 (10.5, 3.9))


def draw_changed(
    figure: Figure, model: nn.Module, dataset: TensorDataset, rows: list[int], unchanged: float, **change: float
) -> str:
    """Ten changed images with their answers, and the accuracy of each digit on the whole dataset."""
    images, labels = dataset.tensors
    predictions = predict(model, TensorDataset(change_images(images, **change), labels))
    axes = figure.subplot_mosaic([["0", "1", "2", "3", "4", "bars"], ["5", "6", "7", "8", "9", "bars"]],
                                 width_ratios=[1, 1, 1, 1, 1, 3.2])
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
    return (f"All {len(labels):,} images changed by {how}: accuracy {predictions.accuracy:.2%}, unchanged "
            f"{unchanged:.2%} (dotted). Lowest for the digit {min(digits, key=lambda each: each[1])[0]}.")


# ---------------------------------------------------------------- the repair, live


class RepairLab(LivePanel):
    """The panel of `repair_lab`. `runs` holds for each shift the accuracies after every epoch, by name."""

    EPOCHS, IMAGES = 10, 3_000

    def __init__(self, data: MNISTData):
        self.data = data.with_train_size(min(self.IMAGES, len(data.train)))
        self.runs: dict[int, dict[str, list[float]]] = {}
        images, labels = TensorDataset(*data.valid[:1000]).tensors
        with OwnRandomNumbers(0):
            shifted = torch.stack([image for image, _ in Shifted(TensorDataset(images, labels), 4)])
        self.sets = {"validation": TensorDataset(images, labels),
                     "validation, shifted by up to 4": TensorDataset(shifted, labels),
                     "example drawings, not centred": drawn_digits(("center",))}
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
        loader = make_loader(Shifted(self.data.train, shift) if shift else self.data.train, 32, shuffle=True,
                             generator=torch.Generator().manual_seed(0))
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
        styles = zip(self.sets, (COLORS["valid"], "#CC79A7", "#56B4E9"), ("s-", "o--", "^:"))
        for name, color, style in styles:
            curve = self.runs.get(shift, {}).get(name, [])
            over_epochs.plot(range(1, len(curve) + 1), curve, style, color=color, label=name)
            over_shifts.plot(list(ends), [curves[name][-1] for curves in ends.values()], style, color=color, label=name)
        over_epochs.set(xlim=(0.5, self.EPOCHS + 0.5), ylim=(0, 1.02), xlabel="epoch", title=f"shifts up to {shift}")
        over_epochs.yaxis.set_major_formatter(PercentFormatter(1))
        over_shifts.set(xlim=(-0.5, 6.5), xlabel="random shifts, up to (pixels)", title="after the last epoch")
        over_shifts.legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize=12)
        if shift not in ends:
            return f"Not trained yet with shifts up to {shift} pixels: press Train."
        state = ", ".join(f"{name} {curve[-1]:.1%}" for name, curve in ends[shift].items())
        return (f"{len(self.data.train):,} training images, shifts up to {shift} pixels, epoch "
                f"{len(ends[shift]['validation'])} of {self.EPOCHS}. Accuracy: {state}.")


def repair_lab(data: MNISTData) -> RepairLab:
    """Train live on 3,000 images that are shifted at random, by as much as the slider says.

    Control: `shift` (0 to 6 pixels). Accuracy is measured on 1,000 validation images, on the same shifted by up to 4
    pixels, and on the shipped drawings. `await lab.train(shift=4)` does from a cell what the button does.
    """
    return RepairLab(data)


# ---------------------------------------------------------------- until the answer flips


def flip_lab(model: nn.Module, dataset: TensorDataset, size: float = 0.01) -> Panel:
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
        return adversarial_steps(frozen, right.images[right.labels == digit][0], torch.tensor(digit), 30, size)

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
    return (f"Digit {digit} after {steps} steps: no pixel has changed by more than {steps * size:.2f} of 1. Answer "
            f"{answers[steps]} with probability {probabilities[steps].max():.2f}. It {when}.")
