"""Tier algebra: every swap entry that core-mm makes, of slots and of migration, comes back from its descriptor."""

from __future__ import annotations

from collections.abc import Iterator

from core_mm.swapops import MIGRATION, SWP_ENTRY_BITS, YOUNG
from mmarch.check.bench import Bench
from mmarch.check.context import Context
from mmarch.check.outcome import CheckFailed
from mmarch.check.registry import check

RANDOM = 100  # entries
SLOT_BITS = 24  # of the largest slot that random ones have


def entries(context: Context) -> Iterator[int]:
    """Slots as core-mm gives them out, each single bit, all of them, and slot 0."""
    rng = context.rng("swap")
    yield 0
    yield 1
    for bit in range(1, SWP_ENTRY_BITS):
        yield 1 << bit
    yield (1 << SWP_ENTRY_BITS) - 1
    for _ in range(max(16, int(RANDOM * context.share))):
        yield rng.randrange(1 << SLOT_BITS)


def forgotten(entry: int) -> int:
    """An entry that may come back instead: young of a page under migration is a hint, and arm64 of 4K pages loses it.

    With LPA2 it lies in the bit of PTE_CONT, which contpte's set_ptes() clears.
    """
    return entry & ~YOUNG if entry & MIGRATION else entry


def encoded(bench: Bench, entry: int) -> str:
    """What is wrong with the descriptor of a swap entry, "" if nothing."""
    h = bench.hook
    pte = h.swp_entry_to_pte(entry)
    what = f"swp_entry_to_pte({entry:#x}) is {bench.raw(pte)}"
    if h.pte_none(pte):
        return f"{what}, which pte_none() takes for an empty entry: the page would be lost"
    if h.pte_present(pte):
        return f"{what}, which is present"
    back = h.pte_to_swp_entry(pte)
    if back not in (entry, forgotten(entry)):
        lost = (back ^ entry).bit_length() - 1
        return (
            f"{what}, and pte_to_swp_entry() gives {back:#x} back: bit {lost} of {SWP_ENTRY_BITS} that "
            "core-mm uses has no place in it"
        )
    return exclusive(bench, entry, pte)


def exclusive(bench: Bench, entry: int, pte: int) -> str:
    """The same with the exclusive mark on it."""
    h = bench.hook
    marked = h.pte_swp_mkexclusive(pte)
    what = f"pte_swp_mkexclusive of swap entry {entry:#x} is {bench.raw(marked)}"
    if h.pte_present(marked) or h.pte_none(marked):
        return f"{what}, which is {'present' if h.pte_present(marked) else 'none'}"
    said = h.pte_swp_exclusive(pte), h.pte_swp_exclusive(marked)
    if said[0] or not said[1]:
        return f"{what}; pte_swp_exclusive() says {said[0]} before and {said[1]} after"
    if h.pte_to_swp_entry(marked) not in (entry, forgotten(entry)):
        return f"{what}, and pte_to_swp_entry() gives {h.pte_to_swp_entry(marked):#x} back"
    if h.pte_swp_clear_exclusive(marked) != pte:
        return f"{what}; pte_swp_clear_exclusive() leaves {bench.raw(h.pte_swp_clear_exclusive(marked))}"
    return ""


@check(
    "algebra.swap",
    hooks=("swp_entry_to_pte", "pte_to_swp_entry", "pte_swp_mkexclusive", "pte_swp_clear_exclusive"),
    source="mm/debug_vm_pgtable.c:pte_swap_exclusive_tests; include/linux/swapops.h",
)
def swap(context: Context) -> None:
    """A swap entry of any width that core-mm uses, slot 0 too, comes back, and is neither none nor present."""
    for variant in context.variants():
        bench = variant.bench()
        for entry in entries(variant):
            if wrong := encoded(bench, entry):
                raise CheckFailed(f"{wrong}{variant.where}")
