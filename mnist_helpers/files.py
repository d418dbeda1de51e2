"""Where the user's files lie, and how they are written: complete or not at all."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from platformdirs import user_data_path

ASSETS = Path(__file__).with_name("assets")  # what comes with the package


def user_folder(kind: str, package: Path = Path(__file__).parent) -> Path:
    """The folder for the user's "data" or "runs": in the repository where the package is used from one.

    An installed package keeps them where the system keeps a user's data, never beside itself.
    """
    repository = package.resolve().parent
    if (repository / "notebooks").is_dir() and (repository / "pyproject.toml").is_file():
        return repository / kind
    return user_data_path("mnist-helpers", appauthor=False) / kind


@contextmanager
def complete_file(path: Path) -> Iterator[BinaryIO]:
    """A file to write into that gets its name when all is written and would outlast a power cut, not before.

    When the `with` block ends with an error, an older file at `path` stays as it was. Two programs may write the same
    file at the same time: one of the two is there afterwards, whole. An OSError, of a full disk say, names the file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, unfinished = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name}.", suffix=".unfinished")
    try:
        with os.fdopen(handle, "wb") as file:  # it has no name, which gzip would write into the packed file
            yield file
            file.flush()
            os.fsync(file.fileno())
        Path(unfinished).chmod(0o644)
        Path(unfinished).replace(path)
    except OSError as error:
        error.filename = error.filename or str(path)
        raise
    finally:
        Path(unfinished).unlink(missing_ok=True)
    if os.name == "posix":  # there the new name, too, must be brought to the disk
        folder = os.open(path.parent, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)
