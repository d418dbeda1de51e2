"""The exercises of lesson 5."""

import math
from collections.abc import Callable, Iterator

import torch
from sklearn.metrics import confusion_matrix, precision_score, recall_score

from mnist_helpers.exercises.checking import Exercise, MistakeError, number, values
from mnist_helpers.exercises.comparing import pair, require


def guesses(images: int, right: float, classes: int = 10) -> tuple[torch.Tensor, torch.Tensor]:
    """Random answers (images,), about the share `right` of them right, and the labels; `classes` digits occur."""
    labels = torch.randint(classes, (images,))
    predicted = torch.where(torch.rand(images) < right, labels, torch.randint(classes, (images,)))
    return predicted, labels


def accuracy(answer: Callable) -> Iterator[str]:
    """The share of right answers, from logits (n, 10) and labels (n,)."""
    for images in (10, 250, 7, 1):
        logits, labels = torch.randn(images, 10) - 3, torch.randint(10, (images,))
        logits[torch.arange(0, images, 2), labels[::2]] += 5
        case = f"the call with {images} image{'s' * (images > 1)}"
        right = logits.argmax(dim=1) == labels
        share, said_of_true = right.double().mean().item(), logits.softmax(dim=1)[torch.arange(images), labels]
        mistakes = {
            "that is a percentage, and a share from 0 to 1 is asked for": 100 * share,
            "that is how many are right; divide by the number of images": right.sum(),
            "that is the share of wrong answers": 1 - share,
            "no answer counts as right: compare the place of the largest logit in each row with the label": 0,
            "that is the mean probability of the true digits; count right answers": said_of_true.mean(),
        }
        if images == 10:  # with another number this mistake is an error
            across = "the argmax goes over the images, not over the digits: which dim is which in (n, 10)?"
            mistakes = {across: (logits.argmax(dim=0) == labels).double().mean(), **mistakes}
        require(number(answer(logits.clone(), labels.clone()), case), share, case, mistakes)
        yield f"{images} image{'s' * (images > 1)}: {share:.3f}"


def confusion(answer: Callable) -> Iterator[str]:
    """The counts (10, 10) of true digit (row) and answer (column)."""
    for images, classes in ((1000, 10), (30, 3), (1, 10)):
        predicted, labels = guesses(images, 0.6, classes)
        case = f"the call with {images} image{'s' * (images > 1)} of the digits 0 to {classes - 1}"
        right = confusion_matrix(labels, predicted, labels=range(10))
        got = answer(predicted.clone(), labels.clone())
        if classes < 10 and tuple(getattr(got, "shape", ())) == (classes, classes):
            raise MistakeError(f"{case} gives the shape {(classes, classes)}: digits that do not occur need a row, too")
        mistakes = {
            "rows and columns are swapped: the true digit is the row": right.T,
            "each place gets at most 1: `matrix[labels, predicted] += 1` adds 1 to each place once": right > 0,
            "these are shares of all images, and counts are asked for": right / images,
            "these are shares of each row, and counts are asked for": right / right.sum(axis=1, keepdims=True).clip(1),
            "only right answers are counted": right * torch.eye(10).numpy(),
        }
        require(values(got, (10, 10), case), right, case, mistakes)
        yield f"{images} image{'s' * (images > 1)} of the digits 0 to {classes - 1}"


def precision_and_recall(answer: Callable) -> Iterator[str]:
    """Precision and recall of one digit; 0 where there is nothing to divide by."""
    predicted, labels = guesses(400, 0.7)
    predicted[labels == 7] = torch.where(torch.rand(int((labels == 7).sum())) < 0.5, 7, 1)
    predicted[predicted == 4], labels[labels == 8] = 9, 3
    for digit, what in ((7, "400 images"), (4, "an answer 4 that is never given"), (8, "no image of an 8")):
        case, numbers = f"the call with {what}, digit {digit}", []
        both = ((predicted == digit) & (labels == digit)).sum().item()
        for score in (precision_score, recall_score):
            numbers.append(score(labels, predicted, labels=[digit], average=None, zero_division=0)[0])
        mistakes = {
            "precision and recall are swapped": numbers[::-1],
            "one of the two is divided by all images": [both / 400, numbers[1]],
            "both are divided by all images": [both / 400] * 2,
            "both are the precision": numbers[:1] * 2,
            "both are the recall": numbers[1:] * 2,
            "these are percentages, and shares from 0 to 1 are asked for": [100 * each for each in numbers],
        }
        try:
            got = pair(answer(predicted.clone(), labels.clone(), digit), case)
        except ZeroDivisionError:
            raise MistakeError(f"{case}: you divide by 0; the answer should be 0 there") from None
        if any(math.isnan(each) for each in got):
            raise MistakeError(f"{case} gives nan, from 0 divided by 0; the answer should be 0 there")
        require(got, numbers, case, mistakes)
        yield f"{what}, digit {digit}: {numbers[0]:.3f} and {numbers[1]:.3f}"


def enough(confidence: torch.Tensor, correct: torch.Tensor, share: float) -> list[float]:
    """The confidences at which at least this share of the answers is right, in rising order."""
    answered = [(each.item(), correct[confidence >= each].double().mean()) for each in confidence.unique()]
    return [each for each, right in answered if right >= share] or [math.inf]


THRESHOLDS = {  # what is tried: confidences, whether the answers are right, the share that must be
    "one mistake": ([0.5, 0.9, 0.6, 0.8, 0.7], [1, 1, 0, 1, 1], 0.99),
    "exactly enough": ([0.4, 0.5, 0.6, 0.7, 0.8], [0, 0, 1, 1, 1], 0.75),
    "a confident mistake": ([0.99, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4], [1, 0, 1, 1, 1, 0, 0], 0.75),
    "equal confidences": ([0.9, 0.8, 0.8, 0.8, 0.7], [1, 1, 0, 0, 1], 0.75),
    "no image answered well enough": ([0.9, 0.8], [0, 1], 0.9),
    "a single image": ([0.3], [1], 0.99),
}


def lowest_threshold(answer: Callable) -> Iterator[str]:
    """The lowest confidence from which on at least a share of the answers is right."""
    for name, (given, right, share) in THRESHOLDS.items():
        confidence, correct = torch.tensor(given, dtype=torch.float64), torch.tensor(right, dtype=torch.bool)
        fits, case = enough(confidence, correct, share), f"the call with {given}, {right}, {share} ({name})"
        downwards = confidence.sort(descending=True).values.tolist()
        unbroken = next((place for place, each in enumerate(downwards) if each not in fits), len(given))
        untied = correct[confidence.argsort(descending=True, stable=True)].double().cumsum(0)
        lower = [each for each in given if each < fits[0]]
        long = max((place for place in range(len(given)) if untied[place] / (place + 1) >= share), default=0)
        mistakes = {
            "going down from the top, you stop at the first one that is not enough": downwards[max(unbroken - 1, 0)],
            "exactly the share is enough: compare with >=": enough(confidence, correct, share + 1e-9)[0],
            "that is the highest confidence that is enough; try them in rising order to find the lowest": fits[-1],
            "images with equal confidence are answered together, or not at all": downwards[long],
            "that is a place in the list": given.index(fits[0]) if fits[0] in given else -1,
            "at this threshold (≥) too many answers are wrong": max(lower, default=-1),
            "that is the lowest confidence of a right answer": confidence[correct].min(),
        }
        require(number(answer(confidence.clone(), correct.clone(), share), case), fits[0], case, mistakes)
        yield f"{name}: {fits[0]}"


EXERCISES = {
    "05.1": Exercise(
        accuracy,
        (
            "which digit does the network say for each image? Compare it with the label",
            "`logits.argmax(dim=…)` gives the answers; the dim is the one that disappears",
            "(logits.argmax(dim=1) == labels) has a True for each right answer: what is its mean, as float?",
        ),
    ),
    "05.2": Exercise(
        confusion,
        (
            "start with zeros (10, 10) and add 1 for each image: in which row, in which column?",
            "a loop over zip(labels, predicted) is enough; or number the pairs, as the lesson does for mistakes",
            "10 * labels + predicted numbers the 100 places; bincount(minlength=100) counts them; then reshape",
        ),
    ),
    "05.3": Exercise(
        precision_and_recall,
        (
            "three counts are enough: called this digit, are this digit, both",
            "precision asks of the images *called* 7 how many are 7s; recall asks of the 7s how many are called 7",
            "both / called and both / are; where the count below is 0: `both / max(called, 1)`",
        ),
    ),
    "05.4": Exercise(
        lowest_threshold,
        (
            "which thresholds need to be tried? Between two neighbouring confidences nothing changes",
            "for one threshold: `correct[confidence >= threshold]` are the answers given; which share of them is True?",
            "go through the sorted confidences from the lowest on; return the first that is enough, after the loop inf",
        ),
    ),
}
