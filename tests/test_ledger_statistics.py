"""Questions to the ledger: which runs, their last epochs, differences within pairs, intervals."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from mnist_helpers.labs.ledger import (
    RECIPE,
    SETTINGS,
    best_epochs,
    holm,
    last_epochs,
    mean_interval,
    p_value,
    paired_differences,
    select,
)
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


def test_each_run_has_one_row_with_its_last_epoch_and_its_gap(ledger):
    before = ledger.copy()
    runs = last_epochs(ledger)
    pd.testing.assert_frame_equal(ledger, before)
    assert len(runs) == 6 * 3
    assert (runs["epoch"] == runs["epochs"]).all() and set(runs["epochs"]) == {4, 6}
    last = made_run(2, **NEITHER).iloc[-1]
    row = select(runs, **NEITHER).set_index("seed").loc[2]
    assert row["valid_loss"] == last["valid_loss"] and row["train_accuracy"] == last["train_accuracy"]
    np.testing.assert_array_equal(runs["gap"], runs["train_accuracy"] - runs["valid_accuracy"])


def test_the_best_epoch_is_the_one_with_the_lowest_validation_loss(ledger):
    best = best_epochs(ledger)
    assert len(best) == len(last_epochs(ledger)) and list(best.index) == list(range(len(best)))
    for row in best.itertuples():
        run = ledger[(ledger[SETTINGS] == [getattr(row, name) for name in SETTINGS]).all(axis=1)]
        assert row.valid_loss == run["valid_loss"].min() and row.gap == row.train_accuracy - row.valid_accuracy
    assert (best["epoch"] < best["epochs"]).any(), "not always the last"


# ---------------------------------------------------------------- select


@pytest.mark.parametrize(
    "settings",
    [
        {},
        NEITHER,
        {"train_size": 500},
        {"optimizer": "AdamW"},
        {"pixels": "standardized"},
        {"network": "wide", "weight_decay": 0.0},
    ],
    ids=str,
)
def test_what_is_named_is_as_named_and_the_rest_as_in_the_recipe(ledger, runs, settings):
    chosen = select(runs, **settings)
    assert list(chosen["seed"]) == [0, 1, 2]
    assert all((chosen[name] == value).all() for name, value in {**RECIPE, **settings}.items())
    assert len(select(ledger, **settings)) == chosen["epochs"].sum(), "all epochs of a run can be selected"


def test_values_that_no_run_has_together_select_nothing(runs):
    assert len(select(runs, optimizer="AdamW", train_size=500)) == 0


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"seed": 0}, "no setting 'seed' to select by, only dropout, weight_decay, label_smoothing, train_size"),
        ({"dropout": 0.4}, r"no run has dropout 0.4, there are \[0.0, 0.2\]"),
    ],
)
def test_what_is_unknown_is_refused_with_what_there_is(runs, settings, message):
    for question in (
        lambda: select(runs, **settings),
        lambda: paired_differences(runs, "valid_loss", settings, {}),
        lambda: paired_differences(runs, "valid_loss", {}, settings),
    ):
        with pytest.raises(ValueError, match=message):
            question()


# ---------------------------------------------------------------- paired_differences


def of_seeds(values, **settings):
    """One row a run, with the recipe's settings except for `settings`, and a value for each seed."""
    return pd.DataFrame([{**RECIPE, **settings, "seed": seed, "valid_loss": value} for seed, value in values.items()])


@pytest.mark.parametrize(
    "first, second, differences",
    [
        ({0: 5.0, 1: 7.0, 2: 9.0}, {2: 1.0, 0: 3.0, 1: 2.0}, {0: 2.0, 1: 5.0, 2: 8.0}),
        ({0: 5.0, 1: 7.0, 3: 1.0}, {1: 3.0, 2: 9.0, 3: 0.5}, {1: 4.0, 3: 0.5}),
        ({0: 5.0, 1: np.nan}, {0: 3.0, 1: 9.0}, {0: 2.0}),
        ({0: 5.0}, {1: 3.0}, {}),
    ],
    ids=["in another order", "seeds of one of them", "no value", "no common seed"],
)
def test_the_differences_are_first_minus_second_of_each_seed_that_both_have(first, second, differences):
    runs = pd.concat([of_seeds(first), of_seeds(second, **NEITHER)])
    assert paired_differences(runs, "valid_loss", {}, NEITHER).to_dict() == differences
    turned = {seed: -difference for seed, difference in differences.items()}
    assert paired_differences(runs, "valid_loss", NEITHER, {}).to_dict() == turned


# ---------------------------------------------------------------- mean_interval

FIVE = pd.Series([0.31, 0.42, 0.27, 0.55, 0.40])


@pytest.mark.parametrize("options, confidence", [({}, 0.95), ({"confidence": 0.5}, 0.5), ({"confidence": 0.99}, 0.99)])
@pytest.mark.parametrize("number", [2, 3, 5])
def test_the_interval_is_scipys(number, options, confidence):
    values = FIVE[:number]
    interval = mean_interval(values, **options)
    expected = stats.t.interval(confidence, number - 1, loc=np.mean(values), scale=stats.sem(values))
    assert (interval.low, interval.high) == pytest.approx(expected, rel=1e-12)


def test_a_table_has_an_interval_for_each_column():
    table = pd.DataFrame({"loss": FIVE, "accuracy": 1 - 2 * FIVE})
    means, halves = mean_interval(table)
    for column in table:
        assert (means[column], halves[column]) == pytest.approx(mean_interval(table[column]))


@pytest.mark.parametrize(
    "values",
    [
        FIVE[:0],
        FIVE[:1],
        FIVE[:1].to_frame(),
        pd.Series([0.1, 0.2, np.nan]),
        pd.DataFrame({"loss": [0.1, 0.2, 0.3], "accuracy": [0.9, np.nan, 0.8]}),
    ],
    ids=["none", "one", "a table of one", "a gap", "a gap in a table"],
)
def test_fewer_than_two_seeds_or_one_without_a_value_have_no_interval(values):
    with pytest.raises(ValueError, match="a value for each of at least 2 seeds"):
        mean_interval(values)


# ---------------------------------------------------------------- overlapping splits, many questions


def test_an_overlap_adds_its_share_to_the_variance_of_the_mean():
    """Nadeau and Bengio (2003): 1/n becomes 1/n + validation images / training images."""
    values = pd.Series(np.random.default_rng(0).normal(1, 2, 10))
    plain, wide = mean_interval(values), mean_interval(values, overlap=12 / 48)
    assert wide.middle == plain.middle and wide.half / plain.half == pytest.approx(3.5**0.5)


@pytest.mark.parametrize("shift", [0.0, 0.3, -5.0])
def test_a_p_value_is_that_of_student_s_test_and_agrees_with_the_interval(shift):
    values = pd.Series(np.random.default_rng(1).normal(shift, 1, 8))
    assert p_value(values) == pytest.approx(stats.ttest_1samp(values, 0).pvalue)
    for overlap in (0.0, 0.25):
        confidence = 1 - p_value(values, overlap)  # the interval that just touches zero
        mean, half = mean_interval(values, confidence, overlap)
        assert half == pytest.approx(abs(mean), rel=1e-6)


def test_holm_multiplies_by_the_questions_that_are_left():
    corrected = holm(pd.Series({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005, "e": 0.9}))
    assert corrected.to_dict() == pytest.approx({"d": 0.025, "a": 0.04, "c": 0.09, "b": 0.09, "e": 0.9})
    assert holm(pd.Series([0.6, 0.7])).tolist() == [1, 1]
