"""A hook that breaks its contract at run time is named, with its plugin and its line (MM011)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.mmarch.conftest import Ran
from tests.support.plugins import Plugins, line_of
from tests.support.scenarios import TINY

BODY = """
@hookimpl
def update_mmu_cache_range(vmf: int, vma: int, addr: int, ptep: int, nr: int) -> int:  #AT hook
    {statement}  #AT statement

arch = descriptor()
"""


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """A scenario file."""
    path = tmp_path / "tiny.scn"
    path.write_text(TINY)
    return path


@pytest.mark.parametrize("statement", ["return None", "pass", "return 1.5", "return '0'", "return 1 << 63"])
def test_mm011_no_integer(plugins: Plugins, tiny: Path, mmarch: Callable[..., Ran], statement: str) -> None:
    """None would pass for "ask the next plugin", and anything but 64 bits cannot be stored."""
    path = plugins.install(BODY.format(statement=statement))
    ran = mmarch("run", "--arch", "toy", "--engine", "interpreted", tiny)
    assert ran.code == 3
    assert ran.err.startswith("mmarch: MM011: hook update_mmu_cache_range returned ")
    assert f"toy, {path}:{line_of(path, '@hookimpl')}" in ran.err
    assert "Traceback" not in ran.err
    assert ran.out == ""


def test_mm011_raises(plugins: Plugins, tiny: Path, mmarch: Callable[..., Ran]) -> None:
    """The exception, and the line of the plugin that it came from."""
    path = plugins.install(BODY.format(statement="return 1 // (nr - nr)"))
    ran = mmarch("run", "--arch", "toy", "--engine", "interpreted", tiny)
    assert ran.code == 3
    assert "hook update_mmu_cache_range of plugin toy raised ZeroDivisionError" in ran.err
    assert f"({path}:{line_of(path, '#AT statement')})" in ran.err


def test_mm011_raises_in_a_helper(plugins: Plugins, tiny: Path, mmarch: Callable[..., Ran]) -> None:
    """The deepest line of theirs is named, not the hook's own."""
    path = plugins.install(
        "def helper():\n    raise KeyError('x')  #AT deep\n" + BODY.format(statement="return helper()")
    )
    ran = mmarch("run", "--arch", "toy", "--engine", "interpreted", tiny)
    assert ran.code == 3
    assert f"raised KeyError: 'x' ({path}:{line_of(path, '#AT deep')})" in ran.err


def test_traceback_on_request(plugins: Plugins, tiny: Path, mmarch: Callable[..., Ran]) -> None:
    """--traceback shows where it came from, and still the one message."""
    plugins.install(BODY.format(statement="raise ValueError"))
    ran = mmarch("--traceback", "run", "--arch", "toy", "--engine", "interpreted", tiny)
    assert ran.code == 3
    assert "Traceback" in ran.err
    assert ran.err.splitlines()[-1].startswith("mmarch: MM011")


def test_not_linkable_falls_back(plugins: Plugins, tiny: Path, mmarch: Callable[..., Ran]) -> None:
    """A hook outside the linkable subset is interpreted, and a note says why."""
    path = plugins.install(BODY.format(statement="return len([nr]) - 1"))
    big = path.parent.parent / "big.scn"
    big.write_text(TINY.replace("512", "8192"))
    ran = mmarch("run", "--arch", "toy", "--json", big)
    assert ran.code == 0, ran.err
    assert '"engine": "interpreted"' in ran.out
    assert f"interpreting, because this does not link: {path}:{line_of(path, '#AT statement')}" in ran.err


def test_missing_return_is_not_linked(plugins: Plugins, tiny: Path, mmarch: Callable[..., Ran]) -> None:
    """Linked code would take a missing result for 0; both engines have to refuse it alike."""
    path = plugins.install(BODY.format(statement="vmf = 1"))
    ran = mmarch("run", "--arch", "toy", "--engine", "linked", tiny)
    assert ran.code == 2
    assert f"may end without a result (line {line_of(path, '#AT statement')})" in ran.err
