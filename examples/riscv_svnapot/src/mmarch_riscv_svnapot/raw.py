"""Entries as memory holds them, and single atomic accesses to them.

Linux 6.12: arch/riscv/include/asm/pgtable.h:pte_mknapot, ptep_set_wrprotect; asm/bitops.h.
"""

from __future__ import annotations

from core_mm.mm_types import cfg
from core_mm.rwonce import READ_ONCE, WRITE_ONCE, cmpxchg, xchg

from mmarch_riscv_svnapot.pgtable_bits import (
    IN_BLOCK,
    NAPOT,
    NAPOT_PFN_64K,
    NAPOT_PFN_MASK,
    PAGE_ACCESSED,
    PAGE_DIRTY,
    PAGE_PRESENT,
    PFN_SHIFT,
)

IMPOSSIBLE = -1  # every bit set, the reserved ones too: no entry is this


def is_napot(raw: int) -> int:
    """Whether an entry in memory belongs to a block."""
    return raw & (PAGE_PRESENT | NAPOT) == PAGE_PRESENT | NAPOT


def slot(ptep: int) -> int:
    """The place of an entry in its block."""
    return ptep & (cfg.cont_ptes - 1)


def decode(raw: int, ptep: int) -> int:
    """The value of the entry `raw` at `ptep`: sixteen equal entries, sixteen frames."""
    return plain_entry(raw, ptep) | IN_BLOCK if is_napot(raw) else raw


def plain_entry(raw: int, index: int) -> int:
    """The ordinary entry that the entry `raw` at `index` of its table stands for."""
    if not is_napot(raw):
        return raw
    return (raw & ~(NAPOT | NAPOT_PFN_MASK)) | (index << PFN_SHIFT & NAPOT_PFN_MASK)


def encode_block(pte: int) -> int:
    """What all sixteen entries of the block around `pte` hold (`pte_mknapot` of order 4)."""
    return (pte & ~(NAPOT_PFN_MASK | IN_BLOCK)) | NAPOT_PFN_64K | NAPOT


def set_plain(ptep: int, pte: int, nr: int) -> int:
    """Store `nr` ordinary entries with consecutive frames."""
    for i in range(nr):
        WRITE_ONCE(ptep + i, pte + (i << PFN_SHIFT))
    return 0


def set_block(ptep: int, pte: int) -> int:
    """Store one block; `pte` has any of its frames."""
    raw = encode_block(pte)
    for i in range(cfg.cont_ptes):
        WRITE_ONCE(ptep + i, raw)
    return 0


def get_and_clear(ptep: int) -> int:
    """Take one entry out; its value."""
    return decode(xchg(ptep, 0), ptep)


def atomic_and(ptep: int, mask: int) -> int:
    """AMOAND.D: one atomic update, counted as one; returns what was there.

    A comparison that cannot succeed loads without being counted, as the AMO's own load is not.
    """
    old = cmpxchg(ptep, IMPOSSIBLE, 0)
    cmpxchg(ptep, old, old & mask)
    return old


def atomic_or(ptep: int, bits: int) -> int:
    """AMOOR.D; returns what was there."""
    old = cmpxchg(ptep, IMPOSSIBLE, 0)
    cmpxchg(ptep, old, old | bits)
    return old


def clear_young(ptep: int) -> int:
    """`ptep_test_and_clear_young` of one entry: the AMO only if it is young."""
    if not READ_ONCE(ptep) & PAGE_ACCESSED:
        return 0
    return atomic_and(ptep, ~PAGE_ACCESSED) & PAGE_ACCESSED != 0


def merge(pte: int, other: int) -> int:
    """`pte` with the accessed and dirty state of `other` added."""
    return pte | (other & (PAGE_ACCESSED | PAGE_DIRTY))
