"""Mapping pages of the page cache (mm/memory.c: do_set_pmd, set_pte_range; Linux 6.12, 7.3)."""

from __future__ import annotations

from core_mm.features import feature
from core_mm.folio import (
    folio_order,
    folio_test_dirty,
)
from core_mm.hookspecs import (
    arch_wants_old_prefaulted_pte,
    pfn_pte,
    pmd_mkhuge,
    pmd_none,
    pte_mkdirty,
    pte_mkold,
    pte_write,
    set_pmd_at,
    set_ptes,
    update_mmu_cache_range,
)
from core_mm.lru import folio_add_lru
from core_mm.memory.entry import maybe_mkwrite
from core_mm.memory.rss import add_mm_counter, mm_counter
from core_mm.mm_types import (
    VM_NOHUGEPAGE,
    VM_SHARED,
    VMA,
    cfg,
    ptes,
)
from core_mm.rmap import (
    folio_add_file_rmap_pmd,
    folio_add_file_rmap_ptes,
    folio_add_new_anon_rmap,
    linear_page_index,
)
from core_mm.thp import thp_vma_suitable_order
from core_mm.uapi import ACCESS_WRITE
from core_mm.vm_fault import VM_FAULT_FALLBACK
from core_mm.vmstat import FAULT_PMD, count


def table_window(vma: int, address: int) -> tuple[int, int]:
    """The pages [first, after) of the file that the VMA maps through the table of `address`."""
    start = max(address & -cfg.pmd_size, VMA.vm_start[vma])
    end = min((address & -cfg.pmd_size) + cfg.pmd_size, VMA.vm_end[vma])
    return linear_page_index(vma, start), linear_page_index(vma, end)


def pmd_is_free(pmdp: int) -> int:
    """Whether nothing is mapped there, not even a table."""
    return pmd_none(ptes[pmdp])


def do_set_pmd(vma: int, address: int, pmdp: int, folio: int, access: int) -> int:
    """Map a whole huge folio by one leaf; the reference is the mapping's then. 0 or VM_FAULT_FALLBACK."""
    if VMA.vm_flags[vma] & VM_NOHUGEPAGE or folio_order(folio) != cfg.pmd_order:
        return VM_FAULT_FALLBACK
    if not thp_vma_suitable_order(vma, address, cfg.pmd_order):
        return VM_FAULT_FALLBACK
    count(FAULT_PMD, 1)
    mm = VMA.vm_mm[vma]
    entry = pfn_pte(folio, VMA.vm_page_prot[vma])
    if access == ACCESS_WRITE:
        entry = maybe_mkwrite(pte_mkdirty(entry), vma)
    add_mm_counter(mm, mm_counter(folio), 1 << cfg.pmd_order)
    folio_add_file_rmap_pmd(folio, vma)
    return set_pmd_at(mm, address & -cfg.pmd_size, pmdp, pmd_mkhuge(entry))


def set_pte_range(
    vma: int, address: int, folio: int, page: int, nr: int, addr: int, ptep: int, access: int
) -> int:
    """Map `nr` pages from `page` at `addr`; of a fault at `address`, others may start old."""
    write = access == ACCESS_WRITE
    prefault = not addr <= address < addr + (nr << cfg.page_shift)
    entry = pfn_pte(page, VMA.vm_page_prot[vma])
    if prefault and arch_wants_old_prefaulted_pte():
        entry = pte_mkold(entry)
    if write:
        entry = maybe_mkwrite(pte_mkdirty(entry), vma)
    elif feature.fault_pte_dirty and pte_write(entry) and folio_test_dirty(folio):
        entry = pte_mkdirty(entry)
    if write and not VMA.vm_flags[vma] & VM_SHARED:
        folio_add_new_anon_rmap(folio, vma, addr, 1)
        folio_add_lru(folio)
    else:
        folio_add_file_rmap_ptes(folio, page, nr, vma)
    set_ptes(VMA.vm_mm[vma], addr, ptep, entry, nr)
    return update_mmu_cache_range(0, vma, addr, ptep, nr)
