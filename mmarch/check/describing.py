"""What was observed, in words: an entry as the architecture calls its bits, the page and the folio behind it."""

from __future__ import annotations

from collections.abc import Sequence

from core_mm import observe as o
from core_mm.descriptor import ArchDescriptor
from core_mm.mm_types import PG_ACTIVE, PG_ANON, PG_DIRTY, PG_REFERENCED, PG_SWAPBACKED, PG_SWAPCACHE
from mmarch.check.observation import BITS, ENTRIES, Rows, order
from mmarch.runs.entries import attributes

FLAGS = {
    PG_ANON: "anonymous", PG_SWAPBACKED: "swap-backed", PG_SWAPCACHE: "in the swap cache", PG_DIRTY: "dirty",
    PG_REFERENCED: "referenced", PG_ACTIVE: "active",
}  # fmt: skip


def name(row: Rows, page_shift: int) -> str:
    """What a row is about."""
    kind, owner, at = int(row[o.KIND]), int(row[o.OWNER]) - 1, int(row[o.AT])
    if kind == o.SEEN_MM:
        return f"sizes of task {owner}"
    if kind == o.SEEN_MACHINE:
        return "the machine"
    if kind == o.SEEN_VMA:
        return f"mapping of task {owner} at {at << page_shift:#x}"
    if kind in (o.SEEN_CACHED, o.SEEN_STORED):
        return f"page {at} of file {owner}"
    return f"page {at << page_shift:#x} of task {owner}"


def outcome(row: Rows | None, arch: ArchDescriptor) -> str:
    """One side of a difference."""
    if row is None:
        return "nothing there"
    kind = int(row[o.KIND])
    if kind == o.SEEN_MM:
        return f"rss anon {row[o.BITS]}, file {row[o.ENTRY]}, shmem {row[o.FLAGS]}, swap {row[o.PLACE]}"
    if kind == o.SEEN_MACHINE:
        return f"{row[o.ENTRY]} frames in use, {row[o.FLAGS]} swap slots, {row[o.BITS]} warnings"
    if kind == o.SEEN_VMA:
        return f"{int(row[o.ENTRY]) - int(row[o.AT])} pages, vm_flags {int(row[o.BITS]):#x}, offset {row[o.PLACE]}"
    words = [_entry(row, arch), _page(row), _slot(row)]
    return "; ".join(word for word in words if word)


def _entry(row: Rows, arch: ArchDescriptor) -> str:
    kind, bits = int(row[o.KIND]), int(row[o.BITS])
    if kind == o.SEEN_SWAP:
        return "swap entry" + (", exclusive" if bits else "")
    if kind not in ENTRIES:
        return "cached" if kind == o.SEEN_CACHED else "in swap"
    said = [text for bit, text in BITS.items() if bits & bit]
    level = "PMD" if kind == o.SEEN_PMD else "PTE"
    words = attributes(arch.pte_names, int(row[o.ENTRY])) if arch.pte_names else ""
    return f"{level} {' '.join(said)}" + (f" [{' '.join(words.split())}]" if words else "")


def _page(row: Rows) -> str:
    if not row[o.FOLIO]:
        return ""
    pages = 1 << order(row)
    flags: Sequence[str] = [text for flag, text in FLAGS.items() if int(row[o.FLAGS]) & flag]
    where = (
        f"page {row[o.PLACE]} of folio {row[o.FOLIO]} of {pages}" if pages > 1 else f"folio {row[o.FOLIO]}"
    )
    mapcount = f"mapcount {row[o.MAPCOUNT]}" + (f" of {row[o.FOLIO_MAPCOUNT]}" if pages > 1 else "")
    exclusive = ["exclusive"] if row[o.EXCLUSIVE] else []
    return ", ".join([where, *flags, mapcount, *exclusive, f"{row[o.REFERENCES]} references"])


def _slot(row: Rows) -> str:
    if not row[o.SLOT]:
        return ""
    return f"slot {row[o.SLOT]}, {row[o.SLOT_REFERENCES]} entries refer to it"
