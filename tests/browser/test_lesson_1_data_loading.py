"""Lesson 1 in the browser: a digit and its pixels."""

from every_lesson import AtTheDesk, InClass
from lab_pages import until

LESSON = "01_data_loading", "browser", ["position"]
TestAtTheDesk = AtTheDesk


def test_the_class_is_chosen_by_keyboard(lesson):
    panel = lesson.panel()
    panel.choice("digit").press("7")
    assert ", label 7." in panel.settle()[1]
    assert ", label 7." in panel.move("position", "End")[1]
    panel.choice("digit").select_option("all")
    panel.settle()
    assert panel.values()["digit"] == "all"


def test_arrow_keys_move_a_slider_and_not_the_notebook(lesson):
    panel = lesson.panel()
    for key, row in (("Home", 0), ("ArrowRight", 1), ("ArrowUp", 2), ("ArrowDown", 1), ("ArrowLeft", 0)):
        panel.move("row", key)
        assert panel.values()["row"] == row, key


def test_two_panels_in_one_notebook_keep_their_own_state(lesson):
    lesson.panel()
    lesson.page.evaluate(
        """async () => { await jupyterapp.commands.execute('notebook:insert-cell-below');
            jupyterapp.shell.currentWidget.content.activeCell.model.sharedModel.setSource(
                'other = digit_browser(data.valid)\\nother');
            void jupyterapp.commands.execute('notebook:run-cell') }"""
    )
    until(bool, lambda: lesson.ask("'other' in globals()"))
    first, second = lesson.panel(), lesson.panel("other")
    first_values = first.values()
    second.move("row", "Home", "ArrowRight")
    assert second.values()["row"] == 1
    assert first.values() == first_values
    lesson.panel("other")
    lesson.command("notebook:delete-cell")


TestInClass = InClass
