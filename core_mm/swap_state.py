"""The swap cache (mm/swap_state.c)."""

from __future__ import annotations

from core_mm.folio import folio_put
from core_mm.mm_types import PAGE, PG_SWAPCACHE, swap_cache


def delete_from_swap_cache(entry: int) -> int:
    """Forget the cached page of a slot that nobody refers to."""
    folio = swap_cache[entry]
    swap_cache[entry] = 0
    PAGE.flags[folio] &= ~PG_SWAPCACHE
    PAGE.private[folio] = 0
    return folio_put(folio)


def free_swap_cache(folio: int) -> int:
    """Before a page's last mapping goes: its slot need not be kept for it."""
    return 0
