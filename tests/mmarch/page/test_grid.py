"""The page of a sweep: what it holds, and what a browser makes of it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mmarch import api
from mmarch.cli import main
from mmarch.errors import InputError
from mmarch.page import grid as pages


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """n pages without folios are n faults, on two CPUs."""
    folder = tmp_path_factory.mktemp("page")
    (folder / "<b>.scn").write_text("scenario many\nparam n = 4\nmap A n\nwrite A\nend\n")
    (folder / "grid.toml").write_text(
        '[axes]\nworkload = "*.scn"\nfolio-orders = "none"\ncpu = ["neoverse-n1", "neoverse-n2"]\n'
        "[axes.set]\nn = [1, 4, 16]\n"
    )
    assert main(["sweep", str(folder / "grid.toml"), "-o", str(folder / "store"), "-q"]) == 0
    return folder / "store"


def test_the_page_holds_the_counts(store: Path, tmp_path: Path) -> None:
    """Axes that vary as numbers of their values; a count that is the same everywhere is left out."""
    assert main(["report", str(store), "-o", str(tmp_path / "x.html")]) == 0
    text = (tmp_path / "x.html").read_text()
    found = re.search(r'id="data">(.*?)</script>', text, re.S)
    assert found
    data = json.loads(found[1])
    assert [axis["name"] for axis in data["axes"]] == ["cpu", "n"]
    assert (data["axes"][data["x"]]["name"], data["axes"][data["line"]]["name"]) == ("n", "cpu")
    faults = next(count for count in data["counts"] if count["heading"] == "faults")
    assert faults["least"] == [1, 4, 16] * 2 and faults["most"] is None
    assert "operations" not in [count["heading"] for count in data["counts"]]


def test_too_many_points_become_ranges(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The axis with most values goes, and the page says so."""
    monkeypatch.setattr(pages, "MOST", 3)
    data = pages.data(api.read_sweep(store), "x")
    assert [axis["name"] for axis in data["axes"]] == ["cpu"]
    faults = next(count for count in data["counts"] if count["heading"] == "faults")
    assert (faults["least"], faults["most"]) == ([1, 1], [16, 16])
    assert "those that differ in n alone are one, a range" in data["notes"][1]


def test_a_store_stands_alone(store: Path) -> None:
    """Neither beside another input nor in configurations."""
    with pytest.raises(InputError, match="the store of a sweep has a page of its own"):
        api.make_page([str(store), "redis-bgsave"])
    with pytest.raises(InputError, match="the store of a sweep has a page of its own"):
        api.make_page(str(store), [{"release": "6.12"}, {"release": "7.3"}])
    with pytest.raises(InputError, match="no store of a sweep"):
        api.make_page(str(store.parent))


def test_in_a_browser(store: Path, tmp_path: Path, browser: Any, mmarch: Callable[..., object]) -> None:
    """It draws a line for each CPU, the table has the faults, a filter leaves values out; the console is silent."""
    page = tmp_path / "x.html"
    mmarch("report", store, "-o", page)
    browser.open(page)
    choose = (
        "const [label, text] = arguments; const menu = [...document.querySelectorAll('.controls label')]"
        ".find((l) => l.firstChild.textContent === label).querySelector('select');"
        "menu.value = [...menu.options].find((o) => o.textContent === text).value;"
        "menu.dispatchEvent(new Event('change'))"
    )
    browser.run(choose, "count", "faults")
    assert len(browser.texts("#drawn .curve")) == 2
    assert browser.texts("#listed tbody td") == ["1", "1", "4", "4", "16", "16"]
    browser.run(choose, "only cpu", "neoverse-n1")
    assert browser.texts("#listed tbody td") == ["1", "–", "4", "–", "16", "–"]
    browser.run(choose, "a line for each", "nothing")
    assert browser.texts("#listed tbody td") == ["1", "4", "16"]
    assert browser.errors() == []
    assert browser.requests() == [page.as_uri()]
