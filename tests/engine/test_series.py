"""Series in both engines: the same counts and memory with one, and without it again none of it."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from types import FunctionType
from typing import Any

import pytest

from arches.arm64 import arch as arm64
from arches.generic import arch as generic
from core_mm import hookspecs, syscalls, uapi
from mmarch.engine.changes import Changes
from mmarch.engine.hookimpls import implementations
from mmarch.engine.layout import Layout
from mmarch.engine.lower import Options, lower
from mmarch.engine.machine import declared_modules
from mmarch.engine.program import Program
from mmarch.plugins.series import load_series
from mmarch.plugins.series.checking import core_functions, find_function
from mmarch.plugins.series.scaffold import new_series
from tests.engine.test_equal import ANON, BASE, HUGE, PAGE, RW, assert_equal
from tests.support.images import image
from tests.support.twin import Twin

FILE = Path(__file__).parent / "series" / "one_by_one.py"
FREED = (
    (uapi.OP_MMAP, 1, BASE, HUGE, RW, ANON, -1),
    (uapi.OP_MADVISE, 1, BASE, HUGE, uapi.MADV_HUGEPAGE),
    (uapi.OP_TOUCH, 1, BASE, 512, uapi.ACCESS_WRITE),
    (uapi.OP_MADVISE, 1, BASE, 64 * PAGE, uapi.MADV_FREE),
    (uapi.OP_MADVISE, 1, BASE, HUGE, uapi.MADV_PAGEOUT),
)
NONE = Changes()


def run(arch: str, engine: str, changes: Changes = NONE, **settings: Any) -> Twin:
    """64 pages given up and 512 paged out, 64K folios, release 7.3."""
    names = frozenset({"one_by_one"}) if changes.replaced else frozenset()
    twin = Twin(
        engine, arch=arch, order=4, release="7.3", memory=64 << 20, changes=changes, with_=names,
        options=Options(attribute=True), **settings,
    )  # fmt: skip
    for row in FREED:
        assert twin.do(*row) >= 0
    return twin


@pytest.mark.parametrize(
    ("arch", "event", "other"), [("arm64", "told_arm64", "told"), ("generic", "told", "told_arm64")]
)
def test_both_engines_do_what_the_series_says(arch: str, event: str, other: str) -> None:
    """The hook is told of each of the 64 pages, by the implementation of the architecture that runs."""
    changes = load_series(str(FILE)).changes
    twins = (run(arch, "interpreted", changes), run(arch, "linked", changes))
    for twin in twins:
        assert (twin.machine.total(event), twin.machine.total(other)) == (64, 0)
    assert_equal(twins)


@pytest.mark.parametrize("engine", ["interpreted", "linked"])
def test_nothing_is_left_of_a_series(engine: str) -> None:
    """A run after one with the series is as the one before; the one with it unmaps folios page by page."""
    changes = load_series(str(FILE)).changes
    before, with_, after = run("arm64", engine), run("arm64", engine, changes), run("arm64", engine)
    assert image(before.machine.memory) == image(after.machine.memory)
    assert before.counts() == after.counts()
    assert (
        with_.counts()["folio_remove_rmap_ptes"] == before.counts()["folio_remove_rmap_ptes"] + 60
    )  # 64 - 4 folios


def test_an_implementation_can_be_withheld() -> None:
    """As one of the architecture itself: the default runs."""
    changes = load_series(str(FILE)).changes
    twin = run("arm64", "interpreted", changes, without=frozenset({"arch_lazyfree_page"}))
    assert (twin.machine.total("told"), twin.machine.total("told_arm64")) == (64, 0)


@cache
def plain() -> str:
    """Without a series."""
    return assembly({})


def assembly(replaced: dict[FunctionType, FunctionType]) -> str:
    """Everything that arm64 links, as LLVM is given it."""
    winners = {**implementations(generic), **implementations(arm64)}
    roots = [f for f in (syscalls.boot, syscalls.run_operations) if isinstance(f, FunctionType)]
    layout = Layout.of(declared_modules([generic, arm64]), hookspecs.HOOKS)
    return lower(Program(roots, winners, implementations(generic), replaced), layout, Options())


COPIED = (
    "core_mm.unmap", "core_mm.memory.zap", "core_mm.memory.copy", "core_mm.mprotect", "core_mm.mmu_gather",
    "core_mm.memory.fault",
)  # fmt: skip


@pytest.mark.parametrize("module", COPIED)
def test_a_replacement_costs_what_the_function_costs(module: str, tmp_path: Path) -> None:
    """Copies of all functions of a module, as replacements of them, give LLVM the same text to the letter."""
    names = [name for name in core_functions() if name.rpartition(".")[0] == module]
    path = new_series("copies", names, output=str(tmp_path / "copies.py"))
    series = load_series(str(path))
    assert series.stale == ()
    replaced = dict(series.changes.replaced)
    assert sorted(replaced, key=str) == sorted(map(find_function, names), key=str)
    assert all(new.__code__.co_filename == str(path) for new in replaced.values())
    assert assembly(replaced) == plain()


def test_what_is_replaced_is_linked(tmp_path: Path) -> None:
    """A copy that was changed is in the text, so that the test before this one can fail."""
    path = new_series("copies", ["core_mm.unmap.map_pte"], output=str(tmp_path / "copies.py"))
    path.write_text(path.read_text().replace("return pte_present", "return 4711 + pte_present"))
    changed = assembly(dict(load_series(str(path)).changes.replaced))
    assert "4711" in changed
    assert "4711" not in plain()


def test_functions_that_can_be_replaced() -> None:
    """All of core-mm's that are no hooks."""
    names = core_functions()
    assert "core_mm.unmap.try_to_unmap_ptes" in names
    assert not [name for name in names if name.rpartition(".")[2] in hookspecs.HOOKS]
