"""One JupyterLab server for a worker's browser tests, a headless Chromium, and a lesson open in it."""

import os
import shutil
from pathlib import Path

import pytest

pytest.register_assert_rewrite("every_lesson", "lab_pages")

from lab_pages import Lesson, Server, until  # noqa: E402

CHROMIUM = "--no-sandbox --disable-gpu --disable-background-networking --disable-component-update --disable-sync"


def missing(what):
    """Skip where somebody works without a browser; in CI that would hide a failure."""
    if os.environ.get("CI"):
        pytest.fail(f"{what}: in CI the browser tests must run")
    pytest.skip(what)


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("jupyterlab"))
    try:
        until(bool, server.answers)
        yield server
    finally:
        server.close()


@pytest.fixture(scope="module")
def new_page():
    """Opens a page as large as a projector; ends with the module, as Playwright's loop would be in others' way."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        missing("playwright is not installed")
    with sync_playwright() as session:
        installed = filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome")))
        found = next(installed, session.chromium.executable_path)
        if not Path(found).exists():
            missing("no Chromium found; install it, for example with: playwright install chromium")
        with session.chromium.launch(executable_path=found, args=CHROMIUM.split()) as browser:
            yield lambda: browser.new_page(viewport={"width": 1280, "height": 720})


@pytest.fixture(scope="module")
def lesson(request, new_page, server):
    """The lesson that the module is about, open in JupyterLab, all cells run; no earlier lesson's runs are there."""
    shutil.rmtree(server.folder / "runs", ignore_errors=True)
    page = new_page()
    lesson = Lesson(page, *request.module.LESSON)
    page.goto(server.page_of("doc/tree", lesson.name), timeout=60_000)
    page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=60_000)
    lesson.wait_for_kernel()
    lesson.run_all()
    yield lesson
    page.evaluate("jupyterapp.serviceManager.sessions.shutdownAll()")


@pytest.fixture(autouse=True)
def console(lesson):
    """After each test: the browser's console has reported no error."""
    yield
    errors, lesson.errors = lesson.errors, []
    assert errors == []


@pytest.fixture(scope="module")
def slides(lesson, new_page, server):
    """The lesson as slides, as it was left and saved in JupyterLab, with the same kernel."""
    lesson.command("docmanager:save")
    lesson.page.wait_for_function("() => !jupyterapp.shell.currentWidget.context.model.dirty")
    page = new_page()
    page.goto(server.page_of("rise", lesson.name), timeout=60_000)
    page.wait_for_selector(".reveal.ready", timeout=60_000)
    page.locator(".slides .widget-vbox img").first.wait_for(state="attached", timeout=60_000)
    return page
