"""What the browser tests drive: a JupyterLab server on a copy of the notebooks, a lesson in it, a panel in that."""

import ast
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
SCREENSHOTS = Path(__file__).resolve().parent / "screenshots"
TOKEN = "for-tests-only"
NOBODY = "http://127.0.0.1:9"  # where nobody listens
ALONE = {"http_proxy": NOBODY, "https_proxy": NOBODY, "HTTP_PROXY": NOBODY, "HTTPS_PROXY": NOBODY}
ALONE |= {"no_proxy": "127.0.0.1,localhost", "NO_PROXY": "127.0.0.1,localhost", "MNIST_DATA_DIR": "sample"}
ALONE |= {"OMP_NUM_THREADS": "1"}  # on a busy machine more threads wait for each other
PLACES = {f"JUPYTER_{name.upper()}_DIR": name for name in ("config", "data", "runtime")}
PLACES |= {"HOME": "home", "MNIST_RUNS_DIR": "runs"}
SETTINGS = "--no-browser --allow-root --ServerApp.port_retries=0 --LabApp.expose_app_in_browser=True"
NOTEBOOK = "jupyterapp.shell.currentWidget.content"
CODE_CELLS = f"{NOTEBOOK}.widgets.map(cell => cell.model).filter(model => model.type === 'code')"
KERNEL = "jupyterapp.shell.currentWidget.sessionContext.session.kernel"
BELOW = """() => {
    const view = document.querySelector('.jp-WindowedPanel-outer'), cells = [...view.querySelectorAll('.jp-Cell')];
    view.scrollTop = 0;
    const below = cells.at(-1).getBoundingClientRect().bottom - view.getBoundingClientRect().bottom;
    const skipped = cells.filter(cell => !cell.checkVisibility({ contentVisibilityAuto: true })).length;
    return Math.max(Math.ceil(below), 0) + skipped; }"""
IN_TIME = """(promise, seconds) => Promise.race([promise,
    new Promise((_, reject) => setTimeout(() => reject(new Error(`no answer in ${seconds} s`)), 1000 * seconds))])"""
HASH = f"""image => ({IN_TIME})(image.decode(), 20).then(() => fetch(image.src)).then(answer => answer.arrayBuffer())
    .then(bytes => crypto.subtle.digest('SHA-256', bytes)).then(digest => String(new Uint8Array(digest)))
    .catch(error => `${{error}}: the next picture is on its way`)"""


def until(good, read, seconds=60, pause=0.05, twice=False):
    """Read again and again; returns what was read when it is good and, if asked for, twice the same."""
    end, before = time.time() + seconds, None
    while not good(value := read()) or (twice and value != before):
        assert time.time() < end, f"still so after {seconds} s: {value}"
        before = value
        time.sleep(pause)
    return value


class Server:
    """JupyterLab on 127.0.0.1, offline, with home, settings, runs and notebooks of its own in a temporary folder."""

    def __init__(self, folder):
        self.folder = folder
        shutil.copytree(NOTEBOOKS, folder / "notebooks", ignore=shutil.ignore_patterns(".ipynb_checkpoints"))
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.address = f"http://127.0.0.1:{port}"
        settings = f"{SETTINGS} --port={port} --IdentityProvider.token={TOKEN}"
        news = folder / "config/lab/user-settings/@jupyterlab/apputils-extension/notification.jupyterlab-settings"
        news.parent.mkdir(parents=True)
        news.write_text('{"fetchNews": "false", "checkForUpdates": false}')
        (folder / "home").mkdir()
        environment = os.environ | ALONE | {name: str(folder / place) for name, place in PLACES.items()}
        with (folder / "server.log").open("w") as log:
            command = [sys.executable, "-m", "jupyterlab", *settings.split()]
            self.process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, env=environment)

    def answers(self):
        assert self.process.poll() is None, (self.folder / "server.log").read_text()
        try:
            with urllib.request.urlopen(f"{self.address}/api", timeout=20) as answer:
                return answer.status == 200
        except OSError:
            return False

    def page_of(self, kind, lesson):
        return f"{self.address}/{kind}/notebooks/{lesson}.ipynb?reset&token={TOKEN}"

    def close(self):
        self.process.terminate()
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()


class Lesson:
    """A lesson in JupyterLab. `variable` holds its main panel, `sliders` are in that; `errors` are the console's."""

    def __init__(self, page, name, variable, sliders):
        self.page, self.name, self.variable, self.sliders, self.errors = page, name, variable, sliders, []
        page.on("console", lambda message: self.errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    def wait_for_kernel(self):
        kernel = "const kernel = window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel"
        ready = "kernel?.connectionStatus === 'connected' && kernel.status === 'idle'"
        self.page.wait_for_function(f"() => {{ {kernel}; return {ready} }}", timeout=60_000)

    def restart_kernel(self):
        self.page.evaluate(f"() => ({IN_TIME})({KERNEL}.restart(), 60)")
        self.wait_for_kernel()

    def command(self, *name_and_arguments):
        self.page.evaluate("([...command]) => { void jupyterapp.commands.execute(...command) }", name_and_arguments)

    def cells(self):
        """The execution count of each code cell, and its outputs."""
        return self.page.evaluate(f"{CODE_CELLS}.map(model => [model.executionCount, model.outputs.toJSON()])")

    def run_all(self, seconds=600):
        """Run all cells; JupyterLab stops at the first error."""
        self.command("notebook:clear-all-cell-outputs")
        self.command("notebook:run-all-cells")
        has_run = "model => model.executionCount !== null && model.executionState !== 'running'"
        failed = "model => model.outputs.toJSON().some(output => output.output_type === 'error')"
        done = f"() => {CODE_CELLS}.every({has_run}) || {CODE_CELLS}.some({failed})"
        self.page.wait_for_function(done, timeout=1000 * seconds, polling=200)

    def look(self, theme):
        """Choose a theme of JupyterLab."""
        self.command("apputils:change-theme", {"theme": theme})
        self.page.wait_for_function("theme => document.body.dataset.jpThemeName === theme", arg=theme)

    @contextmanager
    def all_in_view(self):
        """Within a `with` block the page is as tall as the lesson; axe-core does not look at what is scrolled away."""
        size = self.page.viewport_size
        self.page.evaluate("document.body.style.height = '100vh'")  # JupyterLab's 0 would mean to axe: not visible

        def taller():
            hidden = self.page.evaluate(BELOW)  # of cells that were never in view JupyterLab has only an estimate
            self.page.set_viewport_size({**size, "height": self.page.viewport_size["height"] + hidden})
            return hidden

        try:
            until(lambda hidden: hidden == 0, taller, pause=0.5, twice=True)
            yield
        finally:
            self.page.evaluate("document.body.style.height = ''")
            self.page.set_viewport_size(size)

    def tell(self, code, expression="None", seconds=60):
        """Run Python code in the lesson's kernel as a cell would; returns the value of an expression after it."""
        request = {"code": code, "user_expressions": {"value": expression}, "store_history": False}
        reply = f"(({IN_TIME})({KERNEL}.requestExecute(request).done, {seconds}))"
        answer = self.page.evaluate(f"async request => (await {reply}).content", request)
        assert answer["status"] == "ok", answer
        assert answer["user_expressions"]["value"]["status"] == "ok", answer
        return ast.literal_eval(answer["user_expressions"]["value"]["data"]["text/plain"])

    def ask(self, expression):
        return self.tell("", expression)

    def panel(self, variable=None):
        """The panel that a cell with this variable (the main panel's if none is named) as last line shows; in view."""
        variable = variable or self.variable
        sources = self.page.evaluate(f"{NOTEBOOK}.widgets.map(cell => cell.model.sharedModel.source)")
        number = next(number for number, source in enumerate(sources) if source.splitlines()[-1:] == [variable])
        scrolled = f"({IN_TIME})({NOTEBOOK}.scrollToItem(number, 'start'), 20)"
        self.page.evaluate(f"async number => {{ {NOTEBOOK}.activeCellIndex = number; await {scrolled} }}", number)
        panel = self.page.locator(f".jp-Cell[data-windowed-list-index='{number}'] .jp-OutputArea-output .widget-vbox")
        panel.first.wait_for()
        panel.locator("img").first.scroll_into_view_if_needed()
        return PanelOnPage(self, self.page, panel.first, variable)

    def panel_on_slide(self, slides, part, variable=None):
        """The first panel with this part, a selector; the space bar leads there."""
        part = slides.locator(part)
        slides.locator(".slides .widget-vbox", has=part).locator("img").first.wait_for(state="attached")
        found = slides.locator("section.present > section.present .widget-vbox", has=part)
        slides.evaluate("document.activeElement.blur()")  # keys in a panel belong to it
        until(bool, lambda: found.locator("img").count() or slides.keyboard.press("Space"))
        found.locator("img").first.wait_for()
        return PanelOnPage(self, slides, found.first, variable or self.variable)

    def screenshot(self, name, page=None):
        SCREENSHOTS.mkdir(exist_ok=True)
        (page or self.page).screenshot(path=SCREENSHOTS / f"{self.name.partition('_')[0]}_{name}.png")


class PanelOnPage:
    """A panel in the page, and what Python holds of it."""

    def __init__(self, lesson, page, node, variable):
        self.lesson, self.page, self.node, self.variable = lesson, page, node, variable
        self.text_id = lesson.ask(f"{variable}.text.model_id")

    def control(self, label):
        return self.node.locator(".widget-inline-hbox", has=self.page.locator(".widget-label", has_text=label)).first

    def choice(self, label):
        return self.control(label).locator("select")

    def button(self, name):
        return self.node.get_by_role("button", name=name)

    def words(self):
        return self.node.locator("img + .widget-html .widget-html-content").first.inner_text()

    def values(self):
        return self.lesson.ask(f"{self.variable}.values")

    def on_page(self):
        """The SHA-256 of the picture in the page, and the words below it."""
        return self.node.locator("img").first.evaluate(HASH), self.words()

    def in_python(self):
        """The same in Python, when the kernel has taken all that the lesson's page sent so far: it does so in order."""
        message = f"{KERNEL}._comms.get(id).send({{method: 'custom', content: {{}}}})"
        self.lesson.page.evaluate(f"id => ({IN_TIME})({message}.done, 20).then(() => null)", self.text_id)
        picture = f"','.join(map(str, __import__('hashlib').sha256({self.variable}.picture.value).digest()))"
        return self.lesson.ask(f"({picture}, __import__('html').unescape({self.variable}.text.value))")

    def settle(self):
        """Wait until nothing moves and the page shows what Python holds; returns the picture's hash and the words."""
        pause = 0.1 if self.page is self.lesson.page else 0.3  # the slides' messages take another way to the kernel
        same, both = lambda pair: pair[0] == pair[1], lambda: (self.in_python(), self.on_page())
        return until(same, both, 120, pause, twice=True)[0]

    def wait_for_words(self, text):
        until(lambda words: text in words, self.words, 120)

    def drag(self, label, shares, pause=0.0):
        """Hold the slider's handle and move it to these shares of its length; returns what is shown then."""
        self.control(label).locator(".noUi-handle").hover()
        track = self.control(label).locator(".noUi-base").bounding_box()
        self.page.mouse.down()
        for share in shares:
            self.page.mouse.move(track["x"] + share * track["width"], track["y"] + track["height"] / 2)
            time.sleep(pause)
        self.page.mouse.up()
        return self.settle()

    def press(self, label, *keys):
        """Press keys in the slider."""
        self.control(label).locator(".noUi-handle").focus()
        for key in keys:
            self.page.keyboard.press(key)

    def move(self, label, *keys):
        """Press keys in the slider; returns what is shown then."""
        self.press(label, *keys)
        return self.settle()

    def click(self, name):
        """Click the button; returns what is shown then."""
        self.button(name).click()
        return self.settle()
