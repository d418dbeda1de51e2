"""The measurements of speed: that they run, and that the floor computes what PyTorch does. No test takes the time."""

import json
import math

import pytest
import torch
import torch.nn.functional as F

from benchmarks import compare, peers, task
from benchmarks.first_figure import up_to_first_figure
from benchmarks.peers.floor import Floor
from lessons import PATHS, code_cells, read


@pytest.fixture(scope="module")
def floor():
    """The floor after some steps on one batch, before the next change of its weights."""
    torch.manual_seed(0)
    floor = Floor((32, 16), batch=8, dropout=0.25)
    floor.images.uniform_()
    floor.truth.zero_()[torch.arange(8), torch.randint(10, (8,))] = 1
    for _ in range(5):
        floor.forward()
        floor.backward()
        floor.adam()
    floor.forward()
    floor.backward()
    return floor


def test_the_floor_computes_the_gradients_and_the_step_of_pytorch(floor):
    weights = [part.clone().requires_grad_() for layer in floor.layers for part in layer]
    hidden = floor.images
    for number, masks in enumerate(floor.masks):
        drawn = masks[floor.unused - 1]
        assert set(drawn.unique().tolist()) == {0, torch.tensor(4 / 3).item()}
        hidden = F.relu(F.linear(hidden, *weights[2 * number : 2 * number + 2])) * drawn
    F.cross_entropy(F.linear(hidden, *weights[-2:]), floor.truth.argmax(dim=1)).backward()
    mine = [part for layer in floor.gradients for part in layer]
    for weight, gradient in zip(weights, mine, strict=True):
        torch.testing.assert_close(gradient, weight.grad)
        assert weight.grad.any()


def test_the_floor_steps_as_adam_does():
    torch.manual_seed(0)
    floor = Floor((8,), batch=4)
    weights = [part.clone().requires_grad_() for layer in floor.layers for part in layer]
    adam = torch.optim.Adam(weights, lr=task.LR, weight_decay=task.WEIGHT_DECAY)
    for _ in range(3):
        for weight, gradient in zip(weights, [part for layer in floor.gradients for part in layer], strict=True):
            weight.grad = gradient.uniform_(-1, 1).clone()
        adam.step()
        floor.adam()
    for weight, part in zip(weights, [part for layer in floor.layers for part in layer], strict=True):
        torch.testing.assert_close(part, weight.detach())


@pytest.fixture
def few(monkeypatch):
    """The sample, for the processes that measure."""
    monkeypatch.setenv("MNIST_DATA_DIR", "sample")
    return task.Task(folder="", epochs=1, images=640)


def test_the_command_measures_what_is_there_and_names_what_is_missing(few, monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(peers.PEERS, "another", ("another", ("no_such_package",)))
    found = compare.compare(few, ["fit", "floor", "another"], rounds=1, folder=tmp_path, threads=1)
    assert set(found) == {"fit", "floor"}
    for row in found.values():
        assert 0 < row["train_valid"] < row["epoch"] and row["low"] == row["high"] == row["epoch"]
        assert 0.3 < row["accuracy"] <= 1 and row["memory"] > 100
    shown = capsys.readouterr().out
    assert "another              missing: no_such_package" in shown and "× fit" in shown
    assert (tmp_path / "compare.png").read_bytes().startswith(b"\x89PNG")
    assert len(json.loads((tmp_path / "compare.json").read_text())["fit"][0]["rows"]) == 1


def test_every_variant_of_fit_can_be_measured(few, tmp_path):
    found = compare.compare(few, list(peers.VARIANTS), rounds=1, folder=tmp_path)
    assert list(found) == list(peers.VARIANTS) and all(row["accuracy"] > 0.3 for row in found.values())


def test_a_lesson_is_cut_behind_its_first_figure():
    notebook = read(next(path for path in PATHS if path.stem == "04_curves"))
    begun = up_to_first_figure(notebook)
    shown = [
        "image/png" in str([output.get("data", {}).keys() for output in cell.outputs]) for cell in code_cells(begun)
    ]
    assert shown.index(True) == len(shown) - 1 and begun.cells == notebook.cells[: len(begun.cells)]


def made_round(memory, *seconds):
    rows = [{"train": each, "valid": 0.5, "curve": 0.5, "cpu": each, "accuracy": each / 10} for each in seconds]
    return {"rows": rows, "memory": memory}


def test_the_summary_leaves_out_the_first_epoch_and_counts_a_tenth_of_what_it_takes_longer():
    row = compare.summary([made_round(100, 21, 1, 3), made_round(300, 21, 2, 4), made_round(200, 21, 2, 2)])
    assert (row["epoch"], row["low"], row["high"], row["train_valid"], row["cpu"]) == (3, 2, 5, 2.5, 2)
    assert row["with_start"] == pytest.approx(3 + (22 - 3) / 10) and row["memory"] == 200
    assert row["accuracy"] == pytest.approx((0.3 + 0.4 + 0.2) / 3)
    assert compare.summary([made_round(1, 2)])["epoch"] == 3


def test_ratios_need_fit():
    row = compare.summary([made_round(100, 1, 1)])
    assert "nan" in compare.table({"floor": row}, 2) and math.isclose(row["epoch"], 2)
