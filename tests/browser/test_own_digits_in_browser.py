"""The drawing pad of lesson 7 in JupyterLab: mouse, finger and keys, undo and clear, photos by the file chooser."""

import io
import re

import numpy as np
import pytest
from PIL import Image

from lab_pages import SCREENSHOTS, PanelOnPage
from mnist_helpers.labs.own_digits import CANVAS, draw_strokes, load_drawings

pytestmark = pytest.mark.parametrize("lesson", ["07_your_own_digits to pad"], indirect=True)
INVITATION = "Draw a digit with mouse, pen or finger, choose an example, or upload a photo."
HAND = {name[0]: strokes for name, strokes in load_drawings().items() if name.endswith("in the middle")}


@pytest.fixture
def pad(lesson):
    """The drawing pad, empty, with all steps on."""
    lesson.tell(
        "pad.controls['example'].value = ''\npad.clear()\npad.history.clear()\n"
        "for step in ('invert', 'clean', 'crop', 'scale', 'center'): pad.controls[step].value = True"
    )
    panel = lesson.panel("pad")
    assert panel.settle()[1] == INVITATION
    return panel


def on_page(panel, x, y):
    box = panel.node.locator("canvas").bounding_box()
    return box["x"] + x * box["width"] / CANVAS, box["y"] + y * box["height"] / CANVAS


def draw(panel, strokes):
    """Move the mouse along the strokes, with the button down; every third of their points, as a quick hand does."""
    mouse = panel.page.mouse
    for stroke in strokes:
        mouse.move(*on_page(panel, *stroke[0]))
        mouse.down()
        for point in [*stroke[3:-1:3], stroke[-1]]:
            mouse.move(*on_page(panel, *point))
        mouse.up()


def answer(words):
    found = re.match(r"The network reads (\d)", words)
    return found and found[1]


def press(panel, name):
    panel.node.get_by_role("button", name=name).click()


def choose_file(panel, name, content, kind="image/png"):
    with panel.page.expect_file_chooser(timeout=20_000) as chooser:
        panel.node.get_by_role("button", name="Upload a photo").click()
    chooser.value.set_files([{"name": name, "mimeType": kind, "buffer": content}])


def encoded(picture, kind="PNG", **options):
    buffer = io.BytesIO()
    image = picture if isinstance(picture, Image.Image) else Image.fromarray((255 * picture).astype(np.uint8))
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def problem(panel):
    return panel.node.locator("b", has_text="was not taken").first


def ink_on_the_canvas(panel):
    """How many of the pixels that the page shows are dark."""
    return panel.node.locator("canvas").evaluate(
        "canvas => { const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;"
        " let dark = 0; for (let i = 0; i < data.length; i += 4) dark += data[i + 3] > 0 && data[i] < 128;"
        " return dark }"
    )


def test_digits_drawn_with_the_mouse_are_read(lesson, pad):
    read = {}
    for digit, strokes in HAND.items():
        press(pad, "Clear")
        pad.settle()
        draw(pad, strokes)
        read[digit] = answer(pad.settle()[1])
        if digit == "3":
            lesson.screenshot("drawn")
    assert sum(digit == said for digit, said in read.items()) >= 8, read
    assert lesson.errors == []


def test_the_canvas_shows_what_python_holds(lesson, pad):
    draw(pad, HAND["5"])
    pad.settle()
    seen, held = ink_on_the_canvas(pad), lesson.ask("int((pad.picture_now < 0.5).sum())")
    assert abs(seen - held) < 0.05 * held
    press(pad, "Clear")
    pad.settle()
    assert ink_on_the_canvas(pad) == 0


def test_the_probabilities_follow_while_the_button_is_down(lesson, pad):
    mouse, seen = pad.page.mouse, set()
    (stroke,) = HAND["0"]
    mouse.move(*on_page(pad, *stroke[0]))
    mouse.down()
    for part in (stroke[:20], stroke[20:40], stroke[40:]):
        for point in part:
            mouse.move(*on_page(pad, *point))
        seen.add(pad.settle())
    assert len(seen) == 3
    mouse.up()
    assert answer(pad.settle()[1]) == "0"


def test_moving_without_the_button_draws_nothing(lesson, pad):
    for point in HAND["0"][0]:
        pad.page.mouse.move(*on_page(pad, *point))
    assert pad.settle()[1] == INVITATION


def test_undo_takes_back_one_stroke_and_one_clear(lesson, pad):
    draw(pad, HAND["4"][:1])
    one = pad.settle()
    draw(pad, HAND["4"][1:])
    both = pad.settle()
    assert both != one
    press(pad, "Clear")
    assert pad.settle()[1] == INVITATION
    press(pad, "Undo")
    assert pad.settle() == both
    press(pad, "Undo")
    assert pad.settle() == one
    press(pad, "Undo")
    assert pad.settle()[1] == INVITATION
    press(pad, "Undo")
    assert pad.settle()[1] == INVITATION


def test_a_finger_draws_as_well(lesson, pad):
    session = pad.page.context.new_cdp_session(pad.page)
    for stroke in HAND["7"]:
        for number, point in enumerate(stroke):
            x, y = on_page(pad, *point)
            session.send(
                "Input.dispatchTouchEvent",
                {"type": "touchMove" if number else "touchStart", "touchPoints": [{"x": x, "y": y}]},
            )
        session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    assert answer(pad.settle()[1]) == "7"
    assert len(lesson.ask("pad.strokes")) == len(HAND["7"])


def test_the_pen_that_leaves_the_canvas_is_lifted(lesson, pad):
    mouse = pad.page.mouse
    mouse.move(*on_page(pad, 140, 40))
    mouse.down()
    mouse.move(*on_page(pad, 140, 240), steps=10)
    mouse.move(*on_page(pad, -60, 240), steps=10)
    mouse.up()
    mouse.move(*on_page(pad, 200, 100), steps=10)
    pad.settle()
    assert all(x > -1 for stroke in lesson.ask("pad.strokes") for x, _ in stroke)
    assert len(lesson.ask("pad.strokes")) == 1


def test_the_brush_changes_canvas_and_picture(lesson, pad):
    draw(pad, HAND["1"])
    before = pad.settle()
    thin = ink_on_the_canvas(pad)
    pad.press("brush width", "End")
    assert pad.settle() != before
    assert ink_on_the_canvas(pad) > 1.5 * thin
    pad.press("brush width", "Home")
    pad.settle()
    lesson.tell("pad.controls['brush'].value = 20")


def test_all_of_it_by_keyboard(lesson, pad):
    """From the example to the canvas and out again, with the Tab key; a switch with the space bar."""
    keyboard, focused = pad.page.keyboard, []
    pad.control("example").locator("select").focus()
    keyboard.press("9")
    assert answer(pad.settle()[1]) == "9"
    for _ in range(14):
        keyboard.press("Tab")
        focused.append(
            pad.page.evaluate(
                "document.activeElement.tagName + ' ' + (document.activeElement.textContent"
                " || document.activeElement.type || '')"
            ).strip()
        )
    assert {"CANVAS", "BUTTON Undo", "BUTTON Clear", "INPUT checkbox"} <= set(focused), focused
    box = pad.node.get_by_role("checkbox").nth(2)
    box.focus()
    before = pad.settle()
    keyboard.press("Space")
    after = pad.settle()
    assert before != after and "Left out: crop." in after[1]


def test_a_photo_is_read_and_undone(lesson, pad):
    draw(pad, HAND["1"])
    drawn = pad.settle()
    paper = np.linspace(0.95, 0.6, CANVAS)[None] * (0.3 + 0.7 * draw_strokes(HAND["8"]))
    photo = (paper + np.random.default_rng(0).normal(0, 0.02, paper.shape)).clip(0, 1)
    choose_file(pad, "eight.jpg", encoded(photo, "JPEG"), "image/jpeg")
    pad.node.get_by_text("The network reads 8").wait_for(timeout=20_000)
    pad.settle()
    lesson.screenshot("photo")
    assert ink_on_the_canvas(pad) > 0
    assert lesson.ask("len(pad.upload.value)") == 0, "the file itself is not kept"
    press(pad, "Undo")
    assert pad.settle() == drawn


@pytest.mark.parametrize("turn", [3, 6, 8])
def test_a_photo_taken_with_a_turned_phone(lesson, pad, turn):
    upright = Image.fromarray((255 * draw_strokes(HAND["4"])).astype(np.uint8))
    stored = upright.rotate({3: 180, 6: 90, 8: 270}[turn], expand=True)
    exif = Image.Exif()
    exif[0x0112] = turn
    choose_file(pad, "turned.jpg", encoded(stored, "JPEG", exif=exif), "image/jpeg")
    pad.node.get_by_text("The network reads 4").wait_for(timeout=20_000)


BAD = {
    "a text file": ("digit.png", b"This is no picture.", "this file is no picture that can be read here"),
    "one pixel": ("dot.png", encoded(np.ones((1, 1))), "this picture has 1 × 1 pixels"),
    "truncated": ("half.jpg", encoded(draw_strokes(HAND["3"]), "JPEG")[:1500], "damaged or not complete"),
    "too large": ("sky.png", encoded(Image.new("1", (9000, 8000), 1)), "more than 64 million pixels"),
    "empty": ("empty.png", b"", "this file is no picture"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_file_that_cannot_be_taken_gets_a_sentence_and_the_drawing_stays(lesson, pad, case):
    name, content, sentence = BAD[case]
    draw(pad, HAND["1"])
    drawn = pad.settle()
    choose_file(pad, name, content)
    problem(pad).wait_for(timeout=30_000)
    assert sentence in problem(pad).inner_text() and name in problem(pad).inner_text()
    lesson.screenshot("not_taken")
    assert pad.settle() == drawn
    press(pad, "Undo")
    problem(pad).wait_for(state="detached")


NO_DIGIT = {
    "nothing but paper": (encoded(np.ones((100, 100))), "there is no ink"),
    "all black": (encoded(np.zeros((100, 100))), "there is no ink"),
    "two digits": (encoded(np.hstack([draw_strokes(HAND["1"]), draw_strokes(HAND["7"])])), "2 parts side by side"),
    "a dot": (encoded(draw_strokes([[(140, 140)]])), "only a dot"),
}


@pytest.mark.parametrize("case", NO_DIGIT)
def test_a_picture_without_a_digit_gets_a_sentence(lesson, pad, case):
    content, sentence = NO_DIGIT[case]
    choose_file(pad, "picture.png", content)
    pad.node.get_by_text("No answer: ").wait_for(timeout=20_000)
    assert sentence in pad.settle()[1]


def test_animated_and_transparent_pictures_are_read_with_a_note(lesson, pad):
    frames = [Image.fromarray((255 * draw_strokes(HAND[digit])).astype(np.uint8)) for digit in "31"]
    choose_file(pad, "film.png", encoded(frames[0], save_all=True, append_images=frames[1:]))
    pad.node.get_by_text("The picture is animated: only its first frame is read.").wait_for(timeout=20_000)
    assert answer(pad.settle()[1]) == "3"
    ink = (255 * (1 - draw_strokes(HAND["6"]))).astype(np.uint8)
    see_through = Image.merge("LA", [Image.new("L", ink.shape, 0), Image.fromarray(ink)])
    choose_file(pad, "glass.png", encoded(see_through))
    pad.node.get_by_text("What is transparent counts as paper.").wait_for(timeout=20_000)
    assert answer(pad.settle()[1]) == "6"


def test_a_picture_of_fifty_million_pixels_is_read(lesson, pad):
    small = Image.fromarray((255 * draw_strokes(HAND["2"])).astype(np.uint8))
    choose_file(pad, "large.png", encoded(small.resize((7070, 7070)).convert("1")))
    pad.node.get_by_text("The network reads 2").wait_for(timeout=60_000)


def test_a_heavy_file_is_read(lesson, pad):
    """More than the 10 MB after which a Jupyter server closes the connection unless it is set otherwise."""
    paper = Image.fromarray((255 * draw_strokes(HAND["2"])).astype(np.uint8)).resize((4500, 4500))
    noise = np.random.default_rng(0).normal(0, 25, (4500, 4500))
    content = encoded(Image.fromarray((np.asarray(paper) + noise).clip(0, 255).astype(np.uint8)))
    assert len(content) > 11_000_000
    choose_file(pad, "heavy.png", content)
    pad.node.get_by_text("The network reads 2").wait_for(timeout=60_000)


def test_drawing_in_the_slides(lesson, pad, slides):
    found = slides.locator("section.present > section.present .widget-vbox", has=slides.locator("canvas"))
    for _ in range(40):
        if found.locator("img").count():
            break
        slides.keyboard.press("Space")
        slides.wait_for_timeout(150)
    panel = PanelOnPage(lesson, found.first, "pad")
    panel.page = slides
    draw(panel, HAND["2"])
    assert answer(panel.settle()[1]) == "2"
    slides.screenshot(path=SCREENSHOTS / "07_pad_slide.png")
    panel.control("brush width").locator(".noUi-handle").focus()
    press(panel, "Clear")
    assert panel.settle()[1] == INVITATION
