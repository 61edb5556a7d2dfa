"""Lines of /proc/PID/maps, and of smaps, which has them with more below each."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from core_mm import uapi
from mmarch.errors import InputError

MOST_BYTES, MOST_MAPPINGS = 1 << 26, 1 << 17
_PROT = {"r": uapi.PROT_READ, "w": uapi.PROT_WRITE, "x": uapi.PROT_EXEC}
_LINE = re.compile(r"([0-9a-f]{1,15})-([0-9a-f]{1,15}) ([r-][w-][x-][ps]) ([0-9a-f]{1,15}) (\S+) (\d{1,18}) *(.*)")
_DETAIL = re.compile(r"[A-Z]\w*(?: \w+)*:")


@dataclass(frozen=True)
class Mapping:
    """One line of /proc/PID/maps; `start`, `end` and `offset` in bytes."""

    start: int
    end: int
    prot: int
    shared: bool
    offset: int
    inode: int
    name: str

    @property
    def flags(self) -> int:
        """MAP_* that make such a mapping again."""
        flags = uapi.MAP_SHARED if self.shared else uapi.MAP_PRIVATE
        if not self.inode:
            flags |= uapi.MAP_ANONYMOUS
        if self.name == "[stack]":
            flags |= uapi.MAP_GROWSDOWN | uapi.MAP_STACK
        return flags

    @property
    def special(self) -> bool:
        return self.name.startswith(("[vdso", "[vvar", "[vsyscall"))


def mappings_in(text: str) -> list[Mapping]:
    """All of a text, in its order; other lines are passed over."""
    found = []
    for match in map(_LINE.match, text.splitlines()):
        if match:
            start, end, perms, offset, _, inode, name = match.groups()
            prot = sum(bit for letter, bit in _PROT.items() if letter in perms)
            found.append(Mapping(int(start, 16), int(end, 16), prot, "s" in perms, int(offset, 16), int(inode), name))
    return found


def read_maps(path: Path) -> tuple[Mapping, ...]:
    """A saved /proc/PID/maps or smaps; InputError, with its line, for anything else."""
    try:
        with path.open("rb") as file:
            raw = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    text = raw.decode("utf-8", "replace")
    odd = (
        (number, line) for number, line in enumerate(text.splitlines(), 1)
        if line.strip() and not _LINE.match(line) and not _DETAIL.match(line)
    )  # fmt: skip
    if len(raw) > MOST_BYTES or (first := next(odd, None)):
        where = f":{first[0]}: {first[1][:80]!r} is no line" if len(raw) <= MOST_BYTES and first else ": too long"
        raise InputError(f"{path}{where} of /proc/PID/maps or smaps")
    found = tuple(mappings_in(text))
    bad = [item for item in found if not item.start < item.end or (item.start | item.end) % 4096]
    ends = [0, *(item.end for item in found)]
    if not found or bad or len(found) > MOST_MAPPINGS or any(i.start < e for i, e in zip(found, ends, strict=False)):
        raise InputError(f"{path}: no mappings in ascending order, as /proc/PID/maps has them")
    return found


def kind_of(path: str) -> str:
    """The kind of a file, as far as its name tells."""
    if path == "/dev/zero":
        return "zero"
    if path.startswith(("/dev/shm/", "/memfd:", "/SYSV")):
        return "tmpfs"
    return "device" if path.startswith("/dev/") or ":[" in path or path.startswith("anon_inode:") else "regular"
