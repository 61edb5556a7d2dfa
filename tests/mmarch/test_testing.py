"""The bench for an architecture's tests; and on it, defaults that no architecture here replaces."""

from __future__ import annotations

import pytest

from core_mm.hookspecs import HOOKS
from mmarch.testing import Bench

PAGE = 4096
PMD = 2 << 20


@pytest.fixture
def bench() -> Bench:
    """The generic architecture: bit 0 present, 1 writable, 3 PROT_NONE, 4 accessed, 5 dirty, frame from 12."""
    return Bench("generic")


def leaf(pfn: int, bits: int) -> int:
    """An entry of the generic architecture."""
    return pfn << 12 | bits


# --- the bench itself ---


def test_every_hook_can_be_called(bench: Bench) -> None:
    """By its name; anything else is an AttributeError that says so."""
    assert all(callable(getattr(bench, name)) for name in HOOKS)
    with pytest.raises(AttributeError, match="no hook either"):
        bench.clear_pte  # noqa: B018


def test_the_table_is_where_it_says(bench: Bench) -> None:
    """The first entry of a table, for an address aligned to what the table spans; its VMA is just that."""
    assert bench.ptep % 512 == 0
    assert bench.addr % PMD == 0
    row = bench.machine.memory.tables["VMA"][bench.vma]
    assert (row["vm_start"], row["vm_end"], row["vm_mm"]) == (bench.addr, bench.addr + PMD, bench.mm)


def test_counts_are_since_the_reset(bench: Bench) -> None:
    """Setting up counts nothing, reading one entry counts one read, peeking and poking none."""
    assert bench.counts() == {}
    bench.poke(bench.ptep, leaf(5, 1))
    assert bench.raw(bench.ptep) == leaf(5, 1)
    assert bench.counts() == {}
    assert bench.ptep_get(bench.ptep) == leaf(5, 1)
    assert bench.counts() == {"pte_read": 1}
    bench.reset()
    assert bench.counts() == {}


def test_invalidations_in_order(bench: Bench) -> None:
    """Each with its address and pages."""
    bench.flush_tlb_page(bench.vma, bench.addr + PAGE)
    bench.flush_tlb_mm(bench.mm)
    assert bench.tlbi() == [("tlbi_page", bench.addr + PAGE, 1), ("tlbi_mm", 0, 0)]


def test_folios_are_aligned(bench: Bench) -> None:
    """To their size; values of cfg and CPU models can be chosen."""
    assert [bench.folio(order) % (1 << order) for order in (0, 4, 9)] == [0, 0, 0]
    assert Bench("arm64", cpu="neoverse-n2", granule="64k", release="7.3", smp=0).tlb_delay_rmap(1) == 0


# --- defaults ---


def test_swap_entries_are_cleared_one_by_one(bench: Bench) -> None:
    """clear_not_present_full_ptes clears exactly so many."""
    for i in range(4):
        bench.poke(bench.ptep + i, bench.swp_entry_to_pte(i))
    bench.clear_not_present_full_ptes(bench.mm, bench.addr, bench.ptep, 3, 0)
    assert [bench.raw(bench.ptep + i) != 0 for i in range(4)] == [False, False, False, True]


def test_a_protection_change_is_a_transaction(bench: Bench) -> None:
    """Between ptep_modify_prot_start and ptep_modify_prot_commit the hardware finds nothing."""
    bench.poke(bench.ptep, leaf(5, 1 | 2 | 32))
    old = bench.ptep_modify_prot_start(bench.vma, bench.addr, bench.ptep)
    assert (old, bench.raw(bench.ptep)) == (leaf(5, 1 | 2 | 32), 0)
    bench.ptep_modify_prot_commit(bench.vma, bench.addr, bench.ptep, old, leaf(5, 8 | 32))
    assert bench.raw(bench.ptep) == leaf(5, 8 | 32)


def test_leaves_are_invalidated_with_a_flush(bench: Bench) -> None:
    """pmdp_invalidate_ad is pmdp_invalidate; pmdp_huge_get_and_clear empties the entry without one."""
    huge = bench.pmd_mkhuge(leaf(512, 1 | 2 | 32))
    bench.set_pmd_at(bench.mm, bench.addr, bench.ptep, huge)
    assert bench.pmdp_invalidate_ad(bench.vma, bench.addr, bench.ptep) == huge
    assert bench.raw(bench.ptep) == bench.pmd_mkinvalid(huge)
    flushed = bench.counts()["tlbi_page"]
    assert flushed == 512
    bench.set_pmd_at(bench.mm, bench.addr, bench.ptep, huge)
    assert bench.pmdp_huge_get_and_clear(bench.mm, bench.addr, bench.ptep) == huge
    assert (bench.raw(bench.ptep), bench.counts()["tlbi_page"]) == (0, flushed)


def test_changes_of_leaves_that_need_a_flush() -> None:
    """All by default; on arm64 since 6.19 those that take something away from a leaf that is valid."""
    plain, arm64 = Bench("generic"), Bench("arm64", release="7.3")
    assert plain.huge_pmd_needs_flush(plain.pmd_mkhuge(0), plain.pmd_mkhuge(0)) == 1
    valid = arm64.pmd_mkhuge(1 | 1 << 10)
    software = 1 << 55
    assert arm64.huge_pmd_needs_flush(valid, valid | 1 << 7) == 1
    assert arm64.huge_pmd_needs_flush(valid, valid | software) == 0
    assert arm64.huge_pmd_needs_flush(arm64.pmd_mkinvalid(valid), valid) == 0
    assert Bench("arm64", release="6.12").huge_pmd_needs_flush(valid, valid) == 1


def test_entries_are_the_same_if_they_are_equal(bench: Bench) -> None:
    """pte_same of the default looks at every bit."""
    assert [bench.pte_same(leaf(5, 1), leaf(*other)) for other in ((5, 1), (6, 1), (5, 3))] == [1, 0, 0]


def test_policies(bench: Bench) -> None:
    """Lazy MMU mode does nothing, prefaulted entries are young, executable files have no preferred order."""
    assert bench.arch_enter_lazy_mmu_mode() == bench.arch_leave_lazy_mmu_mode() == 0
    assert bench.arch_flush_lazy_mmu_mode() == bench.arch_unmap_one(bench.mm, bench.vma, bench.addr, 0) == 0
    assert bench.arch_prepare_to_swap(1) == bench.arch_swap_restore(1, 1) == bench.arch_swap_invalidate_page(0, 1) == 0
    assert bench.arch_swap_invalidate_area(0) == bench.arch_has_hw_nonleaf_pmd_young() == 0
    assert bench.arch_wants_old_prefaulted_pte() == 0
    assert bench.exec_folio_order() == -1
    assert bench.counts() == {}


def test_policies_of_arm64() -> None:
    """Prefaulted entries are old where hardware sets the flag; 64 KiB of text in one folio, unlike others."""
    assert [Bench("arm64", cpu=cpu).arch_wants_old_prefaulted_pte() for cpu in ("cortex-a72", "range")] == [0, 1]
    orders = {granule: Bench("arm64", granule=granule).exec_folio_order() for granule in ("4k", "64k")}
    assert orders == {"4k": 4, "64k": 0}
    assert Bench("generic").exec_folio_order() == -1


def test_huge_leaves(bench: Bench) -> None:
    """pmdp_clear_flush_young, pmdp_invalidate and pmdp_huge_get_and_clear_full, each with the flush it owes."""
    pmdp, huge = bench.ptep + 100, bench.pmd_mkhuge(leaf(512, 1 | 16))
    bench.poke(pmdp, huge)
    young = [bench.pmdp_clear_flush_young(bench.vma, bench.addr, pmdp) for _ in range(2)]
    assert (young, len(bench.tlbi())) == ([1, 0], 512)
    bench.reset()
    old = bench.pmdp_invalidate(bench.vma, bench.addr, pmdp)
    assert old == bench.pmd_mkhuge(leaf(512, 1))
    assert bench.pmd_leaf(bench.raw(pmdp)) and not bench.pte_valid(bench.pmd_pte(bench.raw(pmdp)))
    assert {address for _, address, _ in bench.tlbi()} == set(range(bench.addr, bench.addr + PMD, PAGE))
    bench.reset()
    assert bench.pmdp_huge_get_and_clear_full(bench.vma, bench.addr, pmdp, 0) == bench.pmd_mkinvalid(old)
    assert (bench.raw(pmdp), bench.tlbi()) == (0, [])


def test_spurious_faults_on_huge_leaves(bench: Bench) -> None:
    """flush_tlb_fix_spurious_fault_pmd: nothing by default, one local invalidation on arm64 7.x."""
    bench.flush_tlb_fix_spurious_fault_pmd(bench.vma, bench.addr, bench.ptep)
    assert bench.tlbi() == []
    arm64 = Bench("arm64", cpu="range", release="7.3")
    arm64.flush_tlb_fix_spurious_fault_pmd(arm64.vma, arm64.addr + 5 * PAGE, arm64.ptep)
    assert arm64.tlbi() == [("tlbi_vale1", arm64.addr, 1)]


def test_gather_hooks(bench: Bench) -> None:
    """tlb_delay_rmap marks the gather, tlb_remove_tlb_entry does nothing."""
    assert bench.tlb_delay_rmap(3) == 1
    assert bench.machine.memory.tables["GATHER"][3]["delayed_rmap"] == 1
    assert bench.tlb_remove_tlb_entry(3, bench.ptep, bench.addr) == 0


def test_pending_deferred_flushes(bench: Bench) -> None:
    """arch_flush_tlb_batched_pending flushes the address space."""
    bench.arch_flush_tlb_batched_pending(bench.mm)
    assert bench.tlbi() == [("tlbi_mm", 0, 0)]
