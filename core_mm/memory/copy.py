"""Copying page tables at fork (mm/memory.c:copy_page_range; Linux 6.7 to 7.3)."""

from __future__ import annotations

from core_mm.features import feature
from core_mm import huge_memory
from core_mm.decl import always_inline, noinline
from core_mm.folio import folio_ref_add, folio_test_anon, folio_test_large, page_folio
from core_mm.hookspecs import (
    pmd_leaf,
    pmd_none,
    pte_mkclean,
    pte_mkold,
    pte_none,
    pte_pfn,
    pte_present,
    pte_special,
    pte_swp_clear_exclusive,
    pte_swp_exclusive,
    pte_to_swp_entry,
    pte_write,
    pte_wrprotect,
    ptep_get,
    set_ptes,
    wrprotect_ptes,
)
from core_mm.internal import (
    FPB_MERGE_WRITE,
    FPB_RESPECT_DIRTY,
    batch_hint,
    folio_nr_pages_cont_mapped,
    folio_pte_batch_flags,
)
from core_mm.lazy_mmu import lazy_mmu_mode_disable, lazy_mmu_mode_enable
from core_mm.memory.rss import add_mm_counter, mm_counter
from core_mm.mm_types import (
    ENOMEM,
    MM_ANONPAGES,
    MM_SWAPENTS,
    VM_MAYWRITE,
    VM_PFNMAP,
    VM_SHARED,
    VMA,
    cfg,
    ptes,
)
from core_mm.pgtable import pmd_addr_end, pmd_alloc, pmd_hole_end, pmd_off, pte_alloc, pte_offset_map
from core_mm.rmap import folio_dup_file_rmap_ptes, folio_try_dup_anon_rmap_ptes
from core_mm.swapfile import swap_duplicate


def is_cow_mapping(flags: int) -> int:
    """Whether writes through such a mapping copy."""
    return flags & (VM_SHARED | VM_MAYWRITE) == VM_MAYWRITE


def vma_needs_copy(src_vma: int) -> int:
    """Page faults can fill a mapping of a file again; what has no other source is copied."""
    return VMA.anon_vma[src_vma] != 0 or VMA.vm_flags[src_vma] & VM_PFNMAP != 0


def copy_page_range(dst_vma: int, src_vma: int) -> int:
    """Copy the page tables of one VMA; 0 or -ENOMEM."""
    if not vma_needs_copy(src_vma):
        return 0
    addr, end = VMA.vm_start[src_vma], VMA.vm_end[src_vma]
    while addr < end:
        src_pmdp = pmd_off(VMA.vm_mm[src_vma], addr)
        after = pmd_addr_end(addr, end) if src_pmdp else pmd_hole_end(VMA.vm_mm[src_vma], addr, end)
        if src_pmdp:
            dst_pmdp = pmd_alloc(VMA.vm_mm[dst_vma], addr)  # the table, even if there is nothing to put in it
            error = copy_pmd(dst_vma, src_vma, dst_pmdp, src_pmdp, addr, after) if dst_pmdp else -ENOMEM
            if error:
                return error
        addr = after
    return 0


def copy_pmd(dst_vma: int, src_vma: int, dst_pmdp: int, src_pmdp: int, addr: int, end: int) -> int:
    """Copy what lies under one PMD."""
    if pmd_none(ptes[src_pmdp]):
        return 0
    if pmd_leaf(ptes[src_pmdp]):
        return huge_memory.copy_huge_pmd(dst_vma, src_vma, dst_pmdp, src_pmdp, addr)
    if pte_alloc(VMA.vm_mm[dst_vma], dst_pmdp):
        return -ENOMEM
    return copy_pte_range(dst_vma, src_vma, pte_offset_map(dst_pmdp, addr), pte_offset_map(src_pmdp, addr), addr, end)


@noinline
def copy_pte_range(dst_vma: int, src_vma: int, dst_ptep: int, src_ptep: int, addr: int, end: int) -> int:
    """Copy the PTEs of one table, by batches of one folio."""
    lazy_mmu_mode_enable()
    while addr < end:
        pte = ptep_get(src_ptep)
        nr = 1
        if not pte_none(pte):
            if pte_present(pte):
                limit = (end - addr) >> cfg.page_shift
                nr = copy_present_ptes(dst_vma, src_vma, dst_ptep, src_ptep, pte, addr, limit)
            else:
                copy_nonpresent_pte(dst_vma, src_vma, dst_ptep, src_ptep, pte, addr)
        dst_ptep += nr
        src_ptep += nr
        addr += nr << cfg.page_shift
    return lazy_mmu_mode_disable()


def copy_present_ptes(
    dst_vma: int, src_vma: int, dst_ptep: int, src_ptep: int, pte: int, addr: int, limit: int
) -> int:
    """Copy one PTE or a batch; returns how many."""
    if pte_special(pte):
        return copy_special_pte(dst_vma, src_vma, dst_ptep, src_ptep, pte, addr)
    page = pte_pfn(pte)
    folio = page_folio(page)
    if limit == 1 or not folio_test_large(folio) or not (feature.fork_batch or feature.fork_cont_batch):
        return copy_batch(dst_vma, src_vma, folio, page, dst_ptep, src_ptep, pte, addr, 1)
    return copy_folio_batch(dst_vma, src_vma, folio, page, dst_ptep, src_ptep, pte, addr, limit)


@noinline
def copy_special_pte(dst_vma: int, src_vma: int, dst_ptep: int, src_ptep: int, pte: int, addr: int) -> int:
    """Copy a PTE without a struct page; returns 1."""
    install_copies(dst_vma, src_vma, dst_ptep, src_ptep, pte, addr, 1)
    return 1


@noinline
def copy_folio_batch(
    dst_vma: int, src_vma: int, folio: int, page: int, dst_ptep: int, src_ptep: int, pte: int, addr: int, limit: int
) -> int:
    """Copy PTEs of a large folio; out of line, so that single pages have the registers."""
    nr, pte = fork_batch(src_vma, folio, src_ptep, pte, limit)
    return copy_batch(dst_vma, src_vma, folio, page, dst_ptep, src_ptep, pte, addr, nr)


@always_inline
def copy_batch(
    dst_vma: int, src_vma: int, folio: int, page: int, dst_ptep: int, src_ptep: int, pte: int, addr: int, nr: int
) -> int:
    """Copy `nr` PTEs of one folio; returns `nr`."""
    folio_ref_add(folio, nr)
    if folio_test_anon(folio):
        folio_try_dup_anon_rmap_ptes(folio, page, nr, src_vma, dst_vma)
        add_mm_counter(VMA.vm_mm[dst_vma], MM_ANONPAGES, nr)
    else:
        folio_dup_file_rmap_ptes(folio, page, nr, dst_vma)
        add_mm_counter(VMA.vm_mm[dst_vma], mm_counter(folio), nr)
    install_copies(dst_vma, src_vma, dst_ptep, src_ptep, pte, addr, nr)
    return nr


def fork_batch(src_vma: int, folio: int, src_ptep: int, pte: int, limit: int) -> tuple[int, int]:
    """How many PTEs are copied at once, and the PTE, writable if any of them is."""
    if feature.fork_cont_batch:
        if feature.batch_hint:
            return min(batch_hint(src_ptep, pte), limit), pte
        return folio_nr_pages_cont_mapped(folio, src_ptep, pte, limit), pte
    flags = FPB_MERGE_WRITE
    if not VMA.vm_flags[src_vma] & VM_SHARED:
        flags |= FPB_RESPECT_DIRTY
    return folio_pte_batch_flags(folio, src_ptep, pte, limit, flags)


@always_inline
def install_copies(
    dst_vma: int, src_vma: int, dst_ptep: int, src_ptep: int, pte: int, addr: int, nr: int
) -> int:
    """`__copy_present_ptes`: write-protect the parent where writes must copy, give the child old PTEs."""
    if is_cow_mapping(VMA.vm_flags[src_vma]) and pte_write(pte):
        wrprotect_ptes(VMA.vm_mm[src_vma], addr, src_ptep, nr)
        pte = pte_wrprotect(pte)
    if VMA.vm_flags[src_vma] & VM_SHARED:
        pte = pte_mkclean(pte)
    return set_ptes(VMA.vm_mm[dst_vma], addr, dst_ptep, pte_mkold(pte), nr)


@noinline
def copy_nonpresent_pte(
    dst_vma: int, src_vma: int, dst_ptep: int, src_ptep: int, pte: int, addr: int
) -> int:
    """A swapped-out page is shared from now on."""
    swap_duplicate(pte_to_swp_entry(pte))
    if pte_swp_exclusive(pte):
        pte = pte_swp_clear_exclusive(pte)
        set_ptes(VMA.vm_mm[src_vma], addr, src_ptep, pte, 1)
    add_mm_counter(VMA.vm_mm[dst_vma], MM_SWAPENTS, 1)
    return set_ptes(VMA.vm_mm[dst_vma], addr, dst_ptep, pte, 1)
