"""Shared memory: tmpfs and shared anonymous mappings (mm/shmem.c; Linux 6.12, 7.3)."""

from __future__ import annotations

from core_mm import content
from core_mm.features import feature
from core_mm.folio import folio_alloc, folio_get, folio_mark_dirty, folio_order, folio_put, page_folio
from core_mm.hookspecs import arch_prepare_to_swap, arch_swap_restore
from core_mm.log2 import ilog2
from core_mm.mm_types import INODE, PAGE, PG_DIRTY, PG_SWAPBACKED, PG_UPTODATE, VM_NOHUGEPAGE, VMA, cfg, i_pages
from core_mm.page_cache import (
    filemap_add_folio,
    filemap_get_page,
    filemap_get_swap,
    filemap_remove_folio,
    pages_of_size,
    range_is_empty,
    swapped_order,
    swapped_range,
)
from core_mm.swap_state import swap_slot_free
from core_mm.swapfile import swap_duplicate, swap_free_nr
from core_mm.thp import highest_order, thp_vma_suitable_orders
from core_mm.uapi import FILE_SHMEM, FILE_TMPFS_HUGE
from core_mm.vm_fault import VM_FAULT_OOM, VM_FAULT_SIGBUS
from core_mm.vmstat import SWAP_IN, SWAP_OUT, count


def shmem_fault(vma: int, address: int, index: int) -> tuple[int, int]:
    """The page at `index` of the VMA's file with a reference; and 0 or VM_FAULT_*."""
    inode = VMA.vm_file[vma]
    if index >= pages_of_size(INODE.size[inode]):
        return 0, VM_FAULT_SIGBUS
    orders = 0
    if not VMA.vm_flags[vma] & VM_NOHUGEPAGE:
        orders = thp_vma_suitable_orders(vma, address, shmem_allowable_huge_orders(inode))
    page = shmem_get_folio(inode, index, orders, PG_UPTODATE)
    if not page:
        return 0, VM_FAULT_OOM
    folio_get(page_folio(page))
    return page, 0


def shmem_allowable_huge_orders(inode: int) -> int:
    """Orders, a bit each: hugepages-*/shmem_enabled for anonymous mappings, huge=always for a mount."""
    kind = INODE.kind[inode]
    if kind == FILE_SHMEM:
        return cfg.shmem_orders
    if kind != FILE_TMPFS_HUGE:
        return 0
    return (2 << cfg.pmd_order) - 2 if feature.tmpfs_smaller_orders else 1 << cfg.pmd_order


def shmem_get_folio(inode: int, index: int, orders: int, uptodate: int) -> int:
    """The page at `index`, made or swapped in if need be; 0 if memory is out.

    uptodate  PG_UPTODATE; 0 for fallocate, which leaves what it makes to whoever asks for it next
    """
    page = filemap_get_page(inode, index)
    if page:
        PAGE.flags[page_folio(page)] |= PG_UPTODATE
        return page
    slot = filemap_get_swap(inode, index)
    if slot:
        return shmem_swapin_folio(inode, index, slot)
    flags = PG_SWAPBACKED | uptodate
    while orders:
        order = highest_order(orders)
        first = index & (-1 << order)
        if range_is_empty(inode, first, 1 << order):
            folio = folio_alloc(order)
            if folio:
                filemap_add_folio(inode, folio, first, flags)
                if cfg.content:
                    content.clear_user_pages(folio, 1 << order)
                folio_put(folio)
                return folio + index - first
        orders &= ~(1 << order)
    return shmem_add_page(inode, index, flags)


def shmem_add_page(inode: int, index: int, flags: int) -> int:
    """A single page; 0 if memory is out."""
    folio = folio_alloc(0)
    if folio:
        filemap_add_folio(inode, folio, index, flags)
        if cfg.content:
            content.clear_user_pages(folio, 1)
        folio_put(folio)
    return folio


def shmem_swapin_folio(inode: int, index: int, slot: int) -> int:
    """Read a page back; its slot is free afterwards, so that it is dirty. Since Linux 6.15 the folio it was part of."""
    order = swapped_order(inode, index)
    folio = folio_alloc(order)
    if not folio and order:
        shmem_split_large_entry(inode, index, order)
        order = 0
        folio = folio_alloc(0)
    if not folio:
        return 0
    first = index & (-1 << order)
    count(SWAP_IN, 1)
    filemap_add_folio(inode, folio, first, PG_UPTODATE | PG_SWAPBACKED | PG_DIRTY)
    folio_put(folio)
    arch_swap_restore(slot - (index - first), folio)
    if cfg.content:
        content.swap_read_folio(folio, slot - (index - first))
    INODE.swapped[inode] -= 1 << order
    swap_free_nr(slot - (index - first), 1 << order)
    return folio + index - first


def shmem_split_large_entry(inode: int, index: int, order: int) -> int:
    """Each page of a swapped-out folio on its own."""
    first = index & (-1 << order)
    for i in range(first, first + (1 << order)):
        i_pages[INODE.first[inode] + i] = swapped_range(filemap_get_swap(inode, i), 0)
    return 0


def shmem_write(inode: int, index: int, pages: int, uptodate: int) -> int:
    """write(2) or fallocate of one page, of `pages` in all: made if need be, and dirty; 0 if memory is out."""
    orders = shmem_allowable_huge_orders(inode)
    if feature.tmpfs_write_orders and INODE.kind[inode] == FILE_TMPFS_HUGE:
        orders = write_orders(index, pages)
    elif feature.tmpfs_write_smaller_orders and INODE.kind[inode] == FILE_TMPFS_HUGE:
        orders = (2 << cfg.pmd_order) - 2
    page = shmem_get_folio(inode, index, orders, uptodate)
    if page:
        folio_mark_dirty(page_folio(page))
    return page


def write_orders(index: int, pages: int) -> int:
    """Orders up to that of a write of `pages` pages from `index` on, a bit each (shmem_mapping_size_orders)."""
    order = min(ilog2(pages), cfg.pmd_order)
    while index & ((1 << order) - 1):
        order -= 1
    return (2 << order) - 1


def shmem_writeout(folio: int, slot: int) -> int:
    """Move an unmapped folio to swap, from `slot` on: the cache keeps the slots instead. Returns whether it went."""
    order = folio_order(folio)
    PAGE.private[folio] = slot
    if arch_prepare_to_swap(folio):
        for i in range(1 << order):
            swap_slot_free(slot + i)
        PAGE.private[folio] = 0
        return 0
    PAGE.private[folio] = 0
    if cfg.content:
        content.swap_writepage(folio, slot)
    count(SWAP_OUT, 1)
    for i in range(1 << order):
        swap_duplicate(slot + i)
    filemap_remove_folio(folio, swapped_range(slot, order if feature.shmem_large_swap else 0))
    return 1
