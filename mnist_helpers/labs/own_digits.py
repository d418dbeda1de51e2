"""From a drawing or a photo to what the network sees: a picture like those of MNIST.

A picture is a float32 array (height, width), 0 is black and 1 is white, whatever was written with. `preprocess_digit`
repeats what MNIST's authors say they did: "size normalized to fit in a 20x20 pixel box while preserving their aspect
ratio", gray by anti-aliasing, and "centered in a 28x28 image by computing the center of mass of the pixels"
(http://yann.lecun.com/exdb/mnist/).
"""

import contextlib
import dataclasses
import io
import json
import warnings
from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageOps, UnidentifiedImageError
from scipy import ndimage
from torch.utils.data import TensorDataset

from mnist_helpers.files import ASSETS

Stroke = Sequence[tuple[float, float]]  # the points (x, y) of a pen, in pixels from the upper left corner

CANVAS = 280  # the side of a drawing in pixels
BRUSH = 20  # the width of the pen in pixels
BOX, FIELD = 20, 28  # the digit is scaled to the box and centred in the field
STEPS = ("invert", "clean", "crop", "scale", "center")
MOST_PIXELS = 64_000_000
TOO_LARGE = f"this picture has more than {MOST_PIXELS // 10**6} million pixels. Take a smaller one"
SMALLEST_SIDE = 8
WORKING_SIDE = 280  # a larger picture is made smaller while it is read


class NoDigitError(ValueError):
    """There is no digit in the picture, or more than one, or the file is no picture. The message is for the reader."""


# ---------------------------------------------------------------- drawings


def draw_strokes(strokes: Sequence[Stroke], brush: float = BRUSH, side: int = CANVAS) -> np.ndarray:
    """The picture (side, side) of pen strokes, black on white. `brush`: the width of the pen in pixels."""
    image = Image.new("L", (side, side), 255)
    pen, radius = ImageDraw.Draw(image), brush / 2
    for stroke in strokes:
        points = [(float(x), float(y)) for x, y in stroke]
        pen.line(points, fill=0, width=round(brush))
        for x, y in points:  # round ends and corners
            pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=0)
    return np.asarray(image, dtype=np.float32) / 255


def load_drawings() -> dict[str, list[list[tuple[float, float]]]]:
    """The drawings that come with the lessons: strokes by name. The first letter of a name is what was drawn.

    They were made for the lessons: curves through a few points, with the unsteadiness of a hand added.
    """
    text = (ASSETS / "drawings.json").read_text(encoding="utf-8")
    return {name: [[(x, y) for x, y in stroke] for stroke in strokes] for name, strokes in json.loads(text).items()}


def drawn_digits(left_out: Sequence[str] = ()) -> TensorDataset:
    """The shipped drawings of digits, preprocessed, with their labels. `left_out`: see `preprocessing_stages`."""
    digits = {name: strokes for name, strokes in load_drawings().items() if name[0].isdigit()}
    images = [preprocess_digit(draw_strokes(strokes), left_out) for strokes in digits.values()]
    return TensorDataset(torch.stack(images), torch.tensor([int(name[0]) for name in digits]))


# ---------------------------------------------------------------- files


@dataclasses.dataclass(frozen=True, eq=False)
class Photo:
    """A picture that was read from a file, and what was done to it on the way, in words."""

    picture: np.ndarray
    note: str = ""


def read_photo(content: bytes) -> Photo:
    """Read a PNG or JPEG file from memory: upright, gray, its longer side at most 280 pixels.

    Of an animation only the first frame is taken; what is transparent becomes paper. Raises NoDigitError for other
    files, damaged ones, and pictures that are too small or too large.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's, about size and damage: nobody would see them
        image = open_image(content)
        notes = ["The picture is animated: only its first frame is read."] * (getattr(image, "n_frames", 1) > 1)
        try:
            image.draft(None, (4 * WORKING_SIDE, 4 * WORKING_SIDE))  # a JPEG can be decoded at a smaller size
            image.load()
        except (OSError, SyntaxError, ValueError, EOFError) as error:
            raise NoDigitError("this file is damaged or not complete. Save or copy the picture again") from error
        with contextlib.suppress(Exception):  # damaged camera data, of many kinds: then take it as it lies
            image = ImageOps.exif_transpose(image)
    if image.has_transparency_data:
        image, note = on_paper(image)
        notes += [note] * bool(note)
    image = image.convert("L") if not image.mode.startswith("I") else sixteen_bits(image)
    image.thumbnail((WORKING_SIDE, WORKING_SIDE), Image.Resampling.BOX)
    return Photo(np.asarray(image, dtype=np.float32) / 255, " ".join(notes))


def open_image(content: bytes) -> Image.Image:
    """The picture in a PNG or JPEG file, not yet decoded. Raises NoDigitError as `read_photo` does."""
    try:
        image = Image.open(io.BytesIO(content), formats=("PNG", "JPEG"))
    except Image.DecompressionBombError as error:
        raise NoDigitError(TOO_LARGE) from error
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise NoDigitError("this file is no picture that can be read here. Take a PNG or a JPEG file") from error
    check_size(*image.size)
    return image


def check_size(width: int, height: int) -> None:
    """Raise NoDigitError for a picture that is too small or too large."""
    if min(width, height) < SMALLEST_SIDE:
        raise NoDigitError(
            f"this picture has {width} × {height} pixels. Take one with at least {SMALLEST_SIDE} × {SMALLEST_SIDE}"
        )
    if width * height > MOST_PIXELS:
        raise NoDigitError(TOO_LARGE)


def on_paper(image: Image.Image) -> tuple[Image.Image, str]:
    """The picture on white, or on black where all of its ink is light; and a note where something was transparent."""
    image.thumbnail((4 * WORKING_SIDE, 4 * WORKING_SIDE), Image.Resampling.BOX)
    image = image.convert("RGBA")
    gray, alpha = np.asarray(image.convert("L")), np.asarray(image.getchannel("A"))
    light = (alpha > 127).any() and (gray[alpha > 127] > 127).mean() > 0.98
    note = "What is transparent counts as paper." if (alpha < 255).any() else ""
    return Image.alpha_composite(Image.new("RGBA", image.size, "black" if light else "white"), image), note


def sixteen_bits(image: Image.Image) -> Image.Image:
    """A picture with 16 bits a pixel with 8 bits a pixel: Pillow's own conversion would cut off what is above 255."""
    return Image.fromarray((np.asarray(image, dtype=np.uint32) >> 8).clip(0, 255).astype(np.uint8))


# ---------------------------------------------------------------- the steps


def ink_on_black(picture: np.ndarray) -> np.ndarray:
    """Inverted if need be, so that ink is light on dark paper. The border is taken for paper."""
    paper = np.median(np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]]))
    darkest, lightest = np.quantile(picture, [0.001, 0.999])
    return 1 - picture if paper - darkest > lightest - paper else picture


def remove_paper(ink: np.ndarray) -> np.ndarray:
    """Paper becomes 0 and the strongest ink 1: in a photo takes away slow changes of light, then noise, then specks.

    Slow changes: the white top-hat, which keeps what is narrower than half of the picture; the picture is continued
    over its border, so that the slope of the light is seen there. Noise: all below three times the median, as most of
    a picture is paper. Specks: pieces with less than 3 % of the ink of the largest piece. Of these only the last is
    done where the paper has one single value, as in a drawing.
    """
    ink = ink - ink.min()
    if (ink < 1 / 255).mean() < 0.25:
        half = max(ink.shape) // 2
        continued = np.pad(ink, half, mode="reflect", reflect_type="odd")
        ink = ndimage.white_tophat(continued, size=half)[half:-half, half:-half]
        ink = np.where(ink > 3 * np.median(ink), ink, 0)
    pieces, number = ndimage.label(ink > 0, structure=np.ones((3, 3)))
    weights = ndimage.sum(ink, pieces, range(number + 1))
    ink = np.where((weights > 0.03 * weights.max())[pieces], ink, 0)
    return (ink / max(ink.max(), 1e-6)).astype(np.float32)


def crop_to_ink(ink: np.ndarray) -> np.ndarray:
    """Only the smallest rectangle that holds all ink; everything where there is none."""
    inked = ink > 0.1
    if not inked.any():
        return ink
    rows, columns = np.flatnonzero(inked.any(axis=1)), np.flatnonzero(inked.any(axis=0))
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def scale_to_fit(ink: np.ndarray, side: int = BOX) -> np.ndarray:
    """Scaled so that its longer side has `side` pixels, gray at the edges (anti-aliasing)."""
    factor = side / max(ink.shape)
    height, width = [max(round(factor * length), 1) for length in ink.shape]
    image = Image.fromarray(ink).resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(image).clip(0, 1)


def put_on_field(ink: np.ndarray, top: int, left: int) -> np.ndarray:
    """A field of 28 × 28 zeros with the ink on it from row `top` and column `left` on; what lies outside is cut off."""
    field = np.zeros((FIELD, FIELD), dtype=np.float32)
    ink = ink[max(-top, 0) : max(FIELD - top, 0), max(-left, 0) : max(FIELD - left, 0)]
    top, left = max(top, 0), max(left, 0)
    field[top : top + ink.shape[0], left : left + ink.shape[1]] = ink
    return field


def center_by_mass(ink: np.ndarray) -> np.ndarray:
    """In the middle of 28 × 28 pixels by its centre of mass, moved by whole pixels. There must be some ink."""
    row, column = ndimage.center_of_mass(ink)
    return put_on_field(ink, round(FIELD / 2 - row), round(FIELD / 2 - column))


def center_by_box(ink: np.ndarray) -> np.ndarray:
    """In the middle of 28 × 28 pixels by its rectangle."""
    return put_on_field(ink, (FIELD - ink.shape[0]) // 2, (FIELD - ink.shape[1]) // 2)


def preprocessing_stages(picture: np.ndarray, left_out: Sequence[str] = ()) -> dict[str, np.ndarray]:
    """What becomes of a picture step by step: the picture itself and the result of each step, by name.

    `left_out`: names of steps (see STEPS) to skip. Without "scale" the picture fills all 28 pixels instead of 20;
    without "center" it is centred by its rectangle. Raises ValueError for a name that is no step.
    """
    check_steps(left_out)
    stages = {"picture": picture}
    stages["invert"] = picture if "invert" in left_out else ink_on_black(picture)
    stages["clean"] = stages["invert"] if "clean" in left_out else remove_paper(stages["invert"])
    stages["crop"] = stages["clean"] if "crop" in left_out else crop_to_ink(stages["clean"])
    stages["scale"] = scale_to_fit(stages["crop"], FIELD if "scale" in left_out else BOX)
    center = center_by_box if "center" in left_out or not stages["scale"].any() else center_by_mass
    stages["center"] = center(stages["scale"])
    return stages


def preprocess_digit(picture: np.ndarray, left_out: Sequence[str] = ()) -> torch.Tensor:
    """Turn a picture of one digit into what the network was trained on: (1, 28, 28), float32 in [0, 1], ink is 1.

    `picture`: (height, width) in [0, 1], dark on light or light on dark. `left_out`: see `preprocessing_stages`.
    Raises NoDigitError when there is nothing to read or more than one digit, ValueError when it is no such picture.
    """
    check_picture(picture)
    picture = picture.astype(np.float32)
    check_one_digit(remove_paper(ink_on_black(picture)))
    return torch.from_numpy(preprocessing_stages(picture, left_out)["center"])[None]


# ---------------------------------------------------------------- is there one digit?


def check_steps(left_out: Sequence[str]) -> None:
    """Raise ValueError for a name that is no step."""
    if unknown := set(left_out) - set(STEPS):
        raise ValueError(f"left_out may hold {', '.join(STEPS)}, got {', '.join(sorted(unknown))}")


def check_picture(picture: np.ndarray) -> None:
    """Raise ValueError unless the array is a picture; NoDigitError when it is too small or all of one brightness."""
    if picture.ndim != 2 or picture.dtype.kind != "f":
        raise ValueError(
            f"a picture must be floating point of shape (height, width), got {picture.dtype} {picture.shape}"
        )
    check_size(*picture.shape[::-1])
    if not (picture.min() >= 0 and picture.max() <= 1):
        raise ValueError(f"pixels must be in [0, 1], got {picture.min()} to {picture.max()}")
    if picture.max() - picture.min() < 0.1:
        raise NoDigitError("there is no ink: all of it has nearly the same brightness")


def check_one_digit(ink: np.ndarray) -> None:
    """Raise NoDigitError when the ink (from `remove_paper`) is a mere dot or spot, or falls into several digits.

    A dot or a spot fills most of its rectangle, which is about as wide as it is high. Several digits: columns without
    ink between two parts that each have at least a quarter of the ink of the part with most.
    """
    if not (ink > 0.1).any():
        raise NoDigitError("there is no ink to be seen")
    digit = crop_to_ink(ink) > 0.5
    height, width = digit.shape
    if digit.mean() > 0.75 and max(height, width) < 1.5 * min(height, width):
        raise NoDigitError("this is only a dot or a spot. Draw a digit with lines")
    parts, number = ndimage.label((ink > 0.1).any(axis=0))
    weights = ndimage.sum(ink.sum(axis=0), parts, range(1, number + 1))
    digits = int((weights > 0.25 * weights.max()).sum())
    if digits > 1:
        raise NoDigitError(
            f"there are {digits} parts side by side. The network reads one digit: draw it in one piece, "
            "or cut it out of the photo"
        )
