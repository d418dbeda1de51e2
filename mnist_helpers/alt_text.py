"""What a figure shows, in words: the text alternative for readers who cannot see it.

In a notebook every figure goes out with it, as `alt` in the metadata of the output. It is computed from what is drawn,
so it holds for any figure: `alt_text(figure)`. A plot whose message is not in its lines and bars tells it: `tell`.
"""

import math
import sys
import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TOLD: "WeakKeyDictionary[Axes, str]" = WeakKeyDictionary()
LISTED = 12  # so many points, bars, pictures or lines are told one by one
LONGEST = 900  # characters


def tell(axes: Any, message: str) -> Any:
    """Let `message` be the text alternative of these axes, one or several; returns them."""
    first, *others = getattr(axes, "flat", [axes])
    TOLD.update({first: message, **dict.fromkeys(others, "")})
    return axes


def alt_text(figure: "Figure") -> str:
    """What the figure shows, with its main numbers; "" for an empty figure."""
    axes = [ax for ax in figure.axes if ax.get_visible() and ax.get_label() != "<colorbar>"]
    pictures = [ax for ax in axes if ax not in TOLD and ax.images and not ax.lines]
    parts = [text.get_text() for text in figure.texts]
    if len(pictures) > 1:
        titles = [title for title in map(title_of, pictures) if title]
        parts.append(f"{len(pictures)} pictures{': ' * bool(titles)}{listed(titles)}")
    parts += [words_of(ax) for ax in axes if ax not in pictures or len(pictures) == 1]
    return textwrap.shorten(". ".join(part for part in parts if part), LONGEST, placeholder=" …")


def words_of(ax: "Axes") -> str:
    """What these axes show: title, what stands against what, then each thing that is drawn."""
    if ax in TOLD:
        return TOLD[ax]
    labels = [ax.get_ylabel(), ax.get_xlabel()]
    against = " against ".join(label for label in labels if label).replace("\n", " ")
    things = [*lines_of(ax), *bars_of(ax), *points_of(ax)] if ax.axison else []  # without axes no number can be read
    texts = [written(ax, text) for text in ax.texts if text.get_visible() and any(map(str.isalnum, text.get_text()))]
    words = ", ".join(filter(None, [title_of(ax), against if ax.axison else ""]))
    said = [listed([*things, *["a picture" for _ in ax.images]]), f"written: {listed(texts, 40)}" if texts else ""]
    return ": ".join(filter(None, [words, "; ".join(filter(None, said))]))


def written(ax: "Axes", text: Any) -> str:
    """A text in one line and, where an arrow leads from it, to which place."""
    place = f" at {number(ax.xaxis, text.xy[0])}" if getattr(text, "arrow_patch", None) else ""
    return " ".join(text.get_text().split()) + place


def lines_of(ax: "Axes") -> Iterator[str]:
    """Each line of data: where it begins and ends and, where they lie elsewhere, its lowest and its highest point."""
    errors = [each for each in ax.containers if hasattr(each, "has_yerr")]
    names, caps = {each[0]: each.get_label() for each in errors}, {cap for each in errors for cap in each[1]}
    for line in [line for line in ax.lines if line not in caps]:
        name, (x, y) = names.get(line, line.get_label()), line.get_data()
        if line.get_transform() != ax.transData or not line.get_visible():
            continue  # a line across the whole axes
        points = [(a, b) for a, b in np.column_stack([x, y]).astype(float).tolist() if math.isfinite(a + b)]
        if points:
            name = "" if str(name).startswith("_") else f"{name} "
            yield name + (course(ax, points) if line.get_linestyle() != "None" else cloud(ax, points))


def course(ax: "Axes", points: Sequence[tuple[float, float]]) -> str:
    """How a curve goes from its first to its last point."""
    first, last = points[0], points[-1]
    told = "falls " if last[1] < first[1] else "rises " if last[1] > first[1] else ""
    told += f"from {number(ax.yaxis, first[1])} at {number(ax.xaxis, first[0])}"
    told += f" to {number(ax.yaxis, last[1])} at {number(ax.xaxis, last[0])}"
    for word, extreme in (("lowest", min), ("highest", max)):
        x, y = extreme(points, key=lambda point: point[1])
        if number(ax.yaxis, y) not in (number(ax.yaxis, first[1]), number(ax.yaxis, last[1])):
            told += f", {word} {number(ax.yaxis, y)} at {number(ax.xaxis, x)}"
    return told


def cloud(ax: "Axes", points: Sequence[tuple[float, float]]) -> str:
    """Single points: all of a few, of many the ranges."""
    if len(points) <= LISTED:
        return listed([f"{number(ax.yaxis, y)} at {number(ax.xaxis, x)}" for x, y in points])
    (left, right), (low, high) = [(min(each), max(each)) for each in zip(*points)]
    between = f"{number(ax.yaxis, low)} and {number(ax.yaxis, high)}"
    return f"{len(points)} points between {between}, at {number(ax.xaxis, left)} to {number(ax.xaxis, right)}"


def bars_of(ax: "Axes") -> Iterator[str]:
    """Each group of bars: all of a few, of many the lowest and the highest."""
    for bars in ax.containers:
        if hasattr(bars, "patches"):
            tops = [(bar.get_x() + bar.get_width() / 2, bar.get_height()) for bar in bars.patches]
            label = str(bars.get_label())
            yield ("" if label.startswith("_") else f"{label} ") + f"{len(tops)} bars, " + cloud(ax, tops)


def points_of(ax: "Axes") -> Iterator[str]:
    """Scattered points, and named areas."""
    for each in ax.collections:
        name, places = str(each.get_label()), np.asarray(each.get_offsets(), dtype=float).tolist()
        if len(places) > 1 and each.get_offset_transform() == ax.transData:
            yield ("" if name.startswith("_") else f"{name} ") + cloud(ax, places)
        elif not name.startswith("_"):
            yield f"an area: {name}"


def title_of(ax: "Axes") -> str:
    """The titles of these axes in one line."""
    return " ".join(" ".join(ax.get_title(place) for place in ("left", "center", "right")).split())


def listed(things: Sequence[str], most: int = LISTED) -> str:
    """The first things of a list, and how many more there are."""
    more = [f"{len(things) - most} more"] if len(things) > most else []
    return "; ".join([*things[:most], *more])


def number(axis: Any, value: float) -> str:
    """The number as the axis writes it: a name of a tick, a percentage, or three digits, no finer than can be seen."""
    if axis.get_scale() == "linear":
        value = round(value, max(3 - math.floor(math.log10(np.ptp(axis.get_view_interval()) or 1)), 0))
    digits, formatter = f"{value:,.0f}" if 1000 <= abs(value) < 1e9 else f"{value:.3g}", axis.get_major_formatter()
    if type(formatter).__name__.startswith(("Scalar", "Log")):  # they would write 1.e-06 and 0.500
        return digits
    ticks = zip(axis.get_majorticklocs(), [label.get_text() for label in axis.get_majorticklabels()])
    name = next((name for place, name in ticks if name and math.isclose(place, value)), "")
    return name or formatter.format_data_short(value).strip() or digits


# ---------------------------------------------------------------- what the package's own plots tell


def gallery_words(titles: Sequence[str], correct: Sequence[bool]) -> str:
    """Images with their true and predicted labels in the titles: how many are wrong, these first."""
    wrong, right = [[title for title, each in zip(titles, correct) if each == kind] for kind in (False, True)]
    told = [f"{kind}: {listed(these)}" for kind, these in (("wrong", wrong), ("right", right)) if these]
    message = f"{len(titles)} images with their true (T) and predicted (P) label, {len(wrong)} wrong"
    return ". ".join([message, *told])


def confusion_words(labels: Sequence[int], predicted: Sequence[int]) -> str:
    """How many are wrong, and which mistakes are the most frequent."""
    wrong = Counter((true, answer) for true, answer in zip(labels, predicted) if true != answer)
    most = [f"{true} called {answer}: {times} times" for (true, answer), times in wrong.most_common(6)]
    message = f"confusion matrix of {len(labels):,} images, {wrong.total():,} of them wrong"
    return f"{message}, most often {listed(most)}" if most else message


def difference_words(measure: str, rows: Any) -> str:
    """One measure: the mean difference of each setting with its interval."""
    return f"{measure}: " + listed([f"{row.setting} {row.mean:.3g} ± {row.half:.2g}" for row in rows.itertuples()])


def neuron_words(inputs: Sequence[float], weights: Sequence[float], bias: float) -> str:
    """The sum of a unit, term by term, and what becomes of it."""
    products = " + ".join(f"{value:.3g} · {weight:.3g}" for value, weight in zip(inputs, weights))
    total = sum(value * weight for value, weight in zip(inputs, weights))
    after = f"with the bias {bias:.3g} it is {total + bias:.3g}, after ReLU {max(total + bias, 0):.3g}"
    return f"one unit, inputs times weights: {products} = {total:.3g}; {after}"


# ---------------------------------------------------------------- in a notebook


def publish() -> None:
    """In a notebook: let each figure's PNG picture go out with its text alternative, as `alt` in its metadata."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if shell is None:
        return
    formatters = shell.display_formatter.formatters
    earlier = formatters["image/png"]

    class DescribedPNG(type(earlier)):  # type: ignore[misc]
        def __call__(self, shown: Any) -> Any:
            png, alt = super().__call__(shown), getattr(shown, "words", "")  # a panel's still has words
            with suppress(Exception):  # of an odd figure the picture alone is better than nothing
                alt = alt or (alt_text(shown) if hasattr(shown, "savefig") else "")
            if png is None or not alt:
                return png
            png, metadata = png if isinstance(png, tuple) else (png, {})
            return png, {**metadata, "alt": alt}

    described = DescribedPNG(parent=shell.display_formatter)
    described.type_printers.update(earlier.type_printers)
    described.deferred_printers.update(earlier.deferred_printers)
    formatters["image/png"] = described
