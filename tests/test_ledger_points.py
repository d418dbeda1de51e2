"""A few points of the shipped ledger, trained again from scratch: they must come out where the ledger says."""

import math

import pytest
from scipy.stats import t

from mnist_helpers.labs.ledger import COLUMNS, SETTINGS, last_epochs, load_ledger, select
from mnist_helpers.labs.sweep import Setting, grid, train_setting
from mnist_helpers.labs.sweep.grid import EPOCHS
from mnist_helpers.quick import quick_settings

MEASURES = [name for name in COLUMNS if name.startswith(("running_loss", "valid_", "test_", "weight_norm_"))]


def band(values):
    """Where one more seed lies with 99.9 % probability: mean and half the width, by Student's t distribution."""
    count = len(values)
    return values.mean(), t.ppf(0.9995, count - 1) * values.std() * math.sqrt(1 + 1 / count)


@pytest.mark.parametrize("dropout, weight_decay, seed", [(0.0, 0.0, 0), (0.2, 1e-4, 10)])
def test_trained_again_it_lies_among_the_ledger_s_seeds(full, dropout, weight_decay, seed):
    """Seed 0 is one of the ledger's, seed 10 is not."""
    with quick_settings():
        rows = train_setting(Setting(dropout, weight_decay, train_size=500, epochs=EPOCHS[500], seed=seed), full)
    runs = select(last_epochs(load_ledger()), dropout=dropout, weight_decay=weight_decay, train_size=500)
    assert len(runs) >= 10
    for measure in MEASURES:
        mean, half = band(runs[measure])
        assert abs(rows[measure].iloc[-1] - mean) <= half, measure


@pytest.mark.parametrize("change", [{"dropout": 0.5}, {"weight_decay": 1e-3}], ids=str)
def test_the_bands_tell_other_settings_apart(change):
    """A retrained point could miss its band: the runs of other settings do, in at least one measure."""
    runs = last_epochs(load_ledger())
    recipe, other = select(runs, train_size=500), select(runs, train_size=500, **change)
    bands = {measure: band(recipe[measure]) for measure in MEASURES}
    assert any(((other[measure] - mean).abs() > half).all() for measure, (mean, half) in bands.items())


def test_the_ledger_holds_the_whole_grid():
    """Each run once, with all its epochs."""
    ledger = load_ledger()
    epochs = ledger.groupby(SETTINGS)["epoch"].agg(list)
    assert all(seen == list(range(1, key[SETTINGS.index("epochs")] + 1)) for key, seen in epochs.items())
    assert {Setting(*key).name for key in epochs.index} == {setting.name for setting in grid()}
    assert ledger["torch"].nunique() == ledger["python"].nunique() == 1
    assert not ledger.isna().any().any()
