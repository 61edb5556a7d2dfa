"""How much memory large folios cover, with the keys of the kernel's tools/mm/thpmaps."""

from __future__ import annotations

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from mmarch.history.tables import Mapping, Tables

Ints = NDArray[np.int64]
SMALLEST = 2  # order from which on a folio is large


def coverage(tables: Tables, mapping: Mapping | None = None) -> Counter[str]:
    """Bytes by key, of one mapping or of all; `anon-rss` and `file-rss` are what percentages are of.

    Beyond thpmaps' keys, `TYPE-cont-pte-folded-SIZEkB` is what the architecture has folded into contiguous blocks.
    """
    found: Counter[str] = Counter()
    for kind, part in _parts(tables, mapping):
        pages, frames, orders, folded, huge = part
        page = 1 << tables.page_shift
        pmd = tables.size(1)
        found[f"{kind}-rss"] += (len(pages) + huge * (pmd // page)) * page
        if huge:
            found[f"{kind}-thp-pmd-aligned-{pmd >> 10}kB"] += huge * pmd
        for key, number in _folios(pages, frames, orders, page).items():
            found[f"{kind}-thp-pte-{key}"] += number * page
        block = tables.entries.block
        if block > 1:
            size = block * page >> 10
            found[f"{kind}-cont-pte-aligned-{size}kB"] += _blocks(pages, frames, orders, block) * page
            found[f"{kind}-cont-pte-folded-{size}kB"] += int(folded.sum()) * page
            if huge:
                found[f"{kind}-cont-pmd-aligned-{size}kB"] += huge * pmd
    return +found


Part = tuple[Ints, Ints, Ints, Ints, int]  # page numbers, frames, folio orders, folded or not; PMD leaves


def _parts(tables: Tables, mapping: Mapping | None) -> list[tuple[str, Part]]:
    """What is anonymous and what is of files."""
    inside = np.ones(len(tables), bool)
    if mapping:
        inside = (tables.addresses >= mapping.start) & (tables.addresses < mapping.end)
    raws = tables.raws[inside]
    here = np.array([tables.entries.mapped(raw) for raw in raws.tolist()], bool)
    raws, levels, addresses = raws[here], tables.levels[inside][here], tables.addresses[inside][here]
    numbers = (addresses >> tables.page_shift).tolist()
    frames = np.array(list(map(tables.entries.frame, raws.tolist(), numbers)), np.int64)
    orders, inodes = tables.folios
    of_file, small = inodes[frames] != 0, levels == 0
    folded = raws & tables.entries.cont_mask != 0
    pages = addresses >> tables.page_shift
    found = []
    for kind, chosen in (("anon", ~of_file), ("file", of_file)):
        one = chosen & small
        part = pages[one], frames[one], orders[frames[one]], folded[one], int((chosen & ~small).sum())
        found.append((kind, part))
    return found


def _folios(pages: Ints, frames: Ints, orders: Ints, page_size: int) -> Counter[str]:
    """Pages of large folios that are mapped whole, aligned or not, and in part."""
    found: Counter[str] = Counter()
    large = orders >= SMALLEST
    pages, frames, orders = pages[large], frames[large], orders[large]
    heads = frames & -(1 << orders)
    keys, first, numbers = np.unique(
        np.stack([heads, pages - frames], axis=1), axis=0, return_index=True, return_counts=True
    )
    for (head, delta), at, number in zip(keys.tolist(), first.tolist(), numbers.tolist(), strict=True):
        order = int(orders[at])
        if number < 1 << order:
            found["partial"] += number
        else:
            how = "unaligned" if (head + delta) & (1 << order) - 1 else "aligned"
            found[f"{how}-{(page_size << order) >> 10}kB"] += number
    return found


def _blocks(pages: Ints, frames: Ints, orders: Ints, block: int) -> int:
    """Pages of blocks that one folio fills, in place: what could be folded."""
    fit = ((pages - frames) % block == 0) & (1 << orders >= block)
    _, numbers = np.unique(
        np.stack([pages[fit] // block, pages[fit] - frames[fit]], 1), axis=0, return_counts=True
    )
    return int(numbers[numbers == block].sum())
