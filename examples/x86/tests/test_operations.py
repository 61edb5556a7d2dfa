"""Operations on entries in memory, and the walker."""

from __future__ import annotations

import pytest
from mmarch.testing import Bench

from .support import NX, PAGE, RW, SAVED_DIRTY, US, USER_RO, USER_RW, A, D, G, P, absent, leaf


def fill(bench: Bench, bits: int, pages: int = 4) -> None:
    """Entries that map frames 100, 101, …"""
    bench.set_ptes(bench.mm, bench.addr, bench.ptep, leaf(100, bits), pages)
    bench.reset()


def test_setting_is_the_generic_loop(bench: Bench) -> None:
    """set_ptes stores consecutive frames, also of PROT_NONE entries; there is never a hint."""
    bench.set_ptes(bench.mm, bench.addr, bench.ptep, absent(100, A | G), 3)
    assert [bench.raw(bench.ptep + i) for i in range(3)] == [absent(100 + i, A | G) for i in range(3)]
    fill(bench, USER_RW)
    assert bench.pte_batch_hint(bench.ptep, bench.ptep_get(bench.ptep)) == 1
    assert bench.counts() == {"pte_read": 1}


def test_clearing_exchanges(bench: Bench) -> None:
    """ptep_get_and_clear is one XCHG."""
    fill(bench, USER_RW)
    assert bench.ptep_get_and_clear(bench.mm, bench.addr, bench.ptep) == leaf(100, USER_RW)
    assert bench.raw(bench.ptep) == 0
    assert bench.counts() == {"pte_write": 1, "pte_xchg": 1}


@pytest.mark.parametrize(("full", "xchg"), [(0, 1), (1, 0)])
def test_clearing_for_good_is_plain(bench: Bench, full: int, xchg: int) -> None:
    """ptep_get_and_clear_full saves the atomic exchange if the mm goes away; the result is the same."""
    fill(bench, USER_RW | D)
    assert bench.ptep_get_and_clear_full(bench.mm, bench.addr, bench.ptep, full) == leaf(100, USER_RW | D)
    assert bench.raw(bench.ptep) == 0
    assert bench.counts().get("pte_xchg", 0) == xchg


@pytest.mark.parametrize("full", [0, 1])
def test_batches_follow_the_single_hooks(bench: Bench, full: int) -> None:
    """clear_ptes is the generic loop over ptep_get_and_clear_full, with A and D of all."""
    fill(bench, USER_RW & ~A)
    bench.poke(bench.ptep + 2, leaf(102, USER_RW | D))
    pte = bench.clear_ptes(bench.mm, bench.addr, bench.ptep, 4, full)
    assert pte == leaf(100, USER_RW | D)
    assert bench.counts().get("pte_xchg", 0) == (0 if full else 4)


def test_write_protection_keeps_dirty(bench: Bench) -> None:
    """ptep_set_wrprotect, and wrprotect_ptes by it: one successful CMPXCHG, D moves to the software bit."""
    fill(bench, USER_RW | D)
    bench.wrprotect_ptes(bench.mm, bench.addr, bench.ptep, 2)
    bench.ptep_set_wrprotect(bench.mm, bench.addr, bench.ptep + 2)
    assert bench.counts() == {"pte_read": 3, "pte_write": 3, "pte_cmpxchg": 3}
    expected = [leaf(100 + i, USER_RO | SAVED_DIRTY) for i in range(3)]
    assert [bench.raw(bench.ptep + i) for i in range(3)] == expected


@pytest.mark.parametrize("hook", ["ptep_test_and_clear_young", "ptep_clear_flush_young"])
def test_young_without_flush(bench: Bench, hook: str) -> None:
    """An atomic clear only if A is set; no flush, not even by ptep_clear_flush_young."""
    fill(bench, USER_RW | D)
    clear = getattr(bench, hook)
    assert [clear(bench.vma, bench.addr, bench.ptep) for _ in range(2)] == [1, 0]
    assert bench.raw(bench.ptep) == leaf(100, (USER_RW & ~A) | D)
    assert bench.counts() == {"pte_read": 2, "pte_write": 1, "pte_cmpxchg": 1}
    assert bench.tlbi() == []


def test_access_flags(bench: Bench) -> None:
    """ptep_set_access_flags stores only for a write fault, and never flushes."""
    fill(bench, USER_RO & ~A)
    set_flags = bench.ptep_set_access_flags
    assert set_flags(bench.vma, bench.addr, bench.ptep, leaf(100, USER_RO), 0) == 1
    assert bench.raw(bench.ptep) == leaf(100, USER_RO & ~A)
    assert set_flags(bench.vma, bench.addr, bench.ptep, leaf(100, USER_RW | D), 1) == 1
    assert bench.raw(bench.ptep) == leaf(100, USER_RW | D)
    assert set_flags(bench.vma, bench.addr, bench.ptep, leaf(100, USER_RW | D), 1) == 0
    bench.flush_tlb_fix_spurious_fault(bench.vma, bench.addr, bench.ptep)
    assert bench.tlbi() == []


def test_pmd_operations(bench: Bench) -> None:
    """PMD leaves: write protection, young and access flags as of entries."""
    pmdp, huge = bench.ptep + 100, bench.pmd_mkhuge(leaf(512, USER_RW | D))
    bench.set_pmd_at(bench.mm, bench.addr, pmdp, huge)
    bench.pmdp_set_wrprotect(bench.mm, bench.addr, pmdp)
    assert bench.raw(pmdp) == bench.pmd_mkhuge(leaf(512, USER_RO | SAVED_DIRTY))
    assert [bench.pmdp_test_and_clear_young(bench.vma, bench.addr, pmdp) for _ in range(2)] == [1, 0]
    assert bench.pmdp_set_access_flags(bench.vma, bench.addr, pmdp, huge, 0) == 1
    assert bench.raw(pmdp) != huge
    assert bench.pmdp_set_access_flags(bench.vma, bench.addr, pmdp, huge, 1) == 1
    assert bench.raw(pmdp) == huge


def test_the_walker(bench: Bench) -> None:
    """mmu_access sets A, and D on a write; it refuses absent, kernel, read-only and NX entries."""
    at = (bench.mm, bench.addr, bench.ptep, 3)
    cases = [
        (P | US, 0, P | US | A), (P | US, 1, None), (P | US, 2, P | US | A), (P | US | NX, 2, None),
        (P | US | RW, 1, P | US | RW | A | D), (P | RW, 0, None), (US | RW | G, 0, None), (0, 0, None),
    ]  # fmt: skip
    for bits, access, after in cases:
        bench.poke(bench.ptep, leaf(5, bits))
        assert bench.mmu_access(*at, access) == (after is not None)
        assert bench.raw(bench.ptep) == leaf(5, bits if after is None else after)
    assert bench.arch_has_hw_pte_young() == bench.arch_has_hw_nonleaf_pmd_young() == 1
    assert PAGE == 1 << 12


def test_a_leaf_is_invalidated_before_mprotect_without_a_flush() -> None:
    """pmdp_invalidate_ad: the gather flushes; pmdp_invalidate does itself (arch/x86/mm/pgtable.c)."""
    bench = Bench("x86")
    pmdp, huge = bench.ptep + 100, bench.pmd_mkhuge(leaf(512, USER_RW | D))
    for name, flushes in (("pmdp_invalidate_ad", False), ("pmdp_invalidate", True)):
        bench.set_pmd_at(bench.mm, bench.addr, pmdp, huge)
        assert getattr(bench, name)(bench.vma, bench.addr, pmdp) == huge
        assert bench.raw(pmdp) == bench.pmd_mkinvalid(huge)
        assert bool(bench.tlbi()) == flushes
    read_only = bench.pmd_mkhuge(leaf(512, USER_RO))
    assert (bench.huge_pmd_needs_flush(huge, read_only), bench.huge_pmd_needs_flush(read_only, huge)) == (
        1,
        1,
    )
    assert bench.huge_pmd_needs_flush(bench.pmd_mkhuge(leaf(512, USER_RO & ~A)), read_only) == 0
