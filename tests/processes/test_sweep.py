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

import pandas as pd
import pytest
import torch

from mnist_helpers import runs, training
from mnist_helpers.data import make_loader
from mnist_helpers.labs import networks
from mnist_helpers.labs.ledger import COLUMNS, RECIPE, gather, load_ledger, read_table
from mnist_helpers.labs.sweep import RunFailedError, Setting, grid, sweep, train_setting, work
from mnist_helpers.labs.sweep import __main__ as program
from mnist_helpers.labs.sweep.__main__ import main
from mnist_helpers.predictions import expected_calibration_error, predict
from mnist_helpers.training import DivergedError, evaluate

ROOT = Path(__file__).resolve().parents[2]
WAIT = 300  # seconds after which a test gives up; far more than needed, as other programs may keep the machine busy
POSIX = pytest.mark.skipif(os.name == "nt", reason="stops programs by signals of POSIX")
QUICK = [Setting(train_size=200, epochs=1, seed=seed) for seed in range(3)]
SLOW = [Setting(train_size=500, epochs=10, seed=seed) for seed in range(6)]  # slow enough to be stopped in the middle
COMMAND = """
from mnist_helpers.labs.sweep import Setting, __main__ as program
program.grid = lambda: [Setting(train_size=500, epochs=10, seed=seed) for seed in range(6)]
raise SystemExit(program.main(["--data", "sample", *{options}]))
"""


def same_runs(one, other, **options):
    """Fails unless the tables are equal but for the seconds, the only column that differs between equal runs."""
    pd.testing.assert_frame_equal(one.drop(columns="seconds"), other.drop(columns="seconds"), **options)


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


@pytest.fixture
def trained(monkeypatch):
    """The settings that sweeps in this process train, as they come."""
    settings = []
    monkeypatch.setattr(
        work, "train_setting", lambda setting, data: settings.append(setting) or train_setting(setting, data)
    )
    return settings


# ---------------------------------------------------------------- the grid


def test_the_grid_holds_each_point_at_each_size_and_no_run_twice():
    settings = grid()
    assert len(names(settings)) == len(set(settings)) == len(settings)
    epochs = {500: 100, 2000: 60, 10_000: 40, 48_000: 10}
    for dropout, decay, size in itertools.product((0.0, 0.1, 0.2, 0.3, 0.5, 0.7), (0.0, 1e-5, 1e-4, 1e-3), epochs):
        many = 10 if dropout in (0.0, 0.2) and decay in (0.0, 1e-4) else 3
        assert set(settings) >= {
            Setting(dropout, decay, train_size=size, epochs=epochs[size], seed=seed) for seed in range(many)
        }
    others = ({"label_smoothing": 0.1}, {"network": "batch_norm"}, {"network": "shifted"})
    for size, change, seed in itertools.product((2000, 48_000), others, range(10)):
        assert Setting(0.0, train_size=size, epochs=epochs[size], seed=seed, **change) in settings
    for change in ({"pixels": "standardized"}, {"optimizer": "AdamW"}):
        assert set(settings) >= {Setting(**change, seed=seed) for seed in range(10)}
    wide = ((0.0, "wide"), (0.5, "wide_drops_pixels"))
    for seed, (dropout, network) in itertools.product(range(10), wide):
        assert Setting(dropout, 0.0, epochs=30, network=network, seed=seed) in settings


def test_a_setting_without_changes_is_the_recipe():
    assert Setting() == Setting(0.2, 1e-4, 0.0, 48_000, 10, "scaled", "Adam", "MNISTNet", 0)
    assert dataclasses.asdict(Setting()) == {**RECIPE, "epochs": 10, "seed": 0}


# ---------------------------------------------------------------- same seed, same split, weights and batches


def received(data, **changes):
    """Train a short run with the recipe but for `changes`; what the training received: its first weights, the labels
    of its validation images and of all its steps."""
    weights, valid, batches = [], [], []
    fit, train_step = runs.fit, training.train_step

    def fit_spy(model, optimizer, train_loader, valid_loader, **options):
        weights.extend(parameter.tolist() for parameter in model.parameters())
        valid.extend(valid_loader.dataset.tensors[1].tolist())
        return fit(model, optimizer, train_loader, valid_loader, **options)

    def step_spy(model, images, labels, optimizer, loss_function):
        batches.append(labels.tolist())
        return train_step(model, images, labels, optimizer, loss_function)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runs, "fit", fit_spy)
        patch.setattr(training, "train_step", step_spy)
        train_setting(Setting(**({"train_size": 200, "epochs": 2, "seed": 1} | changes)), data)
    return weights, valid, batches


@pytest.fixture(scope="module")
def recipe(sample):
    return received(sample)


@pytest.mark.parametrize(
    "change",
    [
        *({"dropout": 0.0}, {"dropout": 0.7}, {"weight_decay": 0.0}, {"optimizer": "AdamW"}),
        *({"pixels": "standardized"}, {"label_smoothing": 0.1}, {"train_size": 300}),
    ],
    ids=str,
)
def test_runs_of_one_seed_differ_in_nothing_but_the_setting(sample, recipe, change):
    *first, batches = received(sample, **change)
    assert first == list(recipe[:2]) and (batches == recipe[2]) == ("train_size" not in change)


def test_runs_of_two_seeds_differ_in_split_weights_and_batches(sample, recipe, monkeypatch):
    other = received(sample, seed=0)
    assert all(one != two for one, two in zip(recipe, other))
    assert other[1] == sample.valid.tensors[1].tolist(), "seed 0 has the split of the lessons"
    monkeypatch.setattr(type(sample), "with_split", lambda data, seed: data)
    assert received(sample, seed=1)[2] != received(sample, seed=2)[2], "other batches also of the same images"


# ---------------------------------------------------------------- one run


@pytest.fixture(scope="module")
def twin(small):
    """A run of 2 epochs on 300 images as the lessons train it, and the rows of the ledger for the same run."""
    run = runs.train_run(small, epochs=2, progress=False, device="cpu")
    return run, train_setting(Setting(train_size=300, epochs=2), small)


def test_a_run_of_the_ledger_is_the_run_of_the_lessons_to_the_last_bit(twin):
    run, rows = twin
    for column, values in dataclasses.asdict(run.history).items():
        assert column == "seconds" or rows[column].tolist() == values
    setting = dataclasses.asdict(Setting(train_size=300, epochs=2))
    assert rows[list(setting)].to_dict("records") == [setting, setting] and rows["epoch"].tolist() == [1, 2]
    assert list(rows.columns) == list(COLUMNS)


def test_what_is_measured_is_the_trained_model_s(twin, small):
    """After each epoch on the test images; the norms after the last one."""
    run, rows = twin
    metrics = evaluate(run.model, make_loader(small.test, batch_size=100))
    expected = {
        "test_loss": metrics.loss,
        "test_accuracy": metrics.accuracy,
        "test_calibration_error": expected_calibration_error(predict(run.model, small.test)),
    }
    first = train_setting(Setting(train_size=300, epochs=1), small).iloc[0]
    for column, value in expected.items():
        assert rows[column].tolist() == pytest.approx([first[column], value], rel=1e-5), column
    layers = [layer for layer in run.model.modules() if isinstance(layer, torch.nn.Linear)]
    for number, layer in enumerate(layers, start=1):
        norm = (layer.weight.double() ** 2).sum().sqrt().item()
        assert rows[f"weight_norm_{number}"].tolist() == pytest.approx([norm] * 2, rel=1e-5)


def test_all_images_are_standardized_by_the_training_images(small):
    standardized, pixels = work.standardized(small), small.train.tensors[0]
    after = standardized.train.tensors[0]
    assert (after.mean().item(), after.std().item()) == pytest.approx((0, 1), abs=1e-5)
    for part in ("valid", "test"):
        before, after = getattr(small, part).tensors, getattr(standardized, part).tensors
        assert torch.allclose(after[0] * pixels.std() + pixels.mean(), before[0], atol=1e-5)
        assert torch.equal(after[1], before[1])


def test_the_pixels_the_optimizer_and_the_network_of_a_setting_are_used(small):
    others = [name for name in networks.NETWORKS if name != "MNISTNet"]
    losses = [
        train_setting(Setting(train_size=300, epochs=1, weight_decay=0.1, **change), small)["valid_loss"][0]
        for change in ({}, {"pixels": "standardized"}, {"optimizer": "AdamW"}, *[{"network": name} for name in others])
    ]
    assert len(set(losses)) == 3 + len(others)


def test_two_threads_of_one_worker_do_not_share_random_numbers(small, monkeypatch):
    monkeypatch.setattr(work, "load_once", lambda root: (small, "these"))
    wanted = [Setting(dropout=0.5, train_size=300, epochs=3, seed=seed) for seed in (0, 1, 2, 3)]
    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(lambda setting: work.work_on(setting, None, "these")[1], wanted))
    for setting, rows in zip(wanted, together):
        same_runs(rows, train_setting(setting, small), check_exact=True)


def test_a_worker_with_other_images_says_so(small, monkeypatch):
    monkeypatch.setattr(work, "load_once", lambda root: (small, "other"))
    error = work.work_on(QUICK[0], None, "these")[1]
    assert isinstance(error, ValueError) and str(small) in str(error) and "MNIST_DATA_DIR" in str(error)


# ---------------------------------------------------------------- a sweep


def test_a_sweep_writes_one_file_a_run_and_shows_how_far_it_is(folder, sample, capsys):
    sweep(QUICK[:2], folder, root="sample", jobs=1)
    sweep(QUICK, folder, root="sample", jobs=1)
    assert finished(folder) == names(QUICK)
    for setting in QUICK:
        same_runs(read_table(folder / setting.name), train_setting(setting, sample), check_dtype=False, rtol=1e-5)
    output = capsys.readouterr()
    assert f"{work.load_once('sample')[0]}\n2 of 3 runs are in {folder}, 1 to train." in output.out
    assert "  0.0 %" in output.err and "100.0 %" in output.err and "so far, about 00:00 left" in output.err


def test_a_sweep_trains_what_is_missing_and_what_nobody_else_finishes_meanwhile(folder, trained, monkeypatch):
    sweep(QUICK, folder, root="sample", jobs=1)
    (folder / QUICK[1].name).unlink()
    trained.clear()
    for _ in range(2):
        sweep(QUICK, folder, root="sample", jobs=1)
    assert trained == [QUICK[1]] and finished(folder) == names(QUICK)
    write_table, other = work.write_table, folder.with_name("other")
    monkeypatch.setattr(work, "write_table", lambda *both: write_table(*both) or (other / QUICK[2].name).touch())
    sweep(QUICK, other, root="sample", jobs=1)
    assert trained == [QUICK[1], *QUICK[:2]]


def test_a_folder_with_runs_on_other_images_is_refused(folder, small, monkeypatch):
    sweep(QUICK[:1], folder, root="sample", jobs=1)
    monkeypatch.setattr(work, "load_once", lambda root: (small, small.fingerprint()))
    with pytest.raises(ValueError, match="Name another folder") as caught:
        sweep(QUICK, folder, jobs=1)
    assert "3,000 training" in str(caught.value) and str(small) in str(caught.value)
    assert finished(folder) == names(QUICK[:1])


@pytest.mark.parametrize(
    "settings, jobs, message",
    [
        ([*QUICK, Setting(train_size=3001)], 1, "3,001 training images.*3,000 training.*MNIST_DATA_DIR"),
        (QUICK, 0, "from 1 up, or -1 .*got 0"),
        (QUICK, -2, "from 1 up, or -1 .*got -2"),
    ],
    ids=["too many images", "0 jobs", "-2 jobs"],
)
def test_what_cannot_be_is_refused_before_the_folder_is_made(folder, settings, jobs, message):
    with pytest.raises(ValueError, match=message):
        sweep(settings, folder, root="sample", jobs=jobs)
    assert not folder.exists()


def test_an_error_in_one_run_names_it_and_keeps_the_finished_ones(folder, monkeypatch):
    def train(setting, data):
        if setting == QUICK[1]:
            raise DivergedError("the loss became nan at step 3")
        return train_setting(setting, data)

    monkeypatch.setattr(work, "train_setting", train)
    with pytest.raises(RunFailedError, match=f"the run {QUICK[1].name} failed: the loss became nan at step 3"):
        sweep(QUICK, folder, root="sample", jobs=1)
    assert finished(folder) == names(QUICK[:1])


def test_an_error_in_another_process_keeps_the_finished_runs(folder, alone):
    wrong = Setting(dropout=2.0, train_size=500, epochs=1)
    with pytest.raises(RunFailedError, match=f"{wrong.name} failed: .*2.0"):
        sweep([*SLOW[:2], wrong], folder, root="sample", jobs=2)
    kept = gather(folder)
    same_runs(kept, alone[alone["seed"].isin(kept["seed"])].reset_index(drop=True), check_exact=True)


def test_lost_workers_are_reported(folder, monkeypatch):
    monkeypatch.setattr(work, "workers", lambda *_: contextlib.nullcontext(lambda tasks: iter(())))
    with pytest.raises(ConnectionError, match="3 runs still to train"):
        sweep(QUICK, folder, root="sample", jobs=1)


# ---------------------------------------------------------------- the command


@pytest.mark.parametrize(
    "options, asked_for",
    [
        ([], lambda setting: True),
        (["--train-sizes", "500", "2000"], lambda setting: setting.train_size <= 2000),
        (["--seeds", "2"], lambda setting: setting.seed in (0, 1)),
    ],
    ids=["all", "sizes", "seeds"],
)
def test_the_command_trains_the_grid_or_a_part_of_it(monkeypatch, tmp_path, options, asked_for):
    asked = []
    monkeypatch.setattr(program, "sweep", lambda wanted, folder, **_: asked.extend(wanted))
    main(["--folder", str(tmp_path), *options])
    assert asked == [setting for setting in grid() if asked_for(setting)]


@pytest.mark.parametrize(
    "options, status, message",
    [
        (["--train-sizes", "700"], 2, "argument --train-sizes: invalid choice: 700 (choose from"),
        (["--seeds", "0"], 2, "argument --seeds: invalid choice: 0 (choose from"),
        (["--seeds", "11"], 2, "argument --seeds: invalid choice: 11 (choose from"),
        (["--help"], 0, "every finished run is kept"),
    ],
    ids=str,
)
def test_the_command_refuses_values_that_cannot_be_and_explains_itself(capsys, options, status, message):
    with pytest.raises(SystemExit) as caught:
        main(options)
    assert caught.value.code == status and message in " ".join("".join(capsys.readouterr()).split())


def test_the_command_writes_the_ledger(tmp_path, folder, monkeypatch, capsys):
    monkeypatch.setattr(program, "grid", lambda: [Setting(train_size=500, epochs=1, seed=seed) for seed in (1, 0)])
    ledger = tmp_path / "ledger"
    assert main(["--data", "sample", "--jobs", "1", "--folder", str(folder), "--ledger", str(ledger)]) == 0
    assert f"All runs of {folder} are now in {ledger}." in capsys.readouterr().out
    assert load_ledger(ledger).equals(gather(folder)) and load_ledger(ledger)["seed"].tolist() == [0, 1]


FAILING = Setting(train_size=500, weight_decay=-1.0, epochs=1)


@pytest.mark.parametrize(
    "settings, data, messages",
    [
        ([FAILING], "/nowhere", ["there is no folder /nowhere"]),
        ([Setting()], "sample", ["48,000 training images"]),
        ([FAILING], "sample", [FAILING.name, "weight_decay"]),
    ],
    ids=["no images", "too few images", "a run that fails"],
)
def test_the_command_says_what_is_wrong(folder, monkeypatch, capsys, settings, data, messages):
    monkeypatch.setattr(program, "grid", lambda: settings)
    assert main(["--data", data, "--jobs", "1", "--folder", str(folder)]) == 1
    error = capsys.readouterr().err
    assert all(message in error.partition("Error: ")[2] for message in messages) and "Traceback" not in error


# ---------------------------------------------------------------- stopped, killed, and two at a time


def test_ctrl_c_before_the_first_run_is_finished_says_so_and_keeps_nothing(folder, monkeypatch, capsys):
    fit = runs.fit  # it ends early on Ctrl+C
    monkeypatch.setattr(runs, "fit", lambda *args, **options: fit(*args, **options | {"on_epoch_end": lambda _: True}))
    monkeypatch.setattr(program, "grid", lambda: SLOW)
    assert main(["--data", "sample", "--jobs", "1", "--folder", str(folder)]) == 130
    output, error = capsys.readouterr()
    assert "Stopped." in output and f"there is no run in {folder}" in error and finished(folder) == set()


@contextlib.contextmanager
def command(folder, jobs):
    """The command in processes of its own, on the sample and with the runs SLOW; none of them outlives the block."""
    options = ["--jobs", str(jobs), "--folder", str(folder), "--ledger", str(folder / "ledger")]
    process = subprocess.Popen(
        [sys.executable, "-c", COMMAND.format(options=options)],
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


@POSIX
def test_after_kill_9_a_sweep_goes_on_from_the_finished_runs(folder, alone):
    with command(folder, jobs=1) as process:
        wait_for(lambda: finished(folder) or process.poll() is not None)
        os.killpg(process.pid, signal.SIGKILL)
    kept = {name: (folder / name).read_bytes() for name in finished(folder)}
    assert 0 < len(kept) < len(SLOW)
    sweep(SLOW, folder, root="sample", jobs=1)
    assert {name: (folder / name).read_bytes() for name in kept} == kept
    same_runs(gather(folder), alone, check_exact=True)


@POSIX
def test_ctrl_c_keeps_the_finished_runs_and_writes_the_ledger(folder):
    with command(folder, jobs=2) as process:
        wait_for(lambda: finished(folder) or process.poll() is not None)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        output, error = process.communicate(timeout=WAIT)
    assert process.returncode == 130
    assert "Stopped. The finished runs are kept; the same command goes on from there." in output
    warned = [line for line in error.splitlines() if "UserWarning" in line and "resource_tracker" not in line]
    assert warned == [] and 0 < len(finished(folder)) < len(SLOW)
    assert load_ledger(folder / "ledger").equals(gather(folder))


@POSIX
def test_two_sweeps_into_one_folder_make_what_one_makes(folder, alone):
    with command(folder, jobs=1) as first, command(folder, jobs=1) as second:
        errors = [process.communicate(timeout=WAIT)[1] for process in (first, second)]
    assert (first.returncode, second.returncode) == (0, 0), errors
    same_runs(gather(folder), alone, check_exact=True)
    assert load_ledger(folder / "ledger").equals(gather(folder))
    assert {path.name for path in folder.iterdir()} == names(SLOW) | {"images.txt", "ledger"}


# ---------------------------------------------------------------- on a cluster


@pytest.fixture
def cluster(tmp_path):
    """The address of a Dask scheduler, and its two worker processes by their names."""
    note = tmp_path / "scheduler.json"
    common = ["--host", "127.0.0.1", "--no-dashboard", "--scheduler-file", note]
    worker = ["distributed.cli.dask_worker", "--nthreads", "1", "--no-nanny", "--local-directory", tmp_path, "--name"]
    with contextlib.ExitStack() as stack:

        def start(*arguments):
            log = stack.enter_context((tmp_path / f"{arguments[-1]}.log").open("wb"))
            arguments = [sys.executable, "-m", *arguments, *common]
            process = stack.enter_context(subprocess.Popen(arguments, cwd=ROOT, stdout=log, stderr=log))
            stack.callback(process.kill)
            return process

        start("distributed.cli.dask_scheduler", "--port", "0")
        workers = {name: start(*worker, name) for name in ("first", "second")}
        wait_for(note.exists)
        yield json.loads(note.read_text())["address"], workers


def kill_while_training(address, name, worker, folder, seen):
    """Once a run is finished: kill this worker while it has runs to train; note how many were finished then."""
    from distributed import Client

    with Client(address, set_as_default=False, timeout=WAIT) as client:
        client.wait_for_workers(2, timeout=WAIT)
        host = {info["name"]: host for host, info in client.scheduler_info()["workers"].items()}[name]
        wait_for(lambda: finished(folder) and client.processing()[host])
        worker.kill()
        seen.append(len(finished(folder)))


@POSIX
def test_a_killed_dask_worker_loses_no_run(folder, alone, cluster):
    address, workers = cluster
    seen = []
    killer = threading.Thread(target=kill_while_training, args=(address, "first", workers["first"], folder, seen))
    killer.start()
    sweep(SLOW, folder, root="sample", scheduler=address)
    killer.join(timeout=WAIT)
    assert workers["first"].wait(timeout=WAIT) == -signal.SIGKILL and 0 < seen[0] < len(SLOW)
    assert workers["second"].poll() is None
    same_runs(gather(folder), alone, check_exact=True)


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
def test_an_address_without_a_scheduler_is_given_up(folder, monkeypatch, address, message):
    monkeypatch.setattr(work, "PATIENCE", 1)
    started = time.monotonic()
    with pytest.raises((ConnectionError, ValueError), match=message):
        sweep(QUICK, folder, root="sample", scheduler=address)
    assert time.monotonic() - started < 25


def test_without_the_package_distributed_the_extra_is_named(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ModuleNotFoundError, match=r"\[cluster\]"):
        sweep(QUICK, folder, root="sample", scheduler="tcp://127.0.0.1:8786")
