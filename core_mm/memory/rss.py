"""Resident set sizes (include/linux/mm.h:add_mm_counter, mm_counter)."""

from __future__ import annotations

from core_mm.folio import folio_test_anon, folio_test_swapbacked
from core_mm.mm_types import MM, MM_ANONPAGES, MM_FILEPAGES, MM_SHMEMPAGES


def mm_counter(folio: int) -> int:
    """Which of the counters a folio's pages belong to."""
    if folio_test_anon(folio):
        return MM_ANONPAGES
    return MM_SHMEMPAGES if folio_test_swapbacked(folio) else MM_FILEPAGES


def add_mm_counter(mm: int, member: int, value: int) -> int:
    """Add pages to one of an mm's counters."""
    if member == MM_ANONPAGES:
        MM.rss_anon[mm] += value
    elif member == MM_FILEPAGES:
        MM.rss_file[mm] += value
    elif member == MM_SHMEMPAGES:
        MM.rss_shmem[mm] += value
    else:
        MM.rss_swap[mm] += value
    return 0
