"""Which exercises were tried and solved, kept in a file on this computer."""

import json
from pathlib import Path

from mnist_helpers.files import complete_file
from mnist_helpers.runs import runs_dir


def progress_file() -> Path:
    """Where it is kept; delete the file to start anew."""
    return runs_dir() / "progress.json"


def kept_progress() -> dict[str, dict]:
    """{exercise: {"tries": wrong answers so far, "solved": whether}}; empty where nothing readable is kept."""
    try:
        kept = json.loads(progress_file().read_text(encoding="utf-8"))
        return {str(name): {"tries": int(each["tries"]), "solved": bool(each["solved"])} for name, each in kept.items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}


def note_try(name: str, solved: bool) -> int:
    """Keep that the exercise was tried and return the number of wrong answers so far.

    Once solved, an exercise stays so. Where the file cannot be written, that is printed, and nothing else happens.
    """
    kept = kept_progress()
    before = kept.get(name, {"tries": 0, "solved": False})
    tries = before["tries"] + (not solved)
    kept[name] = {"tries": tries, "solved": solved or before["solved"]}
    try:
        with complete_file(progress_file()) as file:
            file.write(json.dumps(kept, indent=1).encode())
    except OSError as error:
        print(f"This try could not be kept: {error}.")
    return tries


def show_progress() -> None:
    """Print how many exercises are solved in each lesson in which one was tried."""
    from mnist_helpers.exercises.checking import exercises_of, lessons

    kept, lines = kept_progress(), []
    for lesson in lessons():
        names = exercises_of(lesson)
        if any(name in kept for name in names):
            solved = sum(kept.get(name, {"solved": False})["solved"] for name in names)
            lines.append(f"lesson {lesson}: {solved} of {len(names)}")
    print(f"Exercises solved so far: {', '.join(lines) or 'none yet'}.")
