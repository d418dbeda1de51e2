"""The package as it is installed elsewhere: what the wheel holds, and lessons that run with it, far from the sources.

The wheel is installed into an environment of its own. That environment takes the other packages from the one that runs
the tests, but not this repository, even where it is installed from it ("editable").
"""

import importlib.metadata
import importlib.util
import json
import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpecManager
from nbclient import NotebookClient

import mnist_helpers
from benchmarks.first_figure import up_to_first_figure
from lessons import PATHS, read, text_outputs

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[2]
PYTHON = "Scripts/python.exe" if os.name == "nt" else "bin/python"
WHERE = """
import importlib.metadata, json, mnist_helpers, mnist_helpers_server
from mnist_helpers.files import user_folder
print(json.dumps({"package": mnist_helpers.__file__, "server": mnist_helpers_server.__file__,
                  "version": importlib.metadata.version("mnist-helpers"),
                  "data": str(user_folder("data")), "runs": str(user_folder("runs"))}))
"""


def run(*command, cwd):
    """What the command prints; when it fails, the test says why."""
    done = subprocess.run([*map(str, command)], cwd=cwd, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def settings():
    """What pyproject.toml says of the wheel."""
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return pyproject["tool"]["hatch"]["build"]["targets"]["wheel"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built from the repository without a connection."""
    if not importlib.util.find_spec("hatchling"):
        pytest.skip('hatchling, which builds the wheel, is not installed; it comes with the extra "tests"')
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder, cwd=ROOT)
    (path,) = folder.iterdir()
    return path


@pytest.fixture(scope="module")
def elsewhere(wheel, tmp_path_factory):
    """Where the wheel is installed: the environment's `prefix` and its `python`."""
    if not importlib.util.find_spec("pip") or int(importlib.metadata.version("pip").split(".")[0]) < 23:
        pytest.skip("pip 23 or newer, which installs into another environment, is not here")
    prefix = tmp_path_factory.mktemp("elsewhere").resolve() / "env"
    venv.create(prefix, with_pip=False, symlinks=os.name != "nt")
    python = prefix / PYTHON
    run(sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", wheel, cwd=prefix)
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=prefix).strip())
    others = [folder for folder in sys.path if Path(folder).name in ("site-packages", "dist-packages")]
    # Folders named in a .pth file come last on the path, and the .pth files in them are not read.
    (site / "others.pth").write_text("\n".join(others), encoding="utf-8")
    return SimpleNamespace(prefix=prefix, python=python)


@pytest.fixture
def abroad(tmp_path, monkeypatch):
    """An empty folder to work in; nothing in the environment variables leads to the repository or the user's files."""
    for name in ("PYTHONPATH", "PYTHONHOME", "MNIST_DATA_DIR", "MNIST_RUNS_DIR", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for proxy in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(proxy, "http://127.0.0.1:9")  # nobody listens there
    folder = tmp_path / "empty"
    folder.mkdir()
    return folder


def test_the_wheel_holds_the_files_of_the_package_and_no_others(wheel):
    try:
        listed = run("git", "ls-files", "--cached", "--others", "--exclude-standard", "mnist_helpers", cwd=ROOT)
    except (FileNotFoundError, AssertionError):
        pytest.skip("this folder is no git repository, or git is not installed")
    here = {name for name in listed.splitlines() if (ROOT / name).is_file()}
    moved = settings()["force-include"]  # a module that lies in the package and is installed beside it
    assert here >= set(moved)
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".data/" not in name and ".dist-info/" not in name}
    assert packed == here - set(moved) | set(moved.values())


def test_the_wheel_carries_the_version_of_the_package(wheel):
    assert wheel.name.startswith(f"mnist_helpers-{mnist_helpers.__version__}-")


def test_installed_elsewhere_nothing_leads_back_to_the_repository(elsewhere, abroad):
    found = json.loads(run(elsewhere.python, "-c", WHERE, cwd=abroad))
    assert found.pop("version") == mnist_helpers.__version__
    assert elsewhere.prefix in Path(found["package"]).parents and elsewhere.prefix in Path(found["server"]).parents
    for kind in ("data", "runs"):
        assert not {elsewhere.prefix, ROOT} & set(Path(found[kind]).parents), "the user's files lie apart"


def test_installing_it_brings_the_extensions_of_jupyterlab(elsewhere):
    targets = settings()["shared-data"].values()
    assert [target for target in targets if not (elsewhere.prefix / target).exists()] == []


@pytest.mark.parametrize("lesson", ["05_predictions", "06_regularization_lab"])
def test_a_lesson_runs_with_it_from_an_empty_folder(elsewhere, abroad, monkeypatch, lesson):
    """On the sample, up to the first figure; these two open the shipped run and the ledger."""
    monkeypatch.setenv("MNIST_DATA_DIR", "sample")
    monkeypatch.setenv("MNIST_RUNS_DIR", str(abroad.parent / "runs"))
    specification = {
        "argv": [str(elsewhere.python), "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        "display_name": "elsewhere",
        "language": "python",
    }
    (abroad.parent / "kernels" / "elsewhere").mkdir(parents=True)
    (abroad.parent / "kernels" / "elsewhere" / "kernel.json").write_text(json.dumps(specification), encoding="utf-8")
    kernels = KernelSpecManager(kernel_dirs=[str(abroad.parent / "kernels")])
    notebook = up_to_first_figure(read(next(path for path in PATHS if path.stem == lesson)))
    last = "import mnist_helpers\nprint('imported from', mnist_helpers.__file__)"
    notebook.cells.append(nbformat.v4.new_code_cell(last))
    client = NotebookClient(
        notebook,
        timeout=300,
        km=AsyncKernelManager(kernel_name="elsewhere", kernel_spec_manager=kernels),
        resources={"metadata": {"path": str(abroad)}},
    )
    client.execute()
    printed = text_outputs(notebook)
    assert "MNIST sample: 3,000 training, 1,000 validation and 1,000 test images" in printed
    assert f"imported from {elsewhere.prefix}" in printed
    assert list(abroad.iterdir()) == [], "a lesson leaves nothing in the folder where it runs"
