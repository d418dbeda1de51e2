"""What all panels have in common: controls, a picture, and the same in words.

    a control moves → run_here → redraw → show → render → draw(figure, **values) → words
                      (the panel's thread)           └ a fresh figure → picture.value (PNG), text.value

A panel's picture is drawn by a plain function of a matplotlib figure and the values of the controls; that function
returns the words. So a panel has no state but its controls (those that train have their runs), the picture is replaced
in place, and `still` gives the same picture for readers without a running kernel.
"""

import asyncio
import dataclasses
import html
import io
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import ipywidgets as widgets
import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.artist import Artist
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from mnist_helpers.plots import WRONG

PIXELS_PER_INCH = 100
WIDE = {"layout": {"width": "310px"}, "style": {"description_width": "initial"}}
NARROW = {"layout": {"width": "190px"}, "style": {"description_width": "initial"}}


class Panel(widgets.VBox):
    """Controls, one picture that follows them, and one sentence that says what the picture shows.

    `controls`: widgets with a `value`, by name. `draw(figure, **values)` draws on an empty figure of `size` (inches)
    and returns the sentence. `shown`: the widgets above the picture, when they are not just the controls. An error in
    `draw` is shown above the picture, with its traceback folded.
    """

    def __init__(
        self,
        controls: dict[str, widgets.ValueWidget],
        draw: Callable[..., str],
        size: tuple[float, float],
        shown: Sequence[widgets.Widget] | None = None,
    ):
        self.controls, self.draw, self.size = controls, draw, size
        self.places: list = []  # where the axes stand: found once, as finding them takes longer than drawing
        self.picture = widgets.Image(format="png", layout=widgets.Layout(max_width="100%", object_fit="contain"))
        self.picture.layout.width = f"{size[0] * PIXELS_PER_INCH:.0f}px"
        self.text, self.problem = widgets.HTML(), widgets.HTML()
        self.thread, self.loop = threading.get_ident(), running_loop()
        self.waiting: set[Callable] = set()  # what the other threads asked for
        self.show()
        for control in controls.values():
            control.observe(lambda change: self.run_here(self.redraw), "value")
        row = widgets.Layout(flex_flow="row wrap", align_items="center")
        bar = widgets.Box(list(controls.values() if shown is None else shown), layout=row)
        super().__init__([bar, self.problem, self.picture, self.text])
        self.add_class("mnist-panel")  # by which our labextension knows them

    @property
    def values(self) -> dict[str, Any]:
        """The controls' values by name."""
        return {name: control.value for name, control in self.controls.items()}

    def show(self) -> None:
        """Draw the present state; errors are raised."""
        figure, words = self.render(self.places, **self.values)
        self.picture.value, self.text.value = to_png(figure), html.escape(words)
        self.places = [ax.get_position(original=True) for ax in figure.axes]
        self.problem.value = ""

    def redraw(self) -> None:
        """Answer to a moved control."""
        self.show()

    def run_here(self, action: Callable[[], object]) -> None:
        """Run what a control asks for in the thread that made the panel, once for several equal requests.

        JupyterLab may deliver a click or a moved slider in another thread (a subshell of the kernel). Drawing or
        training there would get in the way of the notebook's cells.
        """
        if self.loop is None or threading.get_ident() == self.thread:
            self.run_now(action)
        elif action not in self.waiting:
            self.waiting.add(action)
            self.loop.call_soon_threadsafe(self.run_now, action)

    def run_now(self, action: Callable[[], object]) -> None:
        """Run the action; an error is shown to the reader above the picture, as nobody else would see it."""
        self.waiting.discard(action)
        try:
            action()
        except Exception as error:
            self.problem.value = error_text(error)

    def render(self, places: Sequence, **values: Any) -> tuple[Figure, str]:
        """A fresh figure with the picture for these values, its axes at `places` if there are any; the sentence."""
        with plt.style.context("mnist_helpers.lesson"):
            figure = Figure(figsize=self.size, dpi=PIXELS_PER_INCH, layout=None if places else "constrained")
            words = self.draw(figure, **values)
            for ax, place in zip(figure.axes, places):
                ax.set_position(place)
        return figure, words

    def still(self, **changes: Any) -> "Still":
        """One state as a picture: the controls as they are, except for `changes`. The panel stays as it is.

        Raises ValueError for a name that is no control's, or a value that the control cannot take.
        """
        check_values(changes, self.controls)
        return Still(*self.render([], **{**self.values, **changes}))

    def __repr__(self) -> str:
        return "(Sliders: they appear when this cell is run in JupyterLab.)"


@dataclasses.dataclass(repr=False)
class Still:
    """A picture that a notebook shows and stores, with the words for readers who cannot see it."""

    figure: Figure
    words: str

    def _repr_png_(self) -> bytes:
        return to_png(self.figure)

    def __repr__(self) -> str:
        return self.words


def running_loop() -> asyncio.AbstractEventLoop | None:
    """The event loop of this thread; None where none is running, as in a plain Python program."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def check_values(values: dict[str, Any], controls: dict[str, widgets.ValueWidget]) -> None:
    """Raise ValueError for a name that is no control's, or a value that the control cannot take."""
    for name, value in values.items():
        if name not in controls:
            raise ValueError(f"there is no control {name!r}, only {', '.join(controls)}")
        control = controls[name]
        if hasattr(control, "options"):
            allowed = [option[1] if isinstance(option, tuple) else option for option in control.options]
            if value not in allowed:
                raise ValueError(f"{name} must be one of {', '.join(map(str, allowed))}, got {value!r}")
        elif isinstance(control, (widgets.ToggleButton, widgets.Checkbox)):
            if not isinstance(value, bool):
                raise ValueError(f"{name} must be True or False, got {value!r}")
        elif not control.min <= value <= control.max:
            raise ValueError(f"{name} must be from {control.min} to {control.max}, got {value!r}")


def to_png(figure: Figure) -> bytes:
    """The figure as the bytes of a PNG file."""
    buffer = io.BytesIO()
    with plt.style.context("mnist_helpers.lesson"):  # ticks are made while drawing
        figure.savefig(buffer, format="png", dpi=PIXELS_PER_INCH)
    return buffer.getvalue()


class LivePicture:
    """A picture of which only some artists change: the rest is drawn once, which makes it fast.

    `draw` draws all of it on an empty figure of `size` (inches) and returns the artists that change, by name.
    """

    def __init__(self, size: tuple[float, float], draw: Callable[[Figure], Mapping[Any, Artist]]):
        with plt.style.context("mnist_helpers.lesson"):
            figure = Figure(figsize=size, dpi=PIXELS_PER_INCH, layout="constrained")
            self.artists, self.canvas = draw(figure), FigureCanvasAgg(figure)
            for artist in self.artists.values():
                artist.set_visible(False)
            self.canvas.draw()
        for artist in self.artists.values():
            artist.set_visible(True)
        self.background = self.canvas.copy_from_bbox(figure.bbox)

    def png(self) -> bytes:
        """The bytes of a PNG file with the artists as they are now: larger than that of `to_png`, and made faster."""
        self.canvas.restore_region(self.background)
        for artist in self.artists.values():
            self.canvas.figure.draw_artist(artist)
        buffer = io.BytesIO()
        Image.fromarray(np.asarray(self.canvas.buffer_rgba())).save(buffer, format="png", compress_level=1)
        return buffer.getvalue()


def error_text(error: Exception) -> str:
    """HTML that names the error, with the traceback folded below it."""
    details = html.escape("".join(traceback.format_exception(error)))
    return (
        f'<b style="color:{WRONG};background:white">{type(error).__name__}: {html.escape(str(error))}</b>'
        f"<details><summary>Traceback</summary><pre>{details}</pre></details>"
    )


def classes_of(labels: torch.Tensor) -> list[int]:
    """The classes that occur in `labels`, in order. Raises ValueError when there is none."""
    if len(labels) == 0:
        raise ValueError("the dataset is empty: there is no image to show")
    return sorted(set(labels.tolist()))


class LivePanel(Panel):
    """A panel with buttons that start and stop a training.

    `task` is the training under way, if any; `error` what ended the last one, if it was an error.
    """

    def __init__(
        self, controls: dict[str, widgets.ValueWidget], draw: Callable[..., str], size: tuple[float, float], start: str
    ):
        self.task: asyncio.Task | None = None
        self.error: Exception | None = None
        self.start_button = widgets.Button(description=start, button_style="primary", icon="play")
        self.stop_button = widgets.Button(description="Stop", icon="stop", disabled=True)
        self.start_button.layout.width = "auto"
        super().__init__(controls, draw, size, shown=[*controls.values(), self.start_button, self.stop_button])
        self.start_button.on_click(lambda button: self.run_here(self.start))
        self.stop_button.on_click(lambda button: self.run_here(self.stop))

    @property
    def running(self) -> bool:
        """Whether a training is under way."""
        return self.task is not None and not self.task.done()

    def start(self) -> None:
        """Begin to train with the present settings; a training under way is dropped."""
        loop = running_loop()
        if loop is None:
            raise RuntimeError("no event loop is running: training live needs a notebook")
        if self.task is not None:
            self.task.cancel()
        self.task = loop.create_task(self.train_live())

    def stop(self) -> None:
        """End the training under way."""
        if self.task is not None:
            self.task.cancel()
            self.task, self.stop_button.disabled = None, True

    async def train(self, **settings: Any) -> None:
        """Set the controls, train, and return when the run has ended; Kernel → Interrupt stops it.

        Raises ValueError for settings there are not, and what the training raises.
        """
        check_values(settings, self.controls)
        for name, value in settings.items():
            self.controls[name].value = value
        self.start()
        try:
            while self.task is not None and not self.task.done():  # a moved slider puts another task in its place
                await asyncio.wait([self.task])
        except asyncio.CancelledError:  # Kernel → Interrupt, which would end the waiting only
            self.stop()
            raise
        if self.error is not None:
            raise self.error

    async def train_live(self) -> None:
        """Train in small pieces, so that the page and the other cells stay alive."""
        self.stop_button.disabled, self.problem.value, self.error = False, "", None
        breath = 0.0
        try:
            for _ in self.pieces():
                if time.perf_counter() - breath > 0.03:
                    await asyncio.sleep(0.001)  # here a moved slider or the stop button gets its turn
                    breath = time.perf_counter()
        except Exception as error:  # a cancelled task is no Exception and ends quietly
            self.problem.value, self.error = error_text(error), error
        finally:
            if self.task is asyncio.current_task():
                self.stop_button.disabled = True

    def pieces(self) -> Iterator[None]:
        """Trains and redraws; yields after every small piece of work."""
        raise NotImplementedError
