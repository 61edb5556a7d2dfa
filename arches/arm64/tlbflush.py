"""TLB maintenance by instruction (arch/arm64/include/asm/tlbflush.h; Linux 6.12.107, 7.3.4)."""

from __future__ import annotations

from arches.arm64.features import arch_feature
from core_mm.features import feature
from arches.arm64.cpufeature import cpu
from arches.arm64.events import (
    ASIDE1IS,
    ISB,
    ISH,
    ISHST,
    NSH,
    NSHST,
    REPEAT,
    RVAE1IS,
    RVALE1,
    RVALE1IS,
    VAE1IS,
    VALE1,
    VALE1IS,
    VMALLE1IS,
)
from arches.arm64.tlb_cache import tlb_drop, tlb_drop_all, tlb_drop_asid
from core_mm import hookspecs as hook
from core_mm.decl import always_inline, cold, noinline
from core_mm.hookspecs import hookimpl
from core_mm.mm_types import MM, VMA, cfg
from core_mm.vmstat import LOG_DSB, LOG_ISB, LOG_TLBI, count, write_log

TLBI_TTL_UNKNOWN = -1
MAX_TLBI_RANGE_PAGES = 32 << 16
ASID_MASK = 0xFFFF


def dsb(domain: int) -> int:
    """Data synchronisation barrier."""
    count(domain, 1)
    return write_log(LOG_DSB, domain, 0, 0, 0)


def isb() -> int:
    """Instruction synchronisation barrier."""
    count(ISB, 1)
    return write_log(LOG_ISB, ISB, 0, 0, 0)


@always_inline
def tlbi(op: int, addr: int, pages: int, ttl: int, asid: int) -> int:
    """One TLBI of a user operand; twice where the kernel is unmapped at EL0."""
    n = 2 if cpu.kpti else 1
    count(op, n)
    return tlbi_effects(op, addr, pages, ttl, asid, n) if cfg.log_capacity or cfg.tlb_entries else 0


@cold
def tlbi_effects(op: int, addr: int, pages: int, ttl: int, asid: int, n: int) -> int:
    """For the log, and for a TLB if accesses go through one; few runs ask for either."""
    for _ in range(n):
        write_log(LOG_TLBI, op, addr, pages | ttl << 32, asid)
    if cfg.tlb_entries:
        return tlb_drop(asid, addr, pages) if pages else tlb_drop_asid(asid)
    return 0


def tlbi_sync() -> int:
    """`__tlbi_sync_s1ish`: wait for completion; the erratum wants a `tlbi vale1is, xzr` more, and waiting again."""
    dsb(ISH)
    if cpu.repeat_tlbi:
        count(REPEAT, 1)
        write_log(LOG_TLBI, REPEAT, 0, 1, -1)
        dsb(ISH)
    return 0


def tlbi_ttl(level: int) -> int:
    """The hint of a single-address operand: granule and level, if the CPU takes hints."""
    if not cpu.ttl or level == TLBI_TTL_UNKNOWN:
        return 0
    granule = (cfg.page_shift - 10) >> 1  # 4K 1, 16K 2, 64K 3
    return granule << 2 | level


def range_ttl(level: int) -> int:
    """The hint of a range operand."""
    return level if cpu.ttl and level != TLBI_TTL_UNKNOWN else 0


@hookimpl
def flush_tlb_all() -> int:
    dsb(ISHST)
    count(VMALLE1IS, 1)
    write_log(LOG_TLBI, VMALLE1IS, 0, 0, 0)
    if cfg.tlb_entries:
        tlb_drop_all()
    tlbi_sync()
    return isb()


@hookimpl
def flush_tlb_mm(mm: int) -> int:
    dsb(ISHST)
    tlbi(ASIDE1IS, 0, 0, 0, MM.asid[mm] & ASID_MASK)
    return tlbi_sync()


def flush_tlb_page_nosync(mm: int, addr: int) -> int:
    """Without waiting for completion."""
    dsb(ISHST)
    level = 3 if arch_feature.page_flush_level else TLBI_TTL_UNKNOWN
    return tlbi(VALE1IS, addr & -cfg.page_size, 1, tlbi_ttl(level), MM.asid[mm] & ASID_MASK)


@hookimpl
def flush_tlb_page(vma: int, addr: int) -> int:
    flush_tlb_page_nosync(VMA.vm_mm[vma], addr)
    return tlbi_sync()


def limit_excess(start: int, end: int, stride: int) -> int:
    """Whether one ASID-wide operation is the better choice (`__flush_tlb_range_limit_excess`)."""
    pages = (end - start) >> cfg.page_shift
    if not cpu.tlb_range and end - start >= cfg.ptrs_per_pte * stride:
        return 1
    if arch_feature.flush_limit_by_operations and not cpu.tlb_range:
        return 0
    return pages > MAX_TLBI_RANGE_PAGES


def range_ops(mm: int, start: int, pages: int, stride: int, single: int, ranged: int, level: int) -> int:
    """`__flush_tlb_range_op`: ranges from the widest scale down, single operations for what is left."""
    asid = MM.asid[mm] & ASID_MASK
    scale = 3
    step = stride >> cfg.page_shift
    if not cpu.tlb_range:
        return single_ops(start, pages, step, single, tlbi_ttl(level), asid)
    while pages > 0:
        if pages == 1 or (cpu.lpa2 and start & 0xFFFF != 0):
            tlbi(single, start, 1, tlbi_ttl(level), asid)
            start += stride
            pages -= step
            continue
        shift = 5 * scale + 1
        units = min(pages, 32 << shift) >> shift
        if units > 0:
            tlbi(ranged, start, units << shift, range_ttl(level), asid)
            start += units << (shift + cfg.page_shift)
            pages -= units << shift
        scale -= 1
    return 0


@noinline
def single_ops(start: int, pages: int, step: int, op: int, ttl: int, asid: int) -> int:
    """One address after the other; if nobody asks for addresses, the loop comes down to an addition."""
    if cfg.log_capacity or cfg.tlb_entries:
        return watched_ops(start, pages, step, op, ttl, asid)
    for _ in range(pages if step == 1 else -(-pages // step)):
        count(op, 2 if cpu.kpti else 1)
    return 0


@cold
def watched_ops(start: int, pages: int, step: int, op: int, ttl: int, asid: int) -> int:
    """The same where the log or a TLB wants to know of each."""
    while pages > 0:
        tlbi(op, start, 1, ttl, asid)
        start += step << cfg.page_shift
        pages -= step
    return 0


def flush_tlb_range_nosync(mm: int, start: int, end: int, stride: int, last_level: int, level: int) -> int:
    """`__flush_tlb_range_nosync`; returns 1 if it became an ASID-wide flush, which does wait."""
    start = start & -stride
    end = (end + stride - 1) & -stride
    if limit_excess(start, end, stride):
        hook.flush_tlb_mm(mm)
        return 1
    dsb(ISHST)
    pages = (end - start) >> cfg.page_shift
    if last_level:
        range_ops(mm, start, pages, stride, VALE1IS, RVALE1IS, level)
    else:
        range_ops(mm, start, pages, stride, VAE1IS, RVAE1IS, level)
    return 0


def __flush_tlb_range(mm: int, start: int, end: int, stride: int, last_level: int, level: int) -> int:
    """An ASID-wide flush has waited already."""
    whole = flush_tlb_range_nosync(mm, start, end, stride, last_level, level)
    if whole and arch_feature.flush_mm_waits_once:
        return 0
    return tlbi_sync()


def local_flush_tlb_range(mm: int, start: int, end: int, stride: int, level: int) -> int:
    """Leaf entries on this CPU only (TLBF_NOBROADCAST); at first without a hint, as flushes of a page (6.19, 7.0)."""
    dsb(NSHST)
    if not arch_feature.page_flush_level:
        level = TLBI_TTL_UNKNOWN
    range_ops(mm, start & -stride, (end - start) >> cfg.page_shift, stride, VALE1, RVALE1, level)
    return dsb(NSH)


@hookimpl
def flush_tlb_range(vma: int, start: int, end: int) -> int:
    """Walk caches too, no level hint: page tables may have changed."""
    return __flush_tlb_range(VMA.vm_mm[vma], start, end, cfg.page_size, 0, TLBI_TTL_UNKNOWN)


@hookimpl
def flush_pmd_tlb_range(vma: int, start: int, end: int) -> int:
    return __flush_tlb_range(VMA.vm_mm[vma], start, end, cfg.pmd_size, 0, 2)


@hookimpl
def flush_tlb_fix_spurious_fault(vma: int, address: int, ptep: int) -> int:
    """Nothing to repair where every permission change is broadcast."""
    if not arch_feature.local_fault_flush:
        return 0
    return local_flush_tlb_range(
        VMA.vm_mm[vma], address & -cfg.page_size, (address & -cfg.page_size) + cfg.page_size, cfg.page_size, 3
    )


@hookimpl
def flush_tlb_fix_spurious_fault_pmd(vma: int, address: int, pmdp: int) -> int:
    if not arch_feature.local_fault_flush:
        return 0
    start = address & -cfg.pmd_size
    return local_flush_tlb_range(VMA.vm_mm[vma], start, start + cfg.page_size, cfg.page_size, 2)


@hookimpl
def arch_tlbbatch_should_defer(mm: int) -> int:
    """Always: the repeat erratum costs one invalidation more at the DSB that closes the batch."""
    return 1


@hookimpl
def arch_tlbbatch_add_pending(mm: int, start: int, end: int) -> int:
    if not feature.tlbbatch_ranges:
        return flush_tlb_page_nosync(mm, start)
    flush_tlb_range_nosync(mm, start, end, cfg.page_size, 1, 3)
    return 0


@hookimpl
def arch_tlbbatch_flush() -> int:
    return tlbi_sync()


@hookimpl
def arch_flush_tlb_batched_pending(mm: int) -> int:
    return hook.flush_tlb_mm(mm)
