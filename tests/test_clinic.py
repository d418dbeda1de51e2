"""Which images networks miss, what changes they bear, and what a pixel does to an answer."""

import dataclasses

import joblib
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import TensorDataset

import mnist_helpers as mh
from mnist_helpers.labs import clinic
from mnist_helpers.labs.clinic import (
    Shifted,
    adversarial_steps,
    change_images,
    input_gradient,
    mc_dropout,
    ten_networks,
)
from mnist_helpers.runs import read_run
from panels import equal_weights

# ---------------------------------------------------------------- ten networks


@pytest.fixture(scope="module")
def tiny(sample):
    """The first 100 images of each part of the sample, said to be full MNIST."""
    parts = {
        part: TensorDataset(*(tensor[:100] for tensor in getattr(sample, part).tensors))
        for part in ("train", "valid", "test")
    }
    return dataclasses.replace(sample, source="full", **parts)


@pytest.fixture
def two_seeds(monkeypatch, tiny):
    monkeypatch.setattr(clinic, "SEEDS", (0, 3))
    monkeypatch.setattr(clinic, "load_mnist", lambda: tiny)


def test_networks_are_trained_by_the_recipe_with_the_seed_on_the_split_of_the_seed(tiny, two_seeds, capsys):
    networks = ten_networks(tiny)
    assert "Training 2 networks now" in capsys.readouterr().out
    for seed, network in zip((0, 3), networks, strict=True):
        other = tiny.with_split(seed)
        assert equal_weights(network, mh.train_run(other, seed=seed, device="cpu", progress=False).model)
        assert not network.training


def test_what_is_shipped_is_loaded_where_it_belongs_to_the_data(tiny, two_seeds, tmp_path, capsys, monkeypatch):
    trained = ten_networks(tiny)
    with joblib.parallel_config(backend="sequential"):
        clinic.ship(tmp_path / "networks")
    capsys.readouterr()
    assert sorted(path.name for path in (tmp_path / "networks").iterdir()) == ["seed_0.pt", "seed_3.pt"]
    monkeypatch.setattr(clinic, "train_run", lambda *args, **kwargs: pytest.fail("this trains"))
    loaded = ten_networks(tiny, tmp_path / "networks")
    assert capsys.readouterr().out == "Loaded 2 networks.\n"
    for ours, theirs in zip(loaded, trained, strict=True):
        assert not ours.training
        for kept, weights in zip(ours.parameters(), theirs.parameters()):
            torch.testing.assert_close(kept, weights, rtol=1e-3, atol=1e-4)  # as float16
    other = dataclasses.replace(tiny, train=TensorDataset(*tiny.train[:99]))
    with pytest.raises(pytest.fail.Exception, match="this trains"):
        ten_networks(other, tmp_path / "networks")


def test_only_networks_of_full_mnist_are_shipped(sample, tmp_path, monkeypatch):
    monkeypatch.setattr(clinic, "load_mnist", lambda: sample)
    with pytest.raises(SystemExit, match="full MNIST, but this is: .*sample"):
        clinic.ship(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_ten_that_come_with_the_package_are_small_and_fit_their_splits(full, capsys):
    networks = ten_networks(full)
    assert capsys.readouterr().out == "Loaded 10 networks.\n"
    for seed, network in enumerate(networks):
        path = clinic.NETWORKS / f"seed_{seed}.pt"
        content = read_run(path)
        recipe = {"dropout": 0.2, "weight_decay": 1e-4, "epochs": 10, "lr": 0.001, "batch_size": 32}
        assert content["settings"] == {"seed": seed, **recipe} and content["data"]["split"] == str(seed)
        assert {weights.dtype for weights in content["weights"].values()} == {torch.float16}
        assert path.stat().st_size < 250_000
        there = mh.predict(network, full.with_split(seed).valid).accuracy
        assert there == pytest.approx(content["history"]["valid_accuracy"][-1], abs=2e-4)


def test_fifteen_doubts_come_with_the_package():
    assert len(clinic.LABEL_DOUBTS) == 15 and list(clinic.LABEL_DOUBTS) == sorted(clinic.LABEL_DOUBTS)


def test_an_image_counts_in_the_row_of_its_label_and_the_column_of_its_answer():
    counts = clinic.confusion_counts(torch.tensor([[7, 1, 1], [0, 0, 9]]), torch.tensor([2, 1, 1]))
    expected = torch.zeros(2, 10, 10, dtype=torch.int64)
    expected[0, 2, 7], expected[0, 1, 1] = 1, 2
    expected[1, 2, 0], expected[1, 1, 0], expected[1, 1, 9] = 1, 1, 1
    assert torch.equal(counts, expected)


def test_what_people_said_instead_is_not_the_label(full):
    for index, said in clinic.LABEL_DOUBTS.items():
        label, answer = str(int(full.test.tensors[1][index])), said.removesuffix(" of 5)")[:-3]
        assert f" {label}" in answer if answer.startswith("neither") else answer.isdigit() and answer != label


# ---------------------------------------------------------------- mc_dropout


def test_passes_differ_and_so_do_images_within_a_pass(model, batch):
    same_image = batch[0][:1].expand(5, -1, -1, -1)
    passes = mc_dropout(model, same_image, passes=6)
    assert passes.shape == (6, 5, 10) and not passes.requires_grad and passes.min() >= 0
    torch.testing.assert_close(passes.sum(dim=2), torch.ones(6, 5))
    assert len(passes.flatten(0, 1).unique(dim=0)) == 30


def test_dropout_is_all_that_is_on(batch):
    """Without dropout the passes are the plain probabilities; statistics of other layers are used and left alone."""
    layers = nn.Flatten(), nn.Linear(784, 10), nn.BatchNorm1d(10)
    model = nn.Sequential(*layers).eval()
    model[2].running_mean.fill_(0.3)
    plain = model(batch[0]).softmax(dim=1).detach()
    for before in (True, False):
        for each in mc_dropout(model.train(before), batch[0], passes=2):
            torch.testing.assert_close(each, plain)
    first, second = mc_dropout(nn.Sequential(*layers, nn.Dropout(0.5)), batch[0], passes=2)
    assert not torch.equal(first, second), "dropout is on"


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    "function",
    [
        lambda model, images, labels: mc_dropout(model, images, passes=2),
        input_gradient,
        lambda model, images, labels: adversarial_steps(model, images, labels, steps=2),
    ],
    ids=["mc_dropout", "input_gradient", "adversarial_steps"],
)
def test_the_model_and_the_images_come_back_as_they_were(batch, function, training):
    """Every layer's mode, the weights, their gradients and the statistics of BatchNorm."""

    def fresh():
        mh.set_seed(0)
        layers = nn.Flatten(), nn.Linear(784, 10), nn.BatchNorm1d(10), nn.Dropout(0.5)
        return nn.Sequential(*layers).train(training)

    model, untouched, (images, labels) = fresh(), fresh(), batch
    model[3].train(not training)
    modes, before = [layer.training for layer in model.modules()], images.clone()
    for _ in range(2):  # first without gradients, then with some that are there already
        gradients = [None if each.grad is None else each.grad.clone() for each in model.parameters()]
        function(model, images, labels)
        assert [layer.training for layer in model.modules()] == modes and equal_weights(model, untouched)
        for each, gradient in zip(model.parameters(), gradients):
            assert each.grad is None if gradient is None else torch.equal(each.grad, gradient)
        assert torch.equal(images, before) and not images.requires_grad and images.grad is None
        for each in model.parameters():
            each.grad = torch.ones_like(each)


# ---------------------------------------------------------------- change_images


def blank(*inked):
    """One image whose pixels are 1 in the given rows and columns."""
    image = torch.zeros(1, 1, 28, 28)
    for rows, columns in inked:
        image[0, 0, rows, columns] = 1
    return image


@pytest.mark.parametrize("right, down", [(0, 0), (3, 0), (-3, 0), (0, 4), (0, -4), (2, -5), (1.0, 1.0)])
def test_a_shift_by_whole_pixels_moves_the_ink_and_nothing_else(right, down):
    ink = torch.rand(2, 1, 8, 6, generator=torch.Generator().manual_seed(0))
    images, expected = torch.zeros(2, 2, 1, 28, 28)
    images[:, :, 10:18, 11:17] = ink
    expected[:, :, 10 + int(down) : 18 + int(down), 11 + int(right) : 17 + int(right)] = ink
    torch.testing.assert_close(change_images(images, right, down), expected, atol=1e-4, rtol=0)


def test_half_a_pixel_spreads_the_ink_over_two_and_what_comes_into_view_is_paper():
    moved = change_images(blank((14, 14)), right=0.5)
    assert moved[0, 0, 14, 14:16].tolist() == pytest.approx([0.5, 0.5], abs=1e-4)
    moved = change_images(torch.ones(1, 1, 28, 28), right=20)
    torch.testing.assert_close(moved, blank((slice(28), slice(20, 28))), atol=1e-4, rtol=0)


@pytest.mark.parametrize("angle, quarters", [(90, -1), (-90, 1), (180, 2), (270, 1)])
def test_an_angle_turns_clockwise(angle, quarters):
    images = blank((slice(5, 20), slice(8, 11)), (slice(5, 8), slice(8, 18)))
    expected = images.rot90(quarters, dims=(2, 3))
    torch.testing.assert_close(change_images(images, angle=angle), expected, atol=1e-3, rtol=0)


@pytest.mark.parametrize("scale, height, width", [(0.5, 8, 4), (1, 16, 8), (1.5, 24, 12)])
def test_a_scale_changes_both_sides(scale, height, width):
    ink = change_images(blank((slice(6, 22), slice(10, 18))), scale=scale)[0, 0] > 0.5
    assert (int(ink.any(dim=1).sum()), int(ink.any(dim=0).sum())) == pytest.approx((height, width), abs=1)
    assert torch.nonzero(ink).double().mean(dim=0).tolist() == pytest.approx([13.5, 13.5], abs=0.6)


@pytest.mark.parametrize("scale", [0, -1, float("nan")])
def test_a_scale_that_cannot_be_is_refused(batch, scale):
    with pytest.raises(ValueError, match=f"scale must be above 0, got {scale}"):
        change_images(batch[0], scale=scale)


def test_the_images_that_are_changed_stay_as_they_were(batch):
    before = batch[0].clone()
    changed = change_images(batch[0], right=2, down=-1, angle=20, scale=0.8)
    assert torch.equal(batch[0], before)
    assert changed.shape == before.shape and changed.dtype == torch.float32
    assert changed.min() >= 0 and changed.max() <= 1 + 1e-5


# ---------------------------------------------------------------- Shifted

DOTS = TensorDataset(blank((14, 14)).repeat(40, 1, 1, 1), torch.arange(40) % 10)


def shifts_of(images):
    """How far the dot of each image was shifted: (down, right)."""
    rows = torch.nonzero(images[:, 0])
    assert rows[:, 0].tolist() == list(range(len(images)))
    return [(down - 14, right - 14) for _, down, right in rows.tolist()]


@pytest.mark.parametrize("pixels", [0, 1, 2])
def test_all_shifts_up_to_the_pixels_happen_and_no_other(pixels):
    mh.set_seed(0)
    shifted, offsets = Shifted(DOTS, pixels), range(-pixels, pixels + 1)
    seen = set(shifts_of(torch.stack([shifted[0][0] for _ in range(400)])))
    assert seen == {(down, right) for down in offsets for right in offsets}
    assert set(shifts_of(DOTS.tensors[0])) == {(0, 0)}, "the dataset itself stays as it was"


def test_the_images_of_one_batch_are_shifted_differently_anew_in_each_pass_and_as_the_seed_says():
    mh.set_seed(0)
    loader = mh.make_loader(Shifted(DOTS, pixels=2), batch_size=40)
    ((first, labels),) = loader
    ((second, _),) = loader
    assert first.shape == DOTS.tensors[0].shape and first.dtype == torch.float32
    assert labels.tolist() == DOTS.tensors[1].tolist(), "in their order, with their labels"
    assert len(set(shifts_of(first))) > 10
    assert shifts_of(first) != shifts_of(second)
    mh.set_seed(0)
    ((again, _),) = loader
    assert torch.equal(again, first)


# ---------------------------------------------------------------- input_gradient


def test_the_gradient_is_that_of_finite_differences_with_dropout_off(model, batch):
    model, images, labels = model.double().train(), batch[0][:2].double(), batch[1][:2]
    gradient = input_gradient(model, images, labels)
    model.eval()
    for row, column in [(0, 0), (5, 20), (14, 14), (27, 3)]:
        losses = []
        for step in (1e-6, -1e-6):
            moved = images.clone()
            moved[:, 0, row, column] += step
            losses.append(F.cross_entropy(model(moved), labels, reduction="none").detach())
        torch.testing.assert_close(gradient[:, 0, row, column], (losses[0] - losses[1]) / 2e-6, rtol=1e-4, atol=1e-8)


def test_the_gradient_of_an_image_does_not_depend_on_the_others(model, batch):
    images, labels = batch
    together = input_gradient(model, images, labels)
    assert together.shape == images.shape and not together.requires_grad
    for row in (0, 13, 31):
        alone = input_gradient(model, images[row : row + 1], labels[row : row + 1])
        torch.testing.assert_close(together[row : row + 1], alone)


# ---------------------------------------------------------------- adversarial_steps


@pytest.fixture(scope="module")
def right_ones(trained, sample):
    """Ten test images, and their labels, that the network takes for what they are."""
    predictions = mh.predict(trained.model, sample.test)
    return predictions[predictions.correct].images[:10], predictions[predictions.correct].labels[:10]


@pytest.mark.parametrize("steps, size", [(0, 0.1), (1, 0.1), (5, 0.03), (20, 0.01)])
def test_the_first_is_the_image_and_no_step_is_larger_than_its_size(trained, right_ones, steps, size):
    images, labels = right_ones
    path = adversarial_steps(trained.model, images, labels, steps, size)
    assert path.shape == (steps + 1, 10, 1, 28, 28) and path.dtype == torch.float32
    assert torch.equal(path[0], images) and not path.requires_grad
    assert path.min() >= 0 and path.max() <= 1
    torch.testing.assert_close(path.diff(dim=0).abs().flatten(2).amax(dim=2), torch.full((steps, 10), size))


def test_the_loss_grows_along_the_steps_and_most_are_taken_for_another_digit_in_the_end(trained, right_ones):
    images, labels = right_ones
    steps = [
        mh.predict(trained.model, TensorDataset(each, labels))
        for each in adversarial_steps(trained.model, images, labels)
    ]
    losses = torch.stack([F.cross_entropy(step.logits, step.labels, reduction="none") for step in steps])
    assert (losses.diff(dim=0) > 0).all() and steps[-1].accuracy < 0.5


def test_a_step_moves_each_pixel_up_or_down_as_its_gradient_says(model, batch):
    images, labels = 0.3 + 0.4 * batch[0], batch[1]
    moved = adversarial_steps(model, images, labels, steps=1, size=0.02)[1] - images
    torch.testing.assert_close(moved, 0.02 * input_gradient(model, images, labels).sign(), atol=1e-6, rtol=0)
