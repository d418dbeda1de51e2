"""Lets photos of up to 128 MB through to the widgets: by default a Jupyter server closes the connection at 10 MB.

Only a server that was started where the lessons lie does so; other servers of the same environment stay as they are.
A module of its own, outside the package, so that the server need not load PyTorch.
"""

from pathlib import Path
from typing import Any

MOST_BYTES = 128 * 2**20
LESSON = "07_your_own_digits.ipynb"


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": "mnist_helpers_server"}]


def _load_jupyter_server_extension(server: Any) -> None:
    root = Path(server.root_dir)
    if (root / LESSON).is_file() or (root / "notebooks" / LESSON).is_file():
        settings = server.web_app.settings
        settings["websocket_max_message_size"] = max(MOST_BYTES, settings.get("websocket_max_message_size", 0))
