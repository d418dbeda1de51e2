"""Faults that are really done to runs, lessons, panels and the server. The README's table names the tests of faults."""

import ast
import asyncio
import dataclasses
import json
import os
import random
import re
import shlex
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import matplotlib.pyplot as plt
import psutil
import pytest
import torch
from IPython.core.interactiveshell import InteractiveShell
from jupyter_client.manager import start_new_kernel
from torch.utils.data import TensorDataset

import mnist_helpers
from faults import LINUX, POSIX, forked, little_memory, no_rights, no_room, open_folder, started
from lessons import PATHS, code_cells, read
from mnist_helpers import data, live, runs
from mnist_helpers.data import make_loader
from mnist_helpers.labs.ledger import write_ledger
from mnist_helpers.predictions import predict
from mnist_helpers.runs import load_or_train, load_run, save_run, train_run
from mnist_helpers.widgets.panel import Panel
from panels import choices, equal_weights, problem_of, state_of
from small_ledger import made_ledger

ROOT = Path(__file__).resolve().parents[2]

# ---------------------------------------------------------------- runs and the ledger on the disk


@POSIX
@pytest.mark.parametrize("fault", [no_room, no_rights])
def test_on_a_full_disk_or_in_a_read_only_folder_the_older_run_and_ledger_stay(fault, trained, small):
    older, newer = made_ledger({}), made_ledger({}, {"dropout": 0.5}, seeds=40)
    with open_folder() as folder:
        path = save_run(folder / "run.pt", trained, small)
        write_ledger(older, folder)
        before = {each.name: each.read_bytes() for each in folder.iterdir()}
        folder.chmod(0o555 if fault is no_rights else 0o755)
        for write in (lambda: save_run(path, trained, small), lambda: write_ledger(newer, folder)):
            with pytest.raises(OSError, match=f"(Permission denied|too large).*{folder}"):
                fault(write)
        assert {each.name: each.read_bytes() for each in folder.iterdir()} == before


@POSIX
@pytest.mark.parametrize("fault", [no_room, no_rights])
def test_a_run_that_cannot_be_kept_is_there_all_the_same(fault, small, monkeypatch, capfd):
    with open_folder() as folder:
        folder.chmod(0o555 if fault is no_rights else 0o755)
        monkeypatch.setenv("MNIST_RUNS_DIR", str(folder))
        epochs = fault(lambda: len(load_or_train("own", small, epochs=1, progress=False).history))
        assert epochs == 1 and list(folder.iterdir()) == []
    assert f"could not be kept for the next time: [Errno {27 if fault is no_room else 13}]" in capfd.readouterr().out


@POSIX
def test_a_process_killed_50_times_while_it_saves_leaves_the_older_or_the_newer_run_whole(trained, small, tmp_path):
    both, moments, there, outcomes = (
        [trained, train_run(small, seed=1, epochs=1, progress=False)],
        random.Random(0),
        0,
        [],
    )
    path = tmp_path / "run.pt"
    save_run(path, trained, small)
    begun, begin = os.pipe()

    def save(run):
        os.write(begin, b".")
        save_run(path, run, small)

    for _ in range(50):
        process, _ = started(partial(save, both[1 - there]))
        os.read(begun, 1)
        time.sleep(moments.uniform(0, 0.03))
        process.kill()
        process.join(60)
        model = load_run(path, small).model
        (now,) = [number for number, run in enumerate(both) if equal_weights(model, run.model)]
        outcomes.append("newer" if now != there else "older")
        there = now
    assert set(outcomes) == {"older", "newer"}
    assert list(tmp_path.glob("*.unfinished")), "none was killed while it wrote"


# ---------------------------------------------------------------- memory


@LINUX
def test_batches_too_large_for_the_memory_are_named_and_smaller_ones_work(small, model):
    many = TensorDataset(torch.zeros(60_000, 1, 28, 28), torch.zeros(60_000, dtype=torch.int64))
    large = dataclasses.replace(small, train=many)
    settings = {"epochs": 1, "progress": False, "on_epoch_end": lambda _: True}
    predicted, trained = (
        lambda size: len(predict(model, many, batch_size=size)),
        lambda size: len(train_run(large, batch_size=size, **settings).history),
    )
    for work in (predicted, trained):
        with pytest.raises(MemoryError, match="no memory for batches of 60,000 images: make them smaller"):
            little_memory(partial(work, 60_000), 120_000_000)
    assert little_memory(partial(trained, 1000), 120_000_000) == 1


# ---------------------------------------------------------------- lessons


def ended_early(dataset, *args, **options):
    """A loader that reads the first 32 images only, so that a training takes next to no time."""
    short = TensorDataset(*dataset[:32]) if isinstance(dataset, TensorDataset) else dataset
    return make_loader(short, *args, **options)


async def run_cells(shell, cells):
    """Run cells as a kernel does; the error of each, None where there is none."""
    errors = []
    for cell in cells:
        done = await shell.run_cell_async(cell, transformed_cell=shell.transform_cell(cell))
        errors.append(done.error_before_exec or done.error_in_exec)
        plt.close("all")
    return errors


def panels_of(shell):
    """What the panels of the lesson's variables show, each after all of its controls were moved there and back."""
    panels = [value for name, value in shell.user_ns.items() if isinstance(value, Panel) and name[0] != "_"]
    for panel in panels:
        for control in panel.controls.values():
            before = control.value
            for value in choices(control)[-1], before:
                control.value = value
                assert problem_of(panel) == ""
    return {id(panel): state_of(panel) for panel in panels}


async def mistreated(cells):
    """Run the cells of a lesson in a random order, then each twice, then overwrite all of its variables."""
    shell = InteractiveShell.instance()
    shuffled = random.Random(0).sample(cells, len(cells))
    errors = await run_cells(shell, shuffled)
    assert {type(error) for error in errors} <= {type(None), NameError, TypeError}, "not only what is not there yet"
    errors = await run_cells(shell, [cell for cell in cells for _ in range(2)])
    assert [error for error in errors if error] == []
    before = panels_of(shell)
    assert before, "no panel"
    for name, value in shell.user_ns.items():
        if not isinstance(value, Panel):
            shell.user_ns[name] = "overwritten"
    assert panels_of(shell) == before


@POSIX
@pytest.mark.parametrize("path", [path for path in PATHS if path.stem < "06"], ids=lambda path: path.stem)
def test_a_lesson_run_in_any_order_and_twice_recovers_and_its_panels_need_no_variable(
    path, sample, monkeypatch, tmp_path
):
    monkeypatch.setenv("MNIST_RUNS_DIR", str(tmp_path))
    monkeypatch.setenv("MNIST_DATA_DIR", "sample")
    monkeypatch.chdir(path.parent)
    monkeypatch.setattr(data, "load_sample", lambda note: sample)
    for module in (mnist_helpers, runs, live):
        monkeypatch.setattr(module, "make_loader", ended_early)
    forked(lambda: asyncio.run(mistreated([cell.source for cell in code_cells(read(path))])), 300)


# ---------------------------------------------------------------- the kernel and the server

SETUP = """
import mnist_helpers as mh
from mnist_helpers.widgets import training_lab
data = mh.load_mnist("sample")
lab = training_lab(data)
"""


@pytest.fixture(scope="module")
def kernel(tmp_path_factory):
    """A kernel; `tell` runs code in it and returns how that ended and the value of an expression after it."""
    manager, client = start_new_kernel(kernel_name="python3", cwd=tmp_path_factory.mktemp("kernel"))

    def tell(code, expression="None"):
        request = {"user_expressions": {"value": expression}, "output_hook": lambda _: None, "timeout": 120}
        answer = client.execute_interactive(code, **request)["content"]
        value = answer.get("user_expressions", {}).get("value", {}).get("data", {})
        return answer["status"], ast.literal_eval(value["text/plain"]) if value else answer["ename"]

    yield SimpleNamespace(manager=manager, client=client, tell=tell)
    client.stop_channels()
    manager.shutdown_kernel(now=True)


def interrupted(kernel, code, sign):
    """Run code in the kernel and interrupt it when it has written the file `sign`."""
    done = threading.Event()

    def interrupt():
        while not (sign.exists() or done.wait(0.05)):
            pass
        kernel.manager.interrupt_kernel()

    thread = threading.Thread(target=interrupt)
    thread.start()
    outcome = kernel.tell(code.replace("SIGN", f"open({str(sign)!r}, 'w').close()"))
    done.set()
    thread.join()
    return outcome


def test_an_interrupted_training_stops_and_keeps_what_is_there(kernel, tmp_path):
    kernel.tell(SETUP)
    code = "history = mh.train_run(data, epochs=1000, progress=False, on_epoch_end=lambda _: SIGN).history"
    assert interrupted(kernel, code, tmp_path / "fit") == ("ok", None)
    assert kernel.tell("", "len(history) == len(history.to_frame()) > 0") == ("ok", True)
    code = "lab.picture.observe(lambda change: SIGN, 'value')\nawait lab.train(train_size=3000)"
    assert interrupted(kernel, code, tmp_path / "lab") == ("error", "CancelledError")
    assert kernel.tell("", "lab.running, [run.stopped for run in lab.runs]") == ("ok", (False, [True]))


def test_a_kernel_restarted_while_a_panel_trains_starts_afresh(kernel):
    assert kernel.tell(SETUP + "lab.start()", "lab.running") == ("ok", True)
    kernel.manager.restart_kernel()
    kernel.client.wait_for_ready(timeout=60)
    assert kernel.tell("", "'lab' in globals()") == ("ok", False)
    assert kernel.tell(SETUP + "await lab.train(train_size=500)", "lab.running, len(lab.runs)") == ("ok", (False, 1))


def listening(process):
    """The addresses at which a process and its children listen."""
    every = [process, *process.children(recursive=True)]
    return {place.laddr for each in every for place in each.net_connections("inet") if place.status == "LISTEN"}


def until(good, read, seconds=60):
    """Read again and again; returns what was read when it is good."""
    end = time.monotonic() + seconds
    while not good(value := read()):
        assert time.monotonic() < end, f"still so after {seconds} s: {value}"
        time.sleep(0.1)
    return value


def answer_of(url):
    """The status with which a server answers; 0 where none does."""
    try:
        with urllib.request.urlopen(url, timeout=20) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0  # not yet


def test_jupyterlab_as_the_readme_starts_it_listens_on_this_computer_only_and_asks_for_its_token(tmp_path):
    (line,) = re.findall(r"(?m)^python3 .*&& \.venv/bin/(jupyter lab .*)$", (ROOT / "README.md").read_text("utf-8"))
    (tmp_path / "home").mkdir()
    places = {"HOME": "home", "JUPYTER_CONFIG_DIR": "config", "JUPYTER_DATA_DIR": "data", "JUPYTER_RUNTIME_DIR": "run"}
    environment = os.environ | {name: str(tmp_path / place) for name, place in places.items()} | {"BROWSER": "true"}
    command = [sys.executable, "-m", "jupyterlab", *shlex.split(line)[2:]]
    with (
        (tmp_path / "log").open("w") as log,
        subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=log) as lab,
    ):
        try:
            (found,) = until(list, lambda: list(tmp_path.glob("run/jpserver-*.json")))
            server = until(bool, lambda: json.loads(found.read_text() or "{}"))
            address = server["url"].replace("localhost", "127.0.0.1") + "api/contents"
            assert until(bool, lambda: answer_of(address)) == 403 and answer_of(f"{address}?token=guess") == 403
            assert len(server["token"]) >= 40 and answer_of(f"{address}?token={server['token']}") == 200
            assert {place.ip for place in listening(psutil.Process(lab.pid))} <= {"127.0.0.1", "::1"} != set()
            assert server["port"] in {place.port for place in listening(psutil.Process(lab.pid))}
        finally:
            lab.terminate()
