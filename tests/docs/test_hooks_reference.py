"""The reference of hooks is complete and up to date, and no hook goes untested."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from core_mm import hookspecs
from mmarch.engine.hookimpls import parameters
from tools import hooks_reference

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reference" / "hooks.md").read_text()
TESTS = [*(ROOT / "tests").rglob("*.py"), *(ROOT / "examples").glob("*/tests/*.py")]
WORDS = {word for path in TESTS for word in re.findall(r"\w+", path.read_text())}


def test_it_is_up_to_date() -> None:
    """Run `python tools/hooks_reference.py` after a change of core_mm/hookspecs.py."""
    assert hooks_reference.main(["--check"]) == 0


@pytest.mark.parametrize("name", hookspecs.HOOKS)
def test_every_hook_has_a_heading(name: str) -> None:
    """With its argument list, and a contract below it."""
    heading = f"### `{name}({', '.join(parameters(getattr(hookspecs, name)))})`\n\n"
    assert PAGE.count(heading) == 1
    assert len(PAGE.split(heading)[1].split("\n")[0]) > 10


@pytest.mark.parametrize("name", hookspecs.HOOKS)
def test_every_hook_is_tested(name: str) -> None:
    """At least one test mentions it."""
    assert name in WORDS


def test_every_hook_belongs_to_a_group() -> None:
    """The groups of the source are the page's, in order, and the first hook comes after the first."""
    titles = [title for _, title in hooks_reference.sections(hooks_reference.SOURCE.read_text())]
    assert re.findall(r"^## (.*)$", PAGE, re.M) == titles
    assert PAGE.index("\n## ") < PAGE.index("\n### ")
