"""Lines of /proc/PID/maps, and of smaps, which has them with more below each."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core_mm import uapi
from mmarch.errors import InputError

PAGE = 4096
MOST_BYTES, MOST_MAPPINGS = 1 << 26, 1 << 17
_PROT = {"r": uapi.PROT_READ, "w": uapi.PROT_WRITE, "x": uapi.PROT_EXEC}
_LINE = re.compile(r"([0-9a-f]{1,15})-([0-9a-f]{1,15}) ([r-][w-][x-][ps]) ([0-9a-f]{1,15}) (\S+) (\d{1,18}) *(.*)")
_KERNEL = re.compile(r"f{8}[0-9a-f]{8}-f{8}")  # [vsyscall] of x86
_FLAGS = re.compile(r"VmFlags: ((?:[a-z?]{2} ?)*)")
_ADVICE = {"hg": uapi.MADV_HUGEPAGE, "nh": uapi.MADV_NOHUGEPAGE}
PAGEMAP = ".pagemap"
PRESENT, OF_FILE = np.uint64(1 << 63), np.uint64(1 << 61)  # Documentation/admin-guide/mm/pagemap.rst
_DETAIL = re.compile(r"[A-Z]\w*(?: \w+)*:")


@dataclass(frozen=True)
class Mapping:
    """One line of /proc/PID/maps; `start`, `end` and `offset` in bytes.

    advice  MADV_* that smaps shows to have been given
    there   (address, pages, whether they are anonymous) of each run of pages that pagemap shows to be mapped
    """

    start: int
    end: int
    prot: int
    shared: bool
    offset: int
    inode: int
    name: str
    advice: tuple[int, ...] = ()
    there: tuple[tuple[int, int, bool], ...] = ()

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
    """All of a text, in its order; of smaps also the advice; other lines are passed over."""
    found: list[Mapping] = []
    for line in text.splitlines():
        if found and (said := _FLAGS.match(line)):
            advice = tuple(_ADVICE[flag] for flag in said[1].split() if flag in _ADVICE)
            found[-1] = replace(found[-1], advice=advice)
        if match := _LINE.match(line):
            start, end, perms, offset, _, inode, name = match.groups()
            prot = sum(bit for letter, bit in _PROT.items() if letter in perms)
            found.append(Mapping(int(start, 16), int(end, 16), prot, "s" in perms, int(offset, 16), int(inode), name))
    return found


def read_maps(path: Path) -> tuple[Mapping, ...]:
    """A saved /proc/PID/maps or smaps, and its pagemap where that lies beside it; InputError for anything else.

    The pagemap, FILE.pagemap, has what /proc/PID/pagemap has for each of the mappings, one after the other.
    """
    raw = _bytes(path)
    text = raw.decode("utf-8", "replace")
    odd = (
        (number, line) for number, line in enumerate(text.splitlines(), 1)
        if line.strip() and not any(form.match(line) for form in (_LINE, _DETAIL, _KERNEL))
    )  # fmt: skip
    if len(raw) > MOST_BYTES or (first := next(odd, None)):
        where = f":{first[0]}: {first[1][:80]!r} is no line" if len(raw) <= MOST_BYTES and first else ": too long"
        raise InputError(f"{path}{where} of /proc/PID/maps or smaps")
    found = tuple(mappings_in(text))
    bad = [item for item in found if not item.start < item.end or (item.start | item.end) % 4096]
    ends = [0, *(item.end for item in found)]
    if not found or bad or len(found) > MOST_MAPPINGS or any(i.start < e for i, e in zip(found, ends, strict=False)):
        raise InputError(f"{path}: no mappings in ascending order, as /proc/PID/maps has them")
    beside = path.with_name(path.name + PAGEMAP)
    return _with_pages(found, beside, _bytes(beside)) if beside.exists() else found


def _bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MOST_BYTES + 1)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error


def _with_pages(mappings: tuple[Mapping, ...], path: Path, raw: bytes) -> tuple[Mapping, ...]:
    """What a pagemap says of them."""
    counts = [(mapping.end - mapping.start) // PAGE for mapping in mappings]
    if len(raw) != 8 * sum(counts):
        raise InputError(
            f"{path}: {len(raw)} bytes; the mappings have {sum(counts)} pages, which are {8 * sum(counts)} bytes"
        )
    words = np.split(np.frombuffer(raw, np.uint64), np.cumsum(counts)[:-1])
    return tuple(replace(mapping, there=_runs(mapping, own)) for mapping, own in zip(mappings, words, strict=True))


def _runs(mapping: Mapping, words: NDArray[np.uint64]) -> tuple[tuple[int, int, bool], ...]:
    """Pages that are there, like neighbours together."""
    kinds = np.where(words & PRESENT, 1 + (words & OF_FILE == 0), 0)
    borders = np.flatnonzero(np.diff(kinds, prepend=-1, append=-1)).tolist()
    return tuple(
        (mapping.start + first * PAGE, last - first, bool(kinds[first] == 2))
        for first, last in itertools.pairwise(borders) if kinds[first]
    )  # fmt: skip


def kind_of(path: str) -> str:
    """The kind of a file, as far as its name tells."""
    if path == "/dev/zero":
        return "zero"
    if path.startswith(("/dev/shm/", "/memfd:", "/SYSV")):
        return "tmpfs"
    return "device" if path.startswith("/dev/") or ":[" in path or path.startswith("anon_inode:") else "regular"
