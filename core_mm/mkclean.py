"""Write-protecting a file folio before it is written back (mm/rmap.c:folio_mkclean)."""

from __future__ import annotations

from core_mm.hookspecs import (
    pmd_leaf, pmd_mkhuge, pmd_none, pmd_pte, pmdp_invalidate, pte_dirty, pte_mkclean, pte_none, pte_pfn, pte_present,
    pte_write, pte_wrprotect, ptep_clear_flush, ptep_get, set_pmd_at, set_ptes,
)  # fmt: skip
from core_mm.mm_types import VM_SHARED, VMA, cfg, ptes
from core_mm.pgtable import pmd_addr_end, pmd_off, pte_offset_map
from core_mm.rmap_walk import page_in_folio, rmap_first, rmap_next, rmap_vma, vma_address_range
from core_mm.vmstat import PTEP_CLEAR_FLUSH, count


def folio_mkclean(folio: int) -> int:
    """Make every shared mapping read-only and clean; returns how many entries were not."""
    cleaned = 0
    at = rmap_first(folio)
    while at:
        vma = rmap_vma(folio, at)
        if VMA.vm_flags[vma] & VM_SHARED:
            address, end = vma_address_range(vma, folio)
            while address < end:
                after = pmd_addr_end(address, end)
                cleaned += mkclean_table(folio, vma, address, after)
                address = after
        at = rmap_next(folio, at)
    return cleaned


def mkclean_table(folio: int, vma: int, address: int, end: int) -> int:
    """What one table maps of the folio."""
    pmdp = pmd_off(VMA.vm_mm[vma], address)
    if not pmdp or pmd_none(ptes[pmdp]):
        return 0
    if pmd_leaf(ptes[pmdp]):
        return mkclean_pmd(folio, vma, address & -cfg.pmd_size, pmdp)
    ptep = pte_offset_map(pmdp, address)
    first, cleaned = ptep, 0
    while address < end:
        # page_vma_mapped_walk() looks twice before the caller does, but once at the first
        if ptep == first or not pte_none(ptep_get(ptep)):
            pte = ptep_get(ptep)
            if pte_present(pte) and page_in_folio(pte_pfn(pte), folio):
                cleaned += mkclean_pte(vma, address, ptep)
        ptep += 1
        address += cfg.page_size
    return cleaned


def mkclean_pte(vma: int, address: int, ptep: int) -> int:
    """One entry; flushed at once, because its translation may be writable."""
    pte = ptep_get(ptep)
    if not pte_dirty(pte) and not pte_write(pte):
        return 0
    count(PTEP_CLEAR_FLUSH, 1)
    pte = ptep_clear_flush(vma, address, ptep)
    set_ptes(VMA.vm_mm[vma], address, ptep, pte_mkclean(pte_wrprotect(pte)), 1)
    return 1


def mkclean_pmd(folio: int, vma: int, address: int, pmdp: int) -> int:
    """A PMD leaf."""
    pte = pmd_pte(ptes[pmdp])
    if not page_in_folio(pte_pfn(pte), folio) or (not pte_dirty(pte) and not pte_write(pte)):
        return 0
    pte = pmd_pte(pmdp_invalidate(vma, address, pmdp))
    set_pmd_at(VMA.vm_mm[vma], address, pmdp, pmd_mkhuge(pte_mkclean(pte_wrprotect(pte))))
    return 1
