"""What a figure shows, as numbers and words, so that two runs of a notebook can be compared without their pixels.

A kernel of the tests or of execute_notebooks.py gets `describe` as one more format of a figure, beside the picture.
The stored descriptions lie in tests/figures/, one file for each lesson; the notebooks hold nothing of them. Positions
are thousandths of the axes, as the eye sees them, also on a logarithmic axis: another processor's last digits vanish.
"""

import hashlib
import json
import os
import re
from contextlib import contextmanager
from pathlib import Path

import numpy as np

MIME = "application/x-figure-description"
FOLDER = Path(__file__).parent / "figures"
STARTUP = Path(__file__).parent / "kernel_startup.py"
TOLERANCE = 3  # thousandths of the axes, or of the range of an image's values
ALL, BLOCKS = 24, 12  # so many points are kept one by one; of more, the means of so many blocks


@contextmanager
def described():
    """Kernels that are started in this context describe their figures."""
    before = os.environ.get("PYTHONSTARTUP")
    os.environ["PYTHONSTARTUP"] = str(STARTUP)
    try:
        yield
    finally:
        del os.environ["PYTHONSTARTUP"]
        if before is not None:
            os.environ["PYTHONSTARTUP"] = before


# ---------------------------------------------------------------- describe, in the kernel


def describe(shown) -> str | None:
    """The description, as JSON, of a matplotlib figure or of what is shown as the picture of its `figure`; or None."""
    from matplotlib.figure import Figure

    figure = shown.figure if hasattr(shown, "_repr_png_") and hasattr(shown, "figure") else shown
    if not isinstance(figure, Figure):
        return None
    texts = [text.get_text() for text in figure.texts if text.get_visible()]
    return json.dumps({"texts": texts, "axes": [_axes(axes) for axes in figure.axes if axes.get_visible()]})


def _axes(axes) -> dict:
    kinds = (axes.lines, axes.collections, axes.patches, axes.images, axes.texts)
    seen = [each for kind in kinds for each in kind]
    return {
        "texts": _texts(axes),
        "scales": [axes.get_xscale(), axes.get_yscale()],
        "limits": [float(f"{limit:.4g}") for limit in (*axes.get_xlim(), *axes.get_ylim())],
        "artists": [[_name(artist), *_numbers(axes, artist)] for artist in seen if artist.get_visible()],
    }


def _texts(axes) -> list[str]:
    texts = [axes.get_title(place) for place in ("left", "center", "right")] + [axes.get_xlabel(), axes.get_ylabel()]
    ticks = [label.get_text() for axis in (axes.xaxis, axes.yaxis) for label in axis.get_ticklabels()]
    texts += [label for label in ticks if re.search("^[^$]*[A-Za-z]{2}", label)]  # numbers follow from the limits
    texts += [text.get_text() for text in axes.texts if text.get_visible()]
    legend = axes.get_legend()
    return [text for text in texts + ([each.get_text() for each in legend.get_texts()] if legend else []) if text]


def _name(artist) -> str:
    """Kind, colours, style and marker of a line, colour map of an image: Line2D #0072b2 - o, AxesImage gray_r."""
    parts = [getattr(artist, f"get_{part}", list)() for part in ("color", "facecolor", "edgecolor")]
    colours = [np.atleast_2d(part)[0] if not isinstance(part, str) else part for part in parts if len(part)]
    style = [str(getattr(artist, f"get_{part}")()) for part in ("linestyle", "marker") if hasattr(artist, "get_xydata")]
    style += [artist.get_cmap().name] if hasattr(artist, "get_extent") else []
    return " ".join([type(artist).__name__, *map(_hex, colours), *style])


def _hex(colour) -> str:
    from matplotlib.colors import to_hex

    return to_hex(colour)


def _numbers(axes, artist) -> list[int]:
    if hasattr(artist, "get_extent"):
        return _image(artist)
    points = _points(axes, artist)
    hollow = (
        [1000 * (_hex(artist.get_markerfacecolor()) == "#ffffff")] if hasattr(artist, "get_markerfacecolor") else []
    )
    return hollow + (_kept(1000 * axes.transAxes.inverted().transform(points)) if len(points) else [])


def _points(axes, artist):
    """Where the artist lies on the page: the points of a line, the corners of a bar, the place of a text."""
    transform = artist.get_transform()
    if hasattr(artist, "get_fontsize"):
        points_there = getattr(artist, "xycoords", "") == "data"  # the arrow of an annotation
        return axes.transData.transform([artist.xy]) if points_there else transform.transform([artist.get_position()])
    if hasattr(artist, "get_xydata"):
        return transform.transform(artist.get_xydata().astype(float))
    if hasattr(artist, "get_paths"):
        return _collection(artist)
    if hasattr(artist, "get_arrowstyle"):
        return []  # its path depends on the size of the picture
    return transform.transform(artist.get_path().vertices)


def _collection(artist):
    """Where the marks of a scatter plot lie, or the corners of lines and areas."""
    offsets = np.ma.filled(np.asarray(artist.get_offsets(), dtype=float), np.nan)
    if len(offsets) > 1 or offsets.any():
        return artist.get_offset_transform().transform(offsets)
    paths = [path.vertices for path in artist.get_paths()]
    return artist.get_transform().transform(np.concatenate(paths)) if paths else []


def _image(artist) -> list[int]:
    """The brightness of the image in blocks, of a small one pixel by pixel."""
    values = np.asarray(artist.get_array(), dtype=float)
    if values.ndim == 3:
        values = values[..., :3].mean(axis=2) / (255 if values.max() > 1 else 1)
    else:
        values = np.ma.filled(artist.norm(values), np.nan)
    if values.size > 144:
        rows = np.array_split(values, 4)
        values = np.array([block.mean() for row in rows for block in np.array_split(row, 4, axis=1)])
    return _whole(1000 * values)


def _kept(points) -> list[int]:
    points = _finite(points)
    if len(points) > ALL:
        points = np.array([block.mean(axis=0) for block in np.array_split(points, BLOCKS)])
    return _whole(points)


def _finite(values):
    far = 10_000  # beyond any axes, or not a number
    return np.nan_to_num(values, nan=far, posinf=far, neginf=-far).clip(-far, far)


def _whole(values) -> list[int]:
    return _finite(values).round().astype(int).ravel().tolist()


# ---------------------------------------------------------------- keep, and compare


def keep(notebook, name) -> None:
    """Move the descriptions from the outputs of an executed notebook into the lesson's file."""
    lines = []
    for cell in notebook.cells:
        for data in [output.get("data", {}) for output in cell.get("outputs", [])]:
            if MIME in data:
                lines.append(
                    json.dumps({"cell": cell.id, "png": short(data["image/png"]), **json.loads(data.pop(MIME))})
                )
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{name}.jsonl").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def described_in(outputs) -> list[dict | None]:
    """The descriptions in the outputs of a cell, None for an empty place that gets its figure later."""
    shown = [output["data"] for output in outputs if "data" in output]
    return [json.loads(data[MIME]) if data else None for data in shown if MIME in data or not data]


def short(png: str) -> str:
    """What tells one stored picture from another."""
    return hashlib.sha256("".join(png.split()).encode()).hexdigest()[:12]


def kept(name) -> list[dict]:
    """The stored descriptions of a lesson, in the order of its figures."""
    path = FOLDER / f"{name}.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def different(stored: dict, new: dict, alike, exactly=True) -> list[str]:
    """What differs between two descriptions, at most one message an axes; `alike` says what is compared of a text.

    Not exactly: where a network was trained in between, the numbers are not compared, only what is drawn.
    """
    if alike(stored["texts"]) != alike(new["texts"]):
        return [f"  the figure says {new['texts']}, stored is {stored['texts']}"]
    if len(stored["axes"]) != len(new["axes"]):
        return [f"  the figure has {len(new['axes'])} axes, stored are {len(stored['axes'])}"]
    pairs = enumerate(zip(stored["axes"], new["axes"]), start=1)
    return [
        f"  axes {number} of the figure: {what}"
        for number, pair in pairs
        if (what := _axes_differ(*pair, alike, exactly))
    ]


def _axes_differ(stored, new, alike, exactly) -> str:
    if alike(stored["texts"]) != alike(new["texts"]):
        return f"the words are {new['texts']}, stored are {stored['texts']}"
    if stored["scales"] != new["scales"]:
        return f"the scales are {new['scales']}, stored are {stored['scales']}"
    names, new_names = [artist[0] for artist in stored["artists"]], [artist[0] for artist in new["artists"]]
    if names != new_names:
        return f"{len(new_names)} things are drawn, {new_names}, stored are {len(names)}, {names}"
    if not exactly:
        return ""
    for axis in (slice(0, 2), slice(2, 4)):
        (low, high), limits = stored["limits"][axis], new["limits"][axis]
        if np.abs(np.subtract((low, high), limits)).max() > abs(high - low) * TOLERANCE / 1000:
            return f"from {limits[0]} to {limits[1]}, stored from {low} to {high}"
    for (name, *old), (_, *now) in zip(stored["artists"], new["artists"]):
        if len(old) != len(now) or (old and np.abs(np.subtract(old, now)).max() > TOLERANCE):
            return f"{name} lies elsewhere (thousandths of the axes)\n    stored: {old}\n    new:    {now}"
    return ""
