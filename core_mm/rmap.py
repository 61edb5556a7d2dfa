"""Reverse mapping: mapcounts, exclusivity, and who maps a folio (mm/rmap.c, include/linux/rmap.h).

`PAGE.mapcount` is 0 for a page that no PTE maps (the kernel starts at -1).  The mappings of a
large folio are counted in `private` of its second page, PMD mappings also in that of its third.
Since Linux 6.15 a large folio knows whether one mm owns all its mappings: two (mm, count) pairs
in `mapping` and `refcount` of pages 1 and 2, and a "shared" mark in `index` of page 1.
"""

from __future__ import annotations

from core_mm.features import feature
from core_mm.decl import always_inline
from core_mm.anon_vma import (
    anon_vma_clone,
    anon_vma_fork,
    anon_vma_prepare,
    anon_vma_update_vma,
    unlink_anon_vmas,
)
from core_mm.folio import (
    folio_entire_mapcount,
    folio_mapcount,
    folio_nr_pages,
    folio_test_large,
    folio_test_pmd_mappable,
)
from core_mm.mm_types import ANON_VMA, PAGE, PG_ANON, PG_SWAPBACKED, VMA, cfg
from core_mm.vmstat import RMAP_ADD, RMAP_REMOVE, W_MAPCOUNT, WARN, count

__all__ = ["anon_vma_clone", "anon_vma_fork", "anon_vma_prepare", "anon_vma_update_vma", "unlink_anon_vmas"]


def linear_page_index(vma: int, address: int) -> int:
    """The offset, in pages, of an address in what the VMA maps."""
    return VMA.vm_pgoff[vma] + ((address - VMA.vm_start[vma]) >> cfg.page_shift)


# --- mapcounts of a large folio ---


def add_large_mapcount(folio: int, nr: int, vma: int) -> int:
    """`nr` more mappings by the mm of `vma` (folio_add_large_mapcount)."""
    total = PAGE.private[folio + 1] + nr
    PAGE.private[folio + 1] = total
    if folio_nr_pages(folio) < 4:
        return 0
    mm = VMA.vm_mm[vma]
    if not mm:
        PAGE.index[folio + 1] = 1
    elif PAGE.mapping[folio + 1] == mm:
        PAGE.refcount[folio + 1] += nr
    elif PAGE.mapping[folio + 2] == mm:
        PAGE.refcount[folio + 2] += nr
    elif not PAGE.mapping[folio + 1]:
        PAGE.mapping[folio + 1] = mm
        PAGE.refcount[folio + 1] = nr
        if total != nr:
            PAGE.index[folio + 1] = 1
    else:
        if not PAGE.mapping[folio + 2]:
            PAGE.mapping[folio + 2] = mm
            PAGE.refcount[folio + 2] = nr
        PAGE.index[folio + 1] = 1
    return 0


def sub_large_mapcount(folio: int, nr: int, vma: int) -> int:
    """`nr` mappings fewer (folio_sub_large_mapcount)."""
    total = PAGE.private[folio + 1] - nr
    PAGE.private[folio + 1] = total
    if total < 0:
        WARN(W_MAPCOUNT, folio)
    if folio_nr_pages(folio) < 4:
        return 0
    mm = VMA.vm_mm[vma]
    for slot in range(folio + 1, folio + 3):
        if PAGE.mapping[slot] == mm:
            PAGE.refcount[slot] -= nr
            if PAGE.refcount[slot] > 0:
                return 0
            PAGE.refcount[slot] = 0
            PAGE.mapping[slot] = 0
            break
    if PAGE.refcount[folio + 1] == total or PAGE.refcount[folio + 2] == total:
        PAGE.index[folio + 1] = 0
    return 0


def folio_maybe_mapped_shared(folio: int) -> int:
    """Whether more than one mm may map the folio; before 6.15 a guess (folio_likely_mapped_shared)."""
    if not folio_test_large(folio):
        return PAGE.mapcount[folio] > 1
    if feature.large_folio_owners:
        return PAGE.index[folio + 1]
    total = folio_mapcount(folio)
    if total <= 1:
        return 0
    if folio_entire_mapcount(folio) or total > folio_nr_pages(folio):
        return 1
    return PAGE.mapcount[folio] > 1


def add_ptes(folio: int, page: int, nr: int, vma: int) -> int:
    """Count `nr` PTE mappings from `page` on."""
    count(RMAP_ADD, 1)
    for i in range(page, page + nr):
        PAGE.mapcount[i] += 1
    if folio_test_large(folio):
        add_large_mapcount(folio, nr, vma)
    return 0


# --- anonymous folios ---


def folio_set_anon(folio: int, vma: int, address: int, exclusive: int) -> int:
    """The folio becomes an anonymous one of this VMA, or of the oldest that it comes from (__folio_set_anon)."""
    PAGE.flags[folio] |= PG_ANON | PG_SWAPBACKED
    anon_vma = VMA.anon_vma[vma]
    PAGE.mapping[folio] = anon_vma if exclusive else ANON_VMA.root[anon_vma]
    PAGE.index[folio] = linear_page_index(vma, address)
    return 0


def folio_move_anon_rmap(folio: int, vma: int) -> int:
    """The folio turned out to belong to this VMA alone."""
    PAGE.mapping[folio] = VMA.anon_vma[vma]
    return 0


def folio_add_new_anon_rmap(folio: int, vma: int, address: int, exclusive: int) -> int:
    """First mapping of a new folio, by PTEs, or by a PMD where its size allows that."""
    folio_set_anon(folio, vma, address, exclusive)
    count(RMAP_ADD, 1)
    if not folio_test_large(folio):
        PAGE.mapcount[folio] = 1
        if exclusive:
            PAGE.anon_exclusive[folio] = 1
        return 0
    if folio_test_pmd_mappable(folio):
        PAGE.private[folio + 2] = 1
        if exclusive:
            PAGE.anon_exclusive[folio] = 1
        return add_large_mapcount(folio, 1, vma)
    nr = folio_nr_pages(folio)
    for page in range(folio, folio + nr):
        PAGE.mapcount[page] = 1
        PAGE.anon_exclusive[page] = exclusive
    return add_large_mapcount(folio, nr, vma)


def folio_add_anon_rmap_ptes(folio: int, page: int, nr: int, vma: int, address: int, exclusive: int) -> int:
    """`nr` further PTEs map an anonymous folio."""
    if exclusive:
        for i in range(page, page + nr):
            PAGE.anon_exclusive[i] = 1
    return add_ptes(folio, page, nr, vma)


@always_inline
def folio_try_dup_anon_rmap_ptes(folio: int, page: int, nr: int, src_vma: int, dst_vma: int = 0) -> int:
    """fork: the child maps `nr` pages too, none is exclusive now; 0 (no page is pinned)."""
    count(RMAP_ADD, 1)
    for i in range(page, page + nr):
        PAGE.anon_exclusive[i] = 0
        PAGE.mapcount[i] += 1
    return add_large_mapcount(folio, nr, dst_vma) if folio_test_large(folio) else 0


def folio_try_dup_anon_rmap_pmd(folio: int, src_vma: int, dst_vma: int = 0) -> int:
    """The same of a PMD leaf, which maps a folio whole."""
    PAGE.anon_exclusive[folio] = 0
    return folio_add_file_rmap_pmd(folio, dst_vma)


def folio_try_share_anon_rmap_pte(folio: int, page: int) -> int:
    """The page is about to leave its page table: it is exclusive no more."""
    PAGE.anon_exclusive[page] = 0
    return 0


# --- file folios ---


def folio_add_file_rmap_ptes(folio: int, page: int, nr: int, vma: int) -> int:
    """`nr` PTEs map a page-cache folio."""
    return add_ptes(folio, page, nr, vma)


def folio_dup_file_rmap_ptes(folio: int, page: int, nr: int, dst_vma: int = 0) -> int:
    """fork: the child maps them too."""
    return add_ptes(folio, page, nr, dst_vma)


def folio_add_file_rmap_pmd(folio: int, vma: int) -> int:
    """A PMD leaf maps a folio."""
    count(RMAP_ADD, 1)
    PAGE.private[folio + 2] += 1
    return add_large_mapcount(folio, 1, vma)


# --- removal ---


@always_inline
def folio_remove_rmap_ptes(folio: int, page: int, nr: int, vma: int) -> int:
    """`nr` PTEs of one batch are gone."""
    count(RMAP_REMOVE, 1)
    for i in range(page, page + nr):
        PAGE.mapcount[i] -= 1
        if PAGE.mapcount[i] < 0:
            WARN(W_MAPCOUNT, i)
    if folio_test_large(folio):
        sub_large_mapcount(folio, nr, vma)
    return 0


def folio_remove_rmap_pmd(folio: int, vma: int) -> int:
    """A PMD leaf is gone."""
    PAGE.private[folio + 2] -= 1
    return sub_large_mapcount(folio, 1, vma)
