"""Migration entries: what stands in a page table while a page is moved or split (include/linux/swapops.h).

A migration entry carries the page's frame, and above it whether it was writable,
exclusive, young and dirty.  No swap slot is as large.
"""

from __future__ import annotations

from core_mm.hookspecs import pte_to_swp_entry, swp_entry_to_pte

DIRTY, YOUNG, EXCLUSIVE, WRITABLE, MIGRATION = 1 << 41, 1 << 42, 1 << 43, 1 << 44, 1 << 45
FRAME = DIRTY - 1
SWP_ENTRY_BITS = 46  # of the largest entry that swp_entry_to_pte gets


def make_migration_pte(page: int, write: int, exclusive: int, young: int, dirty: int) -> int:
    """The descriptor that stands for `page` meanwhile."""
    entry = MIGRATION | page
    if write:
        entry |= WRITABLE
    if exclusive:
        entry |= EXCLUSIVE
    if young:
        entry |= YOUNG
    if dirty:
        entry |= DIRTY
    return swp_entry_to_pte(entry)


def migration_entry(pte: int) -> int:
    """The migration entry in a non-present descriptor, 0 if it is none."""
    entry = pte_to_swp_entry(pte)
    return entry if entry & MIGRATION else 0
