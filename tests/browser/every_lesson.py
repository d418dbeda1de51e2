"""What holds for every lesson: the lessons' own files take these classes as theirs, first and last."""

import pytest

from lab_pages import until
from lessons import PATHS, read, solutions


class AtTheDesk:
    """The lesson alone in JupyterLab: no network, no saved run, an empty home, the 5,000 images of the sample."""

    def test_run_all_gives_no_error(self, lesson):
        counts, outputs = zip(*lesson.cells())
        assert [output for each in outputs for output in each if output["output_type"] == "error"] == []
        assert list(counts) == list(range(1, len(counts) + 1))
        assert "MNIST sample: 3,000 training, 1,000 validation and 1,000 test images" in str(outputs)

    def test_the_panel_fits_the_projector(self, lesson):
        panel = lesson.panel()
        panel.settle()
        lesson.screenshot("panel")
        box, page = panel.node.bounding_box(), lesson.page.locator(".jp-Notebook").first.bounding_box()
        assert box["height"] <= 640
        image = panel.node.locator("img").first.bounding_box()
        assert image["x"] >= page["x"] and image["x"] + image["width"] <= page["x"] + page["width"]
        assert panel.node.evaluate("node => node.scrollWidth <= node.clientWidth + 1")

    @pytest.mark.parametrize("theme", ["JupyterLab Dark", "JupyterLab Light"])
    def test_all_that_is_ours_has_a_name_for_screen_readers_and_enough_contrast(self, lesson, theme):
        """In texts, outputs and panels axe-core finds nothing serious; what is around them is JupyterLab's."""
        from axe_playwright_python.sync_playwright import Axe

        lesson.look(theme)
        with lesson.all_in_view():
            shown = lesson.page.locator(".jp-RenderedMarkdown, .jp-OutputArea-output").count()
            result = Axe().run(lesson.page, OURS, EVERYTHING)
        looked_at = {each["id"]: len(each["nodes"]) for each in result.response["passes"]}
        assert looked_at["color-contrast"] > shown, "one place in view is not the whole lesson"
        assert looked_at.keys() & NAMES and lesson.page.locator("img[alt]").count()
        serious = [each for each in result.response["violations"] if each["impact"] in ("serious", "critical")]
        assert [(each["id"], node["html"][:300]) for each in serious for node in each["nodes"]] == []
        assert lesson.page.locator(".mnist-panel").evaluate_all(UNREACHABLE) == []


OURS = {  # but the code in texts: JupyterLab's dark theme gives its comments less contrast
    "include": [".jp-RenderedMarkdown", ".jp-OutputArea-output"],
    "exclude": [".jp-RenderedMarkdown pre"],
}
EVERYTHING = {  # but how a link looks, which is the theme's
    "resultTypes": ["violations", "passes"],
    "rules": {"link-in-text-block": {"enabled": False}},
}
NAMES = {"aria-input-field-name", "select-name"}  # axe's rules for sliders, and for lists of choices
UNREACHABLE = """panels => panels
    .flatMap(panel => [...panel.querySelectorAll('[role=slider], button, select, input, canvas')])
    .filter(node => node.checkVisibility() && !node.disabled && node.tabIndex < 0).map(node => node.outerHTML)"""


class WithSliders:
    """What sliders do in a page, on two lessons: the tests of the package hold it for all panels without one."""

    def test_each_slider_goes_to_both_ends_by_mouse_and_by_keyboard(self, lesson):
        panel = lesson.panel()
        for label in lesson.sliders:
            ends = {key: panel.move(label, key) for key in ("Home", "End")}
            assert ends["Home"][0] != ends["End"][0] and ends["Home"][1] != ends["End"][1], label
            for share, key in ((-0.2, "Home"), (1.2, "End")):
                assert panel.drag(label, [0.5, share]) == ends[key], (
                    f"{label}: the mouse leads elsewhere than the key {key}"
                )

    def test_a_hundred_changes_in_a_few_seconds_end_at_the_last_one(self, lesson):
        panel, label = lesson.panel(), lesson.sliders[0]
        panel.press(label, "Home")
        there_and_back = [step / 50 for step in range(50)] + [1 - step / 50 for step in range(50)]
        end = panel.drag(label, [*there_and_back, 1.2], pause=0.02)
        assert panel.move(label, "Home", "End") == end
        assert panel.node.locator("img").count() == 1, "the output grew"

    def test_an_error_in_a_callback_is_shown_and_goes_away(self, lesson):
        panel, label = lesson.panel(), lesson.sliders[0]
        panel.move(label, "Home")
        lesson.tell(f"whole_draw, {panel.variable}.draw = {panel.variable}.draw, lambda figure, **values: 1 / 0")
        panel.press(label, "End")
        problem = panel.node.get_by_text("ZeroDivisionError: division by zero").first
        problem.wait_for()
        lesson.screenshot("error")
        lesson.tell(f"{panel.variable}.draw = whole_draw")
        panel.press(label, "Home")
        problem.wait_for(state="detached")
        panel.settle()

    def test_the_cell_can_be_run_again(self, lesson):
        number = f"id({lesson.panel().variable})"
        before = lesson.ask(number)
        lesson.command("notebook:run-cell")
        until(lambda now: now != before, lambda: lesson.ask(number))
        lesson.panel().move(lesson.sliders[0], "Home", "ArrowRight")


MEASURE = """() => [...document.querySelectorAll('.slides > section > section')].map(slide => {
    const {left, top} = slide.getBoundingClientRect(), small = [], rights = [0];
    const outside = '.notes, .reveal-skip, style, script, .cm-announced, .widget-readout, :not(section)[hidden]';
    const shown = selector => [...slide.querySelectorAll(selector)].filter(node => !node.closest(outside))
        .map(node => [node.getBoundingClientRect(), node]).filter(([box]) => box.width && box.height);
    const texts = document.createTreeWalker(slide, NodeFilter.SHOW_TEXT), range = document.createRange();
    while (texts.nextNode()) {
        const text = texts.currentNode.textContent.trim(), parent = texts.currentNode.parentElement;
        range.selectNodeContents(texts.currentNode);
        const box = range.getBoundingClientRect();
        if (!text || !box.width || parent.closest(outside)) continue;
        rights.push(box.right - left);
        if (parseFloat(getComputedStyle(parent).fontSize) < 18) small.push(text);
    }
    return {start: slide.innerText.trim().slice(0, 60), small,
            bottom: Math.max(0, ...shown('.jp-Cell').map(([box]) => box.bottom - top)),
            right: Math.max(...rights, ...shown('img').map(([box]) => box.right - left)),
            scale: Math.min(1, ...shown('img').map(([box, image]) => box.width / image.naturalWidth))};
})"""
ALL_SLIDES = """.slides section, .slides section section, .fragment {
    display: block !important; visibility: visible !important; opacity: 1 !important }"""


class InClass:
    """The lesson as slides, as the tests before left it; in the end its solutions are run, which change variables."""

    def test_every_slide_fits_the_projector(self, slides):
        style = slides.add_style_tag(content=ALL_SLIDES)
        slides.wait_for_function("[...document.images].every(image => image.complete && image.naturalWidth)")
        many, measure = lambda measured: len(measured) > 10, lambda: slides.evaluate(MEASURE)
        measured = until(many, measure, pause=0.3, twice=True)
        style.evaluate("style => style.remove()")
        assert all(slide["bottom"] > 0 for slide in measured), "a slide was hidden when it was measured"
        assert [slide for slide in measured if slide["bottom"] > 720 or slide["right"] > 1265] == []
        assert [slide for slide in measured if slide["small"] or slide["scale"] < 0.9] == []

    def test_the_slider_works_in_the_slides(self, lesson, slides):
        label = lesson.sliders[0]
        panel = lesson.panel_on_slide(slides, f".widget-label:has-text('{label}')")
        low, high = [(panel.drag(label, [0.5, share]), panel.values()) for share in (-0.2, 1.2)]
        lesson.screenshot("slide", slides)
        assert low[1] != high[1]
        assert low[0] != high[0] or lesson.name == "03c_comparing_runs", "only there a slider shows nothing until Start"
        panel.move(label, "Home", "ArrowRight")
        assert panel.node.is_visible(), "a key for the slider turned the slide"

    def test_the_solutions_run(self, lesson):
        codes = solutions(next(read(path) for path in PATHS if path.stem == lesson.name))
        assert codes
        for code in codes:
            lesson.tell(code, seconds=300)
