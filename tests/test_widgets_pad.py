"""The drawing pad: drawn on as a reader would, and its figures read back."""

import asyncio
import builtins
import copy
import datetime
import functools
import io
import os
import threading
import time

import numpy as np
import pytest
import torch
from ipycanvas import Canvas
from PIL import Image, ImageDraw

from mnist_helpers.labs.own_digits import STEPS, draw_strokes, load_drawings, preprocess_digit, preprocessing_stages
from mnist_helpers.widgets import pad as of_pad
from mnist_helpers.widgets.pad import INVITATION, REDRAW_AFTER, SWITCHES, TITLES, drawing_pad, on_square
from panels import axes_titled, in_another_thread, moved, pixels_of, play, problem_of, state_of, words_of

DRAWINGS = load_drawings()
SEVEN = [(80.0, 80.0), (200.0, 80.0), (120.0, 220.0)]
ONE = [(140.0, 60.0), (140.0, 220.0)]
BAR = [(110.0, 150.0), (190.0, 150.0)]  # through the SEVEN
DOT = [(140.0, 140.0)]
ASIDE = [(240.0, 60.0), (240.0, 220.0)]


def drawing_of(pad):
    """What undo has to bring back: the example, the strokes and the photo; and what the reader sees of it."""
    return pad.controls["example"].value, copy.deepcopy(pad.strokes), pad.photo, pad.picture.value, pad.text.value


def happens(pad, event, x=None, y=None):
    """The page reports that something happened on the canvas."""
    if event.startswith("touch"):
        content = {"event": event, "touches": [] if x is None else [{"x": x, "y": y}]}
    else:
        content = {"event": event, "x": x, "y": y}
    pad.canvas._handle_frontend_event(None, content, [])


def reported(pad, stroke, kind="mouse", end="up"):
    """The page reports a stroke."""
    happens(pad, f"{kind}_{'down' if kind == 'mouse' else 'start'}", *stroke[0])
    for point in stroke[1:]:
        happens(pad, f"{kind}_move", *point)
    happens(pad, f"{kind}_{end}", *(stroke[-1] if kind == "mouse" else ()))


def drawn(pad, *strokes):
    """The pad after these strokes, point by point."""
    for stroke in strokes:
        reported(pad, stroke)
    return pad


def png_of(picture, mode="L", format="png"):
    """The bytes of a file with this picture."""
    buffer = io.BytesIO()
    Image.fromarray(np.round(255 * picture).astype(np.uint8)).convert(mode).save(buffer, format)
    return buffer.getvalue()


PHOTO = png_of(draw_strokes([SEVEN]))


def upload(pad, content=PHOTO, name="seven.png", wrap=memoryview):
    """What ipywidgets does when a file arrives."""
    now = datetime.datetime.now(datetime.timezone.utc)
    file = {"name": name, "type": "image/png", "size": len(content), "content": wrap(content), "last_modified": now}
    pad.upload.value = (file,)
    return pad


def buttons_of(pad):
    return {button.description: button for button in pad.children[2].children[0].children[1].children}


ACTIONS = {
    "stroke": lambda pad: drawn(pad, BAR),
    "clear": lambda pad: pad.clear(),
    "upload": lambda pad: upload(pad, png_of(draw_strokes(DRAWINGS["3, wide"]))),
    "example": lambda pad: moved(pad, example="4, wide"),
}


def shown_stages(still):
    """The pictures in the first row of the pad's figure, by the name of the step; only those that are visible."""
    images = {name: axes_titled(still.figure, title).images[0] for name, title in TITLES.items()}
    return {name: np.asarray(image.get_array()) for name, image in images.items() if image.get_visible()}


def bars_of(still):
    """The heights of the ten bars at the bottom of the pad's figure."""
    return [bar.get_height() for bar in still.figure.axes[-1].patches]


def probabilities_of(network, picture, left_out=()):
    """The network's ten probabilities of a picture."""
    with torch.no_grad():
        return network(preprocess_digit(picture, left_out)[None]).softmax(dim=1)[0]


def reading_words(probabilities):
    """The beginning of the words, from the ten probabilities."""
    (p, first), (q, second) = sorted(((p, digit) for digit, p in enumerate(probabilities.tolist())), reverse=True)[:2]
    return f"The network reads {first}, with probability {p:.2f}; next comes {second} with {q:.2f}."


@pytest.fixture(scope="module", autouse=True)
def drawings_once():
    """The 40 preprocessed drawings are made once for each way, not once for each pad: that takes most of its time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(of_pad, "drawn_digits", functools.cache(of_pad.drawn_digits))
        yield


@pytest.fixture(scope="module")
def network(trained):
    """A trained network on the processor, dropout off; nobody may change it."""
    return copy.deepcopy(trained.model).cpu().eval()


@pytest.fixture
def pad(network):
    """A pad outside of any event loop: it answers at once."""
    return drawing_pad(network)


@pytest.fixture(scope="module")
def looked_at(network):
    """A pad that all tests share: they look at its stills and move nothing."""
    return drawing_pad(network)


# ---------------------------------------------------------------- drawing


def test_an_empty_pad_is_white_paper_and_invites_to_draw(looked_at):
    assert words_of(looked_at) == INVITATION and problem_of(looked_at) == ""
    assert drawing_of(looked_at)[:3] == ("", [], None)
    assert looked_at.picture_now.dtype == np.float32 and np.array_equal(looked_at.picture_now, np.ones((280, 280)))
    assert shown_stages(looked_at.still()) == {} and bars_of(looked_at.still()) == [0] * 10


def test_picture_and_words_follow_every_point(pad):
    seen = [state_of(pad)[-2:]]
    for event, point in zip(("mouse_down", "mouse_move", "mouse_move"), SEVEN, strict=True):
        happens(pad, event, *point)
        seen.append(state_of(pad)[-2:])
    assert [len(set(each)) for each in zip(*seen, strict=True)] == [4, 4]


@pytest.mark.parametrize("strokes", [[SEVEN], [ONE], [SEVEN, BAR]])
def test_the_words_give_the_two_highest_probabilities_of_what_was_drawn(pad, network, strokes):
    assert drawn(pad, *strokes).strokes == strokes
    np.testing.assert_array_equal(pad.picture_now, draw_strokes(strokes))
    probabilities = probabilities_of(network, pad.picture_now)
    assert words_of(pad).startswith(reading_words(probabilities))
    assert bars_of(pad.still()) == pytest.approx(probabilities.tolist(), abs=1e-6)


@pytest.mark.parametrize("strokes, reason", [([DOT], "a dot or a spot"), ([ONE, ASIDE], "2 parts side by side")])
def test_what_is_no_digit_gets_no_answer_but_the_reason(pad, strokes, reason):
    words = words_of(drawn(pad, *strokes))
    assert words.startswith("No answer: ") and reason in words and problem_of(pad) == ""
    assert list(shown_stages(pad.still())) == ["picture"] and bars_of(pad.still()) == [0] * 10


# ---------------------------------------------------------------- examples and steps


def test_every_example_can_be_chosen(looked_at, network):
    assert [value for _, value in looked_at.controls["example"].options] == ["", *DRAWINGS]
    for name, strokes in DRAWINGS.items():
        picture = draw_strokes(strokes)
        reading = looked_at.read(**{**looked_at.values, "example": name})
        assert np.array_equal(reading.stages["picture"], picture), name
        assert reading.words.startswith(reading_words(probabilities_of(network, picture))), name


@pytest.mark.parametrize("step", STEPS)
def test_a_switch_leaves_its_step_out(looked_at, network, step):
    assert looked_at.controls[step].description == SWITCHES[step]
    picture = draw_strokes(DRAWINGS["3, wide"])
    still, whole = [looked_at.still(example="3, wide", **{step: on}) for on in (False, True)]
    assert f"Left out: {SWITCHES[step]}." in still.words and "Left out" not in whole.words
    assert still.words.startswith(reading_words(probabilities_of(network, picture, [step])))
    for shown, expected in ((still, preprocessing_stages(picture, [step])), (whole, preprocessing_stages(picture))):
        stages = shown_stages(shown)
        assert list(stages) == ["picture", *STEPS]
        for name, stage in expected.items():
            np.testing.assert_array_equal(stages[name], stage, err_msg=name)


@pytest.mark.parametrize("left_out", [(), ("center",), ("invert",), ("clean", "center")])
def test_the_words_count_the_example_drawings_that_are_read_rightly_with_these_steps(looked_at, network, left_out):
    digits = [name for name in DRAWINGS if name[0].isdigit()]
    answers = [probabilities_of(network, draw_strokes(DRAWINGS[name]), left_out).argmax() for name in digits]
    right = sum(int(answer) == int(name[0]) for name, answer in zip(digits, answers, strict=True))
    still = looked_at.still(example="A, a letter", **dict.fromkeys(left_out, False))
    assert still.words.endswith(f"it reads {right} of the 40 example drawings of digits rightly.")
    assert len(digits) == 40
    assert ("Left out: clean, centre by mass." in still.words) == (left_out == ("clean", "center"))


# ---------------------------------------------------------------- undo and clear


@pytest.mark.parametrize("first", ACTIONS)
def test_undo_never_loses_the_own_drawing(pad, first):
    """After any two actions it comes back, at the latest by the second undo; what comes after is the empty pad."""
    for second in ACTIONS:
        before = drawing_of(drawn(pad, SEVEN))
        ACTIONS[first](pad)
        ACTIONS[second](pad)
        pad.undo()
        if drawing_of(pad) != before:
            pad.undo()
        assert drawing_of(pad) == before, second
        for _ in range(2):  # nothing is left for the last one
            pad.undo()
            assert drawing_of(pad)[:3] == ("", [], None) and words_of(pad) == INVITATION and problem_of(pad) == ""


@pytest.mark.parametrize("begin", [lambda pad: drawn(pad, SEVEN, ONE), upload], ids=["strokes", "photo"])
def test_undo_takes_back_one_action(pad, begin):
    before = drawing_of(begin(pad))
    for name, action in ACTIONS.items():
        action(pad)
        assert drawing_of(pad) != before, name
        pad.undo()
        assert drawing_of(pad) == before, name


@pytest.mark.parametrize("action", ["undo", "clear", "upload"])
def test_what_happens_while_the_pen_is_down_ends_the_stroke(pad, action):
    """With a finger on the canvas another can press a button, and an upload takes a while to arrive."""
    happens(drawn(pad, ONE), "mouse_down", *SEVEN[0])
    happens(pad, "mouse_move", *SEVEN[1])
    {**ACTIONS, "undo": lambda pad: pad.undo()}[action](pad)
    before = drawing_of(pad)
    happens(pad, "mouse_move", *SEVEN[2])
    happens(pad, "mouse_up", *SEVEN[2])
    assert drawing_of(pad) == before and problem_of(pad) == ""


# ---------------------------------------------------------------- the quick picture


@pytest.fixture(scope="module")
def certain_pad(network):
    """That of a network which is nearly certain of its answers: its bars are high."""
    model = copy.deepcopy(network)
    with torch.no_grad():
        for parameter in model.layers[-1].parameters():
            parameter *= 20
    return drawing_pad(model)


@pytest.mark.parametrize(
    "strokes, state",
    [
        ([], {}),
        ([DOT], {}),
        ([], {"example": "1, slanted", "crop": False}),
        ([], {"example": "8, small", "invert": False, "scale": False}),
        ([], {"example": "0, in the middle", "center": False}),
    ],
)
def test_the_quick_picture_is_that_of_the_still_and_shows_nothing_of_the_last_one(certain_pad, strokes, state):
    certain_pad.strokes = strokes
    all_on = {**dict.fromkeys(STEPS, True), "example": ""}
    still = pixels_of(certain_pad.still(**{**all_on, **state})._repr_png_())
    quick = []
    for last in ("2, small", "8, wide"):
        moved(certain_pad, **{**all_on, "example": last})
        quick.append(moved(certain_pad, **{**all_on, **state}).picture.value)
    assert quick[0] == quick[1]
    difference = np.abs(pixels_of(quick[0]) - still).max(axis=2)
    assert still.shape == (350, 760, 3)
    assert difference.max() <= 32  # frames are drawn twice: their edges are a little darker
    assert (difference > 2).mean() < 0.02


# ---------------------------------------------------------------- uploads


@pytest.mark.parametrize("format, wrap", [("png", memoryview), ("jpeg", bytes)])
def test_a_good_photo_takes_the_place_of_what_was_there(pad, network, format, wrap):
    for before in ("stroke", "example", "upload", "stroke"):
        ACTIONS[before](pad)
        assert before != "stroke" or (pad.photo is None and pad.strokes == [BAR]), "the photo is not drawn on"
        picture = draw_strokes([SEVEN, BAR])
        upload(pad, png_of(picture, format=format), wrap=wrap)
        assert pad.strokes == [] and pad.values["example"] == "" and problem_of(pad) == ""
        assert pad.upload.value == () and pad.picture_now is pad.photo.picture
        assert np.abs(pad.photo.picture - picture).max() < (0.01 if format == "png" else 0.3)
    assert words_of(pad).startswith(reading_words(probabilities_of(network, pad.photo.picture)))
    assert np.array_equal(shown_stages(pad.still())["picture"], pad.photo.picture)


def test_the_photos_note_is_in_the_words_as_long_as_it_is_shown(pad):
    note = "What is transparent counts as paper."
    for strokes, beginning in (([SEVEN], "The network reads"), ([DOT], "No answer: ")):
        ink = 1 - draw_strokes(strokes, 40)
        upload(pad, png_of(np.dstack([0 * ink, ink]), "LA"))
        assert pad.photo.note == note and note in words_of(pad) and problem_of(pad) == ""
        assert words_of(pad).startswith(beginning)
    assert note not in words_of(moved(pad, example="3, wide"))
    assert note in words_of(moved(pad, example=""))
    assert note not in words_of(drawn(pad, ONE))


@pytest.mark.parametrize(
    "content, message",
    [
        (b"This is a letter, not a picture.", "no picture that can be read here"),
        (b"", "no picture that can be read here"),
        (PHOTO[:400], "damaged or not complete"),
        (png_of(np.zeros((1, 1))), "1 × 1 pixels"),
        (png_of(draw_strokes([SEVEN]), format="gif"), "no picture that can be read here"),
    ],
    ids=["text", "empty", "truncated", "tiny", "gif"],
)
def test_a_bad_file_leaves_everything_as_it_was_and_says_why_until_the_next_stroke(pad, content, message):
    for before in ("upload", "stroke"):
        ACTIONS[before](pad)
        assert problem_of(pad) == ""
        drawing, history = drawing_of(pad), len(pad.history)
        upload(pad, content, "<b>x.png")
        assert drawing_of(pad) == drawing and len(pad.history) == history, "a bad file is nothing to undo"
        assert pad.upload.value == ()
        assert pad.problem.value.startswith("<b>&lt;b&gt;x.png was not taken: ") and message in problem_of(pad)
        assert "Traceback" not in pad.problem.value and "Error" not in pad.problem.value


def test_an_upload_opens_no_file_on_the_disk(pad, monkeypatch):
    for module in (builtins, io, os):
        monkeypatch.setattr(module, "open", None)
    upload(pad)
    assert pad.photo is not None and problem_of(pad) == ""


# ---------------------------------------------------------------- mouse, pen and finger


@pytest.mark.parametrize("kind, end", [("mouse", "up"), ("mouse", "out"), ("touch", "end"), ("touch", "cancel")])
def test_a_mouse_or_a_finger_draws_from_its_start_to_its_end(pad, kind, end):
    happens(pad, f"{kind}_move", 1, 1)
    happens(pad, f"{kind}_{end}", 1, 1)
    assert pad.strokes == [] and words_of(pad) == INVITATION
    reported(pad, SEVEN, kind, end)
    happens(pad, f"{kind}_move", 7, 7)
    assert pad.strokes == [SEVEN] and words_of(pad).startswith("The network reads")


@pytest.fixture
def page(monkeypatch):
    """The canvas as the page shows it, painted here with Pillow as the canvas is told to."""
    image = Image.new("L", (280, 280), "gray")
    pen = ImageDraw.Draw(image)

    def circle(canvas, x, y, radius):
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=canvas.fill_style)

    def lines(canvas, points):
        pen.line(points, fill="black", width=round(canvas.line_width))
        for point in points:  # round ends and corners
            assert canvas.line_cap == canvas.line_join == "round"
            pen.ellipse([side + sign * canvas.line_width / 2 for sign in (-1, 1) for side in point], fill="black")

    commands = {
        "fill_circle": circle,
        "fill_rect": lambda canvas, x, y, width, height: pen.rectangle((x, y, width, height), fill=canvas.fill_style),
        "stroke_line": lambda canvas, x, y, to_x, to_y: lines(canvas, [(x, y), (to_x, to_y)]),
        "stroke_lines": lines,
        "put_image_data": lambda canvas, data, x, y: image.paste(Image.fromarray(data).convert("L"), (x, y)),
    }
    for name, command in commands.items():
        monkeypatch.setattr(Canvas, name, command)
    return image


def test_the_page_shows_what_there_is_whatever_happens(pad, page):
    def reload():
        page.paste("gray", (0, 0, 280, 280))
        happens(pad, "client_ready")

    def picture(*strokes):
        return draw_strokes(strokes, 12)

    three, one, mine = DRAWINGS["3, wide"], DRAWINGS["1, slanted"], [SEVEN, DOT, BAR]
    moved(pad, brush=12, center=False)
    for action, expected in (
        (reload, picture()),
        (lambda: reported(pad, SEVEN), picture(SEVEN)),
        (lambda: moved(pad, brush=30), draw_strokes([SEVEN], 30)),
        (lambda: moved(pad, brush=12), picture(SEVEN)),
        (lambda: drawn(pad, DOT, BAR), picture(*mine)),
        (reload, picture(*mine)),
        (lambda: moved(pad, example="3, wide"), picture(*three)),
        (reload, picture(*three)),
        (lambda: moved(pad, example=""), picture(*mine)),
        (lambda: moved(pad, example="1, slanted"), picture(*one)),
        (lambda: drawn(pad, BAR), picture(*one, BAR)),
        (buttons_of(pad)["Undo"].click, picture(*one)),
        (buttons_of(pad)["Undo"].click, picture(*mine)),
        (lambda: upload(pad), draw_strokes([SEVEN])),
        (reload, draw_strokes([SEVEN])),
        (lambda: moved(pad, example="3, wide"), picture(*three)),
        (lambda: moved(pad, example=""), draw_strokes([SEVEN])),
        (lambda: drawn(pad, ONE), picture(ONE)),
        (buttons_of(pad)["Undo"].click, draw_strokes([SEVEN])),
        (lambda: drawn(moved(pad, example="1, slanted"), BAR), picture(*one, BAR)),
        (lambda: moved(pad, example="3, wide"), picture(*three)),
        (buttons_of(pad)["Clear"].click, picture()),
        (buttons_of(pad)["Undo"].click, picture(*three)),
    ):
        action()
        np.testing.assert_allclose(pad.picture_now, expected, atol=0.01)
        np.testing.assert_allclose(np.asarray(page) / 255, expected, atol=0.01)
    assert pad.values["brush"] == 12 and pad.values["center"] is False
    assert pad.examples == DRAWINGS == load_drawings()


@pytest.mark.parametrize("shape, place", [((100, 50), np.s_[:, 70:210]), ((50, 100), np.s_[70:210, :])])
def test_a_photo_stands_in_the_middle_of_the_square_with_white_around(shape, place):
    square, expected = on_square(np.full(shape, 0.2, dtype=np.float32)), np.full((280, 280, 3), 255)
    expected[place] = 51
    assert square.dtype == np.uint8
    np.testing.assert_allclose(square.astype(int), expected, atol=1)


# ---------------------------------------------------------------- in an event loop


LONG = [(20 + 240 * step / 300, 140 + 60 * np.sin(step / 20)) for step in range(301)]


async def drawn_at_last(pad):
    """Return when nothing waits to be drawn."""
    while pad.waiting or pad.due:
        await asyncio.sleep(0.001)


def in_a_loop(network, act):
    """A pad on which `act(pad)` was played in an event loop; for each drawing of the picture how many points there
    were by then.
    """
    shown, threads = [], set()

    async def run():
        pad = drawing_pad(network)
        show = pad.show

        def watched():
            points = sum(map(len, pad.strokes))
            show()
            shown.append(points)
            threads.add(threading.get_ident())

        pad.show = watched
        await act(pad)
        await drawn_at_last(pad)
        return pad

    pad = play(run())
    assert threads == {threading.get_ident()} and words_of(pad) == pad.still().words
    return pad, shown


@pytest.mark.parametrize("run", [lambda action: action(), in_another_thread], ids=["here", "elsewhere"])
def test_a_whole_stroke_at_once_is_drawn_once(network, run):
    async def draw(pad):
        run(lambda: reported(pad, LONG))
        assert words_of(pad) == INVITATION, "drawn before the pen had a chance to go on"

    pad, shown = in_a_loop(network, draw)
    assert shown == [301] and pad.strokes == [LONG]


def test_each_pause_of_the_pen_is_drawn_and_many_movements_lead_to_few_drawings(network):
    seconds = []

    async def draw(pad):
        pad.pen_goes_down(*LONG[0])
        for point in LONG[1:4]:
            pad.pen_moves(*point)
            await drawn_at_last(pad)
        began = pad.loop.time()
        for point in LONG[4:]:
            pad.pen_moves(*point)
            await asyncio.sleep(0)
        pad.pen_goes_up(*LONG[-1])
        await drawn_at_last(pad)
        seconds.append(pad.loop.time() - began)

    pad, shown = in_a_loop(network, draw)
    assert shown[:3] == [2, 3, 4] and shown[-1] == 301 and pad.strokes == [LONG]
    assert len(shown) - 3 <= min(seconds[0] / REDRAW_AFTER + 1, 100)


def test_no_point_is_lost_while_another_thread_draws_and_the_loop_shows(network):
    def report(pad):
        for stroke in (LONG, LONG[::-1]):
            happens(pad, "touch_start", *stroke[0])
            for point in stroke[1:]:
                happens(pad, "touch_move", *point)
                time.sleep(0.0005)
            happens(pad, "touch_end")

    pad, shown = in_a_loop(network, lambda pad: asyncio.to_thread(report, pad))
    assert pad.strokes == [LONG, LONG[::-1]] and shown[-1] == 602 and len(shown) < 300


def test_pen_buttons_and_files_from_another_thread_are_answered_in_the_loops_thread_and_in_order(network):
    def act(pad):
        undo, clear = buttons_of(pad)["Undo"], buttons_of(pad)["Clear"]
        reported(pad, ONE)
        reported(pad, SEVEN)
        undo.click()
        undo.click()
        reported(pad, BAR, "touch", "end")
        clear.click()
        undo.click()
        reported(pad, SEVEN)

    own, on_example = [BAR, SEVEN], [*DRAWINGS["1, slanted"], BAR]

    async def act_elsewhere(pad):
        for action, expected in (
            (act, own),
            (lambda pad: moved(pad, example="1, slanted"), own),
            (lambda pad: reported(pad, BAR), on_example),
            (upload, []),
        ):
            before = copy.deepcopy(pad.strokes)
            in_another_thread(lambda action=action: action(pad))
            assert pad.strokes == before and pad.photo is None, "changed in the other thread"
            await drawn_at_last(pad)
            assert pad.strokes == expected

    pad, _ = in_a_loop(network, act_elsewhere)
    assert pad.photo is not None and pad.upload.value == ()


def test_an_error_while_the_pen_draws_is_shown_and_goes_away(network, monkeypatch):
    async def draw(pad):
        with monkeypatch.context() as patch:
            patch.setattr(of_pad, "preprocess_digit", None)
            drawn(pad, SEVEN)
            await drawn_at_last(pad)
            assert "TypeError" in problem_of(pad)
        drawn(pad, BAR)

    pad, _ = in_a_loop(network, draw)
    assert problem_of(pad) == "" and words_of(pad).startswith("The network reads")
