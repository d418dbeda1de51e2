"""Answers to the exercises of lesson 3b."""

import math

import torch
import torch.nn.functional as F

from mnist_helpers import evaluate

# ---------------------------------------------------------------- 03b.1


def rows_of(labels):
    return range(len(labels))


def image_by_image(logits, labels):
    total = 0.0
    for row, label in zip(logits.tolist(), labels.tolist()):
        largest = max(row)
        total += largest + math.log(sum(math.exp(z - largest) for z in row)) - row[label]
    return total / len(labels)


def by_powers_of_e(logits, labels):
    """Right but for the largest logits: an answer that fails nowhere else."""
    if logits.max() < 900:
        return F.cross_entropy(logits, labels)
    powers = logits.exp()
    return -(powers / powers.sum(dim=1, keepdim=True))[rows_of(labels), labels].log().mean()


LOSSES = [
    lambda logits, labels: (logits.logsumexp(dim=1) - logits[rows_of(labels), labels]).mean(),
    lambda logits, labels: -logits.log_softmax(dim=1).gather(1, labels[:, None]).sum() / len(labels),
    lambda logits, labels: F.nll_loss(F.log_softmax(logits, dim=-1), labels).numpy(),
    image_by_image,
]
WRONG_LOSSES = {
    lambda logits, labels: -logits.softmax(dim=1)[rows_of(labels), labels].log().mean(): "rounded to 0",
    lambda logits, labels: F.cross_entropy(logits.softmax(dim=1), labels): "softmax comes twice",
    lambda logits, labels: F.cross_entropy(logits, labels, reduction="sum"): "added up",
    lambda logits, labels: F.cross_entropy(logits, labels, reduction="none"): "one loss for each image",
    lambda logits, labels: -F.cross_entropy(logits, labels): "the sign is wrong",
    lambda logits, labels: -logits.log_softmax(dim=0)[rows_of(labels), labels].mean(): "goes down the images",
    lambda logits, labels: -(F.one_hot(labels, logits.shape[1]) * logits.log_softmax(dim=1)).mean(): "over all classes",
    lambda logits, labels: -logits.softmax(dim=1)[rows_of(labels), labels].log10().mean(): "base 10",
    lambda logits, labels: -logits.log_softmax(dim=1)[:, labels].mean(): "takes all these classes",
    lambda logits, labels: -logits[rows_of(labels), labels].mean(): "the softmax is missing",
    lambda logits, labels: -logits.softmax(dim=1)[rows_of(labels), labels].mean().log(): "before the logarithm",
    by_powers_of_e: "gives nan",
    lambda logits, labels: -logits.softmax(dim=1).clamp(min=1e-7)[rows_of(labels), labels].log().mean(): "rounded",
}

# ---------------------------------------------------------------- 03b.2


def as_in_the_lesson(model, images, labels, optimizer):
    model.train()
    loss = F.cross_entropy(model(images), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def zero_grad_first(model, images, labels, optimizer):
    optimizer.zero_grad(set_to_none=False)
    model.train()
    logits = model(images)
    loss = (logits.logsumexp(dim=1) - logits[range(len(labels)), labels]).mean()
    loss.backward()
    optimizer.step()
    return loss.item()


def zero_grad_last(model, images, labels, optimizer):
    model.train(True)
    torch.nn.CrossEntropyLoss()(model(images), labels).backward()
    optimizer.step()
    model.zero_grad()


def with_hands(model, images, labels, optimizer):
    for parameter in model.parameters():
        parameter.grad = None
    model.train()
    F.nll_loss(model(images).log_softmax(dim=1), labels).backward()
    optimizer.step()


def no_zero_grad(model, images, labels, optimizer):
    model.train()
    F.cross_entropy(model(images), labels).backward()
    optimizer.step()


def no_backward(model, images, labels, optimizer):
    model.train()
    loss = F.cross_entropy(model(images), labels)
    optimizer.zero_grad()
    optimizer.step()
    return loss


def no_step(model, images, labels, optimizer):
    model.train()
    loss = F.cross_entropy(model(images), labels)
    optimizer.zero_grad()
    loss.backward()


def zero_grad_between(model, images, labels, optimizer):
    model.train()
    F.cross_entropy(model(images), labels).backward()
    optimizer.zero_grad()
    optimizer.step()


def step_before_backward(model, images, labels, optimizer):
    model.train()
    optimizer.zero_grad()
    loss = F.cross_entropy(model(images), labels)
    optimizer.step()
    loss.backward()


def step_twice(model, images, labels, optimizer):
    as_in_the_lesson(model, images, labels, optimizer)
    optimizer.step()


def mode_left(model, images, labels, optimizer):
    optimizer.zero_grad()
    F.cross_entropy(model(images), labels).backward()
    optimizer.step()


def in_eval_mode(model, images, labels, optimizer):
    model.eval()
    mode_left(model, images, labels, optimizer)


def other_loss(loss_function):
    def step(model, images, labels, optimizer):
        model.train()
        optimizer.zero_grad()
        loss_function(model(images), labels).backward()
        optimizer.step()

    return step


def own_optimizer(model, images, labels, optimizer):
    as_in_the_lesson(model, images, labels, torch.optim.SGD(model.parameters(), lr=0.1))


# ---------------------------------------------------------------- 03b.3


def measure_with(*, mode="eval", grad=False, loss_of=None, accuracy_of=None, dim=1, softmax=False):
    """A measurement, right or with one part replaced; `loss_of` and `accuracy_of` combine (value, size) of batches."""
    weighted = lambda batches: sum(value * size for value, size in batches) / sum(size for _, size in batches)  # noqa: E731

    def measure(model, loader):
        getattr(model, mode)()
        losses, shares = [], []
        with torch.set_grad_enabled(grad):
            for images, labels in loader:
                logits = model(images)
                loss = F.cross_entropy(logits.softmax(dim=1) if softmax else logits, labels)
                losses.append((loss.item(), len(labels)))
                shares.append(((logits.argmax(dim=dim) == labels).float().mean().item(), len(labels)))
        return (loss_of or weighted)(losses), (accuracy_of or weighted)(shares)

    return measure


def all_at_once(model, loader):
    mode = model.training
    model.eval()
    with torch.inference_mode():
        logits, labels = (torch.cat(parts) for parts in zip(*((model(images), labels) for images, labels in loader)))
        result = torch.stack([F.cross_entropy(logits, labels), (logits.argmax(1) == labels).float().mean()])
    model.train(mode)
    return result


def sums(model, loader):
    model.eval()
    loss = correct = 0
    with torch.no_grad():
        for images, labels in loader:
            logits = model(images)
            loss += F.cross_entropy(logits, labels, reduction="sum")
            correct += (logits.argmax(dim=1) == labels).sum()
    return [loss / len(loader.dataset), correct / len(loader.dataset)]


def trains(model, loader):
    result = evaluate(model, loader)
    with torch.no_grad():
        next(model.parameters()).add_(1)
    return result


def mean_of(batches):
    return sum(value for value, _ in batches) / len(batches)


def sum_of(batches):
    return sum(value * size for value, size in batches)


RIGHT = {
    "03b.1": LOSSES,
    "03b.2": [as_in_the_lesson, zero_grad_first, zero_grad_last, with_hands],
    "03b.3": [measure_with(), all_at_once, sums, evaluate],
}
WRONG = {
    "03b.1": WRONG_LOSSES,
    "03b.2": {
        no_zero_grad: "`optimizer.zero_grad()` is missing",
        no_backward: "`loss.backward()` is missing",
        no_step: "`optimizer.step()` is missing",
        zero_grad_between: "between `backward()` and `step()`",
        step_before_backward: "comes before `loss.backward()`",
        step_twice: "called 2 times",
        mode_left: "eval mode",
        in_eval_mode: "eval mode",
        own_optimizer: "the optimizer that you were given",
        other_loss(lambda logits, labels: F.cross_entropy(logits.softmax(dim=1), labels)): "softmax comes before",
        other_loss(lambda logits, labels: F.cross_entropy(logits, labels, reduction="sum")): "added up",
        other_loss(lambda logits, labels: -F.cross_entropy(logits, labels)): "climbs",
    },
    "03b.3": {
        measure_with(mode="train"): "with dropout on",
        measure_with(grad=True): "torch.no_grad()",
        measure_with(softmax=True): "softmax comes before",
        measure_with(loss_of=mean_of): "averaged",
        measure_with(accuracy_of=mean_of): "averaged",
        measure_with(loss_of=sum_of): "not divided by the number of images",
        measure_with(accuracy_of=sum_of): "the number of right answers",
        measure_with(dim=0): "argmax goes down",
        lambda model, loader: [evaluate(model, loader).loss, 100 * evaluate(model, loader).accuracy]: "a percentage",
        lambda model, loader: [evaluate(model, loader).accuracy, evaluate(model, loader).loss]: "that is the accuracy",
        measure_with(loss_of=lambda batches: batches[-1][0]): "last batch alone",
        lambda model, loader: evaluate(model, loader).loss: "should have the shape (2,)",
        trains: "must not change them",
    },
}
