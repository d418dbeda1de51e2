"""One network trained by several processes: what they learn together, what a kill costs, and what a step costs."""

import os
import re
import subprocess
import sys
import threading
from types import SimpleNamespace

import psutil
import pytest
import torch
import torch.distributed as dist

from mnist_helpers.labs import data_parallel, scaling
from mnist_helpers.labs.scaling import Link, Work, all_reduce_seconds, line_through, speed_up
from mnist_helpers.training import train_epoch

PATIENCE = 180  # seconds for all processes of a command
FEW = ("--data", "sample", "--train-size", "500")


def torchrun(processes, path, *options, restarts=0):
    """The command, started: what it prints can be read line by line; it is killed when it takes too long."""
    start = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    command = [*start, f"--max-restarts={restarts}", "-m", "mnist_helpers.labs.data_parallel", path, *FEW, *options]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen(list(map(str, command)), env=environment, **pipes)


def finished(process, on_line=lambda line: None):
    """All lines that the command printed, each given to `on_line` at once; it must end well and in time."""
    clock = threading.Timer(PATIENCE, process.kill)
    clock.start()
    try:
        lines = [(on_line(line), line)[1] for line in process.stdout]
        assert process.wait(timeout=30) == 0, "".join(lines)
    finally:
        clock.cancel()
        process.kill()
    return lines


def content(path):
    return torch.load(path, weights_only=True)


def difference(first, second):
    return max((first[name] - second[name]).abs().max().item() for name in first)


@pytest.fixture(scope="module")
def together(tmp_path_factory):
    """The file of a run that nobody disturbed: two processes, with dropout."""
    path = tmp_path_factory.mktemp("together") / "two.pt"
    finished(torchrun(2, path, "--epochs", 4))
    return path


def test_two_processes_learn_what_one_learns(tmp_path):
    for processes in (1, 2):
        finished(torchrun(processes, tmp_path / f"{processes}.pt", "--epochs", 2, "--dropout", 0))
    one, two = [content(tmp_path / f"{processes}.pt") for processes in (1, 2)]
    torch.manual_seed(0)
    start = data_parallel.NETWORKS["MNISTNet"](0.0).state_dict()
    start = {f"module.{name}": weights for name, weights in start.items()}
    assert one["epoch"] == two["epoch"] == 2
    assert difference(one["weights"], start) > 0.01, "they have learnt"
    assert difference(one["weights"], two["weights"]) < 1e-4, "equal but for rounding"


def test_after_a_kill_training_goes_on_to_the_same_weights(tmp_path, together):
    killed = []

    def kill(line):
        if (found := re.search(r"process 1 \(id (\d+)\): epoch 2", line)) and not killed:
            killed.append(int(found[1]))
            psutil.Process(killed[0]).kill()  # SIGKILL: no time to say goodbye

    lines = finished(torchrun(2, tmp_path / "killed.pt", "--epochs", 4, restarts=1), kill)
    assert killed and any(re.search("goes on after epoch [12]", line) for line in lines), "".join(lines)
    first, second = content(together), content(tmp_path / "killed.pt")
    assert first["epoch"] == second["epoch"] == 4
    assert difference(first["weights"], second["weights"]) == 0
    assert not list(tmp_path.glob("*.unfinished"))


def test_the_same_command_again_trains_on(tmp_path, together):
    path = tmp_path / "longer.pt"
    finished(torchrun(2, path, "--epochs", 2))
    lines = finished(torchrun(2, path, "--epochs", 4))
    assert sum("goes on after epoch 2" in line for line in lines) == 2
    assert difference(content(path)["weights"], content(together)["weights"]) == 0


def test_each_epoch_has_an_order_of_its_own(tmp_path, sample, monkeypatch):
    orders = []

    def noted(model, loader, optimizer):
        orders.append(torch.cat([labels for _, labels in loader]).tolist())
        return train_epoch(model, loader, optimizer)

    monkeypatch.setattr(data_parallel, "train_epoch", noted)
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    try:
        data_parallel.train_together(sample.with_train_size(100), tmp_path / "run.pt", torch.device("cpu"), epochs=3)
    finally:
        dist.destroy_process_group()
    assert len({tuple(order) for order in orders}) == 3 and sorted(orders[0]) == sorted(orders[2])


def test_shares_must_be_equal(monkeypatch, sample):
    monkeypatch.setattr(dist, "get_world_size", lambda: 3)
    for batch_size in (32, 0, -3):
        with pytest.raises(ValueError, match=f"a multiple of the number of processes, 3, got {batch_size}"):
            data_parallel.shared_batches(sample.train, batch_size, 0)


def test_a_file_of_another_network_is_refused(tmp_path):
    cnn, linear = [data_parallel.NETWORKS[name](0.0) for name in ("cnn", "linear")]
    data_parallel.save(tmp_path / "run.pt", cnn, torch.optim.Adam(cnn.parameters()), 1)
    with pytest.raises(ValueError, match="run.pt holds another network"):
        data_parallel.restore(tmp_path / "run.pt", linear, torch.optim.Adam(linear.parameters()))


@pytest.mark.parametrize(("gpus", "backend", "device"), [(0, "gloo", "cpu"), (1, "gloo", "cpu"), (2, "nccl", "cuda:1")])
def test_each_process_has_its_own_gpu_or_none_has_one_and_each_attempt_its_own_names(
    monkeypatch, gpus, backend, device
):
    asked, store = [], dist.HashStore()
    monkeypatch.setattr(torch, "cuda", SimpleNamespace(device_count=lambda: gpus, set_device=lambda device: None))
    monkeypatch.setattr(dist, "rendezvous", lambda url: iter([(store, 1, 2)]))
    monkeypatch.setattr(dist, "init_process_group", lambda *backend, **options: asked.append((*backend, options)))
    for name, value in {"LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2", "TORCHELASTIC_RESTART_COUNT": "3"}.items():
        monkeypatch.setenv(name, value)
    assert str(data_parallel.join()) == device
    ((by, options),) = asked
    options["store"].set("address", "new")
    assert (by, options["rank"], options["world_size"]) == (backend, 1, 2)
    assert store.check(["attempt 3/address"]) and not store.check(["address"])


def test_the_ring_sends_each_piece_twice_around():
    link, size = Link(latency=0.5, bandwidth=10.0), 120
    assert all_reduce_seconds(link, size, 1) == 0
    for workers in (2, 3, 8):
        piece_to_the_neighbour = 0.5 + size / workers / 10
        assert all_reduce_seconds(link, size, workers) == pytest.approx(2 * (workers - 1) * piece_to_the_neighbour)


def test_the_speed_up_is_the_number_of_workers_less_what_they_wait():
    work, instant = Work(fixed=0.1, image=0.01, gradient=4), Link(latency=0.0, bandwidth=float("inf"))
    assert speed_up(work, instant, 10, 8) == 8 and speed_up(work, Link(1.0, 1.0), 10, 1) == 1
    assert speed_up(work, Link(latency=0.1, bandwidth=float("inf")), 10, 2) == pytest.approx(2 * 0.2 / 0.4)


def test_the_line_goes_through_both_points_and_begins_at_zero_or_above():
    assert line_through((8, 26), (2, 14)) == pytest.approx((10, 2))
    assert line_through((1, 1), (2, 5)) == (0, 4)


def test_a_time_is_the_shortest_and_the_first_ones_do_not_count(monkeypatch):
    clock = iter([0, 1, 0, 1, 0, 3, 0, 2, 0, 9])
    monkeypatch.setattr(scaling.time, "perf_counter", lambda: next(clock))
    assert scaling.shortest_seconds(lambda: None, repeats=3) == 2
