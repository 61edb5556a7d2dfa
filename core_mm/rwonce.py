"""Single accesses to a page-table entry; these and only these count reads and writes.

The load inside an xchg or cmpxchg is no read of its own, a failed cmpxchg
returns what it saw and costs nothing more (include/asm-generic/rwonce.h, atomics).
"""

from __future__ import annotations

from core_mm.decl import cold
from core_mm.mm_types import cfg, ptes
from core_mm.vmstat import (
    LOG_PTE,
    PMD_READ,
    PMD_WRITE,
    PTE_CMPXCHG,
    PTE_READ,
    PTE_WRITE,
    PTE_XCHG,
    count,
    write_log,
)


def store(ptep: int, entry: int) -> int:
    """Change one entry of any level, uncounted; the log sees it if it is asked to."""
    if cfg.log_ptes:
        log_store(ptep, entry)
    ptes[ptep] = entry
    return 0


@cold
def log_store(ptep: int, entry: int) -> int:
    """What a TLB oracle needs to know."""
    return write_log(LOG_PTE, ptep, ptes[ptep], entry, 0)


def READ_ONCE(ptep: int) -> int:
    """Load one entry."""
    count(PTE_READ, 1)
    return ptes[ptep]


def WRITE_ONCE(ptep: int, pte: int) -> int:
    """Store one entry."""
    count(PTE_WRITE, 1)
    return store(ptep, pte)


def xchg(ptep: int, pte: int) -> int:
    """Exchange one entry atomically; returns the old one."""
    count(PTE_WRITE, 1)
    count(PTE_XCHG, 1)
    old = ptes[ptep]
    store(ptep, pte)
    return old


def cmpxchg(ptep: int, old: int, new: int) -> int:
    """Store `new` if the entry is `old`; returns what was there."""
    now = ptes[ptep]
    if now == old:
        count(PTE_WRITE, 1)
        count(PTE_CMPXCHG, 1)
        store(ptep, new)
    return now


def PMD_READ_ONCE(pmdp: int) -> int:
    """Load one PMD entry."""
    count(PMD_READ, 1)
    return ptes[pmdp]


def PMD_WRITE_ONCE(pmdp: int, pmd: int) -> int:
    """Store one PMD entry."""
    count(PMD_WRITE, 1)
    return store(pmdp, pmd)


def PMD_xchg(pmdp: int, pmd: int) -> int:
    """Exchange one PMD entry; returns the old one."""
    count(PMD_WRITE, 1)
    old = ptes[pmdp]
    store(pmdp, pmd)
    return old
