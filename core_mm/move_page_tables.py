"""Moving page tables to another address (mm/mremap.c:move_page_tables)."""

from __future__ import annotations

from core_mm.features import feature
from core_mm import huge_memory
from core_mm.folio import folio_test_large, page_folio
from core_mm.hookspecs import (
    clear_ptes, flush_tlb_range, pmd_leaf, pmd_none, pte_none, pte_pfn, pte_present, pte_special, ptep_get,
    ptep_get_and_clear, set_ptes, table_slot,
)  # fmt: skip
from core_mm.internal import FPB_RESPECT_WRITE, batch_hint, folio_pte_batch_flags
from core_mm.lazy_mmu import lazy_mmu_mode_disable, lazy_mmu_mode_enable
from core_mm.mm_types import ENOMEM, VMA, cfg, ptes
from core_mm.pgtable import (
    level_shift, pmd_alloc, pmd_off, pmd_populate, pte_alloc, pte_offset_map, pud_alloc, pud_off,
)  # fmt: skip
from core_mm.rwonce import store
from core_mm.tlb_batched import flush_tlb_batched_pending
from core_mm.vma_tree import find_vma_intersection


def get_extent(size: int, old_addr: int, old_end: int, new_addr: int) -> int:
    """Bytes from here to the next border of `size` on either side, or to the end."""
    extent = ((old_addr + size) & -size) - old_addr
    extent = min(extent, old_end - old_addr)
    return min(extent, ((new_addr + size) & -size) - new_addr)


def can_align_down(vma: int, addr: int) -> int:
    """Whether nothing else is mapped between the PMD's start and `addr`, the start of `vma`."""
    if VMA.vm_start[vma] != addr:
        return 0
    return int(find_vma_intersection(VMA.vm_mm[vma], addr & -cfg.pmd_size, addr) == 0)


def realign(old_vma: int, old_addr: int, new_vma: int, new_addr: int, size: int) -> int:
    """Bytes by which both addresses may move down to a PMD border, so that whole tables move (Linux 6.7)."""
    offset = old_addr & (cfg.pmd_size - 1)
    if old_vma == new_vma or size < cfg.pmd_size - offset:
        return 0
    if offset == 0 or offset != new_addr & (cfg.pmd_size - 1):
        return 0
    if not can_align_down(old_vma, old_addr) or not can_align_down(new_vma, new_addr):
        return 0
    return offset


def move_page_tables(vma: int, old_addr: int, new_vma: int, new_addr: int, size: int) -> int:
    """Move entries; returns how many bytes were moved, fewer than `size` if memory ran out."""
    start = old_addr
    old_end = old_addr + size
    shift = realign(vma, old_addr, new_vma, new_addr, size)
    old_addr -= shift
    new_addr -= shift
    while old_addr < old_end:
        moved = move_extent(vma, old_addr, old_end, new_addr)
        if moved == 0:
            break
        old_addr += moved
        new_addr += moved
    return max(old_addr - start, 0)


def move_extent(vma: int, old_addr: int, old_end: int, new_addr: int) -> int:
    """Move what the next upper entry covers; returns its bytes, 0 if memory ran out."""
    mm = VMA.vm_mm[vma]
    pud_size = 1 << level_shift(2)
    extent = get_extent(pud_size, old_addr, old_end, new_addr)
    old_pudp = pud_off(mm, old_addr)
    if not old_pudp or not ptes[old_pudp]:
        return extent
    new_pudp = pud_alloc(mm, new_addr)
    if not new_pudp:
        return 0
    if extent == pud_size and move_normal_pud(vma, old_addr, old_pudp, new_pudp):
        return extent
    extent = get_extent(cfg.pmd_size, old_addr, old_end, new_addr)
    old_pmdp = pmd_off(mm, old_addr)
    if not old_pmdp or pmd_none(ptes[old_pmdp]):
        return extent
    return extent if move_pmd(vma, old_pmdp, old_addr, new_addr, extent) == 0 else 0


def move_normal_pud(vma: int, old_addr: int, old_pudp: int, new_pudp: int) -> int:
    """Move a whole PMD table to an empty place. Returns whether it was moved."""
    if ptes[new_pudp]:
        return 0
    pud = ptes[old_pudp]
    store(old_pudp, 0)
    store(new_pudp, pud)
    flush_tlb_range(vma, old_addr, old_addr + (1 << level_shift(2)))
    return 1


def move_normal_pmd(vma: int, old_addr: int, old_pmdp: int, new_pmdp: int) -> int:
    """Move a whole PTE table to an empty place. Returns whether it was moved."""
    if ptes[new_pmdp]:
        return 0
    slot = table_slot(ptes[old_pmdp])
    store(old_pmdp, 0)
    pmd_populate(VMA.vm_mm[vma], new_pmdp, slot)
    flush_tlb_range(vma, old_addr, old_addr + cfg.pmd_size)
    return 1


def move_pmd(vma: int, old_pmdp: int, old_addr: int, new_addr: int, extent: int) -> int:
    """Move what lies under one PMD. Returns 0 or -ENOMEM."""
    mm = VMA.vm_mm[vma]
    new_pmdp = pmd_alloc(mm, new_addr)
    if new_pmdp == 0:
        return -ENOMEM
    if pmd_leaf(ptes[old_pmdp]):
        if extent == cfg.pmd_size and huge_memory.move_huge_pmd(vma, old_addr, new_addr, old_pmdp, new_pmdp):
            return 0
        huge_memory.split_huge_pmd(vma, old_pmdp, old_addr)
    elif extent == cfg.pmd_size and move_normal_pmd(vma, old_addr, old_pmdp, new_pmdp):
        return 0
    if pmd_none(ptes[old_pmdp]):
        return 0
    if pte_alloc(mm, new_pmdp):
        return -ENOMEM
    return move_ptes(vma, old_pmdp, old_addr, old_addr + extent, new_pmdp, new_addr)


def move_ptes(vma: int, old_pmdp: int, old_addr: int, old_end: int, new_pmdp: int, new_addr: int) -> int:
    """Move the PTEs of a range within one table on either side; one flush before the PTLs are dropped."""
    start = old_addr
    old_ptep = pte_offset_map(old_pmdp, old_addr)
    new_ptep = pte_offset_map(new_pmdp, new_addr)
    flush_tlb_batched_pending(VMA.vm_mm[vma])
    lazy_mmu_mode_enable()
    force_flush = 0
    while old_addr < old_end:
        pte = ptep_get(old_ptep)
        nr = 1
        if not pte_none(pte):
            force_flush |= pte_present(pte)
            nr = move_batch(vma, old_ptep, old_addr, pte, (old_end - old_addr) >> cfg.page_shift, new_ptep, new_addr)
        old_ptep += nr
        new_ptep += nr
        old_addr += nr << cfg.page_shift
        new_addr += nr << cfg.page_shift
    lazy_mmu_mode_disable()
    if force_flush:
        flush_tlb_range(vma, start, old_end)
    return 0


def move_batch(vma: int, old_ptep: int, old_addr: int, pte: int, limit: int, new_ptep: int, new_addr: int) -> int:
    """Move one PTE, or a batch of one folio (Linux 6.17); returns how many."""
    mm = VMA.vm_mm[vma]
    nr = 1
    if not feature.mremap_batch:
        pte = ptep_get_and_clear(mm, old_addr, old_ptep)
    else:
        if pte_present(pte):
            nr = mremap_folio_pte_batch(old_ptep, pte, limit)
        pte = clear_ptes(mm, old_addr, old_ptep, nr, 0)
    set_ptes(mm, new_addr, new_ptep, pte, nr)
    return nr


def mremap_folio_pte_batch(ptep: int, pte: int, limit: int) -> int:
    """How many PTEs move at once; without a hint that it pays, one."""
    if limit == 1 or batch_hint(ptep, pte) == 1 or pte_special(pte):
        return 1
    folio = page_folio(pte_pfn(pte))
    if not folio_test_large(folio):
        return 1
    nr, pte = folio_pte_batch_flags(folio, ptep, pte, limit, FPB_RESPECT_WRITE)
    return nr
