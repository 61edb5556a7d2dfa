"""Bits of an entry (arch/riscv/include/asm/pgtable-bits.h, pgtable-64.h; Linux 6.12)."""

from __future__ import annotations

PAGE_PRESENT = 1 << 0  # V
PAGE_READ, PAGE_WRITE, PAGE_EXEC = 1 << 1, 1 << 2, 1 << 3
PAGE_LEAF = PAGE_READ | PAGE_WRITE | PAGE_EXEC
PAGE_USER = 1 << 4
PAGE_GLOBAL = 1 << 5
PAGE_PROT_NONE = PAGE_GLOBAL  # of an entry that is not valid
PAGE_ACCESSED = 1 << 6
PAGE_DIRTY = 1 << 7
PAGE_SPECIAL = 1 << 8  # RSW
PFN_SHIFT = 10
PFN_MASK = (1 << 54) - (1 << PFN_SHIFT)
MTMASK = 3 << 61  # Svpbmt
NAPOT = -(1 << 63)

# Bit 54 is reserved: no entry in memory has it. A value that `ptep_get` returns has it to say that the
# entry is one of a NAPOT block, with its own frame where memory holds the block's encoding.
IN_BLOCK = 1 << 54

NAPOT_PFN_MASK = 15 << PFN_SHIFT
NAPOT_PFN_64K = 8 << PFN_SHIFT  # ppn[3:0] = 1000: naturally aligned, 2**4 pages

ACCESS_FLAGS = PAGE_ACCESSED | PAGE_DIRTY | PAGE_WRITE
PROT_MASK = PAGE_PRESENT | PAGE_READ | PAGE_WRITE | PAGE_EXEC | PAGE_USER | PAGE_GLOBAL | MTMASK

_BASE = PAGE_PRESENT | PAGE_ACCESSED | PAGE_USER
PAGE_NONE = PAGE_PROT_NONE | PAGE_READ
PAGE_READONLY = _BASE | PAGE_READ
PAGE_SHARED = _BASE | PAGE_READ | PAGE_WRITE
PAGE_EXECONLY = _BASE | PAGE_EXEC
PAGE_READ_EXEC = _BASE | PAGE_READ | PAGE_EXEC
PAGE_SHARED_EXEC = PAGE_SHARED | PAGE_EXEC

# entries that are not present: bits 3:0 and 5 zero, 6 exclusive, 11:7 type, offset from 12
SWP_EXCLUSIVE = 1 << 6
SWP_TYPE_SHIFT, SWP_OFFSET_SHIFT = 7, 12
SWP_TYPE = 1 << SWP_TYPE_SHIFT  # one swap area, of a type that keeps offset 0 apart from none
