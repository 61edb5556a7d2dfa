"""arches/README.md names every hook, and nothing that is none."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import pytest

from core_mm import hookspecs

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "arches" / "README.md").read_text()
GROUPS = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", PAGE, re.M | re.S))
LOOKS_LIKE_A_HOOK = re.compile(r"`((?:pte|ptep|pmd|pmdp|set|clear|flush|tlb|arch|swp|update)_\w+)`")
NO_HOOKS = {"tlb_model", "tlb_get_unmap_size"}


def test_the_groups() -> None:
    """From what is needed to what is rare."""
    assert list(GROUPS) == [
        "Minimal", "TLB", "Batches", "Contiguous", "PMD leaves", "Aging", "Swap", "Is it right?",
    ]  # fmt: skip


@pytest.mark.parametrize("name", hookspecs.HOOKS)
def test_every_hook_is_in_a_group(name: str) -> None:
    """So that an author meets it."""
    assert any(f"`{name}`" in text for text in GROUPS.values())


def test_every_name_is_a_hook() -> None:
    """A hook that is renamed is renamed here."""
    assert set(LOOKS_LIKE_A_HOOK.findall(PAGE)) - NO_HOOKS <= set(hookspecs.HOOKS)


def test_every_import_exists() -> None:
    """The table of what an architecture may import names things that are there."""
    rows = re.findall(r"^\| `(core_mm\.\w+)` \| (.*) \|$", PAGE, re.M)
    assert len(rows) >= 7
    for module, what in rows:
        space = vars(import_module(module))
        names = set(re.findall(r"`(\w+)`", what)) - {"mmu_access"}
        assert names - space.keys() == set()
