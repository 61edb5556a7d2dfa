"""mmap, munmap, brk, stacks: what is mapped, what tables and flushes that costs."""

from __future__ import annotations

import random

import pytest

from core_mm import uapi
from core_mm.mm_types import EEXIST, EINVAL, SIGSEGV
from tests.support.computer import ANON, BASE, PAGE, Computer

STACK = ANON | uapi.MAP_GROWSDOWN


def test_arguments_that_linux_refuses_change_nothing(engine: str) -> None:
    """Unaligned, empty and endless ranges are -EINVAL, as is a mapping neither shared nor private."""
    made = Computer(engine)
    assert made.do(uapi.OP_MMAP, BASE + 1, PAGE, 3, ANON, -1, 0) == -EINVAL
    assert made.do(uapi.OP_MMAP, BASE, 0, 3, ANON, -1, 0) == -EINVAL
    assert made.do(uapi.OP_MMAP, 1 << 47, 1 << 62, 3, ANON, -1, 0) == -EINVAL
    assert made.do(uapi.OP_MMAP, BASE, PAGE, 3, uapi.MAP_ANONYMOUS, -1, 0) == -EINVAL
    assert made.do(uapi.OP_MMAP, BASE, PAGE, 3, uapi.MAP_PRIVATE, 77, 0) == -EINVAL
    assert made.do(uapi.OP_MUNMAP, BASE + 5, PAGE) == -EINVAL
    assert made.do(uapi.OP_MUNMAP, BASE, 0) == -EINVAL
    assert made.vmas() == []


def test_map_fixed_noreplace_keeps_what_is_there(engine: str) -> None:
    """-EEXIST where a page is mapped, success beside it."""
    made = Computer(engine)
    made.map(4, 4)
    assert made.map(0, 5, flags=ANON | uapi.MAP_FIXED_NOREPLACE) == -EEXIST
    assert made.map(0, 4, flags=ANON | uapi.MAP_FIXED_NOREPLACE) == 0
    assert made.vmas() == [(0, 8, 3)]


def test_an_unmapped_page_is_gone_and_the_rest_is_not(engine: str) -> None:
    """Accesses fault with SIGSEGV exactly where munmap was."""
    made = Computer(engine)
    made.map(0, 40)
    made.touch(0, 40)
    assert made.unmap(10, 20) == 0
    assert made.touch(10, access=uapi.ACCESS_READ) == -SIGSEGV
    assert made.touch(29, access=uapi.ACCESS_READ) == -SIGSEGV
    assert made.touch(0, 10) == 0 and made.touch(30, 10) == 0
    assert made.field("MM", "rss_anon", made.mm()) == 20


@pytest.mark.parametrize(("neighbour", "tables"), [(None, 3), (-1, 2), (512, 1), (512 * 512, 2)])
def test_tables_go_that_no_neighbour_needs(engine: str, neighbour: int | None, tables: int) -> None:
    """A PTE table spans 512 pages, a PMD table 512 of those, a PUD table 512 of these; the top one stays.

    The mapping begins a PMD table's span: a page below it shares the PUD table, one behind it the PMD table.
    """
    made = Computer(engine)
    at = 512 * 512 * 2
    made.map(at, 512)
    made.touch(at, 512)
    if neighbour is not None:
        made.map(at + neighbour, 1)
    before = made.scalar("tables")
    made.since("tlb_remove_table")
    made.unmap(at, 512)
    assert before - made.scalar("tables") == tables
    assert made.since("tlb_remove_table") == [tables]


def test_mapping_over_memory_frees_it_first(engine: str) -> None:
    """One gather for what was there; the new mapping reads as zero, not as the old page."""
    made = Computer(engine)
    made.map(0, 16)
    made.touch(0, 16)
    made.since("tlb_gather_mmu")
    assert made.map(4, 4, prot=1) == 0
    assert made.since("tlb_gather_mmu") == [1]
    assert made.vmas() == [(0, 4, 3), (4, 8, 1), (8, 16, 3)]
    assert made.ptes(4, 4) == [0] * 4 and all(made.ptes(0, 4)) and all(made.ptes(8, 8))


@pytest.mark.parametrize("order", [0, 4, 9])
@pytest.mark.parametrize("release", ["6.7", "6.12", "7.3"])
def test_everything_comes_back_at_exit(engine: str, order: int, release: str) -> None:
    """After random mapping, touching and unmapping, the exit leaves as much free memory as there was."""
    chance, made = random.Random(order), Computer(engine, order=order, release=release)
    for _ in range(60):
        page, pages = chance.randrange(1500), chance.randrange(1, 700)
        match chance.randrange(4):
            case 0 | 1:
                made.map(page, pages)
                made.touch(page, chance.randrange(1, pages + 1), chance.randrange(2))
            case 2:
                made.unmap(page, pages)
            case _:
                made.advise(page, pages, uapi.MADV_DONTNEED)
    assert made.do(uapi.OP_EXIT) == 0
    huge_zero = 512 if made.scalar("huge_zero_page") else 0
    assert made.scalar("free_pages") == made.free_at_boot - huge_zero
    assert (made.scalar("tables"), made.scalar("warned")) == (0, 0)


def test_populate_makes_pages_present_without_an_access(engine: str) -> None:
    """MAP_POPULATE of private writable memory: writable pages, no fault later."""
    made = Computer(engine)
    made.map(0, 8, flags=ANON | uapi.MAP_POPULATE)
    assert all(made.ptes(0, 8))
    made.since("fault")
    made.touch(0, 8)
    assert made.since("fault") == [0]


def test_brk_grows_shrinks_and_merges(engine: str) -> None:
    """The heap is one VMA from the page after start_brk; a refused break leaves it as it was."""
    made = Computer(engine)
    heap = BASE + 100 * PAGE
    assert made.do(uapi.OP_BRK, heap) == heap
    assert made.do(uapi.OP_BRK, heap + 10 * PAGE) == heap + 10 * PAGE
    assert made.do(uapi.OP_BRK, heap + 20 * PAGE + 5) == heap + 20 * PAGE + 5
    assert made.vmas() == [(100, 121, 3)]
    made.touch(100, 21)
    assert made.do(uapi.OP_BRK, heap + 5 * PAGE) == heap + 5 * PAGE
    assert made.vmas() == [(100, 105, 3)]
    assert made.field("MM", "rss_anon", made.mm()) == 5
    made.map(110, 1)
    assert made.do(uapi.OP_BRK, heap + 10 * PAGE) == heap + 5 * PAGE
    assert made.do(uapi.OP_BRK, heap - PAGE) == heap + 5 * PAGE


def test_a_stack_grows_down_to_the_fault_but_not_to_its_neighbour(engine: str) -> None:
    """256 pages stay free between a stack and an accessible mapping below it (stack_guard_gap)."""
    made = Computer(engine)
    made.map(1000, 8, flags=STACK)
    made.map(100, 100)
    assert made.touch(900) == 0
    assert made.vmas() == [(100, 200, 3), (900, 1008, 3)]
    assert made.touch(200 + 256) == 0
    assert made.touch(200 + 255) == -SIGSEGV
    made.check_tree()


def test_shared_anonymous_memory_is_one_object(engine: str) -> None:
    """Its inode goes with the last mapping, and its row is used again."""
    made = Computer(engine)
    shared = uapi.MAP_SHARED | uapi.MAP_ANONYMOUS | uapi.MAP_FIXED
    made.map(0, 16, flags=shared)
    row = next(made.vma_rows())
    inode = made.field("VMA", "vm_file", row)
    assert made.field("INODE", "users", inode) == 1
    made.unmap(4, 4)
    assert made.field("INODE", "users", inode) == 2
    made.unmap(0, 16)
    assert made.field("INODE", "users", inode) == 0
    made.map(0, 8, flags=shared)
    assert made.field("VMA", "vm_file", next(made.vma_rows())) == inode
