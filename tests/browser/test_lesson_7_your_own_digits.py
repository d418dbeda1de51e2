"""Lesson 7 in the browser: the pad with mouse, finger, keys and photos; what changes an answer; the repair."""

import io
import re

import numpy as np
import pytest
from PIL import Image

from every_lesson import AtTheDesk, InClass
from mnist_helpers.labs.own_digits import CANVAS, draw_strokes, load_drawings

LESSON = "07_your_own_digits", "changes", ["right"]
TestAtTheDesk = AtTheDesk
INVITATION = "Draw a digit with mouse, pen or finger, choose an example, or upload a photo."
HAND = {name[0]: strokes for name, strokes in load_drawings().items() if name.endswith("in the middle")}
WHAT = "({tagName, textContent, type}) => `${tagName} ${textContent.trim() || type || ''}`.trim()"
EMPTY = """pad.controls['example'].value, pad.controls['brush'].value = '', 20; pad.clear(); pad.history.clear()
for name in ('invert', 'clean', 'crop', 'scale', 'center'): pad.controls[name].value = True"""


@pytest.fixture
def pad(lesson):
    """The drawing pad, empty, with all steps on."""
    lesson.tell(EMPTY)
    panel = lesson.panel("pad")
    assert panel.settle()[1] == INVITATION
    return panel


def on_page(panel, points):
    """Where these points of the canvas lie on the page."""
    box = panel.node.locator("canvas").bounding_box()
    return [(box["x"] + x * box["width"] / CANVAS, box["y"] + y * box["height"] / CANVAS) for x, y in points]


def move(panel, *points):
    """Move the mouse along points of the canvas."""
    for point in on_page(panel, points):
        panel.page.mouse.move(*point)


def draw(panel, strokes):
    """Move along the strokes with the button down; to every third of their points, as a quick hand does."""
    for stroke in strokes:
        move(panel, stroke[0])
        panel.page.mouse.down()
        move(panel, *stroke[3:-1:3], stroke[-1])
        panel.page.mouse.up()
    return panel.settle()


def answer(shown):
    found = re.match(r"The network reads (\d)", shown[1])
    return found and found[1]


def upload(panel, name, content, words):
    """Choose a file, and wait until the panel says these words."""
    with panel.page.expect_file_chooser() as chooser:
        panel.button("Upload a photo").click()
    chooser.value.set_files([{"name": name, "mimeType": "image/png", "buffer": content}])
    panel.node.get_by_text(words).first.wait_for(timeout=60_000)
    return panel.settle()


def image_of(picture):
    return Image.fromarray((255 * picture).astype(np.uint8))


def encoded(image, kind="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def ink_on_the_canvas(panel):
    """How many of the pixels that the page shows are dark."""
    return panel.node.locator("canvas").evaluate(
        """canvas => { const {data} = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
            return new Uint32Array(data.buffer).filter(pixel => pixel >>> 24 && (pixel & 255) < 128).length }"""
    )


PICTURES = {digit: draw_strokes(strokes) for digit, strokes in HAND.items()}
NOT_TAKEN = {
    "digit.png": (b"This is no picture.", "this file is no picture that can be read here"),
    "dot.png": (encoded(image_of(np.ones((1, 1)))), "this picture has 1 × 1 pixels"),
    "half.jpg": (encoded(image_of(PICTURES["3"]), "JPEG")[:1500], "damaged or not complete"),
    "sky.png": (encoded(Image.new("1", (9000, 8000), 1)), "more than 64 million pixels"),
    "empty.png": (b"", "this file is no picture"),
}
NO_DIGIT = {
    "nothing but paper": (np.ones((100, 100)), "there is no ink"),
    "all black": (np.zeros((100, 100)), "there is no ink"),
    "two digits": (np.hstack([PICTURES["1"], PICTURES["7"]]), "2 parts side by side"),
    "a dot": (draw_strokes([[(140, 140)]]), "only a dot"),
}


class TestPad:
    def test_digits_drawn_with_the_mouse_are_read(self, pad):
        read = {}
        for digit, strokes in HAND.items():
            assert pad.click("Clear")[1] == INVITATION
            read[digit] = answer(draw(pad, strokes))
        assert sum(digit == said for digit, said in read.items()) >= 8, read

    def test_the_canvas_shows_what_python_holds_and_follows_the_brush(self, lesson, pad):
        before = draw(pad, HAND["5"])
        seen, held = ink_on_the_canvas(pad), lesson.ask("int((pad.picture_now < 0.5).sum())")
        assert abs(seen - held) < 0.05 * held
        assert pad.move("brush width", "End") != before and ink_on_the_canvas(pad) > 1.5 * seen
        pad.click("Clear")
        assert ink_on_the_canvas(pad) == 0

    def test_the_probabilities_follow_while_the_button_is_down(self, pad):
        seen, (stroke,) = set(), HAND["0"]
        move(pad, stroke[0])
        pad.page.mouse.down()
        for part in (stroke[:20], stroke[20:40], stroke[40:]):
            move(pad, *part)
            seen.add(pad.settle())
        assert len(seen) == 3
        pad.page.mouse.up()
        assert answer(pad.settle()) == "0"

    def test_only_a_pen_that_is_down_and_on_the_canvas_draws(self, lesson, pad):
        move(pad, *HAND["0"][0])
        assert pad.settle()[1] == INVITATION
        move(pad, (140, 40))
        pad.page.mouse.down()
        move(pad, *[(140, y) for y in range(60, 241, 20)], *[(x, 240) for x in range(120, -61, -20)])
        pad.page.mouse.up()
        move(pad, *[(x, 100) for x in range(0, 201, 20)])
        pad.settle()
        (stroke,) = lesson.ask("pad.strokes")
        assert all(x > -1 for x, _ in stroke)

    def test_undo_takes_back_one_stroke_and_one_clear(self, pad):
        one, both = draw(pad, HAND["4"][:1]), draw(pad, HAND["4"][1:])
        empty = pad.click("Clear")
        assert empty[1] == INVITATION and len({one, both, empty}) == 3
        for state in (both, one, empty, empty):
            assert pad.click("Undo") == state

    def test_a_finger_draws_as_well(self, lesson, pad):
        touch = pad.page.context.new_cdp_session(pad.page)
        for stroke in HAND["7"]:
            for number, (x, y) in enumerate(on_page(pad, stroke)):
                kind = "touchMove" if number else "touchStart"
                touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y}]})
            touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        assert answer(pad.settle()) == "7" and len(lesson.ask("pad.strokes")) == len(HAND["7"])

    def test_all_of_it_by_keyboard(self, pad):
        """From the example to the canvas and out again, with the Tab key; a switch with the space bar."""
        pad.choice("example").press("9")
        assert answer(pad.settle()) == "9"
        focused = set()
        for _ in range(14):
            pad.page.keyboard.press("Tab")
            focused.add(pad.page.evaluate(f"({WHAT})(document.activeElement)"))
        assert {"CANVAS", "BUTTON Undo", "BUTTON Clear", "INPUT checkbox"} <= focused, focused
        box = pad.node.get_by_role("checkbox").nth(2)
        box.focus()
        before = pad.settle()
        box.press("Space")
        after = pad.settle()
        assert before != after and "Left out: crop." in after[1]

    def test_a_photo_is_read_and_undone(self, lesson, pad):
        drawn = draw(pad, HAND["1"])
        paper = np.linspace(0.95, 0.6, CANVAS)[None] * (0.3 + 0.7 * PICTURES["8"])
        photo = (paper + np.random.default_rng(0).normal(0, 0.02, paper.shape)).clip(0, 1)
        upload(pad, "eight.jpg", encoded(image_of(photo), "JPEG"), "The network reads 8")
        lesson.screenshot("photo")
        assert ink_on_the_canvas(pad) > 0
        assert lesson.ask("len(pad.upload.value)") == 0, "the file itself is not kept"
        assert pad.click("Undo") == drawn

    @pytest.mark.parametrize(("turn", "angle"), [(3, 180), (6, 90), (8, 270)])
    def test_a_photo_taken_with_a_turned_phone(self, pad, turn, angle):
        exif = Image.Exif()
        exif[0x0112] = turn
        stored = image_of(PICTURES["4"]).rotate(angle, expand=True)
        upload(pad, "turned.jpg", encoded(stored, "JPEG", exif=exif), "The network reads 4")

    @pytest.mark.parametrize("name", NOT_TAKEN)
    def test_a_file_that_cannot_be_taken_gets_a_sentence_and_the_drawing_stays(self, pad, name):
        content, sentence = NOT_TAKEN[name]
        drawn = draw(pad, HAND["1"])
        assert upload(pad, name, content, "was not taken") == drawn
        problem = pad.node.locator("b", has_text="was not taken").first
        assert sentence in problem.inner_text() and name in problem.inner_text()
        pad.button("Undo").click()
        problem.wait_for(state="detached")

    @pytest.mark.parametrize("case", NO_DIGIT)
    def test_a_picture_without_a_digit_gets_a_sentence(self, pad, case):
        picture, sentence = NO_DIGIT[case]
        assert sentence in upload(pad, "picture.png", encoded(image_of(picture)), "No answer: ")[1]

    def test_animated_and_transparent_pictures_are_read_with_a_note(self, pad):
        film = encoded(image_of(PICTURES["3"]), save_all=True, append_images=[image_of(PICTURES["1"])])
        note = "The picture is animated: only its first frame is read."
        assert answer(upload(pad, "film.png", film, note)) == "3"
        ink = image_of(1 - PICTURES["6"])
        glass = encoded(Image.merge("LA", [Image.new("L", ink.size, 0), ink]))
        assert answer(upload(pad, "glass.png", glass, "What is transparent counts as paper.")) == "6"

    def test_large_pictures_and_heavy_files_are_read(self, pad):
        """50 million pixels; and more than the 10 MB after which a Jupyter server usually closes the connection."""
        large = encoded(image_of(PICTURES["2"]).resize((7070, 7070)).convert("1"))
        upload(pad, "large.png", large, "The network reads 2")
        noise = np.random.default_rng(0).normal(0, 0.1, (4480, 4480))
        paper = PICTURES["3"].repeat(16, axis=0).repeat(16, axis=1)
        heavy = encoded(image_of((paper + noise).clip(0, 1)), compress_level=1)
        assert len(heavy) > 11_000_000
        upload(pad, "heavy.png", heavy, "The network reads 3")


def test_the_repair_is_trained_live_and_stopped(lesson):
    panel = lesson.panel("lab")
    panel.move("random shifts", "Home")
    panel.button("Train").click()
    panel.wait_for_words("shifts up to 0 pixels, epoch 10 of 10")
    panel.settle()
    lesson.screenshot("repair")
    assert panel.move("random shifts", "End")[1] == "Not trained yet with shifts up to 6 pixels: press Train."
    panel.button("Train").click()
    panel.node.get_by_text(re.compile("up to 6 pixels, epoch [1-9] of 10")).wait_for(timeout=60_000)
    stopped = panel.click("Stop")
    lesson.page.wait_for_timeout(1000)
    assert panel.settle() == stopped and not lesson.ask("lab.running")


def test_an_answer_flips_step_by_step(lesson):
    panel = lesson.panel("flip")
    panel.press("digit", "Home")
    before = panel.move("steps", "Home")
    assert "Digit 0 after 0 steps" in before[1] and "Answer 0 " in before[1]
    after = panel.move("steps", "End")
    lesson.screenshot("flip")
    assert after[0] != before[0] and "Digit 0 after 30 steps" in after[1] and "Answer 0 " not in after[1]


def test_the_dropout_rate_of_the_passes(lesson):
    panel = lesson.panel("meter")
    panel.choice("picture").select_option("noise")
    assert "answers: 100 times" in panel.move("dropout rate", "Home")[1], "without dropout all passes agree"
    assert "dropout 0.9" in panel.move("dropout rate", "End")[1]


def test_drawing_in_the_slides(lesson, pad, slides):
    panel = lesson.panel_on_slide(slides, "canvas", "pad")
    assert answer(draw(panel, HAND["2"])) == "2"
    lesson.screenshot("pad_slide", slides)
    panel.control("brush width").locator(".noUi-handle").focus()
    assert panel.click("Clear")[1] == INVITATION


TestInClass = InClass
