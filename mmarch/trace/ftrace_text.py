"""Text of a trace, line by line, without trusting it: bounded lines, bounded total, any damage named."""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from mmarch.errors import InputError

MAX_LINE = 4096
MAX_TEXT = 1 << 30
BLOCK = 1 << 20
SHOWN = 80
FORMAT_KEY, FORMAT = "mmarch trace", "1"

_FOREIGN = {
    b"\x17\x08\x44tracing": "a trace.dat of trace-cmd; convert it with: trace-cmd report",
    b"PERFILE2": "a perf.data of perf; record with: mmarch record",
    b"\xfd7zXZ": "xz; unpack it first (gzip is read as it is)",
    b"\x28\xb5\x2f\xfd": "zstd; unpack it first (gzip is read as it is)",
    b"BZh": "bzip2; unpack it first (gzip is read as it is)",
}

# task-pid (tgid) [cpu] flags seconds: then a page fault, or any event's name, separator and text
EVENT = re.compile(
    r"(?: +<\.\.\.>| *.{1,20}?)-(\d+) *(?:\([\d -]+\) *)?\[\d+\] +(?:[^\s\d]\S* +)?[\d.]+: +"
    r"(?:page_fault_(?:user|kernel): +address=0x([0-9a-f]{1,16}) ip=[^ ]+ error_code=0x([0-9a-f]{1,8})$"
    r"|(\w+)(: *| -> |\()(.*))"
)
_LOST = re.compile(r"CPU ?:? ?\d+ \[LOST (\d+) EVENTS\]|.*\[(\d+) EVENTS DROPPED\]")
_FACT = re.compile(r"# ([\w /-]{1,40}): (.*)")


class TraceError(ValueError):
    """Something in a trace cannot be replayed; the loader adds file and line."""


def words(text: str) -> frozenset[str]:
    """A set written as words."""
    return frozenset(text.split())


def shown(text: str) -> str:
    """A quotation short enough for a message."""
    return repr(text if len(text) <= SHOWN else text[:SHOWN] + "...")


def _open(path: Path) -> BinaryIO | gzip.GzipFile:
    try:
        with open(path, "rb") as probe:
            head = probe.read(16)
        for magic, what in _FOREIGN.items():
            if head.startswith(magic):
                raise InputError(f"{path}: not ftrace text but {what}")
        return gzip.GzipFile(path, "rb") if head.startswith(b"\x1f\x8b") else open(path, "rb")
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error


def _blocks(stream: BinaryIO | gzip.GzipFile, path: Path, max_text: int) -> Iterator[str]:
    total = 0
    while True:
        try:
            block = stream.read(BLOCK)
        except EOFError as error:
            raise InputError(f"{path}: truncated: its gzip data ends after {total} bytes of text") from error
        except (OSError, zlib.error) as error:
            raise InputError(f"{path}: damaged after {total} bytes of text: {error}") from error
        if not block:
            return
        total += len(block)
        if total > max_text:
            raise InputError(f"{path}: more than {max_text} bytes of text; cut the trace or record less")
        yield block.decode("latin-1")


def lines(path: Path, max_text: int = MAX_TEXT) -> Iterator[str]:
    """Lines without their newline; InputError for damage, a line over 4 KiB or over `max_text` bytes."""
    rest, number = "", 0
    with _open(path) as stream:
        for block in _blocks(stream, path, max_text):
            parts = (rest + block).split("\n")
            rest = parts.pop()
            for line in parts:
                number += 1
                if len(line) > MAX_LINE:
                    break
                yield line
            else:
                if len(rest) <= MAX_LINE:
                    continue
                number += 1
            raise InputError(f"{path}:{number}: a line longer than {MAX_LINE} bytes is not ftrace text")
    if rest:
        raise InputError(f"{path}:{number + 1}: truncated: the last line {shown(rest)} has no end")


class Preamble:
    """What the lines between events say: who recorded, whether all of it is here."""

    def __init__(self) -> None:
        self.facts: dict[str, str] = {}
        self.announced: int | None = None

    def read(self, line: str) -> None:
        """Take in a line that is no event; TraceError if it is nothing we know, or tells of losses."""
        if line.startswith("#"):
            self._fact(line)
            return
        if lost := _LOST.match(line):
            raise TraceError(f"{lost[1] or lost[2]} events were lost here; record again with a larger buffer")
        if line.strip() and not line.startswith(("cpus=", "CPU ", "version =")):
            raise TraceError(f"not an ftrace event: {shown(line)}")

    def _fact(self, line: str) -> None:
        match = _FACT.match(line)
        if match is None:
            return
        key, value = match.groups()
        first = value.split(" ")[0]
        if key == "entries-in-buffer/entries-written":
            kept, _, written = first.partition("/")
            if kept != written:
                raise TraceError(f"of {written} events {kept} are here; record again with a larger buffer")
        elif key == "end":
            self.announced = int(first) if first.isdecimal() else -1
        elif key == FORMAT_KEY and value != FORMAT:
            raise TraceError(f"mmarch trace format {value!r}; this mmarch reads {FORMAT!r}")
        if len(self.facts) < 64:
            self.facts[key] = value

    def provenance(self) -> dict[str, str]:
        """What our recorder says of the recording."""
        if FORMAT_KEY not in self.facts:
            return {}
        return {key: value for key, value in self.facts.items() if key not in ("tracer", "end")}

    def check_end(self, events: int) -> None:
        """TraceError unless all events that were written are here."""
        if not events:
            raise TraceError("no events: an empty file, or not an ftrace text")
        if FORMAT_KEY in self.facts and self.announced != events:
            said = "its end is missing" if self.announced is None else f"{self.announced} were written"
            raise TraceError(f"truncated: {events} events are here, {said}")
