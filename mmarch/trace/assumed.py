"""What a trace does not show: mappings that were there before it, and accesses that its tracer cannot see."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from core_mm import uapi
from mmarch.trace.layout import Layout, Piece
from mmarch.trace.maps import Mapping
from mmarch.trace.rows import PAGE, Rows

Touch = Literal["all", "first", "none"]
Access = Literal["write", "read", "by-protection"]
AROUND = 16 * PAGE  # an access to nothing assumes this much, aligned, as far as nothing else is there
UNTOLD = -1  # the access of a trace that does not tell reads from writes
RWX = uapi.PROT_READ | uapi.PROT_WRITE | uapi.PROT_EXEC
PRIVATE = uapi.MAP_PRIVATE | uapi.MAP_ANONYMOUS
MOST = 1 << 22  # pages that a mapping's user is taken to touch at most


@dataclass(frozen=True)
class Reading:
    """How to read a trace that does not say everything.

    touch   what a mapping's user did where the trace has no faults: touch all of its pages, the first one or none
    lenient  whether much of it may be of no use
    maps    of the first task that ran before the trace began
    access  how, where the trace does not tell reads from writes; by-protection writes where that is permitted
    faults  page faults of the same run, by perf script, for a trace by strace
    salvage  whether to take what stands before the first damage
    """

    touch: Touch = "first"
    access: Access = "by-protection"
    lenient: bool = False
    maps: tuple[Mapping, ...] = ()
    faults: Path | None = None
    salvage: bool = False


PLAIN = Reading()


class Assumed:
    """The mappings of address spaces that were not recorded from their beginning; rows for what is missing."""

    def __init__(self, rows: Rows, reading: Reading, faults: bool) -> None:
        """`faults`: whether the trace has them."""
        self.rows, self.reading, self.faults = rows, reading, faults
        self.mappings = 0
        self.accesses = 0
        self.maps = list(reading.maps)

    def facts(self) -> dict[str, str]:
        """What a result says of it; nothing if all was recorded."""
        found = {}
        if self.maps:
            found["mappings at the start"] = "not used: no task here ran before the trace began"
        elif self.reading.maps:
            there = sum(pages for mapping in self.reading.maps for _, pages, _ in mapping.there)
            pages = f", with {there} pages that its pagemap has" if there else ""
            found["mappings at the start"] = f"{len(self.reading.maps)} of one task, as --maps says{pages}"
        if self.mappings:
            found["assumed mappings"] = f"{self.mappings} that were there before the trace began"
        if not self.faults:
            found["assumed accesses"] = f"{self.reading.touch} of each new mapping, {self.accesses} in all"
        return found

    def how(self, prot: int) -> int:
        """The access to memory that permits `prot`, where the trace does not say."""
        wanted = self.reading.access
        if wanted == "write" or (wanted == "by-protection" and prot & uapi.PROT_WRITE):
            return uapi.ACCESS_WRITE
        return uapi.ACCESS_READ

    def touched(self, layout: Layout, task: int, address: int, line: int) -> int:
        """There was an access, so something is mapped there: what it permits."""
        piece = layout.find(address)
        if piece is None:
            low = address // AROUND * AROUND
            self.covered(layout, task, low, low + AROUND, line)
            piece = layout.find(address)
        return piece.prot if piece else RWX

    def covered(self, layout: Layout, task: int, start: int, end: int, line: int) -> None:
        """All of [start, end) is mapped, for a call on it succeeded, or memory beside it is used."""
        for piece in layout.between(start, end):
            self._there(layout, task, start, piece.start, line)
            start = piece.end
        self._there(layout, task, start, end, line)

    def _there(self, layout: Layout, task: int, start: int, end: int, line: int) -> None:
        """A mapping that must have been there, if it is not empty."""
        if start < end:
            self.mappings += 1
            self.rows.add(line, uapi.OP_MMAP, task, start, end - start, RWX, PRIVATE, -1, 0)
            layout.add(Piece(start, end, 0, RWX, PRIVATE, -1, 0, False))

    def mapped(self, layout: Layout, task: int, start: int, end: int, prot: int, line: int) -> None:
        """New memory; its user is taken to touch it where the trace has no faults."""
        layout.take(start, end)
        layout.add(Piece(start, end, 0, prot, PRIVATE, -1, 0, False))
        self._used(task, start, end, prot, line)

    def protected(self, layout: Layout, task: int, start: int, end: int, prot: int, line: int) -> None:
        """Memory that nobody could use before is touched when it can be."""
        for piece in layout.take(start, end):
            layout.add(piece._replace(prot=prot))
            if not piece.prot:
                self._used(task, piece.start, piece.end, prot, line)

    def moved(self, layout: Layout, task: int, old: tuple[int, int], new: tuple[int, int], line: int) -> None:
        """mremap."""
        pieces = layout.take(*old)
        prot = pieces[0].prot if pieces else RWX
        layout.take(*new)
        layout.add(Piece(*new, 0, prot, PRIVATE, -1, 0, False))
        grown = new[0] + old[1] - old[0]
        if grown < new[1]:
            self._used(task, grown, new[1], prot, line)

    def _used(self, task: int, start: int, end: int, prot: int, line: int) -> None:
        if self.faults or self.reading.touch == "none" or not prot:
            return
        pages = min((end - start) // PAGE, MOST) if self.reading.touch == "all" else 1
        self.accesses += pages
        self.rows.add(line, uapi.OP_TOUCH, task, start, pages, self.how(prot))
