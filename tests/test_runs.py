"""Keep trained runs in files and find them again."""

import dataclasses
import os
import pickle
import platform

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import t

from mnist_helpers import runs, training
from mnist_helpers.data import make_loader
from mnist_helpers.labs.ledger import last_epochs, load_ledger, select
from mnist_helpers.predictions import predict
from mnist_helpers.runs import SHIPPED, load_or_train, load_run, read_run, runs_dir, save_run, train_run
from mnist_helpers.training import evaluate


@pytest.fixture
def path(tmp_path, trained, small):
    """The file of a saved run."""
    return save_run(tmp_path / "run.pt", trained, small)


@pytest.fixture
def own_runs(tmp_path, monkeypatch):
    """An empty folder for the runs of one test."""
    monkeypatch.setenv("MNIST_RUNS_DIR", str(tmp_path / "runs"))
    return tmp_path / "runs"


def equal_weights(first, second):
    """Whether two models have the same weights to the last bit."""
    first, second = first.state_dict(), second.state_dict()
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


# ---------------------------------------------------------------- saving and loading


def test_a_loaded_run_has_the_weights_that_were_saved(path, trained, small):
    assert equal_weights(load_run(path, small).model, trained.model)


@pytest.mark.parametrize("what", ["history", "settings", "versions"])
def test_a_loaded_run_has_what_was_saved(path, trained, small, what):
    assert getattr(load_run(path, small), what) == getattr(trained, what)


def test_a_loaded_run_predicts_as_before(path, trained, small):
    loaded = predict(load_run(path, small).model, small.test)
    assert torch.equal(loaded.logits, predict(trained.model, small.test).logits)


def test_a_loaded_run_has_the_dropout_rate_it_was_trained_with(tmp_path, small):
    run = train_run(small, dropout=0.4, epochs=1, progress=False)
    rates = [
        layer.p
        for layer in load_run(save_run(tmp_path / "run.pt", run, small), small).model.modules()
        if isinstance(layer, torch.nn.Dropout)
    ]
    assert rates == [0.4, 0.4]


def test_a_run_knows_the_versions_that_made_it(trained):
    assert trained.versions == {"python": platform.python_version(), "torch": str(torch.__version__)}


def test_a_loaded_run_tells_the_versions_that_made_it_not_the_present_ones(tmp_path, trained, small):
    old = dataclasses.replace(trained, versions={"python": "3.0", "torch": "0.1"})
    assert load_run(save_run(tmp_path / "run.pt", old, small), small).versions == {"python": "3.0", "torch": "0.1"}


def test_saving_makes_the_folder_and_leaves_one_file(tmp_path, trained, small):
    saved = save_run(str(tmp_path / "a" / "b" / "run.pt"), trained, small)
    assert saved == tmp_path / "a" / "b" / "run.pt"
    assert [path.name for path in saved.parent.iterdir()] == ["run.pt"]


def test_a_newer_run_replaces_an_older_one(path, small):
    newer = train_run(small, epochs=1, seed=1, progress=False)
    save_run(path, newer, small)
    assert equal_weights(load_run(path, small).model, newer.model)


def test_an_interrupted_save_leaves_the_older_run(path, trained, small, monkeypatch):
    def write_half(content, target):
        target.write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", write_half)
    with pytest.raises(KeyboardInterrupt):
        save_run(path, dataclasses.replace(trained, settings={}), small)
    assert load_run(path, small).settings == trained.settings


# ---------------------------------------------------------------- files that cannot be used


def complaint(path, data, kind=ValueError):
    """The message with which load_run refuses the file; it names the file."""
    with pytest.raises(kind) as caught:
        load_run(path, data)
    assert str(path) in str(caught.value)
    return str(caught.value)


def test_a_missing_file_is_refused_with_where_runs_come_from(tmp_path, small):
    assert "Lesson 03" in complaint(tmp_path / "nothing.pt", small, FileNotFoundError)


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:-100],
        lambda content: content[: len(content) // 2],
        lambda content: b"",
        lambda content: b"epoch,loss\n1,0.5\n",
    ],
    ids=["truncated", "half", "empty", "text"],
)
def test_a_damaged_file_is_refused_with_what_to_do(path, small, damage):
    path.write_bytes(damage(path.read_bytes()))
    assert "Delete it and train again" in complaint(path, small)


@pytest.mark.parametrize(
    "dump", [torch.save, lambda content, path: path.write_bytes(pickle.dumps(content, 2))], ids=["torch", "pickle"]
)
def test_a_file_with_code_in_it_is_refused_and_does_not_run(tmp_path, small, dump):
    trap = tmp_path / "the code ran"
    code = type("Code", (), {"__reduce__": lambda self: (os.mkdir, (str(trap),))})
    dump({"format": runs.FORMAT, "weights": code()}, tmp_path / "run.pt")
    complaint(tmp_path / "run.pt", small)
    assert not trap.exists()


@pytest.mark.parametrize(
    "content",
    [{"weights": {}}, {"format": "another 1"}, [1, 2], torch.zeros(3)],
    ids=["no mark", "another mark", "a list", "a tensor"],
)
def test_a_torch_file_that_is_no_run_is_refused(tmp_path, small, content):
    torch.save(content, tmp_path / "run.pt")
    assert "holds no run" in complaint(tmp_path / "run.pt", small)


@pytest.mark.parametrize(
    "change",
    [
        lambda weights: weights | {"layers.1.weight": torch.zeros(100, 784)},
        lambda weights: {name: tensor for name, tensor in weights.items() if name != "layers.7.bias"},
        lambda weights: weights | {"layers.9.weight": torch.zeros(1)},
    ],
    ids=["another size", "one too few", "one too many"],
)
def test_the_weights_of_another_network_are_refused(path, small, change):
    content = torch.load(path, weights_only=True)
    torch.save(content | {"weights": change(content["weights"])}, path)
    assert "another network" in complaint(path, small)


def test_a_run_trained_on_other_data_is_refused_with_both_data(path, small, sample):
    message = complaint(path, sample)
    assert str(small) in message and str(sample) in message


# ---------------------------------------------------------------- train_run


def test_train_run_follows_the_recipe(small):
    run = train_run(small, epochs=1, progress=False)
    assert run.settings == {"dropout": 0.2, "weight_decay": 1e-4, "epochs": 1, "seed": 0}
    assert len(run.history) == 1


def test_train_run_is_repeatable_to_the_last_bit(trained, small):
    assert equal_weights(train_run(small, epochs=2, progress=False).model, trained.model)


@pytest.mark.parametrize("setting", [{"seed": 1}, {"dropout": 0.3}, {"weight_decay": 0.01}, {"epochs": 3}], ids=str)
def test_each_setting_changes_the_trained_weights(trained, small, setting):
    other = train_run(small, **({"epochs": 2} | setting), progress=False)
    assert not equal_weights(other.model, trained.model)
    assert other.settings == trained.settings | setting


def initial_weights_and_batches(data, monkeypatch, **settings):
    """The weights before the first step, and the sums of the images of all training batches."""
    weights, batches, train_step = [], [], training.train_step

    def spy(model, images, labels, optimizer):
        if not batches:
            weights.extend(parameter.detach().clone() for parameter in model.parameters())
        batches.append(images.sum().item())
        return train_step(model, images, labels, optimizer)

    with monkeypatch.context() as patch:
        patch.setattr(training, "train_step", spy)
        train_run(data, epochs=2, progress=False, **settings)
    return torch.cat([tensor.flatten() for tensor in weights]), batches


@pytest.mark.parametrize("setting", [{"dropout": 0.0}, {"dropout": 0.5}, {"weight_decay": 0.0}], ids=str)
def test_runs_of_one_seed_differ_in_nothing_but_the_setting(small, monkeypatch, setting):
    weights, batches = initial_weights_and_batches(small, monkeypatch)
    other_weights, other_batches = initial_weights_and_batches(small, monkeypatch, **setting)
    assert torch.equal(other_weights, weights)
    assert other_batches == batches


# ---------------------------------------------------------------- load_or_train


def test_runs_lie_in_the_folder_of_the_environment_variable(own_runs):
    assert runs_dir() == own_runs


def test_runs_lie_in_the_repository_without_the_variable(monkeypatch):
    monkeypatch.delenv("MNIST_RUNS_DIR")
    assert runs_dir().name == "runs" and (runs_dir().parent / "pyproject.toml").is_file()


def test_a_run_is_trained_at_first_and_loaded_from_then_on(own_runs, small, capsys):
    trained = load_or_train("recipe", small, epochs=1)
    assert "Training the run 'recipe' now" in capsys.readouterr().out
    loaded = load_or_train("recipe", small, epochs=1)
    assert capsys.readouterr().out == "Loaded the run 'recipe' that was trained before.\n"
    assert equal_weights(loaded.model, trained.model) and loaded.history == trained.history


def test_options_of_fit_do_not_keep_a_run_from_being_found(own_runs, small, capsys):
    load_or_train("recipe", small, epochs=1, progress=False)
    load_or_train("recipe", small, epochs=1, progress=False)
    assert "Loaded" in capsys.readouterr().out


def test_a_run_whose_settings_came_from_numpy_is_found_again(own_runs, small, capsys):
    for _ in range(2):
        load_or_train("recipe", small, epochs=1, dropout=np.linspace(0, 0.5, 3)[1])
    assert "Loaded" in capsys.readouterr().out


@pytest.mark.parametrize("setting", [{"dropout": 0.5}, {"seed": 1}, {"epochs": 2}, {"weight_decay": 0.0}], ids=str)
def test_other_settings_train_anew_and_keep_the_older_file(own_runs, small, capsys, setting):
    load_or_train("recipe", small, epochs=1)
    before = (own_runs / "recipe.pt").read_bytes()
    run = load_or_train("recipe", small, **({"epochs": 1} | setting))
    assert run.settings.items() >= setting.items()
    assert "Training the run 'recipe' now (the saved one has other settings" in capsys.readouterr().out
    assert (own_runs / "recipe.pt").read_bytes() == before


def test_a_damaged_file_is_trained_anew_and_kept(own_runs, small, capsys):
    own_runs.mkdir()
    (own_runs / "recipe.pt").write_text("a text")
    assert len(load_or_train("recipe", small, epochs=1).history) == 1
    assert "is damaged" in capsys.readouterr().out
    assert (own_runs / "recipe.pt").read_text() == "a text"


def test_a_run_on_other_data_is_trained_anew_and_kept(own_runs, small, capsys):
    load_or_train("recipe", small, epochs=1)
    before = (own_runs / "recipe.pt").read_bytes()
    load_or_train("recipe", small.with_train_size(200), epochs=1)
    assert "trained on other data" in capsys.readouterr().out
    assert (own_runs / "recipe.pt").read_bytes() == before


def test_a_run_that_was_stopped_is_not_kept(own_runs, small):
    run = load_or_train("recipe", small, epochs=3, on_epoch_end=lambda _: True)
    assert len(run.history) == 1
    assert not (own_runs / "recipe.pt").exists()


def test_a_saved_run_that_was_stopped_is_trained_anew(own_runs, small, capsys):
    stopped = train_run(small, epochs=3, on_epoch_end=lambda _: True, progress=False)
    save_run(own_runs / "recipe.pt", stopped, small)
    assert len(load_or_train("recipe", small, epochs=3).history) == 3
    assert "not complete" in capsys.readouterr().out


# ---------------------------------------------------------------- the run that comes with the package


def test_the_shipped_run_is_the_recipe_on_full_mnist():
    content = read_run(SHIPPED)
    assert content["settings"] == {"dropout": 0.2, "weight_decay": 1e-4, "epochs": 10, "seed": 0}
    assert len(content["history"]["seconds"]) == 10 and set(content["versions"]) == {"python", "torch"}
    assert content["data"]["about"] == "Full MNIST: 48,000 training, 12,000 validation and 10,000 test images"
    assert SHIPPED.stat().st_size < 1_000_000


def test_the_shipped_run_gives_its_own_history(full):
    run = load_or_train("recipe", full)
    for part, loader in {"train": make_loader(full.train, 1024), "valid": make_loader(full.valid, 1024)}.items():
        metrics = evaluate(run.model, loader)
        assert metrics.accuracy == getattr(run.history, f"{part}_accuracy")[-1]
        assert metrics.loss == pytest.approx(getattr(run.history, f"{part}_loss")[-1], rel=1e-5)


def test_the_shipped_run_lies_among_the_ledger_s_seeds():
    """The ledger has ten seeds of this very setting: 99.9 % of further runs lie in their prediction interval."""
    history = pd.DataFrame(read_run(SHIPPED)["history"])
    seeds = select(last_epochs(load_ledger()))
    assert len(seeds) == 10
    for column in ("train_loss", "train_accuracy", "valid_loss", "valid_accuracy", "running_loss"):
        half = t.ppf(0.9995, len(seeds) - 1) * seeds[column].std() * (1 + 1 / len(seeds)) ** 0.5
        assert abs(history[column].iloc[-1] - seeds[column].mean()) < half, column


def test_the_sample_takes_the_shipped_run_and_says_where_it_comes_from(own_runs, sample, capsys):
    run = load_or_train("recipe", sample)
    assert equal_weights(run.model, load_run(SHIPPED, None).model)
    said = capsys.readouterr().out
    assert "comes with the package" in said and "full MNIST" in said and "too good" in said
    assert not own_runs.exists()


@pytest.mark.parametrize("settings", [{"epochs": 1}, {"epochs": 1, "dropout": 0.3}], ids=str)
def test_other_settings_than_the_recipe_s_are_trained(own_runs, sample, capsys, settings):
    load_or_train("recipe", sample.with_train_size(100), **settings)
    assert "Training the run 'recipe' now" in capsys.readouterr().out


def test_a_setting_that_there_is_not_is_refused_where_a_run_is_stored_too(own_runs, small):
    load_or_train("x", small, epochs=1, progress=False)
    with pytest.raises(TypeError, match="'droput'.*dropout, weight_decay"):
        load_or_train("x", small, epochs=1, droput=0.9)


@pytest.mark.parametrize("part", ["weights", "history", "settings", "versions", "data"])
def test_an_incomplete_file_is_refused(path, small, part):
    content = torch.load(path, weights_only=True)
    for broken in (
        {name: value for name, value in content.items() if name != part},
        content | {part: {}} if part in ("history", "settings", "data") else {"format": runs.FORMAT},
    ):
        torch.save(broken, path)
        with pytest.raises(ValueError, match=f"incomplete: .*{part}.*train again"):
            load_run(path, small)
