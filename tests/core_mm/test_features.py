"""Features have names; code reads these, never the number of a release."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from arches.arm64.features import arch_feature as arm64
from core_mm.feature import Feature
from core_mm.features import feature as core
from core_mm.hookspecs import HOOKS
from core_mm.releases import RELEASES, features

ROOT = Path(__file__).parents[2]
KERNEL = (ROOT / "core_mm", ROOT / "arches", *(ROOT / "examples").glob("*/src"))
ABOUT_RELEASES = ("releases.py",)
TABLES = {"core": core.table, "arm64": arm64.table}
EVERY = [*core.table.values(), *arm64.table.values()]


def sources() -> Iterator[tuple[Path, ast.Module]]:
    """Every file of the kernel's side, but the one that is about releases."""
    for folder in KERNEL:
        for path in sorted(folder.rglob("*.py")):
            if path.name not in ABOUT_RELEASES:
                yield path, ast.parse(path.read_text())


def names(node: ast.AST) -> set[str]:
    """All names and attributes within."""
    inner = list(ast.walk(node))
    attributes = {item.attr for item in inner if isinstance(item, ast.Attribute)}
    return attributes | {item.id for item in inner if isinstance(item, ast.Name)}


def test_no_comparison_with_a_release() -> None:
    """Nothing called release is read or compared, and nobody imports the releases."""
    found = []
    for path, tree in sources():
        for node in ast.walk(tree):
            compared = isinstance(node, ast.Compare) and any("release" in name for name in names(node))
            read = isinstance(node, ast.Attribute) and node.attr in ("release", "releases", "version")
            imported = isinstance(node, ast.ImportFrom) and str(node.module).endswith("releases")
            if compared or read or imported:
                found.append(f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}")
    assert found == []


@pytest.mark.parametrize("item", EVERY, ids=lambda item: item.name)
def test_a_feature_says_what_it_is(item: Feature) -> None:
    """One sentence, a release that can be ordered, and what it rests on."""
    assert item.summary and not item.summary.endswith(".")
    assert item.source
    for name in (item.since, *item.also, *([item.until] if item.until else [])):
        assert name in RELEASES or re.fullmatch(r"\d\.\d+", name)
    known = {other.name for other in EVERY}
    assert {*item.requires, *item.excludes} <= known


def test_one_namespace() -> None:
    """No feature bears another's name, or a hook's."""
    listed = [item.name for item in EVERY]
    assert len(set(listed)) == len(listed)
    assert not set(listed) & set(HOOKS)


def test_every_feature_is_read() -> None:
    """By code that does something else without it."""
    read = set()
    for _, tree in sources():
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                if node.value.id in ("feature", "arch_feature"):
                    read.add(node.attr)
    assert {item.name for item in EVERY} - read == set()


@pytest.mark.parametrize("release", RELEASES)
def test_releases_go_together(release: str) -> None:
    """What a release has has what it requires, and nothing that it excludes."""
    has = features(release, EVERY)
    for item in EVERY:
        if item.name in has:
            assert set(item.requires) <= has
            assert not set(item.excludes) & has


def test_the_series_is_what_it_was() -> None:
    """The third version asks how much space there is, the fourth reserves it and asks for hints; 6.12 does neither."""
    assert features("6.7", EVERY) == frozenset()
    assert features("contpte-v3", EVERY) == {"tlb_get_guaranteed_space", "fork_cont_batch"}
    assert features("contpte-v4", EVERY) == {"tlb_reserve_space", "fork_cont_batch", "batch_hint"}
    six = {"zap_batch", "fork_batch", "gather_pairs", "batch_hint", "split_to_zeropage"}
    six |= {
        "madvise_free_batch",
        "contpte_flags_of_each",
        "pte_mkwrite_keeps_clean",
    }  # the last two by way of 6.12.y
    assert features("6.12", EVERY) == six


def test_what_went_again() -> None:
    """BBML2 without aborts was enough from 6.17 on, until 7.3 asked for BBML3."""
    flush = {"contpte_elide_bbml2", "contpte_elide_bbml3"}
    assert features("7.2", EVERY) & flush == {"contpte_elide_bbml2"}
    assert features("7.3", EVERY) & flush == {"contpte_elide_bbml3"}
    assert features("7.3", EVERY) - features("7.2", EVERY) == {
        "contpte_elide_bbml3", "contpte_invalid_unfolded", "fault_keeps_lru_batches", "madv_cold_pmd_young",
    }  # fmt: skip
