"""The arrows mmarch -> core_mm <- arches, as import-linter sees them."""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parents[2]


def test_imports_follow_the_arrows(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every contract of pyproject.toml is kept."""
    from importlinter.cli import lint_imports

    monkeypatch.chdir(ROOT)
    code = lint_imports(config_filename=str(ROOT / "pyproject.toml"), no_cache=True)
    assert code == 0, capsys.readouterr().out


def test_files_stay_small() -> None:
    """A file holds one concept: no shipped one has more than 700 lines."""
    long = {
        str(path.relative_to(ROOT)): lines
        for package in ("core_mm", "arches", "mmarch")
        for path in (ROOT / package).rglob("*.py")
        if (lines := len(path.read_text().splitlines())) > 700
    }
    assert long == {}


@pytest.mark.parametrize("package", ["mmarch", "core_mm", "arches"])
def test_no_circle_of_files(package: str) -> None:
    """No file imports, through others, itself; imports inside functions count."""
    graph = grimp.build_graph(package, cache_dir=None)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    assert list(TopologicalSorter(imports).static_order())


def test_a_circle_is_seen() -> None:
    """The sorter that the test above rests on refuses a circle."""
    with pytest.raises(CycleError):
        list(TopologicalSorter({"a": {"b"}, "b": {"a"}}).static_order())
