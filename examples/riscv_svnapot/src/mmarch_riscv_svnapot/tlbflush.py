"""Fences, here and on other harts (arch/riscv/mm/tlbflush.c, asm/tlbflush.h; Linux 6.12, 7.3)."""

from __future__ import annotations

from core_mm.hookspecs import hookimpl
from core_mm.mm_types import MM, VMA, cfg
from core_mm.tlb_model import Tlbi, TlbModel
from core_mm.vmstat import ARCH_EVENT, LOG_DSB, LOG_TLBI, count, write_log

from mmarch_riscv_svnapot.cpufeature import cpu
from mmarch_riscv_svnapot.features import arch_feature
from mmarch_riscv_svnapot.pgtable_bits import NAPOT

EVENTS = (
    "sfence_vma_va_asid", "sfence_vma_asid", "sfence_vma", "sfence_vma_va_local", "sinval_vma_va_asid",
    "sbi_remote_sfence_page", "sbi_remote_sfence_range", "sbi_remote_sfence_asid", "sbi_remote_sfence_all",
    "sfence_w_inval", "sfence_inval_ir", "ipi",
)  # fmt: skip
(
    SFENCE_VMA_VA_ASID, SFENCE_VMA_ASID, SFENCE_VMA, SFENCE_VMA_VA_LOCAL, SINVAL_VMA_VA_ASID,
    SBI_REMOTE_PAGE, SBI_REMOTE_RANGE, SBI_REMOTE_ASID, SBI_REMOTE_ALL, SFENCE_W_INVAL, SFENCE_INVAL_IR, IPI,
) = range(ARCH_EVENT, ARCH_EVENT + 12)  # fmt: skip

_LEAVES = Tlbi(scope="pages", walk=False)  # "applies only to leaf PTEs", RISC-V privileged architecture
TLB_MODEL = TlbModel(
    tlbi={
        "sfence_vma_va_asid": _LEAVES,
        "sinval_vma_va_asid": _LEAVES,
        "sbi_remote_sfence_page": _LEAVES,
        "sbi_remote_sfence_range": Tlbi(scope="pages"),  # OpenSBI, lib/sbi/sbi_tlb.c: all beyond 4 KiB
        "sfence_vma_va_local": Tlbi(scope="pages", walk=False, local=True),
        "sfence_vma_asid": Tlbi(scope="asid"),
        "sbi_remote_sfence_asid": Tlbi(scope="asid"),
        "sfence_vma": Tlbi(scope="all"),
        "sbi_remote_sfence_all": Tlbi(scope="all"),
    },
    synchronous=True,  # a fence orders and completes by itself; the two around SINVAL.VMA are only counted
    asid_mask=0xFFFF,
    cont_mask=NAPOT,
    plain="mmarch_riscv_svnapot.raw:plain_entry",
)

ASID_MASK = 0xFFFF
TLB_FLUSH_ALL_THRESHOLD = 64
WHOLE = -1  # FLUSH_TLB_MAX_SIZE


def get_mm_asid(mm: int) -> int:
    """The ASID without its generation."""
    return MM.asid[mm] & ASID_MASK


def fence(op: int, addr: int, pages: int, asid: int, harts: int) -> int:
    """One instruction that drops translations, on so many harts; `pages` 0 means all of the ASID."""
    count(op, harts)
    return write_log(LOG_TLBI, op, addr, pages, asid)


def order(op: int, harts: int) -> int:
    """One of the fences around a run of SINVAL.VMA."""
    count(op, harts)
    return write_log(LOG_DSB, op, 0, 0, 0)


def flush_range_asid(start: int, size: int, stride: int, asid: int, harts: int) -> int:
    """`local_flush_tlb_range_asid`, on each of `harts`: page by page up to the threshold, else the ASID."""
    nr = (size + stride - 1) // stride
    if size == WHOLE or nr > TLB_FLUSH_ALL_THRESHOLD:
        return fence(SFENCE_VMA_ASID, 0, 0, asid, harts)
    if arch_feature.svinval_ranges and cpu.svinval and nr > 1:
        return invalidate_range_asid(start, nr, stride, asid, harts)
    for i in range(nr):
        fence(SFENCE_VMA_VA_ASID, start + i * stride, 1, asid, harts)
    return 0


def invalidate_range_asid(start: int, nr: int, stride: int, asid: int, harts: int) -> int:
    """With Svinval, invalidations need not wait for one another."""
    order(SFENCE_W_INVAL, harts)
    for i in range(nr):
        fence(SINVAL_VMA_VA_ASID, start + i * stride, 1, asid, harts)
    return order(SFENCE_INVAL_IR, harts)


def __flush_tlb_range(mm: int, start: int, size: int, stride: int) -> int:
    """Where the process runs: on this hart alone, else by one SBI call, else by IPI to each of the others."""
    asid = get_mm_asid(mm)
    if cpu.harts <= 1:
        return flush_range_asid(start, size, stride, asid, 1)
    if cpu.sbi_rfence:
        if size == WHOLE:
            return fence(SBI_REMOTE_ASID, 0, 0, asid, 1)
        pages = (size + cfg.page_size - 1) >> cfg.page_shift
        return fence(SBI_REMOTE_RANGE if pages > 1 else SBI_REMOTE_PAGE, start, pages, asid, 1)
    count(IPI, cpu.harts - 1)
    return flush_range_asid(start, size, stride, asid, cpu.harts)


def flush_everything() -> int:
    """All address spaces on all harts."""
    if cpu.harts <= 1:
        return fence(SFENCE_VMA, 0, 0, 0, 1)
    if cpu.sbi_rfence:
        return fence(SBI_REMOTE_ALL, 0, 0, 0, 1)
    count(IPI, cpu.harts - 1)
    return fence(SFENCE_VMA, 0, 0, 0, cpu.harts)


def flush_mm_range(mm: int, start: int, end: int, stride: int) -> int:
    """`flush_tlb_mm_range`: leaves of [start, end), one fence each `stride` bytes."""
    return __flush_tlb_range(mm, start, end - start, stride)


@hookimpl
def flush_tlb_all() -> int:
    return flush_everything()


@hookimpl
def flush_tlb_mm(mm: int) -> int:
    return __flush_tlb_range(mm, 0, WHOLE, cfg.page_size)


@hookimpl
def flush_tlb_page(vma: int, addr: int) -> int:
    return __flush_tlb_range(VMA.vm_mm[vma], addr & -cfg.page_size, cfg.page_size, cfg.page_size)


@hookimpl
def flush_tlb_range(vma: int, start: int, end: int) -> int:
    """Every 4 KiB page: the privileged specification asks for that of NAPOT blocks."""
    return flush_mm_range(VMA.vm_mm[vma], start, end, cfg.page_size)


@hookimpl
def flush_pmd_tlb_range(vma: int, start: int, end: int) -> int:
    return flush_mm_range(VMA.vm_mm[vma], start, end, cfg.pmd_size)


@hookimpl
def update_mmu_cache_range(vmf: int, vma: int, addr: int, ptep: int, nr: int) -> int:
    """The old invalid entry may be cached; Svvptc promises that the new one is seen soon enough."""
    if cpu.svvptc:
        return 0
    for i in range(nr - 1, -1, -1):
        fence(SFENCE_VMA_VA_LOCAL, addr + (i << cfg.page_shift), 1, get_mm_asid(VMA.vm_mm[vma]), 1)
    return 0


@hookimpl
def update_mmu_tlb_range(vma: int, addr: int, ptep: int, nr: int) -> int:
    return update_mmu_cache_range(0, vma, addr, ptep, nr)


# --- reclaim: only the set of harts is remembered, and all of their translations go at the end ---


@hookimpl
def arch_tlbbatch_should_defer(mm: int) -> int:
    return 1


@hookimpl
def arch_tlbbatch_add_pending(mm: int, start: int, end: int) -> int:
    return 0


@hookimpl
def arch_tlbbatch_flush() -> int:
    return flush_everything()
