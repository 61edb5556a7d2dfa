"""Who maps a folio: a walk over VMAs, a cursor at a time (mm/rmap.c:rmap_walk).

    at = rmap_first(folio)
    while at:
        vma = rmap_vma(folio, at)
        …
        at = rmap_next(folio, at)

The cursor is an AVC for an anonymous folio, a VMA for one of a file.
"""

from __future__ import annotations

from core_mm.folio import folio_nr_pages, folio_test_anon
from core_mm.mm_types import ANON_VMA, AVC, INODE, PAGE, VMA, cfg


def rmap_first(folio: int) -> int:
    """The first VMA that may map the folio, as a cursor; 0 if there is none."""
    if folio_test_anon(folio):
        return ANON_VMA.first[PAGE.mapping[folio]]
    return INODE.i_mmap[PAGE.mapping[folio]]


def rmap_next(folio: int, at: int) -> int:
    """The next one, or 0."""
    if folio_test_anon(folio):
        after = AVC.next[at]
        return after if after != ANON_VMA.first[PAGE.mapping[folio]] else 0
    return VMA.i_mmap_next[at]


def rmap_vma(folio: int, at: int) -> int:
    """The VMA under the cursor."""
    return AVC.vma[at] if folio_test_anon(folio) else at


def vma_address_range(vma: int, folio: int) -> tuple[int, int]:
    """Where the VMA maps the folio's pages, [start, end); empty if it does not."""
    shift = (PAGE.index[folio] - VMA.vm_pgoff[vma]) << cfg.page_shift
    start = VMA.vm_start[vma] + shift
    end = start + (folio_nr_pages(folio) << cfg.page_shift)
    return max(start, VMA.vm_start[vma]), min(end, VMA.vm_end[vma])


def page_in_folio(pfn: int, folio: int) -> int:
    """Whether a frame belongs to the folio."""
    return folio <= pfn < folio + folio_nr_pages(folio)
