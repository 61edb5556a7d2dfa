"""Values of entries against the privileged architecture and Linux's pgtable-bits.h."""

from __future__ import annotations

import pytest
from mmarch.testing import Bench

from .support import PAGE, RW_USER, SPECIAL, A, D, G, R, U, V, W, X, leaf, napot, signed

VM_READ, VM_WRITE, VM_EXEC, VM_SHARED = 1, 2, 4, 8


@pytest.mark.parametrize(
    ("flags", "bits"),
    [
        (0, G | R),
        (VM_READ, V | R | U | A),
        (VM_WRITE, V | R | U | A),
        (VM_READ | VM_WRITE, V | R | U | A),
        (VM_EXEC, V | X | U | A),
        (VM_READ | VM_EXEC, V | R | X | U | A),
        (VM_READ | VM_WRITE | VM_EXEC, V | R | X | U | A),
        (VM_SHARED, G | R),
        (VM_SHARED | VM_READ, V | R | U | A),
        (VM_SHARED | VM_READ | VM_WRITE, V | R | W | U | A),
        (VM_SHARED | VM_READ | VM_WRITE | VM_EXEC, V | R | W | X | U | A),
    ],
)
def test_protections(bench: Bench, flags: int, bits: int) -> None:
    """vm_get_page_prot: `protection_map`; private writable memory starts read-only, W never without R."""
    assert bench.vm_get_page_prot(flags) == bits


def test_frames(bench: Bench) -> None:
    """pfn_pte, pte_pfn, pte_advance_pfn: PPN is bits 53:10."""
    largest = (1 << 44) - 1
    for pfn in (0, 1, 0x12345, largest):
        pte = bench.pfn_pte(pfn, RW_USER)
        assert pte == leaf(pfn, RW_USER)
        assert bench.pte_pfn(pte) == pfn
    assert bench.pte_advance_pfn(leaf(5, RW_USER), 11) == leaf(16, RW_USER)


def test_the_frame_of_an_entry_as_memory_holds_it(bench: Bench) -> None:
    """pte_pfn of a NAPOT encoding is the block's first frame, as Linux's."""
    assert bench.pte_pfn(signed(napot(0x120, RW_USER))) == 0x120


@pytest.mark.parametrize(
    ("setter", "clearer", "test", "bit"),
    [
        ("pte_mkyoung", "pte_mkold", "pte_young", A),
        ("pte_mkdirty", "pte_mkclean", "pte_dirty", D),
        ("pte_mkwrite", "pte_wrprotect", "pte_write", W),
    ],
)
def test_flags(bench: Bench, setter: str, clearer: str, test: str, bit: int) -> None:
    """Each flag is one bit, which its three hooks set, clear and test."""
    bare = leaf(7, V | R | U)
    assert getattr(bench, setter)(bare) == bare | bit
    assert getattr(bench, clearer)(bare | bit) == bare
    assert [getattr(bench, test)(pte) for pte in (bare, bare | bit)] == [0, 1]


def test_kinds(bench: Bench) -> None:
    """pte_none, pte_present, pte_valid, pte_protnone, pte_special: PROT_NONE is G without V."""
    kinds = {
        "none": 0, "page": leaf(3, V | R | U), "prot_none": leaf(3, G | R),
        "swap": bench.swp_entry_to_pte(9), "special": leaf(3, V | R | U | SPECIAL),
    }  # fmt: skip

    def where(hook: str) -> set[str]:
        return {name for name, pte in kinds.items() if getattr(bench, hook)(pte)}

    assert where("pte_none") == {"none"}
    assert where("pte_present") == {"page", "prot_none", "special"}
    assert where("pte_valid") == {"page", "special"}
    assert where("pte_protnone") == {"prot_none"}
    assert where("pte_special") == {"special"}
    assert bench.pte_mkspecial(kinds["page"]) == kinds["special"]


def test_changing_protection_keeps_state(bench: Bench) -> None:
    """pte_modify replaces V, R, W, X, U, G and the memory type; frame, A, D and software bits stay."""
    pte = leaf(0x77, V | R | W | U | D | SPECIAL) | 1 << 61
    assert bench.pte_modify(pte, G | R) == leaf(0x77, G | R | D | SPECIAL)
    assert bench.pte_modify(leaf(1, G | R), RW_USER & ~A) == leaf(1, RW_USER & ~A)


def test_swap_entries(bench: Bench) -> None:
    """Bits 3:0 and 5 are zero, 6 is the exclusive marker, the offset is from bit 12; offset 0 is not none."""
    for entry in (0, 1, 0xABCDEF):
        pte = bench.swp_entry_to_pte(entry)
        assert pte & (V | R | W | X | G | 1 << 6) == 0
        assert pte >> 12 == entry
        assert not bench.pte_none(pte)
        assert not bench.pte_present(pte)
        marked = bench.pte_swp_mkexclusive(pte)
        assert marked == pte | 1 << 6
        assert [bench.pte_swp_exclusive(p) for p in (pte, marked)] == [0, 1]
        assert bench.pte_to_swp_entry(marked) == bench.pte_to_swp_entry(pte) == entry
        assert bench.pte_swp_clear_exclusive(marked) == pte


def test_what_may_be_cached(bench: Bench) -> None:
    """pte_accessible: valid entries always, PROT_NONE only while a flush is pending."""
    assert bench.pte_accessible(bench.mm, leaf(1, V | R | U))
    assert not bench.pte_accessible(bench.mm, leaf(1, G | R))
    bench.machine.memory.tables["MM"][bench.mm]["tlb_flush_pending"] = 1
    assert bench.pte_accessible(bench.mm, leaf(1, G | R))
    assert not bench.pte_accessible(bench.mm, 0)


def test_pmds(bench: Bench) -> None:
    """A PMD with any of R, W, X is a leaf, also when invalidated; with V alone it points to a table."""
    table, huge = bench.mk_table(0x55), bench.pmd_mkhuge(leaf(512, RW_USER))
    assert table == 0x55 << 10 | V
    assert bench.table_slot(table) == 0x55
    invalid = bench.pmd_mkinvalid(huge)
    assert invalid == huge & ~(V | G)
    assert [bench.pmd_leaf(p) for p in (0, table, huge, invalid, leaf(512, G | R))] == [0, 0, 1, 1, 1]
    assert [bench.pmd_none(p) for p in (0, table, huge)] == [1, 0, 0]
    assert bench.pmd_pte(huge) == leaf(512, RW_USER)
    assert bench.pmd_pte(invalid) == leaf(512, RW_USER & ~V | G)


def test_pmd_operations(bench: Bench) -> None:
    """pmdp_set_wrprotect, pmdp_test_and_clear_young and pmdp_set_access_flags work as those of entries."""
    pmdp = bench.ptep + 100  # any word of a table will do
    bench.set_pmd_at(bench.mm, bench.addr, pmdp, leaf(512, RW_USER))
    bench.pmdp_set_wrprotect(bench.mm, bench.addr, pmdp)
    assert bench.raw(pmdp) == leaf(512, RW_USER & ~W)
    assert bench.pmdp_test_and_clear_young(bench.vma, bench.addr, pmdp) == 1
    assert bench.pmdp_test_and_clear_young(bench.vma, bench.addr, pmdp) == 0
    assert bench.pmdp_set_access_flags(bench.vma, bench.addr, pmdp, leaf(512, RW_USER | D), 1) == 1
    assert bench.raw(pmdp) == leaf(512, RW_USER | D)


def test_collapse_fences_the_address_space(bench: Bench) -> None:
    """pmdp_collapse_flush: a fence with an address would miss the pointer to the table."""
    pmdp = bench.ptep + 100
    bench.poke(pmdp, bench.mk_table(9))
    bench.reset()
    assert bench.pmdp_collapse_flush(bench.vma, bench.addr, pmdp) == bench.mk_table(9)
    assert bench.raw(pmdp) == 0
    assert bench.tlbi() == [("sfence_vma_asid", 0, 0)]


def test_the_walker_with_svadu(bench: Bench) -> None:
    """mmu_access sets A, and D on a write, if the permission is there."""
    at = (bench.mm, bench.addr, bench.ptep, 3)
    bench.poke(bench.ptep, leaf(1, V | R | U))
    assert bench.mmu_access(*at, 0) == 1
    assert bench.raw(bench.ptep) == leaf(1, V | R | U | A)
    assert bench.mmu_access(*at, 1) == bench.mmu_access(*at, 2) == 0
    bench.poke(bench.ptep, leaf(1, V | R | W | U))
    assert bench.mmu_access(*at, 1) == 1
    assert bench.raw(bench.ptep) == leaf(1, V | R | W | U | A | D)
    bench.poke(bench.ptep, leaf(1, V | X | U | A))
    assert [bench.mmu_access(*at, access) for access in (0, 2)] == [0, 1]
    for blocked in (0, leaf(1, G | R), leaf(1, V | R | A)):
        bench.poke(bench.ptep, blocked)
        assert bench.mmu_access(*at, 0) == 0


def test_the_walker_without_svadu() -> None:
    """Svade: an access that would set A or D faults and changes nothing."""
    bench = Bench("riscv_svnapot", cpu="rva23")
    at = (bench.mm, bench.addr, bench.ptep, 3)
    for bits, access, result in [(0, 0, 0), (A, 0, 1), (A, 1, 0), (A | D, 1, 1)]:
        bench.poke(bench.ptep, leaf(1, V | R | W | U | bits))
        assert bench.mmu_access(*at, access) == result
        assert bench.raw(bench.ptep) == leaf(1, V | R | W | U | bits)
    assert bench.arch_has_hw_pte_young() == 0
    assert Bench("riscv_svnapot", cpu="rva23-full").arch_has_hw_pte_young() == 1


def test_geometry() -> None:
    """4 KiB pages, 64 KiB blocks, Sv48 or Sv39."""
    arch = Bench("riscv_svnapot").arch
    assert {g.levels for g in arch.granules.values()} == {3, 4}
    assert all(1 << g.page_shift == PAGE and g.cont_ptes == 16 for g in arch.granules.values())
