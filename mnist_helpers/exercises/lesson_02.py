"""The exercises of lesson 2."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch

from mnist_helpers.exercises.checking import Exercise, MistakeError, brief, fitting, near, number, values


def parameters(answer: Callable) -> Iterator[str]:
    """The number of parameters of linear layers, from the sizes of what goes into and out of them."""
    for sizes in ([784, 10], [784, 32, 10], [784, 128, 64, 10], [5, 1]):
        case = f"the call with {sizes}"
        got = number(answer(list(sizes)), case)
        weights = sum(before * after for before, after in zip(sizes, sizes[1:]))
        wrong = {
            weights: "the biases are not counted",
            weights + len(sizes) - 1: "one bias is counted for each layer, but each unit has one of its own",
            weights + sum(sizes): "the inputs are counted as if they had biases, too",
            weights + sum(sizes[:-1]): "a bias is counted for each input; it belongs to the outputs of a layer",
            sizes[0] * sizes[-1] + sizes[-1]: "the layers between the first and the last size are left out",
        }
        right = weights + sum(sizes[1:])
        if got != right:
            raise MistakeError(
                f"{case} gives {got:,.0f}: {wrong.get(int(got), 'that is not the number of parameters')}"
            )
        yield f"{sizes}: {right:,}"


def answers(answer: Callable) -> Iterator[str]:
    """The class that the network names for each image, and its probability."""
    for logits in (3 * torch.randn(4, 10), torch.randn(10, 10), torch.randn(1, 10), 1_000 * torch.randn(3, 10)):
        case = f"the call with logits of shape {tuple(logits.shape)}"
        got = answer(logits.clone())
        if not isinstance(got, (tuple, list)) or len(got) != 2:
            raise MistakeError(f"{case} should give classes and probabilities, got {brief(got)}")
        wrong = trouble_with_both(got, logits) or trouble_with_classes(got[0], logits, case)
        wrong = wrong or trouble_with_probabilities(got[1], logits, case)
        if wrong:
            raise MistakeError(f"{case}: {wrong}")
        yield f"logits of shape {tuple(logits.shape)}: classes and probabilities are right"


def trouble_with_both(got: Sequence, logits: torch.Tensor) -> str:
    """What is wrong with classes and probabilities together; "" where nothing is."""
    if any(isinstance(part, tuple) and hasattr(part, "indices") for part in got):
        return "`max` along a dimension gives two things, `.values` and `.indices`; take the one that is asked for"
    if near_to(got[1], logits.argmax(dim=1)):
        return "the two are exchanged (`max` gives the values first): the classes come first"
    if any(torch.as_tensor(part).isnan().any() for part in got if isinstance(part, (torch.Tensor, np.ndarray))):
        return "nan, for e to the power of a large logit is infinite; torch's softmax avoids it"
    return ""


def trouble_with_classes(got: object, logits: torch.Tensor, case: str) -> str:
    """What is wrong with the classes; "" where nothing is."""
    if near_to(got, logits.argmax(dim=1)):
        return ""
    if near_to(got, logits.argmax(dim=0)):
        return "`argmax` goes down the images; it belongs across the classes, dim=1"
    if near_to(got, logits.softmax(dim=0).argmax(dim=1)) or near_to(got, logits.softmax(dim=1).argmax(dim=0)):
        return "`softmax` or `max` goes down the images; both belong across the classes of one image, dim=1"
    if near_to(got, logits.argmax()):
        return "one number for all images came out: without dim=1, `argmax` counts through all logits"
    if near_to(got, logits.argmin(dim=1)):
        return "these are the classes with the smallest logits"
    values(got, (len(logits),), f"{case}: the classes")
    return "the classes are not those with the largest logits"


def trouble_with_probabilities(got: object, logits: torch.Tensor, case: str) -> str:
    """What is wrong with the probabilities of the named classes; "" where nothing is."""
    rows, sure = torch.arange(len(logits)), logits.softmax(dim=1)
    if near_to(got, sure) and len(logits) > 1:
        return "all probabilities came out; only that of the named class is asked"
    found = values(got, (len(logits),), f"{case}: the probabilities")
    if near(found, sure.max(dim=1).values):
        return ""
    wrong = {
        "these are logits, no probabilities: the softmax is missing": logits.max(dim=1).values,
        "softmax goes down the images; it belongs across the classes of one image, dim=1": logits.softmax(dim=0)[
            rows, logits.argmax(dim=1)
        ],
        "these are logarithms of probabilities": sure.max(dim=1).values.log(),
        "these are e to the power of the logits; to divide by their sum is missing": logits.double().exp().amax(dim=1),
        "the logits are divided by their sum; e to the power of each comes first": logits.amax(dim=1)
        / logits.sum(dim=1),
        "softmax was applied twice": sure.softmax(dim=1).max(dim=1).values,
        "these are sigmoids, one class against nothing": logits.sigmoid().max(dim=1).values,
    }
    return fitting(found, wrong, "the probabilities are not the right ones: do those of one image add up to 1?")


def near_to(value: object, right: torch.Tensor) -> bool:
    """Whether these are the same numbers in the same shape."""
    try:
        return near(values(value, tuple(right.shape), ""), right)
    except MistakeError:
        return False


def dropped(answer: Callable) -> Iterator[str]:
    """Dropout by hand: what happens in evaluation and in training."""
    inputs = 0.5 + torch.rand(400, 100)
    for p in (0.2, 0.5, 0.7):
        in_evaluation(answer, inputs, p)
        in_training(answer, inputs, p)
        yield f"p = {p}: nothing is dropped in evaluation; in training a share near {p}, and the rest grows"
    if not near(values(answer(inputs.clone(), 0.0, True), tuple(inputs.shape), "the call with p = 0"), inputs):
        raise MistakeError("with p = 0 nothing is dropped, so nothing may change")
    yield "p = 0: nothing changes"


def in_evaluation(answer: Callable, inputs: torch.Tensor, p: float) -> None:
    """Raise MistakeError unless the values come back as they are."""
    case = f"p = {p}, training=False"
    got = values(answer(inputs.clone(), p, False), tuple(inputs.shape), case)
    if near(got, inputs * (1 - p)):
        raise MistakeError(f"{case}: the values shrink; the factor 1/(1 − p) in training makes that superfluous")
    if (got == 0).any():
        raise MistakeError(f"{case}: values are dropped; dropout acts in training only")
    if not near(got, inputs):
        raise MistakeError(f"{case}: the values change; in evaluation they stay as they are")


def in_training(answer: Callable, inputs: torch.Tensor, p: float) -> None:
    """Raise MistakeError unless a share p is dropped, value by value, and the rest is divided by 1 − p."""
    case, given = f"p = {p}, training=True", inputs.clone()
    got = values(answer(given, p, True), tuple(inputs.shape), case)
    again = values(answer(inputs.clone(), p, True), tuple(inputs.shape), case)
    kept, ratio = got != 0, (got / inputs)[got != 0]
    share = 1 - kept.float().mean().item()
    wrong_factors = {"they stay as they are; divide by 1 − p": 1.0, "they are divided by p, not by 1 − p": 1 / p}
    wrong_factors["they are multiplied by 1 − p, not divided"] = 1 - p
    if share == 0:
        raise MistakeError(f"{case}: no value is dropped; is there a draw for each value?")
    if (kept == kept[0]).all() or (kept == kept[:, :1]).all():
        raise MistakeError(f"{case}: one draw decides for a whole row or column; draw for each value")
    if abs(share - p) > 0.02:
        turned = "; p is the share to drop, not to keep" if abs(share - (1 - p)) < 0.02 else ""
        raise MistakeError(f"{case}: {share:.0%} of the values are dropped{turned}")
    if not near(ratio, torch.full_like(ratio, 1 / (1 - p))):
        words = [text for text, factor in wrong_factors.items() if near(ratio, torch.full_like(ratio, factor))]
        raise MistakeError(f"{case}: the kept values are wrong: {words[0] if words else 'not all grow by 1/(1 − p)'}")
    if (kept == (again != 0)).all():
        raise MistakeError(f"{case}: two calls drop the same values; draw anew each time")
    counts = {int((values(answer(inputs.clone(), p, True), inputs.shape, case) == 0).sum()) for _ in range(4)}
    if len(counts) == 1:
        raise MistakeError(f"{case}: each call drops exactly {counts.pop():,} values; each value is drawn on its own")
    if not near(given, inputs):
        raise MistakeError(f"{case}: the function changed its input; return new values")


EXERCISES = {
    "02.1": Exercise(
        parameters,
        (
            "take one layer alone: how many weights has one of its units, and what else has it?",
            "a layer from `before` to `after` values has before · after weights, and `after` biases, one for each unit",
            "go through the pairs of neighbours, zip(sizes, sizes[1:]), and add (before + 1) · after",
        ),
    ),
    "02.2": Exercise(
        answers,
        (
            "logits have the shape (images, classes): along which of the two do you look for the largest?",
            "argmax(dim=1) gives the classes; softmax(dim=1) makes probabilities that sum to 1 for each image",
            "`logits.softmax(dim=1).max(dim=1)` has two parts: values and indices",
        ),
    ),
    "02.3": Exercise(
        dropped,
        (
            "what does dropout do in evaluation? Begin with that case",
            "torch.rand_like(values) draws a number in [0, 1) for each value; which of them are below p?",
            "multiply by the mask (torch.rand_like(values) >= p) and divide by 1 − p",
        ),
    ),
}
