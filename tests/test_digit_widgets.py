"""Pad, doubts, changes, repair and flips: drawn on and moved as a reader would, and their figures read back."""

import asyncio
import builtins
import copy
import datetime
import functools
import html
import io
import random
import re
import tempfile
import threading
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from ipycanvas import Canvas
from PIL import Image
from torch.utils.data import TensorDataset

from mnist_helpers import digit_widgets, training
from mnist_helpers.data import make_loader
from mnist_helpers.labs.clinic import Shifted, adversarial_steps, change_images
from mnist_helpers.labs.own_digits import (
    STEPS,
    center_by_box,
    draw_strokes,
    drawn_digits,
    load_drawings,
    preprocess_digit,
    preprocessing_stages,
    scale_to_fit,
)
from mnist_helpers.model import MNISTNet
from mnist_helpers.predictions import predict
from mnist_helpers.training import evaluate, set_seed, train_step
from mnist_helpers.widgets.clinic import RepairLab, change_explorer, doubt_meter, flip_explorer, repair_lab
from mnist_helpers.widgets.pad import INVITATION, REDRAW_AFTER, SWITCHES, TITLES, drawing_pad, on_square
from mnist_helpers.widgets.panel import LivePicture

DRAWINGS = load_drawings()
SEVEN = [(80.0, 80.0), (200.0, 80.0), (120.0, 220.0)]
ONE = [(140.0, 60.0), (140.0, 220.0)]
BAR = [(110.0, 150.0), (190.0, 150.0)]  # through the SEVEN
DOT = [(140.0, 140.0)]


def words_of(panel):
    """What stands below the picture, without HTML's marks."""
    return html.unescape(panel.text.value)


def problem_of(panel):
    """What stands above the picture, "" where all is well."""
    return html.unescape(panel.problem.value)


def pixels_of(png):
    """The PNG file as an array (height, width, 3)."""
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


def moved(panel, **values):
    """The panel after its controls were moved to `values`."""
    for name, value in values.items():
        panel.controls[name].value = value
    return panel


def state_of(panel):
    return panel.values, panel.problem.value, panel.picture.value, panel.text.value


def drawing_of(pad):
    """What undo has to bring back: the example, the strokes and the photo."""
    return pad.controls["example"].value, copy.deepcopy(pad.strokes), pad.photo


def drawn(pad, *strokes):
    """The pad after these strokes, point by point."""
    for stroke in strokes:
        pad.pen_goes_down(*stroke[0])
        for point in stroke[1:]:
            pad.pen_moves(*point)
        pad.pen_goes_up(*stroke[-1])
    return pad


def axes_titled(figure, title):
    (ax,) = [ax for ax in figure.axes if ax.get_title() == title]
    return ax


def shown_stages(still):
    """The pictures in the first row of the pad's figure, by the name of the step; only those that are visible."""
    images = {name: axes_titled(still.figure, title).images[0] for name, title in TITLES.items()}
    return {name: np.asarray(image.get_array()) for name, image in images.items() if image.get_visible()}


def bars_of(still):
    """The heights of the ten bars at the bottom of the pad's figure."""
    return [bar.get_height() for bar in still.figure.axes[-1].patches]


def probabilities_of(network, digit):
    """Ten probabilities of one image (1, 28, 28)."""
    with torch.no_grad():
        return network(digit[None]).softmax(dim=1)[0]


def reading_words(probabilities):
    """The beginning of the words, from the ten probabilities."""
    (p, first), (q, second) = sorted(((p, digit) for digit, p in enumerate(probabilities.tolist())), reverse=True)[:2]
    return f"The network reads {first}, with probability {p:.2f}; next comes {second} with {q:.2f}."


def random_states():
    """All global random numbers, to be compared."""
    numbers = np.random.get_state()
    return torch.get_rng_state().tolist(), random.getstate(), numbers[1].tolist(), numbers[2]


def of_classes(dataset, *classes):
    images, labels = dataset.tensors
    chosen = torch.isin(labels, torch.tensor(classes))
    return TensorDataset(images[chosen], labels[chosen])


def in_another_thread(action):
    """Run the action in a thread of its own while this one, with the panel's event loop, waits."""
    thread = threading.Thread(target=action)
    thread.start()
    thread.join()


def play(coroutine):
    """Run to the end; fails when that takes a minute."""
    return asyncio.run(asyncio.wait_for(coroutine, 60))


async def drawn_at_last(pad):
    """Return when nothing waits to be drawn."""
    while pad.waiting or pad.due:
        await asyncio.sleep(0.001)


@pytest.fixture(scope="module", autouse=True)
def drawings_once():
    """The 40 preprocessed drawings are made once for each way, not once for each pad: that takes most of its time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(digit_widgets, "drawn_digits", functools.cache(drawn_digits))
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


# ---------------------------------------------------------------- the pad: drawing


def test_an_empty_pad_invites_to_draw(pad):
    assert words_of(pad) == INVITATION and problem_of(pad) == ""
    assert pad.strokes == [] and pad.photo is None and pad.controls["example"].value == ""
    assert shown_stages(pad.still()) == {} and bars_of(pad.still()) == [0] * 10


def test_the_picture_of_an_empty_pad_is_white_paper(pad):
    assert pad.picture_now.shape == (280, 280) and pad.picture_now.dtype == np.float32
    assert (pad.picture_now == 1).all()


def test_strokes_are_kept_point_by_point(pad):
    assert drawn(pad, SEVEN, BAR).strokes == [SEVEN, BAR]


def test_picture_and_words_follow_every_point(pad):
    seen = [state_of(pad)[-2:]]
    pad.pen_goes_down(*SEVEN[0])
    seen.append(state_of(pad)[-2:])
    for point in SEVEN[1:]:
        pad.pen_moves(*point)
        seen.append(state_of(pad)[-2:])
    pictures, words = zip(*seen)
    assert len(set(pictures)) == len(set(words)) == 4


@pytest.mark.parametrize("lifted", [False, True])
def test_moving_without_the_pen_down_does_nothing(pad, lifted):
    if lifted:
        drawn(pad, SEVEN)
    before, strokes = state_of(pad), copy.deepcopy(pad.strokes)
    pad.pen_moves(10, 10)
    pad.pen_goes_up(20, 20)
    pad.pen_moves(30, 30)
    assert state_of(pad) == before and pad.strokes == strokes


def test_the_picture_now_is_what_was_drawn(pad):
    np.testing.assert_array_equal(drawn(pad, SEVEN, BAR).picture_now, draw_strokes([SEVEN, BAR]))


@pytest.mark.parametrize("strokes", [[SEVEN], [ONE], [SEVEN, BAR]])
def test_the_words_give_the_two_highest_probabilities_of_the_picture_now(pad, network, strokes):
    probabilities = probabilities_of(network, preprocess_digit(drawn(pad, *strokes).picture_now))
    assert words_of(pad).startswith(reading_words(probabilities))
    assert bars_of(pad.still()) == pytest.approx(probabilities.tolist(), abs=1e-6)


def test_a_mere_dot_gets_no_answer_but_the_reason(pad):
    assert words_of(drawn(pad, DOT)) == "No answer: this is only a dot or a spot. Draw a digit with lines."
    assert problem_of(pad) == ""
    assert list(shown_stages(pad.still())) == ["picture"] and bars_of(pad.still()) == [0] * 10


def test_two_digits_side_by_side_get_no_answer_but_the_reason(pad):
    words = words_of(drawn(pad, [(60, 60), (60, 220)], [(200, 60), (200, 220)]))
    assert words.startswith("No answer: there are 2 parts side by side.")


def test_the_brush_changes_the_picture_and_keeps_the_strokes(pad):
    drawn(pad, SEVEN)
    ink = []
    for width in (8, 20, 40):
        before = pad.text.value
        moved(pad, brush=width)
        np.testing.assert_array_equal(pad.picture_now, draw_strokes([SEVEN], width))
        ink.append((pad.picture_now < 0.5).sum())
        assert pad.strokes == [SEVEN] and (width == 20 or pad.text.value != before)
    assert ink == sorted(set(ink))


# ---------------------------------------------------------------- the pad: examples


def test_every_example_can_be_chosen(pad, network):
    assert [value for _, value in pad.controls["example"].options] == ["", *DRAWINGS]
    for name, strokes in DRAWINGS.items():
        moved(pad, example=name)
        picture = draw_strokes(strokes)
        assert np.array_equal(pad.picture_now, picture), name
        assert words_of(pad).startswith(reading_words(probabilities_of(network, preprocess_digit(picture)))), name
        assert problem_of(pad) == "", name


def test_an_example_leaves_the_own_drawing_as_it_is(pad):
    own = state_of(drawn(pad, SEVEN))
    assert state_of(moved(pad, example="3, wide")) != own and pad.strokes == [SEVEN]
    assert state_of(moved(pad, example="")) == own


def test_drawing_on_top_of_an_example_makes_it_the_own_drawing(pad):
    drawn(moved(drawn(pad, SEVEN), example="1, slanted"), BAR)
    assert pad.controls["example"].value == ""
    assert pad.strokes == [*DRAWINGS["1, slanted"], BAR]
    np.testing.assert_array_equal(pad.picture_now, draw_strokes([*DRAWINGS["1, slanted"], BAR]))


def test_the_stored_examples_stay_unchanged(pad):
    for name in ("1, slanted", "3, wide"):
        drawn(moved(pad, example=name), BAR, ONE)
        pad.undo()
        pad.pen_goes_down(*ONE[0])
        pad.pen_moves(*ONE[1])
        pad.clear()
    assert pad.examples == DRAWINGS == load_drawings()


def test_drawing_on_top_of_an_example_keeps_it_where_a_photo_was_uploaded_before(pad):
    """The photo is not what the reader draws on."""
    upload(pad, "seven.png", png_of(draw_strokes([SEVEN])))
    drawn(moved(pad, example="1, slanted"), BAR)
    assert pad.strokes == [*DRAWINGS["1, slanted"], BAR] and pad.photo is None


# ---------------------------------------------------------------- the pad: the steps


@pytest.mark.parametrize("step", STEPS)
def test_a_switch_leaves_its_step_out(looked_at, network, step):
    picture = draw_strokes(DRAWINGS["3, wide"])
    still, whole = [looked_at.still(example="3, wide", **{step: on}) for on in (False, True)]
    assert f"Left out: {SWITCHES[step]}." in still.words and "Left out" not in whole.words
    stages, order = shown_stages(still), ["picture", *STEPS]
    if step == "scale":
        expected = scale_to_fit(stages["crop"], 28)
    elif step == "center":
        expected = center_by_box(stages["scale"])
    else:
        expected = stages[order[order.index(step) - 1]]
    np.testing.assert_array_equal(stages[step], expected)
    for name, stage in preprocessing_stages(picture, [step]).items():
        np.testing.assert_array_equal(stages[name], stage, err_msg=name)
    assert still.words.startswith(reading_words(probabilities_of(network, preprocess_digit(picture, [step]))))


def test_the_switches_are_named_after_their_steps(looked_at):
    assert {step: looked_at.controls[step].description for step in STEPS} == SWITCHES


@pytest.mark.parametrize("step", ["invert", "crop", "center"])
def test_picture_and_words_follow_a_switch(pad, step):
    """These three show in every drawing; cleaning a drawing and scaling need not."""
    before = state_of(moved(pad, example="1, small"))
    after = state_of(moved(pad, **{step: False}))
    assert after[-2] != before[-2] and after[-1] != before[-1]
    assert state_of(moved(pad, **{step: True})) == before


def test_several_steps_left_out_are_named_in_their_order(looked_at):
    still = looked_at.still(example="3, wide", center=False, clean=False)
    assert "Left out: clean, centre by mass." in still.words
    assert np.array_equal(shown_stages(still)["clean"], shown_stages(still)["invert"])


@pytest.mark.parametrize("left_out", [(), ("center",), ("invert",), ("crop", "scale")])
def test_the_words_count_the_example_drawings_that_are_read_rightly(looked_at, network, left_out):
    right = of = 0
    for name, strokes in DRAWINGS.items():
        if name[0] in "0123456789":
            of += 1
            answer = probabilities_of(network, preprocess_digit(draw_strokes(strokes), left_out)).argmax()
            right += int(answer) == int(name[0])
    assert of == 40
    words = looked_at.still(example="A, a letter", **dict.fromkeys(left_out, False)).words
    assert words.endswith(f"With these steps it reads {right} of the {of} example drawings of digits rightly.")


# ---------------------------------------------------------------- the pad: undo and clear


def test_undo_without_a_history_does_nothing(pad):
    before = state_of(pad)
    pad.undo()
    assert state_of(pad) == before and pad.strokes == []


def test_undo_takes_back_stroke_by_stroke(pad):
    drawn(pad, SEVEN, BAR, ONE)
    seen = []
    for _ in range(4):
        pad.undo()
        seen.append(copy.deepcopy(pad.strokes))
    assert seen == [[SEVEN, BAR], [SEVEN], [], []] and words_of(pad) == INVITATION


ACTIONS = {
    "stroke": lambda pad: drawn(pad, BAR),
    "clear": lambda pad: pad.clear(),
    "upload": lambda pad: upload(pad, "three.png", png_of(draw_strokes(DRAWINGS["3, wide"]))),
    "example": lambda pad: moved(pad, example="4, wide"),
}


@pytest.mark.parametrize("second", ACTIONS)
@pytest.mark.parametrize("first", ACTIONS)
def test_undo_never_loses_the_own_drawing(pad, first, second):
    """After any two actions it comes back, at the latest by the second undo, and one more brings nothing else."""
    before = drawing_of(drawn(pad, SEVEN)), pad.picture.value, pad.text.value
    ACTIONS[first](pad)
    ACTIONS[second](pad)
    for _ in range(2):
        pad.undo()
        if (drawing_of(pad), pad.picture.value, pad.text.value) == before:
            break
    assert (drawing_of(pad), pad.picture.value, pad.text.value) == before
    pad.undo()
    assert pad.strokes == [] and pad.photo is None


@pytest.mark.parametrize("action", ACTIONS)
def test_undo_takes_back_one_action(pad, action):
    drawn(pad, SEVEN, ONE)
    before = drawing_of(pad), pad.picture.value, pad.text.value
    ACTIONS[action](pad)
    assert drawing_of(pad) != before[0]
    pad.undo()
    assert (drawing_of(pad), pad.picture.value, pad.text.value) == before


@pytest.mark.parametrize("action", ["stroke", "clear", "example"])
def test_undo_brings_a_photo_back(pad, action):
    upload(pad, "seven.png", png_of(draw_strokes([SEVEN])))
    before = drawing_of(pad), pad.picture.value, pad.text.value
    ACTIONS[action](pad)
    assert drawing_of(pad) != before[0]
    pad.undo()
    assert (drawing_of(pad), pad.picture.value, pad.text.value) == before


def test_clear_leaves_white_paper_and_the_settings(pad):
    drawn(moved(pad, brush=12, center=False), SEVEN)
    pad.clear()
    assert words_of(pad) == INVITATION and (pad.picture_now == 1).all()
    assert pad.values["brush"] == 12 and pad.values["center"] is False


def test_clear_empties_the_pad_of_an_example(pad):
    moved(pad, example="3, wide").clear()
    assert drawing_of(pad) == ("", [], None) and words_of(pad) == INVITATION


def test_the_buttons_undo_and_clear(pad):
    buttons = {button.description: button for button in pad.children[2].children[0].children[1].children}
    drawn(pad, SEVEN, BAR)
    buttons["Undo"].click()
    assert pad.strokes == [SEVEN]
    buttons["Clear"].click()
    assert pad.strokes == []
    buttons["Undo"].click()
    assert pad.strokes == [SEVEN]


@pytest.mark.parametrize("action", ["undo", "clear", "upload"])
def test_what_happens_while_the_pen_is_down_ends_the_stroke(pad, action):
    """With a finger on the canvas another can press a button, and an upload takes a while to arrive."""
    pad.pen_goes_down(*SEVEN[0])
    pad.pen_moves(*SEVEN[1])
    {**ACTIONS, "undo": lambda pad: pad.undo()}[action](pad)
    before = drawing_of(pad)
    pad.pen_moves(*SEVEN[2])
    pad.pen_goes_up(*SEVEN[2])
    assert drawing_of(pad) == before


# ---------------------------------------------------------------- the pad: what it leaves alone


def test_the_pad_keeps_the_model_as_it_was(network):
    model = copy.deepcopy(network)
    pad = drawing_pad(model)
    with torch.no_grad():
        model.layers[1].weight.zero_()
    probabilities = probabilities_of(network, preprocess_digit(draw_strokes([SEVEN])))
    assert words_of(drawn(pad, SEVEN)).startswith(reading_words(probabilities))


def test_a_model_in_training_mode_is_read_without_dropout_and_stays_in_it(network):
    model = copy.deepcopy(network).train()
    pad = drawn(drawing_pad(model), SEVEN)
    probabilities = probabilities_of(network, preprocess_digit(draw_strokes([SEVEN])))
    assert words_of(pad).startswith(reading_words(probabilities))
    assert all(layer.training for layer in model.modules())
    for (name, mine), (_, before) in zip(model.state_dict().items(), network.state_dict().items()):
        assert torch.equal(mine, before), name


def test_the_pad_leaves_all_random_numbers_as_they_were(network):
    before = random_states()
    pad = drawn(drawing_pad(network), SEVEN)
    moved(pad, example="3, wide", crop=False).still()
    upload(pad, "seven.png", png_of(draw_strokes([SEVEN])))
    assert random_states() == before


def test_a_still_gives_the_words_and_leaves_the_pad_as_it_is(pad):
    drawn(pad, SEVEN)
    before = state_of(pad), drawing_of(pad)
    still = pad.still(example="3, wide", crop=False)
    assert "Left out: crop." in still.words and still.words == repr(still)
    assert (state_of(pad), drawing_of(pad)) == before
    assert words_of(moved(pad, example="3, wide", crop=False)) == still.words


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"digit": 3}, "no control 'digit', only example, brush, invert, clean, crop, scale, center"),
        ({"example": "11, wide"}, r"example must be one of .*, got '11, wide'"),
        ({"brush": 7}, "brush must be from 8 to 40, got 7"),
        ({"brush": 41}, "brush must be from 8 to 40, got 41"),
        ({"crop": "no"}, "crop must be True or False, got 'no'"),
    ],
)
def test_a_still_of_what_there_is_not_is_refused(looked_at, changes, message):
    with pytest.raises(ValueError, match=message):
        looked_at.still(**changes)


def test_an_error_is_shown_above_the_picture_and_goes_away(pad, monkeypatch):
    def fail(*_):
        raise ArithmeticError("no <ink> today")

    drawn(pad, SEVEN)
    *_, picture, words = state_of(pad)
    with monkeypatch.context() as patch:
        patch.setattr(digit_widgets, "preprocess_digit", fail)
        drawn(pad, BAR)
        assert "ArithmeticError: no <ink> today" in problem_of(pad) and "<ink>" not in pad.problem.value
        assert state_of(pad)[-2:] == (picture, words) and pad.strokes == [SEVEN, BAR]
    drawn(pad, ONE)
    assert problem_of(pad) == "" and state_of(pad)[-1] != words


def test_an_error_after_a_moved_switch_is_shown_and_goes_away(pad, monkeypatch):
    drawn(pad, SEVEN)
    with monkeypatch.context() as patch:
        patch.setattr(digit_widgets, "preprocess_digit", None)
        assert "TypeError" in problem_of(moved(pad, crop=False))
    assert problem_of(moved(pad, crop=True)) == ""


# ---------------------------------------------------------------- the pad: the quick picture


def frames_of(figure, shape, margin=2):
    """Where the frames of the axes are: a line of a few pixels along their edges."""
    frames = np.zeros(shape, dtype=bool)
    for ax in figure.axes:
        left, bottom, right, top = ax.get_window_extent().extents
        rows, columns = np.ogrid[: shape[0], : shape[1]]
        y, x = shape[0] - 0.5 - rows, columns + 0.5  # matplotlib counts from below
        inside = (left - margin < x) & (x < right + margin) & (bottom - margin < y) & (y < top + margin)
        well_inside = (left + margin < x) & (x < right - margin) & (bottom + margin < y) & (y < top - margin)
        frames |= inside & ~well_inside
    return frames


STATES = pytest.mark.parametrize(
    "state",
    [
        {"example": ""},
        {"example": "3, wide"},
        {"example": "1, slanted", "crop": False},
        {"example": "W, a letter"},
        {"example": "8, small", "invert": False, "scale": False},
        {"example": "0, in the middle", "center": False},
    ],
    ids=str,
)


@pytest.fixture(scope="module")
def certain(network):
    """A network that is nearly certain of its answers: its bars are high."""
    model = copy.deepcopy(network)
    with torch.no_grad():
        model.layers[-1].weight *= 20
        model.layers[-1].bias *= 20
    return model


@pytest.fixture(scope="module")
def certain_pad(certain):
    return drawing_pad(certain)


def quick_and_still(pad, state):
    """The pixels of the quick picture after others were shown, those of the still, and where the frames are."""
    pad.live.png(pad.read(**{**pad.values, "example": "2, small"}))
    values = {**pad.values, **state}
    still = pad.still(**state)
    slow = pixels_of(still._repr_png_())
    return pixels_of(pad.live.png(pad.read(**values))), slow, frames_of(still.figure, slow.shape[:2])


@STATES
def test_the_quick_picture_is_that_of_the_still_apart_from_the_frames(certain_pad, state):
    quick, slow, frames = quick_and_still(certain_pad, state)
    difference = np.abs(quick - slow).max(axis=2)[~frames]
    assert difference.max() <= 64 and (difference > 2).mean() < 0.001  # the grid may lie above the bars or below
    assert frames.mean() < 0.07


@STATES
def test_the_quick_picture_is_that_of_the_still(certain_pad, state):
    """Frames included; where they are drawn twice, their edges are a little darker."""
    quick, slow, _ = quick_and_still(certain_pad, state)
    assert quick.shape == slow.shape == (350, 760, 3)
    different = np.argwhere(np.abs(quick - slow).max(axis=2) > 32)
    assert len(different) == 0, f"{len(different)} pixels differ, from {different[0]} to {different[-1]}"


def test_the_quick_picture_is_that_of_the_still_for_a_picture_without_a_digit(pad):
    quick, slow, frames = quick_and_still(drawn(pad, DOT), {})
    assert np.abs(quick - slow).max(axis=2)[~frames].max() <= 2


def test_the_quick_picture_shows_nothing_of_the_last_one(pad):
    picture, readings = (
        LivePicture((7.6, 3.5)),
        [pad.read(**{**pad.values, "example": name}) for name in ("8, wide", "", "1, small", "8, wide")],
    )
    first, empty, other, again = [picture.png(reading) for reading in readings]
    assert first == again and len({first, empty, other}) == 3
    assert empty == LivePicture((7.6, 3.5)).png(readings[1])


def test_the_pad_shows_the_quick_picture(pad):
    drawn(pad, SEVEN)
    assert pad.picture.value == LivePicture((7.6, 3.5)).png(pad.read(**pad.values))
    assert pixels_of(pad.picture.value).shape == (350, 760, 3)


# ---------------------------------------------------------------- the pad: uploads


def png_of(picture, mode="L", format="png", **options):
    """The bytes of a file with this picture."""
    buffer = io.BytesIO()
    Image.fromarray(np.round(255 * picture).astype(np.uint8)).convert(mode).save(buffer, format, **options)
    return buffer.getvalue()


def upload(pad, name, content, wrap=memoryview):
    """What ipywidgets does when a file arrives."""
    pad.upload.value = (
        {
            "name": name,
            "type": "image/png",
            "size": len(content),
            "content": wrap(content),
            "last_modified": datetime.datetime.now(datetime.timezone.utc),
        },
    )
    return pad


def transparent_png(picture):
    """Ink on nothing."""
    ink = Image.fromarray(np.round(255 * (1 - picture)).astype(np.uint8))
    image = Image.new("RGBA", ink.size, (0, 0, 0, 0))
    image.putalpha(ink)
    buffer = io.BytesIO()
    image.save(buffer, "png")
    return buffer.getvalue()


@pytest.mark.parametrize("wrap", [memoryview, bytes])
@pytest.mark.parametrize("format", ["png", "jpeg"])
def test_a_good_photo_takes_the_place_of_the_drawing(pad, network, format, wrap):
    picture = draw_strokes(DRAWINGS["3, wide"])
    upload(drawn(pad, SEVEN), "three", png_of(picture, format=format), wrap)
    assert pad.strokes == [] and problem_of(pad) == ""
    assert np.abs(pad.photo.picture - picture).max() < (0.01 if format == "png" else 0.3)
    assert pad.picture_now is pad.photo.picture
    probabilities = probabilities_of(network, preprocess_digit(pad.photo.picture))
    assert words_of(pad).startswith(reading_words(probabilities))
    assert np.array_equal(shown_stages(pad.still())["picture"], pad.photo.picture)


def test_after_an_upload_there_is_nothing_left_of_the_file(pad):
    assert upload(pad, "seven.png", png_of(draw_strokes([SEVEN]))).upload.value == ()


def test_the_same_file_can_be_uploaded_again(pad):
    for _ in range(2):
        upload(drawn(pad, BAR), "seven.png", png_of(draw_strokes([SEVEN])))
        assert pad.strokes == [] and pad.photo is not None


def test_a_photo_takes_the_place_of_an_example(pad):
    upload(moved(pad, example="3, wide"), "seven.png", png_of(draw_strokes([SEVEN])))
    assert pad.controls["example"].value == "" and pad.strokes == []
    np.testing.assert_allclose(pad.picture_now, draw_strokes([SEVEN]), atol=0.01)


def test_a_photo_without_a_digit_is_shown_with_the_reason(pad):
    words = words_of(upload(pad, "paper.png", png_of(np.ones((100, 60)))))
    assert words == "No answer: there is no ink: all of it has nearly the same brightness."
    assert pad.photo is not None and problem_of(pad) == ""


def test_the_photos_note_is_in_the_words_as_long_as_it_is_shown(pad):
    note = "What is transparent counts as paper."
    upload(pad, "glass.png", transparent_png(draw_strokes([SEVEN])))
    assert pad.photo.note == note and note in words_of(pad) and note in pad.still().words
    assert note not in words_of(moved(pad, example="3, wide"))
    assert note in words_of(moved(pad, example=""))
    assert note not in words_of(drawn(pad, ONE))


def test_the_note_is_there_also_without_an_answer(pad):
    upload(pad, "dot.png", transparent_png(draw_strokes([DOT], 40)))
    assert re.fullmatch("No answer: .* dot .*\\. What is transparent counts as paper\\.", words_of(pad))


BAD_FILES = {
    "text": (b"This is a letter, not a picture.", "no picture that can be read here"),
    "truncated": (png_of(draw_strokes(DRAWINGS["3, wide"]))[:400], "damaged or not complete"),
    "tiny": (png_of(np.zeros((1, 1))), "1 × 1 pixels"),
    "empty": (b"", "no picture that can be read here"),
    "gif": (png_of(draw_strokes([SEVEN]), format="gif"), "no picture that can be read here"),
}


@pytest.mark.parametrize("content, message", BAD_FILES.values(), ids=BAD_FILES)
@pytest.mark.parametrize("before", ["stroke", "upload"])
def test_a_bad_file_leaves_everything_as_it_was_and_says_why(pad, content, message, before):
    ACTIONS[before](pad)
    drawing, (*_, picture, words) = drawing_of(pad), state_of(pad)
    upload(pad, "<b>x.png", content)
    assert drawing_of(pad) == drawing and state_of(pad)[-2:] == (picture, words)
    assert pad.upload.value == ()
    assert problem_of(pad).startswith("<b><b>x.png was not taken: ") and message in problem_of(pad)
    assert pad.problem.value.startswith("<b>&lt;b&gt;x.png was not taken: ")
    assert "Traceback" not in pad.problem.value and "Error" not in pad.problem.value


def test_the_sentence_about_a_bad_file_goes_with_the_next_stroke(pad):
    upload(pad, "x.png", b"")
    assert "x.png was not taken" in problem_of(pad)
    assert problem_of(drawn(pad, SEVEN)) == ""


def test_a_bad_file_is_nothing_to_undo(pad):
    upload(drawn(pad, SEVEN, BAR), "x.png", b"")
    pad.undo()
    assert pad.strokes == [SEVEN]


def test_drawing_on_a_photo_begins_a_new_drawing(pad):
    drawn(upload(pad, "seven.png", png_of(draw_strokes([SEVEN]))), ONE)
    assert pad.photo is None and pad.strokes == [ONE]


def test_an_upload_writes_nothing_to_the_disk(pad, tmp_path, monkeypatch):
    modes, open_file = [], builtins.open

    def recording(file, mode="r", *args, **options):
        modes.append(mode)
        return open_file(file, mode, *args, **options)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(builtins, "open", recording)
    monkeypatch.setattr(io, "open", recording)
    upload(pad, "seven.png", png_of(draw_strokes([SEVEN])))
    upload(pad, "x.png", b"")
    assert pad.photo is not None and list(tmp_path.iterdir()) == []
    assert [mode for mode in modes if set(mode) & set("wax+")] == []


# ---------------------------------------------------------------- the pad: mouse, pen and finger


def happens(pad, event, x=None, y=None):
    """The page reports that something happened on the canvas."""
    if event.startswith("touch"):
        content = {"event": event, "touches": [] if x is None else [{"x": x, "y": y}]}
    else:
        content = {"event": event, "x": x, "y": y}
    pad.canvas._handle_frontend_event(None, content, [])


@pytest.mark.parametrize("end", ["mouse_up", "mouse_out"])
def test_the_mouse_draws_between_down_and_up(pad, end):
    happens(pad, "mouse_move", 1, 1)
    happens(pad, "mouse_down", *SEVEN[0])
    happens(pad, "mouse_move", *SEVEN[1])
    happens(pad, "mouse_move", *SEVEN[2])
    happens(pad, end, 5, 5)
    happens(pad, "mouse_move", 7, 7)
    assert pad.strokes == [SEVEN] and words_of(pad).startswith("The network reads")


@pytest.mark.parametrize("end", ["touch_end", "touch_cancel"])
def test_a_finger_draws_from_its_start_to_its_end(pad, end):
    happens(pad, "touch_start", *SEVEN[0])
    happens(pad, "touch_move", *SEVEN[1])
    happens(pad, "touch_move", *SEVEN[2])
    happens(pad, end)
    happens(pad, "touch_move", 7, 7)
    assert pad.strokes == [SEVEN] and words_of(pad).startswith("The network reads")


@pytest.fixture
def commands(monkeypatch):
    """What the canvas in the page is told, in order: (command, its arguments)."""
    told = []
    for name in ("fill_rect", "fill_circle", "stroke_line", "stroke_lines", "put_image_data"):
        monkeypatch.setattr(Canvas, name, lambda self, *args, name=name: told.append((name, *args)))
    return told


def test_the_page_shows_the_stroke_while_it_is_drawn(pad, commands):
    drawn(pad, SEVEN)
    assert commands == [
        ("fill_circle", *SEVEN[0], 10),
        ("stroke_line", *SEVEN[0], *SEVEN[1]),
        ("stroke_line", *SEVEN[1], *SEVEN[2]),
    ]


WHITE = ("fill_rect", 0, 0, 280, 280)


def test_a_new_page_shows_what_was_drawn(pad, commands):
    drawn(moved(pad, brush=12), SEVEN, DOT)
    commands.clear()
    happens(pad, "client_ready")
    assert commands == [WHITE, ("fill_circle", *SEVEN[0], 6), ("stroke_lines", SEVEN), ("fill_circle", *DOT[0], 6)]
    assert pad.canvas.line_width == 12


def test_the_page_shows_the_example_and_then_the_own_drawing_again(pad, commands):
    drawn(pad, SEVEN)
    commands.clear()
    moved(pad, example="3, wide")
    assert commands[0] == WHITE and ("stroke_lines", DRAWINGS["3, wide"][0]) in commands
    commands.clear()
    moved(pad, example="")
    assert commands == [WHITE, ("fill_circle", *SEVEN[0], 10), ("stroke_lines", SEVEN)]


def test_the_page_shows_the_photo_until_a_stroke_takes_its_place(pad, commands):
    upload(pad, "seven.png", png_of(draw_strokes([SEVEN])))
    (name, data, *place) = commands[-1]
    assert (name, *place) == ("put_image_data", 0, 0) and data.shape == (280, 280, 3) and data.dtype == np.uint8
    assert np.abs(data[:, :, 0] - 255 * draw_strokes([SEVEN])).max() <= 1
    commands.clear()
    drawn(pad, ONE)
    assert commands == [WHITE, ("fill_circle", *ONE[0], 10), ("stroke_line", *ONE[0], *ONE[1])]


@pytest.mark.parametrize(
    "shape, rows, columns",
    [
        ((100, 50), slice(0, 280), slice(70, 210)),
        ((50, 100), slice(70, 210), slice(0, 280)),
        ((280, 8), slice(0, 280), slice(136, 144)),
    ],
)
def test_a_photo_stands_in_the_middle_of_the_square_with_white_around(shape, rows, columns):
    square = on_square(np.full(shape, 0.2, dtype=np.float32))
    assert square.shape == (280, 280, 3) and square.dtype == np.uint8
    assert np.abs(square[rows, columns].astype(int) - 51).max() <= 1
    square = square.copy()
    square[rows, columns] = 255
    assert (square == 255).all()


# ---------------------------------------------------------------- the pad: in an event loop


LONG = [(20 + 240 * step / 300, 140 + 60 * np.sin(step / 20)) for step in range(301)]


def watch(pad):
    """A list that gets an entry for each drawing of the picture: the thread, and how many points there are by then."""
    shown, show = [], pad.show

    def watched():
        points = sum(map(len, pad.strokes))
        show()
        shown.append((threading.get_ident(), points))

    pad.show = watched
    return shown


def test_a_whole_stroke_at_once_is_drawn_once(network):
    async def draw():
        pad = drawing_pad(network)
        shown = watch(pad)
        drawn(pad, LONG)
        assert shown == [] and words_of(pad) == INVITATION, "drawn before the pen had a chance to go on"
        await drawn_at_last(pad)
        return pad, shown

    pad, shown = play(draw())
    assert shown == [(threading.get_ident(), 301)] and pad.strokes == [LONG]


def test_many_movements_lead_to_few_drawings_and_the_last_state_is_drawn(network):
    async def draw():
        pad = drawing_pad(network)
        shown, began = watch(pad), pad.loop.time()
        pad.pen_goes_down(*LONG[0])
        for point in LONG[1:]:
            pad.pen_moves(*point)
            await asyncio.sleep(0)
        pad.pen_goes_up(*LONG[-1])
        await drawn_at_last(pad)
        return pad, shown, pad.loop.time() - began

    pad, shown, seconds = play(draw())
    assert 1 <= len(shown) <= min(seconds / REDRAW_AFTER + 1, 100)
    assert shown[-1][1] == 301 and pad.strokes == [LONG]
    assert words_of(pad) == pad.still().words
    assert pad.picture.value == LivePicture((7.6, 3.5)).png(pad.read(**pad.values))


def test_each_pause_of_the_pen_shows_what_there_is(network):
    async def draw():
        pad = drawing_pad(network)
        shown = watch(pad)
        pad.pen_goes_down(*LONG[0])
        for point in LONG[1:4]:
            pad.pen_moves(*point)
            await drawn_at_last(pad)
        return shown

    assert [points for _, points in play(draw())] == [2, 3, 4]


def test_a_pen_reported_by_another_thread_is_answered_in_the_loops_thread(network):
    def report(pad):
        happens(pad, "mouse_down", *LONG[0])
        for point in LONG[1:]:
            happens(pad, "mouse_move", *point)
        happens(pad, "mouse_up", *LONG[-1])

    async def draw():
        pad = drawing_pad(network)
        shown = watch(pad)
        in_another_thread(lambda: report(pad))
        assert shown == [] and words_of(pad) == INVITATION, "drawn in the other thread"
        await drawn_at_last(pad)
        return pad, shown

    pad, shown = play(draw())
    assert shown == [(threading.get_ident(), 301)] and pad.strokes == [LONG]
    assert words_of(pad) == pad.still().words


def test_no_point_is_lost_while_another_thread_draws_and_the_loop_shows(network):
    async def draw():
        pad = drawing_pad(network)
        shown, pause = watch(pad), threading.Event()

        def report():
            for stroke in (LONG, LONG[::-1]):
                happens(pad, "touch_start", *stroke[0])
                for point in stroke[1:]:
                    happens(pad, "touch_move", *point)
                    pause.wait(0.0005)
                happens(pad, "touch_end")

        await asyncio.to_thread(report)
        await drawn_at_last(pad)
        return pad, shown

    pad, shown = play(draw())
    assert pad.strokes == [LONG, LONG[::-1]]
    assert shown[-1][1] == 602 and {thread for thread, _ in shown} == {threading.get_ident()} and len(shown) < 300


def test_an_upload_and_a_stroke_on_an_example_from_another_thread_are_taken(network):
    async def act():
        pad = drawing_pad(network)
        shown = watch(pad)
        in_another_thread(lambda: moved(pad, example="1, slanted"))
        in_another_thread(lambda: drawn(pad, BAR))
        await drawn_at_last(pad)
        strokes = copy.deepcopy(pad.strokes)
        in_another_thread(lambda: upload(pad, "seven.png", png_of(draw_strokes([SEVEN]))))
        await asyncio.sleep(0.01)
        return pad, strokes, shown

    pad, strokes, shown = play(act())
    assert strokes == [*DRAWINGS["1, slanted"], BAR]
    assert pad.photo is not None and pad.strokes == [] and pad.upload.value == ()
    assert words_of(pad) == pad.still().words and {thread for thread, _ in shown} == {threading.get_ident()}


def test_an_error_in_the_loop_is_shown_and_goes_away(network, monkeypatch):
    async def draw():
        pad = drawing_pad(network)
        with monkeypatch.context() as patch:
            patch.setattr(digit_widgets, "preprocess_digit", None)
            drawn(pad, SEVEN)
            await drawn_at_last(pad)
            problem = problem_of(pad)
        drawn(pad, BAR)
        await drawn_at_last(pad)
        return problem, problem_of(pad), words_of(pad)

    problem, afterwards, words = play(draw())
    assert "TypeError" in problem and afterwards == "" and words.startswith("The network reads")


# ---------------------------------------------------------------- doubt_meter


@pytest.fixture(scope="module")
def pictures(sample):
    return {
        "a digit": sample.test.tensors[0][0],
        "another": sample.test.tensors[0][1],
        "a letter": preprocess_digit(draw_strokes(DRAWINGS["W, a letter"])),
    }


@pytest.fixture(scope="module")
def meter(network, pictures):
    """All tests share it: they look at its stills and move nothing."""
    return doubt_meter(network, pictures)


def passes_by_hand(network, image, rate):
    """100 passes with dropout on: (100, 10)."""
    model = copy.deepcopy(network).train()
    for layer in model.layers:
        if isinstance(layer, torch.nn.Dropout):
            layer.p = rate
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        return torch.cat([model(image[None]).softmax(dim=1) for _ in range(100)])


@pytest.mark.parametrize("picture", ["a digit", "another", "a letter"])
@pytest.mark.parametrize("rate", [0.2, 0.9])
def test_the_words_are_the_models_and_the_passes_numbers(meter, network, pictures, picture, rate):
    plain = probabilities_of(network, pictures[picture])
    passes = passes_by_hand(network, pictures[picture], rate)
    mean, answers = passes.mean(dim=0), passes.argmax(dim=1).tolist()
    words = meter.still(picture=picture, rate=rate).words
    beginning, said = words.split("answers: ")
    assert beginning == (
        f"Picture: {picture}. Plain softmax: {plain.argmax()} with probability {plain.max():.2f}. 100 passes with "
        f"dropout {rate}: mean probability {mean.max():.2f} for {mean.argmax()}; "
    )
    said = [(int(digit), int(times)) for times, digit in re.findall(r"(\d+) times (\d)", said)]
    counts = sorted((answers.count(digit) for digit in set(answers)), reverse=True)
    assert [times for _, times in said] == counts[:3]
    assert all(answers.count(digit) == times for digit, times in said)


def test_the_meters_bars_are_plain_and_mean_and_its_lines_the_middle_90_percent(meter, network, pictures):
    _, left, right = meter.still(picture="another", rate=0.5).figure.axes
    passes = passes_by_hand(network, pictures["another"], 0.5)
    plain = probabilities_of(network, pictures["another"])
    assert [bar.get_height() for bar in left.patches] == pytest.approx(plain.tolist(), abs=1e-6)
    assert [bar.get_height() for bar in right.patches] == pytest.approx(passes.mean(dim=0).tolist(), abs=1e-6)
    for line, numbers in zip(right.collections[0].get_segments(), np.sort(passes.numpy(), axis=0).T, strict=True):
        low, high = line[:, 1]
        assert (numbers < low - 1e-6).sum() <= 5 <= (numbers <= low + 1e-6).sum() + 1
        assert (numbers > high + 1e-6).sum() <= 5 <= (numbers >= high - 1e-6).sum() + 1


@pytest.mark.parametrize("picture", ["a digit", "a letter"])
def test_without_dropout_all_passes_give_the_plain_answer(meter, network, pictures, picture):
    plain = probabilities_of(network, pictures[picture])
    words = meter.still(picture=picture, rate=0).words
    assert f"mean probability {plain.max():.2f} for {plain.argmax()}; answers: 100 times {plain.argmax()}." in words


def test_the_same_state_gives_the_same_picture(meter, network, pictures):
    first, second = [meter.still(picture="another", rate=0.5) for _ in range(2)]
    assert first._repr_png_() == second._repr_png_() and first.words == second.words
    other = doubt_meter(network, pictures)
    torch.manual_seed(99)
    assert moved(other, picture="another", rate=0.5).text.value == html.escape(first.words)


def test_the_meter_leaves_the_random_numbers_as_they_were(network, pictures):
    before = random_states()
    moved(doubt_meter(network, pictures), rate=0.9).still()
    assert random_states() == before


def test_the_meter_keeps_the_model_as_it_was_and_leaves_it_alone(network, pictures):
    model = copy.deepcopy(network).train()
    rates = [layer.p for layer in model.modules() if isinstance(layer, torch.nn.Dropout)]
    meter = doubt_meter(model, pictures)
    before = moved(meter, rate=0.9).still().words
    assert all(layer.training for layer in model.modules())
    assert [layer.p for layer in model.modules() if isinstance(layer, torch.nn.Dropout)] == rates
    with torch.no_grad():
        model.layers[1].weight.zero_()
    assert meter.still().words == before


def test_picture_and_words_follow_the_meters_controls(network, pictures):
    meter = doubt_meter(network, pictures)
    seen = {
        state_of(moved(meter, **change))[-2:]
        for change in ({"rate": 0.2}, {"rate": 0.9}, {"picture": "a letter"}, {"rate": 0})
    }
    assert len({picture for picture, _ in seen}) == len({words for _, words in seen}) == 4 and problem_of(meter) == ""


def test_no_image_is_nothing_to_doubt(network):
    with pytest.raises(ValueError, match="at least one image"):
        doubt_meter(network, {})


# ---------------------------------------------------------------- change_explorer


@pytest.fixture(scope="module")
def changes(network, sample):
    """All tests share it: they look at its stills and move nothing."""
    return change_explorer(network, sample.test)


def bars_in(figure):
    """The bars of the picture that is titled with the accuracy."""
    return next(ax for ax in figure.axes if ax.get_title().startswith("accuracy")).patches


def accuracies_of(words):
    """Accuracy changed and unchanged, as the words give them."""
    return re.search(r"accuracy ([\d.]+%), unchanged ([\d.]+%)", words).groups()


@pytest.mark.parametrize(
    "change",
    [
        {"right": 3, "down": -2, "angle": 0, "scale": 1.0},
        {"right": 0, "down": 0, "angle": 45, "scale": 0.8},
        {"right": -8, "down": 8, "angle": -90, "scale": 1.5},
    ],
)
def test_the_accuracy_in_the_words_is_that_of_the_changed_images(changes, network, sample, change):
    images, labels = sample.test.tensors
    expected = predict(network, TensorDataset(change_images(images, **change), labels))
    still = changes.still(**change)
    assert accuracies_of(still.words)[0] == f"{expected.accuracy:.2%}"
    assert ", ".join(f"{name} {value:g}" for name, value in change.items()) in still.words
    bars = [bar.get_height() for bar in bars_in(still.figure)]
    assert bars == pytest.approx([expected[labels == digit].accuracy for digit in range(10)])
    assert bars[int(re.search(r"Lowest for the digit (\d)\.", still.words)[1])] == min(bars)


def test_a_shift_to_the_right_and_down_is_one_to_the_right_and_down(changes, network, sample):
    images, labels = sample.test.tensors
    shifted = torch.zeros_like(images)
    shifted[:, :, 3:, 2:] = images[:, :, :-3, :-2]
    still = changes.still(right=2, down=3)
    assert accuracies_of(still.words)[0] == f"{(network(shifted).argmax(dim=1) == labels).double().mean():.2%}"
    for digit in range(10):
        first = shifted[(labels == digit).nonzero()[0, 0], 0]
        shown = [ax for ax in still.figure.axes if ax.images][digit].images[0].get_array()
        np.testing.assert_allclose(shown, first, atol=1e-5)


def test_unchanged_images_have_the_plain_accuracy(changes, network, sample):
    images, labels = sample.test.tensors
    plain = f"{(network(images).argmax(dim=1) == labels).double().mean():.2%}"
    assert accuracies_of(words_of(changes)) == (plain, plain)
    assert "All 1,000 images changed by right 0, down 0, angle 0, scale 1:" in words_of(changes)


def test_the_gallery_says_true_and_predicted_label(changes, network, sample):
    images, labels = sample.test.tensors
    turned = change_images(images, angle=60)
    titles = [ax.get_title() for ax in changes.still(angle=60).figure.axes if ax.images]
    for digit in range(10):
        row = int((labels == digit).nonzero()[0, 0])
        answer = int(network(turned[row : row + 1]).argmax())
        assert titles[digit] == f"{'✗ ' * (answer != digit)}T: {digit}  P: {answer}"


def test_the_sliders_ends_work_and_the_unchanged_accuracy_stays(network, sample):
    lab = change_explorer(network, TensorDataset(*sample.test[:200]))
    unchanged = accuracies_of(words_of(lab))[1]
    for name, control in lab.controls.items():
        for value in (control.min, control.max):
            moved(lab, **{name: value})
            assert problem_of(lab) == "" and f"{name} {value:g}" in words_of(lab)
            assert accuracies_of(words_of(lab))[1] == unchanged


def test_the_changes_work_for_few_classes(network, sample):
    dataset = of_classes(sample.test, 3, 8)
    lab = change_explorer(network, dataset)
    expected = predict(network, TensorDataset(change_images(dataset.tensors[0], right=4), dataset.tensors[1]))
    still = moved(lab, right=4).still()
    assert problem_of(lab) == "" and accuracies_of(still.words)[0] == f"{expected.accuracy:.2%}"
    titles = [ax.get_title() for ax in still.figure.axes if ax.images and ax.get_visible()]
    assert [re.search(r"T: (\d)", title)[1] for title in titles] == ["3", "8"]
    assert sum(ax.get_visible() for ax in still.figure.axes) == 3
    assert [bar.get_x() + bar.get_width() / 2 for bar in bars_in(still.figure)] == pytest.approx([3, 8])


def test_the_changes_leave_images_and_model_as_they_were(network, sample):
    images, labels = (tensor.clone() for tensor in sample.test.tensors)
    model = copy.deepcopy(network).train()
    moved(change_explorer(model, sample.test), right=5, angle=90, scale=0.5)
    assert torch.equal(sample.test.tensors[0], images) and torch.equal(sample.test.tensors[1], labels)
    assert all(layer.training for layer in model.modules())


EMPTY = TensorDataset(torch.zeros(0, 1, 28, 28), torch.zeros(0, dtype=torch.int64))


def test_an_empty_dataset_has_nothing_to_change(network):
    with pytest.raises(ValueError, match="dataset is empty"):
        change_explorer(network, EMPTY)


# ---------------------------------------------------------------- repair_lab

SETS = ["validation", "validation, shifted by up to 4", "example drawings, not centred"]


@pytest.fixture(scope="module")
def repaired(small):
    """A lab after one run of full length, and what could be seen meanwhile. All tests share it."""
    words, before = [], random_states()
    lab = repair_lab(small)
    lab.text.observe(lambda change: words.append(html.unescape(change.new)), "value")
    play(lab.train(shift=2))
    return SimpleNamespace(lab=lab, words=words, random_states=(before, random_states()))


@pytest.fixture
def lab(small, monkeypatch):
    """A lab whose runs take 2 epochs, and which has not trained yet."""
    monkeypatch.setattr(RepairLab, "EPOCHS", 2)
    return repair_lab(small)


async def first_epoch(lab, shift):
    """Return when the first epoch with this shift has ended."""
    while not lab.runs.get(shift, {"validation": []})["validation"]:
        await asyncio.sleep(0)


def test_a_run_of_the_repair_has_a_point_an_epoch_for_each_set(repaired):
    assert list(repaired.lab.runs) == [2] and list(repaired.lab.runs[2]) == SETS
    assert RepairLab.EPOCHS == 10
    for name, curve in repaired.lab.runs[2].items():
        assert len(curve) == 10 and all(0 <= accuracy <= 1 for accuracy in curve), name
    assert problem_of(repaired.lab) == "" and not repaired.lab.running and repaired.lab.stop_button.disabled


def test_the_words_follow_the_epochs_and_end_with_the_last_accuracies(repaired):
    ends = ", ".join(f"{name} {curve[-1]:.1%}" for name, curve in repaired.lab.runs[2].items())
    assert words_of(repaired.lab) == f"300 training images, shifts up to 2 pixels, epoch 10 of 10. Accuracy: {ends}."
    epochs = [int(found[1]) for words in repaired.words if (found := re.search(r"epoch (\d+) of 10", words))]
    assert epochs == list(range(1, 11))


def test_a_repair_leaves_all_random_numbers_as_they_were(repaired):
    before, after = repaired.random_states
    assert after == before


@pytest.mark.parametrize("shift", [0, 2])
def test_the_first_epoch_is_that_of_a_training_by_hand(lab, small, shift):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = MNISTNet(dropout=0.2)
        optimizer = torch.optim.Adam(model.parameters(), lr=0.001, weight_decay=1e-4, fused=True)
        loader = make_loader(
            Shifted(small.train, shift) if shift else small.train,
            32,
            shuffle=True,
            generator=torch.Generator().manual_seed(0),
        )
        for images, labels in loader:
            train_step(model, images, labels, optimizer)
        model.eval()
        validation = evaluate(model, [small.valid[:]]).accuracy
        drawings = evaluate(model, [drawn_digits(["center"])[:]]).accuracy
    play(lab.train(shift=shift))
    assert lab.runs[shift]["validation"][0] == pytest.approx(validation, abs=1e-9)
    assert lab.runs[shift]["example drawings, not centred"][0] == pytest.approx(drawings, abs=1e-9)


def test_no_step_of_the_repair_touches_the_random_numbers_outside(lab):
    before, steps = random_states(), 0
    for _ in lab.pieces():
        assert random_states() == before
        steps += 1
    assert steps == 1 + 2 * 10 and random_states() == before


def test_random_numbers_drawn_between_the_steps_do_not_change_the_repair(lab, small):
    for _ in lab.pieces():
        torch.rand(7)
    other = repair_lab(small)
    play(other.train(shift=4))
    assert other.runs == lab.runs


def test_the_same_shift_trained_twice_gives_the_same_curves(lab):
    play(lab.train(shift=3))
    first = copy.deepcopy(lab.runs)
    play(lab.train())
    assert lab.runs == first and len(lab.runs[3]["validation"]) == 2


def test_the_sets_are_1000_validation_images_plain_and_shifted_and_the_drawings(repaired, small):
    plain, shifted, drawings = [repaired.lab.sets[name].tensors for name in SETS]
    assert torch.equal(plain[0], small.valid.tensors[0][:1000]) and torch.equal(plain[1], shifted[1])
    for before, after in zip(plain[0][:20, 0], shifted[0][:20, 0]):
        around = torch.nn.functional.pad(before, (4, 4, 4, 4))
        assert any(
            torch.equal(around[top : top + 28, left : left + 28], after) for top in range(9) for left in range(9)
        )
    assert not torch.equal(plain[0], shifted[0])
    assert torch.equal(drawings[0], drawn_digits(["center"]).tensors[0]) and len(drawings[1]) == 40
    assert torch.equal(repair_lab(small).sets[SETS[1]].tensors[0], shifted[0]), "another lab has another set"


def test_before_any_run_the_words_ask_for_one(lab):
    assert words_of(lab) == "Not trained yet with shifts up to 4 pixels: press Train."
    assert words_of(moved(lab, shift=6)) == "Not trained yet with shifts up to 6 pixels: press Train."
    assert lab.runs == {} and lab.still()._repr_png_()


def test_runs_of_several_shifts_are_kept_and_drawn(lab):
    for shift in (5, 0):
        play(lab.train(shift=shift))
    runs = copy.deepcopy(lab.runs)
    assert sorted(runs) == [0, 5]
    over_epochs, over_shifts = moved(lab, shift=5).still().figure.axes
    assert lab.runs == runs and "shifts up to 5 pixels, epoch 2 of 2" in words_of(lab)
    for name, line, dots in zip(SETS, over_epochs.lines, over_shifts.lines, strict=True):
        assert list(line.get_xdata()) == [1, 2] and list(line.get_ydata()) == runs[5][name]
        assert list(dots.get_xdata()) == [0, 5] and list(dots.get_ydata()) == [runs[0][name][-1], runs[5][name][-1]]
        assert line.get_label() == dots.get_label() == name
    assert "Not trained yet with shifts up to 1 pixels" in words_of(moved(lab, shift=1))


def test_stop_ends_the_repair_and_keeps_the_finished_epochs(small):
    async def stop():
        lab = repair_lab(small)
        lab.start_button.click()
        await first_epoch(lab, 4)
        enabled = not lab.stop_button.disabled
        lab.stop_button.click()
        kept = copy.deepcopy(lab.runs)
        await asyncio.sleep(0.2)
        return lab, enabled, kept

    lab, enabled, kept = play(stop())
    epochs = len(kept[4]["validation"])
    assert enabled and not lab.running and lab.stop_button.disabled
    assert 1 <= epochs < 10 and lab.runs == kept
    assert f"epoch {epochs} of 10" in lab.still().words and f"epoch {epochs} of 10" in words_of(lab)


def test_moving_the_slider_ends_the_repair_under_way(small):
    async def move():
        lab = repair_lab(small)
        waiting = asyncio.create_task(lab.train(shift=1))
        await first_epoch(lab, 1)
        moved(lab, shift=2)
        running = lab.running
        await waiting
        return lab, running

    lab, running = play(move())
    assert not running and list(lab.runs) == [1] and 1 <= len(lab.runs[1]["validation"]) < 10
    assert words_of(lab) == "Not trained yet with shifts up to 2 pixels: press Train."
    assert lab.stop_button.disabled and problem_of(lab) == ""


def test_a_repair_can_follow_one_that_was_stopped(lab):
    async def stop_and_start():
        lab.start_button.click()
        await first_epoch(lab, 4)
        lab.stop_button.click()
        await lab.train()

    play(stop_and_start())
    assert len(lab.runs[4]["validation"]) == 2 and "epoch 2 of 2" in words_of(lab)


def test_a_repair_outside_a_notebook_says_what_is_missing(lab):
    lab.start_button.click()
    assert "training live needs a notebook" in problem_of(lab) and lab.runs == {}


def test_an_error_during_a_repair_is_shown(lab, monkeypatch):
    monkeypatch.setattr(training, "train_step", None)
    with pytest.raises(TypeError):
        play(lab.train())
    assert "TypeError" in problem_of(lab) and not lab.running and lab.stop_button.disabled


@pytest.mark.parametrize("size", [1, 33])
def test_few_training_images_are_enough(small, monkeypatch, size):
    monkeypatch.setattr(RepairLab, "EPOCHS", 2)
    lab = repair_lab(small.with_train_size(size))
    play(lab.train(shift=6))
    assert problem_of(lab) == "" and words_of(lab).startswith(f"{size} training images, shifts up to 6 pixels, epoch 2")


def test_at_most_3000_training_images_are_taken(sample, monkeypatch):
    assert RepairLab.IMAGES == 3000 and len(repair_lab(sample).data.train) == 3000
    monkeypatch.setattr(RepairLab, "IMAGES", 50)
    assert torch.equal(repair_lab(sample).data.train.tensors[0], sample.train.tensors[0][:50])


@pytest.mark.parametrize(
    "settings, message",
    [({"shift": 7}, "shift must be from 0 to 6, got 7"), ({"angle": 3}, "no control 'angle', only shift")],
)
def test_shifts_there_are_not_are_refused(lab, settings, message):
    with pytest.raises(ValueError, match=message):
        play(lab.train(**settings))
    assert not lab.running and lab.runs == {}


# ---------------------------------------------------------------- flip_explorer


@pytest.fixture(scope="module")
def firsts(network, sample):
    """The first image of each class that the network reads rightly, by class."""
    images, labels = sample.test.tensors
    right = network(images).argmax(dim=1) == labels
    return {digit: images[right & (labels == digit)][0] for digit in range(10) if (right & (labels == digit)).any()}


@pytest.fixture(scope="module")
def paths(network, firsts):
    """30 steps by hand, by class."""
    return {digit: adversarial_steps(network, image, torch.tensor(digit), 30, 0.01) for digit, image in firsts.items()}


@pytest.fixture(scope="module")
def flips(network, sample):
    """All tests share it: they look at its stills and move nothing."""
    return flip_explorer(network, sample.test)


def flip_words(network, path, digit, steps, size):
    """The words, from the path by hand."""
    probabilities = [probabilities_of(network, each) for each in path]
    answers = [int(each.argmax()) for each in probabilities]
    flip = next((step for step, answer in enumerate(answers) if answer != digit), None)
    return (
        f"Digit {digit} after {steps} steps: no pixel has changed by more than {steps * size:.2f} of 1. Answer "
        f"{answers[steps]} with probability {probabilities[steps].max():.2f}. It "
        f"{'does not flip within 30 steps' if flip is None else f'flips at step {flip}'}."
    )


def test_the_flips_offer_the_digits_that_are_read_rightly(flips, firsts):
    assert list(flips.controls["digit"].options) == sorted(firsts) and len(firsts) >= 5


def test_before_the_first_step_there_is_the_image_itself_and_it_is_read_rightly(flips, firsts):
    for digit, image in firsts.items():
        still = flips.still(digit=digit, steps=0)
        before, change, after, _ = still.figure.axes
        np.testing.assert_array_equal(before.images[0].get_array(), image[0])
        np.testing.assert_array_equal(after.images[0].get_array(), image[0])
        assert not np.asarray(change.images[0].get_array()).any()
        assert f"Digit {digit} after 0 steps: no pixel has changed by more than 0.00 of 1." in still.words
        assert f"Answer {digit} " in still.words


@pytest.mark.parametrize("steps", [0, 3, 30])
def test_the_words_name_answer_and_step_of_the_flip(flips, network, paths, steps):
    seen = set()
    for digit, path in paths.items():
        words = flips.still(digit=digit, steps=steps).words
        assert words == flip_words(network, path, digit, steps, 0.01)
        seen.add(words.split("It ")[1])
    assert len(seen) > 1


def test_the_answer_is_the_digit_before_the_named_step_and_another_from_it_on(flips, firsts):
    found = [(digit, re.search(r"flips at step (\d+)", flips.still(digit=digit).words)) for digit in firsts]
    flipping = [(digit, int(match[1])) for digit, match in found if match]
    assert len(flipping) >= 2
    for digit, step in flipping[:3]:
        before, at = [flips.still(digit=digit, steps=steps) for steps in (step - 1, step)]
        assert f"Answer {digit} " in before.words and f"Answer {digit} " not in at.words
        assert before.figure.axes[-1].get_title() == f"answer {digit}"
        assert at.figure.axes[-1].get_title().startswith("✗ answer ")


def test_the_pictures_are_image_change_and_their_sum(flips, network, paths):
    digit, path = next(iter(paths.items()))
    first, change, both, bars = flips.still(digit=digit, steps=7).figure.axes
    first, change, both = [np.asarray(ax.images[0].get_array()) for ax in (first, change, both)]
    np.testing.assert_allclose(both, path[7, 0], atol=1e-6)
    np.testing.assert_allclose(first + change, both, atol=1e-6)
    assert 0.069 < np.abs(change).max() < 0.0701
    assert [bar.get_height() for bar in bars.patches] == pytest.approx(
        probabilities_of(network, path[7]).tolist(), abs=1e-5
    )


def test_a_digit_that_does_not_flip_is_called_so(network, sample, firsts):
    lab = flip_explorer(network, sample.test, size=1e-6)
    for digit, image in list(firsts.items())[:2]:
        path = adversarial_steps(network, image, torch.tensor(digit), 30, 1e-6)
        words = lab.still(digit=digit, steps=30).words
        assert words == flip_words(network, path, digit, 30, 1e-6) and "It does not flip within 30 steps." in words


def test_larger_steps_are_larger(network, sample):
    still = flip_explorer(network, sample.test, size=0.05).still(steps=4)
    change = np.asarray(still.figure.axes[1].images[0].get_array())
    assert "more than 0.20 of 1" in still.words and 0.19 < np.abs(change).max() < 0.2001


def test_the_path_of_a_digit_is_computed_once(network, sample, monkeypatch):
    digits = []

    def counted(model, image, label, *args):
        digits.append(int(label))
        return adversarial_steps(model, image, label, *args)

    monkeypatch.setattr(digit_widgets, "adversarial_steps", counted)
    lab = flip_explorer(network, sample.test)
    first, second = lab.controls["digit"].options[:2]
    for values in ({"steps": 5}, {"digit": second}, {"steps": 30}, {"digit": first}, {"steps": 0}):
        moved(lab, **values)
    assert digits == [first, second] and problem_of(lab) == ""


def test_flips_of_a_single_class_work(network, sample, paths):
    digit, path = next(iter(paths.items()))
    lab = moved(flip_explorer(network, of_classes(sample.test, digit)), steps=30)
    assert words_of(lab) == flip_words(network, path, digit, 30, 0.01) and problem_of(lab) == ""


def test_the_flips_leave_images_and_model_as_they_were(network, sample):
    images, model = sample.test.tensors[0].clone(), copy.deepcopy(network).train()
    lab = moved(flip_explorer(model, sample.test), steps=30)
    words = words_of(lab)
    assert torch.equal(sample.test.tensors[0], images)
    assert all(layer.training for layer in model.modules())
    assert all(parameter.grad is None for parameter in model.parameters())
    with torch.no_grad():
        model.layers[1].weight.zero_()
    assert lab.still().words == words


def test_without_an_image_that_is_read_rightly_no_answer_can_flip(network, sample):
    images = sample.test.tensors[0][:50]
    wrong = (network(images).argmax(dim=1) + 1) % 10
    with pytest.raises(ValueError, match="reads none of these images rightly"):
        flip_explorer(network, TensorDataset(images, wrong))


def test_a_changed_model_does_not_change_the_panel(small):
    """The panel has a copy, as its siblings have."""
    set_seed(0)
    model = MNISTNet()
    panel = change_explorer(model, small.test)
    before = panel.still(right=1).words
    for parameter in model.parameters():
        parameter.data.zero_()
    assert panel.still(right=1).words == before


def test_the_strokes_change_in_one_thread_only(network):
    """Pen events come in another thread than a click on Undo; the strokes are left alone there."""

    async def draw():
        pad = drawing_pad(network)
        in_another_thread(lambda: happens(pad, "mouse_down", 100.0, 100.0))
        assert pad.strokes == []
        await drawn_at_last(pad)
        return pad.strokes

    assert play(draw()) == [[(100.0, 100.0)]]
