"""The exercises of lesson 3b."""

import copy
import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from mnist_helpers import evaluate, train_step
from mnist_helpers.exercises.checking import Exercise, MistakeError, fitting, near, number, values


def random_batch(images: int, classes: int) -> tuple[Tensor, Tensor]:
    """Logits (images, classes) and labels (images,)."""
    return 2 * torch.randn(images, classes), torch.randint(classes, (images,))


def loss_mistakes(logits: Tensor, labels: Tensor) -> dict[str, Tensor]:
    """What comes out of typical mistakes in a cross-entropy, by their names."""
    rows, right = range(len(labels)), F.cross_entropy(logits, labels)
    logs, of_true_class = logits.log_softmax(dim=1), logits[rows, labels]
    return {
        "the losses are added up; the mean over the batch is asked for": right * len(labels),
        "the sign is wrong: −ln of a probability is never below 0": -right,
        "softmax comes twice: F.cross_entropy wants logits and has its own softmax inside": F.cross_entropy(
            logits.softmax(dim=1), labels
        ),
        "softmax goes down the images; it belongs across the classes of one image, dim=1": -logits.log_softmax(dim=0)[
            rows, labels
        ].mean(),
        "the mean is over all classes; each image counts once, with its true class": right / logits.shape[1],
        "the logarithm has base 10; ln is `log` in PyTorch": right / math.log(10),
        "the logarithm has base 2; ln is `log` in PyTorch": right / math.log(2),
        "the logarithm is missing: these are probabilities": logs.exp()[rows, labels].mean(),
        "the logarithm is missing: these are 1 − probabilities": 1 - logs.exp()[rows, labels].mean(),
        "the mean comes before the logarithm; take −ln for each image first": -logs.exp()[rows, labels].mean().log(),
        "the softmax is missing: this is minus the true class's logit": -of_true_class.mean(),
        "this is ln(Σ eᶻ) alone; the logit of the true class is not taken off": logits.logsumexp(dim=1).mean(),
        "`[:, labels]` takes all these classes of each image; [range(len(labels)), labels] takes one": -logs[
            :, labels
        ].mean(),
        "the labels are not used: this is −ln of the largest probability": -logs.max(dim=1).values.mean(),
    }


def cross_entropy(answer: Callable) -> Iterator[str]:
    """The loss of logits and labels: a mean over the images, and right for large logits, too."""
    for images, classes in ((6, 4), (5, 5), (1, 10)):
        logits, labels = random_batch(images, classes)
        case, value = f"the call with logits of shape ({images}, {classes})", answer(logits.clone(), labels.clone())
        if isinstance(value, Tensor) and value.shape == labels.shape and images > 1:
            raise MistakeError(f"{case} gives one loss for each image; the mean of them is missing")
        got, right = number(value, case), F.cross_entropy(logits, labels)
        mistakes = loss_mistakes(logits, labels)
        if not near(got, right):
            why = fitting(got, mistakes, "that is not the cross-entropy")
            raise MistakeError(f"{case} gives {got:.4f}, not {right:.4f}: {why}")
        yield f"logits of shape ({images}, {classes}): {right:.4f}"
    yield from large_logits(answer)


def large_logits(answer: Callable) -> Iterator[str]:
    """The same where e to the power of a logit leaves the 32-bit numbers."""
    for row, label in (([200.0, 0.0, 0.0], 1), ([-1000.0, -1000.0], 0), ([1000.0, 0.0], 0), ([1000.0, 0.0], 1)):
        logits, labels = torch.tensor([row]), torch.tensor([label])
        case = f"the call with logits {[row]} and label [{label}]"
        got, right = number(answer(logits.clone(), labels.clone()), case), F.cross_entropy(logits, labels)
        if math.isnan(got):
            raise MistakeError(f"{case} gives nan: e to the power of 1000 is infinite here, and ∞/∞ or ∞ · 0 is nan")
        if math.isinf(got):
            raise MistakeError(
                f"{case} gives {got}: a probability is rounded to 0, or a sum to ∞, before the logarithm"
            )
        if not near(got, right):
            raise MistakeError(f"{case} gives {got:.4f}, not {right:.4f}: a number on the way was rounded or cut off")
        yield f"logits {row}, label {label}: {right:.4f}"


Step = Callable[[nn.Module, Tensor, Tensor, torch.optim.Optimizer], Any]
OPTIMIZERS: dict[str, Callable] = {
    "SGD": lambda weights: torch.optim.SGD(weights, lr=0.1),
    "Adam": lambda weights: torch.optim.Adam(weights, lr=0.01, weight_decay=0.1, eps=0.01),
    "SGD with momentum": lambda weights: torch.optim.SGD(weights, lr=0.1, momentum=0.9),
}


def step_with(loss_function: Callable, forget: bool = True) -> Step:
    """A training step with another loss, or one that does not forget the old gradients."""

    def step(model: nn.Module, images: Tensor, labels: Tensor, optimizer: torch.optim.Optimizer) -> None:
        if forget:
            optimizer.zero_grad()
        loss_function(model(images), labels).backward()
        optimizer.step()

    return step


WRONG_STEPS = {
    "softmax comes before the loss, but F.cross_entropy wants logits: it has its own softmax inside": step_with(
        lambda logits, labels: F.cross_entropy(logits.softmax(dim=1), labels)
    ),
    "the losses of the batch are added up; the mean is asked for, which F.cross_entropy gives": step_with(
        lambda logits, labels: F.cross_entropy(logits, labels, reduction="sum")
    ),
    "the step climbs: the sign of the loss is wrong": step_with(
        lambda logits, labels: -F.cross_entropy(logits, labels)
    ),
    "the gradients of the batches before are still in the sum: `optimizer.zero_grad()` is missing": step_with(
        F.cross_entropy, forget=False
    ),
}


def watch(model: nn.Module, optimizer: torch.optim.Optimizer) -> list[str]:
    """A list to which the model and its optimizer add what is called, one word for each call."""
    calls: list[str] = []

    def told(word: str, method: Callable) -> Callable:
        def tell(*values: Any, **named: Any) -> Any:
            calls.append(word)
            return method(*values, **named)

        return tell

    for word in ("zero_grad", "step"):
        setattr(optimizer, word, told(word, getattr(optimizer, word)))
    model.register_forward_hook(lambda layer, *_: calls.append("train mode" if layer.training else "eval mode"))
    next(model.parameters()).register_hook(lambda gradient: calls.append("backward"))
    return calls


def trouble_with(calls: list[str]) -> str:
    """What is wrong with the calls of one step, by their order; "" where nothing is."""
    if "backward" not in calls:
        return "no gradient was computed for the model: `loss.backward()` is missing"
    before = calls[: calls.index("backward")]
    if "step" not in calls:
        return (
            "the optimizer that you were given did not move the weights: `optimizer.step()` is missing, or that of "
            "another optimizer was called"
        )
    if "step" in before:
        return "`optimizer.step()` comes before `loss.backward()`, so it does not use the gradients of this batch"
    if calls.count("step") > 1:
        return f"`optimizer.step()` was called {calls.count('step')} times for one batch"
    if "zero_grad" in calls[len(before) : calls.index("step")]:
        return "`zero_grad()` stands between `backward()` and `step()`: it clears the gradients before they are used"
    if "eval mode" in before and "train mode" not in before:
        return "the model came in eval mode from a measurement and stayed in it, so dropout is off while it trains"
    return ""


def weights_after(step: Step, model: nn.Module, optimizer: torch.optim.Optimizer, batches: list) -> list[Tensor]:
    """All weights of the model after the step on each batch; before all but the first the model is in eval mode."""
    places = []
    for images, labels in batches:
        step(model, images.clone(), labels.clone(), optimizer)
        places.append(nn.utils.parameters_to_vector(model.parameters()).detach().clone())
        model.eval()
    return places


def watched_steps(answer: Callable, name: str, model: nn.Module, batches: list) -> list[Tensor]:
    """The weights after each step of the answer; raises MistakeError where the calls in a step cannot be right."""
    optimizer = OPTIMIZERS[name](model.parameters())
    calls = watch(model, optimizer)

    def step(model: nn.Module, images: Tensor, labels: Tensor, optimizer: torch.optim.Optimizer) -> None:
        calls.clear()
        answer(model, images, labels, optimizer)
        trouble = trouble_with(calls)
        if trouble:
            raise MistakeError(f"{name}, a batch of {len(labels)} images: {trouble}")

    return weights_after(step, model, optimizer, batches)


def why_elsewhere(places: list[Tensor], start: nn.Module, name: str, batches: list) -> str:
    """Which typical mistake takes the weights to these places, step by step."""
    for words, step in WRONG_STEPS.items():
        model = copy.deepcopy(start)
        wrong = weights_after(step, model, OPTIMIZERS[name](model.parameters()), batches[: len(places)])
        if near(torch.stack(places), torch.stack(wrong)):
            return words
    return "the weights are not where a step on the mean cross-entropy takes them"


def training_step(answer: Callable) -> Iterator[str]:
    """One step on a batch, compared with the package's own over several batches and with several optimizers."""
    for name, make in OPTIMIZERS.items():
        start = nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 3))
        batches = [(torch.randn(size, 6), torch.randint(3, (size,))) for size in (8, 8, 3, 1)]
        places, model = watched_steps(answer, name, copy.deepcopy(start), batches), copy.deepcopy(start)
        rights = weights_after(train_step, model, make(model.parameters()), batches)
        for count, (place, right) in enumerate(zip(places, rights), start=1):
            if not near(place, right):
                raise MistakeError(f"{name}, step {count}: {why_elsewhere(places[:count], start, name, batches)}")
        yield f"{name}: {len(batches)} steps, the last one on a single image"


def tiny_classifier(dropout: float) -> nn.Module:
    """Six values in, four classes out; its logits are large enough that each image has another loss."""
    model = nn.Sequential(nn.Linear(6, 8), nn.Dropout(dropout), nn.Linear(8, 4))
    with torch.no_grad():
        for weights in model.parameters():
            weights.mul_(3)
    return model


def wrong_losses(model: nn.Module, loader: DataLoader) -> dict[str, float]:
    """What typical mistakes give for the loss over all images, by their names."""
    losses, whole = [evaluate(model, [batch]).loss for batch in loader], evaluate(model, loader)
    images = len(loader.dataset)  # type: ignore[arg-type]
    twice = nn.Sequential(model, nn.Softmax(dim=1))
    return {
        "the batches' means are averaged, but a smaller last batch must count less": sum(losses) / len(losses),
        "the batches' mean losses are divided by the number of images; multiply each by its size": sum(losses) / images,
        "the batches' mean losses are added up and not divided": sum(losses),
        "it is not divided by the number of images": whole.loss * images,
        "it is divided by the number of batches, not of images": whole.loss * images / len(losses),
        "that is the last batch alone": losses[-1],
        "that is the first batch alone; does a `return` stand inside the loop?": losses[0],
        "softmax comes before F.cross_entropy, which has its own inside": evaluate(twice, loader).loss,
        "that is the accuracy; the loss comes first": whole.accuracy,
    }


def wrong_accuracies(model: nn.Module, loader: DataLoader) -> dict[str, float]:
    """The same for the accuracy."""
    shares, right = [evaluate(model, [batch]).accuracy for batch in loader], evaluate(model, loader).accuracy
    images = len(loader.dataset)  # type: ignore[arg-type]
    with torch.no_grad():
        down = [(logits.argmax(dim=0), labels) for logits, labels in ((model(each), labels) for each, labels in loader)]
    hits = sum((found == labels).sum().item() for found, labels in down if found.shape == labels.shape)
    return {
        "that is a percentage; a share from 0 to 1 is asked for": 100 * right,
        "that is the number of right answers; divide by the number of images": right * images,
        "argmax goes down the images (dim=0); the classes of one image are dim=1": hits / images,
        "argmax goes down the images (dim=0) in place of dim=1, and it is a percentage, not a share": 100
        * hits
        / images,
        "the batches' shares are averaged, but a smaller last batch must count less": sum(shares) / len(shares),
        "the batches' shares are added up and not divided": sum(shares),
        "the batches' shares are divided by the number of images; multiply each by its size": sum(shares) / images,
        "the right answers are divided by the number of batches, not of images": right * images / len(shares),
        "that is the last batch alone": shares[-1],
        "that is the first batch alone; does a `return` stand inside the loop?": shares[0],
        "that is the share of wrong answers": 1 - right,
    }


def loss_and_accuracy(value: Any, case: str) -> list[float]:
    """The two numbers that the answer returns, as a pair or as Metrics."""
    if hasattr(value, "loss") and hasattr(value, "accuracy"):
        value = value.loss, value.accuracy
    if isinstance(value, (tuple, list)):
        value = [each.detach() if isinstance(each, Tensor) else each for each in value]
    return values(value, (2,), f"{case}: (loss, accuracy)").tolist()


def compare(kind: str, got: float, right: float, mistakes: dict[str, float], case: str) -> None:
    """Raise MistakeError with the name of the mistake where a value is not right."""
    if not near(got, right):
        why = fitting(got, mistakes, f"that is not the {kind}")
        raise MistakeError(f"{case}: the {kind} comes out as {got:.4f}, not {right:.4f}: {why}")


def watched_measurement(answer: Callable, model: nn.Module, loader: DataLoader, case: str) -> None:
    """Raise MistakeError where the answer measures wrongly, or does more than measure."""
    twin, seen = copy.deepcopy(model).eval(), []
    model.register_forward_hook(lambda layer, *_: seen.append((layer.training, torch.is_grad_enabled())))
    loss, accuracy = loss_and_accuracy(answer(model, loader), case)
    if any(training for training, _ in seen):
        raise MistakeError(f"{case}: the model came in train mode and was measured in it, with dropout on")
    right = evaluate(twin, loader)
    compare("loss", loss, right.loss, wrong_losses(twin, loader), case)
    compare("accuracy", accuracy, right.accuracy, wrong_accuracies(twin, loader), case)
    if any(grad for _, grad in seen):
        raise MistakeError(
            f"{case}: both numbers are right, but PyTorch kept what backward() needs: use torch.no_grad()"
        )
    if any(not torch.equal(weights, model.state_dict()[name]) for name, weights in twin.state_dict().items()):
        raise MistakeError(f"{case}: the weights are others than before; measuring must not change them")


def measurement(answer: Callable) -> Iterator[str]:
    """Loss and accuracy over all batches of a loader, each image counting the same, with dropout off."""
    for sizes in ((4, 4), (4, 4, 2), (4, 1), (1,)):
        case, model = f"batches of {' + '.join(map(str, sizes))} images", tiny_classifier(dropout=0.5)
        images, labels = torch.randn(sum(sizes), 6), torch.randint(4, (sum(sizes),))
        watched_measurement(answer, model, DataLoader(TensorDataset(images, labels), batch_size=4), case)
        yield case
    if not model.training:
        yield "and now the model is in eval mode: model.train() before the next step"


EXERCISES = {
    "03b.1": Exercise(
        cross_entropy,
        (
            "the lesson computes the loss of one very sure answer from its logits; do so for each image of the batch",
            "from the logits z of one image: ln(Σ eᶻ) − z of the true class. `logsumexp(dim=1)` gives the first part",
            "subtract logits[range(len(labels)), labels] from that first part; then the mean",
        ),
    ),
    "03b.2": Exercise(
        training_step,
        (
            "five lines make a step, and one before them sets the mode; what is each of them for?",
            "the mode, forward and loss; then forget the old gradients, compute the new ones, and move the weights",
            "model.train(), loss = F.cross_entropy(model(images), labels), then zero_grad, loss.backward and step",
        ),
    ),
    "03b.3": Exercise(
        measurement,
        (
            "which mode does measuring need? And what does an image weigh when the last batch is smaller?",
            "add up over all images, not over batches: F.cross_entropy(…) · len(labels) is the sum of a batch's losses",
            "model.eval(), then the loop in torch.no_grad(); divide both sums by len(loader.dataset) after the loop",
        ),
    ),
}
