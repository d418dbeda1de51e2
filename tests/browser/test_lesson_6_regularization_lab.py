"""Lesson 6 in the browser: guesses, and the explorer of the ledger."""

import pytest

from every_lesson import AtTheDesk, InClass, WithSliders
from lab_pages import until

LESSON = "06_regularization_lab", "explorer", ["weight decay", "dropout rate", "images"]
TestAtTheDesk, TestSliders = AtTheDesk, WithSliders


def the_answer_is_hidden(panel):
    return "Press the button" in panel.words() and "Measured" not in panel.node.inner_text()


def test_a_guess_by_keyboard_and_only_then_the_answer(lesson):
    panel = lesson.panel("recipe_guess")
    pictures = set()
    for key in ("Home", "End"):
        pictures.add(panel.move("your guess", key)[0])
        assert the_answer_is_hidden(panel)
    assert len(pictures) == 2
    before = panel.move("your guess", "Home", *["ArrowRight"] * 5)
    number, slider = panel.values()["guess"], "recipe_guess.controls['guess']"
    assert number == pytest.approx(lesson.ask(f"{slider}.min + 5 * {slider}.step"))
    panel.button("This is my guess").press("Enter")
    panel.wait_for_words("Measured:")
    after = panel.settle()
    lesson.screenshot("guess")
    assert after[0] != before[0] and f"Your guess: {number:g}" in before[1] and f"Your guess: {number:g}" in after[1]


def test_a_guess_by_mouse_stands_even_after_a_double_click(lesson):
    panel = lesson.panel("few_guess")
    for share in (-0.2, 1.2):
        panel.drag("your guess", [0.5, share])
        assert the_answer_is_hidden(panel)
    number = panel.values()["guess"]
    assert number == lesson.ask("few_guess.controls['guess'].max")
    panel.button("This is my guess").dblclick()
    panel.wait_for_words("Measured:")
    committed = panel.settle()
    assert panel.button("This is my guess").is_disabled()
    assert panel.drag("your guess", [0.5, -0.2]) == committed and panel.values() == {"guess": number, "committed": True}


def test_a_point_of_the_ledger_is_trained_and_stopped(lesson):
    panel = lesson.panel()
    for label in lesson.sliders:
        panel.press(label, "Home")
    measured = panel.settle()
    assert "500 training images, measured with" in measured[1] and panel.button("Stop").is_disabled()
    panel.button("Train this one now").click()
    panel.wait_for_words("Live, with seed")
    panel.wait_for_words("this one was not")  # now there is a point to see
    panel.button("Stop").click()
    until(lambda running: not running, lambda: lesson.ask("explorer.running"))
    stopped = panel.settle()
    assert "epoch 100.0 of 100" not in stopped[1], "it ran to its end"
    lesson.screenshot("live")
    assert stopped[0] != measured[0] and "this one was not" in stopped[1] and panel.button("Stop").is_disabled()
    assert "Live" not in panel.move("images", "ArrowRight")[1]
    assert panel.move("images", "ArrowLeft") == stopped, "the curve is lost when one returns"


def test_a_moved_slider_ends_the_live_run(lesson):
    panel = lesson.panel()
    panel.move("images", "Home")
    panel.button("Train this one now").press("Enter")
    panel.wait_for_words("Live, with seed")
    panel.press("images", "ArrowRight")
    panel.wait_for_words("2,000 training images")
    panel.settle()
    assert not lesson.ask("explorer.running")


def test_more_images_than_the_sample_has_are_asked_for_in_a_sentence(lesson):
    panel = lesson.panel()
    panel.move("images", "End")
    panel.button("Train this one now").click()
    sentence = panel.node.get_by_text("Choose fewer images, or load full MNIST").first
    sentence.wait_for()
    lesson.screenshot("too_few_images")
    assert "Traceback" not in panel.node.inner_text()
    panel.press("images", "Home")
    sentence.wait_for(state="detached")
    panel.settle()


TestInClass = InClass
