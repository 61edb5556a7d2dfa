"""The documentation as a site: it builds without a warning, needs no network, and leads to every page."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.test_index import DOCS, ROOT

pytest.importorskip("sphinx", reason="not installed: pip install -e '.[docs]'")
LOADED = re.compile(r"<(?:script|img|iframe|link)\b[^>]*?\b(?:src|href)=\"([^\"#]+)\"[^>]*>")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built with warnings as errors, by a Python that cannot open a connection."""
    folder = tmp_path_factory.mktemp("site")
    build = (
        "import socket, sys\n"
        "def refuse(*given): raise OSError('the site is built without network')\n"
        "socket.socket.connect = refuse\n"
        "from sphinx.cmd.build import main\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    options = ["-W", "--keep-going", "-n", "-q", "-c", "docs", "-d", str(folder / "doctrees"), "."]
    done = subprocess.run(
        [sys.executable, "-c", build, *options, str(folder / "html")],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return folder / "html"


def test_every_page_is_built(site: Path) -> None:
    """Those of docs/, and the front page leads to the index."""
    pages = [path.relative_to(ROOT).with_suffix(".html") for path in DOCS.rglob("*.md")]
    assert [page for page in pages if not (site / page).exists()] == []
    assert 'url=docs/README.html"' in (site / "index.html").read_text("utf-8")


def test_the_side_bar_leads_to_every_page(site: Path) -> None:
    """In sections named as in the index."""
    index = (site / "docs" / "README.html").read_text("utf-8")
    bar = index.partition('class="sidebar-tree"')[2].partition("</div>")[0]
    captions = re.findall(r'class="caption-text">([^<]+)<', bar)
    assert captions == [
        "Begin",
        *re.findall(r"^## (.+)$", (DOCS / "README.md").read_text("utf-8"), re.MULTILINE),
    ]
    linked = {(site / "docs" / href).resolve() for href in re.findall(r'href="([^"#]+)"', bar)}
    assert {page for page in site.rglob("docs/**/*.html")} - {site / "docs" / "README.html"} <= linked


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    """Scripts, style sheets and images lie beside the pages; a reader's links may lead out."""
    pages = list(site.rglob("*.html"))
    loaded = {(page, url) for page in pages for url in LOADED.findall(page.read_text("utf-8"))}
    assert len(loaded) > len(pages)
    assert {url for _, url in loaded if re.match(r"(https?:)?//", url)} == set()
    styles = "".join(sheet.read_text("utf-8") for sheet in site.rglob("*.css"))
    assert re.findall(r"url\(\s*[\"']?(?:https?:)?//[^)]*\)|@import", styles) == []
    missing = [url for page, url in loaded if not (page.parent / url.partition("?")[0]).exists()]
    assert missing == []


def test_search_finds_hooks_and_features(site: Path) -> None:
    """The index that the search reads has their names."""
    text = (site / "searchindex.js").read_text("utf-8")
    assert all(name in text for name in ("clear_ptes", "mprotect_batch", "contpte"))
