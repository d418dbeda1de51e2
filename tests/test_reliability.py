"""Faults that are really done to runs, lessons, panels and the server. The README's table names the tests of faults."""

import os
import random
import time
from functools import partial

import pytest
import torch
from torch.utils.data import TensorDataset

from faults import LINUX, POSIX, little_memory, no_rights, no_room, open_folder, started
from mnist_helpers.labs.ledger import write_ledger
from mnist_helpers.predictions import predict
from mnist_helpers.runs import load_or_train, load_run, save_run, train_run
from panels import equal_weights
from small_ledger import made_ledger

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
    runs, moments, there, outcomes = (
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
        process, _ = started(partial(save, runs[1 - there]))
        os.read(begun, 1)
        time.sleep(moments.uniform(0, 0.03))
        process.kill()
        process.join(60)
        model = load_run(path, small).model
        (now,) = [number for number, run in enumerate(runs) if equal_weights(model, run.model)]
        outcomes.append("newer" if now != there else "older")
        there = now
    assert set(outcomes) == {"older", "newer"}
    assert list(tmp_path.glob("*.unfinished")), "none was killed while it wrote"


# ---------------------------------------------------------------- memory


@LINUX
def test_batches_too_large_for_the_memory_are_named_and_smaller_ones_work(model):
    many = TensorDataset(torch.zeros(60_000, 1, 28, 28), torch.zeros(60_000, dtype=torch.int64))
    with pytest.raises(MemoryError, match="no memory for batches of 60,000 images: make them smaller"):
        little_memory(lambda: len(predict(model, many, 60_000)), 120_000_000)
    few = TensorDataset(*many[:1000])
    assert little_memory(lambda: len(predict(model, few, 1000)), 120_000_000) == 1000
