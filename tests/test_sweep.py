"""The runs of the ledger and the command that trains them."""

import contextlib
import dataclasses
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from mnist_helpers import runs, training
from mnist_helpers.data import make_loader
from mnist_helpers.labs.ledger import COLUMNS, gather, read_table
from mnist_helpers.labs.sweep import __main__ as program
from mnist_helpers.labs.sweep import grid, sweep, work
from mnist_helpers.labs.sweep.__main__ import main
from mnist_helpers.labs.sweep.grid import Setting
from mnist_helpers.labs.sweep.work import RunFailedError, train_setting
from mnist_helpers.model import count_parameters
from mnist_helpers.predictions import predict
from mnist_helpers.training import DivergedError, evaluate

ROOT = Path(__file__).resolve().parent.parent
WAIT = 300  # seconds after which a test gives up; far more than needed, as other programs may keep the machine busy
QUICK = [Setting(train_size=200, epochs=1, seed=seed) for seed in range(3)]
SLOW = [Setting(train_size=500, epochs=10, seed=seed) for seed in range(6)]  # slow enough to be stopped in the middle
COMMAND = """
from mnist_helpers.labs.sweep import Setting, __main__ as program
program.grid = lambda: [Setting(train_size=500, epochs={epochs}, seed=seed) for seed in range(6)]
raise SystemExit(program.main(["--data", "sample", *{options}]))
"""


def without_seconds(table):
    """The table without the only column that differs between equal runs."""
    return table.drop(columns="seconds")


def names(settings):
    """The names of these runs' files."""
    return {setting.name for setting in settings}


def finished(folder):
    """The names of the runs that are in the folder."""
    return {path.name for path in folder.glob("*.csv")}


def wait_for(condition):
    """Return as soon as `condition()` holds."""
    deadline = time.monotonic() + WAIT
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.02)


@pytest.fixture
def folder(tmp_path):
    """Where the runs of one test go."""
    return tmp_path / "runs"


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The runs SLOW as one sweep makes them, one run after the other."""
    folder = tmp_path_factory.mktemp("alone")
    sweep(SLOW, folder, root="sample", jobs=1)
    return gather(folder)


# ---------------------------------------------------------------- the grid


@pytest.fixture(scope="module")
def seeds():
    """The seeds of the grid by everything else of a setting."""
    found = {}
    for setting in grid():
        found.setdefault(dataclasses.replace(setting, seed=0), set()).add(setting.seed)
    return found


@pytest.mark.parametrize("size, epochs", [(500, 100), (2000, 60), (10_000, 40), (48_000, 10)])
def test_the_grid_holds_each_point_at_each_size(seeds, size, epochs):
    for dropout, decay in itertools.product((0.0, 0.1, 0.2, 0.3, 0.5, 0.7), (0.0, 1e-5, 1e-4, 1e-3)):
        corner = dropout in (0.0, 0.2) and decay in (0.0, 1e-4)
        assert seeds[Setting(dropout, decay, size, epochs)] >= set(range(10 if corner else 3)), (dropout, decay)


@pytest.mark.parametrize("change", [{"pixels": "standardized"}, {"optimizer": "AdamW"}], ids=str)
def test_the_grid_varies_pixels_and_optimizer_at_the_recipe(seeds, change):
    assert seeds[Setting(**change)] >= set(range(10))


def test_no_run_is_in_the_grid_twice():
    runs = grid()
    assert len(names(runs)) == len(set(runs)) == len(runs)


def test_a_setting_without_changes_is_the_recipe():
    assert Setting() == Setting(0.2, 1e-4, 48_000, 10, "scaled", "Adam", "MNISTNet", 0)


# ---------------------------------------------------------------- same seed, same split, weights and batches


@dataclasses.dataclass
class Received:
    """What a run trained on: its first weights, the labels of all its steps and of its validation images."""

    weights: torch.Tensor
    batches: list
    valid: torch.Tensor


def received(monkeypatch, data, **changes):
    """Train a short run with the recipe but for `changes`, and note what the training received."""
    weights, batches, valid = [], [], []
    fit, train_step = runs.fit, training.train_step

    def fit_spy(model, optimizer, train_loader, valid_loader, **options):
        weights.extend(parameter.detach().clone().flatten() for parameter in model.parameters())
        valid.append(valid_loader.dataset.tensors[1])
        return fit(model, optimizer, train_loader, valid_loader, **options)

    def step_spy(model, images, labels, optimizer):
        batches.append(labels.tolist())
        return train_step(model, images, labels, optimizer)

    with monkeypatch.context() as patch:
        patch.setattr(runs, "fit", fit_spy)
        patch.setattr(training, "train_step", step_spy)
        train_setting(Setting(**({"train_size": 200, "epochs": 2} | changes)), data)
    return Received(torch.cat(weights), batches, valid[0])


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(
    "change",
    [{"dropout": 0.0}, {"dropout": 0.7}, {"weight_decay": 0.0}, {"optimizer": "AdamW"}, {"pixels": "standardized"}],
    ids=str,
)
def test_runs_of_one_seed_differ_in_nothing_but_the_setting(monkeypatch, sample, change, seed):
    recipe, other = (received(monkeypatch, sample, seed=seed, **what) for what in ({}, change))
    assert torch.equal(recipe.weights, other.weights)
    assert recipe.batches == other.batches
    assert torch.equal(recipe.valid, other.valid)


def test_runs_of_one_seed_with_more_images_have_the_same_split_and_first_weights(monkeypatch, sample):
    few, more = (received(monkeypatch, sample, seed=1, train_size=size) for size in (200, 300))
    assert torch.equal(few.weights, more.weights) and torch.equal(few.valid, more.valid)


def test_runs_of_two_seeds_differ_in_split_weights_and_batches(monkeypatch, sample):
    one, two = (received(monkeypatch, sample, seed=seed) for seed in (1, 2))
    assert not torch.equal(one.weights, two.weights)
    assert one.batches != two.batches
    assert not torch.equal(one.valid, two.valid)


def test_the_order_of_the_batches_is_the_seeds_own_also_on_the_same_images(monkeypatch, sample):
    with monkeypatch.context() as patch:
        patch.setattr(type(sample), "with_split", lambda data, seed: data)
        one, two = (received(patch, sample, seed=seed) for seed in (1, 2))
    assert one.batches != two.batches


def test_seed_0_has_the_split_of_the_lessons(monkeypatch, sample):
    assert torch.equal(received(monkeypatch, sample).valid, sample.valid.tensors[1])


# ---------------------------------------------------------------- one run


@pytest.fixture(scope="module")
def twin(small):
    """A run of 2 epochs on 300 images as the lessons train it, and the rows of the ledger for the same run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runs, "pick_device", lambda: torch.device("cpu"))
        run = runs.train_run(small, epochs=2, progress=False)
    return run, train_setting(Setting(train_size=300, epochs=2), small)


def test_a_run_of_the_ledger_is_the_run_of_the_lessons_to_the_last_bit(twin):
    run, rows = twin
    for column, values in dataclasses.asdict(run.history).items():
        assert column == "seconds" or rows[column].tolist() == values


def test_the_columns_are_those_that_are_explained(twin):
    assert list(twin[1].columns) == list(COLUMNS)


def test_each_row_tells_the_setting_and_the_epoch(twin):
    setting = dataclasses.asdict(Setting(train_size=300, epochs=2))
    assert twin[1][list(setting)].to_dict("records") == [setting, setting]
    assert twin[1]["epoch"].tolist() == [1, 2]


def test_the_test_columns_are_those_of_the_trained_model(twin, small):
    run, rows = twin
    metrics = evaluate(run.model, make_loader(small.test, batch_size=100))
    assert rows["test_loss"].tolist() == pytest.approx([metrics.loss] * 2, rel=1e-5)
    assert rows["test_accuracy"].tolist() == pytest.approx([metrics.accuracy] * 2)


def test_the_calibration_error_is_the_mean_distance_of_confidence_and_accuracy(twin, small):
    run, rows = twin
    predictions = predict(run.model, small.test)
    confidence, correct = predictions.confidence.double().numpy(), predictions.correct.numpy()
    error = 0
    for low in np.arange(10) / 10:
        inside = (confidence > low) & (confidence <= low + 0.1)
        error += abs(correct[inside].sum() - confidence[inside].sum()) / len(correct)
    assert rows["test_calibration_error"].tolist() == pytest.approx([error] * 2, abs=1e-5)


def test_the_norms_are_those_of_the_trained_weights(twin):
    run, rows = twin
    layers = [layer for layer in run.model.modules() if isinstance(layer, torch.nn.Linear)]
    for number, layer in enumerate(layers, start=1):
        norm = np.sqrt((layer.weight.detach().double().numpy() ** 2).sum())
        assert rows[f"weight_norm_{number}"].tolist() == pytest.approx([norm] * 2, rel=1e-5)


def test_standardized_pixels_have_mean_0_and_deviation_1_over_the_training_images(small):
    pixels = work.standardized(small).train.tensors[0]
    assert pixels.mean().item() == pytest.approx(0, abs=1e-5) and pixels.std().item() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("part", ["valid", "test"])
def test_all_images_are_standardized_alike(small, part):
    mean, deviation = small.train.tensors[0].mean(), small.train.tensors[0].std()
    before, after = getattr(small, part).tensors, getattr(work.standardized(small), part).tensors
    assert torch.allclose(after[0] * deviation + mean, before[0], atol=1e-5)
    assert torch.equal(after[1], before[1])


def test_the_pixels_and_the_optimizer_of_a_setting_are_used(small):
    losses = [
        train_setting(Setting(train_size=300, epochs=1, weight_decay=0.1, **change), small)["valid_loss"][0]
        for change in ({}, {"pixels": "standardized"}, {"optimizer": "AdamW"}, {"network": "wide"})
    ]
    assert len(set(losses)) == 4


def test_the_wide_network_has_two_hidden_layers_of_1024():
    assert count_parameters(work.wide_net(0.5)) == 785 * 1024 + 1025 * 1024 + 1025 * 10


def test_two_threads_of_one_worker_do_not_share_random_numbers(small, monkeypatch):
    monkeypatch.setattr(work, "load_once", lambda root: (small, "these"))
    wanted = [Setting(dropout=0.5, train_size=300, epochs=3, seed=seed) for seed in (0, 1, 2, 3)]
    one_by_one = [without_seconds(train_setting(setting, small)) for setting in wanted]
    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(lambda setting: work.work_on(setting, None, "these")[1], wanted))
    for expected, rows in zip(one_by_one, together):
        pd.testing.assert_frame_equal(without_seconds(rows), expected, check_exact=True)


def test_a_worker_with_other_images_says_so(small, monkeypatch):
    monkeypatch.setattr(work, "load_once", lambda root: (small, "other"))
    error = work.work_on(QUICK[0], None, "these")[1]
    assert isinstance(error, ValueError) and str(small) in str(error) and "MNIST_DATA_DIR" in str(error)


# ---------------------------------------------------------------- a sweep


def test_a_sweep_writes_one_file_a_run(folder, sample):
    sweep(QUICK, folder, root="sample", jobs=1)
    assert finished(folder) == names(QUICK)
    for setting in QUICK:
        pd.testing.assert_frame_equal(
            without_seconds(read_table(folder / setting.name)),
            without_seconds(train_setting(setting, sample)),
            check_dtype=False,
            rtol=1e-5,
        )


def test_a_sweep_shows_how_far_it_is_and_the_time_left(folder, capsys):
    sweep(QUICK[:2], folder, root="sample", jobs=1)
    sweep(QUICK, folder, root="sample", jobs=1)
    output = capsys.readouterr()
    assert (
        f"MNIST sample: 3,000 training, 1,000 validation and 1,000 test images (asked for)\n2 of 3 runs are in "
        f"{folder}, 1 to train." in output.out
    )
    assert "  0.0 %" in output.err and "100.0 %" in output.err and "so far, about 00:00 left" in output.err


def test_a_sweep_trains_what_is_missing_and_nothing_else(folder, monkeypatch):
    sweep(QUICK, folder, root="sample", jobs=1)
    (folder / QUICK[1].name).unlink()
    trained = []
    monkeypatch.setattr(work, "train_setting", lambda setting, data: trained.append(setting) or train_setting(setting, data)
    )
    sweep(QUICK, folder, root="sample", jobs=1)
    sweep(QUICK, folder, root="sample", jobs=1)
    assert trained == [QUICK[1]] and finished(folder) == names(QUICK)


def test_a_run_that_another_sweep_finished_meanwhile_is_not_trained(folder, monkeypatch):
    trained = []

    def train(setting, data):
        trained.append(setting)
        (folder / QUICK[2].name).touch()
        return train_setting(setting, data)

    monkeypatch.setattr(work, "train_setting", train)
    sweep(QUICK, folder, root="sample", jobs=1)
    assert trained == QUICK[:2]


def test_a_folder_with_runs_on_other_images_is_refused(folder, small, monkeypatch):
    sweep(QUICK[:1], folder, root="sample", jobs=1)
    monkeypatch.setattr(work, "load_once", lambda root: (small, small.fingerprint()))
    with pytest.raises(ValueError, match="Name another folder") as caught:
        sweep(QUICK, folder, jobs=1)
    assert "3,000 training" in str(caught.value) and str(small) in str(caught.value)
    assert finished(folder) == names(QUICK[:1])


def test_more_training_images_than_there_are_are_refused_before_the_folder_is_made(folder):
    with pytest.raises(ValueError, match="3,001 training images.*3,000 training.*MNIST_DATA_DIR"):
        sweep([*QUICK, Setting(train_size=3001)], folder, root="sample")
    assert not folder.exists()


@pytest.mark.parametrize("jobs", [0, -2])
def test_a_number_of_jobs_that_cannot_be_is_refused(folder, jobs):
    with pytest.raises(ValueError, match=f"from 1 up, or -1 .*got {jobs}"):
        sweep(QUICK, folder, root="sample", jobs=jobs)


def test_a_run_that_was_interrupted_is_not_kept(folder, monkeypatch):
    fit = runs.fit
    monkeypatch.setattr(runs, "fit", lambda *args, **options: fit(*args, **options, on_epoch_end=lambda _: True))
    with pytest.raises(KeyboardInterrupt):
        sweep([*QUICK, Setting(train_size=200, epochs=2)], folder, root="sample", jobs=1)
    assert finished(folder) == names(QUICK)


def test_an_error_in_one_run_names_it_and_keeps_the_finished_ones(folder, monkeypatch):
    def train(setting, data):
        if setting == QUICK[1]:
            raise DivergedError("the loss became nan at step 3")
        return train_setting(setting, data)

    with monkeypatch.context() as patch:
        patch.setattr(work, "train_setting", train)
        with pytest.raises(RunFailedError, match=f"the run {QUICK[1].name} failed: the loss became nan at step 3"):
            sweep(QUICK, folder, root="sample", jobs=1)
    assert finished(folder) == names(QUICK[:1])


def test_an_error_in_another_process_keeps_the_finished_runs(folder, alone):
    wrong = Setting(dropout=2.0, train_size=500, epochs=1)
    with pytest.raises(RunFailedError, match=f"{wrong.name} failed: .*2.0"):
        sweep([*SLOW[:2], wrong], folder, root="sample", jobs=2)
    kept = gather(folder)
    expected = alone[alone["seed"].isin(kept["seed"])].reset_index(drop=True)
    pd.testing.assert_frame_equal(without_seconds(kept), without_seconds(expected), check_exact=True)


def test_lost_workers_are_reported(folder, monkeypatch):
    monkeypatch.setattr(work, "workers", lambda *_: contextlib.nullcontext(lambda tasks: iter(())))
    with pytest.raises(ConnectionError, match="3 runs still to train"):
        sweep(QUICK, folder, root="sample", jobs=1)


# ---------------------------------------------------------------- the command


def wanted_by(monkeypatch, tmp_path, *options):
    """The runs that the command asks for with these options."""
    asked = []
    with monkeypatch.context() as patch:
        patch.setattr(program, "sweep", lambda wanted, folder, **_: asked.extend(wanted))
        main(["--folder", str(tmp_path), *options])
    return asked


def test_without_options_the_command_trains_the_grid(monkeypatch, tmp_path):
    assert wanted_by(monkeypatch, tmp_path) == grid()


def test_the_command_trains_some_sizes_only(monkeypatch, tmp_path):
    asked = wanted_by(monkeypatch, tmp_path, "--train-sizes", "500", "2000")
    assert asked == [setting for setting in grid() if setting.train_size <= 2000]


def test_the_command_trains_some_seeds_only(monkeypatch, tmp_path):
    asked = wanted_by(monkeypatch, tmp_path, "--seeds", "2")
    assert asked == [setting for setting in grid() if setting.seed in (0, 1)]


@pytest.mark.parametrize(
    "options, message",
    [
        (["--train-sizes", "700"], "invalid choice: 700 (choose from"),
        (["--seeds", "0"], "invalid choice: 0 (choose from"),
        (["--seeds", "11"], "invalid choice: 11 (choose from"),
        (["--jobs", "two"], "invalid int value: 'two'"),
    ],
    ids=" ".join,
)
def test_the_command_refuses_values_that_cannot_be(capsys, options, message):
    with pytest.raises(SystemExit) as caught:
        main(options)
    assert caught.value.code == 2
    assert f"argument {options[0]}: {message}" in capsys.readouterr().err


def test_the_command_explains_itself(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    output = capsys.readouterr().out
    assert "every finished run is kept" in " ".join(output.split()) and "--scheduler" in output


def test_the_command_writes_the_ledger(tmp_path, folder, monkeypatch, capsys):
    monkeypatch.setattr(program, "grid", lambda: [Setting(train_size=500, epochs=1, seed=seed) for seed in (1, 0)])
    ledger = tmp_path / "ledger.csv.gz"
    assert main(["--data", "sample", "--jobs", "1", "--folder", str(folder), "--ledger", str(ledger)]) == 0
    assert f"All runs of {folder} are now in {ledger}." in capsys.readouterr().out
    assert read_table(ledger).equals(gather(folder)) and read_table(ledger)["seed"].tolist() == [0, 1]


def complaint(capsys, *options):
    """What the command says when it cannot do what it is asked to."""
    assert main(list(options)) == 1
    error = capsys.readouterr().err
    assert "Traceback" not in error
    return error.partition("Error: ")[2]


def test_the_command_says_that_the_images_are_missing(tmp_path, capsys):
    assert "there is no folder /nowhere" in complaint(capsys, "--data", "/nowhere", "--folder", str(tmp_path))


def test_the_command_says_that_the_sample_is_too_small(tmp_path, capsys):
    assert "48,000 training images" in complaint(capsys, "--data", "sample", "--folder", str(tmp_path))


def test_the_command_says_which_run_failed(folder, monkeypatch, capsys):
    wrong = Setting(train_size=500, weight_decay=-1.0, epochs=1)
    monkeypatch.setattr(program, "grid", lambda: [wrong])
    message = complaint(capsys, "--data", "sample", "--jobs", "1", "--folder", str(folder))
    assert wrong.name in message and "weight_decay" in message


# ---------------------------------------------------------------- stopped, killed, and two at a time


@contextlib.contextmanager
def command(folder, *options, epochs=10):
    """The command in processes of its own, on the sample and with few short runs; none of them outlives the block."""
    options = [*options, "--folder", str(folder), "--ledger", str(folder / "ledger.csv.gz")]
    process = subprocess.Popen(
        [sys.executable, "-c", COMMAND.format(options=options, epochs=epochs)],
        cwd=ROOT,
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # who started the tests may ignore Ctrl+C
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=WAIT)


def test_after_kill_9_a_sweep_goes_on_from_the_finished_runs(folder, alone):
    with command(folder, "--jobs", "1") as process:
        wait_for(lambda: finished(folder) or process.poll() is not None)
        os.killpg(process.pid, signal.SIGKILL)
    kept = {name: (folder / name).read_bytes() for name in finished(folder)}
    assert 0 < len(kept) < len(SLOW)
    sweep(SLOW, folder, root="sample", jobs=1)
    assert {name: (folder / name).read_bytes() for name in kept} == kept
    pd.testing.assert_frame_equal(without_seconds(gather(folder)), without_seconds(alone), check_exact=True)


def test_ctrl_c_keeps_the_finished_runs_and_writes_the_ledger(folder):
    with command(folder, "--jobs", "2") as process:
        wait_for(lambda: finished(folder) or process.poll() is not None)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        output, error = process.communicate(timeout=WAIT)
    assert process.returncode == 130
    assert "Stopped. The finished runs are kept; the same command goes on from there." in output
    assert "UserWarning" not in error
    assert 0 < len(finished(folder)) < len(SLOW)
    assert read_table(folder / "ledger.csv.gz").equals(gather(folder))


def test_ctrl_c_before_the_first_run_is_finished_says_so(folder):
    with command(folder, "--jobs", "1", epochs=10_000) as process:
        wait_for(lambda: (folder / "images.txt").exists() or process.poll() is not None)
        os.killpg(process.pid, signal.SIGINT)
        output, error = process.communicate(timeout=WAIT)
    assert process.returncode == 130
    assert "Stopped." in output and f"there is no run in {folder}" in error and "Traceback" not in error


def test_two_sweeps_into_one_folder_make_what_one_makes(folder, alone):
    with command(folder, "--jobs", "1") as first, command(folder, "--jobs", "1") as second:
        errors = [process.communicate(timeout=WAIT)[1] for process in (first, second)]
    assert (first.returncode, second.returncode) == (0, 0), errors
    pd.testing.assert_frame_equal(without_seconds(gather(folder)), without_seconds(alone), check_exact=True)
    assert read_table(folder / "ledger.csv.gz").equals(gather(folder))
    assert {path.name for path in folder.iterdir()} == names(SLOW) | {"images.txt", "ledger.csv.gz"}


# ---------------------------------------------------------------- on a cluster


@pytest.fixture
def cluster(tmp_path):
    """The address of a Dask scheduler, and its two worker processes by their names."""
    note, processes = tmp_path / "scheduler.json", []

    def start(*arguments):
        log = open(tmp_path / f"{len(processes)}.log", "wb")
        processes.append(
            subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    *arguments,
                    "--host",
                    "127.0.0.1",
                    "--no-dashboard",
                    "--scheduler-file",
                    str(note),
                ],
                cwd=ROOT,
                stdout=log,
                stderr=log,
            )
        )
        log.close()
        return processes[-1]

    try:
        start("distributed.cli.dask_scheduler", "--port", "0")
        workers = {
            name: start(
                "distributed.cli.dask_worker",
                "--nthreads",
                "1",
                "--no-nanny",
                "--name",
                name,
                "--local-directory",
                str(tmp_path),
            )
            for name in ("first", "second")
        }
        wait_for(note.exists)
        yield json.loads(note.read_text())["address"], workers
    finally:
        for process in processes:
            process.kill()
            process.wait(timeout=WAIT)


def kill_while_training(address, name, worker, folder, seen):
    """Once a run is finished: kill this worker while it has runs to train; note how many were finished then."""
    from distributed import Client

    with Client(address, set_as_default=False, timeout=WAIT) as client:
        client.wait_for_workers(2, timeout=WAIT)
        host = {info["name"]: host for host, info in client.scheduler_info()["workers"].items()}[name]
        wait_for(lambda: finished(folder) and client.processing()[host])
        worker.kill()
        seen.append(len(finished(folder)))


def test_a_killed_dask_worker_loses_no_run(folder, alone, cluster):
    address, workers = cluster
    seen = []
    killer = threading.Thread(target=kill_while_training, args=(address, "first", workers["first"], folder, seen))
    killer.start()
    sweep(SLOW, folder, root="sample", scheduler=address)
    killer.join(timeout=WAIT)
    assert workers["first"].wait(timeout=WAIT) == -signal.SIGKILL and 0 < seen[0] < len(SLOW)
    assert workers["second"].poll() is None
    pd.testing.assert_frame_equal(without_seconds(gather(folder)), without_seconds(alone), check_exact=True)


def closed_port():
    """A port at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@pytest.mark.parametrize(
    "address, message",
    [
        (f"tcp://127.0.0.1:{closed_port()}", "no Dask scheduler answered at tcp://127.0.0.1:"),
        ("phone://127.0.0.1:1", "phone"),
    ],
    ids=["nobody listens", "unknown scheme"],
)
def test_an_address_without_a_scheduler_is_given_up(folder, monkeypatch, capsys, address, message):
    monkeypatch.setattr(work, "PATIENCE", 1)
    monkeypatch.setattr(program, "grid", lambda: [dataclasses.replace(QUICK[0], train_size=500)])
    started = time.monotonic()
    assert message in complaint(capsys, "--data", "sample", "--folder", str(folder), "--scheduler", address)
    assert time.monotonic() - started < WAIT / 3


def test_without_the_package_distributed_the_extra_is_named(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ModuleNotFoundError, match=r"\[cluster\]"):
        sweep(QUICK, folder, root="sample", scheduler="tcp://127.0.0.1:8786")
