"""What the log tells of contents, frame by frame, against what frames and slots hold at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from core_mm import vmstat
from core_mm.content import (
    CLEARED,
    COPIED,
    EVENT_BITS,
    FROM_FILE,
    FROM_SWAP,
    TO_FILE,
    TO_SWAP,
    WRITTEN,
)  # fmt: skip
from core_mm.page_alloc import UNINITIALISED
from mmarch.engine.log import Row, taken
from mmarch.engine.machine import Machine
from mmarch.sanitize.model import version
from mmarch.sanitize.state import Reader

SHOWN = 3
SINGLE = (WRITTEN, COPIED)  # events of one page
OF_FILE = None  # what a file had there; the log does not say what


@dataclass
class Contents:
    """All that is known after the rows so far.

    frames, slots  -> version, or OF_FILE
    folios         first frame -> pages
    places         frame -> page of the file that it was read from, or written to
    """

    page: int
    frames: dict[int, int | None] = field(default_factory=dict)
    slots: dict[int, int | None] = field(default_factory=dict)
    folios: dict[int, int] = field(default_factory=dict)
    places: dict[int, int] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    row: int = -1

    def take(self, rows: list[Row]) -> None:
        """The next rows."""
        events: dict[int, Callable[[int, int, int], None]] = {
            CLEARED: self._cleared, WRITTEN: self._written, COPIED: self._copied, TO_SWAP: self._to_swap,
            FROM_SWAP: self._from_swap, FROM_FILE: self._from_file, TO_FILE: self._to_file,
        }  # fmt: skip
        for kind, first, second, third, *_ in rows:
            if kind == vmstat.LOG_OP:
                self.row = first
            elif kind == vmstat.LOG_FOLIO:
                self.folios[first] = second
            elif kind == vmstat.LOG_FREE:
                for frame in range(first, first + second):
                    for known in (self.frames, self.places, self.folios):
                        known.pop(frame, None)
            elif kind == vmstat.LOG_CONTENT:
                event, pages = first & (1 << EVENT_BITS) - 1, first >> EVENT_BITS
                if event not in events or pages < 1 or (event in SINGLE and pages != 1):
                    self.wrong.append(f"operation {self.row} logs event {event} of {pages} pages")
                else:
                    events[event](second, pages, third)

    def _cleared(self, frame: int, pages: int, _: int) -> None:
        self.frames.update(dict.fromkeys(range(frame, frame + pages), 0))

    def _written(self, frame: int, _: int, address: int) -> None:
        self.frames[frame] = version(self.row, address // self.page)

    def _copied(self, frame: int, _: int, source: int) -> None:
        if source and source not in self.frames:
            self.wrong.append(
                f"operation {self.row} logs a copy of frame {source:#x}, which holds nothing yet"
            )
        self.frames[frame] = self.frames.get(source) if source else 0

    def _to_swap(self, folio: int, pages: int, slot: int) -> None:
        self._whole(folio, pages)
        for step in range(pages):
            self.slots[slot + step] = self.frames.get(folio + step)

    def _from_swap(self, folio: int, pages: int, slot: int) -> None:
        self._whole(folio, pages)
        for step in range(pages):
            if slot + step not in self.slots:
                self.wrong.append(
                    f"operation {self.row} logs a page from slot {slot + step}, which holds nothing yet"
                )
            self.frames[folio + step] = self.slots.get(slot + step)

    def _from_file(self, folio: int, pages: int, index: int) -> None:
        self._to_file(folio, pages, index)
        self.frames.update(dict.fromkeys(range(folio, folio + pages), OF_FILE))

    def _to_file(self, folio: int, pages: int, index: int) -> None:
        self._whole(folio, pages)
        self.places.update((folio + step, index + step) for step in range(pages))

    def _whole(self, folio: int, pages: int) -> None:
        if self.folios.get(folio, 1) != pages:
            self.wrong.append(
                f"operation {self.row} logs {pages} pages of folio {folio:#x}, which has {self.folios.get(folio, 1)}"
            )


def differences(machine: Machine) -> Iterator[str]:
    """What the log says otherwise than memory, after the program that it is of; the log held all."""
    reader = Reader(machine)
    told = Contents(reader.constant("page_size"))
    told.take(taken(machine.memory))
    yield from told.wrong[:SHOWN]
    memory, state = machine.memory, reader.read()
    for what, known, held in (
        ("frame", told.frames, memory.arrays["content"]),
        ("slot", told.slots, memory.arrays["swap_content"]),
    ):
        for place, right in known.items():
            if right is not OF_FILE and held[place] != right:
                yield f"{what} {place:#x} is logged as {right:#x}, and holds {int(held[place]):#x}"
    content, zero = memory.arrays["content"], state.get("zero_page")
    for frame in state.used.tolist():
        if content[frame] not in (UNINITIALISED, 0) and frame not in told.frames and frame != zero:
            yield f"frame {frame:#x} holds {int(content[frame]):#x}, of which nothing is logged"
    _, indices, frames = state.cached
    for index, frame in zip(indices.tolist(), frames.tolist(), strict=True):
        if told.places.get(frame, index) != index:
            yield f"frame {frame:#x} is logged as page {told.places[frame]} of its file, and is page {index}"
