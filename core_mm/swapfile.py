"""Swap slots and their reference counts (mm/swapfile.c, mm/internal.h:swap_pte_batch)."""

from __future__ import annotations

from core_mm.hookspecs import pte_none, pte_present, pte_swp_exclusive, pte_to_swp_entry, ptep_get
from core_mm.mm_types import mach, swap_cache, swap_map
from core_mm.swap_state import delete_from_swap_cache


def swap_duplicate(entry: int) -> int:
    """One more PTE refers to the slot."""
    swap_map[entry] += 1
    return 0


def swap_pte_batch(ptep: int, max_nr: int, pte: int) -> int:
    """How many entries from `ptep` on are consecutive slots with the same marks."""
    nr = 1
    while nr < max_nr:
        other = ptep_get(ptep + nr)
        if pte_none(other) or pte_present(other):
            break
        if pte_to_swp_entry(other) != pte_to_swp_entry(pte) + nr:
            break
        if pte_swp_exclusive(other) != pte_swp_exclusive(pte):
            break
        nr += 1
    return nr


def free_swap_and_cache_nr(entry: int, nr: int) -> int:
    """Drop a reference to each of `nr` slots; the last one frees the slot and what is cached of it."""
    for slot in range(entry, entry + nr):
        swap_map[slot] -= 1
        if swap_map[slot] == 0:
            if swap_cache[slot]:
                delete_from_swap_cache(slot)
            mach.swap_used -= 1
    return 0
