"""Lesson 3c in the browser: training live."""

from every_lesson import AtTheDesk, InClass

LESSON = "03c_comparing_runs", "lab", ["dropout rate"]
TestAtTheDesk = AtTheDesk


COUNT_CHANGES = """image => { window.changes = 0;
    new MutationObserver(() => window.changes += 1).observe(image, {attributes: true, attributeFilter: ['src']}) }"""


def rows_of_table(panel):
    return panel.node.locator("table tbody tr").count()


def test_the_curve_grows_while_the_network_trains(lesson):
    panel = lesson.panel()
    panel.choice("images").select_option("3,000")
    panel.settle()
    rows = rows_of_table(panel)
    panel.node.locator("img").first.evaluate(COUNT_CHANGES)
    panel.button("Start").click()
    panel.wait_for_words("under way at epoch")
    panel.wait_for_words("finished at epoch 10 of")
    assert lesson.page.evaluate("window.changes") >= 8, "the picture hardly changed while the network trained"
    panel.settle()
    lesson.screenshot("live")
    assert rows_of_table(panel) == rows + 1


def test_a_moved_slider_starts_the_training_again(lesson):
    panel = lesson.panel()
    rows = rows_of_table(panel)
    panel.button("Start").press("Enter")
    panel.wait_for_words("under way at epoch")
    panel.press("dropout rate", "Home")
    panel.wait_for_words("dropout 0,")
    panel.drag("dropout rate", [step / 50 for step in range(50)] + [1.2], pause=0.02)
    panel.wait_for_words("dropout 0.9,")
    panel.wait_for_words("finished at epoch 10 of")
    panel.settle()
    assert rows_of_table(panel) == rows + 1, "a run that was given up stands in the table"


def test_stop_keeps_what_is_there(lesson):
    panel = lesson.panel()
    for _ in range(3):  # so many that the table is full, for the slides below
        panel.button("Start").click()
        panel.wait_for_words("under way at epoch")
        panel.button("Stop").click()
        panel.wait_for_words("stopped at epoch")
        panel.settle()
    assert lesson.ask("[lab.running, lab.runs[-1].stopped, lab.stop_button.disabled]") == [False, True, True]
    assert rows_of_table(panel) == lesson.ask("len(lab.runs)") == lesson.ask("lab.KEPT")


TestInClass = InClass
