"""PMD-mapped folios (mm/huge_memory.c; Linux 6.12, 7.3).

A mapped huge page keeps a PTE table in reserve (`MM.deposit`), so that splitting its PMD cannot fail.
"""

from __future__ import annotations

from core_mm.features import feature
from core_mm.folio import (
    PageAnonExclusive,
    folio_get,
    folio_mark_accessed,
    folio_mark_dirty,
    folio_put,
    folio_ref_add,
    folio_test_anon,
    page_folio,
)
from core_mm.hookspecs import (
    flush_pmd_tlb_range,
    huge_pmd_needs_flush,
    pfn_pte,
    pmd_leaf,
    pmd_mkhuge,
    pmd_pte,
    pmdp_huge_get_and_clear,
    pmdp_huge_get_and_clear_full,
    pmdp_invalidate,
    pmdp_invalidate_ad,
    pmdp_set_wrprotect,
    pte_dirty,
    pte_mkclean,
    pte_mkdirty,
    pte_mkold,
    pte_mkspecial,
    pte_mkwrite,
    pte_modify,
    pte_pfn,
    pte_protnone,
    pte_write,
    pte_wrprotect,
    pte_young,
    set_pmd_at,
    set_ptes,
)
from core_mm.lru import vma_has_recency
from core_mm.memory.rss import add_mm_counter, mm_counter
from core_mm.mm_types import (
    ENOMEM,
    GATHER,
    MM,
    MM_ANONPAGES,
    PAGE,
    PG_DIRTY,
    PG_REFERENCED,
    PG_SWAPBACKED,
    PTDESC,
    VM_SHARED,
    VM_WRITE,
    VMA,
    cfg,
    mach,
    ptes,
)
from core_mm.mmu_gather import tlb_flush_pmd_range, tlb_remove_page_size, tlb_remove_pmd_tlb_entry
from core_mm.pgtable import pmd_off, pmd_populate, pte_alloc_one, pte_free
from core_mm.rmap import (
    folio_add_anon_rmap_ptes,
    folio_maybe_mapped_shared,
    folio_remove_rmap_pmd,
    folio_try_dup_anon_rmap_pmd,
    folio_try_share_anon_rmap_pte,
)
from core_mm.rwonce import PMD_READ_ONCE
from core_mm.swapops import make_migration_pte
from core_mm.vmstat import SPLIT_PMD, count

# --- values and the tables in reserve ---


def is_huge_zero_pmd(pmd: int) -> int:
    """Whether the leaf maps the huge zero page."""
    return mach.huge_zero_page and pte_pfn(pmd_pte(pmd)) == mach.huge_zero_page


def pgtable_trans_huge_deposit(mm: int, slot: int) -> int:
    """Put a PTE table in reserve."""
    PTDESC.next[slot] = MM.deposit[mm]
    MM.deposit[mm] = slot
    return 0


def pgtable_trans_huge_withdraw(mm: int) -> int:
    """Take one back."""
    slot = MM.deposit[mm]
    MM.deposit[mm] = PTDESC.next[slot]
    PTDESC.next[slot] = 0
    return slot


def zap_deposited_table(mm: int) -> int:
    """Free a table that was in reserve."""
    return pte_free(mm, pgtable_trans_huge_withdraw(mm))


def pmdp_huge_clear_flush(vma: int, haddr: int, pmdp: int) -> int:
    """Clear a leaf and flush it; returns what it was (mm/pgtable-generic.c)."""
    pmd = pmdp_huge_get_and_clear(VMA.vm_mm[vma], haddr, pmdp)
    flush_pmd_tlb_range(vma, haddr, haddr + cfg.pmd_size)
    return pmd


# --- splitting a leaf ---


def split_huge_pmd_address(vma: int, address: int) -> int:
    """Split the leaf at `address`, if there is one."""
    pmdp = pmd_off(VMA.vm_mm[vma], address)
    if not pmdp:
        return 0
    return split_huge_pmd(vma, pmdp, address)


def split_huge_pmd(vma: int, pmdp: int, address: int) -> int:
    """Replace a leaf by a table of 512 PTEs (`__split_huge_pmd`); of a file's page, by nothing."""
    if not pmd_leaf(ptes[pmdp]):
        return 0
    haddr = address & -cfg.pmd_size
    count(SPLIT_PMD, 1)
    if VMA.vm_file[vma] and not folio_test_anon(pte_pfn(pmd_pte(ptes[pmdp]))):
        return drop_file_pmd(vma, haddr, pmdp)
    if is_huge_zero_pmd(ptes[pmdp]):
        return split_huge_zero_page_pmd(vma, haddr, pmdp)
    pmd = pmd_pte(pmdp_invalidate(vma, haddr, pmdp))
    folio = pte_pfn(pmd)
    if pte_dirty(pmd):
        PAGE.flags[folio] |= PG_DIRTY
    nr = 1 << cfg.pmd_order
    folio_ref_add(folio, nr - 1)
    folio_add_anon_rmap_ptes(folio, folio, nr, vma, haddr, PageAnonExclusive(folio))
    slot = pgtable_trans_huge_withdraw(VMA.vm_mm[vma])
    set_ptes(VMA.vm_mm[vma], haddr, slot * cfg.ptrs_per_pte, split_entry(vma, folio, pmd), nr)
    folio_remove_rmap_pmd(folio, vma)
    return pmd_populate(VMA.vm_mm[vma], pmdp, slot)


def split_huge_pmd_freeze(vma: int, pmdp: int, address: int) -> int:
    """Replace a leaf by a table of migration entries: the page is about to be split or moved."""
    mm, haddr = VMA.vm_mm[vma], address & -cfg.pmd_size
    count(SPLIT_PMD, 1)
    pmd = pmd_pte(pmdp_invalidate(vma, haddr, pmdp))
    folio = pte_pfn(pmd)
    dirty, exclusive = pte_dirty(pmd), PageAnonExclusive(folio)
    if dirty:
        PAGE.flags[folio] |= PG_DIRTY
    if exclusive:
        folio_try_share_anon_rmap_pte(folio, folio)
    slot = pgtable_trans_huge_withdraw(mm)
    for i in range(cfg.ptrs_per_pte):
        entry = make_migration_pte(folio + i, pte_write(pmd), exclusive, pte_young(pmd), dirty)
        set_ptes(mm, haddr + (i << cfg.page_shift), slot * cfg.ptrs_per_pte + i, entry, 1)
    folio_remove_rmap_pmd(folio, vma)
    folio_put(folio)
    return pmd_populate(mm, pmdp, slot)


def split_entry(vma: int, page: int, pmd: int) -> int:
    """The first PTE that replaces the leaf `pmd`, with its permissions and state."""
    entry = pfn_pte(page, VMA.vm_page_prot[vma])
    if pte_write(pmd):
        entry = pte_mkwrite(entry)
    else:
        entry = pte_wrprotect(entry)
    if not pte_young(pmd):
        entry = pte_mkold(entry)
    if pte_dirty(pmd):
        entry = pte_mkdirty(entry)
    return entry


def drop_file_pmd(vma: int, haddr: int, pmdp: int) -> int:
    """A file's page is simply unmapped: faults find it again."""
    pmd = pmd_pte(pmdp_huge_clear_flush(vma, haddr, pmdp))
    folio = pte_pfn(pmd)
    if pte_dirty(pmd):
        PAGE.flags[folio] |= PG_DIRTY
    if pte_young(pmd):
        PAGE.flags[folio] |= PG_REFERENCED
    folio_remove_rmap_pmd(folio, vma)
    add_mm_counter(VMA.vm_mm[vma], mm_counter(folio), -(1 << cfg.pmd_order))
    return folio_put(folio)


def split_huge_zero_page_pmd(vma: int, haddr: int, pmdp: int) -> int:
    """512 entries of the small zero page, one by one."""
    mm = VMA.vm_mm[vma]
    pmdp_huge_clear_flush(vma, haddr, pmdp)
    slot = pgtable_trans_huge_withdraw(mm)
    entry = pte_mkspecial(pfn_pte(mach.zero_page, VMA.vm_page_prot[vma]))
    for i in range(cfg.ptrs_per_pte):
        set_ptes(mm, haddr + (i << cfg.page_shift), slot * cfg.ptrs_per_pte + i, entry, 1)
    return pmd_populate(mm, pmdp, slot)


# --- zap, fork, mprotect, mremap, madvise ---


def zap_huge_pmd(tlb: int, vma: int, pmdp: int, addr: int) -> int:
    """Unmap a leaf: one slot of the gather, its table freed at once."""
    mm = GATHER.mm[tlb]
    pmd = pmdp_huge_get_and_clear_full(vma, addr, pmdp, GATHER.fullmm[tlb])
    tlb_remove_pmd_tlb_entry(tlb, pmdp, addr)
    if is_huge_zero_pmd(pmd):
        return zap_deposited_table(mm)
    folio = pte_pfn(pmd_pte(pmd))
    folio_remove_rmap_pmd(folio, vma)
    if folio_test_anon(folio):
        zap_deposited_table(mm)
    else:
        zap_file_pmd_flags(vma, folio, pmd_pte(pmd))
    add_mm_counter(mm, mm_counter(folio), -(1 << cfg.pmd_order))
    return tlb_remove_page_size(tlb, folio, 1)


def zap_file_pmd_flags(vma: int, folio: int, pte: int) -> int:
    """What the leaf knew of a file's folio goes on to that (zap_huge_pmd_folio); what a release forgets, is lost."""
    if feature.zap_pmd_dirty and pte_dirty(pte):
        folio_mark_dirty(folio)
    if feature.zap_pmd_accessed and pte_young(pte) and vma_has_recency(vma):
        folio_mark_accessed(folio)
    return 0


def copy_huge_pmd(dst_vma: int, src_vma: int, dst_pmdp: int, src_pmdp: int, addr: int) -> int:
    """fork of a leaf: share it read-only; 0, or -ENOMEM. A file's leaf is left for a fault to map."""
    mm = VMA.vm_mm[dst_vma]
    pmd = PMD_READ_ONCE(src_pmdp)
    zero = is_huge_zero_pmd(pmd)
    folio = page_folio(pte_pfn(pmd_pte(pmd)))
    if not zero and not folio_test_anon(folio):
        return 0
    slot = pte_alloc_one(mm)
    if not slot:
        return -ENOMEM
    if not zero:
        folio_get(folio)
        folio_try_dup_anon_rmap_pmd(folio, src_vma, dst_vma)
        add_mm_counter(mm, MM_ANONPAGES, 1 << cfg.pmd_order)
    pgtable_trans_huge_deposit(mm, slot)
    pmdp_set_wrprotect(VMA.vm_mm[src_vma], addr, src_pmdp)
    return set_pmd_at(mm, addr, dst_pmdp, pmd_mkhuge(pte_mkold(pte_wrprotect(pmd_pte(pmd)))))


def change_huge_pmd(tlb: int, vma: int, pmdp: int, addr: int, newprot: int, try_writable: int) -> int:
    """mprotect of a leaf: invalidated and flushed first, then recorded again. Returns 1."""
    old = pmdp_invalidate_ad(vma, addr, pmdp)
    entry = pte_modify(pmd_pte(old), newprot)
    if try_writable and not pte_write(entry) and can_change_pmd_writable(vma, entry):
        entry = pte_mkwrite(entry)
    set_pmd_at(VMA.vm_mm[vma], addr, pmdp, pmd_mkhuge(entry))
    if huge_pmd_needs_flush(old, pmd_mkhuge(entry)):
        tlb_flush_pmd_range(tlb, addr, cfg.pmd_size)
    return 1


def can_change_pmd_writable(vma: int, entry: int) -> int:
    """Whether no write fault is needed to notice or to copy."""
    if not VMA.vm_flags[vma] & VM_WRITE or pte_protnone(entry):
        return 0
    if VMA.vm_flags[vma] & VM_SHARED:
        return pte_dirty(entry)
    page = pte_pfn(entry)
    return page != mach.huge_zero_page and folio_test_anon(page_folio(page)) and PageAnonExclusive(page)


def move_huge_pmd(vma: int, old_addr: int, new_addr: int, old_pmdp: int, new_pmdp: int) -> int:
    """mremap of a leaf; returns 1."""
    pmd = pmdp_huge_get_and_clear(VMA.vm_mm[vma], old_addr, old_pmdp)
    set_pmd_at(VMA.vm_mm[vma], new_addr, new_pmdp, pmd)
    flush_pmd_tlb_range(vma, old_addr, old_addr + cfg.pmd_size)
    return 1


def madvise_free_huge_pmd(tlb: int, vma: int, pmdp: int, addr: int) -> int:
    """MADV_FREE of a whole leaf: clean and old; the page may go unless it is written to."""
    pmd = ptes[pmdp]
    folio = page_folio(pte_pfn(pmd_pte(pmd)))
    if is_huge_zero_pmd(pmd) or folio_maybe_mapped_shared(folio):
        return 0
    PAGE.flags[folio] &= ~PG_DIRTY
    pte = pmd_pte(pmd)
    if pte_young(pte) or pte_dirty(pte):
        pmdp_invalidate(vma, addr, pmdp)
        set_pmd_at(VMA.vm_mm[vma], addr, pmdp, pmd_mkhuge(pte_mkclean(pte_mkold(pte))))
        tlb_remove_pmd_tlb_entry(tlb, pmdp, addr)
    PAGE.flags[folio] &= ~PG_SWAPBACKED
    return 0
