"""Three blocks of page-table entries in the states that batches meet: folded, unfolded, mixed, with A/D anywhere."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from core_mm.uapi import ACCESS_READ, ACCESS_WRITE
from mmarch.check.bench import Bench, View
from mmarch.check.context import Context

BLOCKS = 3
MOST = 1200  # batches of a share


@dataclass(frozen=True)
class Layout:
    """A filled table: its raw entries, and what core-mm sees in the first three blocks and a little beyond.

    steps  how it came about, for the report
    folio  the first frame of the folio; entry 0 maps it, or the one after it where nothing may fold
    """

    name: str
    raw: NDArray[np.int64]
    views: list[View]
    steps: tuple[str, ...]
    folio: int

    def restore(self, bench: Bench) -> None:
        """Put the table back into this state."""
        bench.table[:] = self.raw


Fill = Callable[[Bench, random.Random, int, str, list[str]], None]


def folded(bench: Bench, rng: random.Random, pfn: int, perm: str, steps: list[str]) -> None:
    """One set_ptes over everything."""
    nr = BLOCKS * bench.block
    bench.set(0, bench.value(pfn, perm, 0), nr)
    steps.append(f"set_ptes(0, pfn {pfn:#x} {perm} old, nr={nr})")


def unfolded(bench: Bench, rng: random.Random, pfn: int, perm: str, steps: list[str]) -> None:
    """Frames out of step with addresses, so that no block can form."""
    nr = BLOCKS * bench.block
    bench.set(0, bench.value(pfn + 1, perm), nr)
    steps.append(f"set_ptes(0, pfn {pfn + 1:#x} {perm}, nr={nr})")


def mixed(bench: Bench, rng: random.Random, pfn: int, perm: str, steps: list[str]) -> None:
    """A whole block, a block in two halves, a block entry by entry with A/D of their own."""
    block = bench.block
    bench.set(0, bench.value(pfn, perm), block)
    for half in (block, block + block // 2):
        bench.set(half, bench.value(pfn + half, perm), block // 2)
    for index in range(2 * block, 3 * block):
        young, dirty = rng.randrange(2), rng.randrange(2) if perm == "w" else 0
        bench.set(index, bench.value(pfn + index, perm, young, dirty))
    steps += [
        f"set_ptes(0, pfn {pfn:#x} {perm}, nr={block})", f"set_ptes({block}, …, nr={block // 2}) twice",
        f"set_ptes of {2 * block} … {3 * block - 1} one by one, A/D at random",
    ]  # fmt: skip


def singles(bench: Bench, rng: random.Random, pfn: int, perm: str, steps: list[str]) -> None:
    """Everything entry by entry, A/D at random, the last one missing so that its block is open."""
    for index in range(BLOCKS * bench.block - 1):
        young, dirty = rng.randrange(2), rng.randrange(2) if perm == "w" else 0
        bench.set(index, bench.value(pfn + index, perm, young, dirty))
    bench.set(BLOCKS * bench.block - 1, bench.value(pfn + BLOCKS * bench.block - 1, perm, 0, 0))
    steps.append("set_ptes of every entry one by one, A/D at random")


FILLS: dict[str, Fill] = {"folded": folded, "unfolded": unfolded, "mixed": mixed, "singles": singles}


def make(bench: Bench, name: str, rng: random.Random, folio: int, perm: str = "w") -> Layout:
    """Fill the table and let the hardware touch a few entries."""
    bench.clear_table()
    steps: list[str] = []
    FILLS[name](bench, rng, folio, perm, steps)
    size = BLOCKS * bench.block
    guards(bench, folio, size)
    for _ in range(rng.randrange(0, 2 * BLOCKS)):
        index = rng.randrange(size)
        access = rng.choice((ACCESS_READ, ACCESS_WRITE))
        if bench.touch(index, access):
            steps.append(f"the hardware {'writes' if access else 'reads'} through {index}")
    return Layout(name, bench.table.copy(), bench.looks(0, size + 2), tuple(steps), folio)


def guards(bench: Bench, folio: int, size: int) -> None:
    """Two entries behind, of the same folio's last pages read-only, that no batch may touch."""
    for index in range(size, size + 2):
        bench.set(index, bench.value(folio + index, "r", 0, 0))


def folio_order(bench: Bench) -> int:
    """Of a folio of four blocks."""
    return (4 * bench.block).bit_length() - 1


def layouts(context: Context, bench: Bench, perms: str = "w") -> Iterator[Layout]:
    """Every layout once, with its own random A/D state; a bench keeps them."""
    known: dict[tuple[str, str], Layout] = bench.notes
    for perm in perms:
        for name in FILLS:
            if (name, perm) not in known:
                rng = random.Random(f"{context.seed} {name} {perm}")
                known[name, perm] = make(bench, name, rng, bench.folio(folio_order(bench)), perm)
            yield known[name, perm]


def ranges(context: Context, block: int, salt: str = "") -> list[tuple[int, int]]:
    """(start, nr) of batches within three blocks, short ones first: all of them, or a sample with the edges."""
    every = every_range(block)
    if context.share < 1.0:
        kept = edges(block)
        wanted = max(8, int(min(len(every), MOST) * context.share))
        rng = context.rng(salt)
        rng.shuffle(kept)  # a larger share contains every smaller one
        every = list({*kept[:wanted], *rng.sample(every, min(len(every), MOST))[:wanted]})
    return sorted(every, key=lambda pair: (pair[1], pair[0]))


@cache
def every_range(block: int) -> list[tuple[int, int]]:
    """(start, nr) of all batches within three blocks."""
    size = BLOCKS * block
    return [(start, nr) for start in range(size) for nr in range(1, size - start + 1)]


def edges(block: int) -> list[tuple[int, int]]:
    """Those that begin at an end of a block, or beside it, and are as long as one, or nearly."""
    size = BLOCKS * block
    starts = (0, 1, block - 1, block, block + 1, 2 * block, size - 1)
    lengths = (1, 2, block - 1, block, block + 1, 2 * block, size)
    return sorted({(s, n) for s in starts for n in lengths if 0 <= s < size and 0 < n <= size - s})
