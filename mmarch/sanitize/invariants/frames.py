"""Frames: free or in use, and mapped and referred to as often as they say."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from core_mm.mm_types import PG_ANON, PG_BUDDY, PG_LARGE, PG_ORDER_SHIFT, PG_RESERVED, PG_SWAPCACHE
from core_mm.page_alloc import ON_PCP
from mmarch.sanitize.entries import WRITABLE, Numbers
from mmarch.sanitize.invariants.finding import Finding
from mmarch.sanitize.state import Flags, State

SHOWN = 3  # of a kind


def blocks(state: State) -> Iterator[Finding]:
    """Every frame is part of one free block or of one folio, and the free ones are counted."""
    cover = np.zeros(state.frames + 1, np.int64)
    _lay(cover, state.buddy, _free_pages(state))
    free = int(cover.cumsum()[1 : state.frames].sum())
    _lay(cover, state.used, state.pages_of(state.used))
    times = cover.cumsum()[1 : state.frames]
    for frame in (1 + np.flatnonzero(times != 1)[:SHOWN]).tolist():
        many = int(times[frame - 1])
        what = "is neither free nor in use" if many < 1 else f"is part of {many} folios or free blocks"
        yield Finding("frame", f"frame {frame:#x} {what}")
    told = state.page("head")
    for frame in np.flatnonzero((state.head != 0) & (told != state.head))[:SHOWN].tolist():
        yield Finding(
            "frame", f"frame {frame:#x} is part of folio {state.head[frame]:#x}, and says {told[frame]:#x}"
        )
    untouched = state.constant("memory_pages") + 1 - state.frames
    if free + untouched != state.get("free_pages"):
        yield Finding(
            "frame", f"mach.free_pages is {state.get('free_pages')}, {free + untouched} frames are free"
        )


def _free_pages(state: State) -> Numbers:
    flags = state.flags[state.buddy]
    return np.where(flags == ON_PCP, 1, 1 << np.minimum(flags >> PG_ORDER_SHIFT, 20))


def _lay(cover: Numbers, heads: Numbers, pages: Numbers) -> None:
    np.add.at(cover, heads, 1)
    np.add.at(cover, np.minimum(heads + pages, len(cover) - 1), -1)


def mapcounts(state: State) -> Iterator[Finding]:
    """Mapcounts are the number of entries that map a page, of a large folio also in all and by PMD."""
    counts, entries = state.page("mapcount"), state.mapped
    for frame in np.flatnonzero(counts != entries)[:SHOWN].tolist():
        yield Finding(
            "mapcount",
            f"frame {frame:#x} has mapcount {counts[frame]}, {entries[frame]} entries map it {state.whose(frame)}",
        )
    large = state.used[state.flags[state.used] & PG_LARGE != 0]
    private = state.page("private")
    total = _per_folio(state.mapped, large, state.pages_of(large)) + state.mapped_huge[large]
    for at in np.flatnonzero(private[large + 1] != total)[:SHOWN].tolist():
        folio = int(large[at])
        yield Finding(
            "mapcount",
            f"folio {folio:#x} counts {private[folio + 1]} mappings, {total[at]} entries map pages of it "
            f"{state.whose(folio)}",
        )
    huge = large[state.flags[large] >> PG_ORDER_SHIFT >= state.constant("pmd_order")]
    for folio in huge[private[huge + 2] != state.mapped_huge[huge]][:SHOWN].tolist():
        yield Finding(
            "mapcount",
            f"folio {folio:#x} counts {private[folio + 2]} PMD mappings, {state.mapped_huge[folio]} leaves map it",
        )


def _per_folio(values: Numbers, heads: Numbers, pages: Numbers) -> Numbers:
    """The sum of `values` over the pages of each folio."""
    sums = np.concatenate([[0], np.cumsum(values)])
    total: Numbers = sums[np.minimum(heads + pages, len(values))] - sums[heads]
    return total


def references(state: State) -> Iterator[Finding]:
    """A folio has a reference for each mapping, for each page in a cache, and for what else it is used as."""
    used, counts = state.used, state.page("refcount")
    pages = state.pages_of(used)
    mappings = _per_folio(state.mapped, used, pages) + state.mapped_huge[used]
    cached = np.where(_is_cached(state, used), pages, 0)
    own = np.isin(used, _kept(state)).astype(np.int64)
    expected = mappings + cached + own
    for at in np.flatnonzero(counts[used] != expected)[:SHOWN].tolist():
        folio = int(used[at])
        parts = f"{mappings[at]} mappings {state.whose(folio)}, {cached[at]} of a cache, {own[at]} of others"
        yield Finding(
            "refcount",
            f"folio {folio:#x} has {counts[folio]} references, {expected[at]} are accounted for: {parts}",
        )
    for frame in np.flatnonzero((state.mapped != 0) & (state.head == 0))[:SHOWN].tolist():
        yield Finding("refcount", f"frame {frame:#x} is free, and mapped {state.whose(frame)}")


def _is_cached(state: State, used: Numbers) -> Flags:
    """Whether a file or a swap slot holds each folio, by the page cache itself and by the mark of the swap cache."""
    in_file = np.zeros(state.frames, np.bool_)
    _, _, values = state.cached
    in_file[values[(values > 0) & (values < state.frames)]] = True
    held: Flags = in_file[used] | (state.flags[used] & PG_SWAPCACHE != 0)
    return held


def _kept(state: State) -> Numbers:
    """Frames with one reference of their own: zero pages, page tables, what fragmentation took."""
    reserved = np.flatnonzero((state.flags & PG_RESERVED != 0) & (state.flags & PG_BUDDY == 0))
    return np.concatenate([reserved, state.tables_of_frames, [state.get("huge_zero_page")]])


def exclusive(state: State) -> Iterator[Finding]:
    """An exclusive page is anonymous, mapped once, with no other entry in swap; what may be written to is exclusive."""
    marked = np.flatnonzero(state.page("anon_exclusive"))
    marked = marked[state.head[marked] != 0]
    heads = state.head[marked]
    for frame in marked[state.flags[heads] & PG_ANON == 0][:SHOWN].tolist():
        yield Finding("exclusive", f"frame {frame:#x} is exclusive, and not anonymous")
    times = state.mapped[marked] + state.mapped_huge[heads]
    for at in np.flatnonzero(times > 1)[:SHOWN].tolist():
        frame = int(marked[at])
        yield Finding(
            "exclusive", f"frame {frame:#x} is exclusive, and mapped {times[at]} times {state.whose(frame)}"
        )
    yield from _swapped(state, marked)
    yield from _writable(state)


def _swapped(state: State, marked: Numbers) -> Iterator[Finding]:
    heads = state.head[marked]
    saved = (state.flags[heads] & PG_SWAPCACHE != 0) & (state.mapped[marked] > 0)
    slots = state.page("private")[heads[saved]] + marked[saved] - heads[saved]
    references = state.array("swap_map")[slots]
    for at in np.flatnonzero(references)[:SHOWN].tolist():
        frame = int(marked[saved][at])
        yield Finding(
            "exclusive",
            f"frame {frame:#x} is exclusive, and {references[at]} entries refer to its slot {slots[at]:#x}",
        )


def _writable(state: State) -> Iterator[Finding]:
    leaves = state.leaves
    frames = np.minimum(leaves.read.frame, state.frames - 1)
    heads = state.head[frames]
    anonymous = state.mapping & (state.flags[heads] & PG_ANON != 0) & (leaves.read.bits & WRITABLE != 0)
    for at in np.flatnonzero(anonymous & (state.page("anon_exclusive")[frames] == 0))[:SHOWN].tolist():
        place = f"mm {leaves.mm[at]} page {int(leaves.page[at]):#x}"
        yield Finding(
            "exclusive", f"{place} may write to anonymous frame {int(frames[at]):#x}, which is not exclusive"
        )
