"""Lesson 3b in the browser: one batch, step by step."""

from every_lesson import AtTheDesk, InClass

LESSON = "03b_training", "explorer", ["step"]
TestAtTheDesk, TestInClass = AtTheDesk, InClass
