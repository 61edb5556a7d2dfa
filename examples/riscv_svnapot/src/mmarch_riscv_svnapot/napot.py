"""NAPOT blocks, transparent to core-mm: folding, unfolding, reading, setting, clearing.

Linux uses Svnapot for hugetlb only (arch/riscv/mm/hugetlbpage.c, Linux 6.12, which also has the
break-before-make). This does for ordinary folios what arch/arm64/mm/contpte.c does there, with two
differences: all entries of a block hold the same value, and each of its 4 KiB pages needs a fence.
"""

from __future__ import annotations

from core_mm import vmstat
from core_mm.folio import folio_nr_pages, page_folio
from core_mm.hookspecs import hookimpl
from core_mm.mm_types import VMA, cfg
from core_mm.rwonce import READ_ONCE, WRITE_ONCE, xchg
from core_mm.vmstat import CONT_INSTALL, FOLD, UNFOLD

from mmarch_riscv_svnapot.cpufeature import cpu
from mmarch_riscv_svnapot.pgtable_bits import (
    IN_BLOCK,
    NAPOT,
    NAPOT_PFN_MASK,
    PAGE_ACCESSED,
    PAGE_DIRTY,
    PAGE_PRESENT,
    PAGE_PROT_NONE,
    PAGE_SPECIAL,
    PFN_MASK,
    PFN_SHIFT,
)
from mmarch_riscv_svnapot.raw import decode, get_and_clear, is_napot, merge, set_block, set_plain, slot
from mmarch_riscv_svnapot.tlbflush import flush_mm_range

INIT_MM = 1
AD = PAGE_ACCESSED | PAGE_DIRTY


def block_size() -> int:
    """Bytes of a block."""
    return cfg.cont_ptes << cfg.page_shift


def can_fold(mm: int, pte: int) -> int:
    """Whether entries like this may be part of a block at all."""
    return cpu.svnapot and mm != INIT_MM and pte & (PAGE_PRESENT | PAGE_SPECIAL) == PAGE_PRESENT


def convert(mm: int, addr: int, ptep: int, pte: int, fold: int) -> int:
    """Break before make: clear the block, fence all of it, write it in the other form with all A/D state."""
    start, base = ptep - slot(ptep), addr & -block_size()
    pte &= ~(IN_BLOCK | NAPOT | NAPOT_PFN_MASK)
    for i in range(cfg.cont_ptes):
        pte = merge(pte, xchg(start + i, 0))
    flush_mm_range(mm, base, base + block_size(), cfg.page_size)
    if fold:
        vmstat.convert(FOLD, base, 1)
        return set_block(start, pte)
    vmstat.convert(UNFOLD, base, 1)
    return set_plain(start, pte, cfg.cont_ptes)


def try_unfold(mm: int, addr: int, ptep: int) -> int:
    """Make the block of an entry ordinary, if it is in one."""
    raw = READ_ONCE(ptep)
    if is_napot(raw):
        convert(mm, addr, ptep, raw, 0)
    return 0


def try_unfold_partial(mm: int, addr: int, ptep: int, nr: int) -> int:
    """Unfold the blocks that [ptep, ptep + nr) covers in part; whole blocks stay."""
    if slot(ptep) != 0:
        try_unfold(mm, addr, ptep)
    last = ptep + nr - 1
    if slot(last) != cfg.cont_ptes - 1:
        try_unfold(mm, addr + ((nr - 1) << cfg.page_shift), last)
    return 0


def try_fold(mm: int, addr: int, ptep: int, pte: int) -> int:
    """Fold after the last entry of a block was set, if one folio fills it with equal entries."""
    last = cfg.cont_ptes - 1
    pfn = (pte & PFN_MASK) >> PFN_SHIFT
    if slot(ptep) != last or pfn & last != last or not can_fold(mm, pte):
        return 0
    if not folio_covers_block(addr, pfn) or not block_is_uniform(ptep - last, pte):
        return 0
    return convert(mm, addr, ptep, pte, 1)


def folio_covers_block(addr: int, pfn: int) -> int:
    """Whether the folio of `pfn`, mapped at `addr`, spans the block around `addr`."""
    folio = page_folio(pfn)
    first = addr - ((pfn - folio) << cfg.page_shift)
    base = addr & -block_size()
    return first <= base and first + (folio_nr_pages(folio) << cfg.page_shift) >= base + block_size()


def block_is_uniform(start: int, pte: int) -> int:
    """Whether the block maps consecutive frames with equal permissions; young and dirty may differ."""
    expected = pte & ~(AD | NAPOT_PFN_MASK)
    for i in range(cfg.cont_ptes):
        if READ_ONCE(start + i) & ~AD != expected + (i << PFN_SHIFT):
            return 0
    return 1


# --- reading ---


@hookimpl
def ptep_get(ptep: int) -> int:
    """Of a block, with the accessed and dirty state of all of its entries; stops when both are found."""
    raw = READ_ONCE(ptep)
    if not is_napot(raw):
        return raw
    pte, start = decode(raw, ptep), ptep - slot(ptep)
    for i in range(cfg.cont_ptes):
        if pte & AD == AD:
            return pte
        pte = merge(pte, READ_ONCE(start + i))
    return pte


@hookimpl
def ptep_get_lockless(ptep: int) -> int:
    """Read a block until all of it is the same block; others may change it meanwhile."""
    while True:
        raw = READ_ONCE(ptep)
        if not is_napot(raw):
            return raw
        pte, consistent = gather_lockless(ptep, raw)
        if consistent:
            return pte


def gather_lockless(ptep: int, raw: int) -> tuple[int, int]:
    """The entry's value with the block's A/D state, and whether all entries hold the same but for that."""
    pte, start = decode(raw, ptep), ptep - slot(ptep)
    for i in range(cfg.cont_ptes):
        other = READ_ONCE(start + i)
        if (other ^ raw) & ~AD != 0:
            return pte, 0
        pte = merge(pte, other)
    return pte, 1


@hookimpl
def pte_batch_hint(ptep: int, pte: int) -> int:
    return cfg.cont_ptes - slot(ptep) if pte & IN_BLOCK else 1


# --- setting ---


def stored(pte: int) -> int:
    """Without the mark of a block; in an entry that is not present, the bit means something else."""
    return pte & ~IN_BLOCK if pte & (PAGE_PRESENT | PAGE_PROT_NONE) else pte


@hookimpl
def set_pte(ptep: int, pte: int) -> int:
    return WRITE_ONCE(ptep, stored(pte))


@hookimpl
def set_ptes(mm: int, addr: int, ptep: int, pte: int, nr: int) -> int:
    pte = stored(pte)
    if nr == 1:
        try_unfold(mm, addr, ptep)
        WRITE_ONCE(ptep, pte)
        return try_fold(mm, addr, ptep, pte)
    if not can_fold(mm, pte):
        return set_plain(ptep, pte, nr)
    return set_in_blocks(addr, ptep, pte, nr)


def set_in_blocks(addr: int, ptep: int, pte: int, nr: int) -> int:
    """Aligned blocks become NAPOT at once, ragged edges ordinary entries."""
    while nr:
        pages = min(cfg.cont_ptes - slot(ptep), nr)
        if pages == cfg.cont_ptes and pte & NAPOT_PFN_MASK == 0:
            vmstat.convert(CONT_INSTALL, addr, 1)
            set_block(ptep, pte)
        else:
            set_plain(ptep, pte, pages)
        addr += pages << cfg.page_shift
        ptep += pages
        pte += pages << PFN_SHIFT
        nr -= pages
    return 0


# --- clearing ---


@hookimpl
def pte_clear(mm: int, addr: int, ptep: int) -> int:
    try_unfold(mm, addr, ptep)
    return WRITE_ONCE(ptep, 0)


@hookimpl
def ptep_get_and_clear(mm: int, addr: int, ptep: int) -> int:
    try_unfold(mm, addr, ptep)
    return get_and_clear(ptep)


@hookimpl
def clear_ptes(mm: int, addr: int, ptep: int, nr: int, full: int) -> int:
    """Whole blocks go without being unfolded."""
    try_unfold_partial(mm, addr, ptep, nr)
    pte = get_and_clear(ptep)
    for i in range(1, nr):
        pte = merge(pte, xchg(ptep + i, 0))
    return pte


@hookimpl
def clear_full_ptes(mm: int, addr: int, ptep: int, nr: int, full: int) -> int:
    try_unfold_partial(mm, addr, ptep, nr)
    for i in range(nr):
        xchg(ptep + i, 0)
    return 0


@hookimpl
def modify_prot_start_ptes(vma: int, addr: int, ptep: int, nr: int) -> int:
    """Clearing, but whole blocks at once; single entries that come back as a block must not stay cached."""
    mm = VMA.vm_mm[vma]
    joins = becomes_block(ptep, nr)
    pte = clear_ptes(mm, addr, ptep, nr, 0)
    if joins:
        flush_mm_range(mm, addr, addr + (nr << cfg.page_shift), cfg.page_size)
    return pte


def becomes_block(ptep: int, nr: int) -> int:
    """Whether the batch covers a block of single entries whole."""
    first = (ptep + cfg.cont_ptes - 1) & -cfg.cont_ptes
    while cpu.svnapot and first + cfg.cont_ptes <= ptep + nr:
        if not is_napot(READ_ONCE(first)):
            return 1
        first += cfg.cont_ptes
    return 0


@hookimpl
def modify_prot_commit_ptes(vma: int, addr: int, ptep: int, old_pte: int, pte: int, nr: int) -> int:
    return set_ptes(VMA.vm_mm[vma], addr, ptep, pte, nr)
