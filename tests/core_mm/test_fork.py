"""fork, clone, exec, exit: who shares what, what it flushes, which ASID it runs under."""

from __future__ import annotations

import pytest

from arches.generic import arch as generic
from core_mm import uapi
from core_mm.context import ASID_BITS
from core_mm.mm_types import EINVAL, ENOMEM
from tests.support.computer import Computer

ESRCH = 3


def rss(made: Computer, task: int = 0) -> int:
    """Anonymous pages of a task."""
    return made.field("MM", "rss_anon", made.mm(task))


@pytest.mark.parametrize("order", [0, 4, 9])
def test_a_child_has_the_parents_memory_until_someone_writes(engine: str, order: int) -> None:
    """Same frames and VMAs, write-protected on both sides; a write copies one page (or one huge page)."""
    made = Computer(engine, order=order)
    made.map(0, 512)
    made.touch(0, 512)
    assert made.do(uapi.OP_FORK, 1) == 0
    assert made.vmas(1) == made.vmas(0) == [(0, 512, 3)]
    assert rss(made, 1) == rss(made) == 512
    made.since("fault_cow")
    assert made.touch(7, task=1) == 0
    assert made.since("fault_cow") == [1]
    differ = [
        p for p in range(512) if made.pte(p, 0) >> 12 & 0xFFFFFFFFF != made.pte(p, 1) >> 12 & 0xFFFFFFFFF
    ]
    assert 7 in differ


def test_fork_flushes_the_parent_once(engine: str) -> None:
    """One flush_tlb_mm(oldmm) at the end of dup_mmap, however many VMAs (generic counts it as tlbi_mm)."""
    made = Computer(engine, arch=generic)
    for page in range(0, 100, 10):
        made.map(page, 4)
        made.touch(page, 4)
    made.since("tlbi_mm", "tlbi_page")
    made.do(uapi.OP_FORK, 1)
    assert made.since("tlbi_mm", "tlbi_page") == [1, 0]


def test_advice_decides_what_a_child_gets(engine: str) -> None:
    """MADV_DONTFORK leaves a hole, MADV_WIPEONFORK an empty mapping, no advice a copy."""
    made = Computer(engine)
    made.map(0, 30)
    made.touch(0, 30)
    assert made.advise(10, 10, uapi.MADV_DONTFORK) == 0
    assert made.advise(20, 10, uapi.MADV_WIPEONFORK) == 0
    made.do(uapi.OP_FORK, 1)
    assert made.vmas(1) == [(0, 10, 3), (20, 30, 3)]
    assert rss(made, 1) == 10
    assert made.advise(10, 10, uapi.MADV_DOFORK) == 0
    assert made.advise(20, 10, uapi.MADV_KEEPONFORK) == 0
    assert made.vmas() == [(0, 30, 3)]


def test_file_mappings_without_private_pages_are_not_copied(engine: str) -> None:
    """Faults can fill them again (vma_needs_copy), so that the child begins without entries."""
    made = Computer(engine)
    made.map(0, 8, flags=uapi.MAP_SHARED | uapi.MAP_ANONYMOUS | uapi.MAP_FIXED)
    made.do(uapi.OP_FORK, 1)
    inode = made.field("VMA", "vm_file", next(made.vma_rows(1)))
    assert made.field("INODE", "users", inode) == 2
    assert made.ptes(0, 8, 1) == [0] * 8
    made.do(uapi.OP_EXIT, task=1)
    assert made.field("INODE", "users", inode) == 1


@pytest.mark.parametrize("share", [uapi.OP_VFORK, uapi.OP_CLONE_VM])
def test_threads_share_an_mm_until_the_last_one_leaves(engine: str, share: int) -> None:
    """vfork and clone(CLONE_VM) give the mm itself; exec takes a new one; exit of one keeps the other's."""
    made = Computer(engine)
    made.map(0, 8)
    made.touch(0, 8)
    assert made.do(share, 1) == 0
    assert made.mm(1) == made.mm()
    assert made.touch(3, task=1) == 0
    assert made.do(uapi.OP_EXEC, 0x1000_0000, task=1) == 0
    assert made.mm(1) != made.mm() and made.vmas(1) == []
    assert made.vmas() == [(0, 8, 3)]
    assert made.do(uapi.OP_EXIT, task=1) == 0
    assert rss(made) == 8


def test_operations_of_no_task_are_refused(engine: str) -> None:
    """Unknown, dead and busy task numbers give an error and change nothing."""
    made = Computer(engine)
    assert made.touch(0, task=5) == -ESRCH
    assert made.touch(0, task=-1) == -ESRCH
    assert made.touch(0, task=1 << 40) == -ESRCH
    assert made.do(uapi.OP_FORK, 0) == -EINVAL
    assert made.do(uapi.OP_FORK, 1 << 40) == -EINVAL
    assert made.do(uapi.OP_EXIT) == 0
    assert made.do(uapi.OP_EXIT) == -ESRCH
    assert made.do(99) == -EINVAL and made.do(-1) == -EINVAL


def test_processes_that_came_and_went_leave_nothing(engine: str) -> None:
    """Frames, tables, VMAs, mms and anon_vmas all come back, generation after generation."""
    made = Computer(engine)
    made.map(0, 600)
    made.touch(0, 600)
    for _ in range(5):
        made.do(uapi.OP_FORK, 1)
        made.touch(0, 100, task=1)
        made.do(uapi.OP_FORK, 2, task=1)
        made.touch(50, 100, task=2)
        made.do(uapi.OP_EXIT, task=1)
        made.touch(0, 50, task=2)
        made.do(uapi.OP_EXIT, task=2)
        made.touch(0, 600)
    rows = [made.scalar(name) for name in ("next_vma", "next_mm", "next_anon_vma", "next_avc")]
    made.do(uapi.OP_FORK, 1)
    made.do(uapi.OP_EXIT, task=1)
    assert [made.scalar(name) for name in ("next_vma", "next_mm", "next_anon_vma", "next_avc")] == rows
    made.do(uapi.OP_EXIT)
    assert (made.scalar("free_pages"), made.scalar("tables")) == (made.free_at_boot, 0)
    assert made.scalar("warned") == 0


def test_asids_differ_and_begin_again_with_a_generation(engine: str) -> None:
    """An mm gets its ASID when it first runs; when all are used, everything is flushed (arm64 new_context)."""
    made = Computer(engine, arch=generic)
    made.map(0, 1)
    made.do(uapi.OP_FORK, 1)
    assert made.field("MM", "asid", made.mm(1)) == 0
    made.touch(0, task=1)
    first = made.field("MM", "asid", made.mm(0))
    second = made.field("MM", "asid", made.mm(1))
    assert first >> ASID_BITS == second >> ASID_BITS == 1 and first != second
    made.machine.memory.set("mach", "next_asid", (1 << ASID_BITS) - 1)
    made.since("tlbi_all")
    made.do(uapi.OP_FORK, 2)
    made.touch(0, task=2)
    assert made.field("MM", "asid", made.mm(2)) == 2 << ASID_BITS | 1
    made.touch(0, task=0)
    assert made.field("MM", "asid", made.mm(0)) == 2 << ASID_BITS | 2
    assert made.since("tlbi_all") == [1]


def test_a_fork_without_memory_fails_and_leaves_the_parent_whole(engine: str) -> None:
    """-ENOMEM from the first table that cannot be had; what the child got so far comes back."""
    made = Computer(engine, memory=8 << 20)
    made.map(0, 4096)
    assert made.touch(0, 4096) == -ENOMEM
    made.unmap(0, 2)
    free = made.scalar("free_pages")
    assert 0 < free < 5
    before = made.ptes(2, 100)
    assert made.do(uapi.OP_FORK, 1) == -ENOMEM
    assert made.scalar("free_pages") == free
    assert [pte & ~(1 << 51 | 1 << 55 | 1 << 7) for pte in made.ptes(2, 100)] == [
        pte & ~(1 << 51 | 1 << 55 | 1 << 7) for pte in before
    ]
    assert made.do(uapi.OP_FORK, 1) == -ENOMEM
    made.unmap(1000, 3096)
    assert made.do(uapi.OP_FORK, 1) == 0
    assert made.scalar("warned") == 0
