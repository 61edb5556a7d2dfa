"""The columns that every report shares: what a page-table person asks first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mmarch.runs.costs import Priced
from mmarch.runs.result import Configuration, Counts, Range, Result, total
from mmarch.sizes import show_orders, show_size
from mmarch.table import number


@dataclass(frozen=True)
class Column:
    """A heading and the events that are summed under it."""

    heading: str
    events: tuple[str, ...]


FAULTS = Column("faults", ("fault",))
TLBIS = Column("TLBIs", ("tlbi",))
BATCH_PAGES = Column("batch pages", ("gather_page",))
BLOCKS = (
    Column("installed", ("cont_install",)),
    Column("folds", ("fold",)),
    Column("unfolds", ("unfold",)),
)
BORDER = (
    Column("PTE reads", ("pte_read",)),
    Column("PTE writes", ("pte_write",)),
    TLBIS,
    Column("DSBs", ("barrier",)),
)
LARGE = ("thp-pte-aligned", "thp-pte-unaligned", "thp-pmd")  # coverage keys of folios that are mapped whole
FOLDED = ("cont-pte-folded",)
STEPS = (FAULTS, BORDER[1], *BLOCKS[1:], TLBIS, BORDER[3])
HAZARDS = ("gather_reserve_clamp", "gather_leak", "gather_overflow")


UNSEEN = "–"


def cells(counts: Counts, result: Result, columns: tuple[Column, ...]) -> list[str]:
    """One row's numbers; a dash for what the engine does not show."""
    return [
        number(total(counts, result.groups, *column.events)) if result.sees(*column.events) else UNSEEN
        for column in columns
    ]


def milliseconds(counts: Counts, costs: Priced) -> str:
    """Estimated time of the events that have a figure."""
    return f"{costs.ns(counts) / 1e6:,.3f}"


def versions(result: Result) -> str:
    """What counted, for a letter."""
    found = result.versions
    return ", ".join(f"{name} {found[name]}" for name in ("mmarch", "plugin", "qemu") if name in found)


def title(chosen: Configuration, page_shift: int) -> str:
    """What was run, on one line or two."""
    parts = [
        chosen.arch, f"Linux {chosen.release}" if chosen.release[0].isdigit() else chosen.release,
        f"cpu {chosen.cpu}", f"granule {chosen.granule}", f"folios {show_orders(chosen.folio_orders, page_shift)}",
    ]  # fmt: skip
    if chosen.with_:
        parts.append(f"with {' '.join(chosen.with_)}")
    if chosen.without:
        parts.append(f"without {' '.join(chosen.without)}")
    if chosen.memory != 16 << 30:
        parts.append(f"memory {show_size(chosen.memory)}")
    return ", ".join(parts)


def show_ranges(ranges: Sequence[Range]) -> list[str]:
    """Page tables in ptdump's manner, a line a range."""
    return [
        f"{r.start:#014x}-{r.end:#014x} {show_size(r.end - r.start):>5} {r.level} {r.text}".rstrip()
        for r in ranges
    ]
