"""Faults that a PMD leaf answers (mm/huge_memory.c; Linux 6.12, 7.3)."""

from __future__ import annotations

from core_mm import content
from core_mm.features import feature
from core_mm.folio import (
    PageAnonExclusive,
    SetPageAnonExclusive,
    folio_alloc,
    folio_put,
    folio_ref_count,
)
from core_mm.hookspecs import (
    pfn_pte,
    pmd_mkhuge,
    pmd_pte,
    pmdp_set_access_flags,
    pte_mkdirty,
    pte_mkspecial,
    pte_mkyoung,
    pte_pfn,
    pte_write,
    set_pmd_at,
)
from core_mm.huge_memory import (
    is_huge_zero_pmd,
    pgtable_trans_huge_deposit,
    pmdp_huge_clear_flush,
    split_huge_pmd,
)
from core_mm.lru import folio_add_lru
from core_mm.memory.entry import maybe_mkwrite
from core_mm.memory.rss import add_mm_counter
from core_mm.mm_types import MM_ANONPAGES, VMA, cfg, mach, ptes
from core_mm.pgtable import pte_alloc_one
from core_mm.rmap import anon_vma_prepare, folio_add_new_anon_rmap, folio_move_anon_rmap
from core_mm.thp import thp_vma_suitable_order
from core_mm.uapi import ACCESS_WRITE
from core_mm.vm_fault import VM_FAULT_FALLBACK, VM_FAULT_OOM
from core_mm.vmstat import FAULT_ACCESS, FAULT_PMD, FAULT_REUSE, FAULT_ZERO, count


def do_huge_pmd_anonymous_page(vma: int, address: int, pmdp: int, access: int) -> int:
    """Map a new huge page, or the huge zero page for a read; VM_FAULT_FALLBACK if neither is possible."""
    haddr = address & -cfg.pmd_size
    if not thp_vma_suitable_order(vma, address, cfg.pmd_order):
        return VM_FAULT_FALLBACK
    if anon_vma_prepare(vma):
        return VM_FAULT_OOM
    if access != ACCESS_WRITE:
        return set_huge_zero_folio(vma, haddr, pmdp)
    folio = folio_alloc(cfg.pmd_order)
    if not folio:
        return VM_FAULT_FALLBACK
    slot = pte_alloc_one(VMA.vm_mm[vma])
    if not slot:
        folio_put(folio)
        return VM_FAULT_OOM
    pgtable_trans_huge_deposit(VMA.vm_mm[vma], slot)
    return map_anon_folio_pmd(vma, haddr, pmdp, folio)


def map_anon_folio_pmd(vma: int, haddr: int, pmdp: int, folio: int) -> int:
    """Map a new huge page; its table is in reserve already."""
    mm = VMA.vm_mm[vma]
    if cfg.content:
        content.clear_user_pages(folio, 1 << cfg.pmd_order)
    count(FAULT_PMD, 1)
    entry = maybe_mkwrite(pte_mkdirty(pfn_pte(folio, VMA.vm_page_prot[vma])), vma)
    folio_add_new_anon_rmap(folio, vma, haddr, 1)
    folio_add_lru(folio)
    add_mm_counter(mm, MM_ANONPAGES, 1 << cfg.pmd_order)
    return set_pmd_at(mm, haddr, pmdp, pmd_mkhuge(entry))


def get_huge_zero_page() -> int:
    """The huge zero page; made when first wanted, kept for ever. 0 if memory is out."""
    if not mach.huge_zero_page:
        mach.huge_zero_page = folio_alloc(cfg.pmd_order)
        if cfg.content and mach.huge_zero_page:
            content.clear_user_pages(mach.huge_zero_page, 1 << cfg.pmd_order)
    return mach.huge_zero_page


def set_huge_zero_folio(vma: int, haddr: int, pmdp: int) -> int:
    """Map the huge zero page; its leaf is special since Linux 6.17."""
    mm = VMA.vm_mm[vma]
    zero = get_huge_zero_page()
    if not zero:
        return VM_FAULT_FALLBACK
    slot = pte_alloc_one(mm)
    if not slot:
        return VM_FAULT_OOM
    count(FAULT_ZERO, 1)
    pgtable_trans_huge_deposit(mm, slot)
    entry = pfn_pte(zero, VMA.vm_page_prot[vma])
    if feature.huge_zero_special:
        entry = pte_mkspecial(entry)
    return set_pmd_at(mm, haddr, pmdp, pmd_mkhuge(entry))


def handle_huge_pmd_fault(vma: int, address: int, pmdp: int, pmd: int, access: int) -> int:
    """A fault on a leaf: a write to a read-only one, or young and dirty to set."""
    write = access == ACCESS_WRITE
    if write and not pte_write(pmd_pte(pmd)):
        if VMA.vm_file[vma]:
            return fallback_split(vma, address, pmdp)
        return do_huge_pmd_wp_page(vma, address, pmdp, pmd)
    count(FAULT_ACCESS, 1)
    touch_pmd(vma, address, pmdp, int(write))
    return 0


def touch_pmd(vma: int, address: int, pmdp: int, write: int) -> int:
    """Make a leaf young, and dirty for a write. Returns whether it changed."""
    entry = pte_mkyoung(pmd_pte(ptes[pmdp]))
    if write:
        entry = pte_mkdirty(entry)
    return pmdp_set_access_flags(vma, address & -cfg.pmd_size, pmdp, pmd_mkhuge(entry), write)


def fallback_split(vma: int, address: int, pmdp: int) -> int:
    """Split the leaf and let the PTE fault handle it."""
    split_huge_pmd(vma, pmdp, address)
    return VM_FAULT_FALLBACK


def do_huge_pmd_wp_page(vma: int, address: int, pmdp: int, pmd: int) -> int:
    """Write to a read-only leaf: reuse an exclusive page, else split and copy one small page."""
    haddr = address & -cfg.pmd_size
    if is_huge_zero_pmd(pmd):
        if feature.huge_zero_wp:
            return do_huge_zero_wp_pmd(vma, haddr, pmdp)
        return fallback_split(vma, address, pmdp)
    folio = pte_pfn(pmd_pte(pmd))
    if not PageAnonExclusive(folio) and not huge_folio_is_ours(folio, vma):
        return fallback_split(vma, address, pmdp)
    SetPageAnonExclusive(folio)
    count(FAULT_REUSE, 1)
    entry = maybe_mkwrite(pte_mkdirty(pte_mkyoung(pmd_pte(pmd))), vma)
    pmdp_set_access_flags(vma, haddr, pmdp, pmd_mkhuge(entry), 1)
    return 0


def huge_folio_is_ours(folio: int, vma: int) -> int:
    """Whether the one reference is this mapping's; what has slots of swap no leaf maps any more."""
    if folio_ref_count(folio) != 1:
        return 0
    folio_move_anon_rmap(folio, vma)
    return 1


def do_huge_zero_wp_pmd(vma: int, haddr: int, pmdp: int) -> int:
    """The first write to the huge zero page gets a huge page at once (Linux 6.13)."""
    if anon_vma_prepare(vma):
        return VM_FAULT_OOM
    folio = folio_alloc(cfg.pmd_order)
    if not folio:
        return fallback_split(vma, haddr, pmdp)
    pmdp_huge_clear_flush(vma, haddr, pmdp)
    return map_anon_folio_pmd(vma, haddr, pmdp, folio)
