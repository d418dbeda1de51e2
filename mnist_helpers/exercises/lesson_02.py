"""The exercises of lesson 2."""

from collections.abc import Callable, Iterator

from mnist_helpers.exercises.checking import Exercise, MistakeError, number


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


EXERCISES = {
    "02.1": Exercise(
        parameters,
        (
            "take one layer alone: how many weights has one of its units, and what else has it?",
            "a layer from `before` to `after` values has before · after weights, and `after` biases, one for each unit",
            "go through the pairs of neighbours, zip(sizes, sizes[1:]), and add (before + 1) · after",
        ),
    )
}
