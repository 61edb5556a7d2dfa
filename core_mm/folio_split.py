"""Splitting a large folio into pages (mm/huge_memory.c:split_huge_page_to_list)."""

from __future__ import annotations

from core_mm.mm_types import EBUSY


def split_folio(folio: int) -> int:
    """Split it. Returns 0 or -EBUSY."""
    return -EBUSY
