"""How long the cells of each lesson take, kept in lesson_seconds.json, and what the lesson says of it.

Kept are seconds of the processor, which other programs change little, with one thread for each kernel: on a machine
that has nothing else to do, about the seconds that one waits.
"""

import json
import re
import time
from collections.abc import Callable
from pathlib import Path

KEPT = Path(__file__).with_name("lesson_seconds.json")
SAYS = {  # the words in a lesson's first cell, and from how many seconds to how many they hold
    "seconds": (0, 30),
    "less than a minute": (0, 60),
    "about a minute": (30, 90),
    "between one and two minutes": (60, 120),
    "about two minutes": (90, 150),
    "two to three minutes": (120, 180),
    "about three minutes": (150, 210),
}
LENIENCE = 1.5  # one computer is so much faster or slower than another


def kept() -> dict[str, float]:
    """The seconds of each lesson that was executed."""
    return json.loads(KEPT.read_text(encoding="utf-8")) if KEPT.exists() else {}


def keep(lesson: str, seconds: float) -> None:
    """Write down the seconds of one lesson; the others stay."""
    table = kept() | {lesson: round(seconds)}
    KEPT.write_text(json.dumps(dict(sorted(table.items())), indent=1) + "\n", encoding="utf-8")


def processor_seconds(work: Callable[[], object]) -> float:
    """The processor's seconds of all processes that `work` starts and ends, the kernel for one."""
    try:
        import resource
    except ModuleNotFoundError:  # Windows
        started = time.perf_counter()
        work()
        return time.perf_counter() - started
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    work()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def stated(first_cell: str) -> tuple[float, float]:
    """From how many seconds to how many the first cell of a lesson says that its cells take."""
    (words,) = re.findall(r"The cells (?:themselves )?(?:take|run in) (.+?)(?: on a laptop| together|[.,])", first_cell)
    return SAYS[words]


def holds(seconds: float, first_cell: str) -> bool:
    """Whether what the lesson says fits these seconds."""
    low, high = stated(first_cell)
    return low / LENIENCE <= seconds <= high * LENIENCE
