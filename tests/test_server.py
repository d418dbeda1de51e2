"""The extensions of Jupyter: the server's, which lets large photos through, and JupyterLab's, for slides and keys."""

import copy
import html
import importlib.util
import json
import re
import runpy
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from nbconvert import HTMLExporter, SlidesExporter
from nbformat.v4 import new_code_cell, new_notebook, new_output

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "mnist_helpers/jupyter/serverextension/mnist_helpers_server.py"  # installing it makes a copy
EXTENSION = SimpleNamespace(**runpy.run_path(str(SOURCE)))
CONFIG = "etc/jupyter/jupyter_server_config.d/mnist-helpers.json"


def loaded(folder, settings):
    """The settings of a server that was started in the folder, with the extension loaded."""
    server = SimpleNamespace(root_dir=str(folder), web_app=SimpleNamespace(settings=dict(settings)))
    EXTENSION._load_jupyter_server_extension(server)
    return server.web_app.settings


@pytest.mark.parametrize("folder", [ROOT, ROOT / "notebooks"], ids=["repository", "notebooks"])
@pytest.mark.parametrize(
    "before, after",
    [({}, 2**27), ({"websocket_max_message_size": 5}, 2**27), ({"websocket_max_message_size": 2**30}, 2**30)],
)
def test_messages_of_128_mb_pass_and_a_larger_limit_stays(folder, before, after):
    assert loaded(folder, before) == {"websocket_max_message_size": after}


def test_a_server_elsewhere_stays_as_it_is(tmp_path):
    assert loaded(tmp_path, {}) == {}


def test_installing_the_package_switches_it_on():
    switched_on = json.loads((Path(sys.prefix) / CONFIG).read_text(encoding="utf-8"))
    (point,) = EXTENSION._jupyter_server_extension_points()
    assert importlib.util.find_spec(point["module"]).origin.endswith(SOURCE.name)
    assert switched_on == {"ServerApp": {"jpserver_extensions": {point["module"]: True}}}


def test_the_server_need_not_load_pytorch_for_it():
    code = (
        f"import runpy, sys; runpy.run_path({str(SOURCE)!r}); print(*({{'torch', 'mnist_helpers'}} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_the_extension_of_jupyterlab_acts_on_these_panels_only():
    """What it does to the page is tested in a browser; here, that each of its listeners asks for a panel first."""
    script = (ROOT / "mnist_helpers/jupyter/labextension/static/remoteEntry.js").read_text(encoding="utf-8")
    (in_panel,) = re.findall(r"const in_panel = .*", script)
    assert '.closest(".mnist-panel")' in in_panel and 'contains("rise-enabled")' in in_panel
    listeners = re.findall(r"addEventListener\(.*=> \{\n +if \((.*)\)", script)
    assert len(listeners) == script.count("addEventListener(") == 4
    assert all("in_panel(" in each or ".mnist-panel" in each for each in listeners)


def test_nbconvert_keeps_the_text_alternatives_of_figures():
    config = json.loads((SOURCE.parent / "jupyter_nbconvert_config.json").read_text(encoding="utf-8"))
    (named,) = config["HTMLExporter"]["preprocessors"]
    assert named == "mnist_helpers_server.with_alt_texts"
    metadata = {"image/png": {"alt": 'falls "a" < b'}}
    outputs = [new_output("display_data", {"image/png": "AAAA"}, metadata=each) for each in (metadata, {})]
    for exporter in (HTMLExporter, SlidesExporter):
        notebook = new_notebook(cells=[new_code_cell("plot()", outputs=copy.deepcopy(outputs))])
        page, _ = exporter(preprocessors=[EXTENSION.with_alt_texts]).from_notebook_node(notebook)
        images = re.findall("<img[^>]*>", page)
        assert len(images) == 2 and 'falls "a" < b' in html.unescape(images[0]) and "No description" in images[1]
