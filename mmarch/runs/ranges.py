"""Leaves as ranges of addresses, like neighbours together."""

from __future__ import annotations

from collections.abc import Iterator

from mmarch.runs.entries import LEVELS, Entries
from mmarch.runs.leaves import Leaves
from mmarch.runs.result import Range


def ranges(leaves: Leaves, entries: Entries, page_shift: int, first: int, last: int) -> Iterator[Range]:
    """Of the leaves that begin in bytes [first, last)."""
    sizes = (1 << page_shift, entries.ptrs << page_shift)
    begin, stop = (leaves.pages << page_shift).searchsorted((first, last)).tolist()
    start, end, same = 0, 0, ("", "")
    found = (column[begin:stop].tolist() for column in leaves)
    for page, level, raw in zip(*found, strict=True):
        address, said = page << page_shift, (LEVELS[level], entries.attributes(raw))
        if said != same or address != end:
            if end:
                yield Range(start=start, end=end, level=same[0], text=same[1])
            start, same = address, said
        end = address + sizes[level]
    if end:
        yield Range(start=start, end=end, level=same[0], text=same[1])
