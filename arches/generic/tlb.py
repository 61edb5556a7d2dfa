"""TLB maintenance of the generic architecture: one flush a page (asm-generic/tlb.h)."""

from __future__ import annotations

from core_mm import hookspecs as hook
from core_mm.hookspecs import hookimpl
from core_mm.mm_types import GATHER, MM, VMA, cfg
from core_mm.vmstat import ARCH_EVENT, LOG_TLBI, count, write_log

TLBI_PAGE, TLBI_MM, TLBI_ALL = ARCH_EVENT, ARCH_EVENT + 1, ARCH_EVENT + 2
MOST_PAGES = 1 << 18  # flushed one by one; a whole address space costs less than more of them
EVENTS = ("tlbi_page", "tlbi_mm", "tlbi_all")


@hookimpl
def flush_tlb_all() -> int:
    count(TLBI_ALL, 1)
    return write_log(LOG_TLBI, TLBI_ALL, 0, 0, 0)


@hookimpl
def flush_tlb_mm(mm: int) -> int:
    count(TLBI_MM, 1)
    return write_log(LOG_TLBI, TLBI_MM, 0, 0, MM.asid[mm])


def flush_page(mm: int, addr: int) -> int:
    """One page of one address space."""
    count(TLBI_PAGE, 1)
    return write_log(LOG_TLBI, TLBI_PAGE, addr, 1, MM.asid[mm])


@hookimpl
def flush_tlb_page(vma: int, addr: int) -> int:
    return flush_page(VMA.vm_mm[vma], addr)


@hookimpl
def flush_tlb_range(vma: int, start: int, end: int) -> int:
    if end - start > MOST_PAGES * cfg.page_size:
        return hook.flush_tlb_mm(VMA.vm_mm[vma])
    while start < end:
        hook.flush_tlb_page(vma, start)
        start += cfg.page_size
    return 0


@hookimpl
def flush_pmd_tlb_range(vma: int, start: int, end: int) -> int:
    return hook.flush_tlb_range(vma, start, end)


@hookimpl
def flush_tlb_fix_spurious_fault(vma: int, address: int, ptep: int) -> int:
    return hook.flush_tlb_page(vma, address)


@hookimpl
def flush_tlb_fix_spurious_fault_pmd(vma: int, address: int, pmdp: int) -> int:
    return 0


@hookimpl
def tlb_flush(tlb: int) -> int:
    """Page by page; walk caches of freed tables can only be dropped with all else of the mm."""
    mm = GATHER.mm[tlb]
    if GATHER.fullmm[tlb] or GATHER.need_flush_all[tlb] or GATHER.freed_tables[tlb]:
        return hook.flush_tlb_mm(mm)
    addr = GATHER.start[tlb]
    if GATHER.end[tlb] - addr > MOST_PAGES * cfg.page_size:
        return hook.flush_tlb_mm(mm)
    while addr < GATHER.end[tlb]:
        flush_page(mm, addr)
        addr += cfg.page_size
    return 0


@hookimpl
def tlb_delay_rmap(tlb: int) -> int:
    if not cfg.smp:
        return 0
    GATHER.delayed_rmap[tlb] = 1
    return 1


@hookimpl
def tlb_remove_tlb_entry(tlb: int, ptep: int, address: int) -> int:
    return 0


@hookimpl
def tlb_merge_vmas() -> int:
    return 0


@hookimpl
def update_mmu_cache_range(vmf: int, vma: int, addr: int, ptep: int, nr: int) -> int:
    return 0


@hookimpl
def update_mmu_tlb_range(vma: int, addr: int, ptep: int, nr: int) -> int:
    return 0


@hookimpl
def arch_tlbbatch_should_defer(mm: int) -> int:
    return 0


@hookimpl
def arch_tlbbatch_add_pending(mm: int, start: int, end: int) -> int:
    return 0


@hookimpl
def arch_tlbbatch_flush() -> int:
    return 0


@hookimpl
def arch_flush_tlb_batched_pending(mm: int) -> int:
    return hook.flush_tlb_mm(mm)
