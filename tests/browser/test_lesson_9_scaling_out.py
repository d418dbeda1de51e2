"""Lesson 9 in the browser: how the speed-up changes with the workers."""

from every_lesson import AtTheDesk, InClass

LESSON = "09_scaling_out", "explorer", ["images per worker"]
TestAtTheDesk = AtTheDesk


def test_a_larger_share_and_another_network_come_nearer_to_the_ideal(lesson):
    panel = lesson.panel()
    assert "MNISTNet, 1 images per worker, this computer" in panel.move("images per worker", "Home")[1]
    panel.choice("network").select_option("cnn")
    panel.choice("link").select_option("data centre, 100 Gbit/s")
    assert "cnn, 4096 images per worker, data centre" in panel.move("images per worker", "End")[1]


TestInClass = InClass
