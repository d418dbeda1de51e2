"""Doubts, changes, repair and flips: moved as a reader would, and their figures read back."""

import asyncio
import copy
import re

import numpy as np
import pytest
import torch
from torch.utils.data import TensorDataset

from mnist_helpers.data import make_loader
from mnist_helpers.labs.clinic import Shifted, adversarial_steps, change_images
from mnist_helpers.labs.kept_drawings import keep_drawing
from mnist_helpers.labs.own_digits import draw_strokes, drawn_digits, load_drawings, preprocess_digit
from mnist_helpers.model import MNISTNet
from mnist_helpers.predictions import predict
from mnist_helpers.training import evaluate, train_step
from mnist_helpers.widgets import clinic
from mnist_helpers.widgets.clinic import RepairLab, change_explorer, doubt_meter, flip_explorer, repair_lab
from panels import axes_titled, moved, of_classes, play, problem_of, random_states, words_of


@pytest.fixture(scope="module")
def network(trained):
    """A trained network on the processor, dropout off; nobody may change it."""
    return copy.deepcopy(trained.model).cpu().eval()


def probabilities_of(network, images):
    """Ten probabilities of each image (…, 1, 28, 28)."""
    with torch.no_grad():
        return network(images.reshape(-1, 1, 28, 28)).softmax(dim=1)


def heights_of(ax):
    return [bar.get_height() for bar in ax.patches]


# ---------------------------------------------------------------- doubt_meter


@pytest.fixture(scope="module")
def pictures(sample):
    letter = preprocess_digit(draw_strokes(load_drawings()["W, a letter"]))
    return {"a digit": sample.test.tensors[0][0], "another": sample.test.tensors[0][1], "a letter": letter}


@pytest.fixture(scope="module")
def meter(network, pictures):
    return doubt_meter(network, pictures)


def passes_by_hand(network, image, rate):
    """100 passes with dropout on: (100, 10)."""
    model = copy.deepcopy(network).train()
    for layer in model.layers:
        if isinstance(layer, torch.nn.Dropout):
            layer.p = rate
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return torch.cat([probabilities_of(model, image) for _ in range(100)])


@pytest.mark.parametrize("picture", ["a digit", "another", "a letter"])
@pytest.mark.parametrize("rate", [0, 0.2, 0.9])
def test_the_words_are_the_models_and_the_passes_numbers(meter, network, pictures, picture, rate):
    plain = probabilities_of(network, pictures[picture])[0]
    passes = passes_by_hand(network, pictures[picture], rate)
    mean, answers = passes.mean(dim=0), passes.argmax(dim=1).tolist()
    beginning, said = meter.still(picture=picture, rate=rate).words.split("answers: ")
    assert beginning == (
        f"Picture: {picture}. Plain softmax: {plain.argmax()} with probability {plain.max():.2f}. 100 passes with "
        f"dropout {rate}: mean probability {mean.max():.2f} for {mean.argmax()}; "
    )
    said = [(int(digit), int(times)) for times, digit in re.findall(r"(\d+) times (\d)", said)]
    counts = sorted((answers.count(digit) for digit in set(answers)), reverse=True)
    assert [times for _, times in said] == counts[:3]
    assert all(answers.count(digit) == times for digit, times in said)
    assert rate or said == [(int(plain.argmax()), 100)], "without dropout all passes give the plain answer"


def test_the_meters_bars_are_plain_and_mean_and_its_lines_the_middle_90_percent(meter, network, pictures):
    _, left, right = meter.still(picture="another", rate=0.5).figure.axes
    passes = passes_by_hand(network, pictures["another"], 0.5)
    assert heights_of(left) == pytest.approx(probabilities_of(network, pictures["another"])[0].tolist(), abs=1e-6)
    assert heights_of(right) == pytest.approx(passes.mean(dim=0).tolist(), abs=1e-6)
    for line, numbers in zip(right.collections[0].get_segments(), np.sort(passes.numpy(), axis=0).T, strict=True):
        low, high = line[:, 1]
        assert (numbers < low - 1e-6).sum() <= 5 <= (numbers <= low + 1e-6).sum() + 1
        assert (numbers > high + 1e-6).sum() <= 5 <= (numbers >= high - 1e-6).sum() + 1


# ---------------------------------------------------------------- change_explorer


@pytest.fixture(scope="module")
def changes(network, sample):
    return change_explorer(network, sample.test)


@pytest.mark.parametrize(
    "change",
    [
        {"right": 0, "down": 0, "angle": 0, "scale": 1.0},
        {"right": 3, "down": -2, "angle": 0, "scale": 1.0},
        {"right": 0, "down": 0, "angle": 45, "scale": 0.8},
        {"right": -8, "down": 8, "angle": -90, "scale": 1.5},
    ],
    ids=str,
)
def test_accuracies_and_gallery_are_those_of_the_changed_images(changes, network, sample, change):
    images, labels = sample.test.tensors
    expected = predict(network, TensorDataset(change_images(images, **change), labels))
    plain, still = predict(network, sample.test).accuracy, changes.still(**change)
    how = ", ".join(f"{name} {value:g}" for name, value in change.items())
    assert f"All 1,000 images changed by {how}: accuracy {expected.accuracy:.2%}, unchanged {plain:.2%}" in still.words
    bars = axes_titled(still.figure, "accuracy")
    assert heights_of(bars) == pytest.approx([expected[labels == digit].accuracy for digit in range(10)])
    assert bars.lines[0].get_ydata() == pytest.approx([plain, plain])
    lowest = int(re.search(r"Lowest for the digit (\d)\.", still.words)[1])
    assert heights_of(bars)[lowest] == min(heights_of(bars))
    for digit, ax in enumerate(ax for ax in still.figure.axes if ax.images):
        first = int((labels == digit).nonzero()[0])
        answer = int(expected.predicted[first])
        np.testing.assert_allclose(ax.images[0].get_array(), expected.images[first, 0], atol=1e-5)
        assert ax.get_title() == f"{'✗ ' * (answer != digit)}T: {digit}  P: {answer}"


def test_the_changes_work_for_few_classes(network, sample):
    dataset = of_classes(sample.test, 3, 8)
    expected = predict(network, TensorDataset(change_images(dataset.tensors[0], right=4), dataset.tensors[1]))
    panel = moved(change_explorer(network, dataset), right=4)
    shown = [ax for ax in panel.still().figure.axes if ax.get_visible()]
    assert problem_of(panel) == "" and f"accuracy {expected.accuracy:.2%}, " in words_of(panel)
    assert [re.search(r"T: (\d)", ax.get_title())[1] for ax in shown[:-1]] == ["3", "8"]
    assert [bar.get_x() + bar.get_width() / 2 for bar in shown[-1].patches] == pytest.approx([3, 8])


# ---------------------------------------------------------------- repair_lab

SETS = ["validation", "validation, shifted by up to 4", "example drawings, not centred"]


@pytest.fixture
def lab(small, monkeypatch):
    """A lab whose runs take 2 epochs, and which has not trained yet."""
    monkeypatch.setattr(RepairLab, "EPOCHS", 2)
    return repair_lab(small)


def test_a_repair_has_a_point_an_epoch_for_each_set_and_the_words_follow(small):
    words, lab = [], repair_lab(small.with_train_size(96))
    lab.text.observe(lambda change: words.append(change.new), "value")
    play(lab.train(shift=2))
    assert RepairLab.EPOCHS == 10 and list(lab.runs) == [2] and list(lab.runs[2]) == SETS
    assert [len(curve) for curve in lab.runs[2].values()] == [10] * 3
    ends = ", ".join(f"{name} {curve[-1]:.1%}" for name, curve in lab.runs[2].items())
    assert words_of(lab) == f"96 training images, shifts up to 2 pixels, epoch 10 of 10. Accuracy: {ends}."
    epochs = [int(found[1]) for each in words if (found := re.search(r"epoch (\d+) of 10", each))]
    assert epochs == list(range(1, 11))


@pytest.mark.parametrize("shift", [0, 2])
def test_the_first_epoch_is_that_of_a_training_by_hand(lab, shift):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = MNISTNet(dropout=0.2)
        optimizer = torch.optim.Adam(model.parameters(), lr=0.001, weight_decay=1e-4, fused=True)
        train = Shifted(lab.data.train, shift) if shift else lab.data.train
        for batch in make_loader(train, 32, shuffle=True, generator=torch.Generator().manual_seed(0)):
            train_step(model, *batch, optimizer)
    play(lab.train(shift=shift))
    for name, dataset in lab.sets.items():
        assert lab.runs[shift][name][0] == pytest.approx(evaluate(model, [dataset[:]]).accuracy, abs=1e-9), name


def test_a_repair_is_measured_on_the_reader_s_own_drawings(small, monkeypatch, tmp_path):
    monkeypatch.setenv("MNIST_RUNS_DIR", str(tmp_path))
    monkeypatch.setattr(RepairLab, "EPOCHS", 1)
    for digit in (3, 7):  # the same picture twice, so one of the labels is wrong
        keep_drawing(draw_strokes(load_drawings()["7, wide"]), digit)
    lab = repair_lab(small)
    play(lab.train(shift=0))
    own = lab.sets["your drawings, not centred"]
    assert own.tensors[1].tolist() == [3, 7] and list(lab.sets)[:3] == SETS
    right = lab.runs[0]["your drawings, not centred"][-1]
    assert right in (0, 0.5) and words_of(lab).endswith(f", your drawings, not centred {right:.1%}.")


def test_the_steps_of_a_repair_and_others_take_no_random_numbers_from_each_other(lab):
    random = random_states()
    for _ in lab.pieces():
        assert random_states() == random
        torch.rand(7)
        random = random_states()
    first = copy.deepcopy(lab.runs)
    play(lab.train())
    assert lab.runs == first and len(first[4]["validation"]) == 2, "another run has other curves"


def test_the_sets_are_1000_validation_images_plain_and_shifted_and_the_drawings(lab, small):
    plain, shifted, drawings = [lab.sets[name].tensors for name in SETS]
    assert torch.equal(plain[0], small.valid.tensors[0][:1000]) and torch.equal(plain[1], shifted[1])
    for before, after in zip(plain[0][:20, 0], shifted[0][:20, 0], strict=True):
        around = torch.nn.functional.pad(before, (4, 4, 4, 4))
        assert any(torch.equal(window, after) for window in around.unfold(0, 28, 1).unfold(1, 28, 1).flatten(0, 1))
    assert not torch.equal(plain[0], shifted[0])
    assert torch.equal(drawings[0], drawn_digits(["center"]).tensors[0]) and len(drawings[1]) == 40
    assert torch.equal(repair_lab(small).sets[SETS[1]].tensors[0], shifted[0]), "another lab has another set"


def test_runs_of_several_shifts_are_kept_and_drawn(lab):
    assert words_of(lab) == "Not trained yet with shifts up to 4 pixels: press Train." and lab.still()._repr_png_()
    for shift in (5, 0):
        play(lab.train(shift=shift))
    lab.runs[5]["validation"][:] = [0.9, 0.4]  # not the best epoch counts but the last
    runs = copy.deepcopy(lab.runs)
    assert sorted(runs) == [0, 5]
    over_epochs, over_shifts = moved(lab, shift=5).still().figure.axes
    assert lab.runs == runs and "shifts up to 5 pixels, epoch 2 of 2" in words_of(lab)
    for name, line, dots in zip(SETS, over_epochs.lines, over_shifts.lines, strict=True):
        assert line.get_xydata().tolist() == [[1, runs[5][name][0]], [2, runs[5][name][1]]]
        assert dots.get_xydata().tolist() == [[shift, runs[shift][name][-1]] for shift in (0, 5)]
        assert line.get_label() == dots.get_label() == name
    assert "Not trained yet with shifts up to 1 pixels" in words_of(moved(lab, shift=1))


@pytest.mark.parametrize(
    "end", [lambda lab: lab.stop_button.click(), lambda lab: moved(lab, shift=2)], ids=["stop", "move"]
)
def test_stop_or_a_moved_slider_ends_the_repair_and_keeps_the_finished_epochs(lab, end, monkeypatch):
    async def begin_and_end():
        waiting = asyncio.create_task(lab.train(shift=1))
        while not lab.runs:
            await asyncio.sleep(0)
        can_stop = not lab.stop_button.disabled
        end(lab)
        running, kept = lab.running, copy.deepcopy(lab.runs)
        await waiting
        await asyncio.sleep(0.05)
        return can_stop, running, kept

    monkeypatch.setattr(RepairLab, "EPOCHS", 5)
    can_stop, running, kept = play(begin_and_end())
    epochs = len(kept[1]["validation"])
    assert can_stop and not running and lab.stop_button.disabled and problem_of(lab) == ""
    assert 1 <= epochs < 5 and lab.runs == kept
    assert ("Not trained yet with shifts up to 2" in words_of(lab)) == (lab.values["shift"] == 2)
    assert f"epoch {epochs} of 5" in words_of(moved(lab, shift=1))
    play(lab.train())
    assert "epoch 5 of 5" in words_of(lab)


@pytest.mark.parametrize("size", [1, 33])
def test_few_training_images_are_enough(small, size, monkeypatch):
    monkeypatch.setattr(RepairLab, "EPOCHS", 2)
    lab = repair_lab(small.with_train_size(size))
    play(lab.train(shift=6))
    assert problem_of(lab) == "" and words_of(lab).startswith(f"{size} training images, shifts up to 6 pixels, epoch 2")


def test_at_most_3000_training_images_are_taken(sample, monkeypatch):
    assert RepairLab.IMAGES == 3000 and len(repair_lab(sample).data.train) == 3000
    monkeypatch.setattr(RepairLab, "IMAGES", 50)
    assert torch.equal(repair_lab(sample).data.train.tensors[0], sample.train.tensors[0][:50])


# ---------------------------------------------------------------- flip_explorer


@pytest.fixture(scope="module")
def firsts(network, sample):
    """The first image of each class that the network reads rightly, by class."""
    images, labels = sample.test.tensors
    right = network(images).argmax(dim=1) == labels
    return {digit: images[right & (labels == digit)][0] for digit in range(10) if (right & (labels == digit)).any()}


def flip_words(probabilities, digit, steps, size):
    """The words, from the probabilities by hand."""
    answers = probabilities.argmax(dim=1).tolist()
    flip = next((step for step, answer in enumerate(answers) if answer != digit), None)
    return (
        f"Digit {digit} after {steps} steps: no pixel has changed by more than {steps * size:.2f} of 1. Answer "
        f"{answers[steps]} with probability {probabilities[steps].max():.2f}. It "
        f"{'does not flip within 30 steps' if flip is None else f'flips at step {flip}'}."
    )


@pytest.mark.parametrize("size, steps", [(0.01, 0), (0.01, 3), (0.01, 30), (1e-6, 30), (0.05, 4)])
def test_words_and_pictures_show_image_change_and_answer(network, sample, firsts, size, steps):
    panel, titles = flip_explorer(network, sample.test, size), set()
    assert list(panel.controls["digit"].options) == sorted(firsts) and len(firsts) >= 5
    for digit, image in firsts.items():
        path = adversarial_steps(network, image[None], torch.tensor([digit]), 30, size)[:, 0]
        probabilities, still = probabilities_of(network, path), panel.still(digit=digit, steps=steps)
        assert still.words == flip_words(probabilities, digit, steps, size)
        *shown, bars = still.figure.axes
        before, change, after = [np.asarray(ax.images[0].get_array()) for ax in shown]
        np.testing.assert_array_equal(before, image[0])
        np.testing.assert_allclose(after, path[steps, 0], atol=1e-6)
        np.testing.assert_allclose(before + change, after, atol=1e-6)
        assert np.abs(change).max() == pytest.approx(steps * size, rel=0.01, abs=1e-6)
        assert heights_of(bars) == pytest.approx(probabilities[steps].tolist(), abs=1e-5)
        answer = int(probabilities[steps].argmax())
        assert bars.get_title() == f"{'✗ ' * (answer != digit)}answer {answer}"
        titles.add(bars.get_title()[0])
    assert ("✗" in titles) == (steps * size > 0.01)


def test_the_path_of_a_digit_is_computed_once(network, sample, monkeypatch):
    digits = []

    def counted(model, image, label, *args):
        digits.append(int(label))
        return adversarial_steps(model, image, label, *args)

    monkeypatch.setattr(clinic, "adversarial_steps", counted)
    assert "Digit 1 after 30 " in flip_explorer(network, of_classes(sample.test, 1)).still(steps=30).words
    digits.clear()
    panel = flip_explorer(network, of_classes(sample.test, 1, 7))
    for values in ({"steps": 5}, {"digit": 7}, {"steps": 30}, {"digit": 1}, {"steps": 0}):
        moved(panel, **values)
    assert digits == [1, 7] and problem_of(panel) == ""


def test_without_an_image_that_is_read_rightly_no_answer_can_flip(network, sample):
    images = sample.test.tensors[0][:50]
    wrong = (network(images).argmax(dim=1) + 1) % 10
    with pytest.raises(ValueError, match="reads none of these images rightly"):
        flip_explorer(network, TensorDataset(images, wrong))
