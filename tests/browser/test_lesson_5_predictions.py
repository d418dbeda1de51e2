"""Lesson 5 in the browser: the explorer of predictions; a restart of the kernel; screens of other sizes."""

from every_lesson import AtTheDesk, InClass

LESSON = "05_predictions", "explorer", ["threshold"]
TestAtTheDesk = AtTheDesk


def test_the_explorer_by_keyboard(lesson):
    panel = lesson.panel()
    panel.press("threshold", "Home")
    panel.choice("true digit").press("9")
    panel.choice("predicted digit").press("4")
    words = panel.settle()[1]
    count = lesson.ask("int(((valid_predictions.labels == 9) & (valid_predictions.predicted == 4)).sum())")
    assert f"True digit 9, predicted 4, wrong: {count} images" in words
    assert "right: 0 images, 0 shown" in panel.click("right")[1]
    assert "Threshold 0.99999" in panel.move("threshold", "End")[1]


def test_all_works_again_after_a_restart_of_the_kernel(lesson):
    lesson.restart_kernel()
    lesson.run_all()
    panel = lesson.panel()
    assert "Threshold 0.99999" in panel.move("threshold", "End")[1]
    assert "'output_type': 'error'" not in str(lesson.cells())


TestInClass = InClass


def test_the_slides_fill_other_screens(slides):
    for width, height in ((1920, 1080), (1024, 768), (1280, 720)):
        slides.set_viewport_size({"width": width, "height": height})
        slides.wait_for_timeout(1000)
        box = slides.locator(".slides").bounding_box()
        assert abs(box["x"] + box["width"] / 2 - width / 2) < 3 and box["x"] > -3
        assert abs(box["y"] + box["height"] / 2 - height / 2) < 9 and box["y"] > -9
        assert max(box["width"] / width, box["height"] / height) > 0.95
