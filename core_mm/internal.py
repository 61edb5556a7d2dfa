"""Finding batches: PTEs that map consecutive pages of one folio (mm/internal.h; Linux 6.12, 7.3)."""

from __future__ import annotations

from core_mm.decl import always_inline
from core_mm.features import feature
from core_mm.folio import folio_nr_pages
from core_mm.hookspecs import (
    pte_advance_pfn,
    pte_batch_hint,
    pte_dirty,
    pte_mkclean,
    pte_mkdirty,
    pte_mkold,
    pte_mkwrite,
    pte_mkyoung,
    pte_pfn,
    pte_present,
    pte_same,
    pte_protnone,
    pte_write,
    pte_wrprotect,
    pte_young,
    ptep_get,
)

# as in 7.x: what a batch must agree in, and what of it is merged into the PTE returned
FPB_RESPECT_DIRTY, FPB_RESPECT_SOFT_DIRTY, FPB_RESPECT_WRITE = 1, 2, 4
FPB_MERGE_WRITE, FPB_MERGE_YOUNG_DIRTY = 8, 16


def batch_hint(ptep: int, pte: int) -> int:
    """The architecture's hint, on releases whose core-mm asks for it."""
    return pte_batch_hint(ptep, pte) if feature.batch_hint else 1


def pte_batch_clear_ignored(pte: int, flags: int) -> int:
    """`__pte_batch_clear_ignored`: the value that neighbours are compared by."""
    if not flags & FPB_RESPECT_DIRTY:
        pte = pte_mkclean(pte)
    if not flags & FPB_RESPECT_WRITE:
        pte = pte_wrprotect(pte)
    return pte_mkold(pte)


@always_inline
def folio_pte_batch_flags(folio: int, ptep: int, pte: int, max_nr: int, flags: int) -> tuple[int, int]:
    """How many PTEs from `ptep` on map consecutive pages of `folio`, and `pte` with what was merged.

    All other bits must be equal, those private to the architecture included, so
    that a batch ends where a contiguous block does not.
    """
    max_nr = min(max_nr, folio + folio_nr_pages(folio) - pte_pfn(pte))
    nr = batch_hint(ptep, pte)
    expected = pte_batch_clear_ignored(pte_advance_pfn(pte, nr), flags)
    while nr < max_nr:
        other = ptep_get(ptep + nr)
        if not pte_present(other) or not pte_same(pte_batch_clear_ignored(other, flags), expected):
            break
        pte = merge(pte, other, flags)
        step = batch_hint(ptep + nr, other)
        expected = pte_advance_pfn(expected, step)
        nr += step
    return min(nr, max_nr), pte


def merge(pte: int, other: int, flags: int) -> int:
    """Fold the state of another entry of the batch into the PTE returned."""
    if flags & FPB_MERGE_WRITE and pte_write(other):
        pte = pte_mkwrite(pte)
    if flags & FPB_MERGE_YOUNG_DIRTY:
        if pte_young(other):
            pte = pte_mkyoung(pte)
        if pte_dirty(other):
            pte = pte_mkdirty(pte)
    return pte


@always_inline
def folio_pte_batch(folio: int, ptep: int, pte: int, max_nr: int) -> int:
    """The length of the batch alone."""
    nr, pte = folio_pte_batch_flags(folio, ptep, pte, max_nr, 0)
    return nr


def folio_nr_pages_cont_mapped(folio: int, ptep: int, pte: int, max_nr: int) -> int:
    """The scan of December 2023, v3: next frame, equal PROT_NONE-ness; no hint, nothing else compared."""
    pfn = pte_pfn(pte)
    max_nr = min(max_nr, folio + folio_nr_pages(folio) - pfn)
    protnone = pte_protnone(pte)
    nr = 1
    while nr < max_nr:
        other = ptep_get(ptep + nr)
        if not pte_present(other) or pte_pfn(other) != pfn + nr or pte_protnone(other) != protnone:
            break
        nr += 1
    return nr
