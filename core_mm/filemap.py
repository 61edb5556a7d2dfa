"""Faults on the page cache (mm/filemap.c; Linux 6.12, 7.3)."""

from __future__ import annotations

from core_mm import content
from core_mm.features import feature
from core_mm.folio import (
    folio_alloc,
    folio_get,
    folio_nr_pages,
    folio_order,
    folio_put,
    folio_ref_add,
    folio_test_large,
    page_folio,
)
from core_mm.hookspecs import pte_none, ptep_get
from core_mm.mapping import shmem_mapping
from core_mm.memory.rss import add_mm_counter, mm_counter
from core_mm.memory.set_pte import do_set_pmd, pmd_is_free, set_pte_range, table_window
from core_mm.mm_types import INODE, PAGE, PG_READAHEAD, PG_UPTODATE, PG_WORKINGSET, VMA, cfg
from core_mm.page_cache import filemap_add_folio, filemap_get_page, pages_of_size
from core_mm.pgtable import pte_alloc, pte_offset_map
from core_mm.readahead import counts_misses, do_async_mmap_readahead, do_sync_mmap_readahead
from core_mm.vm_fault import VM_FAULT_AHEAD, VM_FAULT_NOPAGE, VM_FAULT_OOM, VM_FAULT_RETRY, VM_FAULT_SIGBUS

# --- the fault itself ---


def filemap_fault(vma: int, index: int, tried: int) -> tuple[int, int]:
    """The page at `index` of the file, read in if need be, with a reference; and 0 or VM_FAULT_*.

    A fault that reads lets go of the mmap lock, and begins again (VM_FAULT_RETRY) unless it has `tried` before.
    """
    inode = VMA.vm_file[vma]
    if index >= pages_of_size(INODE.size[inode]):
        return 0, VM_FAULT_SIGBUS
    page, retry = filemap_get_page(inode, index), 0 if tried else VM_FAULT_RETRY
    if page:
        retry = retry and do_async_mmap_readahead(vma, inode, index, page_folio(page))
    else:
        do_sync_mmap_readahead(vma, inode, index)
        page = filemap_get_page(inode, index)
        if not page:
            page = filemap_create_page(inode, index)
            if not page:
                return 0, VM_FAULT_OOM
    if retry:
        return 0, retry
    folio_get(page_folio(page))
    return page, 0


def filemap_create_page(inode: int, index: int) -> int:
    """Cache a single page; 0 if memory is out."""
    folio = folio_alloc(0)
    if folio:
        filemap_add_folio(inode, folio, index, PG_UPTODATE)
        if cfg.content:
            content.read_folio(inode, folio)
        folio_put(folio)
    return folio


# --- mapping what is cached around a fault ---


def next_uptodate_page(inode: int, index: int, last: int) -> int:
    """The first page in [index, last] whose folio may be mapped without looking at it; -1 if there is none."""
    while index <= last:
        page = filemap_get_page(inode, index)
        if page:
            folio = page_folio(page)
            if PAGE.flags[folio] & (PG_UPTODATE | PG_READAHEAD) == PG_UPTODATE:
                return index
            index = PAGE.index[folio] + folio_nr_pages(folio)
        else:
            index += 1
    return -1


def filemap_map_pages(
    vma: int, address: int, pmdp: int, first: int, last: int, access: int, tried: int
) -> int:
    """Map cached pages `first` to `last` around `address`; VM_FAULT_NOPAGE if that one is mapped now.

    What is mapped counts against the misses; since 7.2 not where the fault begins again (`tried`: VM_FAULT_RETRY).
    """
    inode = VMA.vm_file[vma]
    last = min(last, pages_of_size(INODE.size[inode]) - 1)
    if tried & VM_FAULT_AHEAD:  # not read yet
        last = min(last, INODE.ra_start[inode] - 1)
    index = next_uptodate_page(inode, first, last)
    if index < 0:
        return 0
    folio = page_folio(filemap_get_page(inode, index))
    if pmd_is_free(pmdp) and feature.map_within_eof and not can_map_large(inode, folio):
        return 0  # who would have put the table in place (filemap_map_pmd) is not asked
    if pmd_is_free(pmdp) and folio_order(folio) == cfg.pmd_order:
        folio_get(folio)
        if not do_set_pmd(vma, address, pmdp, folio, access):
            return VM_FAULT_NOPAGE
        folio_put(folio)
    if pte_alloc(VMA.vm_mm[vma], pmdp):
        return VM_FAULT_OOM
    ret, misses = 0, 0
    while index >= 0:
        folio = page_folio(filemap_get_page(inode, index))
        start, end = map_range(vma, address, folio, index, last)
        mapped = filemap_map_folio_range(vma, address, pmdp, folio, start, end, access)
        ret |= mapped
        if not PAGE.flags[folio] & PG_WORKINGSET and not (tried and feature.retry_keeps_misses):
            misses += hits(vma, end - start, mapped)
        index = next_uptodate_page(inode, max(end, PAGE.index[folio] + folio_nr_pages(folio)), last)
    INODE.mmap_miss[inode] = max(INODE.mmap_miss[inode] - misses, 0)
    return ret


def hits(vma: int, pages: int, mapped: int) -> int:
    """By how much a folio of which `pages` were looked at makes up for misses; `mapped`: VM_FAULT_NOPAGE or 0."""
    if not feature.fault_hits_once:
        return pages
    return int(mapped != 0 and counts_misses(vma))


def map_range(vma: int, address: int, folio: int, index: int, last: int) -> tuple[int, int]:
    """The pages [start, end) of a folio to map: those in the window.

    Since Linux 6.18 all, if the folio crosses the borders of neither VMA nor table.
    """
    start, end = index, min(PAGE.index[folio] + folio_nr_pages(folio), last + 1)
    if feature.fault_around_folio and folio_test_large(folio) and can_map_large(VMA.vm_file[vma], folio):
        first, after = table_window(vma, address)
        if first <= PAGE.index[folio] and PAGE.index[folio] + folio_nr_pages(folio) <= after:
            start = PAGE.index[folio]
            end = start + folio_nr_pages(folio)
    return start, end


def can_map_large(inode: int, folio: int) -> int:
    """Whether a folio may be mapped beyond the window: not if it ends with the file's last page, or later."""
    file_end = pages_of_size(INODE.size[inode]) - 1
    return shmem_mapping(inode) or file_end >= PAGE.index[folio] + folio_nr_pages(folio)


def filemap_map_folio_range(
    vma: int, address: int, pmdp: int, folio: int, start: int, end: int, access: int
) -> int:
    """Map pages [start, end) of one folio where entries are none, in runs; NOPAGE if `address` is among them."""
    ret, run = 0, 0
    for index in range(start, end + 1):
        addr = VMA.vm_start[vma] + ((index - VMA.vm_pgoff[vma]) << cfg.page_shift)
        if index < end and pte_none(ptep_get(pte_offset_map(pmdp, addr))):
            run += 1
        else:
            if run:
                addr -= run << cfg.page_shift
                page = folio + index - run - PAGE.index[folio]
                ptep = pte_offset_map(pmdp, addr)
                set_pte_range(vma, address, folio, page, run, addr, ptep, access)
                add_mm_counter(VMA.vm_mm[vma], mm_counter(folio), run)
                folio_ref_add(folio, run)
                if addr <= address < addr + (run << cfg.page_shift):
                    ret = VM_FAULT_NOPAGE
            run = 0
    return ret
