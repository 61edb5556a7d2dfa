"""Collapsing the pages of a PMD's range into one huge page (mm/khugepaged.c; Linux 6.12, 7.3)."""

from __future__ import annotations

from core_mm import content
from core_mm.features import feature
from core_mm.folio import (
    folio_alloc, folio_mapcount, folio_nr_pages, folio_put_refs, folio_ref_count, folio_test_anon,
    folio_test_large, folio_test_swapcache, page_folio,
)  # fmt: skip
from core_mm.hookspecs import (
    clear_full_ptes, pfn_pte, pmd_leaf, pmd_mkhuge, pmd_none, pmdp_collapse_flush, pte_clear, pte_mkdirty, pte_none,
    pte_pfn, pte_present, pte_special, pte_write, ptep_get, ptep_get_and_clear, set_pmd_at, table_slot,
)  # fmt: skip
from core_mm.huge_memory import pgtable_trans_huge_deposit
from core_mm.internal import folio_pte_batch
from core_mm.lru import folio_add_lru, lru_add_drain
from core_mm.memory.entry import maybe_mkwrite
from core_mm.memory.fault import handle_mm_fault
from core_mm.memory.rss import add_mm_counter
from core_mm.mm_types import (
    EAGAIN, EINVAL, ENOMEM, MM_ANONPAGES, PAGE, VM_NOHUGEPAGE, VMA, cfg, ptes,
)  # fmt: skip
from core_mm.pgtable import entry_at, pmd_off, pte_offset_map
from core_mm.rmap import folio_add_new_anon_rmap, folio_remove_rmap_ptes
from core_mm.swap_state import free_swap_cache
from core_mm.thp import thp_vma_suitable_order
from core_mm.uapi import ACCESS_READ
from core_mm.vmstat import COLLAPSE, count


def madvise_collapse(vma: int, start: int, end: int) -> int:
    """MADV_COLLAPSE of the whole PMDs in a range of an anonymous VMA. Returns 0, -EINVAL, -EAGAIN or -ENOMEM."""
    if VMA.vm_flags[vma] & VM_NOHUGEPAGE or VMA.vm_file[vma] or VMA.anon_vma[vma] == 0:
        return -EINVAL
    if not thp_vma_suitable_order(vma, VMA.vm_end[vma] - cfg.pmd_size, cfg.pmd_order):
        return -EINVAL
    error = 0
    lru_add_drain()
    haddr = (start + cfg.pmd_size - 1) & -cfg.pmd_size
    while haddr + cfg.pmd_size <= end:
        result = collapse_pmd(vma, haddr)
        if result:
            error = result
        haddr += cfg.pmd_size
    return error


def collapse_pmd(vma: int, haddr: int) -> int:
    """One PMD; 0 if it maps a huge page now."""
    pmdp = pmd_off(VMA.vm_mm[vma], haddr)
    if not pmdp or pmd_none(ptes[pmdp]):
        return -EINVAL
    if pmd_leaf(ptes[pmdp]):
        return 0
    error = collapse_scan_pmd(vma, haddr, pmdp)
    return error if error else collapse_huge_page(vma, haddr, pmdp)


def collapse_scan_pmd(vma: int, haddr: int, pmdp: int) -> int:
    """Whether every page can be moved; what is swapped out comes back. 0, -EAGAIN or -EINVAL."""
    ptep = pte_offset_map(pmdp, haddr)
    writable = 0
    for i in range(cfg.ptrs_per_pte):
        pte = ptep_get(ptep + i)
        if not pte_none(pte) and not pte_present(pte):
            if handle_mm_fault(vma, haddr + (i << cfg.page_shift), ACCESS_READ):
                return -EAGAIN
            pte = ptep_get(ptep + i)
        if not pte_none(pte):
            writable |= pte_write(pte)
            error = 0 if pte_special(pte) else cannot_collapse(page_folio(pte_pfn(pte)))
            if error:
                return error
    return 0 if writable or feature.collapse_readonly else -EINVAL


def cannot_collapse(folio: int) -> int:
    """Why a folio must stay where it is, -errno; 0 if all its references are of mappings and the swap cache."""
    if not folio_test_anon(folio):
        return -EINVAL
    cached = folio_nr_pages(folio) if folio_test_swapcache(folio) else 0
    return 0 if folio_ref_count(folio) == folio_mapcount(folio) + cached else -EAGAIN


def collapse_huge_page(vma: int, haddr: int, pmdp: int) -> int:
    """Take the table out, copy, map the copy by a leaf, keep the table in reserve. Returns 0 or -ENOMEM."""
    mm = VMA.vm_mm[vma]
    folio = folio_alloc(cfg.pmd_order)
    if folio == 0:
        return -ENOMEM
    slot = table_slot(pmdp_collapse_flush(vma, haddr, pmdp))
    ptep = entry_at(slot, haddr, 0)
    present = 0
    for i in range(cfg.ptrs_per_pte):  # __collapse_huge_page_isolate
        pte = ptep_get(ptep + i)
        present += int(not pte_none(pte) and not pte_special(pte))
    for i in range(cfg.ptrs_per_pte):  # __collapse_huge_page_copy
        pte = ptep_get(ptep + i)
        if pte_present(pte) and not pte_special(pte):
            PAGE.written[folio + i] = PAGE.written[pte_pfn(pte)]
        if cfg.content:
            mapped = pte_present(pte) and not pte_special(pte)
            content.copy_user_page(folio + i, pte_pfn(pte) if mapped else 0)
    copy_succeeded(vma, haddr, ptep)
    count(COLLAPSE, 1)
    add_mm_counter(mm, MM_ANONPAGES, cfg.ptrs_per_pte - present)
    entry = maybe_mkwrite(pte_mkdirty(pfn_pte(folio, VMA.vm_page_prot[vma])), vma)
    folio_add_new_anon_rmap(folio, vma, haddr, 1)
    folio_add_lru(folio)
    pgtable_trans_huge_deposit(mm, slot)
    return set_pmd_at(mm, haddr, pmdp, pmd_mkhuge(entry))


def copy_succeeded(vma: int, address: int, ptep: int) -> int:
    """Clear the entries of the table, which nothing walks any more, and drop their pages."""
    end = address + cfg.pmd_size
    while address < end:
        pte = ptep_get(ptep)
        nr = 1
        if not pte_none(pte):
            if pte_special(pte):
                ptep_clear(VMA.vm_mm[vma], address, ptep)
            else:
                nr = drop_pages(vma, address, ptep, pte, (end - address) >> cfg.page_shift)
        ptep += nr
        address += nr << cfg.page_shift
    return 0


def ptep_clear(mm: int, address: int, ptep: int) -> int:
    """Clear an entry whose value nobody wants (include/linux/pgtable.h)."""
    if not feature.collapse_plain_clear:
        return ptep_get_and_clear(mm, address, ptep)
    ptep_get(ptep)
    return pte_clear(mm, address, ptep)


def drop_pages(vma: int, address: int, ptep: int, pte: int, limit: int) -> int:
    """One page that was copied, or a batch of one folio (Linux 6.17); returns how many."""
    page = pte_pfn(pte)
    folio = page_folio(page)
    nr = 1
    if not feature.collapse_batch:
        ptep_clear(VMA.vm_mm[vma], address, ptep)
    else:
        if folio_test_large(folio):
            nr = folio_pte_batch(folio, ptep, pte, limit)
        clear_full_ptes(VMA.vm_mm[vma], address, ptep, nr, 0)
    folio_remove_rmap_ptes(folio, page, nr, vma)
    free_swap_cache(folio)
    folio_put_refs(folio, nr)
    return nr
