"""How fast the picture beside the drawing pad follows the mouse: lesson 7 in JupyterLab, in Chromium.

Usage: python tests/benchmarks/pad_latency.py     (on the sample)

Single movements: from the browser's mouse event to the new picture in the page. Without a break: the mouse moves every
16 ms for 3 s; from each new picture back to the oldest movement since the last one, and the pictures in a second.
"""

import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import sync_playwright

sys.path.insert(0, str(Path(__file__).parent.parent / "browser"))

from conftest import CHROMIUM
from lab_pages import Lesson, Server, until

WATCH = """panel => {
    window.moves = []; window.pictures = [];
    const image = panel.querySelector('img');
    panel.querySelector('canvas').addEventListener('mousemove', () => moves.push(performance.now()), true);
    image.addEventListener('load', () => pictures.push(performance.now()));
}"""


def measure(pad, spot):
    """(milliseconds of single movements, of movements without a break, pictures in a second)"""
    page, mouse, singles, waits = pad.page, pad.page.mouse, [], []
    pad.node.evaluate(WATCH)
    mouse.move(*spot(0))
    mouse.down()
    for number in range(1, 21):
        page.evaluate("() => { moves.length = pictures.length = 0 }")
        mouse.move(*spot(number))
        page.wait_for_function("() => pictures.length > 0", timeout=10_000)
        singles.append(page.evaluate("() => pictures[0] - moves[0]"))
        time.sleep(0.2)
    page.evaluate("() => { moves.length = pictures.length = 0 }")
    for number in range(180):
        mouse.move(*spot(number % 40 + number / 200))
        time.sleep(0.016)
    time.sleep(1)
    mouse.up()
    moves, pictures = page.evaluate("() => [moves, pictures]")
    for before, now in zip([0, *pictures], pictures):
        since = [move for move in moves if before <= move < now]
        waits += [now - since[0]] if since else []
    return singles, waits, len(pictures) / (pictures[-1] - pictures[0]) * 1000


def main():
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as session:
        server = Server(Path(folder))
        try:
            until(bool, server.answers)
            found = shutil.which("chromium") or session.chromium.executable_path
            browser = session.chromium.launch(executable_path=found, args=CHROMIUM.split())
            page = browser.new_page(viewport={"width": 1280, "height": 720})
            lesson = Lesson(page, "07_your_own_digits", "pad", [])
            page.goto(server.page_of("doc/tree", lesson.name), timeout=60_000)
            page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=60_000)
            lesson.wait_for_kernel()
            lesson.run_all()
            pad = lesson.panel()
            pad.settle()
            box = pad.node.locator("canvas").bounding_box()
            singles, waits, rate = measure(pad, lambda number: (box["x"] + 60 + 4 * number, box["y"] + 60 + 3 * number))
            for name, times in (("single movements", singles), ("without a break", waits)):
                print(f"{name:17} {statistics.median(times):4.0f} ms, largest {max(times):4.0f} ms")
            print(f"{rate:.1f} pictures a second while drawing")
            browser.close()
        finally:
            server.close()


if __name__ == "__main__":
    main()
