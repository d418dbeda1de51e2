"""The server extension that lets large photos through."""
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import mnist_helpers_server
import pytest

CONFIG = "etc/jupyter/jupyter_server_config.d/mnist-helpers.json"


@pytest.mark.parametrize("before, after", [({}, 2**27), ({"websocket_max_message_size": 5}, 2**27),
                                           ({"websocket_max_message_size": 2**30}, 2**30)])
def test_messages_of_128_mb_pass_and_a_larger_limit_stays(before, after):
    server = SimpleNamespace(web_app=SimpleNamespace(settings=before))
    mnist_helpers_server._load_jupyter_server_extension(server)
    assert before["websocket_max_message_size"] == after


def test_installing_the_package_switches_it_on():
    switched_on = json.loads((Path(sys.prefix) / CONFIG).read_text(encoding="utf-8"))
    (point,) = mnist_helpers_server._jupyter_server_extension_points()
    assert switched_on == {"ServerApp": {"jpserver_extensions": {point["module"]: True}}}


def test_the_server_need_not_load_pytorch_for_it():
    code = "import sys, mnist_helpers_server; print('torch' in sys.modules, 'mnist_helpers' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
