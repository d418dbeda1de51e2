"""Tables of runs: written whole or not at all, read with care."""

import gzip

import numpy as np
import pandas as pd
import pytest

from mnist_helpers.labs.ledger import COLUMNS, SETTINGS, gather, load_ledger, read_table, write_ledger, write_table
from mnist_helpers.labs.sweep import grid
from small_ledger import made_run

PLAIN_OR_PACKED = pytest.mark.parametrize("name", ["run.csv", "ledger.csv.gz"])


@pytest.fixture
def table():
    return made_run(epochs=2, train_size=500)


# ---------------------------------------------------------------- writing and reading


@PLAIN_OR_PACKED
def test_a_table_comes_back_with_six_significant_digits(tmp_path, table, name):
    right = np.array([59_999, 12_345])
    table = table.assign(train_loss=[1234567.0, 1.234567e-7], train_accuracy=right / 60_000)
    write_table(table, tmp_path / name)
    for column in table.select_dtypes(float):
        table[column] = [float(f"{value:.6g}") for value in table[column]]
    pd.testing.assert_frame_equal(read_table(tmp_path / name), table, check_exact=True)
    assert np.allclose(table["train_accuracy"] * 60_000, right, atol=0.05), "enough to count images"


def test_settings_come_back_to_the_last_bit(tmp_path):
    points = sorted({(setting.dropout, setting.weight_decay) for setting in grid()})
    runs = [made_run(epochs=1, dropout=dropout, weight_decay=decay) for dropout, decay in points]
    write_table(pd.concat(runs), tmp_path / "run.csv")
    assert list(map(tuple, read_table(tmp_path / "run.csv")[["dropout", "weight_decay"]].to_numpy())) == points


def test_equal_tables_are_equal_files_and_a_name_that_ends_in_gz_is_packed(tmp_path, table):
    for folder in ("one", "two"):
        for name in ("run.csv", "run.csv.gz"):
            write_table(table, tmp_path / folder / name)
    plain, packed = ((tmp_path / "one" / name).read_bytes() for name in ("run.csv", "run.csv.gz"))
    assert plain == (tmp_path / "two" / "run.csv").read_bytes() == gzip.decompress(packed)
    assert packed == (tmp_path / "two" / "run.csv.gz").read_bytes() and packed[4:8] == bytes(4), "no time in it"


@PLAIN_OR_PACKED
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


# ---------------------------------------------------------------- the two tables of a ledger


@pytest.fixture
def ledger():
    return pd.concat([made_run(seed, epochs=3, train_size=500) for seed in (0, 1)], ignore_index=True)


def test_a_ledger_is_two_tables_without_a_setting_written_twice(tmp_path, ledger):
    write_ledger(ledger, tmp_path)
    runs, epochs = (pd.read_csv(tmp_path / f"{name}.csv.gz") for name in ("runs", "epochs"))
    assert runs["run"].tolist() == [0, 1] and epochs["run"].tolist() == [0, 0, 0, 1, 1, 1]
    assert set(runs) & set(epochs) == {"run"} and set(runs) | set(epochs) == {"run", *COLUMNS}
    pd.testing.assert_frame_equal(load_ledger(str(tmp_path)), ledger, rtol=1e-5)


@pytest.mark.parametrize("part", [slice(0, 3), slice(0, 5)], ids=["a run", "an epoch"])
def test_tables_of_two_ledgers_are_refused(tmp_path, ledger, part):
    write_ledger(ledger, tmp_path)
    write_ledger(ledger[part], tmp_path / "other")
    (tmp_path / "other" / "epochs.csv.gz").replace(tmp_path / "epochs.csv.gz")
    with pytest.raises(ValueError, match="do not belong together") as caught:
        load_ledger(tmp_path)
    assert str(tmp_path) in str(caught.value)


# ---------------------------------------------------------------- files that cannot be used


@PLAIN_OR_PACKED
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
    with pytest.raises(ValueError, match="Delete it and make it again|holds no runs") as caught:
        read_table(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    "change",
    [
        lambda table: table.iloc[:0],
        lambda table: table.drop(columns="seed"),
        lambda table: table.assign(more=1),
        lambda table: table[table.columns[::-1]],
    ],
    ids=["no rows", "one column too few", "one too many", "another order"],
)
def test_another_table_is_refused_with_both_lists_of_columns(tmp_path, table, change):
    other = change(table)
    write_table(other, tmp_path / "run.csv")
    with pytest.raises(ValueError, match="Delete it and make it again|holds no runs") as caught:
        read_table(tmp_path / "run.csv")
    if len(other):
        assert str(list(COLUMNS)) in str(caught.value) and str(list(other.columns)) in str(caught.value)


# ---------------------------------------------------------------- gathering


def test_the_finished_runs_of_a_folder_make_one_table_in_the_order_of_its_settings(tmp_path, table):
    for name, seed, size in [("a", 1, 500), ("b", 0, 2000), ("c", 0, 500)]:
        write_table(table.iloc[::-1].assign(seed=seed, train_size=size), tmp_path / f"{name}.csv")
    for name in ("run.csv.x1.unfinished", "images.txt", "runs.csv.gz"):
        (tmp_path / name).write_text("half")
    gathered = gather(tmp_path)
    rows = [[size, seed, epoch] for size, seed in ((500, 0), (500, 1), (2000, 0)) for epoch in (1, 2)]
    assert gathered[["train_size", "seed", "epoch"]].to_numpy().tolist() == rows
    assert gathered.index.tolist() == list(range(6)) and list(gathered)[:9] == SETTINGS


@pytest.mark.parametrize("name", ["", "nowhere"])
def test_what_is_not_there_is_named_with_what_makes_it(tmp_path, name):
    with pytest.raises(FileNotFoundError, match="python -m mnist_helpers.labs.sweep") as caught:
        gather(tmp_path / name)
    assert str(tmp_path / name) in str(caught.value)
    with pytest.raises(FileNotFoundError, match="nothing.csv"):
        read_table(tmp_path / "nothing.csv")


def test_a_damaged_run_among_good_ones_is_named(tmp_path, table):
    write_table(table, tmp_path / "good.csv")
    (tmp_path / "bad.csv").write_bytes(b"")
    with pytest.raises(ValueError, match="bad.csv is damaged"):
        gather(tmp_path)
