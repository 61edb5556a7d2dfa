"""Collapsing the pages of a PMD's range into one huge page (mm/khugepaged.c; Linux 6.12, 7.3)."""

from __future__ import annotations

from core_mm.folio import (
    folio_alloc,
    folio_mapcount,
    folio_nr_pages,
    folio_put_refs,
    folio_ref_count,
    folio_test_anon,
    folio_test_large,
    folio_test_swapcache,
    page_folio,
)
from core_mm.hookspecs import (
    clear_ptes,
    pmd_leaf,
    pmd_none,
    pmdp_collapse_flush,
    pte_clear,
    pte_none,
    pte_pfn,
    pte_present,
    pte_special,
    ptep_get,
    ptep_get_and_clear,
    table_slot,
)
from core_mm.huge_memory import pgtable_trans_huge_deposit
from core_mm.internal import folio_pte_batch
from core_mm.memory.huge_fault import map_anon_folio_pmd
from core_mm.memory.rss import add_mm_counter
from core_mm.memory.swap_fault import do_swap_page
from core_mm.mm_types import EAGAIN, EINVAL, ENOMEM, MM_ANONPAGES, VM_NOHUGEPAGE, VMA, cfg, ptes
from core_mm.pgtable import pmd_off, pte_offset_map
from core_mm.rmap import anon_vma_prepare, folio_remove_rmap_ptes
from core_mm.rwonce import PMD_READ_ONCE
from core_mm.swap_state import free_swap_cache
from core_mm.uapi import ACCESS_READ


def madvise_collapse(vma: int, start: int, end: int) -> int:
    """MADV_COLLAPSE of the whole PMDs in [start, end) of an anonymous VMA. Returns 0, -EINVAL, -EAGAIN or -ENOMEM."""
    if VMA.vm_file[vma] or VMA.vm_flags[vma] & VM_NOHUGEPAGE:
        return -EINVAL
    error = 0
    addr = (start + cfg.pmd_size - 1) & -cfg.pmd_size
    while addr + cfg.pmd_size <= end:
        failed = collapse_pmd(vma, addr)
        if failed:
            error = failed
        addr += cfg.pmd_size
    return error


def collapse_pmd(vma: int, haddr: int) -> int:
    """One PMD; 0 if it maps a huge page now."""
    pmdp = pmd_off(VMA.vm_mm[vma], haddr)
    if not pmdp or pmd_none(PMD_READ_ONCE(pmdp)):
        return -EINVAL
    if pmd_leaf(ptes[pmdp]):
        return 0
    if anon_vma_prepare(vma):
        return -ENOMEM
    error = collapse_scan_pmd(vma, haddr, pmdp)
    return error if error else collapse_huge_page(vma, haddr, pmdp)


def collapse_scan_pmd(vma: int, haddr: int, pmdp: int) -> int:
    """Whether every page can be moved; what is swapped out comes back. 0 or -EAGAIN, -EINVAL if nothing is there."""
    found = 0
    for i in range(cfg.ptrs_per_pte):
        address = haddr + (i << cfg.page_shift)
        ptep = pte_offset_map(pmdp, address)
        pte = ptep_get(ptep)
        if not pte_none(pte) and not pte_present(pte):
            if do_swap_page(vma, address, pmdp, ptep, pte, ACCESS_READ):
                return -EAGAIN
            pte = ptep_get(ptep)
        if not pte_none(pte) and not pte_special(pte):
            folio = page_folio(pte_pfn(pte))
            if not folio_test_anon(folio) or not is_refcount_suitable(folio):
                return -EAGAIN
            found = 1
    return 0 if found else -EINVAL


def is_refcount_suitable(folio: int) -> int:
    """Whether all references are those of mappings and of the swap cache."""
    cached = folio_nr_pages(folio) if folio_test_swapcache(folio) else 0
    return folio_ref_count(folio) == folio_mapcount(folio) + cached


def collapse_huge_page(vma: int, haddr: int, pmdp: int) -> int:
    """Take the table out, copy, map the copy by a leaf, keep the table in reserve. 0 or -ENOMEM."""
    mm = VMA.vm_mm[vma]
    new = folio_alloc(cfg.pmd_order)
    if not new:
        return -ENOMEM
    slot = table_slot(pmdp_collapse_flush(vma, haddr, pmdp))
    first = slot * cfg.ptrs_per_pte
    i = 0
    while i < cfg.ptrs_per_pte:
        i += collapse_ptes(vma, haddr + (i << cfg.page_shift), first + i, cfg.ptrs_per_pte - i)
    pgtable_trans_huge_deposit(mm, slot)
    return map_anon_folio_pmd(vma, haddr, pmdp, new)


def collapse_ptes(vma: int, address: int, ptep: int, limit: int) -> int:
    """Unmap one page that was copied, or a batch of one folio (7.x); how many (__collapse_huge_page_copy_succeeded)."""
    mm = VMA.vm_mm[vma]
    pte = ptep_get(ptep)
    if pte_none(pte):
        return 1
    if pte_special(pte):
        collapse_clear(mm, address, ptep)
        return 1
    page = pte_pfn(pte)
    folio = page_folio(page)
    nr = 1
    if cfg.rmap_batch and folio_test_large(folio):
        nr = folio_pte_batch(folio, ptep, pte, limit)
        clear_ptes(mm, address, ptep, nr, 0)
    else:
        collapse_clear(mm, address, ptep)
    folio_remove_rmap_ptes(folio, page, nr, vma)
    add_mm_counter(mm, MM_ANONPAGES, -nr)
    free_swap_cache(folio)
    folio_put_refs(folio, nr)
    return nr


def collapse_clear(mm: int, address: int, ptep: int) -> int:
    """`ptep_clear`."""
    if cfg.release >= 702:
        ptep_get(ptep)
        return pte_clear(mm, address, ptep)
    ptep_get_and_clear(mm, address, ptep)
    return 0


