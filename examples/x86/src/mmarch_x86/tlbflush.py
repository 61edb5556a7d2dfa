"""Flushing by address and by PCID, here and on other CPUs (arch/x86/mm/tlb.c; Linux 6.12, 7.3).

A process is taken to run on `cpu.cpus` CPUs, none of them lazy. Each catches up with every flush at
once, so that it may flush a range; only flushes that reclaim deferred leave it behind.
"""

from __future__ import annotations

from core_mm.decl import Array, Scalars
from core_mm.hookspecs import hookimpl
from core_mm.mm_types import MM, VMA, cfg
from core_mm.tlb_model import Tlbi, TlbModel
from core_mm.vmstat import ARCH_EVENT, LOG_DSB, LOG_TLBI, count, write_log

from mmarch_x86.cpufeature import cpu
from mmarch_x86.features import arch_feature
from mmarch_x86.pgtable import pte_pfn
from mmarch_x86.pgtable_types import (
    PAGE_DIRTY,
    PAGE_GLOBAL,
    PAGE_NX,
    PAGE_PCD,
    PAGE_PKEYS,
    PAGE_PRESENT,
    PAGE_PSE,
    PAGE_PWT,
    PAGE_RW,
    PAGE_USER,
)
from mmarch_x86.pmd import pmd_pte

EVENTS = (
    "invlpg", "invpcid_one", "invpcid_all", "cr3_write", "cr3_write_loaded", "user_pcid_flush",
    "invlpgb_range", "invlpgb_pcid", "invlpgb_all", "tlbsync", "ipi",
)  # fmt: skip
(
    INVLPG, INVPCID_ONE, INVPCID_ALL, CR3_WRITE, CR3_WRITE_LOADED, USER_PCID_FLUSH,
    INVLPGB_RANGE, INVLPGB_PCID, INVLPGB_ALL, TLBSYNC, IPI,
) = range(ARCH_EVENT, ARCH_EVENT + 11)  # fmt: skip

TLB_MODEL = TlbModel(
    tlbi={
        "invlpg": Tlbi(scope="pages"),  # walk caches too, Intel SDM volume 3, 4.10.4.1
        "invpcid_one": Tlbi(scope="pages"),
        "invlpgb_range": Tlbi(scope="pages"),
        "cr3_write": Tlbi(scope="asid"),
        "invlpgb_pcid": Tlbi(scope="asid"),
        "cr3_write_loaded": Tlbi(scope="all"),  # what is not loaded is flushed when it is
        "invpcid_all": Tlbi(scope="all"),
        "invlpgb_all": Tlbi(scope="all"),
    },
    synchronous=True,
    fault_drops=True,  # Intel SDM volume 3, 4.10.4.1
)

TLB_SINGLE_PAGE_FLUSH_CEILING = 33
FLUSH_ON_CHANGE = (
    PAGE_RW | PAGE_USER | PAGE_PWT | PAGE_PCD | PAGE_PSE | PAGE_GLOBAL | PAGE_PKEYS | PAGE_NX
)  # fmt: skip
ASID_MASK = 0xFFFF

tlb_gen_behind = Array("tlb_gen_behind", "mms")  # the round of deferred flushes that last left an mm behind


class tlbstate(Scalars):
    """State of deferred flushes."""

    rounds: int  # rounds that were flushed


def asid_of(mm: int) -> int:
    """What tells this address space apart; on real CPUs a PCID per CPU, or a global one."""
    return MM.asid[mm] & ASID_MASK


def drop(op: int, addr: int, pages: int, mm: int, times: int) -> int:
    """Something that drops translations; `pages` 0 is all of the address space."""
    count(op, times)
    return write_log(LOG_TLBI, op, addr, pages, asid_of(mm))


# --- one CPU's part, on each of `cpus` ---


def flush_tlb_one_user(mm: int, addr: int, cpus: int) -> int:
    """INVLPG; with PTI the user half has another PCID: INVPCID, or a flush on the way back to user space."""
    drop(INVLPG, addr, 1, mm, cpus)
    if not cpu.pti:
        return 0
    if cpu.invpcid:
        return drop(INVPCID_ONE, addr, 1, mm, cpus)
    return count(USER_PCID_FLUSH, cpus)


def flush_tlb_local(mm: int, cpus: int) -> int:
    """Everything of the address space: a write of CR3, and with PTI the user half on the way back."""
    if cpu.pti:
        count(USER_PCID_FLUSH, cpus)
    return drop(CR3_WRITE, 0, 0, mm, cpus)


# --- all CPUs ---


def send_ipis() -> int:
    """To every other CPU that runs the process; how many execute the flush."""
    if cpu.cpus > 1:
        count(IPI, cpu.cpus - 1)
    return max(cpu.cpus, 1)


def is_behind(mm: int) -> int:
    """Whether a deferred flush of this mm is outstanding: a CPU that missed it may not flush a mere range."""
    return tlb_gen_behind[mm] == tlbstate.rounds + 1


def flush_tlb_mm_range(mm: int, start: int, end: int, stride: int) -> int:
    """Entry by entry up to the ceiling, else all; `end` 0 is all."""
    everything = end == 0 or (end - start) // stride > TLB_SINGLE_PAGE_FLUSH_CEILING
    if has_global_asid():
        return broadcast_tlb_flush(mm, start, end, stride, everything)
    cpus = send_ipis()
    if everything or is_behind(mm):
        tlb_gen_behind[mm] = 0
        return flush_tlb_local(mm, cpus)
    while start < end:
        flush_tlb_one_user(mm, start, cpus)
        start += stride
    return 0


def has_global_asid() -> int:
    """Processes on four or more CPUs get one, on CPUs with INVLPGB (`consider_global_asid`, Linux 7.x)."""
    return arch_feature.broadcast_flush and cpu.invlpgb and cpu.cpus > 3


def broadcast_tlb_flush(mm: int, start: int, end: int, stride: int, everything: int) -> int:
    """INVLPGB reaches all CPUs without an IPI; twice with PTI, then one TLBSYNC waits for all of them."""
    times = 2 if cpu.pti else 1
    if everything:
        drop(INVLPGB_PCID, 0, 0, mm, times)
        return tlbsync()
    while True:
        nr = 1
        if stride <= cfg.pmd_size:
            nr = min(max((end - start) // stride, 1), max(cpu.invlpgb_count_max, 1))
        drop(INVLPGB_RANGE, start, nr * stride >> cfg.page_shift, mm, times)
        start += nr * stride
        if start >= end:
            return tlbsync()


def tlbsync() -> int:
    """Wait until other CPUs have done what was broadcast."""
    count(TLBSYNC, 1)
    return write_log(LOG_DSB, TLBSYNC, 0, 0, 0)


def flush_everything() -> int:
    """All address spaces on all CPUs (`__flush_tlb_all`, `invlpgb_flush_all`)."""
    if arch_feature.broadcast_flush and cpu.invlpgb:
        count(INVLPGB_ALL, 1)
        write_log(LOG_TLBI, INVLPGB_ALL, 0, 0, 0)
        return tlbsync()
    count(INVPCID_ALL, send_ipis())
    return write_log(LOG_TLBI, INVPCID_ALL, 0, 0, 0)


@hookimpl
def flush_tlb_all() -> int:
    return flush_everything()


@hookimpl
def flush_tlb_mm(mm: int) -> int:
    return flush_tlb_mm_range(mm, 0, 0, cfg.page_size)


@hookimpl
def flush_tlb_range(vma: int, start: int, end: int) -> int:
    return flush_tlb_mm_range(VMA.vm_mm[vma], start, end, cfg.page_size)


@hookimpl
def flush_tlb_page(vma: int, addr: int) -> int:
    addr &= -cfg.page_size
    return flush_tlb_mm_range(VMA.vm_mm[vma], addr, addr + cfg.page_size, cfg.page_size)


@hookimpl
def flush_tlb_fix_spurious_fault(vma: int, address: int, ptep: int) -> int:
    """The fault itself has dropped the translation (asm/pgtable.h:flush_tlb_fix_spurious_fault)."""
    return 0


@hookimpl
def pte_needs_flush(oldpte: int, newpte: int) -> int:
    """Not if the change only adds what hardware sets by itself, or is software's (`pte_flags_need_flush`)."""
    if not oldpte & PAGE_PRESENT:
        return 0
    if pte_pfn(oldpte) != pte_pfn(newpte):
        return 1
    changed = oldpte ^ newpte
    return changed & oldpte & (PAGE_DIRTY | PAGE_PRESENT) != 0 or changed & FLUSH_ON_CHANGE != 0


@hookimpl
def huge_pmd_needs_flush(oldpmd: int, newpmd: int) -> int:
    """By the same flags; PSE is in both."""
    return pte_needs_flush(pmd_pte(oldpmd), pmd_pte(newpmd))

