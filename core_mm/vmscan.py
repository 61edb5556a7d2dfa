"""Aging of the multi-generational LRU (mm/vmscan.c:walk_mm; Linux 6.12, 7.3).

Where the hardware sets the accessed flag, one pass walks the page tables of
every process; elsewhere it walks none (should_walk_mmu).
"""

from __future__ import annotations

from core_mm.features import feature
from core_mm.folio import folio_test_large, page_folio
from core_mm.hookspecs import (
    arch_has_hw_nonleaf_pmd_young, arch_has_hw_pte_young, pmd_leaf, pmd_none, pmd_pte, pmdp_test_and_clear_young,
    pte_none, pte_pfn, pte_present, pte_special, pte_young, ptep_get, ptep_test_and_clear_young,
    test_and_clear_young_ptes,
)  # fmt: skip
from core_mm.internal import folio_pte_batch
from core_mm.lazy_mmu import lazy_mmu_mode_disable, lazy_mmu_mode_enable
from core_mm.lru import folio_test_lru, vma_has_recency
from core_mm.mm_types import MM, VM_LOCKED, VMA, cfg, mach, ptes
from core_mm.pgtable import pmd_addr_end, pmd_hole_end, pmd_off, pte_offset_map

MIN_LRU_BATCH = 64  # pages; smaller processes are not walked


def lru_gen_age(gentle: int) -> int:
    """One aging pass over all processes: a forced one (debugfs lru_gen "+"), or `gentle`, as reclaim makes it.

    The Bloom filter, which keeps a gentle pass from tables with few young entries, is not modelled. Returns 0.
    """
    if not arch_has_hw_pte_young():
        return 0
    for mm in range(2, mach.next_mm):
        if MM.mm_users[mm] and mm_pages(mm) >= MIN_LRU_BATCH:
            walk_mm(mm, gentle and arch_has_hw_nonleaf_pmd_young())
    return 0


def mm_pages(mm: int) -> int:
    """Resident pages."""
    return MM.rss_anon[mm] + MM.rss_file[mm] + MM.rss_shmem[mm]


def walk_mm(mm: int, by_table: int) -> int:
    """Clear the accessed flags of one process, without a flush; `by_table`: of tables too, and pass over old ones."""
    vma, cleared = MM.mmap[mm], 0
    while vma:
        if not should_skip_vma(vma):
            cleared = walk_vma(vma, by_table, cleared)
        vma = VMA.vm_next[vma]
    return 0


def should_skip_vma(vma: int) -> int:
    """VMAs whose accesses say nothing, or whose pages cannot be reclaimed."""
    if VMA.vm_flags[vma] & VM_LOCKED or not vma_has_recency(vma):
        return 1
    return int(VMA.vm_file[vma] == 0 and (cfg.swap_slots == 0 or mach.swap_off != 0))


def walk_vma(vma: int, by_table: int, cleared: int) -> int:
    """Every PMD of one VMA; the last PMD whose table's flag was cleared, which the next VMA may share."""
    addr = VMA.vm_start[vma]
    end = VMA.vm_end[vma]
    while addr < end:
        pmdp = pmd_off(VMA.vm_mm[vma], addr)
        after = pmd_addr_end(addr, end) if pmdp else pmd_hole_end(VMA.vm_mm[vma], addr, end)
        if pmdp and not pmd_none(ptes[pmdp]):
            if not pmd_leaf(ptes[pmdp]):
                if not by_table or pmdp == cleared:
                    walk_pte_range(vma, pmdp, addr, after)
                elif pte_young(pmd_pte(ptes[pmdp])):
                    walk_pte_range(vma, pmdp, addr, after)
                    pmdp_test_and_clear_young(vma, addr, pmdp)
                    cleared = pmdp
            elif pte_young(pmd_pte(ptes[pmdp])) and not pte_special(pmd_pte(ptes[pmdp])):
                pmdp_test_and_clear_young(vma, addr, pmdp)
        addr = after
    return cleared


def walk_pte_range(vma: int, pmdp: int, addr: int, end: int) -> int:
    """The PTEs of one table; by folio batches since Linux 7.x."""
    ptep = pte_offset_map(pmdp, addr)
    lazy_mmu_mode_enable()
    while addr < end:
        pte = ptep_get(ptep)
        nr = 1
        if not pte_none(pte) and pte_present(pte) and not pte_special(pte):
            nr = age_ptes(vma, ptep, pte, addr, (end - addr) >> cfg.page_shift)
        ptep += nr
        addr += nr << cfg.page_shift
    return lazy_mmu_mode_disable()


def age_ptes(vma: int, ptep: int, pte: int, addr: int, limit: int) -> int:
    """One young PTE or a batch; returns how many were looked at."""
    if not pte_young(pte) or (feature.aging_on_lists and not folio_test_lru(page_folio(pte_pfn(pte)))):
        return 1
    if not feature.young_batch:
        ptep_test_and_clear_young(vma, addr, ptep)
        return 1
    nr = 1
    folio = page_folio(pte_pfn(pte))
    if limit > 1 and folio_test_large(folio):
        nr = folio_pte_batch(folio, ptep, pte, limit)
    test_and_clear_young_ptes(vma, addr, ptep, nr)
    return nr
