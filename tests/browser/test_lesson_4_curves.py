"""Lesson 4 in the browser: the weights epoch by epoch."""

import re

from every_lesson import AtTheDesk, InClass
from lab_pages import until

LESSON = "04_curves", "reader", ["epoch"]
TestAtTheDesk = AtTheDesk


def test_play_steps_through_the_epochs(lesson):
    panel = lesson.panel()
    panel.move("epoch", "Home")
    play, seen = panel.node.locator(".jupyter-widgets.widget-play button").first, set()
    play.click()
    until(lambda _: len(seen) == 4, lambda: seen.add(re.search(r"Epoch (\d+) of 40", panel.words())[1]))
    play.click()
    panel.settle()


TestInClass = InClass
