"""A series that uses each means there is: a replacement, a hook of its own, implementations, events.

Lazily freed folios are unmapped one page at a time, as before Linux 6.16, and a hook is told of each.
"""

from __future__ import annotations

from core_mm.features import feature
from core_mm.folio import folio_test_anon, folio_test_large, folio_test_swapbacked
from core_mm.internal import FPB_RESPECT_SOFT_DIRTY, FPB_RESPECT_WRITE, folio_pte_batch_flags
from core_mm.mm_types import cfg
from core_mm.series import Events, Series, hookspec, implements, replaces
from core_mm.vmstat import count


class one_by_one_event(Events):
    """What it counts."""

    told: int
    told_arm64: int


series = Series(
    name="one_by_one",
    title="mm/rmap: unmap lazily freed folios one page at a time",
    link="https://example.org/one-by-one",
    releases=("7.2", "7.3"),
    requires=("file_unmap_batch",),
    events=one_by_one_event,
)


@hookspec
def arch_lazyfree_page(address: int, ptep: int) -> int:
    """A page that MADV_FREE gave up is about to be unmapped. Default: count it."""
    count(one_by_one_event.told, 1)
    return 0


@implements("arch_lazyfree_page", "arm64")
def arm64_lazyfree_page(address: int, ptep: int) -> int:
    """The same, under another name."""
    count(one_by_one_event.told_arm64, 1)
    return 0


@implements("pte_batch_hint", "arm64")
def arm64_pte_batch_hint(ptep: int, pte: int) -> int:
    """No hint: core-mm reads every entry."""
    return 1


@replaces("core_mm.unmap.folio_unmap_pte_batch", digest="c044bb7fa9a0")
def folio_unmap_pte_batch(folio: int, ptep: int, pte: int, address: int, end: int) -> int:
    """How many entries go at once: of file folios alone more than one."""
    if not feature.file_unmap_batch or not folio_test_large(folio):
        return 1
    if folio_test_anon(folio):
        if not folio_test_swapbacked(folio):
            arch_lazyfree_page(address, ptep)
        return 1
    limit = (end - address) >> cfg.page_shift
    nr, pte = folio_pte_batch_flags(folio, ptep, pte, limit, FPB_RESPECT_WRITE | FPB_RESPECT_SOFT_DIRTY)
    return nr
