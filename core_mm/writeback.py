"""Writing back dirty pages: their entries become clean and read-only first (mm/page-writeback.c, mm/rmap.c)."""

from __future__ import annotations

from core_mm.folio import (
    folio_clear_flag,
    folio_mapped,
    folio_mark_dirty,
    folio_nr_pages,
    folio_test_dirty,
    page_folio,
)
from core_mm.hookspecs import (
    pmd_leaf,
    pmd_mkhuge,
    pmd_none,
    pmd_pte,
    pmdp_invalidate,
    pte_dirty,
    pte_mkclean,
    pte_none,
    pte_pfn,
    pte_present,
    pte_write,
    pte_wrprotect,
    ptep_clear_flush,
    ptep_get,
    set_pmd_at,
    set_ptes,
)
from core_mm.mapping import mapping_can_writeback
from core_mm.mm_types import PG_DIRTY, VM_SHARED, VMA, cfg, ptes
from core_mm.page_cache import filemap_get_page
from core_mm.pgtable import pmd_addr_end, pmd_off, pte_offset_map
from core_mm.rmap_walk import page_in_folio, rmap_first, rmap_next, rmap_vma, vma_address_range
from core_mm.vmstat import PTEP_CLEAR_FLUSH, count


def filemap_write_and_wait_range(inode: int, start: int, end: int) -> int:
    """Write the dirty folios of pages [start, end) back; what has no disk behind it stays dirty."""
    if not mapping_can_writeback(inode):
        return 0
    index = start
    while index < end:
        page = filemap_get_page(inode, index)
        nr = 1
        if page:
            folio = page_folio(page)
            nr = folio_nr_pages(folio) - (page - folio)
            if folio_test_dirty(folio):
                folio_clear_dirty_for_io(folio)
        index += nr
    return 0


def folio_clear_dirty_for_io(folio: int) -> int:
    """Take dirtiness from the entries, so that the next write faults again."""
    if folio_mapped(folio) and folio_mkclean(folio):
        folio_mark_dirty(folio)
    return folio_clear_flag(folio, PG_DIRTY)


def folio_mkclean(folio: int) -> int:
    """Make every shared mapping clean and read-only; how many entries changed."""
    cleaned = 0
    at = rmap_first(folio)
    while at:
        vma = rmap_vma(folio, at)
        if VMA.vm_flags[vma] & VM_SHARED:
            start, end = vma_address_range(vma, folio)
            while start < end:
                after = pmd_addr_end(start, end)
                cleaned += mkclean_table(folio, vma, start, after)
                start = after
        at = rmap_next(folio, at)
    return cleaned


def mkclean_table(folio: int, vma: int, address: int, end: int) -> int:
    """The part that one table maps (page_vma_mkclean_one)."""
    pmdp = pmd_off(VMA.vm_mm[vma], address)
    if not pmdp or pmd_none(ptes[pmdp]):
        return 0
    if pmd_leaf(ptes[pmdp]):
        return mkclean_pmd(folio, vma, address & -cfg.pmd_size, pmdp)
    cleaned = 0
    ptep = pte_offset_map(pmdp, address)
    first = ptep
    while address < end:
        if ptep == first or not pte_none(ptep_get(ptep)):
            pte = ptep_get(ptep)
            if pte_present(pte) and page_in_folio(pte_pfn(pte), folio):
                cleaned += mkclean_pte(vma, address, ptep)
        ptep += 1
        address += cfg.page_size
    return cleaned


def mkclean_pte(vma: int, address: int, ptep: int) -> int:
    """One entry; whether it changed."""
    pte = ptep_get(ptep)
    if not pte_dirty(pte) and not pte_write(pte):
        return 0
    count(PTEP_CLEAR_FLUSH, 1)
    pte = pte_mkclean(pte_wrprotect(ptep_clear_flush(vma, address, ptep)))
    set_ptes(VMA.vm_mm[vma], address, ptep, pte, 1)
    return 1


def mkclean_pmd(folio: int, vma: int, haddr: int, pmdp: int) -> int:
    """One leaf; whether it changed."""
    pte = pmd_pte(ptes[pmdp])
    if not page_in_folio(pte_pfn(pte), folio) or not (pte_dirty(pte) or pte_write(pte)):
        return 0
    pte = pmd_pte(pmdp_invalidate(vma, haddr, pmdp))
    set_pmd_at(VMA.vm_mm[vma], haddr, pmdp, pmd_mkhuge(pte_mkclean(pte_wrprotect(pte))))
    return 1
