"""mprotect: entries, batches, and the counts that Linux has on arm64."""

from __future__ import annotations

import pytest

from arches.generic import arch as generic
from core_mm import uapi
from core_mm.mm_types import EACCES, EINVAL, ENOMEM, SIGSEGV
from tests.support.computer import ANON, BASE, PAGE, Computer

READ, WRITE = uapi.ACCESS_READ, uapi.ACCESS_WRITE


def test_what_is_protected_faults(engine: str) -> None:
    """Read-only memory takes reads, PROT_NONE takes nothing, and both keep their pages."""
    made = Computer(engine)
    made.map(0, 8)
    made.touch(0, 8)
    assert made.protect(2, 2, 1) == 0 and made.protect(4, 2, 0) == 0
    assert made.touch(2, access=READ) == 0 and made.touch(2) == -SIGSEGV
    assert made.touch(4, access=READ) == -SIGSEGV and made.touch(4) == -SIGSEGV
    assert made.touch(0, 2) == 0 and made.touch(6, 2) == 0
    assert made.protect(0, 8, 3) == 0 and made.touch(0, 8) == 0
    assert made.field("MM", "rss_anon", made.mm()) == 8


def test_a_hole_stops_mprotect_but_not_what_came_before(engine: str) -> None:
    """-ENOMEM at the gap; the VMAs below it are changed (do_mprotect_pkey)."""
    made = Computer(engine)
    made.map(0, 4)
    made.map(8, 4)
    assert made.protect(0, 12, 1) == -ENOMEM
    assert made.vmas() == [(0, 4, 1), (8, 12, 3)]
    assert made.protect(5, 2, 1) == -ENOMEM
    assert made.do(uapi.OP_MPROTECT, BASE + 1, PAGE, 1) == -EINVAL
    assert made.protect(0, 0, 1) == 0


def test_the_first_write_to_shared_memory_may_not_exceed_the_mapping(engine: str) -> None:
    """VM_MAYWRITE is set for all our files; a mapping without it refuses PROT_WRITE."""
    made = Computer(engine)
    made.map(0, 4, prot=1)
    row = next(made.vma_rows())
    made.machine.memory.tables["VMA"]["vm_flags"][row] &= ~0x20
    assert made.protect(0, 4, 3) == -EACCES


@pytest.mark.parametrize(
    ("release", "order", "reads", "writes", "folds", "unfolds"),
    [
        ("6.12", 0, 1536, 1024, 0, 0),
        ("6.12", 4, 2560, 3072, 32, 32),
        ("7.3", 0, 1536, 1024, 0, 0),
        ("7.3", 4, 96, 1024, 0, 0),
    ],
)
def test_read_only_for_a_whole_table_costs_what_linux_pays(
    engine: str, release: str, order: int, reads: int, writes: int, folds: int, unfolds: int
) -> None:
    """6.12 unfolds each block at its first entry and folds it at its last; 7.3 changes whole blocks.

    By hand: order 0, three reads and two writes a page. Order 4 on 6.12, a block: 17+1+1 reads for
    slot 0, 3 each for 14 more, 3+16 for the last; 32 writes to unfold, 32 to change, 32 to fold. 7.3: 3 reads to
    gather and 32 writes.
    """
    made = Computer(engine, order=order, release=release)
    made.map(0, 512)
    made.touch(0, 512)
    made.since("pte_read", "pte_write", "fold", "unfold")
    made.protect(0, 512, 1)
    assert made.since("pte_read", "pte_write", "fold", "unfold") == [reads, writes, folds, unfolds]


def test_exclusive_pages_become_writable_at_once_shared_ones_by_a_fault(engine: str) -> None:
    """After fork a page is not exclusive any more; mprotect back to RW must leave it to the write fault."""
    made = Computer(engine, release="7.3", order=4)
    made.map(0, 16)
    made.touch(0, 16)
    made.do(uapi.OP_FORK, 1)
    made.touch(5)  # copied: exclusive again
    made.protect(0, 16, 1)
    made.protect(0, 16, 3)
    made.since("fault")
    made.touch(5)
    assert made.since("fault") == [0]
    made.touch(6)
    assert made.since("fault") == [1]


@pytest.mark.parametrize("release", ["6.12", "7.3"])
def test_one_gather_flushes_vma_by_vma(engine: str, release: str) -> None:
    """Architectures that cannot merge VMAs flush at the end of each (tlb_end_vma)."""
    made = Computer(engine, arch=generic, release=release)
    made.map(0, 4)
    made.map(4, 4, flags=ANON | uapi.MAP_NORESERVE)
    made.touch(0, 8)
    made.since("tlb_gather_mmu", "gather_flush_vma")
    made.protect(0, 8, 1)
    assert made.since("tlb_gather_mmu", "gather_flush_vma") == [1, 2]


@pytest.mark.parametrize("release", ["6.12", "7.3"])
def test_a_huge_page_changes_whole_or_is_split(engine: str, release: str) -> None:
    """The VMA border splits a PMD mapping; a whole one stays mapped by the PMD."""
    made = Computer(engine, order=9, release=release)
    made.map(0, 512)
    made.touch(0)
    made.since("split_pmd")
    made.protect(0, 512, 1)
    made.protect(0, 512, 3)
    assert made.since("split_pmd") == [0]
    made.since("fault")
    assert made.touch(100) == 0
    made.protect(64, 64, 1)
    assert made.since("split_pmd") == [1]
    assert made.touch(64) == -SIGSEGV and made.touch(128) == 0
