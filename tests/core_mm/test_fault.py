"""Anonymous faults, copy on write and reuse: costs and state, in both engines."""

from __future__ import annotations

import pytest

from core_mm.mm_types import SIGSEGV
from core_mm.uapi import ACCESS_EXEC, ACCESS_READ, MAP_GROWSDOWN, MAP_PRIVATE, PROT_NONE, PROT_READ
from tests.core_mm.conftest import Maker

AF, RDONLY, DBM, CONT, SW_DIRTY = 1 << 10, 1 << 7, 1 << 51, 1 << 52, 1 << 55


def pfn(pte: int) -> int:
    """Bits 47:12 of a 4K descriptor."""
    return pte >> 12 & ((1 << 36) - 1)


@pytest.mark.parametrize(("order", "reads", "faults"), [(0, 1535, 512), (4, 1055, 32), (2, 1151, 128)])
def test_first_touch_of_a_table_reads_what_linux_reads(
    bench: Maker, order: int, reads: int, faults: int
) -> None:
    """Per fault: a lockless read (not in a new table), a check, and the set's own read or a scan twice."""
    made = bench(order)
    made.map(512)
    assert made.touch(0, 512) == 0
    expected = [reads, 512, faults, faults]
    assert made.since("pte_read", "pte_write", "fault", "do_anonymous_page") == expected
    assert made.rss() == 512


def test_entries_of_a_written_page_are_young_dirty_and_writable(bench: Maker) -> None:
    """A write fault leaves an entry that no access will fault on again."""
    made = bench()
    made.map(1)
    made.touch(0)
    pte = made.pte(0)
    assert pte & AF and pte & SW_DIRTY and pte & DBM and not pte & RDONLY
    made.since("fault")
    made.touch(0)
    assert made.since("fault") == [0]


def test_a_read_maps_the_zero_page_and_the_write_copies_it(bench: Maker) -> None:
    """The zero page costs no memory; the write fault replaces it, clearing and flushing first."""
    made = bench(cpu="cortex-a72")
    made.map(4)
    made.touch(0, 4, ACCESS_READ)
    assert made.rss() == 0
    assert {pfn(made.pte(i)) for i in range(4)} == {made.scalar("zero_page")}
    made.since("ptep_clear_flush", "fault_cow", "tlbi_vale1is")
    made.touch(2)
    assert made.since("ptep_clear_flush", "fault_cow", "tlbi_vale1is") == [1, 1, 1]
    assert made.rss() == 1
    assert pfn(made.pte(2)) != made.scalar("zero_page")


def test_a_folio_is_no_larger_than_the_mapping(bench: Maker) -> None:
    """At the ragged end of a VMA only single pages fit."""
    made = bench(4)
    made.map(20)
    made.touch(0, 20)
    assert made.since("fault_anon", "folio_alloc") == [5, 5]
    assert [bool(made.pte(i) & CONT) for i in (0, 15, 16, 19)] == [True, True, False, False]


def test_a_folio_needs_an_empty_block(bench: Maker) -> None:
    """One page that is there already makes the rest of its block single pages."""
    made = bench(4)
    made.map(16)
    made.machine.call("do_munmap", made.mm, made.map(16), 15 * 4096)
    made.touch(15)
    made.map(15)
    made.touch(0, 15)
    assert made.since("fault_anon") == [16]


def test_after_fork_the_first_writer_copies_and_the_last_reuses(bench: Maker) -> None:
    """The child's copy leaves the parent alone with the page, which it then writes in place."""
    made = bench()
    made.map(1)
    made.touch(0)
    before = made.pte(0)
    child = made.fork()
    assert not made.pte(0) & DBM and not made.pte(0, child) & DBM
    made.since("fault_cow", "fault_reuse")
    made.touch(0, mm=child)
    made.touch(0)
    assert made.since("fault_cow", "fault_reuse") == [1, 1]
    assert pfn(made.pte(0)) == pfn(before) != pfn(made.pte(0, child))
    assert made.frame("anon_exclusive", pfn(before))


@pytest.mark.parametrize(("release", "copies"), [("6.12", 1), ("7.3", 0)])
def test_a_large_folio_of_one_owner_is_reused_since_7(bench: Maker, release: str, copies: int) -> None:
    """6.12 copies the page; 7.3 sees that one mm owns all mappings of the folio."""
    made = bench(4, release)
    made.map(16)
    made.touch(0, 16)
    made.exit(made.fork())
    made.since("fault_cow", "fault_reuse")
    made.touch(5)
    assert made.since("fault_cow", "fault_reuse") == [copies, 1 - copies]


def test_a_large_folio_two_mms_map_is_copied_by_both_releases(bench: Maker) -> None:
    """While the child lives, 7.3 copies too."""
    made = bench(4, "7.3")
    made.map(16)
    made.touch(0, 16)
    made.fork()
    made.since("fault_cow")
    made.touch(5)
    assert made.since("fault_cow") == [1]


def test_a_copy_on_write_reads_the_entry_five_times(bench: Maker) -> None:
    """Lockless, under the lock, for userfaultfd, before the copy, in clear and in set: six raw reads."""
    made = bench()
    made.map(1)
    made.touch(0)
    made.fork()
    made.since("pte_read")
    made.touch(0)
    assert made.since("pte_read") == [6]


def test_accesses_the_mapping_forbids_end_the_task(bench: Maker) -> None:
    """No VMA, no permission: SIGSEGV."""
    made = bench()
    made.map(1, prot=PROT_READ)
    made.map(1, at=4, prot=PROT_NONE)
    assert made.touch(1) == -SIGSEGV
    assert made.touch(0) == -SIGSEGV
    assert made.touch(0, access=ACCESS_EXEC) == -SIGSEGV
    assert made.touch(4, access=ACCESS_READ) == -SIGSEGV
    assert made.touch(0, access=ACCESS_READ) == 0


def test_a_stack_grows_down(bench: Maker) -> None:
    """A fault below a MAP_GROWSDOWN mapping extends it."""
    made = bench()
    made.map(1, at=64, flags=MAP_GROWSDOWN | MAP_PRIVATE)
    assert made.touch(50) == 0
    assert made.since("fault_stack") == [1]
    assert made.touch(55) == 0
    assert made.since("fault_stack") == [0]


@pytest.mark.parametrize(("cpu", "faults"), [("cortex-a72", 1), ("neoverse-n1", 0)])
def test_a_cpu_without_hardware_flags_faults_for_them(bench: Maker, cpu: str, faults: int) -> None:
    """A Cortex-A72 takes a fault to make an old page young; Neoverse N1 does that by itself."""
    made = bench(cpu=cpu)
    made.map(1)
    made.touch(0)
    child = made.fork()  # whose entries are old
    made.since("fault", "fault_access")
    made.touch(0, access=ACCESS_READ, mm=child)
    assert made.since("fault", "fault_access") == [faults, faults]


def test_huge_pages_take_one_fault_and_keep_a_table_in_reserve(bench: Maker) -> None:
    """One PMD leaf, one table deposited, one reference; a partial munmap splits it."""
    made = bench(9)
    made.map(512)
    made.touch(0, 512)
    assert made.since("fault", "fault_pmd") == [1, 1]
    folio = pfn(made.pmd(0))
    assert folio % 512 == 0
    assert made.frame("refcount", folio) == 1
    assert made.machine.memory.tables["MM"]["deposit"][made.mm]
    made.since("split_pmd")
    made.unmap(3, 1)
    assert made.since("split_pmd") == [1]
    assert made.frame("refcount", folio) == 511
    assert pfn(made.pte(511)) == folio + 511


@pytest.mark.parametrize(("release", "folios"), [("6.12", 1), ("7.3", 512)])
def test_the_first_write_to_the_huge_zero_page(bench: Maker, release: str, folios: int) -> None:
    """6.12 splits it and copies one page; 7.3 maps a huge page at once."""
    made = bench(9, release)
    made.map(512)
    made.touch(0, 1, ACCESS_READ)
    assert made.rss() == 0
    made.touch(5)
    assert made.rss() == folios


def test_everything_comes_back(bench: Maker) -> None:
    """After munmap and exits every frame but the tables of the live mm is free again, and nothing warned."""
    for order in (0, 4, 9):
        made = bench(order)
        before = made.scalar("free_pages")
        made.map(1024)
        made.touch(0, 1024)
        child = made.fork()
        made.touch(100, 300)
        made.touch(600, 20, mm=child)
        made.unmap(0, 700)
        made.exit(child)
        made.unmap(700, 324)
        assert made.scalar("free_pages") == before
        assert made.rss() == 0
        assert made.scalar("warned") == 0
