"""Text of a trace, line by line, without trusting it: bounded lines, bounded total, any damage named."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

from mmarch.errors import InputError
from mmarch.trace.packed import Damaged, unpacked

MAX_LINE = 4096
MAX_TEXT = 1 << 35
MANY, SHORT = 1 << 20, 8  # so many lines have to be so long on average
SHOWN = 80
PAGE_SIZES = (4096, 16384, 65536)
FORMAT_KEY, FORMAT = "mmarch trace", "1"
RECORDING_KEY = "mmarch recording"  # of a tool's text that our recorder made

_FOREIGN = {
    b"\x17\x08\x44tracing": "a trace.dat of trace-cmd; turn it into text: trace-cmd report -i {path} | mmarch run -",
    b"PERFILE2": "a perf.data of perf; turn it into text: "
    "perf script -F comm,pid,tid,time,event,addr,ip -i {path} | mmarch run -",
    b"BZh": "compressed by bzip2; unpack it first: bzip2 -dc {path} | mmarch run -",
    b"PK\x03\x04": "a zip archive; unpack it first: unzip -p {path} | mmarch run -; if it is a saved history, map, "
    "run --top, --steps and --format folded read it",
    b"\xff\xfe": "UTF-16; turn it into plain text: iconv -f UTF-16 -t UTF-8 {path} | mmarch run -",
    b"\xfe\xff": "UTF-16; turn it into plain text: iconv -f UTF-16 -t UTF-8 {path} | mmarch run -",
}
SUFFIXES = (".gz", ".xz", ".zst", ".txt", ".html", ".ftrace", ".strace", ".perf", ".events", ".lackey")
BOM = b"\xef\xbb\xbf"

_TIME = r"(\d{1,20}\.?\d{0,9})"
_FAULT = r"page_fault_(?:user|kernel): +address=0x([0-9a-f]{1,16}) ip=[^ ]+ error_code=0x([0-9a-f]{1,8})\s*$"
_EVENT = rf"(?:{_FAULT}|(\w+)(: *| -> |\()(.*))"


class Head(NamedTuple):
    """What stands before an event: a pattern of both, and seconds in its unit of time.

    Groups are pid, time, address and error code of a fault, or name, separator and text of another event.
    """

    event: re.Pattern[str]
    unit: float


def _head(form: str, unit: float = 1.0) -> Head:
    return Head(re.compile(form + _EVENT), unit)


_PLACE = rf" *(?:\([\d -]+\) *)?\[\d+\] +(?:[^\s\d]\S* +)?{_TIME}: +"
HEADS = (
    # task-pid (tgid) [cpu] flags seconds:
    _head(r" *[^- ][^-]{0,19}-(\d+)" + _PLACE),  # a task's name without -, which is matched sooner
    _head(r" *.{1,20}?-(\d+)" + _PLACE),
    # trace-cmd's instance, -l, --ts-diff and --raw-ts
    _head(
        r"(?:[\w.-]+:)? *.{1,20}?-(\d+) *(?:\([\d -]+\) *)?(?:\[\d+\] *(?:[^\s\d]\S* +)?|\d+[^\s\d]\S* +)"
        rf"{_TIME}: +(?:\(\+\d+\) +)?"
    ),
    # options/latency-format, and with options/verbose
    _head(rf" *.{{1,16}}?-(\d+) +\d+[^\s\d]\S* +{_TIME}us.?: +", 1e-6),
    _head(
        r" *.{1,16}? +(\d+) +\d+ \d+ [0-9a-f]{8} [0-9a-f]{8} \[[0-9a-f]+\] +"
        rf"{_TIME}ms \(\+?-?[\d.]+ms\): +", 1e-3,
    ),
)  # fmt: skip
BEGINS = (
    r"^(?:[\w.-]+:)?\s*\S.*-\d+\s+(?:\(.*\)\s+)?(?:\[\d+\]|\d+[^\s\d]\S*\s+[\d.]+(?:us.?)?: )"
    r"|^\s*\S.*\]\s+[\d.]+ms \("
)
_HINTS = (
    (re.compile(r".*\btype: \d+$"), "raw, hex or binary output; as text: echo 0 > options/raw, hex and bin"),
    (re.compile(r"page_fault_\w+: |sys_\w+(?:\(| -> )"), "no task; print it: echo 1 > options/context-info"),
)
_LOST = re.compile(r"CPU ?:? ?\d+ \[LOST (\d+) EVENTS\]|.*\[(\d+) EVENTS DROPPED\]")
_FACT = re.compile(r"# ([\w /-]{1,40}): (.*)")


class TraceError(ValueError):
    """Something in a trace cannot be replayed; the loader adds file and line."""


class OddLine(TraceError):
    """A line that says nothing, which a trace that is not ours can do without."""

    kind = "line (not understood)"


class Contradiction(OddLine):
    """An event that cannot be after those before it."""

    kind = "event that cannot be"


def words(text: str) -> frozenset[str]:
    """A set written as words."""
    return frozenset(text.split())


def shown(text: str) -> str:
    """A quotation short enough for a message."""
    return repr(text if len(text) <= SHOWN else text[:SHOWN] + "...")


def named(path: Path) -> str:
    """A workload's name by its file's."""
    name = path.name
    for suffix in SUFFIXES:
        name = name.removesuffix(suffix)
    return name


def refuse_foreign(path: Path, head: bytes) -> None:
    """InputError, with what to do, for a file whose first bytes are those of another format."""
    for magic, what in _FOREIGN.items():
        if head.startswith(magic):
            named = "FILE" if str(path) == "stdin" else path
            raise InputError(f"{path}: not text of a trace but {what.format(path=named)}")


@contextmanager
def _opened(path: Path, stream: BinaryIO | None) -> Iterator[tuple[BinaryIO, bytes]]:
    """A file and its first bytes; of `stream`, which is read once, instead of the file if it is given."""
    try:
        raw = stream or path.open("rb")
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    with raw, io.BufferedReader(raw) as ahead:  # type: ignore[type-var]
        try:
            head = ahead.peek(16)[:16]
        except OSError as error:
            raise InputError(f"{path}: cannot be read: {error.strerror}") from error
        refuse_foreign(path, head)
        yield ahead, head


def _blocks(stream: BinaryIO, head: bytes, path: Path, max_text: int) -> Iterator[str]:
    total = 0
    try:
        for block in unpacked(stream, head, str(path)):
            if not total:
                refuse_foreign(path, block)
                block = block.removeprefix(BOM)
            total += len(block)
            if total > max_text:
                raise InputError(f"{path}: more than {max_text} bytes of text; cut the trace or record less")
            yield block.decode("latin-1")
    except OSError as error:
        raise Damaged(f"{path}: cannot be read after {total} bytes of text: {error.strerror}") from error


def lines(path: Path, max_text: int = MAX_TEXT, stream: BinaryIO | None = None) -> Iterator[str]:
    """Lines without their newline, be it LF or CRLF, of a file or of `stream` with its name.

    Damaged; InputError for a line over 4 KiB, over `max_text` bytes, or hardly anything but ends of lines.
    """
    rest, number, size = "", 0, 0
    with _opened(path, stream) as (opened, head):
        for block in _blocks(opened, head, path, max_text):
            parts = (rest + block).replace("\r\n", "\n").split("\n")
            rest, size = parts.pop(), size + len(block)
            if max(map(len, (rest, *parts))) > MAX_LINE:
                at = next(at for at, line in enumerate((*parts, rest), 1) if len(line) > MAX_LINE)
                yield from parts[: at - 1]
                raise InputError(
                    f"{path}:{number + at}: a line longer than {MAX_LINE} bytes is not ftrace text"
                )
            yield from parts
            number += len(parts)
            if number > MANY and size < SHORT * number:
                raise InputError(
                    f"{path}:{number}: lines of under {SHORT} bytes on average; no trace has such"
                )
    if rest:
        raise Damaged(f"{path}:{number + 1}: truncated: the last line {shown(rest)} has no end")


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
            if hint := next((text for form, text in _HINTS if form.match(line)), ""):
                raise TraceError(f"not an ftrace event: {shown(line)} ({hint})")
            raise OddLine(f"not an ftrace event: {shown(line)}")

    def _fact(self, line: str) -> None:
        match = _FACT.match(line)
        if match is None:
            return
        key, value = match[1], match[2].rstrip()
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

    def page_size(self) -> int:
        """Of the recorded machine, 0 if the head does not say; TraceError if no machine has it."""
        size = self.number("page size")
        if size is not None and size not in PAGE_SIZES:
            raise TraceError(f"'# page size: {size}' is not one of {', '.join(map(str, PAGE_SIZES))}")
        return size or 0

    def number(self, key: str) -> int | None:
        """The number that a fact begins with; TraceError if it begins with anything else."""
        if key not in self.facts:
            return None
        first = self.facts[key].split(" ")[0]
        if not first.isdecimal() or len(first) > 9:
            raise TraceError(f"'# {key}: {shown(self.facts[key])}' is no number")
        return int(first)

    def provenance(self) -> dict[str, str]:
        """What our recorder says of the recording."""
        if not self.facts.keys() & {FORMAT_KEY, RECORDING_KEY}:
            return {}
        return {key: value for key, value in self.facts.items() if key not in ("tracer", "end")}

    def check_end(self, events: int) -> None:
        """TraceError unless all events that were written are here."""
        if not events:
            raise TraceError("no events: an empty file, or not an ftrace text")
        if FORMAT_KEY in self.facts and self.announced != events:
            said = "its end is missing" if self.announced is None else f"{self.announced} were written"
            raise TraceError(f"truncated: {events} events are here, {said}")
