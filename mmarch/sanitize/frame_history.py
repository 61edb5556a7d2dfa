"""The last things that happened to each frame, read from the log of a run that is gone through again."""

from __future__ import annotations

from collections import defaultdict, deque

import numpy as np

from core_mm import content as c
from core_mm.content import EVENT_BITS
from core_mm.uapi import OP_NAMES
from core_mm.vmstat import LOG_CONTENT, LOG_FREE, LOG_PTE
from mmarch.engine.machine import Machine
from mmarch.sanitize.entries import PRESENT, Entries

KEPT = 3
EVENTS = {
    c.CLEARED: "was filled with zeros", c.WRITTEN: "was written to, at address {other:#x}",
    c.COPIED: "got a copy of frame {other:#x}", c.TO_SWAP: "went to swap slot {other:#x}",
    c.FROM_SWAP: "was read from swap slot {other:#x}", c.FROM_FILE: "was read from page {other} of its file",
    c.TO_FILE: "was written to page {other} of its file",
}  # fmt: skip


class FrameHistory:
    """Takes the log after each operation."""

    def __init__(self, machine: Machine, entries: Entries) -> None:
        self._machine, self._entries = machine, entries
        self._last: dict[int, deque[str]] = defaultdict(lambda: deque(maxlen=KEPT))

    def take(self, row: int, op: int) -> None:
        """What operation `row` has written to the log, which is emptied."""
        memory = self._machine.memory
        log = memory.tables["LOG"]
        length = min(memory.get("mach", "log_len"), memory.get("cfg", "log_capacity"))
        memory.set("mach", "log_len", 0)
        chosen = np.flatnonzero(np.isin(log["kind"][:length], (LOG_CONTENT, LOG_FREE, LOG_PTE)))
        kinds, a, b, c = (log[name][chosen] for name in ("kind", "a", "b", "c"))
        read = self._entries.read(c, a)
        mapped = np.where(read.bits & PRESENT, read.frame, 0)
        when = f"operation {row} ({OP_NAMES.get(op, op)}): it "
        rows = (column.tolist() for column in (kinds, a, b, c, mapped))
        for kind, event, page, other, frame in zip(*rows, strict=True):
            if kind == LOG_CONTENT:
                what = EVENTS[event & (1 << EVENT_BITS) - 1].format(other=other)
                self._note(page, event >> EVENT_BITS, when + what)
            elif kind == LOG_FREE:
                self._note(event, page, when + "was freed")
            elif frame:
                self._note(frame, 1, when + f"was mapped by PTE {event:#x}")

    def _note(self, first: int, pages: int, what: str) -> None:
        for frame in range(first, first + pages):
            self._last[frame].append(what)

    def of(self, frame: int) -> tuple[str, ...]:
        """The last three things, oldest first."""
        return tuple(self._last[frame]) if frame in self._last else ()
