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

from lessons import stored_numbers
from mnist_helpers import runs, training
from mnist_helpers.data import make_loader
from mnist_helpers.labs.ledger import last_epochs, load_ledger, select
from mnist_helpers.predictions import predict
from mnist_helpers.runs import SHIPPED, load_or_train, load_run, read_run, save_run, train_run
from mnist_helpers.training import device_of, evaluate
from panels import equal_weights

RECIPE = {"dropout": 0.2, "weight_decay": 1e-4, "epochs": 10, "seed": 0, "lr": 0.001, "batch_size": 32}


@pytest.fixture
def path(tmp_path, trained, small):
    """The file of a saved run."""
    return save_run(tmp_path / "run.pt", trained, small)


@pytest.fixture
def own_runs(tmp_path, monkeypatch):
    """An empty folder for the runs of one test."""
    monkeypatch.setenv("MNIST_RUNS_DIR", str(tmp_path / "runs"))
    return tmp_path / "runs"


@pytest.fixture
def quick(small):
    """A run of one epoch on 64 images by `load_or_train`, under the name "own"."""
    data = small.with_train_size(64)
    return lambda **settings: load_or_train("own", data, **{"epochs": 1, "progress": False} | settings)


def test_a_loaded_run_is_the_run_that_was_saved(tmp_path, trained, small):
    old = dataclasses.replace(trained, versions={"python": "3.0", "torch": "0.1"})
    saved = save_run(str(tmp_path / "a" / "b" / "run.pt"), old, small)
    assert saved == tmp_path / "a" / "b" / "run.pt" and list(saved.parent.iterdir()) == [saved]
    loaded = load_run(saved, small)
    assert equal_weights(loaded.model, trained.model)
    assert (loaded.history, loaded.settings, loaded.versions) == (trained.history, trained.settings, old.versions)
    assert trained.versions == {"python": platform.python_version(), "torch": str(torch.__version__)}
    assert torch.equal(predict(loaded.model, small.test).logits, predict(trained.model, small.test).logits)


def test_a_newer_run_replaces_an_older_one_and_has_its_own_dropout_rate(path, small):
    newer = train_run(small, dropout=0.4, epochs=1, seed=1, progress=False)
    save_run(path, newer, small)
    model = load_run(path, small).model
    assert equal_weights(model, newer.model)
    assert [layer.p for layer in model.modules() if isinstance(layer, torch.nn.Dropout)] == [0.4, 0.4]


def test_a_save_that_breaks_off_leaves_the_older_run(path, trained, small, monkeypatch):
    before = path.read_bytes()
    monkeypatch.setattr(torch, "save", lambda content, target: target.write(b"half") / 0)
    with pytest.raises(ZeroDivisionError):
        save_run(path, trained, small)
    assert path.read_bytes() == before


def complaint(path, data, kind=ValueError):
    """The message with which load_run refuses the file; it names the file."""
    with pytest.raises(kind) as caught:
        load_run(path, data)
    assert str(path) in str(caught.value)
    return str(caught.value)


def test_a_damaged_or_missing_file_is_refused_with_what_to_do(path, small):
    whole = path.read_bytes()
    for damaged in (whole[:-100], whole[: len(whole) // 2], b"", b"epoch,loss"):
        path.write_bytes(damaged)
        assert "Delete it and train again" in complaint(path, small)
    path.unlink()
    assert "Lesson 3b" in complaint(path, small, FileNotFoundError)


@pytest.mark.parametrize(
    "dump", [torch.save, lambda content, path: path.write_bytes(pickle.dumps(content, 2))], ids=["torch", "pickle"]
)
def test_a_file_with_code_in_it_is_refused_and_does_not_run(tmp_path, small, dump):
    trap = tmp_path / "the code ran"
    code = type("Code", (), {"__reduce__": lambda self: (os.mkdir, (str(trap),))})
    dump({"format": runs.FORMAT, "weights": code()}, tmp_path / "run.pt")
    complaint(tmp_path / "run.pt", small)
    assert not trap.exists()


def without(*names):
    """A change of a file's content: the value at content[name] or content[name][name] is missing."""

    def change(content):
        del (content if len(names) == 1 else content[names[0]])[names[-1]]
        return content

    return change


def with_weights(name, *shape):
    return lambda content: content | {"weights": content["weights"] | {name: torch.zeros(shape)}}


PARTS = [(part,) for part in ("weights", "history", "settings", "versions", "data")]
PARTS += [("history", "valid_loss"), ("settings", "dropout"), ("data", "fingerprint")]


@pytest.mark.parametrize(
    "change, words",
    [
        (without("format"), ["holds no run"]),
        (lambda content: content | {"format": "another 1"}, ["holds no run"]),
        (lambda content: [1, 2], ["holds no run"]),
        (lambda content: torch.zeros(3), ["holds no run"]),
        (without("weights", "layers.7.bias"), ["another network"]),
        (with_weights("layers.1.weight", 100, 784), ["another network"]),
        (with_weights("layers.9.weight", 1), ["another network"]),
        (lambda content: content | {"weights": None}, ["incomplete", "weights"]),
        *((without(*names), ["incomplete", names[0], "train again"]) for names in PARTS),
    ],
)
def test_a_file_that_is_no_whole_run_of_this_network_is_refused(path, small, change, words):
    torch.save(change(torch.load(path, weights_only=True)), path)
    message = complaint(path, small)
    assert all(word in message for word in words)


def test_a_run_trained_on_other_data_is_refused_with_both_data_unless_any_will_do_on_any_device(
    path, small, sample, trained
):
    message = complaint(path, sample)
    assert str(small) in message and str(sample) in message
    assert equal_weights(load_run(path, None).model, trained.model)
    assert device_of(load_run(path, None, device="meta").model).type == "meta"


def test_train_run_follows_the_recipe_and_is_repeatable_to_the_last_bit(trained, small):
    run = train_run(small, epochs=2, progress=False)
    assert run.settings == RECIPE | {"epochs": 2} and len(run.history) == 2
    assert equal_weights(run.model, trained.model)


def first_weights_and_batches(data, monkeypatch, **settings):
    """The weights before the first step, the sums of the images of all training batches, and the run."""
    weights, batches, train_step = [], [], training.train_step

    def spy(model, images, labels, optimizer, loss_function):
        if not batches:
            weights.extend(parameter.detach().flatten().clone() for parameter in model.parameters())
        batches.append(images.sum().item())
        return train_step(model, images, labels, optimizer, loss_function)

    with monkeypatch.context() as patch:
        patch.setattr(training, "train_step", spy)
        run = train_run(data, progress=False, **{"epochs": 2} | settings)
    return torch.cat(weights), batches, run


@pytest.mark.parametrize(
    "setting",
    [{"dropout": 0.0}, {"dropout": 0.5}, {"weight_decay": 0.01}, {"epochs": 3}, {"lr": 0.01}, {"seed": 1}],
    ids=str,
)
def test_a_setting_changes_the_run_and_only_the_seed_its_start_and_its_batches(trained, small, monkeypatch, setting):
    weights, batches, run = first_weights_and_batches(small, monkeypatch)
    other_weights, other_batches, other = first_weights_and_batches(small, monkeypatch, **setting)
    assert not equal_weights(other.model, run.model) and other.settings == trained.settings | setting
    assert torch.equal(other_weights, weights) == (other_batches[: len(batches)] == batches) == ("seed" not in setting)


def test_the_batch_size_says_how_many_images_a_step_sees(small, monkeypatch):
    _, batches, run = first_weights_and_batches(small, monkeypatch, batch_size=100, epochs=1)
    assert len(batches) == -(-len(small.train) // 100) and run.settings["batch_size"] == 100


def test_a_file_from_before_a_setting_was_kept_has_its_value_of_then(trained, small, tmp_path):
    old = {name: value for name, value in trained.settings.items() if name not in ("lr", "batch_size")}
    path = save_run(tmp_path / "old.pt", dataclasses.replace(trained, settings=old), small)
    assert load_run(path, small).settings == trained.settings


def test_a_run_is_trained_at_first_and_loaded_from_then_on_whatever_the_options_of_fit(own_runs, quick, capsys):
    dropout = np.linspace(0, 0.5, 3)[1]
    trained = quick(dropout=dropout)
    assert "Training the run 'own' now" in capsys.readouterr().out and (own_runs / "own.pt").is_file()
    loaded = quick(dropout=dropout, progress=True)
    assert capsys.readouterr().out == "Loaded the run 'own' that was trained before.\n"
    assert equal_weights(loaded.model, trained.model) and loaded.history == trained.history


@pytest.mark.parametrize("setting", [{"dropout": 0.5}, {"seed": 1}, {"epochs": 2}, {"weight_decay": 0.0}], ids=str)
def test_other_settings_train_anew_and_keep_the_older_file(own_runs, quick, capsys, setting):
    quick()
    before = (own_runs / "own.pt").read_bytes()
    assert quick(**setting).settings.items() >= setting.items()
    assert "Training the run 'own' now (the saved one has other settings" in capsys.readouterr().out
    assert (own_runs / "own.pt").read_bytes() == before


def test_a_file_that_is_damaged_or_of_other_data_is_trained_anew_and_kept(own_runs, quick, trained, small, capsys):
    own_runs.mkdir()
    (own_runs / "own.pt").write_text("a text")
    assert len(quick().history) == 1 and "is damaged" in capsys.readouterr().out
    assert (own_runs / "own.pt").read_text() == "a text"
    before = save_run(own_runs / "own.pt", trained, small).read_bytes()
    assert len(quick().history) == 1 and "trained on other data" in capsys.readouterr().out
    assert (own_runs / "own.pt").read_bytes() == before


def test_a_run_that_was_stopped_is_not_kept_and_one_that_was_saved_is_trained_anew(own_runs, quick, small, capsys):
    stopped = quick(epochs=3, on_epoch_end=lambda _: True)
    assert len(stopped.history) == 1 and not own_runs.exists()
    save_run(own_runs / "own.pt", stopped, small.with_train_size(64))
    assert len(quick(epochs=3).history) == 3
    assert "not complete" in capsys.readouterr().out


def test_a_setting_that_there_is_not_is_refused_where_a_run_is_stored_too(own_runs, quick):
    quick()
    with pytest.raises(TypeError, match="'droput'.*dropout, weight_decay"):
        quick(droput=0.9)


def test_the_shipped_run_is_the_recipe_on_full_mnist_and_lies_among_the_ledger_s_seeds():
    """The ledger has ten seeds of this very setting: 99.9 % of further runs lie in their prediction interval."""
    content = read_run(SHIPPED)
    assert content["settings"] == RECIPE
    assert set(content["versions"]) == {"python", "torch"} and SHIPPED.stat().st_size < 1_000_000
    assert content["data"]["about"] == "Full MNIST: 48,000 training, 12,000 validation and 10,000 test images"
    history, seeds = pd.DataFrame(content["history"]), select(last_epochs(load_ledger()))
    assert len(history) == len(seeds) == 10
    for column in ("train_loss", "train_accuracy", "valid_loss", "valid_accuracy", "running_loss"):
        half = t.ppf(0.9995, len(seeds) - 1) * seeds[column].std() * (1 + 1 / len(seeds)) ** 0.5
        assert abs(history[column].iloc[-1] - seeds[column].mean()) < half, column


def test_full_mnist_takes_the_shipped_run_which_answers_as_its_history_and_lesson_5_say(own_runs, full, capsys):
    run = load_or_train("recipe", full)
    said = capsys.readouterr().out
    assert "comes with the package" in said and "trained on these training images" in said
    for part, dataset in {"train": full.train, "valid": full.valid}.items():
        metrics = evaluate(run.model, make_loader(dataset, 1024))
        assert metrics.accuracy == pytest.approx(getattr(run.history, f"{part}_accuracy")[-1], abs=1e-4)
        assert metrics.loss == pytest.approx(getattr(run.history, f"{part}_loss")[-1], rel=1e-5)
    [(stored,)] = stored_numbers("05_predictions", r"test accuracy (\d+\.\d+)%")
    assert 100 * predict(run.model, full.test).accuracy == pytest.approx(stored, abs=0.015)
    assert not own_runs.exists()


def test_the_sample_takes_the_shipped_run_and_says_where_it_comes_from(own_runs, sample, capsys):
    run = load_or_train("recipe", sample)
    assert equal_weights(run.model, load_run(SHIPPED, None).model)
    said = capsys.readouterr().out
    assert "comes with the package" in said and "full MNIST" in said and "too good" in said
    assert not own_runs.exists()


@pytest.mark.parametrize(
    "name, size, settings", [("recipe", 100, {}), ("recipe", 3000, {"dropout": 0.3}), ("own", 3000, {})]
)
def test_other_data_settings_or_names_than_the_recipe_s_are_trained(own_runs, sample, capsys, name, size, settings):
    settings = {"on_epoch_end": lambda _: True, "progress": False} | settings
    load_or_train(name, sample.with_train_size(size), **settings)
    assert f"Training the run '{name}' now" in capsys.readouterr().out
