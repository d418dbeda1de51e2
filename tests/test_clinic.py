"""Which images networks miss, what changes they bear, and what a pixel does to an answer."""

import dataclasses

import joblib
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.metrics import confusion_matrix
from torch import nn
from torch.utils.data import TensorDataset

import mnist_helpers as mh
from mnist_helpers.labs import clinic
from mnist_helpers.labs.clinic import (
    LABEL_DOUBTS,
    Shifted,
    adversarial_steps,
    answers_of,
    answers_of_seeds,
    change_images,
    confusion_counts,
    input_gradient,
    mc_dropout,
)


def modes_of(model):
    return [layer.training for layer in model.modules()]


# ---------------------------------------------------------------- networks that differ by their seed only


@pytest.fixture(scope="module")
def tiny(sample):
    """The first 100 images of each part of the sample."""
    parts = {
        part: TensorDataset(*(tensor[:100] for tensor in getattr(sample, part).tensors))
        for part in ("train", "valid", "test")
    }
    return dataclasses.replace(sample, **parts)


@pytest.fixture
def store(tmp_path):
    """Writes a file of answers of three networks and returns its path and the answers."""

    def write(fingerprint, images):
        answers = np.random.default_rng(0).integers(0, 10, (3, images), dtype=np.uint8)
        np.savez_compressed(tmp_path / "answers.npz", answers=answers, fingerprint=fingerprint)
        return tmp_path / "answers.npz", answers

    return write


@pytest.fixture
def two_networks(monkeypatch):
    monkeypatch.setattr(clinic, "NETWORKS", 2)


def test_stored_answers_are_loaded_where_they_belong_to_the_data(tiny, store, capsys, monkeypatch):
    monkeypatch.setattr(clinic, "train_run", lambda *args, **kwargs: pytest.fail("this trains"))
    path, stored = store(tiny.fingerprint(), 100)
    answers = answers_of_seeds(tiny, path)
    assert answers.shape == (3, 100) and answers.dtype == torch.int64
    assert np.array_equal(answers, stored)
    assert capsys.readouterr().out == "Loaded the answers of 3 networks.\n"


@pytest.mark.parametrize("fingerprint, images", [(None, 100), (None, 99), ("own", 99)])
def test_networks_are_trained_where_the_stored_answers_belong_to_other_data(
    tiny, store, two_networks, capsys, fingerprint, images
):
    path, _ = store(tiny.fingerprint() if fingerprint else "0123456789abcdef", images)
    answers = answers_of_seeds(tiny, path)
    assert "Training 2 networks now" in capsys.readouterr().out
    assert answers.shape == (2, 100) and answers.dtype == torch.int64
    assert answers.min() >= 0 and answers.max() <= 9
    assert torch.equal(answers[1], answers_of(tiny, seed=1))


def test_the_answers_of_a_network_are_its_predictions(tiny):
    model = mh.train_run(tiny, seed=3, progress=False).model
    assert torch.equal(answers_of(tiny, seed=3), mh.predict(model, tiny.test).predicted)


def test_networks_with_other_seeds_answer_otherwise(tiny):
    assert not torch.equal(answers_of(tiny, seed=0), answers_of(tiny, seed=1))


def test_main_refuses_the_sample_and_writes_nothing(sample, tmp_path, monkeypatch):
    monkeypatch.setattr(clinic, "load_mnist", lambda: sample)
    with pytest.raises(SystemExit, match="full MNIST, but this is: .*3,000"):
        clinic.main(tmp_path / "answers.npz")
    assert list(tmp_path.iterdir()) == []


def test_main_stores_what_answers_of_seeds_loads(tiny, tmp_path, monkeypatch, two_networks, capsys):
    monkeypatch.setattr(clinic, "load_mnist", lambda: dataclasses.replace(tiny, source="full"))
    with joblib.parallel_config(backend="sequential"):
        clinic.main(tmp_path / "answers.npz")
    assert [path.name for path in tmp_path.iterdir()] == ["answers.npz"]
    answers = answers_of_seeds(tiny, tmp_path / "answers.npz")
    assert "Loaded" in capsys.readouterr().out
    assert torch.equal(answers, torch.stack([answers_of(tiny, seed) for seed in (0, 1)]))


def test_the_answers_that_come_with_the_package_are_those_of_ten_networks():
    with np.load(clinic.ANSWERS) as stored:
        answers = stored["answers"]
    assert answers.shape == (10, 10_000) and answers.dtype == np.uint8 and answers.max() == 9
    assert len(np.unique(answers, axis=0)) == 10


def test_the_answers_that_come_with_the_package_are_right_as_often_as_the_recipe_is(full, capsys):
    answers = answers_of_seeds(full)
    assert capsys.readouterr().out == "Loaded the answers of 10 networks.\n"
    accuracies = (answers == full.test.tensors[1]).double().mean(dim=1)
    assert accuracies.min() > 0.97 and accuracies.max() < 0.985


# ---------------------------------------------------------------- confusion_counts, LABEL_DOUBTS


def test_confusions_are_counted_as_scikit_learn_counts_them():
    random = np.random.default_rng(0)
    answers, labels = random.integers(0, 10, (4, 500)), random.integers(0, 10, 500)
    counts = confusion_counts(torch.from_numpy(answers), torch.from_numpy(labels))
    assert counts.shape == (4, 10, 10)
    for each, answered in zip(counts, answers):
        assert np.array_equal(each, confusion_matrix(labels, answered, labels=range(10)))


def test_an_image_counts_in_the_row_of_its_label_and_the_column_of_its_answer():
    counts = confusion_counts(torch.tensor([[7, 1, 1]]), torch.tensor([2, 1, 1]))
    assert counts.sum() == 3 and counts[0, 2, 7] == 1 and counts[0, 1, 1] == 2


def test_fifteen_labels_of_test_images_are_in_doubt():
    assert len(LABEL_DOUBTS) == 15 and list(LABEL_DOUBTS) == sorted(LABEL_DOUBTS)
    assert all(0 <= index < 10_000 for index in LABEL_DOUBTS)
    assert all(said.endswith(" of 5)") for said in LABEL_DOUBTS.values())


def test_what_people_said_instead_is_not_the_label(full):
    for index, said in LABEL_DOUBTS.items():
        label, answer = str(int(full.test.tensors[1][index])), said.split(" (")[0]
        assert f" {label}" in answer if answer.startswith("neither") else answer.isdigit() and answer != label


# ---------------------------------------------------------------- mc_dropout


def test_each_pass_gives_each_image_ten_probabilities(model, batch):
    passes = mc_dropout(model, batch[0], passes=7)
    assert passes.shape == (7, 32, 10) and not passes.requires_grad
    assert passes.min() >= 0
    torch.testing.assert_close(passes.sum(dim=2), torch.ones(7, 32))


def test_passes_differ_and_so_do_images_within_a_pass(model, batch):
    same_image = batch[0][:1].expand(5, -1, -1, -1)
    passes = mc_dropout(model, same_image, passes=6)
    assert len(passes.flatten(0, 1).unique(dim=0)) == 30


def test_without_dropout_all_passes_are_the_plain_probabilities(batch):
    mh.set_seed(0)
    model = mh.MNISTNet(dropout=0)
    plain = model(batch[0]).softmax(dim=1).detach()
    for each in mc_dropout(model, batch[0], passes=3):
        torch.testing.assert_close(each, plain)


def test_the_mean_of_many_passes_comes_near_the_network_without_dropout(trained, sample):
    images = sample.test.tensors[0][:50]
    mean = mc_dropout(trained.model, images, passes=200).mean(dim=0)
    assert (mean - mh.predict(trained.model, TensorDataset(images, torch.zeros(50))).probabilities).abs().mean() < 0.02


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    "function",
    [
        lambda model, images, labels: mc_dropout(model, images, passes=2),
        input_gradient,
        lambda model, images, labels: adversarial_steps(model, images[0], labels[0], steps=2),
    ],
    ids=["mc_dropout", "input_gradient", "adversarial_steps"],
)
def test_every_layer_comes_back_in_its_mode_and_without_gradients(model, batch, function, training):
    model.train(training).layers[3].train(not training)
    before, weights = modes_of(model), [parameter.clone() for parameter in model.parameters()]
    function(model, *batch)
    assert modes_of(model) == before
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(torch.equal(parameter, weight) for parameter, weight in zip(model.parameters(), weights))


# ---------------------------------------------------------------- change_images


def blank(*inked):
    """One image whose pixels are 1 in the given rows and columns."""
    image = torch.zeros(1, 1, 28, 28)
    for rows, columns in inked:
        image[0, 0, rows, columns] = 1
    return image


def test_without_a_change_images_stay_as_they_are(batch):
    torch.testing.assert_close(change_images(batch[0]), batch[0])


@pytest.mark.parametrize("right, down", [(3, 0), (-3, 0), (0, 4), (0, -4), (2, -5), (1.0, 1.0)])
def test_a_shift_by_whole_pixels_moves_the_ink_and_nothing_else(right, down):
    ink = torch.rand(2, 1, 8, 6, generator=torch.Generator().manual_seed(0))
    images, expected = torch.zeros(2, 2, 1, 28, 28)
    images[:, :, 10:18, 11:17] = ink
    expected[:, :, 10 + int(down) : 18 + int(down), 11 + int(right) : 17 + int(right)] = ink
    torch.testing.assert_close(change_images(images, right, down), expected, atol=1e-4, rtol=0)


def test_half_a_pixel_spreads_the_ink_over_two():
    moved = change_images(blank((14, 14)), right=0.5)
    assert moved[0, 0, 14, 14:16].tolist() == pytest.approx([0.5, 0.5], abs=1e-4)


def test_what_leaves_the_image_is_gone_and_what_comes_into_view_is_paper():
    moved = change_images(torch.ones(1, 1, 28, 28), right=20)
    torch.testing.assert_close(moved, blank((slice(28), slice(20, 28))), atol=1e-4, rtol=0)


@pytest.mark.parametrize("angle, quarters", [(90, -1), (-90, 1), (180, 2), (270, 1)])
def test_an_angle_turns_clockwise(angle, quarters):
    images = blank((slice(5, 20), slice(8, 11)), (slice(5, 8), slice(8, 18)))
    expected = images.rot90(quarters, dims=(2, 3))
    assert not torch.equal(expected, images)
    torch.testing.assert_close(change_images(images, angle=angle), expected, atol=1e-3, rtol=0)


@pytest.mark.parametrize("scale, height, width", [(0.5, 8, 4), (1, 16, 8), (1.5, 24, 12)])
def test_a_scale_changes_both_sides(scale, height, width):
    ink = change_images(blank((slice(6, 22), slice(10, 18))), scale=scale)[0, 0] > 0.5
    assert (int(ink.any(dim=1).sum()), int(ink.any(dim=0).sum())) == pytest.approx((height, width), abs=1)
    rows, columns = torch.nonzero(ink).double().mean(dim=0).tolist()
    assert (rows, columns) == pytest.approx((13.5, 13.5), abs=0.6)


@pytest.mark.parametrize("scale", [0, -1, -0.5, float("nan")])
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


def test_shifted_images_keep_their_number_order_and_labels():
    shifted = Shifted(DOTS, pixels=3)
    assert len(shifted) == 40
    assert [int(shifted[index][1]) for index in range(40)] == DOTS.tensors[1].tolist()
    assert shifted[0][0].shape == (1, 28, 28) and shifted[0][0].dtype == torch.float32


@pytest.mark.parametrize("pixels", [1, 2])
def test_all_shifts_up_to_the_pixels_happen_and_no_other(pixels):
    mh.set_seed(0)
    shifted, offsets = Shifted(DOTS, pixels), range(-pixels, pixels + 1)
    seen = set(shifts_of(torch.stack([shifted[0][0] for _ in range(400)])))
    assert seen == {(down, right) for down in offsets for right in offsets}


def test_a_shift_of_0_pixels_is_none(small):
    shifted = Shifted(small.train, pixels=0)
    for index in (0, 7, 299):
        assert torch.equal(shifted[index][0], small.train[index][0]) and shifted[index][1] == small.train[index][1]


def test_the_dataset_that_is_shifted_stays_as_it_was():
    for index in range(40):
        Shifted(DOTS, pixels=3)[index]
    assert set(shifts_of(DOTS.tensors[0])) == {(0, 0)}


def test_the_images_of_one_batch_are_shifted_differently_and_anew_in_each_pass():
    mh.set_seed(0)
    loader = mh.make_loader(Shifted(DOTS, pixels=2), batch_size=40)
    ((first, labels),) = loader
    ((second, _),) = loader
    assert labels.tolist() == DOTS.tensors[1].tolist()
    assert len(set(shifts_of(first))) > 10
    assert shifts_of(first) != shifts_of(second)


def test_the_same_seed_shifts_the_same():
    passes = []
    for _ in range(2):
        mh.set_seed(5)
        passes.append(next(iter(mh.make_loader(Shifted(DOTS, pixels=2), 40, shuffle=True)))[0])
    assert torch.equal(*passes)


def test_a_network_can_be_trained_with_shifted_images(model, small):
    optimizer = torch.optim.Adam(model.parameters(), lr=0.001)
    loader = mh.make_loader(Shifted(small.train, pixels=2), batch_size=32, shuffle=True)
    losses = [mh.train_epoch(model, loader, optimizer).loss for _ in range(3)]
    assert losses[-1] < losses[0]


# ---------------------------------------------------------------- input_gradient


def linear_model():
    mh.set_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 10))


def test_the_gradient_of_a_linear_model_is_its_weights_times_the_error(batch):
    model, (images, labels) = linear_model(), batch
    error = model(images).softmax(dim=1) - F.one_hot(labels, 10)
    expected = (error @ model[1].weight).reshape(32, 1, 28, 28)
    torch.testing.assert_close(input_gradient(model, images, labels), expected.detach())


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


def test_the_images_themselves_get_no_gradient(model, batch):
    before = batch[0].clone()
    input_gradient(model, *batch)
    assert torch.equal(batch[0], before) and not batch[0].requires_grad and batch[0].grad is None


def test_gradients_that_are_there_already_stay_and_are_not_added_to(model, batch):
    F.cross_entropy(model(batch[0]), batch[1]).backward()
    before = [parameter.grad.clone() for parameter in model.parameters()]
    input_gradient(model, *batch)
    assert all(torch.equal(parameter.grad, grad) for parameter, grad in zip(model.parameters(), before))


# ---------------------------------------------------------------- adversarial_steps


@pytest.fixture(scope="module")
def right_ones(trained, sample):
    """Ten test images, and their labels, that the network takes for what they are."""
    predictions = mh.predict(trained.model, sample.test)
    return predictions[predictions.correct].images[:10], predictions[predictions.correct].labels[:10]


@pytest.mark.parametrize("steps, size", [(1, 0.1), (5, 0.03), (20, 0.01)])
def test_the_first_is_the_image_and_no_step_is_larger_than_its_size(trained, right_ones, steps, size):
    for image, label in zip(*right_ones):
        images = adversarial_steps(trained.model, image, label, steps, size)
        assert images.shape == (steps + 1, 1, 28, 28) and images.dtype == torch.float32
        assert torch.equal(images[0], image) and not images.requires_grad
        assert images.min() >= 0 and images.max() <= 1
        moves = images.diff(dim=0).abs()
        assert moves.max() == pytest.approx(size, abs=1e-6) and moves.flatten(1).max(dim=1).values.min() > 0


def test_without_steps_there_is_only_the_image(trained, right_ones):
    image, label = right_ones[0][0], right_ones[1][0]
    assert torch.equal(adversarial_steps(trained.model, image, label, steps=0), image[None])


def test_the_loss_of_the_label_grows_along_the_steps(trained, right_ones):
    for image, label in zip(*right_ones):
        images = adversarial_steps(trained.model, image, label)
        logits = mh.predict(trained.model, TensorDataset(images, label.repeat(len(images)))).logits
        losses = F.cross_entropy(logits, label.repeat(len(images)), reduction="none")
        assert (losses.diff() > 0).all()


def test_most_images_are_taken_for_another_digit_in_the_end(trained, right_ones):
    ends = torch.stack([adversarial_steps(trained.model, *each)[-1] for each in zip(*right_ones)])
    assert mh.predict(trained.model, TensorDataset(ends, right_ones[1])).accuracy < 0.5


def test_the_image_that_is_changed_stays_as_it_was(trained, right_ones):
    image, label = right_ones[0][0], right_ones[1][0]
    before = image.clone()
    adversarial_steps(trained.model, image, label)
    assert torch.equal(image, before) and not image.requires_grad


def test_a_step_moves_each_pixel_up_or_down_as_its_gradient_says(model, batch):
    image, label = 0.3 + 0.4 * batch[0][0], batch[1][0]
    moved = adversarial_steps(model, image, label, steps=1, size=0.02)[1] - image
    gradient = input_gradient(model, image[None], label[None])[0]
    torch.testing.assert_close(moved, 0.02 * gradient.sign(), atol=1e-6, rtol=0)


def test_mc_dropout_leaves_the_statistics_of_other_layers_alone(batch):
    layers = torch.nn.Linear(784, 10), torch.nn.BatchNorm1d(10), torch.nn.Dropout(0.5)
    model = torch.nn.Sequential(torch.nn.Flatten(), *layers)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    passes = mc_dropout(model, batch[0], passes=3)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not torch.equal(passes[0], passes[1]), "dropout is on"
