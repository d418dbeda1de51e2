"""The exercises of lesson 8."""

import copy
import dataclasses
import functools
import itertools
import math
from collections.abc import Callable, Collection, Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer

from mnist_helpers.exercises.checking import Exercise, MistakeError, near, number, values
from mnist_helpers.exercises.comparing import difference, pair, require

# ---------------------------------------------------------------- two losses that theory knows


def wrong_starts(classes: int) -> dict[str, float]:
    """What typical mistakes give for the loss of a network that knows nothing."""
    nothing = math.log(classes)
    return {
        "the logarithm has base 10; ln is `math.log`": math.log10(classes),
        "the logarithm has base 2; ln is `math.log`": math.log2(classes),
        "that is the probability of each class; the loss is −ln of it": 1 / classes,
        "that is how often a guess is wrong; the loss is −ln of the true class's probability": 1 - 1 / classes,
        "the sign is wrong: −ln of a probability is never below 0": -nothing,
        "that is ln 10, whatever the number of classes": math.log(10),
        "only the true class counts, so its −ln is not weighted with 1/classes": nothing / classes,
        "the −ln of all classes are added up; only that of the true class counts": nothing * classes,
        "the two numbers are swapped": math.log(math.e + classes - 1) - 1,
    }


def wrong_ends(classes: int) -> dict[str, float]:
    """The same for the lowest loss behind two softmaxes."""
    right = math.log(math.e + classes - 1) - 1
    return {
        "F.cross_entropy takes the probabilities 1 and 0 for logits, and its own softmax makes others of them": 0,
        "that is for 10 classes, whatever their number": math.log(math.e + 9) - 1,
        "e stands for the true class; e⁰ = 1 is left for the *other* classes only": math.log(math.e + classes) - 1,
        "that is the loss when all of the probability lies on a wrong class": right + 1,
        "the sign is wrong: −ln of a probability is never below 0": -right,
        "that is the loss where nothing is known, with all outputs equal": math.log(classes),
        "that is the true class's probability behind the second softmax; the loss is −ln of it": math.exp(-right),
        "the logarithm has base 10; ln is `math.log`": right / math.log(10),
        "the logarithm has base 2; ln is `math.log`": right / math.log(2),
    }


def known_losses(answer: Callable) -> Iterator[str]:
    """The loss of a network that knows nothing, and the lowest loss when softmax comes twice."""
    for classes in (10, 2, 26, 1000):
        case = f"{classes} classes:"
        nothing, lowest = pair(answer(classes), case)
        equal, sure = torch.zeros(1, classes), F.one_hot(torch.tensor([0]), classes).float()
        start, end = (F.cross_entropy(logits, torch.tensor([0])).item() for logits in (equal, sure))
        require(nothing, start, f"{case} the first number", wrong_starts(classes))
        require(lowest, end, f"{case} the second number", wrong_ends(classes))
        yield f"{case} {nothing:.3f} and {lowest:.3f}"


# ---------------------------------------------------------------- validation images that were trained on


def some_images(count: int) -> Tensor:
    """Images (count, 1, 28, 28): most pixels 0, the others multiples of 1/256, whose sums are exact."""
    return torch.randint(1, 256, (count, 1, 28, 28)) / 256 * (torch.rand(count, 1, 28, 28) > 0.8)


def two_sets() -> Iterator[tuple[str, Tensor, Tensor]]:
    """Name, training images and validation images of each case."""
    train, valid = some_images(12), some_images(8)
    valid[1], valid[4], valid[6] = train[7], train[0], train[6]
    yield "three images are in both, two of them at another place", train, valid
    train, valid = some_images(12), some_images(8)
    train[2, 0, 13, 13], valid[3:5], valid[6] = 0.5, train[5:7].flip(2), train[2]
    valid[6, 0, 13, 13] += 1 / 256
    yield "no image is in both, though three are alike", train, valid
    train, valid = some_images(12), some_images(8)
    valid[2], valid[5], valid[7] = train[3], train[3], train[1]
    train[9:11], train[6:9], valid[1] = train[3], train[5], valid[0]
    yield "images are there several times", train, valid
    yield "one image in each set, the same", train[:1], train[:1]
    yield "all of the validation images are in both", train, train[4:9]


def found_twice(train: Tensor, valid: Tensor) -> int:
    """How many images of `valid` are in `train`, too."""
    kept = {image.numpy().tobytes() for image in train}
    return sum(image.numpy().tobytes() in kept for image in valid)


def wrong_counts(train: Tensor, valid: Tensor) -> dict[str, float]:
    """What typical mistakes count."""
    right, both, shorter = found_twice(train, valid), torch.cat([train, valid]), min(len(train), len(valid))
    same = (valid[:, None] == train[None]).flatten(2)  # (validation images, training images, pixels)
    alike = torch.isclose(valid[:, None], train[None], atol=0.01).flatten(2)
    sums = torch.isin(valid.flatten(1).sum(dim=1), train.flatten(1).sum(dim=1))
    return {
        "images are compared at the same place only; the sets have orders of their own": sum(
            torch.equal(*images) for images in zip(train, valid)
        ),
        "only the sums of the pixels are compared: other images can have the same": int(sums.sum()),
        "images that are nearly equal are counted, too": int(alike.all(dim=2).any(dim=1).sum()),
        "that counts images with *any* equal pixel, as `image in train` does; all must be equal": int(
            same.any(dim=2).any(dim=1).sum()
        ),
        "that counts pixels, not images": int((train[:shorter] == valid[:shorter]).sum()),
        "that counts pixels, not images: all whose value is anywhere in `train`": int(torch.isin(valid, train).sum()),
        "that counts equal pixels in all pairs of images": int(same.sum()),
        "0: tensors in a set or a dict equal only themselves. Take their bytes or tuples of their numbers": 0,
        "that counts pairs: an image that is in `train` several times counts once": int(same.all(dim=2).sum()),
        "that counts images of `train` that are in `valid`; it is asked the other way": found_twice(valid, train),
        "an image that is in `valid` several times counts each time": right - repeated(valid, train),
        "that also counts images that are twice in the same set": len(both) - len(both.unique(dim=0)),
        "that is the share of the images; their number is asked for": right / len(valid),
        "these are the images that are *not* in both": len(valid) - right,
    }


def repeated(valid: Tensor, train: Tensor) -> int:
    """How many of the images that are in both sets stand in `valid` a further time."""
    shared = [image.numpy().tobytes() for image in valid if found_twice(train, image[None])]
    return len(shared) - len(set(shared))


def leaked(answer: Callable) -> Iterator[str]:
    """How many validation images are among the training images, pixel by pixel."""
    for name, train, valid in list(two_sets()):
        right = found_twice(train, valid)
        case = f"the call with {len(train)} training and {len(valid)} validation images ({name})"
        require(number(answer(train.clone(), valid.clone()), case), right, case, wrong_counts(train, valid))
        yield f"{name}: {right}"


# ---------------------------------------------------------------- a training with five faults


class EverySecond(nn.Module):
    """Dropout without luck: in training every second unit becomes 0 and the others are doubled."""

    def forward(self, units: Tensor) -> Tensor:  # noqa: D102
        return units * (torch.arange(units.shape[1]) % 2 * 2) if self.training else units


Batch = tuple[Tensor, Tensor]
GIVEN = {  # the faults of the exercise's text
    "softmax": "`F.cross_entropy` gets probabilities; it has its own softmax and wants logits",
    "order": "no weight moves, because there is no gradient when `step()` comes: not yet, or no longer",
    "no_train": "dropout is off while training: measuring switches it off, and nothing switches it on for the "
    "next epoch",
    "highest": "the epoch with the highest validation loss is kept, not the one with the lowest",
    "alias": "at the end the model has the weights of the last epoch: `state_dict()` hands out the weights "
    "themselves, which later steps change. Keep a copy, and load it at the end",
}
FAULTS = GIVEN | {  # and what a repair may get wrong
    "no_zero": "the gradients are never set to zero, so each step adds its own to the old ones",
    "late": "`model.train()` comes after measuring: a model that arrives in eval mode trains its first epoch in it",
    "measure_on": "dropout is on while measuring",
    "measure_softmax": "the validation loss is computed from probabilities; `F.cross_entropy` wants logits",
    "back": "the kept weights are loaded in every epoch; that belongs after the loop",
}
TOO_EARLY = "`step()` comes before `backward()`: it changes weights that `backward()` still needs"


def step_with(faults: Collection[str], model: nn.Module, optimizer: Optimizer, images: Tensor, labels: Tensor) -> None:
    """One step on a batch; right where there is no fault."""
    logits = model(images)
    F.cross_entropy(logits.softmax(dim=1) if "softmax" in faults else logits, labels).backward()
    if "order" in faults:
        optimizer.zero_grad()
    optimizer.step()
    if "no_zero" not in faults:
        optimizer.zero_grad()


def measure_with(faults: Collection[str], model: nn.Module, images: Tensor, labels: Tensor) -> float:
    """The validation loss after an epoch; right where there is no fault."""
    model.train("measure_on" in faults and model.training)
    with torch.no_grad():
        logits = model(images)
    return F.cross_entropy(logits.softmax(dim=1) if "measure_softmax" in faults else logits, labels).item()


def train_with(
    faults: Collection[str],
    model: nn.Module,
    optimizer: Optimizer,
    batches: list[Batch],
    valid_images: Tensor,
    valid_labels: Tensor,
    epochs: int,
) -> list[float]:
    """The training of the exercise; returns the validation losses, and is right where there is no fault."""
    losses: list[float] = []
    for _ in range(epochs):
        if not {"no_train", "late"} & set(faults):
            model.train()
        for images, labels in batches:
            step_with(faults, model, optimizer, images, labels)
        losses.append(measure_with(faults, model, valid_images, valid_labels))
        model.train("late" in faults or model.training)
        if losses[-1] == (max if "highest" in faults else min)(losses):
            best = model.state_dict() if "alias" in faults else copy.deepcopy(model.state_dict())
        if "back" in faults:
            model.load_state_dict(best)
    model.load_state_dict(best)
    return losses


def sets_of_faults() -> Iterator[tuple[str, ...]]:
    """One fault, two of them, or several of those that a repair of the text may leave (with "order" no other shows)."""
    for count in (1, 2):
        yield from itertools.combinations(FAULTS, count)
    left = [*GIVEN, "no_zero"]
    left.remove("order")
    for count in range(3, len(left) + 1):
        yield from itertools.combinations(left, count)


@dataclasses.dataclass(frozen=True)
class Problem:
    """A model as it arrives, how its optimizer is made, batches, the validation images, and the number of epochs."""

    name: str
    model: nn.Module
    optimizer: Callable[..., Optimizer]
    batches: list[Batch]
    valid: Batch
    epochs: int

    def solved_by(self, training: Callable) -> tuple[nn.Module, Any]:
        """The model after a training, called as the exercise says, and what this returns."""
        model, valid = copy.deepcopy(self.model), [tensor.clone() for tensor in self.valid]
        batches = [(images.clone(), labels.clone()) for images, labels in self.batches]
        return model, training(model, self.optimizer(model.parameters()), batches, *valid, self.epochs)

    def with_faults(self, faults: Collection[str] = ()) -> tuple[Tensor, Tensor]:
        """The weights at the end, in one row, and the validation losses."""
        model, losses = self.solved_by(functools.partial(train_with, faults))
        return weights_of(model), torch.tensor(losses)


def weights_of(model: nn.Module) -> Tensor:
    """All weights in one row."""
    return nn.utils.parameters_to_vector(model.parameters()).detach()


def tiny_problem(name: str, sizes: list[int], training: bool, epochs: int, momentum: float) -> Problem:
    """A model in train or eval mode, and images whose labels follow a rule, but for every fourth validation image."""
    rule, images, valid = torch.randn(6, 3), torch.randn(sum(sizes), 6), torch.randn(12, 6)
    model = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), EverySecond(), nn.Linear(8, 3)).train(training)
    batches = list(zip(images.split(sizes), (images @ rule).argmax(dim=1).split(sizes)))
    labels = ((valid @ rule).argmax(dim=1) + (torch.arange(12) % 4 == 0)) % 3
    optimizer = functools.partial(torch.optim.SGD, lr=1 - momentum, momentum=momentum)
    return Problem(name, model, optimizer, batches, (valid, labels), epochs)


def turning_problem(name: str, sizes: list[int], training: bool, epochs: int = 5, momentum: float = 0.0) -> Problem:
    """One whose validation loss is lowest well before the last epoch but not at the first, and highest at another."""
    while True:
        problem = tiny_problem(name, sizes, training, epochs, momentum)
        _, losses = problem.with_faults()
        lowest, next_lowest = losses.sort().values[:2]
        if 0 < losses.argmin() < epochs - 2 and losses.argmax() < epochs - 1 and next_lowest - lowest > 0.01:
            return problem


def faults_that_fit(weights: Tensor, losses: Tensor, problem: Problem) -> list[tuple[str, ...]]:
    """The smallest sets of faults that lead to these weights and losses; none where nothing fits."""
    for _, sets in itertools.groupby(sets_of_faults(), len):
        ends = [(faults, *problem.with_faults(faults)) for faults in sets]
        if found := [faults for faults, *end in ends if near(weights, end[0]) and near(losses, end[1])]:
            return found
    return []


def require_training(model: nn.Module, losses: Tensor, problem: Problem) -> None:
    """Raise MistakeError unless weights and losses are right; it names a fault that would lead to them."""
    weights, (right_weights, right_losses) = weights_of(model), problem.with_faults()
    if near(weights, right_weights) and near(losses, right_losses):
        return
    if found := faults_that_fit(weights, losses, problem):
        sure = [fault for fault in found[0] if all(fault in faults for faults in found)] or found[0]
        count = f"{len(found[0])} faults show; one of them" if len(found[0]) > 1 else "one fault shows"
        raise MistakeError(f"{problem.name}: {count}: {FAULTS[sure[0]]}")
    if near(losses, right_losses):
        epoch = int(right_losses.argmin()) + 1
        raise MistakeError(f"{problem.name}: the losses are right, but the weights are not those after epoch {epoch}")
    raise MistakeError(f"{problem.name}: the validation losses are {difference(losses.numpy(), right_losses.numpy())}")


def repaired(answer: Callable) -> Iterator[str]:
    """A training that keeps the epoch with the lowest validation loss."""
    problems = [
        turning_problem("5 epochs, batches of 16 and 5 images", [16, 5], True),
        turning_problem("a model that arrives in eval mode, an optimizer with momentum", [16, 8], False, momentum=0.5),
        tiny_problem("1 epoch, one batch with a single image", [1], True, 1, 0.0),
    ]
    for problem in problems:
        try:
            model, losses = problem.solved_by(answer)
        except RuntimeError as error:
            raise MistakeError(f"{problem.name}: {TOO_EARLY}") if "inplace operation" in str(error) else error from None
        if isinstance(losses, (list, tuple)):
            losses = [each.detach() if isinstance(each, Tensor) else each for each in losses]
        require_training(model, values(losses, (problem.epochs,), problem.name), problem)
        yield problem.name


EXERCISES = {
    "08.1": Exercise(
        known_losses,
        (
            "which probability does such a network give to the true class? In the second case, what are its outputs?",
            "first: −ln(1/classes). Second: F.cross_entropy takes 1 for the true class and 0 for the others as logits",
            "the loss of logits z is ln(Σ eᶻ) − z of the true class; here Σ eᶻ has e once and e⁰ = 1 for all others",
        ),
    ),
    "08.2": Exercise(
        leaked,
        (
            "when are two images the same? And what should be compared with what, as both sets have their own order?",
            "all pixels must be equal, with any of the training images: torch.equal(a, b) says it of two images",
            "for each image of `valid`: any(torch.equal(image, other) for other in train); how often is it true?",
        ),
    ),
    "08.3": Exercise(
        repaired,
        (
            "go through it line by line and say what each does in the *second* epoch, and which line is missing",
            "one fault is in the loss, one in the step, one in the mode of the model, two are in what is kept",
            "in each epoch model.train(); in a step zero_grad, backward, step; kept copy.deepcopy(model.state_dict())",
        ),
    ),
}
