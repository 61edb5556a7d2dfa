"""Reclaim unmaps anonymous swap-backed folios in batches (posted in 2026; in no release).

A batch is cleared at once, its flush is deferred as one range, and it then becomes swap entries run by run: a
run is of pages that are all exclusive to the mm, or none of them. If a run gets no swap entries, it and what
comes after it is put back.
"""

from __future__ import annotations

from core_mm.folio import (
    PageAnonExclusive,
    folio_mapcount,
    folio_put_refs,
    folio_ref_count,
    folio_set_dirty,
    folio_test_anon,
    folio_test_dirty,
    folio_test_large,
    folio_test_swapbacked,
)
from core_mm.hookspecs import (
    arch_unmap_one,
    pte_advance_pfn,
    pte_dirty,
    pte_pfn,
    pte_swp_mkexclusive,
    ptep_get,
    set_ptes,
    swp_entry_to_pte,
)
from core_mm.internal import FPB_RESPECT_SOFT_DIRTY, FPB_RESPECT_WRITE, folio_pte_batch_flags
from core_mm.memory.rss import add_mm_counter, mm_counter
from core_mm.mm_types import MM_ANONPAGES, MM_SWAPENTS, PAGE, PG_SWAPBACKED, VMA, cfg
from core_mm.rmap import folio_remove_rmap_ptes, folio_try_share_anon_rmap_pte
from core_mm.series import Series, replaces
from core_mm.swapfile import folio_dup_swap, swap_free_nr
from core_mm.tlb_batched import try_to_unmap_flush
from core_mm.unmap import unhook_ptes

series = Series(
    name="anon_unmap_batch",
    title="mm/rmap: unmap anonymous swap-backed folios in batches",
    link="https://lkml.iu.edu/2604.1/04785.html",
    releases=("7.3",),
    requires=("file_unmap_batch",),
    changes={"young_set": "a batch that is put back after a failure is as young as any of its pages was"},
)


@replaces("core_mm.unmap.folio_unmap_pte_batch", digest="c044bb7fa9a0")
def folio_unmap_pte_batch(folio: int, ptep: int, pte: int, address: int, end: int) -> int:
    """How many entries go at once: of an anonymous folio one, if there is an arch_unmap_one for it."""
    if not folio_test_large(folio):
        return 1
    if folio_test_anon(folio) and folio_test_swapbacked(folio) and cfg.have_arch_unmap_one:
        return 1
    limit = (end - address) >> cfg.page_shift
    flags = FPB_RESPECT_WRITE | FPB_RESPECT_SOFT_DIRTY
    nr, pte = folio_pte_batch_flags(folio, ptep, pte, limit, flags)
    return nr


@replaces("core_mm.unmap.try_to_unmap_ptes", digest="117ba8b7d499")
def try_to_unmap_ptes(folio: int, vma: int, address: int, ptep: int, end: int) -> int:
    """A batch; how many, 0 if the folio must stay mapped."""
    pte = ptep_get(ptep)
    page = pte_pfn(pte)
    nr = folio_unmap_pte_batch(folio, ptep, pte, address, end)
    pte = unhook_ptes(vma, address, ptep, nr)
    if pte_dirty(pte):
        folio_set_dirty(folio)
    done = nr
    if folio_test_anon(folio):
        done = ttu_anon_folio(folio, vma, address, ptep, pte, page, nr)
    else:
        add_mm_counter(VMA.vm_mm[vma], mm_counter(folio), -nr)
    if done:
        folio_remove_rmap_ptes(folio, page, done, vma)
        folio_put_refs(folio, done)
    return nr if done == nr else 0


def ttu_anon_folio(folio: int, vma: int, address: int, ptep: int, pte: int, page: int, nr: int) -> int:
    """Replace a batch that was cleared; how many entries are not put back."""
    if not folio_test_swapbacked(folio):
        return discard_lazyfree(folio, vma, address, ptep, pte, nr)
    done = 0
    while done < nr:
        run = page_anon_exclusive_sub_batch(page + done, nr - done)
        at = address + (done << cfg.page_shift)
        if not set_swap_ptes(folio, vma, at, ptep + done, pte_advance_pfn(pte, done), page + done, run):
            try_to_unmap_flush()  # what is put back may be folded, which nothing of another size may outlive
            set_ptes(VMA.vm_mm[vma], at, ptep + done, pte_advance_pfn(pte, done), nr - done)
            return done
        done += run
    return done


def discard_lazyfree(folio: int, vma: int, address: int, ptep: int, pte: int, nr: int) -> int:
    """Nothing takes the place of pages that MADV_FREE gave up, unless somebody wrote to them since."""
    mm = VMA.vm_mm[vma]
    if folio_ref_count(folio) == 1 + folio_mapcount(folio) and not folio_test_dirty(folio):
        add_mm_counter(mm, MM_ANONPAGES, -nr)
        return nr
    set_ptes(mm, address, ptep, pte, nr)
    PAGE.flags[folio] |= PG_SWAPBACKED
    return 0


def page_anon_exclusive_sub_batch(page: int, nr: int) -> int:
    """How many of `nr` pages from `page` on are as exclusive as the first."""
    exclusive = PageAnonExclusive(page)
    run = 1
    while run < nr and PageAnonExclusive(page + run) == exclusive:
        run += 1
    return run


def set_swap_ptes(folio: int, vma: int, address: int, ptep: int, pte: int, page: int, nr: int) -> int:
    """Put swap entries in place of a run; 0, and nothing is done, if there can be none."""
    mm = VMA.vm_mm[vma]
    entry = PAGE.private[folio] + page - folio
    if folio_dup_swap(folio, page, nr):
        return 0
    if cfg.have_arch_unmap_one and arch_unmap_one(mm, vma, address, pte) < 0:
        swap_free_nr(entry, nr)
        return 0
    exclusive = PageAnonExclusive(page)
    for i in range(nr):
        swap_pte = swp_entry_to_pte(entry + i)
        if exclusive:
            folio_try_share_anon_rmap_pte(folio, page + i)
            swap_pte = pte_swp_mkexclusive(swap_pte)
        set_ptes(mm, address + (i << cfg.page_shift), ptep + i, swap_pte, 1)
    add_mm_counter(mm, MM_ANONPAGES, -nr)
    add_mm_counter(mm, MM_SWAPENTS, nr)
    return 1
