"""Trainings with one fault each: a short script, ten wrong lines for it, what a run shows, and a check of repairs.

`train` is the healthy script. A case is its text with one line changed, so that every symptom is that of a real run.
"""

import copy
import dataclasses
import inspect
import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import TensorDataset

from mnist_helpers.data import MNISTData, make_loader
from mnist_helpers.live import OwnRandomNumbers
from mnist_helpers.model import MNISTNet
from mnist_helpers.quick import quick_settings
from mnist_helpers.training import Metrics, eval_mode, set_seed

IMAGES = 3_000  # of the training images; the script makes its three sets of them
Digits = tuple[torch.Tensor, torch.Tensor]  # uint8 images (3000, 1, 28, 28) from 0 to 255, and their labels
Symptoms = dict[str, float]


@dataclasses.dataclass
class Trained:
    """What the script returns: the network, its sets, the loss of each step, and the metrics after each epoch."""

    model: nn.Module
    train_set: TensorDataset
    valid_set: TensorDataset
    test_set: TensorDataset
    steps: list[float]
    train_curve: list[Metrics]
    valid_curve: list[Metrics]


def measure(model: nn.Module, dataset: TensorDataset) -> Metrics:
    """Loss and accuracy on all images at once, with dropout on or off as the model is: that is left to the script."""
    images, labels = dataset.tensors
    with torch.no_grad():
        logits = model(images)
    return Metrics(F.cross_entropy(logits, labels).item(), (logits.argmax(dim=1) == labels).float().mean().item())


def train(images: torch.Tensor, labels: torch.Tensor, seed: int) -> Trained:
    """The healthy script: 1,500 images to train, 750 to choose the best epoch, 750 to test.

    `images`: uint8 (3000, 1, 28, 28), from 0 to 255. `labels`: int64 (3000,).
    """
    set_seed(seed)
    order = torch.randperm(len(images))
    images, labels = images[order] / 255, labels[order]
    rows = [slice(0, 1500), slice(1500, 2250), slice(2250, 3000)]
    train_set, valid_set, test_set = [TensorDataset(images[part], labels[part]) for part in rows]
    model = MNISTNet(dropout=0.2)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.001)
    steps, train_curve, valid_curve = [], [], []
    for _ in range(10):
        model.train()
        for batch, digits in make_loader(train_set, 32, shuffle=True):
            loss = F.cross_entropy(model(batch), digits)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            steps.append(loss.item())
        model.eval()
        train_curve.append(measure(model, train_set))
        valid_curve.append(measure(model, valid_set))
        if valid_curve[-1].accuracy == max(metrics.accuracy for metrics in valid_curve):
            best = copy.deepcopy(model.state_dict())
    model.load_state_dict(best)
    return Trained(model, train_set, valid_set, test_set, steps, train_curve, valid_curve)


def raw_digits(data: MNISTData) -> Digits:
    """The first 3,000 training images, from 0 to 255, and their labels. Raises ValueError when there are fewer."""
    if len(data.train) < IMAGES:
        raise ValueError(f"the script takes {IMAGES:,} training images, here are only {len(data.train):,}")
    images, labels = data.train[:IMAGES]
    return (255 * images).round().byte(), labels


# ---------------------------------------------------------------- what a run shows


def symptoms(trained: Trained) -> Symptoms:
    """The numbers of a run that tell faults apart. Losses in nats, accuracies from 0 to 1."""
    steps, curve = trained.steps, [metrics.loss for metrics in trained.train_curve]
    epoch = len(steps) // len(curve)
    kept = max(reversed(trained.valid_curve), key=lambda metrics: metrics.accuracy)
    with OwnRandomNumbers(0):
        again = [measure(trained.model, trained.valid_set).loss for _ in range(2)]  # as the script left the network
    with eval_mode(trained.model):
        clean, test = measure(trained.model, trained.valid_set), measure(trained.model, trained.test_set)
    return {
        "first_step": steps[0],
        "highest_step": max(steps[:epoch]),
        "lowest_step": min(steps),
        "last_steps": sum(steps[-epoch:]) / epoch,
        "train_loss": curve[-1],
        "rise": max([0.0, *(after - before for before, after in zip(curve, curve[1:]))]),
        "train_accuracy": trained.train_curve[-1].accuracy,
        "valid_accuracy": trained.valid_curve[-1].accuracy,
        "test_accuracy": test.accuracy,
        "recorded": kept.loss,
        "again": again[0],
        "once_more": again[1],
        "test_loss": test.loss,
        "from_valid": recorded_in(trained.valid_curve, clean),
        "from_test": recorded_in(trained.valid_curve, test),
        "shared": shared_images(trained.train_set, trained.valid_set, trained.test_set),
    }


def recorded_in(curve: Sequence[Metrics], now: Metrics) -> bool:
    """Whether an epoch was recorded with the loss that the kept network has now, dropout off."""
    return any(math.isclose(metrics.loss, now.loss, rel_tol=1e-4) for metrics in curve)


def shared_images(*datasets: TensorDataset) -> int:
    """How many images, compared pixel by pixel, are there once more, in the same set or in another."""
    images = [image.numpy().tobytes() for dataset in datasets for image in dataset.tensors[0]]
    return len(images) - len(set(images))


# ---------------------------------------------------------------- ten faults


@dataclasses.dataclass(frozen=True)
class Fault:
    """One wrong line: what stands there in `train`, what in its place, what a run then shows, and whether one does.

    `tell` names the numbers to look at, with the fields of `symptoms`.
    """

    name: str
    healthy: str
    faulty: str
    shows: str
    tell: str
    seen: Callable[[Symptoms], float]  # true or not


SPIKE = 4.0  # nats: no batch of a network that knows nothing is near it, those have about ln 10 = 2.3
STEPS = "the first step has the loss {first_step:.2f}, the highest of the first epoch is {highest_step:.2f}"
ENDS = "training accuracy ends at {train_accuracy:.1%}, validation accuracy at {valid_accuracy:.1%}"
AGAIN = (
    "the validation loss of the kept epoch was recorded as {recorded:.4f}; measured again it is {again:.4f} and then "
    "{once_more:.4f}, on the test images {test_loss:.4f}"
)
_ZERO_GRAD = " " * 12 + "optimizer.zero_grad()\n"
_EVAL = " " * 8 + "model.eval()\n"
_NETWORK = "model = MNISTNet(dropout=0.2)"
_OPTIMIZER = "optimizer = torch.optim.Adam(model.parameters(), lr=0.001)"
_DIGITS = "images, labels = images[order] / 255, labels[order]\n"
_ROWS = "rows = [slice(0, 1500), slice(1500, 2250), slice(2250, 3000)]"

FAULTS = {
    "zero_grad": Fault(
        "gradients are never set to zero",
        _ZERO_GRAD,
        "",
        "Each step adds its gradient to those of all steps before, so the network goes on in old directions and past "
        "the goal: the training loss rises again between epochs, and the training accuracy stays behind.",
        "the training loss rises by up to {rise:.2f} from one epoch to the next, and " + ENDS,
        lambda run: run["rise"] > 0.05 and run["train_accuracy"] < 0.92 and run["highest_step"] < SPIKE,
    ),
    "eval": Fault(
        "dropout stays on while measuring",
        _EVAL,
        "",
        "The network that is measured still drops units at random: both accuracies come out a little too low, and the "
        "same weights and images give another number each time.",
        AGAIN,
        lambda run: not run["from_valid"] and not run["from_test"],
    ),
    "softmax": Fault(
        "softmax before cross-entropy",
        _NETWORK,
        "model = nn.Sequential(MNISTNet(dropout=0.2), nn.Softmax(dim=1))",
        "The loss takes probabilities for logits. As these lie between 0 and 1, it cannot fall below ln(e + 9) − 1 = "
        "1.46, though most answers are right.",
        "the lowest loss of all steps is {lowest_step:.2f}, and " + ENDS,
        lambda run: run["lowest_step"] > 1.46 and run["train_accuracy"] > 0.5,
    ),
    "too_high": Fault(
        "learning rate too high",
        _OPTIMIZER,
        _OPTIMIZER.replace("0.001", "0.1"),
        "The loss begins near ln 10 = 2.30, as that of any network that knows nothing, and then shoots up in the first "
        "epoch: the steps lead too far.",
        STEPS,
        lambda run: run["first_step"] < SPIKE < run["highest_step"],
    ),
    "too_low": Fault(
        "learning rate too low",
        _OPTIMIZER,
        _OPTIMIZER.replace("0.001", "0.00001"),
        "The loss falls smoothly but hardly at all; what little is learnt holds for new images too, so both curves "
        "stay together.",
        "the steps of the last epoch have a mean loss of {last_steps:.2f}, and " + ENDS,
        lambda run: (
            run["last_steps"] > 2
            and run["highest_step"] < SPIKE
            and run["train_accuracy"] - run["valid_accuracy"] < 0.1
        ),
    ),
    "labels": Fault(
        "labels shuffled against the images",
        _DIGITS,
        _DIGITS.replace("labels[order]", "labels"),
        "There is nothing to learn that holds for other images: validation stays near 10 %, while training slowly "
        "learns single images by heart.",
        ENDS,
        lambda run: (
            run["valid_accuracy"] < 0.2
            and run["highest_step"] < SPIKE
            and run["train_accuracy"] - run["valid_accuracy"] > 0.1
        ),
    ),
    "test_set": Fault(
        "best epoch chosen on the test images",
        "valid_curve.append(measure(model, valid_set))",
        "valid_curve.append(measure(model, test_set))",
        "The curves look healthy. But the loss that was recorded as that of the validation images is, to the last "
        "digit, that of the test images, which then are no test any more.",
        AGAIN,
        lambda run: run["from_test"] and not run["from_valid"],
    ),
    "pixels": Fault(
        "pixels from 0 to 255",
        _DIGITS,
        _DIGITS.replace(" / 255", ".float()"),
        "Inputs that are 255 times too large make large logits: before anything is learnt the network is sure of wrong "
        "answers, so the very first loss is far above ln 10 = 2.30.",
        STEPS,
        lambda run: run["first_step"] > SPIKE,
    ),
    "logits": Fault(
        "dropout on the logits",
        _NETWORK,
        "model = nn.Sequential(MNISTNet(dropout=0.2), nn.Dropout(0.5))",
        "While training, each logit is set to 0 half of the time, that of the right digit too: the steps' loss stays "
        "far above the training loss with dropout off.",
        "the steps of the last epoch have a mean loss of {last_steps:.2f}, and the training loss with dropout off is "
        "{train_loss:.2f}",
        lambda run: run["last_steps"] - run["train_loss"] > 0.6 and run["highest_step"] < SPIKE,
    ),
    "leak": Fault(
        "validation images in the training set",
        _ROWS,
        _ROWS.replace("slice(1500, 2250)", "slice(750, 1500)"),
        "Validation is as good as training, because it is training. The test images, which were not trained on, are "
        "answered clearly worse.",
        "{shared:,} images are there twice, in two of the three sets; "
        + ENDS
        + ", test accuracy is {test_accuracy:.1%}",
        lambda run: run["shared"] > 0,
    ),
}
CASES = {
    "A": "labels",
    "B": "too_high",
    "C": "too_low",
    "D": "softmax",
    "E": "pixels",
    "F": "zero_grad",
    "G": "logits",
    "H": "leak",
    "I": "eval",
    "J": "test_set",
}


def script(case: str) -> str:
    """The text of a case: `train` with one wrong line. `case`: a letter of CASES, or "" for the healthy script."""
    if case and case not in CASES:
        raise ValueError(f"case must be one of {', '.join(CASES)}, got {case!r}")
    text = inspect.getsource(train).replace(f'    """{train.__doc__}"""\n', "")
    text = text.replace("images: torch.Tensor, labels: torch.Tensor, seed: int) -> Trained", "images, labels, seed)")
    return text.replace(FAULTS[CASES[case]].healthy, FAULTS[CASES[case]].faulty) if case else text


def run_script(text: str | Callable, digits: Digits, seed: int = 0) -> Trained:
    """Train with a script: a text that defines `train`, or such a function. Raises what the script raises, and
    TypeError when it returns something else than `Trained(...)`.
    """
    names = {name: value for name, value in globals().items() if name != "train"}  # that the text has to define
    if isinstance(text, str):
        exec(compile(text, "<script>", "exec"), names)
    with quick_settings():
        trained = (names["train"] if isinstance(text, str) else text)(*digits, seed)
    if not isinstance(trained, Trained):
        raise TypeError(f"train must return Trained(...) as before, it returned {type(trained).__name__}")
    return trained


def answer(case: str, diagnosis: str, run: Symptoms) -> str:
    """Whether a diagnosis, a name in FAULTS, is that of the case: why the symptoms fit, or what would be different."""
    fault = FAULTS[diagnosis]
    told = fault.tell.format(**run)
    if diagnosis == CASES[case]:
        return f"Yes: {fault.name}. {fault.shows} Here {told}."
    return f"No, not this: {fault.name}. {fault.shows} But here {told}."


def check_repair(
    case: str, repair: str | Callable, digits: Digits, healthy: Sequence[Symptoms], seeds: Sequence[int] = (0, 1, 2)
) -> str:
    """Train with the repaired script and say whether its runs look like the healthy ones, or what is still wrong.

    `repair`: the text, or the function `train`. `healthy`: the symptoms of healthy runs.
    """
    if repair == script(case):
        return f"{case}: nothing is changed yet."
    try:
        runs = [symptoms(run_script(repair, digits, seed)) for seed in seeds]
    except Exception as error:  # whatever the student's lines raise
        return f"{case}: the script stops with {type(error).__name__}: {error}"
    for fault in FAULTS.values():
        if ill := [run for run in runs if fault.seen(run)]:
            return f"{case}: not yet, it looks like this: {fault.name}. In {len(ill)} of {len(runs)} runs " + (
                f"it shows; in the first of them {fault.tell.format(**ill[0])}."
            )
    accuracy = sum(run["test_accuracy"] for run in runs) / len(runs)
    low, high = (f(run["test_accuracy"] for run in healthy) for f in (min, max))
    if accuracy < low - 0.01:
        return f"{case}: not yet. The test accuracy, {accuracy:.1%}, is clearly below that of healthy runs, {low:.1%}."
    return f"{case}: repaired. Mean test accuracy {accuracy:.1%}; healthy runs have {low:.1%} to {high:.1%}."
