"""What the comparison of stored outputs finds, and what it lets pass."""
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pandas as pd
import pytest
import stored_outputs
from nbformat.v4 import new_code_cell, new_notebook, new_output
from stored_outputs import compare_cell, differences, spread
from test_notebooks import PATHS, code_cells, read

from mnist_helpers import ledger

ROOT = Path(__file__).resolve().parent.parent
TRAINED = ["spread-2000"]
EPOCHS = """       train_loss  train_accuracy  valid_loss  valid_accuracy  seconds
epoch
11         0.0805           0.989      0.4171          0.8818     1.43
40         0.0030           1.000      0.5744          0.8835     1.55"""
SETTINGS = """              valid loss         valid accuracy
                    mean     std           mean     std
setting
both              0.4074  0.0110         0.8894  0.0026"""


@pytest.fixture(autouse=True)
def spreads(monkeypatch):
    """In these tests accuracies spread by 0.5 percentage points, losses by 0.01 or 2 %, training losses by 20 %."""
    deviation = {"valid_accuracy": 0.005, "valid_loss": 0.01}
    share = {"valid_loss": 0.02, "train_loss": 0.2, "test_calibration_error": 0.1, "weight_norm_1": 0.01}
    monkeypatch.setattr(stored_outputs, "spread", lambda size: (deviation, share))


@pytest.mark.parametrize("stored, new", [
    ("(32, 784)", "(32, 785)"), ("ln 10 = 2.303", "ln 10 = 2.304"), ("1,500 batches", "1,501 batches"),
    ("sum: -1", "sum: 1"), ("equal? True", "equal? False"), ("a\nb", "a"), ("a", "a\nb"), ("a", ""), ("", "a"),
])
def test_without_a_tag_any_change_is_found(stored, new):
    assert differences(stored, stored) == []
    assert len(differences(stored, new)) == 1


@pytest.mark.parametrize("stored, inside, outside", [
    ("accuracy 97.66%", "accuracy 98.9%", "accuracy 99.3%"),                     # 1.5 percentage points
    ("epoch 1: -5.43 ± 1.88 percentage points", "epoch 1: -4.1 ± 0.9 percentage points",
     "epoch 1: -3.43 ± 1.88 percentage points"),
    ("validation loss 0.500", "validation loss 0.529", "validation loss 0.531"),  # 6 %
    ("training loss 0.0030", "training loss 0.0047", "training loss 0.0049"),     # 60 %
    ("valid loss, both − neither: -0.0740 ± 0.0211", "valid loss, both − neither: -0.0460 ± 0.0101",
     "valid loss, both − neither: -0.0430 ± 0.0211"),                             # 0.03
    ("valid accuracy, both − neither: +0.0050 ± 0.0027", "valid accuracy, both − neither: -0.0090 ± 0.0027",
     "valid accuracy, both − neither: +0.0210 ± 0.0027"),
    (EPOCHS, EPOCHS.replace("0.989", "0.976"), EPOCHS.replace("0.989", "0.973")),
    (EPOCHS, EPOCHS.replace("0.5744", "0.5444"), EPOCHS.replace("0.5744", "0.5344")),
    (EPOCHS, EPOCHS.replace("0.0805", "0.0405"), EPOCHS.replace("0.0805", "0.1305")),
    (SETTINGS, SETTINGS.replace("0.8894", "0.9040"), SETTINGS.replace("0.8894", "0.9050")),
    (SETTINGS, SETTINGS.replace("0.0110", "0.0210"), SETTINGS.replace("0.0110", "0.0230")),
])
def test_after_training_the_allowance_is_three_standard_deviations(stored, inside, outside):
    assert differences(stored, inside, TRAINED) == []
    assert len(differences(stored, outside, TRAINED)) == 1
    assert len(differences(stored, inside)) >= 1, "without the tag nothing is allowed"


@pytest.mark.parametrize("stored, new", [
    ("dropout 0.2: loss 0.5", "dropout 0.3: loss 0.5"), ("p = 0.2: loss 0.5", "p = 0.21: loss 0.5"),
    ("epoch 3: loss 0.5", "epoch 4: loss 0.5"), ("1,000 images, loss 0.5", "1,001 images, loss 0.5"),
    ("training loss 0.5", "test loss 0.5"), (EPOCHS, EPOCHS.replace("\n40", "\n41")),
])
def test_after_training_settings_and_words_must_be_the_same(stored, new):
    assert len(differences(stored, new, TRAINED)) == 1


def test_counts_may_differ_by_what_chance_explains():
    stored = "234 of 10,000 are wrong"
    assert differences(stored, "270 of 10,000 are wrong", ["counts"]) == []
    assert len(differences(stored, "290 of 10,000 are wrong", ["counts"])) == 1
    assert len(differences(stored, "234 of 10,000 are right", ["counts"])) == 1


def test_chance_leaves_words_and_settings():
    stored = "p = 0.2: 0.201 dropped\n   images  agrees\n    13  True\n     1  True"
    assert differences(stored, "p = 0.2: 0.7 dropped\n  images  agrees\n   14  False", ["chance"]) == []
    assert len(differences(stored, stored.replace("p = 0.2", "p = 0.5"), ["chance"])) == 1
    assert len(differences(stored, stored.replace("agrees", "right"), ["chance"])) == 1


@pytest.mark.parametrize("stored, new", [
    ("epoch 10/10: 100%|████| 15000/15000 [00:44<00:00, 339.25 steps/s]\nend", "end"),
    ("Loaded the run 'recipe' that was trained before.", "Training the run 'recipe' now (there is no file)."),
    ("one pass over 48,000 images: 4.77 s", "one pass over 48,000 images: 9.12 s"),
    ("30 times as long", "17 times as long"),
    ("<Figure size 900x400 with 1 Axes>", "<Figure size 450x200 with 1 Axes>"),
    ("<Thing at 0x7f3a>", "<Thing at 0x11bc>"), ("torch 2.6.0+cpu", "torch 2.9.1"),
    (EPOCHS, EPOCHS.replace("1.43", "9.87")), ("a  1\nb 10", "a 1\nb  10"),
])
def test_what_differs_in_every_run_is_not_compared(stored, new):
    assert differences(stored, new, TRAINED) == []


def test_the_message_has_both_lines_and_the_number():
    (message,) = differences("a 1\naccuracy 97.66%", "a 1\naccuracy 92.00%", TRAINED)
    for part in ("line 2", "stored: accuracy 97.66%", "new:    accuracy 92.00%", "97.66 became 92.00", "1.5"):
        assert part in message


def cell(source="print(1)", tags=()):
    return SimpleNamespace(cell=new_code_cell(source, metadata={"tags": list(tags)}), parent=SimpleNamespace())


def stream(text, name="stdout"):
    return new_output("stream", name=name, text=text)


def result(text, kind="execute_result"):
    return new_output(kind, data={"text/plain": text, "text/html": "<b>not compared</b>"})


def test_outputs_of_every_kind_are_compared():
    stored = [stream("a 1\n"), result("b 2")]
    assert compare_cell(cell(), stored, stored)
    for new in ([stream("a 1\n")], [result("b 2")], [stream("a 1\n"), result("b 3")], []):
        assert not compare_cell(cell(), new, stored)


def test_warnings_and_hidden_values_are_not_compared():
    picture = result("<Figure size 900x400 with 1 Axes>", "display_data")
    assert compare_cell(cell(), [stream("a"), stream("careful", "stderr")], [stream("a")])
    assert compare_cell(cell("plot(1);"), [result("<Axes: >"), picture], [picture])
    assert not compare_cell(cell("plot(1);"), [result("<Axes: >")], [picture])


def test_a_place_that_gets_its_picture_later_counts_as_a_picture():
    picture = result("<Figure size 900x400 with 1 Axes>", "display_data")
    assert compare_cell(cell(), [new_output("display_data")], [picture])
    assert not compare_cell(cell(), [], [picture])


def test_on_the_sample_only_what_is_the_same_everywhere_is_compared():
    here = cell()
    assert compare_cell(here, [stream("MNIST sample: 3,000 training")], [stream("Full MNIST: 48,000 training")])
    assert compare_cell(here, [stream("3,000")], [stream("48,000")])
    here.cell.metadata.tags = ["nbval-check-output"]
    assert not compare_cell(here, [stream("3,000")], [stream("48,000")])


def test_the_spread_is_the_median_over_settings_with_five_seeds(monkeypatch):
    rows = [{"dropout": dropout, "weight_decay": 0.0, "train_size": 500, "epochs": 2, "pixels": "scaled",
             "optimizer": "Adam", "network": "MNISTNet", "seed": seed, "epoch": epoch, "train_accuracy": 1.0,
             "valid_accuracy": 0.5, "valid_loss": 2 + (epoch == 2) * scale * (-1) ** seed, "train_loss": 1.0,
             "test_calibration_error": 0.1, "weight_norm_1": 1.0}
            for dropout, seeds, scale in ((0.0, 5, 0.1), (0.2, 5, 0.2), (0.5, 5, 0.3), (0.7, 4, 9.0))
            for seed in range(seeds) for epoch in (1, 2)]
    monkeypatch.setattr(ledger, "load_ledger", lambda: pd.DataFrame(rows))
    deviation, share = spread.__wrapped__(500)
    assert deviation["valid_loss"] == pytest.approx(pd.Series([0.2, -0.2, 0.2, -0.2, 0.2]).std())
    assert share["valid_loss"] == pytest.approx(deviation["valid_loss"] / 2.04)
    with pytest.raises(ValueError, match="no setting with five seeds and 2000"):
        spread.__wrapped__(2000)


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_the_tags_are_known_and_the_ledger_has_their_spread(path):
    for each in code_cells(read(path)):
        for tag in each.metadata.get("tags", []):
            kind, _, size = tag.partition("-")
            assert kind in ("spread", "counts", "chance", "nbval") or tag.startswith("mirrors:"), tag
            if kind == "spread":
                spread(int(size))


def test_pytest_compares_what_a_notebook_stores(tmp_path):
    """A run of pytest as the README shows it, on a notebook with one right and one wrong stored output."""
    cells = [new_code_cell(f"print({number})", outputs=[stream(f"{number}\n")], execution_count=1) for number in (1, 2)]
    cells[1].outputs[0].text = "3\n"
    nbformat.write(new_notebook(cells=cells), tmp_path / "lesson.ipynb")
    command = [sys.executable, "-m", "pytest", "--color=no", "-p", "no:cacheprovider", "-c", ROOT / "pyproject.toml",
               "--rootdir", ROOT, ROOT / "notebooks" / "conftest.py", tmp_path / "lesson.ipynb"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT)
    assert "1 failed, 1 passed" in done.stdout, done.stdout + done.stderr
    assert "Cell 1: Cell outputs differ" in done.stdout and "3 became 2" in done.stdout
