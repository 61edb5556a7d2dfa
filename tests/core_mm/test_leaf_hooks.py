"""Hooks of 7.3 that compare entries, or clear or invalidate leaves, called in both engines; and room for all hooks."""

from __future__ import annotations

import pytest

from core_mm import uapi
from core_mm.hookspecs import HOOKS
from core_mm.vmstat import HOOKS as ROWS
from tests.support.leaf_calls import CALLS
from tests.support.twin import Twin

AT, SIZE = 1 << 38, 2 << 20
FLAGS = uapi.MAP_PRIVATE | uapi.MAP_ANONYMOUS | uapi.MAP_FIXED
VALID, AF, RDONLY, DIRTY = 1, 1 << 10, 1 << 7, 1 << 55  # arm64; a leaf is valid and no table (bit 1)
LEAF = 512 << 12 | VALID | AF
PRESENT_INVALID = 1 << 11


@pytest.fixture(params=["interpreted", "linked"])
def engine(request: pytest.FixtureRequest) -> str:
    """Both engines."""
    return str(request.param)


class Leaf(Twin):
    """A huge page of task 1, written, whose PMD can be set and read."""

    def __init__(self, engine: str, release: str) -> None:
        super().__init__(engine, order=9, roots=CALLS, release=release)
        assert self.do(uapi.OP_MMAP, 1, AT, SIZE, 3, FLAGS, -1) == AT
        assert self.do(uapi.OP_MADVISE, 1, AT, SIZE, uapi.MADV_HUGEPAGE) == 0
        assert self.do(uapi.OP_TOUCH, 1, AT, 1, uapi.ACCESS_WRITE) == 0
        tables = self.machine.memory.tables
        self.mm = int(tables["TASK"]["mm"][2])
        self.vma = int(tables["MM"]["mmap"][self.mm])
        self.pmdp = self._pmdp()

    def _pmdp(self) -> int:
        """The one entry that is a valid block."""
        ptes = self.machine.memory.arrays["ptes"]
        (found,) = ((ptes & 3) == VALID).nonzero()[0].tolist()
        return int(found)

    @property
    def pmd(self) -> int:
        """What it says."""
        return int(self.machine.memory.arrays["ptes"][self.pmdp])

    def flushes(self) -> int:
        """TLBIs so far."""
        return sum(count for name, count in self.counts().items() if name.startswith("tlbi_"))


def test_pte_same(engine: str) -> None:
    """Every bit counts on arm64, which has the default."""
    call = Leaf(engine, "7.3").machine.call
    assert [call("same", LEAF, other) for other in (LEAF, LEAF | DIRTY, LEAF + 4096)] == [1, 0, 0]


@pytest.mark.parametrize(("release", "software"), [("6.12", 1), ("7.3", 0)])
def test_huge_pmd_needs_flush(engine: str, release: str, software: int) -> None:
    """Always; since 6.19 not for a change of software bits alone (c320dbb7c80d)."""
    call = Leaf(engine, release).machine.call
    assert call("needs_flush", LEAF, LEAF | RDONLY) == 1
    assert call("needs_flush", LEAF, LEAF | DIRTY) == software


def test_pmdp_huge_get_and_clear(engine: str) -> None:
    """What was there comes back, nothing stays, nothing is flushed."""
    leaf = Leaf(engine, "7.3")
    was, flushes = leaf.pmd, leaf.flushes()
    assert leaf.machine.call("get_and_clear", leaf.mm, AT, leaf.pmdp) == was
    assert (leaf.pmd, leaf.flushes()) == (0, flushes)


def test_pmdp_invalidate_ad(engine: str) -> None:
    """What was there comes back; it stays as a leaf that is not valid, and is flushed (the default of arm64)."""
    leaf = Leaf(engine, "7.3")
    was, flushes = leaf.pmd, leaf.flushes()
    assert leaf.machine.call("invalidate_ad", leaf.vma, AT, leaf.pmdp) == was
    assert leaf.pmd == was & ~VALID | PRESENT_INVALID
    assert leaf.flushes() > flushes


def test_every_hook_has_a_row_of_counters() -> None:
    """Row 0 is core-mm itself; a hook beyond the last row would count into the next operation's."""
    assert len(HOOKS) < ROWS
