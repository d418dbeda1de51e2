"""Drawings that the user keeps: PNG files in a folder, theirs to look at and to delete. They make a test set."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.utils.data import TensorDataset

from mnist_helpers.checks import check_whole
from mnist_helpers.files import complete_file
from mnist_helpers.labs.own_digits import FIELD, NoDigitError, preprocess_digit, read_photo
from mnist_helpers.runs import runs_dir


def drawings_folder() -> Path:
    """Where drawings are kept when no other folder is named: `drawings` in `runs_dir()`."""
    return runs_dir() / "drawings"


def keep_drawing(picture: np.ndarray, digit: int, folder: str | Path | None = None) -> Path:
    """Write a picture of a digit into a file of its own and return its path, DIGIT-NUMBER.png.

    `picture`: (height, width) in [0, 1], as `drawing_pad(…).picture_now`. No older file is touched. Raises ValueError
    for a digit that is none, NoDigitError for a picture in which `preprocess_digit` finds none.
    """
    digit = check_whole("digit", digit, 0, 9)
    preprocess_digit(picture)
    folder = Path(folder or drawings_folder())
    number = max((int(path.stem[2:]) for path in files_in(folder)), default=0) + 1
    path = folder / f"{digit}-{number:04}.png"
    with complete_file(path) as file:
        Image.fromarray(np.rint(255 * picture).astype(np.uint8)).save(file, format="png")
    return path


def files_in(folder: Path) -> list[Path]:
    """The files that `keep_drawing` wrote into the folder."""
    return sorted(path for path in folder.glob("[0-9]-*.png") if path.stem[2:].isdecimal())


def kept_drawings(left_out: Sequence[str] = (), folder: str | Path | None = None) -> TensorDataset:
    """The kept drawings, preprocessed, with their digits as labels; empty where none is kept.

    `left_out`: see `preprocessing_stages`. Raises ValueError for a file that cannot be read.
    """
    paths, images = files_in(Path(folder or drawings_folder())), [torch.zeros(0, 1, FIELD, FIELD)]
    for path in paths:
        try:
            images.append(preprocess_digit(read_photo(path.read_bytes()).picture, left_out)[None])
        except NoDigitError as error:
            raise ValueError(f"{path} is no drawing that was kept ({error}). Delete it, or move it away") from error
    return TensorDataset(torch.cat(images), torch.tensor([int(path.stem[0]) for path in paths], dtype=torch.int64))
