"""What readers of other tracers' output share: the assembler that takes their events, and what becomes of odd lines."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO, ClassVar

from mmarch.errors import InputError
from mmarch.trace.assumed import Assumed, Reading
from mmarch.trace.calls import Syscalls
from mmarch.trace.ftrace_text import MAX_TEXT, OddLine, Preamble, TraceError, lines, named
from mmarch.trace.packed import Damaged
from mmarch.trace.rows import Rows
from mmarch.trace.tasks import Tasks
from mmarch.trace.unread import Cut, Unread
from mmarch.workload import Workload


class Foreign:
    """A reader: `line` takes one line and gives what it means to `tasks` and `calls`.

    rows    the operations so far, and what was left out
    tasks   births, images, deaths, accesses
    calls   system calls
    used    events that became something
    unread  lines that did not
    """

    FORMAT: ClassVar[str]

    def __init__(self, reading: Reading, faults: bool) -> None:
        """`faults`: whether the trace has page faults or accesses."""
        self.reading = reading
        self.rows, self.unread = Rows(), Unread()
        self.assumed = Assumed(self.rows, reading, faults)
        self.tasks = Tasks(self.rows, self.assumed)
        self.calls = Syscalls(self.tasks, self.rows)
        self.preamble = Preamble()
        self.used = 0

    def line(self, text: str, number: int) -> None:
        """One line; ValueError, KeyError or IndexError if what it says cannot be, TraceError if nothing can go on."""
        raise NotImplementedError

    def facts(self) -> dict[str, str]:
        """What a result says of how it was read, besides what was assumed; TraceError if that cannot be."""
        return {}

    def workload(self, path: Path, stream: BinaryIO | None = None, max_text: int = MAX_TEXT) -> Workload:
        """All of a file, or of `stream` instead; InputError, with file and line."""
        number, cut = 0, Cut(self.reading.salvage)
        try:
            for number, text in enumerate(lines(path, max_text, stream), 1):
                self._one(text, number)
        except (TraceError, Damaged) as error:
            cut.ends(error, path, number, bool(self.used))
        try:
            self.unread.check(self.used, self.reading.lenient)
            facts = self.preamble.provenance() | self.facts()
            page_size = self.preamble.page_size() if self.preamble.provenance() else 0
        except TraceError as error:
            raise InputError(f"{path}:{max(number, 1)}: {error}") from error
        return Workload(
            name=named(path),
            **self.rows.result(),
            files=self.tasks.files.result(),
            pids=tuple(self.tasks.pids),
            source=str(path),
            ignored=dict(sorted({**self.rows.ignored, **self.unread.result()}.items())),
            provenance={"format": self.FORMAT, **facts, **self.assumed.facts(), **cut.facts},
            page_size=page_size,
        )

    def _one(self, text: str, number: int) -> None:
        try:
            if text.startswith("# "):
                self.preamble.read(text)
            self.line(text, number)
        except OddLine as error:
            self.unread.add(error.kind, number, text)
        except TraceError:
            raise
        except (ValueError, KeyError, IndexError, struct.error):  # the last one: a number that no row can hold
            self.unread.add(OddLine.kind, number, text)
