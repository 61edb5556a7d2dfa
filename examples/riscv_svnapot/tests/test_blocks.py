"""NAPOT blocks: encoding, conditions of folding, break before make, partial and whole operations."""

from __future__ import annotations

import pytest
from mmarch.testing import Bench

from .support import BLOCK, PAGE, RW_USER, SPECIAL, A, D, G, N, R, U, V, W, leaf, napot, signed, unsigned

RO_USER = RW_USER & ~W


def install(bench: Bench, pages: int = 16, bits: int = RW_USER, skip: int = 0, at: int = 0) -> int:
    """Map `pages` of a new folio from its page `skip` on, at entry `at`; the first frame mapped."""
    pfn = bench.folio(6) + skip
    bench.set_ptes(bench.mm, bench.addr + at * PAGE, bench.ptep + at, leaf(pfn, bits), pages)
    bench.reset()
    return pfn


def words(bench: Bench, count: int = 16, at: int = 0) -> list[int]:
    """Memory, unsigned."""
    return [unsigned(bench.raw(bench.ptep + at + i)) for i in range(count)]


def slots(bench: Bench, count: int = 16, at: int = 0) -> list[int]:
    """Frames that ptep_get reports."""
    return [bench.pte_pfn(bench.ptep_get(bench.ptep + at + i)) for i in range(count)]


def folded(bench: Bench, at: int) -> bool:
    """Whether the entry is part of a block."""
    return bool(unsigned(bench.raw(bench.ptep + at)) & N)


# --- encoding ---


def test_sixteen_equal_entries_sixteen_frames(bench: Bench) -> None:
    """set_ptes of an aligned block stores one value 16 times; ptep_get of slot i returns frame i."""
    pfn = install(bench)
    assert words(bench) == [napot(pfn, RW_USER)] * 16
    assert slots(bench) == list(range(pfn, pfn + 16))


def test_values_read_advance(bench: Bench) -> None:
    """pte_advance_pfn of what was read in one slot is what is read in a later one."""
    install(bench, pages=20)
    first = bench.ptep_get(bench.ptep)
    assert bench.pte_advance_pfn(first, 15) == bench.ptep_get(bench.ptep + 15)
    assert bench.pte_advance_pfn(first, 16) != bench.ptep_get(bench.ptep + 16)


def test_no_reserved_bit_is_ever_stored(bench: Bench) -> None:
    """A value read from a block may be stored again; bits 60:54 of memory stay zero."""
    install(bench)
    value = bench.ptep_get(bench.ptep + 3)
    bench.set_ptes(bench.mm, bench.addr, bench.ptep + 64, value, 1)
    bench.set_pte(bench.ptep + 65, value)
    bench.ptep_set_access_flags(bench.vma, bench.addr + 3 * PAGE, bench.ptep + 3, value | D, 1)
    for word in (*words(bench), *words(bench, 2, at=64)):
        assert word >> 54 & 0x7F == 0


def test_batch_hint(bench: Bench) -> None:
    """pte_batch_hint is what is left of the block, 1 outside."""
    install(bench, pages=17)
    hints = [bench.pte_batch_hint(bench.ptep + i, bench.ptep_get(bench.ptep + i)) for i in range(17)]
    assert hints == [*range(16, 0, -1), 1]


def test_ragged_edges_are_ordinary(bench: Bench) -> None:
    """set_ptes of 40 pages from slot 4 of the table: 12 pages, a block, 12 pages."""
    pfn = install(bench, pages=40, skip=4, at=4)
    assert [folded(bench, at) for at in (4, 15, 16, 31, 32, 43)] == [False, False, True, True, False, False]
    assert slots(bench, 40, at=4) == list(range(pfn, pfn + 40))
    assert words(bench, 1, at=44) == [0]


@pytest.mark.parametrize("case", ["frame", "svnapot", "prot_none", "special", "init_mm"])
def test_what_prevents_blocks(bench: Bench, case: str) -> None:
    """A frame that is not aligned, a CPU without Svnapot, PROT_NONE, special entries, kernel mappings."""
    if case == "svnapot":
        bench = Bench("riscv_svnapot", cpu="rva20")
    bits = {"prot_none": G | R, "special": RW_USER | SPECIAL}.get(case, RW_USER)
    pfn = bench.folio(6) + (case == "frame")
    mm = 1 if case == "init_mm" else bench.mm
    bench.set_ptes(mm, bench.addr, bench.ptep, leaf(pfn, bits), 16)
    assert words(bench) == [leaf(pfn + i, bits) for i in range(16)]


# --- folding ---


def set_singly(bench: Bench, pfn: int, bits: list[int], mm: int = 0) -> None:
    """Set 16 entries one after the other."""
    for i, each in enumerate(bits):
        bench.set_ptes(mm or bench.mm, bench.addr + i * PAGE, bench.ptep + i, leaf(pfn + i, each), 1)


def test_the_last_entry_folds(bench: Bench) -> None:
    """Sixteen single sets make a block, with the OR of what differed in A and D, after one fence a page."""
    pfn = bench.folio(4)
    bits = [RW_USER & ~A] * 16
    bits[3] |= A
    bits[9] |= D
    set_singly(bench, pfn, bits)
    assert words(bench) == [napot(pfn, RW_USER | D)] * 16
    assert bench.counts()["fold"] == 1
    assert bench.tlbi() == [("sfence_vma_va_asid", bench.addr + i * PAGE, 1) for i in range(16)]


@pytest.mark.parametrize(
    "case", ["order", "frame", "write", "hole", "frames", "special", "prot_none", "svnapot", "init_mm"]
)
def test_what_prevents_folding(bench: Bench, case: str) -> None:
    """Each condition alone: one folio, aligned, equal, consecutive, valid, ordinary, user memory."""
    if case == "svnapot":
        bench = Bench("riscv_svnapot", cpu="rva20")
    small = [bench.folio(3) for _ in range(4)]  # two of them side by side, aligned to a block
    pfn = next(each for each in small if each % 16 == 0 and each + 8 in small)
    if case != "order":
        pfn = bench.folio(5) + (case == "frame")
    bits = [{"special": RW_USER | SPECIAL, "prot_none": G | R}.get(case, RW_USER)] * 16
    if case == "write":
        bits[5] = RO_USER
    set_singly(bench, pfn, bits[:15], mm=1 if case == "init_mm" else 0)
    if case == "hole":
        bench.pte_clear(bench.mm, bench.addr, bench.ptep)
    if case == "frames":
        bench.set_ptes(bench.mm, bench.addr, bench.ptep, leaf(pfn + 16, RW_USER), 1)
    mm = 1 if case == "init_mm" else bench.mm
    bench.set_ptes(mm, bench.addr + 15 * PAGE, bench.ptep + 15, leaf(pfn + 15, bits[15]), 1)
    assert "fold" not in bench.counts()
    assert not any(folded(bench, at) for at in range(16))


# --- unfolding ---


def test_unfolding_breaks_before_it_makes(bench: Bench) -> None:
    """All 16 are exchanged by 0, every page is fenced, 16 plain entries appear; A and D are everyone's."""
    pfn = install(bench)
    bench.poke(bench.ptep + 12, signed(napot(pfn, RW_USER | D)))
    bench.set_ptes(bench.mm, bench.addr + 5 * PAGE, bench.ptep + 5, 0, 1)
    expected = [leaf(pfn + i, RW_USER | D) for i in range(16)]
    expected[5] = 0
    assert words(bench) == expected
    assert bench.tlbi() == [("sfence_vma_va_asid", bench.addr + i * PAGE, 1) for i in range(16)]
    counts = bench.counts()
    assert (counts["pte_xchg"], counts["pte_write"], counts["unfold"]) == (16, 16 + 16 + 1, 1)


@pytest.mark.parametrize("hook", ["pte_clear", "ptep_get_and_clear", "ptep_set_wrprotect"])
def test_one_entry_unfolds_its_block(bench: Bench, hook: str) -> None:
    """Operations on one entry leave the other fifteen as they were."""
    pfn = install(bench)
    result = getattr(bench, hook)(bench.mm, bench.addr + 2 * PAGE, bench.ptep + 2)
    assert bench.counts()["unfold"] == 1
    others = [leaf(pfn + i, RW_USER) for i in range(16)]
    others[2] = leaf(pfn + 2, RO_USER) if hook == "ptep_set_wrprotect" else 0
    assert words(bench) == others
    if hook == "ptep_get_and_clear":
        assert bench.pte_pfn(result) == pfn + 2


PARTIAL = [
    (0, 16, 0), (0, 32, 0), (0, 1, 1), (0, 15, 1), (0, 20, 1), (5, 6, 1), (5, 11, 1), (5, 20, 2), (5, 27, 1),
    (15, 2, 2), (16, 16, 0),
]  # fmt: skip


@pytest.mark.parametrize(("first", "nr", "unfolds"), PARTIAL)
@pytest.mark.parametrize("hook", ["clear_ptes", "clear_full_ptes", "wrprotect_ptes"])
def test_only_blocks_in_part_unfold(bench: Bench, hook: str, first: int, nr: int, unfolds: int) -> None:
    """Two blocks; what lies outside the batch keeps its frame and permissions."""
    pfn = install(bench, pages=32)
    full = () if hook == "wrprotect_ptes" else (0,)
    getattr(bench, hook)(bench.mm, bench.addr + first * PAGE, bench.ptep + first, nr, *full)
    counts = bench.counts()
    assert counts.get("unfold", 0) == unfolds
    assert len(bench.tlbi()) == 16 * unfolds
    for i in range(32):
        pte, inside = bench.ptep_get(bench.ptep + i), first <= i < first + nr
        if inside and hook != "wrprotect_ptes":
            assert pte == 0
        else:
            assert bench.pte_pfn(pte) == pfn + i
            assert bench.pte_write(pte) == (not inside)


def test_clear_ptes_returns_the_first_entry_with_everyones_state(bench: Bench) -> None:
    """The frame is the first entry's, A and D are OR-ed; nothing is lost that hardware set in one entry."""
    pfn = install(bench, pages=32, bits=RW_USER & ~A)
    bench.poke(bench.ptep + 30, signed(napot(pfn + 16, RW_USER | D)))
    pte = bench.clear_ptes(bench.mm, bench.addr, bench.ptep, 32, 1)
    assert bench.pte_pfn(pte) == pfn
    assert bench.pte_young(pte) and bench.pte_dirty(pte)
    assert words(bench, 32) == [0] * 32
    assert bench.counts()["pte_xchg"] == 32


def test_protection_changes_in_batches(bench: Bench) -> None:
    """modify_prot_start_ptes and modify_prot_commit_ptes neither unfold whole blocks nor lose them."""
    pfn = install(bench)
    old = bench.modify_prot_start_ptes(bench.vma, bench.addr, bench.ptep, 16)
    assert words(bench) == [0] * 16
    new = bench.pte_modify(old, RO_USER)
    bench.modify_prot_commit_ptes(bench.vma, bench.addr, bench.ptep, old, new, 16)
    assert words(bench) == [napot(pfn, RO_USER)] * 16
    assert bench.tlbi() == []


# --- A and D ---


def test_hardware_state_in_any_entry_counts_for_all(bench: Bench) -> None:
    """ptep_get and ptep_get_lockless gather A and D over the block."""
    pfn = install(bench, bits=RW_USER & ~A)
    bench.poke(bench.ptep + 1, signed(napot(pfn, RW_USER)))
    bench.poke(bench.ptep + 14, signed(napot(pfn, (RW_USER & ~A) | D)))
    for i in (0, 7, 15):
        for pte in (bench.ptep_get(bench.ptep + i), bench.ptep_get_lockless(bench.ptep + i)):
            assert bench.pte_young(pte) and bench.pte_dirty(pte)
            assert bench.pte_pfn(pte) == pfn + i


def test_reading_an_old_clean_block_costs_seventeen_reads(bench: Bench) -> None:
    """The entry, then all sixteen; a page costs one."""
    install(bench, pages=17, bits=RW_USER & ~A)
    bench.ptep_get(bench.ptep + 4)
    assert bench.counts()["pte_read"] == 17
    bench.reset()
    bench.ptep_get(bench.ptep + 16)
    assert bench.counts()["pte_read"] == 1


@pytest.mark.parametrize("hook", ["ptep_test_and_clear_young", "ptep_clear_flush_young"])
def test_young_is_cleared_in_all_entries(bench: Bench, hook: str) -> None:
    """Once young, then not; no unfolding and no fence, as Linux's ptep_clear_flush_young has none."""
    pfn = install(bench)
    clear = getattr(bench, hook)
    assert clear(bench.vma, bench.addr + 4 * PAGE, bench.ptep + 4) == 1
    assert words(bench) == [napot(pfn, RW_USER & ~A)] * 16
    assert clear(bench.vma, bench.addr, bench.ptep) == 0
    assert bench.tlbi() == []


@pytest.mark.parametrize("hook", ["test_and_clear_young_ptes", "clear_flush_young_ptes"])
def test_young_batches_are_widened_to_blocks(bench: Bench, hook: str) -> None:
    """[8, 20) of two blocks and a rest: both blocks are cleared, entries of no block outside are not."""
    install(bench, pages=40)
    assert getattr(bench, hook)(bench.vma, bench.addr + 8 * PAGE, bench.ptep + 8, 12) == 1
    young = [bench.pte_young(bench.ptep_get(bench.ptep + i)) for i in range(40)]
    assert young == [0] * 32 + [1] * 8
    assert getattr(bench, hook)(bench.vma, bench.addr, bench.ptep, 32) == 0


@pytest.mark.parametrize(("flags", "left"), [(1, D), (2, A), (3, 0)])
def test_clear_young_dirty(bench: Bench, flags: int, left: int) -> None:
    """Flag 1 clears A, flag 2 D, in all of the block; the block stays."""
    pfn = install(bench, bits=RW_USER | D)
    bench.clear_young_dirty_ptes(bench.vma, bench.addr, bench.ptep, 16, flags)
    assert words(bench) == [napot(pfn, (RW_USER & ~A) | left)] * 16


def test_clear_young_of_a_part_is_of_the_block(bench: Bench) -> None:
    """Aging may be wrong for the rest; unfolding would cost more."""
    pfn = install(bench, bits=RW_USER | D)
    bench.clear_young_dirty_ptes(bench.vma, bench.addr + PAGE, bench.ptep + 1, 3, 1)
    assert words(bench) == [napot(pfn, (RW_USER & ~A) | D)] * 16


def test_clear_dirty_of_a_part_leaves_the_rest_dirty(bench: Bench) -> None:
    """The caller flushes the part: what is cached of the rest may write on, so the rest has to stay dirty."""
    pfn = install(bench, bits=RW_USER | D)
    bench.clear_young_dirty_ptes(bench.vma, bench.addr + PAGE, bench.ptep + 1, 3, 2)
    assert words(bench) == [leaf(pfn + i, RW_USER if 1 <= i < 4 else RW_USER | D) for i in range(16)]


def test_access_flags_of_a_block(bench: Bench) -> None:
    """Without a change of W all entries take A and D and the block is fenced; with one it is unfolded."""
    pfn = install(bench, bits=RW_USER & ~A)
    at, ptep = bench.addr + 5 * PAGE, bench.ptep + 5
    entry = leaf(pfn + 5, RW_USER | D)
    assert bench.ptep_set_access_flags(bench.vma, at, ptep, entry, 1) == 1
    assert words(bench) == [napot(pfn, RW_USER | D)] * 16
    assert {a for _, a, _ in bench.tlbi()} == {bench.addr + i * PAGE for i in range(16)}
    bench.wrprotect_ptes(bench.mm, bench.addr, bench.ptep, 16)
    assert bench.ptep_set_access_flags(bench.vma, at, ptep, entry, 1) == 1
    rest = [leaf(pfn + i, RO_USER | D) for i in range(16)]
    rest[5] = entry
    assert words(bench) == rest


def test_access_flags_see_a_laggard(full: Bench) -> None:
    """One entry has A, the others not: the gathered value has it, yet without Svadu they fault."""
    pfn = install(full, bits=RW_USER & ~A)
    full.poke(full.ptep, signed(napot(pfn, RW_USER)))
    entry = leaf(pfn + 1, RW_USER)
    assert full.ptep_set_access_flags(full.vma, full.addr + PAGE, full.ptep + 1, entry, 0) == 1
    assert words(full) == [napot(pfn, RW_USER)] * 16
    assert full.ptep_set_access_flags(full.vma, full.addr + PAGE, full.ptep + 1, entry, 0) == 0


def test_atomic_updates_are_one_access_each(bench: Bench) -> None:
    """wrprotect_ptes of a whole block: sixteen AMOs, no read, as AMOAND.D has none of its own."""
    install(bench)
    bench.wrprotect_ptes(bench.mm, bench.addr, bench.ptep, 16)
    assert bench.counts() == {"pte_write": 16, "pte_cmpxchg": 16}


def test_block_of_pages_is_64k() -> None:
    """The size that Svnapot defines."""
    assert BLOCK == 1 << 16
    assert U | V == 0x11
