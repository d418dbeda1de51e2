"""Drawings that the user keeps."""

import numpy as np
import pytest
import torch
from PIL import Image

from mnist_helpers.labs.kept_drawings import drawings_folder, keep_drawing, kept_drawings
from mnist_helpers.labs.own_digits import NoDigitError, draw_strokes, load_drawings, preprocess_digit

THREE, SEVEN = (draw_strokes(load_drawings()[name]) for name in ("3, small", "7, wide"))


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_what_is_kept_comes_back_as_a_test_set(tmp_path):
    paths = [keep_drawing(picture, digit, tmp_path) for picture, digit in ((SEVEN, 7), (THREE, 3), (SEVEN, 7))]
    assert [path.name for path in paths] == ["7-0001.png", "3-0002.png", "7-0003.png"] and len(names(tmp_path)) == 3
    for left_out in ((), ("crop", "center")):
        images, labels = kept_drawings(left_out, tmp_path).tensors
        expected = torch.stack([preprocess_digit(picture, left_out) for picture in (THREE, SEVEN, SEVEN)])
        assert labels.tolist() == [3, 7, 7] and torch.allclose(images, expected, atol=0.02)


def test_the_picture_itself_is_kept_up_to_rounding(tmp_path):
    kept = np.asarray(Image.open(keep_drawing(SEVEN, 7, tmp_path)), dtype=float) / 255
    assert kept.shape == SEVEN.shape and np.abs(kept - SEVEN).max() < 0.51 / 255


def test_a_deleted_drawing_is_gone_and_no_other_is_overwritten(tmp_path):
    first, second = (keep_drawing(SEVEN, 7, tmp_path) for _ in range(2))
    before = second.read_bytes()
    first.unlink()
    keep_drawing(THREE, 3, tmp_path)
    assert names(tmp_path) == ["3-0003.png", "7-0002.png"] and second.read_bytes() == before


def test_they_lie_beside_the_runs_and_without_any_the_set_is_empty(tmp_path, monkeypatch):
    monkeypatch.setenv("MNIST_RUNS_DIR", str(tmp_path))
    assert len(kept_drawings()) == 0 and not drawings_folder().exists()
    assert keep_drawing(THREE, 3).parent == tmp_path / "drawings" and len(kept_drawings()) == 1


@pytest.mark.parametrize(
    "picture, digit, error", [(SEVEN, 10, ValueError), (SEVEN, "7", ValueError), (np.ones((280, 280)), 7, NoDigitError)]
)
def test_what_is_no_digit_is_not_kept(tmp_path, picture, digit, error):
    with pytest.raises(error):
        keep_drawing(np.asarray(picture, dtype=np.float32), digit, tmp_path)
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    "damage", [lambda content: b"", lambda content: content[: len(content) // 2]], ids=["empty", "cut off"]
)
def test_a_damaged_file_is_named_with_what_to_do_and_other_files_are_left_alone(tmp_path, damage):
    path = keep_drawing(SEVEN, 7, tmp_path)
    (tmp_path / "3-holiday.png").write_text("not ours")
    assert len(kept_drawings(folder=tmp_path)) == 1
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match="Delete it") as caught:
        kept_drawings(folder=tmp_path)
    assert str(path) in str(caught.value)
