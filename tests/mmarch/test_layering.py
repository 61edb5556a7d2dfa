"""The arrows mmarch -> core_mm <- arches, as import-linter sees them."""

from __future__ import annotations

from pathlib import Path

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
