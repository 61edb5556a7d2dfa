"""Page faults (mm/memory.c:handle_mm_fault and what it calls; Linux 6.12, 7.3).

Faults on the same table never race here, but the reads that would notice a race are made.
"""

from __future__ import annotations

from core_mm.folio import folio_alloc, folio_put, folio_ref_add
from core_mm.hookspecs import (
    flush_tlb_fix_spurious_fault,
    pfn_pte,
    pmd_leaf,
    pmd_none,
    pte_mkdirty,
    pte_mkspecial,
    pte_mkwrite,
    pte_mkyoung,
    pte_none,
    pte_present,
    pte_write,
    ptep_get,
    ptep_get_lockless,
    ptep_set_access_flags,
    set_ptes,
    update_mmu_cache_range,
    update_mmu_tlb_range,
)
from core_mm import content
from core_mm.lru import folio_add_lru
from core_mm.memory import file_fault, huge_fault, swap_fault
from core_mm.memory.entry import pte_range_none, vmf_pte_changed
from core_mm.memory.rss import add_mm_counter
from core_mm.memory.wp import do_wp_page
from core_mm.mm_types import MM_ANONPAGES, VM_SHARED, VM_WRITE, VMA, cfg, mach
from core_mm.pgtable import pmd_alloc, pte_alloc, pte_offset_map
from core_mm.rmap import anon_vma_prepare, folio_add_new_anon_rmap
from core_mm.rwonce import PMD_READ_ONCE
from core_mm.thp import highest_order, thp_vma_allowable_orders, thp_vma_suitable_orders
from core_mm.uapi import ACCESS_WRITE
from core_mm.vm_fault import VM_FAULT_FALLBACK, VM_FAULT_OOM, VM_FAULT_SIGBUS
from core_mm.vmstat import (
    DO_ANONYMOUS_PAGE,
    FAULT_ACCESS,
    FAULT_ANON,
    FAULT_ZERO,
    SPURIOUS_FAULT,
    count,
)


def handle_mm_fault(vma: int, address: int, access: int) -> int:
    """Make `address` accessible as `access` asks, if the VMA permits it; 0 or VM_FAULT_*."""
    address &= -cfg.page_size
    pmdp = pmd_alloc(VMA.vm_mm[vma], address)
    if not pmdp:
        return VM_FAULT_OOM
    pmd = PMD_READ_ONCE(pmdp)
    if pmd_none(pmd):
        if not VMA.vm_file[vma] and thp_vma_allowable_orders(vma, 1 << cfg.pmd_order):
            ret = huge_fault.do_huge_pmd_anonymous_page(vma, address, pmdp, access)
            if not ret & VM_FAULT_FALLBACK:
                return ret
    elif pmd_leaf(pmd):
        ret = huge_fault.handle_huge_pmd_fault(vma, address, pmdp, pmd, access)
        if not ret & VM_FAULT_FALLBACK:
            return ret
    return handle_pte_fault(vma, address, pmdp, access)


def handle_pte_fault(vma: int, address: int, pmdp: int, access: int) -> int:
    """A fault on a PTE that is missing, swapped out, or does not permit the access."""
    ptep = pte_offset_map(pmdp, address)
    if not ptep:
        return do_pte_missing(vma, address, pmdp, 0, 0, access)
    pte = ptep_get_lockless(ptep)
    if pte_none(pte):
        return do_pte_missing(vma, address, pmdp, pte, 1, access)
    if not pte_present(pte):
        return swap_fault.do_swap_page(vma, address, pmdp, ptep, pte, access)
    if ptep_get(ptep) != pte:
        return update_mmu_tlb_range(vma, address, ptep, 1)
    return handle_present_pte(vma, address, ptep, pte, access)


def handle_present_pte(vma: int, address: int, ptep: int, pte: int, access: int) -> int:
    """The page is there: set young and dirty, or resolve a write to a read-only entry."""
    write = access == ACCESS_WRITE
    entry = pte
    if write:
        if not pte_write(pte):
            return do_wp_page(vma, address, ptep, pte)
        entry = pte_mkdirty(entry)
    if ptep_set_access_flags(vma, address, ptep, pte_mkyoung(entry), write):
        count(FAULT_ACCESS, 1)
        return update_mmu_cache_range(0, vma, address, ptep, 1)
    count(SPURIOUS_FAULT, 1)
    if write:
        flush_tlb_fix_spurious_fault(vma, address, ptep)
    return 0


def do_pte_missing(vma: int, address: int, pmdp: int, orig: int, valid: int, access: int) -> int:
    """Nothing is mapped; `valid` says that a table was there and held `orig`."""
    if VMA.vm_file[vma]:
        return file_fault.do_fault(vma, address, pmdp, orig, valid, access)
    return do_anonymous_page(vma, address, pmdp, orig, valid, access)


def do_anonymous_page(vma: int, address: int, pmdp: int, orig: int, valid: int, access: int) -> int:
    """First touch of anonymous memory: the zero page for a read, else a new folio."""
    count(DO_ANONYMOUS_PAGE, 1)
    if VMA.vm_flags[vma] & VM_SHARED:
        return VM_FAULT_SIGBUS
    if pte_alloc(VMA.vm_mm[vma], pmdp):
        return VM_FAULT_OOM
    if access != ACCESS_WRITE:
        return map_zero_page(vma, address, pmdp, orig, valid)
    if anon_vma_prepare(vma):
        return VM_FAULT_OOM
    order = anon_folio_order(vma, address, pmdp)
    folio, order = alloc_anon_folio(vma, address, order)
    if not folio:
        return VM_FAULT_OOM
    if cfg.content:
        content.clear_user_pages(folio, 1 << order)
    return map_anon_folio(vma, address & -(cfg.page_size << order), pmdp, folio, order, orig, valid)


def map_zero_page(vma: int, address: int, pmdp: int, orig: int, valid: int) -> int:
    """A read of anonymous memory maps the zero page, read-only."""
    ptep = pte_offset_map(pmdp, address)
    if vmf_pte_changed(ptep, orig, valid):
        return update_mmu_tlb_range(vma, address, ptep, 1)
    count(FAULT_ZERO, 1)
    entry = pte_mkspecial(pfn_pte(mach.zero_page, VMA.vm_page_prot[vma]))
    set_ptes(VMA.vm_mm[vma], address, ptep, entry, 1)
    return update_mmu_cache_range(0, vma, address, ptep, 1)


def anon_folio_order(vma: int, address: int, pmdp: int) -> int:
    """The largest enabled order below a PMD's whose block lies in the VMA and is empty."""
    orders = thp_vma_allowable_orders(vma, (1 << cfg.pmd_order) - 1)
    if not orders:
        return 0
    orders = thp_vma_suitable_orders(vma, address, orders)
    while orders:
        order = highest_order(orders)
        ptep = pte_offset_map(pmdp, address & -(cfg.page_size << order))
        if pte_range_none(ptep, 1 << order):
            return order
        orders &= ~(1 << order)
    return 0


def alloc_anon_folio(vma: int, address: int, order: int) -> tuple[int, int]:
    """A folio of `order`, or of the next lower enabled order that memory has; and its order."""
    orders = thp_vma_allowable_orders(vma, (2 << order) - 1)
    while order:
        folio = folio_alloc(order)
        if folio:
            return folio, order
        orders &= ~(1 << order)
        order = highest_order(orders)
    return folio_alloc(0), 0


def map_anon_folio(vma: int, address: int, pmdp: int, folio: int, order: int, orig: int, valid: int) -> int:
    """Map a new folio, whole, unless something has appeared there."""
    mm, nr = VMA.vm_mm[vma], 1 << order
    ptep = pte_offset_map(pmdp, address)
    taken = not pte_range_none(ptep, nr) if order else vmf_pte_changed(ptep, orig, valid)
    if taken:
        update_mmu_tlb_range(vma, address, ptep, nr)
        return folio_put(folio)
    count(FAULT_ANON, 1)
    entry = pfn_pte(folio, VMA.vm_page_prot[vma])
    if VMA.vm_flags[vma] & VM_WRITE:
        entry = pte_mkwrite(pte_mkdirty(entry))
    folio_ref_add(folio, nr - 1)
    add_mm_counter(mm, MM_ANONPAGES, nr)
    folio_add_new_anon_rmap(folio, vma, address, 1)
    folio_add_lru(folio)
    set_ptes(mm, address, ptep, entry, nr)
    return update_mmu_cache_range(0, vma, address, ptep, nr)
