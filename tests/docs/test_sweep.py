"""The one-liners for DuckDB in the how-to about sweeps run, on the store that its commands make."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from mmarch.cli import main
from tests.support.pages import ROOT, blocks

PAGE = ROOT / "docs" / "how-to" / "a-sweep.md"
QUERIES = [block for block in blocks(PAGE) if block.kind == "sql"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With the page's files, and its store."""
    made = tmp_path_factory.mktemp("page")
    for block in blocks(PAGE):
        if name := block.after("file:"):
            (made / name).write_text(block.text)
    assert main(["sweep", str(made / "grid.toml"), "-o", str(made / "zap"), "-q"]) == 0
    return made


@pytest.mark.parametrize("query", QUERIES, ids=lambda block: block.after("duckdb:"))
def test_a_query_answers(query: object, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With rows."""
    monkeypatch.chdir(folder)
    assert duckdb.sql(query.text).fetchall()  # type: ignore[attr-defined]


def test_what_the_queries_say(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without folios 512 written pages are 512 faults, with 64K folios 32, each on two CPUs with four values of n and
    two releases; each n has TLBIs; and all of the 32 points are in the log."""
    monkeypatch.chdir(folder)
    by_n, releases, faults, log = (duckdb.sql(block.text).fetchall() for block in QUERIES)
    assert [row[0] for row in by_n] == [4, 16, 64, 256] and all(0 < row[1] <= row[2] for row in by_n)
    assert len(releases) == 8
    assert sorted(faults) == [("", 16 * 512), ("4", 16 * 32)]
    assert sum(row[1] for row in log) == 32
