"""Where the user's files lie, and that they are written complete or not at all."""

import subprocess
import sys
from pathlib import Path

import pytest
from platformdirs import user_data_path

from mnist_helpers.files import complete_file, user_folder

WRITER = """
import sys
from pathlib import Path
from mnist_helpers.files import complete_file
for _ in range(100):
    with complete_file(Path(sys.argv[1])) as file:
        for _ in range(50):
            file.write(sys.argv[2].encode() * 1000)
"""


def test_in_the_repository_files_lie_in_it():
    root = Path(__file__).resolve().parent.parent
    assert user_folder("data") == root / "data" and user_folder("runs") == root / "runs"


def test_an_installed_package_keeps_files_out_of_its_environment(tmp_path):
    package = tmp_path / "lib" / "site-packages" / "mnist_helpers"
    package.mkdir(parents=True)
    assert user_folder("runs", package) == user_data_path("mnist-helpers", appauthor=False) / "runs"
    assert tmp_path not in user_folder("data", package).parents


def test_the_file_is_there_when_it_is_complete(tmp_path):
    path = tmp_path / "new" / "file"
    with complete_file(path) as file:
        file.write(b"all")
        assert not path.exists()
    assert path.read_bytes() == b"all" and list(path.parent.iterdir()) == [path]


def test_an_error_leaves_the_older_file_and_no_other(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt), complete_file(path) as file:
        file.write(b"half")
        raise KeyboardInterrupt
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


def test_two_processes_leave_one_whole_file(tmp_path):
    path = tmp_path / "file"
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, path, letter]) for letter in "ab"]
    assert [writer.wait(timeout=120) for writer in writers] == [0, 0]
    content = path.read_bytes()
    assert len(content) == 50_000 and len(set(content)) == 1 and list(tmp_path.iterdir()) == [path]
