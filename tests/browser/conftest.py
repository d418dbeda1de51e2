"""One JupyterLab server for all browser tests, a headless Chromium, and a lesson open in it."""
import os
import shutil
from pathlib import Path

import pytest
from lab_pages import Lesson, Server

PROJECTOR = {"width": 1280, "height": 720}
CHROMIUM = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
            "--disable-sync"]


def missing(what):
    """Skip where somebody works without a browser; in CI that would hide a failure."""
    if os.environ.get("CI"):
        pytest.fail(f"{what}: in CI the browser tests must run")
    pytest.skip(what)


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("jupyterlab"))
    try:
        server.wait()
        yield server
    finally:
        server.close()


@pytest.fixture(scope="module")
def browser():
    """Chromium; closed with the module, because Playwright's event loop would be in the way of other tests."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        missing("playwright is not installed")
    with sync_playwright() as session:
        names = ("chromium", "chromium-browser", "google-chrome")
        found = next(filter(None, map(shutil.which, names)), session.chromium.executable_path)
        if not Path(found).exists():
            missing("no Chromium found; install it, for example with: playwright install chromium")
        browser = session.chromium.launch(executable_path=found, args=CHROMIUM)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def lesson(request, browser, server):
    """The lesson named by the parameter, open in JupyterLab, every cell run; of "LESSON to VARIABLE" those down to it."""
    name, _, variable = request.param.partition(" to ")
    page = browser.new_page(viewport=PROJECTOR)
    page.set_default_timeout(30_000)
    lesson = Lesson(page, name)
    lesson.open(server)
    lesson.run_to(variable) if variable else lesson.run_all()
    yield lesson
    page.close()
    server.stop_kernels()
