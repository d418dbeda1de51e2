"""The site for reading: Sphinx makes it from the stored lessons, with MyST-NB and the Sphinx Book Theme.

GITHUB_REPOSITORY, which GitHub sets in its workflows, names the repository that Binder and Colab open.
"""

import json
import os
import re
from operator import methodcaller

REPOSITORY = os.environ.get("GITHUB_REPOSITORY", "YOU/mnist-digit-classification")
FILES = f"https://github.com/{REPOSITORY}/blob/HEAD/"

project = html_title = "MNIST, step by step"
extensions = ["myst_nb"]
include_patterns = ["index.md", "[0-9]*.ipynb"]
nb_execution_mode = "off"
myst_heading_anchors = 3
# As in Jupyter, so that links to headings work in both; "%25" is how a link writes "%".
myst_heading_slug_func = methodcaller("translate", {ord(" "): "-", ord("%"): "%25"})
nb_code_prompt_show = nb_code_prompt_hide = "Solution"
html_theme = "sphinx_book_theme"
html_theme_options = {
    "repository_url": f"https://github.com/{REPOSITORY}",
    "repository_branch": "HEAD",
    "path_to_docs": "notebooks",
    "launch_buttons": {
        "binderhub_url": "https://mybinder.org",
        "colab_url": "https://colab.research.google.com",
        "notebook_interface": "jupyterlab",
    },
    "use_repository_button": True,
    "use_download_button": False,
    "navbar_persistent": [],
    "footer_content_items": [],
}
html_context = {"default_mode": "auto"}
html_static_path = ["static"]
html_css_files = ["site.css"]
html_copy_source = False
html_use_index = False


def for_readers(cell):
    """The cell as the site shows it: a solution is folded, a picture has its description and can be enlarged."""
    if "solution" in cell["metadata"].get("tags", []):
        cell["metadata"]["tags"].append("hide-cell")
    for output in cell.get("outputs", []):
        if "image/png" in output.get("data", {}):
            words = "".join(output["data"].get("text/plain", ""))  # a panel's own, or <Figure size ...>
            alt = output["metadata"].get("image/png", {}).get("alt") or re.sub("^(<.*)?$", "Figure", words)
            # A size makes Sphinx put a link around the figure: on a phone a tap enlarges it.
            cell["metadata"]["mystnb"] = {"image": {"alt": alt, "scale": "100"}}
    return cell


def read_lesson(app, docname, source):
    """Take a lesson without its teaching notes; what lies outside the folder is shown by GitHub."""
    if str(app.env.doc2path(docname)).endswith(".ipynb"):
        lesson = json.loads(source[0].replace("](../", f"]({FILES}"))
        cells = [cell for cell in lesson["cells"] if "<summary>Teaching note<" not in "".join(cell["source"])]
        source[0] = json.dumps(lesson | {"cells": [for_readers(cell) for cell in cells]})


def read_readme(app, path, docname, content):
    """Take a part of the README: its addresses name the repository, and GitHub shows what is not part of the site."""
    text = content[0].replace("YOU/mnist-digit-classification", REPOSITORY).replace("](#", "](README.md#")
    content[0] = re.sub(r"\]\((?!https?:|notebooks/)", f"]({FILES}", text)


def setup(app):
    """Let Sphinx call these functions when it reads a lesson and the README."""
    app.connect("source-read", read_lesson)
    app.connect("include-read", read_readme)
