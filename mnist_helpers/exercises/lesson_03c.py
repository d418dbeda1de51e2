"""The exercises of lesson 3c."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from mnist_helpers.exercises.checking import Exercise, MistakeError, brief, fitting, near, number, values

Results = dict[int, float]  # an accuracy, as a share from 0 to 1, for each seed


def pairs(first: Results, second: Results) -> Results:
    """The right differences in percentage points, for the seeds that both have."""
    return {seed: 100 * (first[seed] - second[seed]) for seed in first if seed in second}


def difference_mistakes(first: Results, second: Results) -> dict[str, list[float]]:
    """The differences that typical mistakes give, in the order of the right ones."""
    right = list(pairs(first, second).values())
    by_place = [100 * (one - two) for one, two in zip(first.values(), second.values())]
    apart = 100 * (np.mean(list(first.values())) - np.mean(list(second.values())))
    return {
        "the sign is wrong: it should be first − second": [-each for each in right],
        "these are shares; a percentage point is one hundredth": [each / 100 for each in right],
        "the second dict has its seeds in another order: take its value by the seed, not by the place": by_place,
        "the same difference of the means everywhere; each seed has a difference of its own": [apart] * len(right),
        "the sign does not show which of the two is better; abs() takes it away": [abs(each) for each in right],
    }


def differences(answer: Callable) -> Iterator[str]:
    """Seed by seed, first − second in percentage points, whatever the order of the dicts."""
    cases: dict[str, tuple[Results, Results]] = {
        "the same seeds in the same order": ({0: 0.91, 1: 0.905, 2: 0.92}, {0: 0.90, 1: 0.91, 2: 0.895}),
        "the seeds in another order": ({3: 0.88, 1: 0.90, 2: 0.87}, {1: 0.86, 2: 0.89, 3: 0.885}),
        "one seed": ({7: 0.5}, {7: 0.25}),
        "seeds that only one has": ({0: 0.70, 1: 0.81, 2: 0.75, 5: 0.99}, {2: 0.72, 9: 0.60, 1: 0.80, 0: 0.74}),
    }
    for case, (first, second) in cases.items():
        got = seeds_of(answer(dict(first), dict(second)), case)
        right = pairs(first, second)
        if set(got) != set(right):
            raise MistakeError(
                f"{case}: the seeds {sorted(right)} were run with both settings, you return {sorted(got)}"
            )
        found = [got[seed] for seed in right]
        if not near(found, list(right.values())):
            known = difference_mistakes(first, second)
            why = [words for words, wrong in known.items() if len(wrong) == len(found) and near(found, wrong)]
            shown = {seed: round(got[seed], 4) for seed in right}
            raise MistakeError(f"{case}: {shown}: {why[0] if why else 'these are not the differences in points'}")
        yield f"{case}: { ({seed: round(each, 2) for seed, each in right.items()}) }"


def seeds_of(value: Any, case: str) -> Results:
    """The answer as a dict from seeds to numbers; a pandas Series will do."""
    if not hasattr(value, "items"):
        raise MistakeError(f"{case}: a dict {{seed: difference}} is asked for, got {brief(value)}")
    return {int(seed): number(each, f"{case}: the difference of seed {seed}") for seed, each in value.items()}


def student(freedom: int, level: float = 0.975) -> float:
    """The factor of Student's t."""
    from scipy.stats import t  # takes long to import

    return float(t.ppf(level, freedom))


def half_of_interval(sample: np.ndarray) -> float:
    """The right half of a Student interval."""
    return student(len(sample) - 1) * float(sample.std(ddof=1)) / len(sample) ** 0.5


def interval_mistakes(sample: np.ndarray) -> dict[str, float]:
    """Half of the interval after typical mistakes."""
    n, root, factor = len(sample), len(sample) ** 0.5, student(len(sample) - 1)
    many = "is right for very many runs; for few take Student's t"
    factors = {
        "": factor / root,
        f"1.96 {many}": 1.96 / root,
        f"2 {many}": 2 / root,
        "the standard deviation is not divided by √n: this says where single runs lie, not their mean": factor,
        "that is mean ± 1.96 standard deviations: where single runs lie, not their mean": 1.96,
        "that is mean ± one standard deviation": 1.0,
        "that is mean ± one standard error; the factor t is missing": 1 / root,
        "it is divided by n, not by √n": factor / n,
        "t.ppf(0.95) leaves 5 % on either side; 2.5 % is asked for": student(n - 1, 0.95) / root,
        "the degrees of freedom are n − 1, not n": student(n) / root,
    }
    divided_by = {1: "", 0: "the standard deviation divides by n, as NumPy does; std(ddof=1) divides by n − 1"}
    return {
        "; and ".join(filter(None, (words, more))): times * float(sample.std(ddof=ddof))
        for ddof, more in divided_by.items()
        for words, times in factors.items()
    }


def interval(answer: Callable) -> Iterator[str]:
    """The 95 % interval of a mean with Student's t."""
    samples = ([0.884, 0.887, 0.885, 0.891, 0.893], [0.97, 0.975], [-0.1, 0.3, 0.25], list(np.linspace(-1, 2, 12)))
    for sample in (np.array(each) for each in samples):
        case, mean, half = f"{len(sample)} values", sample.mean(), half_of_interval(sample)
        low, high = values(answer(sample.copy()), (2,), f"{case}: (lower end, upper end)").tolist()
        if near([low, high], [mean, half]):
            raise MistakeError(f"{case}: that is (mean, half of the interval); its two ends are asked for")
        if near([low, high], [mean + half, mean - half]):
            raise MistakeError(f"{case}: the ends are right, but the lower one comes first")
        if near([low, high], [100 * (mean - half), 100 * (mean + half)]):
            raise MistakeError(f"{case}: these are percent; leave the values as they are")
        if not near((low + high) / 2, mean):
            raise MistakeError(f"{case}: the middle of your interval is {(low + high) / 2:.4f}, the mean is {mean:.4f}")
        if not near((high - low) / 2, half):
            got = (high - low) / 2
            why = fitting(got, interval_mistakes(sample), f"that is too {'wide' if got > half else 'narrow'}")
            raise MistakeError(f"{case}: your interval is mean ± {got:.5f}, it should be ± {half:.5f}: {why}")
        yield f"{case}: {mean:.3f} ± {half:.3f}"


def fewest(fits: Callable[[int], bool], first: int = 2) -> int:
    """The smallest whole number from `first` on that fits."""
    while not fits(first):
        first += 1
    return first


def seeds_for(sd: float, half: float, level: float = 0.975, more: int = 0) -> int:
    """How many seeds make the interval mean ± half or narrower; right by default."""
    return fewest(lambda n: student(n - 1 + more, level) * sd / n**0.5 <= half)


def count_mistakes(sd: float, half: float) -> dict[str, float]:
    """How many seeds typical mistakes find."""
    right, by_z = seeds_for(sd, half), (1.96 * sd / half) ** 2
    return {
        "1.96 is too small for few seeds: t depends on n, so try one n after the other": math.ceil(by_z),
        "1.96 stands in place of Student's t, and it is rounded down": math.floor(by_z),
        "1.96 stands in place of Student's t, and it is not rounded up": by_z,
        "`half` goes from the mean to an end of the interval; you take it for the whole width": seeds_for(sd, half / 2),
        "your interval is twice as wide as it may be": seeds_for(sd, 2 * half),
        "t.ppf(0.95) leaves 5 % on either side; 2.5 % is asked for": seeds_for(sd, half, level=0.95),
        "the degrees of freedom are n − 1, not n": seeds_for(sd, half, more=1),
        "one seed fewer is enough": right + 1,
        "that is one seed too few: the interval is still wider than ± half": right - 1,
        "the standard deviation is divided by n, not by √n": fewest(lambda n: student(n - 1) * sd / n <= half),
    }


def enough_seeds(answer: Callable) -> Iterator[str]:
    """The smallest number of seeds for which the 95 % interval is narrow enough."""
    for sd, half in ((0.4, 0.2), (0.2, 0.05), (1.0, 0.3), (0.3, 1.0), (0.01, 1.0)):
        case, right = f"sd {sd}, half {half}", seeds_for(sd, half)
        got = number(answer(sd, half), case)
        if got != right:
            why = "one run alone has no spread: at least 2 are needed" if got < 2 else ""
            why = why or fitting(got, count_mistakes(sd, half), "that is not the smallest number of seeds")
            raise MistakeError(f"{case} gives {got:g}, not {right}: {why}")
        yield f"{case}: {right} seeds"


EXERCISES = {
    "03c.1": Exercise(
        differences,
        (
            "a pair is two runs with the same seed, wherever they stand in the dicts",
            "go through the seeds of the first dict, and take those that are in the second one, too",
            "a dict comprehension: for seed in first if seed in second, with 100 · (… − …)",
        ),
    ),
    "03c.2": Exercise(
        interval,
        (
            "the lesson computes the mean and half of the interval of a pandas Series; what differs for a NumPy array?",
            "a NumPy array's std() divides by n; std(ddof=1) divides by n − 1, as pandas does",
            "half = t.ppf(0.975, n − 1) · std(ddof=1) / √n; the ends are mean − half and mean + half",
        ),
    ),
    "03c.3": Exercise(
        enough_seeds,
        (
            "how wide is the interval for n seeds? From which n on can it be computed at all?",
            "half of it is t.ppf(0.975, n − 1) · sd / √n. n stands there twice, so no formula gives it: try 2, 3, 4, …",
            "start with n = 2; while t.ppf(0.975, n − 1) · sd / √n is above `half`, add 1 to n",
        ),
    ),
}
