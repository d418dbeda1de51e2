"""The exercises with a check: `check("02.1", answer)` says what is right, what is not, and gives a hint."""

from mnist_helpers.exercises.checking import MistakeError, Report, check, examine
from mnist_helpers.exercises.progress import show_progress

__all__ = ["MistakeError", "Report", "check", "examine", "show_progress"]
