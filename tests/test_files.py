"""Where the user's files lie, and that they are written complete or not at all."""

from pathlib import Path

import pytest
from platformdirs import user_data_path

from mnist_helpers.data import DATA_DIR
from mnist_helpers.files import complete_file, user_folder
from mnist_helpers.runs import runs_dir


def test_in_the_repository_files_lie_in_it(monkeypatch):
    root = Path(__file__).resolve().parent.parent
    monkeypatch.delenv("MNIST_RUNS_DIR")
    assert user_folder("data") == DATA_DIR == root / "data" and user_folder("runs") == runs_dir() == root / "runs"


def test_an_installed_package_keeps_files_in_the_user_s_folder(tmp_path):
    package = tmp_path / "lib" / "site-packages" / "mnist_helpers"
    package.mkdir(parents=True)
    for kind in ("data", "runs"):
        assert user_folder(kind, package) == user_data_path("mnist-helpers", appauthor=False) / kind


def test_the_file_is_there_for_all_to_read_when_it_is_complete(tmp_path):
    path = tmp_path / "new" / "file"
    with complete_file(path) as file:
        file.write(b"all")
        assert not path.exists()
    assert path.read_bytes() == b"all" and list(path.parent.iterdir()) == [path]
    assert path.stat().st_mode & 0o444 == 0o444


def test_an_error_leaves_the_older_file_and_no_other(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt), complete_file(path) as file:
        file.write(b"half")
        raise KeyboardInterrupt
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


def test_two_who_write_at_once_leave_one_whole_file(tmp_path):
    path = tmp_path / "file"
    with complete_file(path) as first:
        first.write(b"a" * 50_000)
        with complete_file(path) as second:
            second.write(b"b" * 50_000)
            first.write(b"a" * 50_000)
        assert path.read_bytes() == b"b" * 50_000
    assert path.read_bytes() == b"a" * 100_000 and list(tmp_path.iterdir()) == [path]
