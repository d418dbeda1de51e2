"""Lesson 2 in the browser: dropout at work."""

import re

from every_lesson import AtTheDesk, InClass, WithSliders

LESSON = "02_architecture", "microscope", ["digit", "dropout rate"]
TestAtTheDesk, TestSliders = AtTheDesk, WithSliders


def test_draw_again_and_eval_by_keyboard(lesson):
    panel = lesson.panel()
    before = panel.move("dropout rate", "Home", *["ArrowRight"] * 10)
    panel.button("Draw again").press("Enter")
    after = panel.settle()
    assert after != before and "dropout rate 0.50, train()" in after[1]
    panel.button("eval()").press("Space")
    assert "eval(): 0 of 128 and 0 of 64 hidden units dropped" in panel.settle()[1]
    panel.click("train()")


def test_the_dark_theme(lesson):
    lesson.command("apputils:change-theme", {"theme": "JupyterLab Dark"})
    lesson.page.wait_for_selector("body[data-jp-theme-light=false]", state="attached")
    panel = lesson.panel()
    panel.move("dropout rate", "Home")
    lesson.screenshot("dark")
    label = panel.node.locator(".widget-label:visible").first
    colour = label.evaluate("label => getComputedStyle(label).color")
    assert min(map(int, re.findall(r"\d+", colour)[:3])) > 150, f"dark text {colour}"
    lesson.command("apputils:change-theme", {"theme": "JupyterLab Light"})
    lesson.page.wait_for_selector("body[data-jp-theme-light=true]", state="attached")


TestInClass = InClass
