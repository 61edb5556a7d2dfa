"""Faulting pages in ahead of their use: MAP_POPULATE, mlock, MADV_POPULATE_* (mm/gup.c)."""

from __future__ import annotations

from core_mm.folio import folio_mark_accessed, folio_mark_dirty, folio_test_dirty, page_folio
from core_mm.hookspecs import (
    pmd_leaf, pmd_none, pmd_pte, pte_dirty, pte_none, pte_pfn, pte_present, pte_protnone, pte_special, pte_write,
    ptep_get,
)  # fmt: skip
from core_mm.lru import lru_add_drain
from core_mm.memory.fault import handle_mm_fault
from core_mm.memory.huge_fault import touch_pmd
from core_mm.mm_types import EFAULT, ENOMEM, VM_ACCESS_FLAGS, VM_SHARED, VM_WRITE, VMA, cfg, ptes
from core_mm.pgtable import pmd_addr_end, pmd_off, pte_offset_map
from core_mm.uapi import ACCESS_READ, ACCESS_WRITE
from core_mm.vm_fault import VM_FAULT_OOM, VM_FAULT_SIGBUS
from core_mm.vma_tree import find_vma

MAX_FAULTS = 8  # of one page; a copy after a swap-in takes two or three


def mm_populate(mm: int, start: int, size: int) -> int:
    """Fault in every mapped page of a range; errors end it silently (mm/gup.c:__mm_populate)."""
    end = start + size
    at = start
    while at < end:
        vma = find_vma(mm, at)
        if vma == 0 or VMA.vm_start[vma] >= end:
            return 0
        at = max(at, VMA.vm_start[vma])
        if populate_vma_page_range(vma, at, min(end, VMA.vm_end[vma])):
            return 0
        at = VMA.vm_end[vma]
    return 0


def populate_vma_page_range(vma: int, start: int, end: int) -> int:
    """Fault in a range of one VMA; private writable mappings as if written to. Returns 0 or -EFAULT."""
    flags = VMA.vm_flags[vma]
    if flags & VM_ACCESS_FLAGS == 0:
        return -EFAULT
    access = ACCESS_WRITE if flags & (VM_WRITE | VM_SHARED) == VM_WRITE else ACCESS_READ
    return faultin_range(vma, start, end, access)


def faultin_range(vma: int, start: int, end: int, access: int) -> int:
    """Make every page of [start, end) present for `access`. Returns 0, -ENOMEM or -EFAULT."""
    at, tries, error = start, 0, 0
    while at < end and not error:
        after = follow_page_mask(vma, at, end, access)
        tries = tries + 1 if after == at else 0
        if after == at:
            result = handle_mm_fault(vma, at, access) if tries <= MAX_FAULTS else VM_FAULT_SIGBUS
            if result:
                error = -ENOMEM if result & VM_FAULT_OOM else -EFAULT
        at = after
    lru_add_drain()
    return error


def follow_page_mask(vma: int, addr: int, end: int, access: int) -> int:
    """The address behind the page at `addr` if it is there for `access`, else `addr`."""
    pmdp = pmd_off(VMA.vm_mm[vma], addr)
    if not pmdp or pmd_none(ptes[pmdp]):
        return addr
    if pmd_leaf(ptes[pmdp]):
        if not can_follow(pmd_pte(ptes[pmdp]), access):
            return addr
        touch_pmd(vma, addr, pmdp, int(access == ACCESS_WRITE))
        return pmd_addr_end(addr, end)
    return addr + cfg.page_size if follow_page_pte(ptep_get(pte_offset_map(pmdp, addr)), access) else addr


def can_follow(pte: int, access: int) -> int:
    """Whether `access` may go through an entry."""
    if pte_none(pte) or not pte_present(pte) or pte_protnone(pte):
        return 0
    return int(access != ACCESS_WRITE or pte_write(pte))


def follow_page_pte(pte: int, access: int) -> int:
    """Whether `access` may go through an entry; touches its folio, not the entry."""
    if not can_follow(pte, access):
        return 0
    if not pte_special(pte):
        folio = page_folio(pte_pfn(pte))
        if access == ACCESS_WRITE and not pte_dirty(pte) and not folio_test_dirty(folio):
            folio_mark_dirty(folio)
        folio_mark_accessed(folio)
    return 1
