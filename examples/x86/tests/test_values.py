"""Values of entries against the manual, pgtable_types.h and pgtable-invert.h."""

from __future__ import annotations

import pytest
from mmarch.testing import Bench

from .support import (
    NX,
    PCD,
    PROT_NONE,
    PSE,
    PWT,
    RW,
    SAVED_DIRTY,
    SPECIAL,
    US,
    USER_RO,
    USER_RW,
    A,
    D,
    G,
    P,
    absent,
    leaf,
    unsigned,
)

VM_READ, VM_WRITE, VM_EXEC, VM_SHARED = 1, 2, 4, 8


@pytest.mark.parametrize(
    ("flags", "bits"),
    [
        (0, A | G),
        (VM_READ, P | US | A | NX),
        (VM_READ | VM_WRITE, P | US | A | NX),
        (VM_EXEC, P | US | A),
        (VM_READ | VM_WRITE | VM_EXEC, P | US | A),
        (VM_SHARED, A | G),
        (VM_SHARED | VM_READ, P | US | A | NX),
        (VM_SHARED | VM_WRITE, P | RW | US | A | NX),
        (VM_SHARED | VM_READ | VM_WRITE | VM_EXEC, P | RW | US | A),
    ],
)
def test_protections(bench: Bench, flags: int, bits: int) -> None:
    """vm_get_page_prot: `protection_map`; private writable memory starts read-only."""
    assert unsigned(bench.vm_get_page_prot(flags)) == bits


@pytest.mark.parametrize("pfn", [0, 1, 0x12345, (1 << 40) - 1])
def test_frames(bench: Bench, pfn: int) -> None:
    """pfn_pte, pte_pfn: bits 51:12, inverted in entries that are not present."""
    for prot, entry in ((leaf(0, USER_RW), leaf(pfn, USER_RW)), (PROT_NONE, absent(pfn, PROT_NONE))):
        assert bench.pfn_pte(pfn, prot) == entry
        assert bench.pte_pfn(entry) == pfn


def test_the_next_frame(bench: Bench) -> None:
    """pte_advance_pfn counts up where an inverted frame counts down."""
    assert bench.pte_advance_pfn(leaf(5, USER_RW), 11) == leaf(16, USER_RW)
    assert bench.pte_advance_pfn(absent(5, PROT_NONE), 11) == absent(16, PROT_NONE)


def test_kinds(bench: Bench) -> None:
    """pte_none, pte_present, pte_valid, pte_protnone, pte_special: PROT_NONE is G without P."""
    kinds = {
        "none": 0, "knl": A | D, "page": leaf(3, USER_RO), "prot_none": absent(3, PROT_NONE),
        "swap": bench.swp_entry_to_pte(9), "special": leaf(3, USER_RO | SPECIAL),
    }  # fmt: skip

    def where(hook: str) -> set[str]:
        return {name for name, pte in kinds.items() if getattr(bench, hook)(pte)}

    assert where("pte_none") == {"none", "knl"}
    assert where("pte_present") == {"page", "prot_none", "special"}
    assert where("pte_valid") == {"page", "special"}
    assert where("pte_protnone") == {"prot_none"}
    assert where("pte_special") == {"special"}
    assert bench.pte_mkspecial(kinds["page"]) == kinds["special"]


def test_young_and_writable(bench: Bench) -> None:
    """pte_mkyoung, pte_mkold, pte_young and pte_mkwrite, pte_wrprotect, pte_write are about A and R/W."""
    old = leaf(7, USER_RO & ~A)
    assert bench.pte_mkyoung(old) == leaf(7, USER_RO)
    assert bench.pte_mkold(leaf(7, USER_RO)) == old
    assert [bench.pte_young(pte) for pte in (old, leaf(7, USER_RO))] == [0, 1]
    assert bench.pte_mkwrite(leaf(7, USER_RO)) == leaf(7, USER_RW)
    assert bench.pte_wrprotect(leaf(7, USER_RW)) == leaf(7, USER_RO)
    assert [bench.pte_write(leaf(7, bits)) for bits in (USER_RO, USER_RW)] == [0, 1]


def test_write_0_dirty_1_never_occurs(bench: Bench) -> None:
    """That would be a shadow stack: what is dirty and not writable has a software bit instead of D."""
    dirty_rw, dirty_ro = leaf(7, USER_RW | D), leaf(7, USER_RO | SAVED_DIRTY)
    assert bench.pte_wrprotect(dirty_rw) == dirty_ro
    assert bench.pte_mkwrite(dirty_ro) == dirty_rw
    assert bench.pte_mkdirty(leaf(7, USER_RW)) == dirty_rw
    assert bench.pte_mkdirty(leaf(7, USER_RO)) == dirty_ro
    for dirty, clean in ((dirty_rw, leaf(7, USER_RW)), (dirty_ro, leaf(7, USER_RO))):
        assert bench.pte_mkclean(dirty) == clean
        assert [bench.pte_dirty(pte) for pte in (dirty, clean)] == [1, 0]


def test_changing_protection(bench: Bench) -> None:
    """pte_modify keeps frame, A, D, caching and software bits; from P to PROT_NONE it inverts the frame."""
    pte = leaf(0x77, (USER_RW & ~A) | D | SPECIAL | PCD)
    none = bench.pte_modify(pte, PROT_NONE)
    assert none == absent(0x77, G | SPECIAL | PCD | SAVED_DIRTY)
    assert bench.pte_pfn(none) == 0x77
    assert bench.pte_dirty(none)
    assert not bench.pte_young(none)
    assert bench.pte_modify(none, leaf(0, USER_RW)) == pte
    assert bench.pte_modify(leaf(1, USER_RW | D), leaf(0, USER_RO)) == leaf(1, USER_RO | SAVED_DIRTY)


@pytest.mark.parametrize("entry", [0, 1, 0xABCDEF, (1 << 50) - 1])
def test_swap_entries(bench: Bench, entry: int) -> None:
    """Bits 58:9 are the inverted offset, bit 3 the exclusive marker; neither P nor G."""
    pte = bench.swp_entry_to_pte(entry)
    assert unsigned(pte) >> 9 & (1 << 50) - 1 == ~entry & (1 << 50) - 1
    assert pte & (P | G) == 0
    marked = bench.pte_swp_mkexclusive(pte)
    assert marked == pte | PWT
    assert [bench.pte_swp_exclusive(each) for each in (pte, marked)] == [0, 1]
    assert bench.pte_to_swp_entry(pte) == bench.pte_to_swp_entry(marked) == entry
    assert bench.pte_swp_clear_exclusive(marked) == pte
    assert not bench.pte_present(marked)


def test_a_full_swap_area_has_an_end(bench: Bench) -> None:
    """Every slot that a machine can have is an entry that is not none."""
    assert not any(bench.pte_none(bench.swp_entry_to_pte(entry)) for entry in (0, 1, 1 << 16, 1 << 30))


def test_what_may_be_cached(bench: Bench) -> None:
    """pte_accessible: present entries always, PROT_NONE only while a flush is pending."""
    assert bench.pte_accessible(bench.mm, leaf(1, USER_RO))
    assert not bench.pte_accessible(bench.mm, absent(1, PROT_NONE))
    bench.machine.memory.tables["MM"][bench.mm]["tlb_flush_pending"] = 1
    assert bench.pte_accessible(bench.mm, absent(1, PROT_NONE))


@pytest.mark.parametrize(
    ("old", "new", "needed"),
    [
        (0, leaf(1, USER_RW), 0),
        (absent(1, PROT_NONE), leaf(1, USER_RW), 0),
        (leaf(1, USER_RW), leaf(2, USER_RW), 1),
        (leaf(1, USER_RW), absent(1, PROT_NONE), 1),
        (leaf(1, USER_RW | D), leaf(1, USER_RW), 1),
        (leaf(1, USER_RW), leaf(1, USER_RW | D), 0),
        (leaf(1, USER_RW), leaf(1, USER_RW & ~A), 0),
        (leaf(1, USER_RW), leaf(1, USER_RO), 1),
        (leaf(1, USER_RO), leaf(1, USER_RW), 1),
        (leaf(1, USER_RO), leaf(1, USER_RO & ~NX), 1),
        (leaf(1, USER_RO), leaf(1, USER_RO | SAVED_DIRTY | SPECIAL), 0),
        (leaf(1, USER_RO), leaf(1, USER_RO | 3 << 59), 1),
    ],
)
def test_when_mprotect_needs_a_flush(bench: Bench, old: int, new: int, needed: int) -> None:
    """pte_needs_flush: frames, P or D cleared, permissions, caching, protection keys; not A, not software."""
    assert bench.pte_needs_flush(old, new) == needed


def test_pmds(bench: Bench) -> None:
    """PSE makes a leaf, also of an invalidated one, whose frame is inverted; tables have all permissions."""
    table, huge = bench.mk_table(0x55), bench.pmd_mkhuge(leaf(512, USER_RW))
    assert table == 0x55 << 12 | P | RW | US | A | D
    assert bench.table_slot(table) == 0x55
    assert huge == leaf(512, USER_RW | PSE)
    invalid = bench.pmd_mkinvalid(huge)
    assert invalid == absent(512, (USER_RW | PSE) & ~P)
    assert [bench.pmd_leaf(p) for p in (0, table, huge, invalid)] == [0, 0, 1, 1]
    assert [bench.pmd_none(p) for p in (0, table, huge)] == [1, 0, 0]
    assert bench.pmd_pte(huge) == leaf(512, USER_RW)
    assert bench.pmd_pte(invalid) == absent(512, USER_RW & ~P | G)
    assert bench.pte_pfn(bench.pmd_pte(bench.pmd_mkhuge(absent(512, PROT_NONE)))) == 512


def test_geometry() -> None:
    """Four levels, or five with LA57; no contiguous entries."""
    arch = Bench("x86").arch
    assert {g.levels for g in arch.granules.values()} == {4, 5}
    assert all(g.cont_ptes == 1 for g in arch.granules.values())
    assert len(Bench("x86", granule="4k-la57").counts()) == 0
