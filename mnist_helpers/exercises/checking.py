"""What a check does with an answer. The exercises themselves stand in `lesson_01`, `lesson_02` and so on."""

import importlib
import inspect
import linecache
import math
import pkgutil
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mnist_helpers.exercises.progress import note_try


class MistakeError(Exception):
    """Something is wrong with an answer; the message says what, and for which case."""


@dataclass(frozen=True)
class Exercise:
    """One exercise.

    `cases(answer)` yields a line for each case that is right and raises MistakeError at the first that is not; `hints`
    lead on, each stronger than the one before.
    """

    cases: Callable[[Any], Iterator[str]]
    hints: tuple[str, ...]


@dataclass(frozen=True)
class Report:
    """What came out: the cases that are right, and what is wrong (empty when the exercise is solved)."""

    right: tuple[str, ...] = ()
    wrong: str = ""
    written: bool = True

    @property
    def solved(self) -> bool:
        """Whether there is an answer with nothing wrong."""
        return self.written and not self.wrong


def lessons() -> list[str]:
    """The lessons that have exercises with a check: "01", "02", …"""
    modules = pkgutil.iter_modules([str(Path(__file__).parent)])
    return sorted(module.name.removeprefix("lesson_") for module in modules if module.name.startswith("lesson_"))


def exercises_of(lesson: str) -> dict[str, Exercise]:
    """The exercises of one lesson by their names, such as "02.1"."""
    return importlib.import_module(f"mnist_helpers.exercises.lesson_{lesson}").EXERCISES


def exercise_named(name: str) -> Exercise:
    """The exercise with this name; raises ValueError with the names that there are."""
    lesson = str(name).partition(".")[0]
    if lesson not in lessons():
        raise ValueError(f"there is no exercise {name!r}: the lessons with exercises are {', '.join(lessons())}")
    if name not in exercises_of(lesson):
        raise ValueError(f"there is no exercise {name!r}: lesson {lesson} has {', '.join(exercises_of(lesson))}")
    return exercises_of(lesson)[name]


def unwritten(answer: Any) -> bool:
    """Whether the answer is still `...`: itself, one of its parts, or the whole body of a function or a method."""
    if isinstance(answer, (tuple, list)):
        return any(part is ... for part in answer)
    if inspect.isclass(answer):
        return any(unwritten(part) for part in vars(answer).values() if inspect.isfunction(part))
    if not inspect.isfunction(answer):
        return answer is ...

    def bare() -> None: ...

    def documented() -> None:
        """Only this."""

    code = answer.__code__
    same = code.co_code in (bare.__code__.co_code, documented.__code__.co_code)
    return same and set(code.co_consts) <= {None, answer.__doc__}  # a function that is `return 0` has 0 there


def examine(name: str, answer: Any) -> Report:
    """Run the cases of the exercise `name` on `answer`, a function, a class or a value; nothing is kept or printed.

    PyTorch's random numbers go on afterwards as if nothing had been run. Raises ValueError for an unknown name.
    """
    exercise, right = exercise_named(name), []
    if unwritten(answer):
        return Report(written=False)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        try:
            for line in exercise.cases(answer):
                right.append(line)
        except MistakeError as mistake:
            return Report(tuple(right), str(mistake))
        except KeyboardInterrupt as stopped:
            told = "it was stopped before it came to an end: does a loop wait for a value that never changes?"
            return Report(tuple(right), f"{told}{where(stopped)}")
        except Exception as error:
            return Report(tuple(right), f"your code raised {type(error).__name__}: {error}{where(error)}")
    return Report(tuple(right))


def where(error: BaseException) -> str:
    """The last line of the student's own code that an error went through; "" where there is none."""
    package = str(Path(__file__).parent)
    own = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith(package)]
    for frame in reversed(own):
        if "site-packages" not in frame.filename and linecache.getline(frame.filename, frame.lineno or 0):
            return f" (at `{linecache.getline(frame.filename, frame.lineno or 0).strip()}`)"
    return ""


def check(name: str, answer: Any) -> None:
    """Say what is right in the answer to an exercise and what is not, with a hint that grows with each try.

    `name`: lesson and number, such as "02.1"; `answer`: what the exercise asks for, a function for instance. Tries and
    solved exercises are kept in the file `progress.json` in `runs_dir()`. Raises ValueError for an unknown name.
    """
    report = examine(name, answer)
    if not report.written:
        print(f"Exercise {name}: no answer yet. Write it in place of the three dots and run this cell again.")
        return
    tries, hints = note_try(name, report.solved), exercise_named(name).hints
    print(f"Exercise {name}: right." if report.solved else f"Exercise {name}: not right yet.")
    for line in report.right:
        print(f"  right: {line}")
    if not report.solved:
        number = min(tries, len(hints))
        print(f"  wrong: {report.wrong}\n  hint {number} of {len(hints)}: {hints[number - 1]}")
        if tries >= len(hints):
            print("  A solution is folded below the cell, unless your teacher left it out.")


def number(value: Any, case: str) -> float:
    """An answer's single number, whatever type it has; raises MistakeError for anything else. `case` names the call."""
    if isinstance(value, (torch.Tensor, np.ndarray)) and math.prod(value.shape) == 1:
        value = value.item()
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.number)):
        raise MistakeError(f"{case} should be one number, got {brief(value)}")
    return float(value)


def values(value: Any, shape: tuple[int, ...], case: str) -> torch.Tensor:
    """An answer's numbers as float64 of this shape, from a tensor, an array or lists; raises MistakeError otherwise."""
    try:
        found = torch.as_tensor(value).detach().to("cpu", torch.float64)
    except (TypeError, ValueError, RuntimeError):
        raise MistakeError(f"{case} should be numbers of shape {shape}, got {brief(value)}") from None
    if tuple(found.shape) != shape:
        raise MistakeError(f"{case} should have the shape {shape}, got {tuple(found.shape)}")
    return found


def near(first: Any, second: Any) -> bool:
    """Whether two numbers, or all numbers of two tensors, agree up to rounding."""
    return bool(np.allclose(np.asarray(first, dtype=float), np.asarray(second, dtype=float), rtol=1e-4, atol=1e-6))


def fitting(got: Any, mistakes: Mapping[str, Any], otherwise: str) -> str:
    """The name of the first mistake that gives the numbers `got`; `otherwise` where none does."""
    return next((name for name, wrong in mistakes.items() if near(got, wrong)), otherwise)


def brief(value: Any) -> str:
    """A value for a message, in one line, cut after 60 characters."""
    text = " ".join(f"{type(value).__name__} {value!r}".split()) if value is not None else "None (is there a `return`?)"
    return text if len(text) <= 60 else f"{text[:59]}…"
