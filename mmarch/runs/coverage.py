"""How much memory large folios cover, with the keys of the kernel's tools/mm/thpmaps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mmarch.runs.entries import Entries, runs
from mmarch.runs.leaves import Leaves

Ints = NDArray[np.int64]
SMALLEST = 2  # order from which on a folio is large


class Folios(NamedTuple):
    """Of each leaf: the order of the folio that its frame is in, and whether the folio is a file's."""

    orders: Ints
    of_file: NDArray[np.bool_]


def covered(
    leaves: Leaves, entries: Entries, page_shift: int, folios: Callable[[Ints], Folios]
) -> Counter[str]:
    """Bytes by key; `anon-rss` and `file-rss` are what percentages are of. `folios` is asked about frames.

    Beyond thpmaps' keys, `TYPE-cont-pte-folded-SIZEkB` is what the architecture has folded into contiguous blocks.
    """
    found: Counter[str] = Counter()
    here = leaves.where(entries.resident(leaves.raws))
    frames = entries.frames(here.raws, here.pages)
    orders, of_file = folios(frames)
    small = here.levels == 0
    for kind, chosen in (("anon", ~of_file), ("file", of_file)):
        one = chosen & small
        part = here.where(one)
        folded = int(entries.folded(part.raws).sum())
        huge = int((chosen & ~small).sum())
        for key, pages in _keys(
            part.pages, frames[one], orders[one], folded, huge, entries, page_shift
        ).items():
            found[f"{kind}-{key}"] += pages << page_shift
    return +found


def _keys(
    pages: Ints, frames: Ints, orders: Ints, folded: int, huge: int, entries: Entries, page_shift: int
) -> Counter[str]:
    """Pages by key, of anonymous memory or of files; `huge` are PMD leaves."""
    found: Counter[str] = Counter(rss=len(pages) + huge * entries.ptrs)
    found[f"thp-pmd-aligned-{entries.ptrs << page_shift >> 10}kB"] = huge * entries.ptrs
    for key, number in _folios(pages, frames, orders, 1 << page_shift).items():
        found[f"thp-pte-{key}"] = number
    block = entries.block
    if block > 1:
        size = block << page_shift >> 10
        found[f"cont-pte-aligned-{size}kB"] = _blocks(pages, frames, orders, block)
        found[f"cont-pte-folded-{size}kB"] = folded
        found[f"cont-pmd-aligned-{size}kB"] = huge * entries.ptrs
    return found


def _folios(pages: Ints, frames: Ints, orders: Ints, page_size: int) -> Counter[str]:
    """Pages of large folios that are mapped whole, aligned or not, and in part.

    Pages of a folio that lie as its frames do are neighbours among the leaves unless some are missing.
    """
    large = orders >= SMALLEST
    pages, frames, orders = pages[large], frames[large], orders[large]
    starts, lengths = runs(frames & -(1 << orders), pages - frames)
    orders = orders[starts]
    whole = lengths == 1 << orders
    aligned = pages[starts] & (1 << orders) - 1 == 0
    found = Counter(partial=int(lengths[~whole].sum()))
    for how, chosen in (("aligned", whole & aligned), ("unaligned", whole & ~aligned)):
        for order, number in enumerate(np.bincount(orders[chosen]).tolist()):
            found[f"{how}-{(page_size << order) >> 10}kB"] = number << order
    return found


def _blocks(pages: Ints, frames: Ints, orders: Ints, block: int) -> int:
    """Pages of blocks that one folio fills, in place: what could be folded."""
    fit = ((pages - frames) % block == 0) & (1 << orders >= block)
    _, lengths = runs(pages[fit] // block, pages[fit] - frames[fit])
    return int(lengths[lengths == block].sum())
