"""Every lesson in JupyterLab: Run All, then its sliders by mouse and by keyboard, at the size of a projector."""

import re
import time

import pytest

from lab_pages import SCREENSHOTS, PanelOnPage

LESSONS = [
    "01_data_loading",
    "02_architecture",
    "03_training",
    "04_curves",
    "05_predictions",
    "06_regularization_lab",
    "07_your_own_digits",
]
EACH_LESSON = pytest.mark.parametrize("lesson", LESSONS, indirect=True)


def in_lesson(name):
    return pytest.mark.parametrize("lesson", [name], indirect=True)


PANELS = {
    "01_data_loading": "browser",
    "02_architecture": "microscope",
    "03_training": "lab",
    "04_curves": "reader",
    "05_predictions": "explorer",
    "06_regularization_lab": "explorer",
    "07_your_own_digits": "changes",
}
SLIDERS = {
    "01_data_loading": ["position", "row", "column"],
    "02_architecture": ["digit", "dropout rate"],
    "03_training": ["dropout rate", "weight decay", "seed"],
    "04_curves": ["epoch"],
    "05_predictions": ["threshold"],
    "06_regularization_lab": ["weight decay", "dropout rate", "images"],
    "07_your_own_digits": ["right", "down", "angle", "scale"],
}


@EACH_LESSON
def test_run_all_gives_no_error(lesson):
    counts = [count for count, _ in lesson.cells()]
    assert counts == list(range(1, len(counts) + 1))
    assert [output for output in lesson.outputs() if output["output_type"] == "error"] == []
    assert lesson.errors == []


@EACH_LESSON
def test_the_panel_fits_the_projector(lesson):
    panel = lesson.panel(PANELS[lesson.name])
    panel.settle()
    lesson.screenshot("panel")
    box, page = panel.node.bounding_box(), lesson.page.locator(".jp-Notebook").first.bounding_box()
    assert box["height"] <= 640
    image = panel.node.locator("img").first.bounding_box()
    assert image["x"] >= page["x"] and image["x"] + image["width"] <= page["x"] + page["width"]
    assert panel.node.evaluate("node => node.scrollWidth <= node.clientWidth + 1")


@EACH_LESSON
def test_each_slider_goes_to_both_ends_by_mouse_and_by_keyboard(lesson):
    panel = lesson.panel(PANELS[lesson.name])
    for label in SLIDERS[lesson.name]:
        ends = {}
        for key in ("Home", "End"):
            panel.press(label, key)
            ends[key] = panel.settle()
        if lesson.name != "03_training":  # there a slider shows something only when a run is started
            assert ends["Home"][0] != ends["End"][0] and ends["Home"][1] != ends["End"][1], label
        for share, key in ((-0.2, "Home"), (1.2, "End")):
            panel.drag(label, [0.5, share])
            assert panel.settle() == ends[key], f"{label}: the mouse leads elsewhere than the key {key}"
    assert lesson.errors == []


@EACH_LESSON
def test_a_hundred_changes_in_a_few_seconds_end_at_the_last_one(lesson):
    panel = lesson.panel(PANELS[lesson.name])
    label = SLIDERS[lesson.name][0]
    panel.press(label, "Home")
    there_and_back = [step / 50 for step in range(50)] + [1 - step / 50 for step in range(50)]
    panel.drag(label, [*there_and_back, 1.2], pause=0.02)
    end = panel.settle()
    panel.press(label, "Home", "End")
    assert panel.settle() == end
    assert len(panel.node.locator("img").all()) == 1, "the output grew"
    assert lesson.errors == []


@EACH_LESSON
def test_an_error_in_a_callback_is_shown_and_goes_away(lesson):
    panel, name = lesson.panel(PANELS[lesson.name]), PANELS[lesson.name]
    label = SLIDERS[lesson.name][0]
    panel.press(label, "Home")
    panel.settle()
    lesson.tell(f"whole_draw, {name}.draw = {name}.draw, lambda figure, **values: 1 / 0")
    panel.press(label, "End")
    problem = panel.node.get_by_text("ZeroDivisionError: division by zero").first
    problem.wait_for()
    lesson.screenshot("error")
    lesson.tell(f"{name}.draw = whole_draw")
    panel.press(label, "Home")
    problem.wait_for(state="detached")
    panel.settle()


@EACH_LESSON
def test_the_cell_can_be_run_again(lesson):
    before = lesson.ask(f"id({PANELS[lesson.name]})")
    lesson.panel(PANELS[lesson.name])
    lesson.command("notebook:run-cell")
    until = time.time() + 60
    while lesson.ask(f"id({PANELS[lesson.name]})") == before:
        assert time.time() < until
        time.sleep(0.3)
    panel = lesson.panel(PANELS[lesson.name])
    label = SLIDERS[lesson.name][0]
    panel.press(label, "Home", "ArrowRight")
    panel.settle()
    assert lesson.errors == []


@in_lesson("01_data_loading")
def test_the_class_is_chosen_by_keyboard(lesson):
    panel = lesson.panel("browser")
    panel.control("digit").locator("select").focus()
    lesson.page.keyboard.press("7")
    assert ", label 7." in panel.settle()[1]
    panel.press("position", "End")
    assert ", label 7." in panel.settle()[1]
    panel.control("digit").locator("select").select_option("all")
    panel.settle()
    assert panel.values()["digit"] == "all"


@in_lesson("01_data_loading")
def test_arrow_keys_move_a_slider_and_not_the_notebook(lesson):
    panel = lesson.panel("browser")
    panel.press("row", "Home")
    panel.settle()
    for key, row in (("ArrowRight", 1), ("ArrowUp", 2), ("ArrowDown", 1), ("ArrowLeft", 0)):
        panel.press("row", key)
        panel.settle()
        assert panel.values()["row"] == row, key


@in_lesson("01_data_loading")
def test_two_panels_in_one_notebook_keep_their_own_state(lesson):
    lesson.page.evaluate(
        """async () => { await jupyterapp.commands.execute('notebook:insert-cell-below');
            jupyterapp.shell.currentWidget.content.activeCell.model.sharedModel.setSource(
                'other = digit_browser(data.valid)\\nother');
            void jupyterapp.commands.execute('notebook:run-cell') }"""
    )
    until = time.time() + 30
    while not lesson.ask("'other' in globals()"):
        assert time.time() < until
        time.sleep(0.3)
    first, second = lesson.panel("browser"), lesson.panel("other")
    first_values = first.values()
    second.press("row", "Home")
    second.settle()
    assert second.values()["row"] == 0
    assert first.values() == first_values
    lesson.panel("other")
    lesson.command("notebook:delete-cell")


@in_lesson("02_architecture")
def test_draw_again_and_eval_by_keyboard(lesson):
    panel = lesson.panel("microscope")
    panel.press("dropout rate", "Home", *["ArrowRight"] * 10)
    before = panel.settle()
    button = panel.node.get_by_role("button", name="Draw again")
    button.focus()
    lesson.page.keyboard.press("Enter")
    after = panel.settle()
    assert after != before and "dropout rate 0.50, train()" in after[1]
    panel.node.get_by_role("button", name="eval()").focus()
    lesson.page.keyboard.press("Space")
    assert "eval(): 0 of 128 and 0 of 64 hidden units dropped" in panel.settle()[1]
    panel.node.get_by_role("button", name="train()").click()
    panel.settle()


@in_lesson("04_curves")
def test_play_steps_through_the_epochs(lesson):
    panel = lesson.panel("reader")
    panel.press("epoch", "Home")
    panel.settle()
    panel.node.locator(".jupyter-widgets.widget-play button").first.click()
    seen, until = set(), time.time() + 30
    while len(seen) < 4:
        seen.add(re.search(r"Epoch (\d+) of 40", panel.words())[1])
        assert time.time() < until, f"seen only {seen}"
        time.sleep(0.1)
    panel.node.locator(".jupyter-widgets.widget-play button").first.click()
    panel.settle()


@in_lesson("05_predictions")
def test_the_explorer_by_keyboard(lesson):
    panel = lesson.panel("explorer")
    panel.press("threshold", "Home")
    for label, key in (("true digit", "9"), ("predicted digit", "4")):
        panel.control(label).locator("select").focus()
        lesson.page.keyboard.press(key)
    words = panel.settle()[1]
    count = lesson.ask("int(((predictions.labels == 9) & (predictions.predicted == 4)).sum())")
    assert f"True digit 9, predicted 4, wrong: {count} images" in words
    panel.node.get_by_role("button", name="right").click()
    assert "right: 0 images, 0 shown" in panel.settle()[1]
    lesson.screenshot("explorer_empty")


def watch(panel):
    """Let the page note the time of each change of the picture."""
    panel.node.locator("img").first.evaluate(
        """image => { window.changes = [];
            new MutationObserver(() => window.changes.push(performance.now()))
                .observe(image, {attributes: true, attributeFilter: ['src']}); }"""
    )


def wait_for_words(panel, text, seconds=120):
    until = time.time() + seconds
    while text not in panel.words():
        assert time.time() < until, panel.words()
        time.sleep(0.05)


def rows_of_table(panel):
    return panel.node.locator("table tbody tr").all_inner_texts()


@in_lesson("03_training")
def test_the_curve_grows_while_the_network_trains(lesson):
    panel = lesson.panel("lab")
    panel.control("images").locator("select").select_option("3,000")
    panel.settle()
    rows = rows_of_table(panel)
    watch(panel)
    clicked = lesson.page.evaluate("performance.now()")
    panel.node.get_by_role("button", name="Start").click()
    wait_for_words(panel, "under way at epoch")
    wait_for_words(panel, "finished at epoch 10.0")
    changes = [round(change - clicked) for change in lesson.page.evaluate("window.changes")]
    panel.settle()
    lesson.screenshot("live")
    (SCREENSHOTS / "03_live_milliseconds.txt").write_text(f"redraws, in ms after the click on Start: {changes}\n")
    assert len(changes) >= 8, "the picture hardly changed while the network trained"
    assert len(rows_of_table(panel)) == len(rows) + 1
    assert lesson.errors == []


@in_lesson("03_training")
def test_a_moved_slider_starts_the_training_again(lesson):
    panel = lesson.panel("lab")
    rows = rows_of_table(panel)
    panel.node.get_by_role("button", name="Start").focus()
    lesson.page.keyboard.press("Enter")
    wait_for_words(panel, "under way at epoch")
    panel.press("dropout rate", "Home")
    wait_for_words(panel, "dropout 0,")
    panel.drag("dropout rate", [step / 50 for step in range(50)] + [1.2], pause=0.02)
    wait_for_words(panel, "dropout 0.9,")
    wait_for_words(panel, "finished at epoch 10.0")
    panel.settle()
    assert len(rows_of_table(panel)) == len(rows) + 1, "a run that was given up stands in the table"


@in_lesson("03_training")
def test_stop_keeps_what_is_there(lesson):
    panel = lesson.panel("lab")
    for _ in range(3):  # so many that the table is full, for the slides below
        panel.node.get_by_role("button", name="Start").click()
        wait_for_words(panel, "under way at epoch")
        panel.node.get_by_role("button", name="Stop").click()
        wait_for_words(panel, "stopped at epoch")
        panel.settle()
    assert lesson.ask("[lab.running, lab.runs[-1].stopped, lab.stop_button.disabled]") == [False, True, True]
    assert len(rows_of_table(panel)) == lesson.ask("len(lab.runs)") == lesson.ask("lab.KEPT")
    lesson.screenshot("stopped")
    assert lesson.errors == []


def the_answer_is_hidden(panel):
    return "Press the button" in panel.words() and "Measured" not in panel.node.inner_text()


@in_lesson("06_regularization_lab")
def test_a_guess_by_keyboard_and_only_then_the_answer(lesson):
    panel = lesson.panel("recipe_guess")
    ends = {}
    for key in ("Home", "End"):
        panel.press("your guess", key)
        ends[key] = panel.settle()
        assert the_answer_is_hidden(panel)
    assert ends["Home"][0] != ends["End"][0]
    panel.press("your guess", "Home", *["ArrowRight"] * 5)
    before = panel.settle()
    number = panel.values()["guess"]
    assert f"Your guess: {number:g}" in before[1] and number == pytest.approx(
        lesson.ask("recipe_guess.controls['guess'].min + 5 * recipe_guess.controls['guess'].step")
    )
    panel.node.get_by_role("button", name="This is my guess").focus()
    lesson.page.keyboard.press("Enter")
    wait_for_words(panel, "Measured:")
    after = panel.settle()
    lesson.screenshot("guess")
    assert after[0] != before[0] and f"Your guess: {number:g}" in after[1]
    assert lesson.errors == []


@in_lesson("06_regularization_lab")
def test_a_guess_by_mouse_stands_even_after_a_double_click(lesson):
    panel = lesson.panel("few_guess")
    for share in (-0.2, 1.2):
        panel.drag("your guess", [0.5, share])
        panel.settle()
        assert the_answer_is_hidden(panel)
    number = panel.values()["guess"]
    assert number == lesson.ask("few_guess.controls['guess'].max")
    button = panel.node.get_by_role("button", name="This is my guess")
    button.dblclick()
    wait_for_words(panel, "Measured:")
    committed = panel.settle()
    assert button.is_disabled()
    panel.drag("your guess", [0.5, -0.2])
    time.sleep(0.5)
    assert panel.settle() == committed and panel.values() == {"guess": number, "committed": True}
    assert lesson.errors == []


@in_lesson("06_regularization_lab")
def test_a_point_of_the_ledger_is_trained_and_stopped(lesson):
    panel = lesson.panel("explorer")
    for label in ("dropout rate", "weight decay", "images"):
        panel.press(label, "Home")
    measured = panel.settle()
    assert "500 training images, measured with" in measured[1]
    train, stop = [panel.node.get_by_role("button", name=name) for name in ("Train this one now", "Stop")]
    assert stop.is_disabled()
    train.click()
    wait_for_words(panel, "Live, with seed")
    wait_for_words(panel, "this one was not")  # now there is a point to see
    stop.click()
    until = time.time() + 20
    while lesson.ask("explorer.running"):
        assert time.time() < until
        time.sleep(0.1)
    stopped = panel.settle()
    assert "epoch 100.0 of 100" not in stopped[1], "it ran to its end"
    lesson.screenshot("live")
    assert stopped[0] != measured[0] and "this one was not" in stopped[1] and stop.is_disabled()
    panel.press("images", "ArrowRight")
    assert "Live" not in panel.settle()[1]
    panel.press("images", "ArrowLeft")
    assert panel.settle() == stopped, "the curve is lost when one returns"
    assert lesson.errors == []


@in_lesson("06_regularization_lab")
def test_a_moved_slider_ends_the_live_run(lesson):
    panel = lesson.panel("explorer")
    panel.press("images", "Home")
    panel.settle()
    panel.node.get_by_role("button", name="Train this one now").focus()
    lesson.page.keyboard.press("Enter")
    wait_for_words(panel, "Live, with seed")
    panel.press("images", "ArrowRight")
    wait_for_words(panel, "2,000 training images")
    panel.settle()
    assert not lesson.ask("explorer.running") and lesson.errors == []


@in_lesson("06_regularization_lab")
def test_more_images_than_the_sample_has_are_asked_for_in_a_sentence(lesson):
    panel = lesson.panel("explorer")
    panel.press("images", "End")
    panel.settle()
    panel.node.get_by_role("button", name="Train this one now").click()
    sentence = panel.node.get_by_text("Choose fewer images, or load full MNIST").first
    sentence.wait_for()
    lesson.screenshot("too_few_images")
    assert "Traceback" not in panel.node.inner_text()
    panel.press("images", "Home")
    sentence.wait_for(state="detached")
    panel.settle()


@in_lesson("05_predictions")
def test_all_works_again_after_a_restart_of_the_kernel(lesson):
    lesson.page.evaluate("() => { void jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart() }")
    time.sleep(3)
    lesson.wait_for_kernel()
    lesson.run_all()
    panel = lesson.panel("explorer")
    panel.press("threshold", "End")
    assert "Threshold 1.00" in panel.settle()[1]
    assert [output for output in lesson.outputs() if output["output_type"] == "error"] == []


@in_lesson("07_your_own_digits")
def test_the_repair_is_trained_live_and_stopped(lesson):
    panel = lesson.panel("lab")
    panel.press("random shifts", "Home")
    panel.settle()
    panel.node.get_by_role("button", name="Train").click()
    panel.node.get_by_text("shifts up to 0 pixels, epoch 10 of 10").wait_for(timeout=60_000)
    panel.settle()
    lesson.screenshot("repair")
    panel.press("random shifts", "End")
    assert panel.settle()[1] == "Not trained yet with shifts up to 6 pixels: press Train."
    panel.node.get_by_role("button", name="Train").click()
    panel.node.get_by_text(re.compile("up to 6 pixels, epoch [1-9] of 10")).wait_for(timeout=60_000)
    panel.node.get_by_role("button", name="Stop").click()
    stopped = panel.settle()
    time.sleep(2)
    assert panel.settle() == stopped and not lesson.ask("lab.running")
    assert lesson.errors == []


@in_lesson("07_your_own_digits")
def test_an_answer_flips_step_by_step(lesson):
    panel = lesson.panel("flip")
    panel.press("digit", "Home")
    panel.press("steps", "Home")
    before = panel.settle()
    assert "Digit 0 after 0 steps" in before[1] and "Answer 0 " in before[1]
    panel.press("steps", "End")
    after = panel.settle()
    lesson.screenshot("flip")
    assert after[0] != before[0] and "Digit 0 after 30 steps" in after[1] and "Answer 0 " not in after[1]


@in_lesson("07_your_own_digits")
def test_the_dropout_rate_of_the_passes(lesson):
    panel = lesson.panel("meter")
    panel.control("picture").locator("select").select_option("noise")
    panel.press("dropout rate", "Home")
    assert "answers: 100 times" in panel.settle()[1], "without dropout all passes agree"
    panel.press("dropout rate", "End")
    assert "dropout 0.9" in panel.settle()[1]
    lesson.screenshot("doubt")


@in_lesson("02_architecture")
def test_the_dark_theme(lesson):
    lesson.command("apputils:change-theme", {"theme": "JupyterLab Dark"})
    lesson.page.wait_for_selector("body[data-jp-theme-light=false]", state="attached")
    panel = lesson.panel("microscope")
    panel.press("dropout rate", "Home")
    panel.settle()
    lesson.screenshot("dark")
    colour, background = panel.node.locator(".widget-label:visible").first.evaluate(
        "label => [getComputedStyle(label).color, getComputedStyle(document.body).backgroundColor]"
    )
    assert min(map(int, re.findall(r"\d+", colour)[:3])) > 150, f"dark text {colour} on {background}"
    lesson.command("apputils:change-theme", {"theme": "JupyterLab Light"})
    lesson.page.wait_for_selector("body[data-jp-theme-light=true]", state="attached")


# ---------------------------------------------------------------- the same lesson as slides


MEASURE = """() => [...document.querySelectorAll('.slides > section > section')].map(slide => {
    const box = slide.getBoundingClientRect();
    const outside = '.notes, .reveal-skip, style, script, .cm-announced, .widget-readout, [hidden]';
    const shown = node => { const r = node.getBoundingClientRect(); return r.width > 0 && r.height > 0; };
    const cells = [...slide.querySelectorAll('.jp-Cell')].filter(cell => !cell.closest(outside) && shown(cell));
    const small = [], ends = [];
    const texts = document.createTreeWalker(slide, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) {
        const node = texts.currentNode, parent = node.parentElement, range = document.createRange();
        range.selectNodeContents(node);
        const place = range.getBoundingClientRect();
        if (!node.textContent.trim() || !place.width || parent.closest(outside)) continue;
        ends.push(place.right - box.left);
        const size = parseFloat(getComputedStyle(parent).fontSize);
        if (size < 18) small.push([size, node.textContent.trim().slice(0, 40)]);
    }
    const images = [...slide.querySelectorAll('img')].filter(image => shown(image) && !image.closest(outside));
    ends.push(...images.map(image => image.getBoundingClientRect().right - box.left));
    return {slide: slide.id, start: slide.innerText.trim().slice(0, 60), cells: cells.length, small,
            bottom: Math.max(0, ...cells.map(cell => cell.getBoundingClientRect().bottom - box.top)),
            right: Math.max(0, ...ends),
            images: images.map(image => image.getBoundingClientRect().width / image.naturalWidth)};
})"""
ALL_SLIDES = (
    ".slides section, .slides section section, .fragment { display: block !important; "
    "visibility: visible !important; opacity: 1 !important }"
)


@EACH_LESSON
def test_every_slide_fits_the_projector(lesson, slides):
    style = slides.add_style_tag(content=ALL_SLIDES)
    slides.wait_for_timeout(1000)
    measured = slides.evaluate(MEASURE)
    style.evaluate("style => style.remove()")
    assert len(measured) > 10
    faults = [
        (each["slide"], each["start"], each)
        for each in measured
        if each["bottom"] > 700 or each["right"] > 1265 or each["small"] or min(each["images"], default=1) < 0.96
    ]
    assert faults == []


@in_lesson("05_predictions")
def test_the_slides_fill_other_screens(lesson, slides):
    for width, height in ((1920, 1080), (1024, 768), (1280, 720)):
        slides.set_viewport_size({"width": width, "height": height})
        slides.wait_for_timeout(1000)
        box = slides.locator(".slides").bounding_box()
        assert abs(box["x"] + box["width"] / 2 - width / 2) < 3 and box["x"] > -3
        assert abs(box["y"] + box["height"] / 2 - height / 2) < 9 and box["y"] > -9
        assert max(box["width"] / width, box["height"] / height) > 0.95


@EACH_LESSON
def test_the_slider_works_in_the_slides(lesson, slides):
    label = SLIDERS[lesson.name][0]
    found = slides.locator(
        "section.present > section.present .widget-vbox", has=slides.locator(".widget-label", has_text=label)
    )
    for _ in range(150):
        if found.locator("img").count():
            break
        slides.keyboard.press("Space")
        slides.wait_for_timeout(150)
    node = found.first
    node.locator("img").first.wait_for()
    panel = PanelOnPage(lesson, node, PANELS[lesson.name])
    panel.page = slides
    panel.drag(label, [0.5, -0.2])
    low = panel.settle()
    panel.drag(label, [0.5, 1.2])
    high = panel.settle()
    slides.screenshot(path=SCREENSHOTS / f"{lesson.name[:2]}_slide.png")
    assert lesson.name == "03_training" or low != high
    panel.press(label, "Home", "ArrowRight")
    panel.settle()
    assert node.is_visible(), "a key for the slider turned the slide"
