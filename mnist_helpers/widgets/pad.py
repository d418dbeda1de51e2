"""The drawing pad: draw a digit or upload a photo, and see what the network sees and says."""

import copy
import dataclasses
import html
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from typing import Any

import ipywidgets as widgets
import numpy as np
import torch
from ipycanvas import Canvas, hold_canvas
from matplotlib.figure import Figure
from PIL import Image
from torch import nn

from mnist_helpers.labs.own_digits import (
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
from mnist_helpers.plots import plot_probabilities
from mnist_helpers.predictions import predict
from mnist_helpers.widgets.panel import WIDE, LivePicture, Panel

SWITCHES = {
    "invert": "invert if need be",
    "clean": "clean",
    "crop": "crop",
    "scale": "scale to 20",
    "center": "centre by mass",
}
TITLES = {
    "picture": "picture",
    "invert": "inverted",
    "clean": "cleaned",
    "crop": "cropped",
    "scale": "scaled",
    "center": "centred",
}
INVITATION = "Draw a digit with mouse, pen or finger, choose an example, or upload a photo."
REDRAW_AFTER = 0.02  # seconds: strokes come in faster than pictures can be made


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
        self.live = LivePicture((7.6, 3.5), pad_artists)
        apart = {"width": "auto", "margin": "2px 14px 2px 0"}
        options = [("(your own)", ""), *[(name, name) for name in self.examples]]
        controls = {
            "example": widgets.Dropdown(options=options, description="example", layout={"width": "230px"}),
            "brush": widgets.IntSlider(BRUSH, 8, 40, description="brush width", **WIDE),
        }
        for step, text in SWITCHES.items():
            controls[step] = widgets.Checkbox(True, description=text, indent=False, layout=apart)
        self.canvas = make_canvas(self)
        kinds = ".png,.jpg,.jpeg"
        self.upload = widgets.FileUpload(accept=kinds, description="Upload a photo", layout={"width": "auto"})
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
        right = widgets.VBox(
            [switches, self.picture, self.text], layout={"min_width": "0", "flex": "1 1 auto", "margin": "0 0 0 12px"}
        )
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
        words = (
            f"The network reads {first}, with probability {probabilities[first]:.2f}; next comes {second} with "
            f"{probabilities[second]:.2f}.{note} "
        )
        missing = f"Left out: {', '.join(SWITCHES[step] for step in left_out)}. " if left_out else ""
        right, of = self.share_right(left_out)
        words += f"{missing}With these steps it reads {right} of the {of} example drawings of digits rightly."
        return Reading(preprocessing_stages(picture, left_out), probabilities, words)

    def draw_pad(self, figure: Figure, **values: Any) -> str:
        """The stages side by side, the last one is what the network sees; the ten probabilities below."""
        reading = self.read(**values)
        fill(pad_artists(figure), reading)
        return reading.words

    def show(self) -> None:
        """As in any panel, but only what changes is drawn anew: the picture has to follow the pen."""
        reading = self.read(**self.values)
        fill(self.live.artists, reading)
        self.picture.value, self.text.value = self.live.png(), html.escape(reading.words)
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
    square.paste(image, ((CANVAS - image.width) // 2, (CANVAS - image.height) // 2))
    return np.asarray(square.convert("RGB"))


def share_right(model: nn.Module, left_out: tuple[str, ...]) -> tuple[int, int]:
    """How many of the shipped drawings of digits the model reads rightly, and how many there are."""
    correct = predict(model, drawn_digits(left_out)).correct
    return int(correct.sum()), len(correct)


def pad_artists(figure: Figure) -> dict[str, Any]:
    """Places for the six stages, by name; the ten bars, "0" to "9"; the frames, which lie over them."""
    axes = figure.subplot_mosaic([list(TITLES), ["bars"] * 6], height_ratios=[1, 1.15])
    artists: dict[str, Any] = {}
    for name, title in TITLES.items():
        axes[name].set(title=title, facecolor="lightgray", xlim=(0, 1), ylim=(0, 1), aspect="equal")
        axes[name].set(xticks=[], yticks=[])
        axes[name].spines[:].set_visible(True)
        axes[name].grid(False)
        artists[name] = axes[name].imshow(np.zeros((1, 1)), cmap="gray", vmin=0, vmax=1, extent=(0, 1, 0, 1))
    plot_probabilities(torch.zeros(10), ax=axes["bars"])
    axes["bars"].set(ylim=(0, 1.02), yticks=[0, 0.5, 1], axisbelow=True)
    artists |= {str(digit): bar for digit, bar in enumerate(axes["bars"].patches)}
    frames = [spine for ax in figure.axes for spine in ax.spines.values() if spine.get_visible()]
    return artists | {f"frame {number}": frame for number, frame in enumerate(frames)}


def fill(artists: Mapping[str, Any], reading: Reading) -> None:
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
