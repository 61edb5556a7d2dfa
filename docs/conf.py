"""The documentation as a site: ``sphinx-build -W --keep-going -n -c docs . SITE``, without network.

Its pages are the Markdown files of the repository as they stand, so that they read the same on a code host; their
folder is the root, because they link to each other across it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mmarch import __version__

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "mmarch"
release = version = __version__
copyright = "the authors of mmarch, MIT licence"
extensions = ["myst_parser"]
root_doc = "docs/README"
include_patterns = ["*.md", "docs/**.md", "arches/*.md", "examples/**.md", "tests/measured/*.md"]
exclude_patterns = ["**/.venv", "**/node_modules"]
myst_heading_anchors = 4

html_theme = "furo"
html_title = f"mmarch {version}"
html_copy_source = False
html_additional_pages = {"index": "index.html"}
templates_path = ["_templates"]

SECTION = re.compile(r"^## (.+)\n", re.MULTILINE)
LINK = re.compile(r"\]\(([^)#:]+)\.md\)")


def navigation(index: str) -> str:
    """Tables of contents for the side bar: the sections of the index, each with the pages it links to."""
    before, *sections = SECTION.split(index)
    parts = [("Begin", before), *zip(sections[::2], sections[1::2], strict=True)]
    return "\n".join(
        f"```{{toctree}}\n:hidden:\n:caption: {title}\n\n" + "\n".join(LINK.findall(text)) + "\n```\n"
        for title, text in parts
    )


def add_navigation(app: Sphinx, name: str, content: list[str]) -> None:
    """To the index alone, whose plain Markdown has none."""
    if name == root_doc:
        content[0] += "\n" + navigation(content[0])


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("source-read", add_navigation)
