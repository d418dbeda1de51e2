"""Tables of runs: written whole or not at all, read with care."""

import gzip

import numpy as np
import pandas as pd
import pytest

from mnist_helpers.labs.ledger import COLUMNS, SETTINGS, gather, read_table, write_table
from mnist_helpers.labs.sweep.grid import DROPOUT, WEIGHT_DECAY


@pytest.fixture
def table():
    """Two epochs of one run, with numbers that need all their digits."""
    row = dict.fromkeys(COLUMNS, 1 / 3) | {
        "dropout": 0.2,
        "weight_decay": 1e-4,
        "train_size": 500,
        "epochs": 2,
        "pixels": "scaled",
        "optimizer": "Adam",
        "network": "MNISTNet",
        "seed": 0,
        "python": "3.12.1",
        "torch": "2.7.0",
    }
    return pd.DataFrame([row | {"epoch": 1}, row | {"epoch": 2}])


# ---------------------------------------------------------------- writing and reading


@pytest.mark.parametrize("name", ["run.csv", "ledger.csv.gz"])
def test_a_table_comes_back_with_six_significant_digits(tmp_path, table, name):
    write_table(table.assign(train_loss=[1234567.0, 1.234567e-7]), tmp_path / name)
    expected = table.assign(train_loss=[1.23457e6, 1.23457e-7]).replace(1 / 3, 0.333333)
    pd.testing.assert_frame_equal(read_table(tmp_path / name), expected, check_exact=True)


def test_six_digits_tell_how_many_images_are_right(tmp_path, table):
    right = np.array([59_999, 12_345])
    write_table(table.assign(train_accuracy=right / 60_000), tmp_path / "run.csv")
    counts = read_table(tmp_path / "run.csv")["train_accuracy"] * 60_000
    assert np.allclose(counts, right, atol=0.05)


def test_settings_come_back_to_the_last_bit(tmp_path, table):
    points = pd.DataFrame([(p, d) for p in DROPOUT for d in (*WEIGHT_DECAY, 1e-2, 1e-1)])
    many = table.iloc[:1].merge(points.set_axis(["dropout", "weight_decay"], axis=1), how="cross", suffixes=("_", ""))
    write_table(many[list(COLUMNS)], tmp_path / "run.csv")
    assert read_table(tmp_path / "run.csv")[["dropout", "weight_decay"]].to_numpy().tolist() == points.values.tolist()


@pytest.mark.parametrize("name", ["run.csv", "ledger.csv.gz"])
def test_equal_tables_are_equal_files(tmp_path, table, name):
    for folder in ("one", "two"):
        write_table(table, tmp_path / folder / name)
    assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_a_name_that_ends_in_gz_is_packed(tmp_path, table):
    write_table(table, tmp_path / "run.csv")
    write_table(table, tmp_path / "run.csv.gz")
    assert gzip.decompress((tmp_path / "run.csv.gz").read_bytes()) == (tmp_path / "run.csv").read_bytes()


@pytest.mark.parametrize("name", ["run.csv", "ledger.csv.gz"])
def test_an_interrupted_write_leaves_the_older_file_and_nothing_else(tmp_path, table, name, monkeypatch):
    write_table(table, tmp_path / name)
    before = (tmp_path / name).read_bytes()

    def write_half(self, file, **_):
        file.write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(pd.DataFrame, "to_csv", write_half)
    with pytest.raises(KeyboardInterrupt):
        write_table(table, tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_bytes() == before


# ---------------------------------------------------------------- files that cannot be used


def test_a_missing_file_is_said_to_be_missing(tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing.csv"):
        read_table(tmp_path / "nothing.csv")


@pytest.mark.parametrize("name", ["run.csv", "ledger.csv.gz"])
@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[:-30],
        lambda content: content[:150] + bytes(100) + content[250:],
        lambda content: b"\xff\xfe" * 100,
    ],
    ids=["empty", "truncated", "overwritten", "bytes"],
)
def test_a_damaged_file_is_named_with_what_to_do(tmp_path, table, name, damage):
    path = tmp_path / name
    write_table(table, path)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError) as caught:
        read_table(path)
    assert str(path) in str(caught.value)
    assert "Delete it and make it again" in str(caught.value) or "holds no runs" in str(caught.value)


def test_a_table_without_rows_is_damaged(tmp_path, table):
    write_table(table.iloc[:0], tmp_path / "run.csv")
    with pytest.raises(ValueError, match="Delete it and make it again"):
        read_table(tmp_path / "run.csv")


@pytest.mark.parametrize(
    "change",
    [
        lambda table: table.drop(columns="seed"),
        lambda table: table.assign(more=1),
        lambda table: table[table.columns[::-1]],
    ],
    ids=["one too few", "one too many", "another order"],
)
def test_another_table_is_refused_with_both_lists_of_columns(tmp_path, table, change):
    other = change(table)
    write_table(other, tmp_path / "run.csv")
    with pytest.raises(ValueError, match="holds no runs") as caught:
        read_table(tmp_path / "run.csv")
    assert str(list(COLUMNS)) in str(caught.value) and str(list(other.columns)) in str(caught.value)


# ---------------------------------------------------------------- gathering


def test_the_files_of_a_folder_make_one_table_in_the_order_of_its_settings(tmp_path, table):
    for name, seed, size in [("a", 1, 500), ("b", 0, 2000), ("c", 0, 500)]:
        write_table(table.iloc[::-1].assign(seed=seed, train_size=size), tmp_path / f"{name}.csv")
    gathered = gather(tmp_path)
    keys = [*SETTINGS, "epoch"]
    assert gathered[keys].to_numpy().tolist() == sorted(gathered[keys].to_numpy().tolist())
    assert gathered[["train_size", "seed", "epoch"]].to_numpy().tolist() == [
        [500, 0, 1],
        [500, 0, 2],
        [500, 1, 1],
        [500, 1, 2],
        [2000, 0, 1],
        [2000, 0, 2],
    ]
    assert gathered.index.tolist() == list(range(6))


def test_what_is_not_a_finished_run_is_left_out(tmp_path, table):
    write_table(table, tmp_path / "run.csv")
    for name in ("run.csv.x1.unfinished", "images.txt", "ledger.csv.gz"):
        (tmp_path / name).write_text("half")
    assert gather(tmp_path).equals(read_table(tmp_path / "run.csv"))


@pytest.mark.parametrize("name", ["", "nowhere"])
def test_a_folder_without_runs_is_named_with_what_trains_them(tmp_path, name):
    with pytest.raises(FileNotFoundError, match="python -m mnist_helpers.labs.sweep") as caught:
        gather(tmp_path / name)
    assert str(tmp_path / name) in str(caught.value)


def test_a_damaged_run_among_good_ones_is_named(tmp_path, table):
    write_table(table, tmp_path / "good.csv")
    (tmp_path / "bad.csv").write_bytes(b"")
    with pytest.raises(ValueError, match="bad.csv is damaged"):
        gather(tmp_path)
