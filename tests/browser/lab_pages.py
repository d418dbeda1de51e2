"""What the browser tests drive: a JupyterLab server on a copy of the notebooks, a lesson in it, a panel in that."""

import html
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
SCREENSHOTS = Path(__file__).resolve().parent / "screenshots"
TOKEN = "for-tests-only"
IN_TIME = """(promise, seconds) => Promise.race([promise,
    new Promise((_, reject) => setTimeout(() => reject(new Error(`no answer in ${seconds} s`)), 1000 * seconds))])"""


class Server:
    """JupyterLab on 127.0.0.1, with settings, runs and notebooks of its own in a temporary folder."""

    def __init__(self, folder):
        self.folder = folder
        shutil.copytree(NOTEBOOKS, folder / "notebooks", ignore=shutil.ignore_patterns(".ipynb_checkpoints"))
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        places = {
            "HOME": folder,
            "JUPYTER_CONFIG_DIR": folder / "config",
            "JUPYTER_DATA_DIR": folder / "data",
            "JUPYTER_RUNTIME_DIR": folder / "runtime",
            "MNIST_RUNS_DIR": folder / "runs",
        }
        settings = [
            f"--port={self.port}",
            f"--ServerApp.root_dir={folder}",
            f"--IdentityProvider.token={TOKEN}",
            "--ServerApp.port_retries=0",
            "--LabApp.expose_app_in_browser=True",
        ]
        news = folder / "config/lab/user-settings/@jupyterlab/apputils-extension/notification.jupyterlab-settings"
        news.parent.mkdir(parents=True)
        news.write_text('{"fetchNews": "false", "checkForUpdates": false}')
        self.log = open(folder / "server.log", "w")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", *settings],
            stdout=self.log,
            stderr=subprocess.STDOUT,
            env={**os.environ, "MNIST_DATA_DIR": "sample", **{name: str(place) for name, place in places.items()}},
        )

    def wait(self, seconds=60):
        for _ in range(4 * seconds):
            try:
                return self.ask("GET", "api/status")
            except OSError:
                assert self.process.poll() is None, (self.folder / "server.log").read_text()
                time.sleep(0.25)
        pytest.fail("JupyterLab did not answer:\n" + (self.folder / "server.log").read_text())

    def ask(self, method, address):
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/{address}", method=method, headers={"Authorization": f"token {TOKEN}"}
        )
        with urllib.request.urlopen(request, timeout=20) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def stop_kernels(self):
        for session in self.ask("GET", "api/sessions"):
            self.ask("DELETE", f"api/sessions/{session['id']}")

    def address(self, kind, lesson):
        return f"http://127.0.0.1:{self.port}/{kind}/notebooks/{lesson}.ipynb?reset&token={TOKEN}"

    def close(self):
        self.process.terminate()
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self.log.close()


class Lesson:
    """One lesson in JupyterLab. `errors` collects what the browser's console reports."""

    def __init__(self, page, name):
        self.page, self.name, self.errors = page, name, []
        page.on("console", lambda message: self.errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    def open(self, server):
        self.page.goto(server.address("doc/tree", self.name), timeout=60_000)
        self.page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=60_000)
        self.wait_for_kernel()

    def wait_for_kernel(self):
        self.page.wait_for_function(
            "() => { const kernel = window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel;"
            "        return kernel?.connectionStatus === 'connected' && kernel.status === 'idle'; }",
            timeout=60_000,
        )

    def command(self, name, arguments=None):
        self.page.evaluate(
            "([name, arguments_]) => { void jupyterapp.commands.execute(name, arguments_) }", [name, arguments or {}]
        )

    def cells(self):
        """[execution count, whether it runs] of each code cell."""
        return self.page.evaluate(
            "() => jupyterapp.shell.currentWidget.content.widgets.filter(cell => cell.model.type === 'code')"
            ".map(cell => [cell.model.executionCount, cell.model.executionState])"
        )

    def run_all(self, seconds=300):
        self.command("notebook:clear-all-cell-outputs")
        self.command("notebook:run-all-cells")
        self.wait_for_cells(slice(None), seconds)

    def run_to(self, variable, seconds=300):
        """Run the cells down to the one that shows the variable."""
        number = self.cell_of(variable)
        kinds = self.page.evaluate("() => jupyterapp.shell.currentWidget.content.widgets.map(cell => cell.model.type)")
        self.command("notebook:clear-all-cell-outputs")
        self.page.evaluate("number => { jupyterapp.shell.currentWidget.content.activeCellIndex = number }", number + 1)
        self.command("notebook:run-all-above")
        self.wait_for_cells(slice(kinds[: number + 1].count("code")), seconds)

    def wait_for_cells(self, part, seconds):
        """Wait until the code cells in this part of the lesson have run."""
        until = time.time() + seconds
        while any(count is None or state == "running" for count, state in self.cells()[part]):
            assert time.time() < until, f"after {seconds} s: {self.cells()}"
            time.sleep(0.5)

    def outputs(self):
        """All outputs of all code cells."""
        return self.page.evaluate(
            "() => jupyterapp.shell.currentWidget.content.widgets.filter(cell => cell.model.type === 'code')"
            ".flatMap(cell => cell.model.outputs.toJSON())"
        )

    def ask(self, expression, seconds=30):
        """The value of a Python expression in the lesson's kernel; it must be something that JSON can hold."""
        code = f"__import__('json').dumps({expression})"
        answer = self.page.evaluate(
            f"""async code => {{
                const kernel = jupyterapp.shell.currentWidget.sessionContext.session.kernel;
                const future = kernel.requestExecute({{code: '', silent: true, user_expressions: {{answer: code}}}});
                return (await ({IN_TIME})(future.done, {seconds})).content.user_expressions.answer;
            }}""",
            code,
        )
        assert answer["status"] == "ok", answer
        text = answer["data"]["text/plain"]
        return json.loads(eval(text))  # the repr of a Python string

    def tell(self, code, seconds=60):
        """Run Python code in the lesson's kernel, outside the cells."""
        answer = self.page.evaluate(
            f"""async code => {{
                const kernel = jupyterapp.shell.currentWidget.sessionContext.session.kernel;
                const future = kernel.requestExecute({{code, silent: true}});
                return (await ({IN_TIME})(future.done, {seconds})).content;
            }}""",
            code,
        )
        assert answer["status"] == "ok", answer

    def cell_of(self, variable):
        """The number of the cell whose last line is the variable, so that its output is the panel."""
        sources = self.page.evaluate(
            "() => jupyterapp.shell.currentWidget.content.widgets.map(cell => cell.model.sharedModel.source)"
        )
        return next(number for number, source in enumerate(sources) if source.splitlines()[-1:] == [variable])

    def panel(self, variable):
        """The panel that the variable holds, scrolled into view."""
        number = self.cell_of(variable)
        self.page.evaluate(
            "async number => { const notebook = jupyterapp.shell.currentWidget.content;"
            f"  notebook.activeCellIndex = number; await ({IN_TIME})(notebook.scrollToItem(number, 'start'), 20) }}",
            number,
        )
        panel = self.page.locator(f".jp-Cell[data-windowed-list-index='{number}'] .jp-OutputArea-output .widget-vbox")
        panel.first.wait_for(timeout=30_000)
        panel.locator("img").first.scroll_into_view_if_needed()
        return PanelOnPage(self, panel.first, variable)

    def screenshot(self, name):
        SCREENSHOTS.mkdir(exist_ok=True)
        self.page.screenshot(path=SCREENSHOTS / f"{self.name[:2]}_{name}.png")


class PanelOnPage:
    """A panel in the page, and what Python holds of it."""

    def __init__(self, lesson, node, variable):
        self.lesson, self.page, self.node, self.variable = lesson, lesson.page, node, variable

    def control(self, label):
        return self.node.locator(".widget-inline-hbox", has=self.page.locator(".widget-label", has_text=label)).first

    def handle(self, label):
        return self.control(label).locator(".noUi-handle")

    def words(self):
        return self.node.locator("img + .widget-html .widget-html-content").first.inner_text()

    def values(self):
        return self.lesson.ask(f"{self.variable}.values")

    def picture(self):
        """The SHA-256 of the picture in the page."""
        return self.node.locator("img").first.evaluate(
            f"""async image => {{
                let bytes;
                try {{
                    await ({IN_TIME})(image.decode(), 20);
                    bytes = await (await fetch(image.src)).arrayBuffer();
                }} catch (error) {{ return `${{error}}: the next picture is on its way` }}
                const digest = await crypto.subtle.digest('SHA-256', bytes);
                return [...new Uint8Array(digest)].map(byte => byte.toString(16).padStart(2, '0')).join('');
            }}"""
        )

    def picture_in_python(self):
        return self.lesson.ask(f"__import__('hashlib').sha256({self.variable}.picture.value).hexdigest()")

    def settle(self, seconds=20):
        """Wait until nothing moves and the page shows what Python holds; returns the picture's hash and the words."""
        until, before = time.time() + seconds, None
        while True:
            page = self.picture(), self.words()
            kernel = self.picture_in_python(), html.unescape(self.lesson.ask(f"{self.variable}.text.value"))
            if page == kernel == before:
                return page
            assert time.time() < until, f"the page shows {page}, Python holds {kernel}"
            before = kernel
            time.sleep(0.3)

    def drag(self, label, shares, pause=0.0):
        """Hold the slider's handle and move it to these shares of its length, one after another."""
        track = self.control(label).locator(".noUi-base").bounding_box()
        grip = self.handle(label).bounding_box()
        self.page.mouse.move(grip["x"] + grip["width"] / 2, grip["y"] + grip["height"] / 2)
        self.page.mouse.down()
        for share in shares:
            self.page.mouse.move(track["x"] + share * track["width"], track["y"] + track["height"] / 2)
            if pause:
                time.sleep(pause)
        self.page.mouse.up()

    def press(self, label, *keys):
        self.handle(label).focus()
        for key in keys:
            self.page.keyboard.press(key)
