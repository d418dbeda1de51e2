"""One JupyterLab server for all browser tests, a headless Chromium, and a lesson open in it."""

import os
import shutil
from pathlib import Path

import pytest

from lab_pages import Lesson, Server

PROJECTOR = {"width": 1280, "height": 720}
CHROMIUM = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def missing(what):
    """Skip where somebody works without a browser; in CI that would hide a failure."""
    if os.environ.get("CI"):
        pytest.fail(f"{what}: in CI the browser tests must run")
    pytest.skip(what)


def chromium_path(session):
    """An installed Chromium or Chrome, else where Playwright would put its own."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return next(filter(None, map(shutil.which, names)), session.chromium.executable_path)


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
        found = chromium_path(session)
        if not Path(found).exists():
            missing("no Chromium found; install it, for example with: playwright install chromium")
        browser = session.chromium.launch(executable_path=found, args=CHROMIUM)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def lesson(request, browser, server):
    """The lesson named by the parameter, open in JupyterLab, all cells run ("LESSON to VARIABLE": those down to it)."""
    name, _, variable = request.param.partition(" to ")
    page = browser.new_page(viewport=PROJECTOR)
    page.set_default_timeout(30_000)
    lesson = Lesson(page, name)
    lesson.open(server)
    if variable:
        lesson.run_to(variable)
        lesson.errors.clear()  # of panels that an earlier test saved: their kernel is gone
    else:
        lesson.run_all()
    yield lesson
    page.close()
    server.stop_kernels()


@pytest.fixture(scope="module")
def slides(lesson, browser, server):
    """The lesson as slides, as it was left and saved in JupyterLab, with the same kernel."""
    lesson.command("docmanager:save")
    lesson.page.wait_for_function("() => !jupyterapp.shell.currentWidget.context.model.dirty")
    page = browser.new_page(viewport=PROJECTOR)
    page.set_default_timeout(30_000)
    page.goto(server.address("rise", lesson.name), timeout=60_000)
    page.wait_for_selector(".reveal.ready", timeout=60_000)
    page.locator(".slides .widget-vbox img").first.wait_for(state="attached", timeout=60_000)
    yield page
    page.close()
