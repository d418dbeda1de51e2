"""Lesson 8 in the browser: a diagnosis is chosen and answered with a reason."""

from every_lesson import AtTheDesk, InClass
from lab_pages import NOTEBOOK, until

LESSON = "08_debugging_clinic", "hardly", ["the fault"]
TestAtTheDesk = AtTheDesk


def test_a_diagnosis_is_answered_with_a_reason(lesson):
    panel = lesson.panel()
    panel.choice("case").select_option("B")
    panel.wait_for_words("Case B.")
    assert "Which fault is it?" in panel.settle()[1]
    panel.choice("the fault").select_option("learning rate too low")
    panel.wait_for_words("No, not this: learning rate too low.")
    panel.choice("the fault").select_option("learning rate too high")
    panel.wait_for_words("Yes: learning rate too high.")
    lesson.screenshot("diagnosis")


def test_letters_typed_in_a_list_choose_and_are_no_shortcuts(lesson):
    """Outside a list, d twice deletes the cell."""
    cells, choice = f"{NOTEBOOK}.widgets.length", lesson.panel().choice("the fault")
    before = lesson.page.evaluate(cells)
    choice.select_option("learning rate too high")
    choice.focus()
    lesson.page.keyboard.type("dd")
    until(lambda chosen: chosen.startswith("dropout"), lambda: choice.locator("option:checked").inner_text())
    assert lesson.page.evaluate(cells) == before


class TestInClass(InClass):
    def test_the_slider_works_in_the_slides(self, lesson, slides):
        """Here it is a list."""
        panel = lesson.panel_on_slide(slides, ".widget-label:has-text('the fault')")
        panel.choice("the fault").select_option("softmax before cross-entropy")
        panel.wait_for_words("No, not this: softmax before cross-entropy.")
        lesson.screenshot("slide", slides)
        assert panel.node.is_visible()
