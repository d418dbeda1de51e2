"""Answers to the exercises of lesson 5."""

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.metrics import accuracy_score, confusion_matrix


def accuracy_in_a_loop(logits, labels):
    return sum(int(row.argmax()) == int(label) for row, label in zip(logits, labels)) / len(labels)


def spoils_its_inputs(logits, labels):
    logits -= logits.max(dim=1, keepdim=True).values
    return (logits.exp().argmax(dim=1).eq_(labels)).float().mean()


def counted_in_a_loop(predicted, labels):
    table = [[0] * 10 for _ in range(10)]
    for true, said in zip(labels, predicted):
        table[true][said] += 1
    return table


def counted_by_pairs(predicted, labels):
    return (10 * labels + predicted).bincount(minlength=100).reshape(10, 10)


def added_in_place(predicted, labels):
    table = np.zeros((10, 10))
    np.add.at(table, (labels.numpy(), predicted.numpy()), 1)
    return table


def once_only(predicted, labels):
    table = torch.zeros(10, 10)
    table[labels, predicted] += 1
    return table


def shares(predicted, labels, digit):
    both = ((predicted == digit) & (labels == digit)).sum().item()
    return both, (predicted == digit).sum().item(), (labels == digit).sum().item()


def with_ifs(predicted, labels, digit):
    both, called, real = shares(predicted, labels, digit)
    return (both / called if called else 0), (both / real if real else 0)


def as_tensors(predicted, labels, digit):
    both = ((predicted == digit) & (labels == digit)).sum()
    return torch.stack([both / (predicted == digit).sum(), both / (labels == digit).sum()]).nan_to_num()


def from_the_matrix(predicted, labels, digit):
    counts = confusion_matrix(labels, predicted, labels=range(10))
    with np.errstate(invalid="ignore"):
        found = [counts[digit, digit] / counts.sum(axis=axis)[digit] for axis in (0, 1)]
    return [0.0 if np.isnan(each) else each for each in found]


def from_below(confidence, correct, share):
    for threshold in confidence.sort().values:
        if correct[confidence >= threshold].double().mean() >= share:
            return threshold
    return float("inf")


def listed(confidence, correct, share):
    pairs = list(zip(confidence.tolist(), correct.tolist()))
    fits = []
    for threshold, _ in pairs:
        given = [right for each, right in pairs if each >= threshold]
        if sum(given) >= share * len(given):
            fits.append(threshold)
    return min(fits, default=float("inf"))


def with_cumsum(confidence, correct, share):
    order = confidence.argsort(descending=True)
    sorted_, right = confidence[order], correct[order].double().cumsum(0)
    last = torch.cat([sorted_[1:] != sorted_[:-1], torch.tensor([True])])
    fits = sorted_[(right / torch.arange(1, len(right) + 1) >= share) & last]
    return np.float64(fits.min()) if len(fits) else np.inf


def ignores_ties(confidence, correct, share):
    order = confidence.argsort(descending=True, stable=True)
    right = correct[order].double().cumsum(0) / torch.arange(1, len(order) + 1)
    fits = confidence[order][right >= share]
    return fits[-1] if len(fits) else float("inf")


def from_the_top(confidence, correct, share):
    kept = float("inf")
    for threshold in confidence.sort(descending=True).values:
        if correct[confidence >= threshold].double().mean() < share:
            break
        kept = threshold
    return kept


def strictly_above(confidence, correct, share):
    for threshold in confidence.sort().values:
        if correct[confidence > threshold].double().mean() >= share:
            return threshold
    return float("inf")


def position(confidence, correct, share):
    found = from_below(confidence, correct, share)
    return (confidence == found).nonzero()[0]


def from_below_strictly(confidence, correct, share):
    for threshold in confidence.sort().values:
        if correct[confidence >= threshold].double().mean() > share:
            return threshold
    return float("inf")


def in_given_order(confidence, correct, share):
    enough = (each for each in confidence if correct[confidence >= each].double().mean() >= share)
    return next(enough, float("inf"))


RIGHT = {
    "05.1": [
        lambda logits, labels: (logits.argmax(dim=1) == labels).float().mean(),
        lambda logits, labels: accuracy_score(labels, logits.softmax(dim=1).argmax(dim=1)),
        lambda logits, labels: np.mean(logits.numpy().argmax(axis=-1) == labels.numpy()),
        accuracy_in_a_loop,
        spoils_its_inputs,
    ],
    "05.2": [counted_in_a_loop, counted_by_pairs, added_in_place]
    + [lambda predicted, labels: F.one_hot(labels, 10).T @ F.one_hot(predicted, 10)],
    "05.3": [with_ifs, as_tensors, from_the_matrix],
    "05.4": [from_below, listed, with_cumsum],
}

WRONG = {
    "05.1": {
        lambda logits, labels: 100 * (logits.argmax(dim=1) == labels).float().mean(): "a percentage",
        lambda logits, labels: (logits.argmax(dim=1) == labels).sum(): "divide by the number",
        lambda logits, labels: (logits.argmax(dim=0) == labels).float().mean(): "over the images",
        lambda logits, labels: (logits.softmax(dim=1).argmax(dim=0) == labels).float().mean(): "is right",
        lambda logits, labels: (logits.argmax(dim=1) != labels).float().mean(): "share of wrong",
        lambda logits, labels: (logits.max(dim=1).values == labels).float().mean(): "the place of the largest logit",
        lambda logits, labels: logits.softmax(dim=1)[range(len(labels)), labels].mean(): "mean probability",
        lambda logits, labels: logits.argmax(dim=1) == labels: "should be one number",
        lambda logits, labels: (logits.argmax() == labels).float().mean(): "is right",
    },
    "05.2": {
        lambda predicted, labels: counted_by_pairs(labels, predicted): "swapped",
        lambda predicted, labels: counted_by_pairs(predicted, labels) / len(labels): "shares of all",
        lambda predicted, labels: confusion_matrix(labels, predicted, labels=range(10), normalize="true"): "each row",
        confusion_matrix: "swapped",
        lambda predicted, labels: confusion_matrix(labels, predicted): "digits that do not occur",
        once_only: "at most 1",
        lambda predicted, labels: torch.diag(counted_by_pairs(predicted, labels).diag()): "only right answers",
        lambda predicted, labels: (10 * labels + predicted).bincount(minlength=100): "the shape",
    },
    "05.3": {
        lambda *given: with_ifs(*given)[::-1]: "swapped",
        lambda *given: [each / shares(*given)[0] for each in shares(*given)[1:]]: "is right",
        lambda *given: [shares(*given)[0] / len(given[0])] * 2: "both are divided by all images",
        lambda *given: [shares(*given)[0] / each for each in shares(*given)[1:]]: "you divide by 0",
        lambda *given: [np.float64(a := shares(*given))[0] / max(a[1], 0.5), a[0] / a[2] if a[2] else np.nan]: "nan",
        lambda *given: [100 * each for each in with_ifs(*given)]: "percentages",
        lambda *given: with_ifs(*given)[0]: "two numbers",
        lambda *given: [with_ifs(*given)[1]] * 2: "both are the recall",
    },
    "05.4": {
        ignores_ties: "answered together",
        from_the_top: "stop at the first",
        strictly_above: "too many answers are wrong",
        position: "a place in the list",
        from_below_strictly: "compare with >=",
        in_given_order: "in rising order",
        lambda confidence, correct, share: max(listed(confidence, correct, share), 0.9): "highest confidence",
        lambda confidence, correct, share: confidence[correct].min(): "lowest confidence of a right answer",
        lambda confidence, correct, share: from_below(confidence, correct, share) if len(correct) > 2 else 0: "inf",
    },
}
