"""Questions to the ledger: which runs, their last epochs, differences within pairs, intervals."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from mnist_helpers.labs.ledger import (
    COLUMNS,
    RECIPE,
    last_epochs,
    load_ledger,
    mean_interval,
    paired_differences,
    select,
    write_table,
)
from mnist_helpers.labs.sweep.grid import Setting
from small_ledger import made_ledger, made_run

NEITHER = {"dropout": 0.0, "weight_decay": 0.0}


@pytest.fixture(scope="module")
def ledger():
    """The recipe and its neighbours, each with 3 seeds; 500 images have 6 epochs instead of 4."""
    return made_ledger(
        {},
        NEITHER,
        {"train_size": 500, "epochs": 6},
        {"optimizer": "AdamW"},
        {"pixels": "standardized"},
        {"network": "wide", "weight_decay": 0.0},
    )


@pytest.fixture(scope="module")
def runs(ledger):
    return last_epochs(ledger)


def test_the_recipe_of_the_ledger_is_that_of_the_sweep():
    assert {name: getattr(Setting(), name) for name in RECIPE} == RECIPE


# ---------------------------------------------------------------- load_ledger


@pytest.mark.parametrize("kind", [str, lambda path: path])
def test_a_ledger_in_another_file_is_loaded(ledger, tmp_path, kind):
    write_table(ledger, tmp_path / "mine.csv.gz")
    loaded = load_ledger(kind(tmp_path / "mine.csv.gz"))
    assert list(loaded.columns) == list(COLUMNS) and len(loaded) == len(ledger)
    np.testing.assert_allclose(loaded["valid_loss"], ledger["valid_loss"], rtol=1e-5)


def test_a_ledger_that_is_not_there_is_missed(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere.csv.gz"):
        load_ledger(tmp_path / "nowhere.csv.gz")


def test_a_table_of_something_else_is_no_ledger(tmp_path):
    path = tmp_path / "other.csv"
    path.write_text("epoch,loss\n1,0.5\n")
    with pytest.raises(ValueError, match="other.csv holds no runs"):
        load_ledger(path)


# ---------------------------------------------------------------- last_epochs


def test_each_run_has_one_row_with_its_last_epoch(ledger, runs):
    assert len(runs) == 6 * 3
    assert (runs["epoch"] == runs["epochs"]).all() and set(runs["epochs"]) == {4, 6}
    last = made_run(2, **NEITHER).iloc[-1]
    row = select(runs, **NEITHER).set_index("seed").loc[2]
    assert row["valid_loss"] == last["valid_loss"] and row["train_accuracy"] == last["train_accuracy"]


def test_the_gap_is_training_minus_validation_accuracy(runs):
    np.testing.assert_array_equal(runs["gap"], runs["train_accuracy"] - runs["valid_accuracy"])


def test_last_epochs_leaves_the_ledger_as_it_was(ledger):
    before = ledger.copy()
    last_epochs(ledger)
    pd.testing.assert_frame_equal(ledger, before)


# ---------------------------------------------------------------- select


def test_what_is_not_named_is_as_in_the_recipe(runs):
    chosen = select(runs)
    assert len(chosen) == 3
    assert all((chosen[name] == value).all() for name, value in RECIPE.items())


@pytest.mark.parametrize(
    "settings",
    [
        NEITHER,
        {"train_size": 500},
        {"optimizer": "AdamW"},
        {"pixels": "standardized"},
        {"network": "wide", "weight_decay": 0.0},
    ],
)
def test_what_is_named_is_as_named_and_the_rest_as_in_the_recipe(runs, settings):
    chosen = select(runs, **settings)
    assert list(chosen["seed"]) == [0, 1, 2]
    assert all((chosen[name] == value).all() for name, value in {**RECIPE, **settings}.items())


def test_all_epochs_of_a_run_can_be_selected(ledger):
    assert len(select(ledger, train_size=500)) == 3 * 6


def test_values_that_no_run_has_together_select_nothing(runs):
    assert len(select(runs, optimizer="AdamW", train_size=500)) == 0


def test_an_unknown_setting_is_refused_with_those_there_are(runs):
    with pytest.raises(ValueError, match="no setting 'seed' to select by, only dropout, weight_decay, train_size"):
        select(runs, seed=0)


def test_a_value_that_no_run_has_is_refused_with_those_there_are(runs):
    with pytest.raises(ValueError, match=r"no run has dropout 0.4, there are \[0.0, 0.2\]"):
        select(runs, dropout=0.4)


# ---------------------------------------------------------------- paired_differences


def of_seeds(values, **settings):
    """One row a run, with the recipe's settings except for `settings`, and a value for each seed."""
    return pd.DataFrame([{**RECIPE, **settings, "seed": seed, "valid_loss": value} for seed, value in values.items()])


def test_the_differences_are_first_minus_second_seed_by_seed():
    runs = pd.concat([of_seeds({0: 5.0, 1: 7.0, 2: 9.0}), of_seeds({2: 1.0, 0: 3.0, 1: 2.0}, **NEITHER)])
    assert paired_differences(runs, "valid_loss", {}, NEITHER).to_dict() == {0: 2.0, 1: 5.0, 2: 8.0}
    assert paired_differences(runs, "valid_loss", NEITHER, {}).to_dict() == {0: -2.0, 1: -5.0, 2: -8.0}


def test_a_seed_that_only_one_of_the_two_has_is_left_out():
    runs = pd.concat([of_seeds({0: 5.0, 1: 7.0, 3: 1.0}), of_seeds({1: 3.0, 2: 9.0, 3: 0.5}, **NEITHER)])
    assert paired_differences(runs, "valid_loss", {}, NEITHER).to_dict() == {1: 4.0, 3: 0.5}


def test_a_seed_without_a_value_is_left_out():
    runs = pd.concat([of_seeds({0: 5.0, 1: np.nan}), of_seeds({0: 3.0, 1: 9.0}, **NEITHER)])
    assert paired_differences(runs, "valid_loss", {}, NEITHER).to_dict() == {0: 2.0}


def test_settings_without_a_common_seed_have_no_difference():
    runs = pd.concat([of_seeds({0: 5.0}), of_seeds({1: 3.0}, **NEITHER)])
    assert len(paired_differences(runs, "valid_loss", {}, NEITHER)) == 0


def test_a_misspelt_setting_in_either_place_is_refused(runs):
    for first, second in (({"drop": 0.2}, {}), ({}, {"drop": 0.2})):
        with pytest.raises(ValueError, match="no setting 'drop'"):
            paired_differences(runs, "valid_loss", first, second)


# ---------------------------------------------------------------- mean_interval

FIVE = pd.Series([0.31, 0.42, 0.27, 0.55, 0.40])


@pytest.mark.parametrize("confidence", [0.5, 0.95, 0.99])
@pytest.mark.parametrize("number", [2, 3, 5])
def test_the_interval_is_scipys(number, confidence):
    values = FIVE[:number]
    mean, half = mean_interval(values, confidence)
    expected = stats.t.interval(confidence, number - 1, loc=np.mean(values), scale=stats.sem(values))
    assert (mean - half, mean + half) == pytest.approx(expected, rel=1e-12)


def test_the_interval_of_95_percent_is_the_default():
    assert mean_interval(FIVE) == mean_interval(FIVE, 0.95)


def test_the_interval_by_hand():
    mean, half = mean_interval(pd.Series([1.0, 2.0, 3.0]))  # deviation 1, and t is 4.3027 for 2 degrees of freedom
    assert (mean, half) == (2, pytest.approx(4.30265 / 3**0.5, rel=1e-5))


def test_the_interval_of_pairs_leaves_out_zero_when_the_paired_t_test_says_so():
    random = np.random.default_rng(0)
    for _ in range(50):
        first, second = random.normal(0.5, 1, 8), random.normal(0, 1, 8)
        mean, half = mean_interval(pd.Series(first - second))
        assert (abs(mean) > half) == (stats.ttest_rel(first, second).pvalue < 0.05)


def test_a_table_has_an_interval_for_each_column():
    table = pd.DataFrame({"loss": FIVE, "accuracy": 1 - 2 * FIVE})
    means, halves = mean_interval(table)
    for column in table:
        assert (means[column], halves[column]) == pytest.approx(mean_interval(table[column]))


@pytest.mark.parametrize("values", [FIVE[:0], FIVE[:1], FIVE[:1].to_frame()])
def test_fewer_than_two_seeds_have_no_interval(values):
    with pytest.raises(ValueError, match="each of at least 2 seeds"):
        mean_interval(values)


@pytest.mark.parametrize(
    "values", [pd.Series([0.1, 0.2, np.nan]), pd.DataFrame({"loss": [0.1, 0.2, 0.3], "accuracy": [0.9, np.nan, 0.8]})]
)
def test_a_seed_without_a_value_is_not_passed_over(values):
    with pytest.raises(ValueError, match="(?s)a value for each.*NaN"):
        mean_interval(values)
