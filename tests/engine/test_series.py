"""Series in both engines: the same counts and memory with one, and without it again none of it."""

from __future__ import annotations

import inspect
from pathlib import Path
from types import FunctionType
from typing import Any

import pytest

from arches.arm64 import arch as arm64
from arches.generic import arch as generic
from core_mm import hookspecs, syscalls, uapi
from core_mm.series import REPLACES
from mmarch.engine.changes import Changes
from mmarch.engine.hookimpls import implementations
from mmarch.engine.layout import Layout
from mmarch.engine.lower import Options, lower
from mmarch.engine.machine import declared_modules
from mmarch.engine.program import Program
from mmarch.plugins.series import load_series
from mmarch.plugins.series.checking import core_functions, find_function
from tests.engine.test_equal import ANON, BASE, HUGE, PAGE, RW, assert_equal
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
    assert before.machine.memory.image() == after.machine.memory.image()
    assert before.counts() == after.counts()
    assert (
        with_.counts()["folio_remove_rmap_ptes"] == before.counts()["folio_remove_rmap_ptes"] + 60
    )  # 64 - 4 folios


def test_an_implementation_can_be_withheld() -> None:
    """As one of the architecture itself: the default runs."""
    changes = load_series(str(FILE)).changes
    twin = run("arm64", "interpreted", changes, without=frozenset({"arch_lazyfree_page"}))
    assert (twin.machine.total("told"), twin.machine.total("told_arm64")) == (64, 0)


COPIED = [
    "core_mm.unmap.folio_unmap_pte_batch", "core_mm.unmap.try_to_unmap_ptes", "core_mm.memory.zap.zap_present_ptes",
    "core_mm.memory.zap.zap_present_folio_ptes", "core_mm.syscalls.run_operations", "core_mm.mprotect.change_ptes",
]  # fmt: skip


def assembly(replaced: dict[FunctionType, FunctionType]) -> str:
    """Everything that arm64 links, as LLVM is given it."""
    winners = {**implementations(generic), **implementations(arm64)}
    roots = [f for f in (syscalls.boot, syscalls.run_operations) if isinstance(f, FunctionType)]
    layout = Layout.of(declared_modules([generic, arm64]), hookspecs.HOOKS)
    return lower(Program(roots, winners, implementations(generic), replaced), layout, Options())


@pytest.mark.parametrize("name", COPIED)
def test_a_replacement_costs_what_the_function_costs(name: str, tmp_path: Path) -> None:
    """A copy of a function of core-mm, as a replacement of it, gives LLVM the same text to the letter."""
    original = find_function(name)
    assert original is not None
    module = inspect.getmodule(original)
    assert module is not None
    source = inspect.getsource(original)
    names = "\n".join(
        f"from {module.__name__} import {other}" for other in vars(module) if not other.startswith("__")
    )
    text = f'{names}\nfrom core_mm.series import Series, replaces\nseries = Series(name="copy", title="a copy")\n'
    (tmp_path / "copy.py").write_text(f'{text}@replaces("{name}")\n{source}')
    replaced = dict(load_series(str(tmp_path / "copy.py")).changes.replaced)
    assert replaced.keys() == {original}
    assert hasattr(replaced[original], REPLACES)
    assert assembly(replaced) == assembly({})


def test_functions_that_can_be_replaced() -> None:
    """All of core-mm's that are no hooks."""
    names = core_functions()
    assert set(COPIED) <= set(names)
    assert not [name for name in names if name.rpartition(".")[2] in hookspecs.HOOKS]
