"""Bits of an entry (arch/x86/include/asm/pgtable_types.h, pgtable_64.h; Linux 6.12, 7.3)."""

from __future__ import annotations

PAGE_PRESENT = 1 << 0
PAGE_RW = 1 << 1
PAGE_USER = 1 << 2
PAGE_PWT, PAGE_PCD = 1 << 3, 1 << 4
PAGE_ACCESSED = 1 << 5
PAGE_DIRTY = 1 << 6
PAGE_PSE = 1 << 7  # of a PMD: a leaf; of a PTE: PAT
PAGE_GLOBAL = 1 << 8
PAGE_PROTNONE = PAGE_GLOBAL  # of an entry that is not present
PAGE_SPECIAL = 1 << 9  # software
PAGE_SAVED_DIRTY = 1 << 58  # software: dirty, of an entry that is not writable
PAGE_SOFT = PAGE_SPECIAL | 1 << 10 | 1 << 11 | 1 << 57 | PAGE_SAVED_DIRTY
PAGE_PKEYS = 15 << 59
PAGE_NX = -(1 << 63)

PFN_SHIFT = 12
PFN_MASK = (1 << 52) - (1 << PFN_SHIFT)

# what pte_modify keeps; the rest is the new protection's
PAGE_CHG_MASK = PFN_MASK | PAGE_PCD | PAGE_PWT | PAGE_SOFT | PAGE_ACCESSED | PAGE_DIRTY

_USER = PAGE_PRESENT | PAGE_USER | PAGE_ACCESSED
PAGE_NONE = PAGE_ACCESSED | PAGE_PROTNONE
PAGE_READONLY = _USER | PAGE_NX
PAGE_READONLY_EXEC = _USER
PAGE_SHARED = _USER | PAGE_RW | PAGE_NX
PAGE_SHARED_EXEC = _USER | PAGE_RW
KERNPG_TABLE = PAGE_PRESENT | PAGE_RW | PAGE_USER | PAGE_ACCESSED | PAGE_DIRTY

# entries that are not present: type 63:59, inverted offset 58:9, bit 8 zero, bit 3 exclusive
SWP_EXCLUSIVE = PAGE_PWT
SWP_OFFSET_FIRST_BIT = 9
SWP_OFFSET_MASK = (1 << 59) - (1 << SWP_OFFSET_FIRST_BIT)
