"""What is finished and not yet in a segment: a line a point, with a checksum, as soon as the point is counted."""

from __future__ import annotations

import json
import os
import uuid
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

SUFFIX = ".jsonl"
CHECK = 8  # hexadecimal digits before each line


@dataclass
class Journal:
    """One file, of one worker and one chunk of points."""

    name: str
    file: int

    @classmethod
    @contextmanager
    def begin(cls, folder: Path, chunk: str) -> Iterator[Self]:
        """A new one; on the disk when the block ends."""
        name = f"{chunk}-{uuid.uuid4().hex[:12]}{SUFFIX}"
        file = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o666)
        try:
            yield cls(name, file)
            os.fsync(file)
        finally:
            os.close(file)

    def write(self, entry: dict[str, Any]) -> None:
        """A line, whole or torn off, but never mixed with another."""
        text = json.dumps(entry, separators=(",", ":")).encode()
        line = memoryview(b"%08x %s\n" % (zlib.crc32(text), text))
        while line:
            line = line[os.write(self.file, line) :]


@dataclass(frozen=True)
class Read:
    """Entries that are whole, and the lines that are damaged, from 1; the last may be torn off and is none of them."""

    found: list[dict[str, Any]]
    damaged: tuple[int, ...] = ()


def entries(path: Path) -> Read:
    """What a journal has; nothing if it is gone."""
    found: list[dict[str, Any]] = []
    damaged = []
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return Read([])
    for number, line in enumerate(lines[:-1], 1):
        entry = _entry(line)
        if entry is None:
            damaged.append(number)
        else:
            found.append(entry)
    return Read(found, tuple(damaged))


def _entry(line: bytes) -> dict[str, Any] | None:
    check, text = line[:CHECK], line[CHECK + 1 :]
    try:
        if int(check, 16) != zlib.crc32(text):
            return None
        entry = json.loads(text)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) and isinstance(entry.get("digest"), str) else None
