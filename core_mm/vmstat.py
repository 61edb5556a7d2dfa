"""Counting and logging: every count is added where the thing happens (mm/vmstat.c).

`counters` has one row of EVENTS counts for every (operation, outermost hook).
Events below ARCH_EVENT are core-mm's; an architecture names its own from there.
"""

from __future__ import annotations

from core_mm.decl import cold
from core_mm.mm_types import LOG, cfg, counters, mach

EVENTS = 128
HOOKS = 128  # rows of an operation: row 0 is core-mm itself

(
    PTE_READ, PTE_WRITE, PTE_XCHG, PTE_CMPXCHG, PMD_READ, PMD_WRITE,
    FAULT, FAULT_ANON, FAULT_ZERO, FAULT_COW, FAULT_REUSE, FAULT_FILE, FAULT_SWAP, FAULT_ACCESS,
    FAULT_PMD, FAULT_SHMEM, FAULT_STACK,
    FAULT_AROUND, SPURIOUS_FAULT,
    GATHER_SLOTS, GATHER_PAGE, GATHER_FLUSH, GATHER_FLUSH_FULL, GATHER_FLUSH_DIRTY, GATHER_FLUSH_VMA,
    GATHER_FLUSH_TABLES, GATHER_FLUSH_FINISH, GATHER_RESERVE_CLAMP, GATHER_LEAK, GATHER_OVERFLOW,
    TLB_NEXT_BATCH, TLB_GATHER_MMU, TLB_FINISH_MMU, TLB_REMOVE_TABLE, TLB_REMOVE_FOLIO_PAGES,
    RMAP_ADD, RMAP_REMOVE,
    FOLIO_MARK_DIRTY, FOLIO_MARK_ACCESSED,
    FOLIO_ALLOC, FOLIO_FREE, FOLIO_SPLIT, PTE_TABLE_ALLOC, PTE_TABLE_FREE,
    PTEP_CLEAR_FLUSH, DO_ANONYMOUS_PAGE, DO_WP_PAGE, SPLIT_PMD,
    SWAP_OUT, SWAP_IN, READAHEAD, WARN_EVENT, OP,
    FOLD, UNFOLD, CONT_INSTALL, COLLAPSE, HOOK_CALL,
) = range(58)  # fmt: skip
ARCH_EVENT = 64

NAMES = (
    "pte_read", "pte_write", "pte_xchg", "pte_cmpxchg", "pmd_read", "pmd_write",
    "fault", "fault_anon", "fault_zero", "fault_cow", "fault_reuse", "fault_file", "fault_swap", "fault_access",
    "fault_pmd", "fault_shmem", "fault_stack",
    "fault_around", "spurious_fault",
    "gather_slots", "gather_page", "gather_flush", "gather_flush_full", "gather_flush_dirty", "gather_flush_vma",
    "gather_flush_tables", "gather_flush_finish", "gather_reserve_clamp", "gather_leak", "gather_overflow",
    "tlb_next_batch", "tlb_gather_mmu", "tlb_finish_mmu", "tlb_remove_table", "__tlb_remove_folio_pages",
    "folio_add_rmap", "folio_remove_rmap_ptes",
    "folio_mark_dirty", "folio_mark_accessed",
    "folio_alloc", "folio_free", "folio_split", "pte_table_alloc", "pte_table_free",
    "ptep_clear_flush", "do_anonymous_page", "do_wp_page", "split_pmd",
    "swap_out", "swap_in", "readahead", "warn", "op",
    "fold", "unfold", "cont_install", "collapse", "hook_call",
)  # fmt: skip

# kinds of log rows
LOG_TLBI, LOG_DSB, LOG_ISB, LOG_PTE, LOG_FREE, LOG_OP, LOG_CALL, LOG_ARCH = 1, 2, 3, 4, 5, 6, 7, 16
LOG_TABLE, LOG_ASID, LOG_EXIT = 8, 9, 10
LOG_HW, LOG_TASK, LOG_VMA, LOG_FOLIO, LOG_FAULT, LOG_CONVERT, LOG_CONTENT = 11, 12, 13, 14, 15, 17, 18
# operands: TLBI event, address, pages | level hint << 32, ASID; DSB event; with cfg.log_ptes also
# PTE index, old, new; FREE frame, pages; TABLE slot, level, mm (level -1: freed); ASID mm, asid;
# EXIT mm (it never runs again); OP row, operation, task; HW as PTE, a change by the table walker; TASK task, its mm;
# VMA row | mm << 24 | inode << 44, start, end, vm_flags (end 0: gone); FOLIO frame, pages, order, inode (0: none);
# FAULT address, access, mm; CONVERT event (FOLD, UNFOLD, CONT_INSTALL), address, blocks; CONTENT event of
# core_mm/content.py | frames << 8, first frame, the other side


def count(event: int, n: int) -> int:
    """Add `n` to an event of the operation and hook under way."""
    counters[mach.scope + mach.hook * EVENTS + event] += n
    return 0


def write_log(kind: int, a: int, b: int, c: int, asid: int) -> int:
    """Append a row to the log, if it is kept."""
    return append_log(kind, a, b, c, asid) if cfg.log_capacity else 0


@cold
def append_log(kind: int, a: int, b: int, c: int, asid: int) -> int:
    """The row, if there is room; a full log is seen by its length."""
    row = mach.log_len
    if row < cfg.log_capacity:
        LOG.kind[row] = kind
        LOG.a[row] = a
        LOG.b[row] = b
        LOG.c[row] = c
        LOG.asid[row] = asid
        LOG.call[row] = mach.hook
    mach.log_len = row + 1
    return 0


@cold
def note(kind: int, a: int, b: int, c: int, asid: int) -> int:
    """A row of what no instruction does: operations, tables, frames, mappings."""
    return write_log(kind, a, b, c, asid)


def convert(event: int, addr: int, blocks: int) -> int:
    """Count FOLD, UNFOLD or CONT_INSTALL of the block at `addr`, for the log too."""
    if cfg.log_ptes:
        write_log(LOG_CONVERT, event, addr, blocks, 0)
    return count(event, blocks)


@cold
def WARN(code: int, value: int) -> int:
    """WARN_ON_ONCE(): count it, keep the first; the run reports it."""
    if mach.warned == 0:
        mach.warn_code = code
        mach.warn_value = value
    mach.warned += 1
    return count(WARN_EVENT, 1)


# codes of WARN()
(
    W_GATHER_RANGE, W_DOUBLE_FREE, W_BAD_PTE, W_REFCOUNT, W_MAPCOUNT, W_RSS, W_TABLE_LEAK, W_LOG, W_RMAP,
    W_BBM, W_STALE, W_FAULT_LOOP, W_LAZY_MMU, W_SPLIT,
) = range(1, 15)  # fmt: skip
