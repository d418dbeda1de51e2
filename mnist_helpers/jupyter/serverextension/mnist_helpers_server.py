"""Lets photos of up to 128 MB through to the widgets: by default a Jupyter server closes the connection at 10 MB.

Only a server that was started where the lessons lie does so; other servers of the same environment stay as they are.
And lets `jupyter nbconvert` keep the text alternatives of figures, which its templates leave out.
A module of its own, outside the package, so that neither need load PyTorch.
"""

import html
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


def with_alt_texts(notebook: Any, resources: Any) -> tuple[Any, Any]:
    """A preprocessor of nbconvert: each PNG picture that has a text alternative becomes HTML with it."""
    for output in [output for cell in notebook.cells for output in cell.get("outputs", [])]:
        alt = output.get("metadata", {}).get("image/png", {}).get("alt")
        if alt and "image/png" in output["data"]:
            source = f"data:image/png;base64,{output['data']['image/png']}"
            output["data"] = {"text/html": f'<img alt="{html.escape(alt)}" src="{source}">'}
    return notebook, resources
