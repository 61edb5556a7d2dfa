"""What the twin did in a step, and the same in the notation of measurements.

The rules are those of the recording plugin and its decoder: runs are coded greedily, with whatever
step the first two entries have; a whole-ASID operation has no page; descriptors are named bit by bit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import NamedTuple

FIRST_USER, LAST_USER = 0x200000000, 0x8000000000
_BITS = {
    "AP2": 7,
    "NG": 11,
    "AF": 10,
    "USER": 6,
    "DBM": 51,
    "CONT": 52,
    "UXN": 54,
    "DIRTY": 55,
    "SPECIAL": 56,
}
DESCRIBED = 1 | sum(1 << shift for shift in _BITS.values())  # the bits that attributes() tells apart


class Tlbi(NamedTuple):
    """One instruction: `op` as in `rvale1is`; va in bytes, None for whole-ASID operations; raw ttl field."""

    op: str
    va: int | None = None
    pages: int = 1
    ttl: int = 0


class Leaf(NamedTuple):
    """An entry met by a walk: its first page in the dump, the level it is at, its raw descriptor.

    It may stand for `repeat` entries in a row, of pages further on, with the same attributes.
    """

    page: int
    level: int
    descriptor: int
    repeat: int = 1


@dataclass(frozen=True)
class Observed:
    """A step of the twin, raw and in order of execution.

    tlbi   every TLBI, also those of errata and outside the scenario's regions
    dsb    DSBs of TLB and PTE functions, by domain (ish, ishst, nsh, nshst)
    calls  entries of the kernel's functions, by their names; contpte_convert among them
    dumps  the leaves of each of the step's dumps, in their order
    failed the error or signal that ended it; nothing follows
    """

    tlbi: Sequence[Tlbi] = ()
    dsb: Mapping[str, int] = field(default_factory=dict)
    calls: Mapping[str, int] = field(default_factory=dict)
    dumps: Sequence[Sequence[Leaf]] = ()
    failed: str = ""


Run = tuple[str, int | None, int | None, int | None, int, int]
PteRun = tuple[int, str, int, str]


class Frame(NamedTuple):
    """How addresses are told as pages: from `base`, or from the start of the region they lie in.

    regions are (name, first byte, length), for measurements that name the region in each operation.
    """

    page_size: int
    base: int = 0
    regions: tuple[tuple[str, int, int], ...] = ()

    def page(self, va: int) -> tuple[str, int]:
        """The region's name (empty without regions) and the page in it."""
        if not self.regions:
            return "", (va - self.base) // self.page_size
        inside = [r for r in self.regions if r[1] <= va < r[1] + r[2]]
        below = [r for r in self.regions if r[1] <= va] or list(self.regions)
        name, start, _ = inside[0] if inside else max(below, key=lambda r: r[1])
        return name, (va - start) // self.page_size


def in_mapping(tlbi: Tlbi) -> bool:
    """Whether a measurement lists the instruction: whole-ASID ones, and those in the scenario's addresses."""
    if tlbi.va is None:
        return tlbi.op.startswith("aside")
    return FIRST_USER <= tlbi.va < LAST_USER


def first_address(tlbis: Iterable[Tlbi]) -> int | None:
    """The address of the first listed instruction that has one."""
    return next((t.va for t in tlbis if t.va is not None and in_mapping(t)), None)


def entries(tlbis: Iterable[Tlbi], frame: Frame) -> list[Run]:
    """The listed instructions in the measurement's notation, one by one."""
    found: list[Run] = []
    for tlbi in filter(in_mapping, tlbis):
        if tlbi.va is None:
            found.append((tlbi.op, None, None, None, 1, 0))
        else:
            name, page = frame.page(tlbi.va)
            found.append((f"{tlbi.op} {name}" if name else tlbi.op, page, tlbi.pages, tlbi.ttl, 1, 0))
    return found


def coded(singles: Iterable[Run]) -> list[Run]:
    """Run-length coding of single entries."""
    runs: list[Run] = []
    for single in singles:
        joined = _join(runs[-1], single) if runs else None
        if joined:
            runs[-1] = joined
        else:
            runs.append(single)
    return runs


def _join(run: Run, single: Run) -> Run | None:
    op, page, pages, ttl, repeat, step = run
    if (op, pages, ttl) != (single[0], single[2], single[3]):
        return None
    if page is None or single[1] is None:
        return (op, page, pages, ttl, repeat + 1, 0)
    if repeat == 1:
        return (op, page, pages, ttl, 2, single[1] - page)
    return (op, page, pages, ttl, repeat + 1, step) if single[1] == page + repeat * step else None


def expanded(runs: Iterable[Run]) -> list[Run]:
    """The single entries of run-length coded ones."""
    return [
        (op, None if page is None else page + i * step, pages, ttl, 1, 0)
        for op, page, pages, ttl, repeat, step in runs
        for i in range(repeat)
    ]


def op_totals(tlbis: Iterable[Tlbi]) -> dict[str, int]:
    """Instructions with an address in the mapping, by operation."""
    return dict(Counter(t.op for t in tlbis if t.va is not None and in_mapping(t)))


def attributes(descriptor: int) -> str:
    """A descriptor in words: `none`, `swap`, `PROT_NONE …`, or its attributes."""
    return _words(descriptor & DESCRIBED) if descriptor else "none"


@cache
def _words(descriptor: int) -> str:
    """Of what is not zero, less the bits that say nothing."""
    bit = {name: bool(descriptor >> shift & 1) for name, shift in _BITS.items()}
    if not descriptor & 1:
        return _invalid(bit)
    words = (
        "CONT" if bit["CONT"] else "",
        "AF" if bit["AF"] else "old",
        "RO" if bit["AP2"] else "rw",
        "DBM" if bit["DBM"] else "nodbm",
        "swdirty" if bit["DIRTY"] else "",
        "nG" if bit["NG"] else "",
        "" if bit["USER"] else "noEL0",
        "special" if bit["SPECIAL"] else "",
        "UXN" if bit["UXN"] else "",
    )
    return " ".join(filter(None, words))


def _invalid(bit: Mapping[str, bool]) -> str:
    if not bit["NG"]:
        return "swap"
    words = (
        "PROT_NONE",
        "CONT" if bit["CONT"] else "",
        "AF" if bit["AF"] else "old",
        "swdirty" if bit["DIRTY"] else "",
    )
    return " ".join(filter(None, words))


def pte_runs(leaves: Iterable[Leaf]) -> list[PteRun]:
    """Equal neighbours joined."""
    runs: list[PteRun] = []
    for leaf in leaves:
        level, words = f"L{leaf.level}", attributes(leaf.descriptor)
        if runs and runs[-1][1] == level and runs[-1][3] == words:
            runs[-1] = (runs[-1][0], level, runs[-1][2] + leaf.repeat, words)
        else:
            runs.append((leaf.page, level, leaf.repeat, words))
    return runs


def summary(runs: Iterable[PteRun]) -> dict[str, int]:
    """Entries by level and attributes; all that is invalid and not none is `swap/other`."""
    found: Counter[str] = Counter()
    for _, level, count, words in runs:
        found[f"{level} {'swap/other' if words.split()[0] in ('swap', 'PROT_NONE') else words}"] += count
    return dict(found)


def page_counts(runs: Iterable[PteRun], page_size: int) -> tuple[int, int]:
    """Valid pages, and valid pages with CONT; an entry above level 3 maps that many pages more."""
    bits = page_size.bit_length() - 4
    valid = cont = 0
    for _, level, count, words in runs:
        first = words.split()[0]
        if first in ("none", "swap", "PROT_NONE"):
            continue
        pages = count << bits * (3 - int(level[1]))
        valid += pages
        cont += pages if first == "CONT" else 0
    return valid, cont
