"""Lesson 3a in the browser: the steps of one weight."""

from every_lesson import AtTheDesk, InClass

LESSON = "03a_gradients", "explorer", ["learning rate", "steps", "start"]
TestAtTheDesk = AtTheDesk


def test_one_step_arrives_and_too_long_steps_lead_away(lesson):
    panel = lesson.panel()
    assert "One side all the way" in panel.move("learning rate", "Home")[1]
    assert "Each step lands farther away" in panel.move("learning rate", "End")[1]
    assert "No step yet; 0 of 1 dots" in panel.move("steps", "Home")[1]


TestInClass = InClass
