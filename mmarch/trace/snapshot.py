"""What a stopped task has mapped, and which file is behind it, as records for the timeline.

The records (numbers in hex but for counts) are the recorder's and the importer's private format:

    mmarch_file: file=N size=BYTES kind=KIND        a file first seen, or its size when it changed
    mmarch_fd: pid=P file=N                         the file of the system call that follows
    mmarch_exec: pid=P start_brk=ADDR               a new image; its parts follow
    mmarch_vma: pid=P start=A end=B prot=X flags=X file=N|-1 off=BYTES
    mmarch_special: pid=P start=A end=B             vdso, vvar: pages of the kernel's own
    mmarch_present: pid=P start=A pages=COUNT       private anonymous pages execve wrote itself
    mmarch_exec_end: pid=P
    mmarch_running: pid=P start_brk=ADDR brk=ADDR   what runs already; parts follow, and the end, as of an image
    mmarch_mapped: pid=P start=A pages=COUNT        other pages that it has in its tables
    mmarch_thread: pid=T                            another thread of what runs already, after its end
"""

from __future__ import annotations

import ctypes
import os
import stat
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from core_mm import uapi
from mmarch.trace.machines import page_size
from mmarch.trace.maps import Mapping, mappings_in

Emit = Callable[[str], None]

PAGE = page_size()
USER_END = 1 << 63
MOST = 1 << 16  # pages in one record
_PRESENT, _FILE_OR_SHARED = 1 << 63, 1 << 61
_MAGIC = {0x01021994: "tmpfs", 0xEF53: "ext4", 0x858458F6: "ramfs", 0x958458F6: "hugetlbfs"}
_START_BRK = 47 - 1
_libc = ctypes.CDLL(None, use_errno=True)


def mappings(pid: int) -> list[Mapping]:
    """The address space of `pid`, ascending."""
    return mappings_in(Path(f"/proc/{pid}/maps").read_text(errors="replace"))


def _kind(path: str, info: os.stat_result) -> str:
    """The kind of page cache behind an open file."""
    if stat.S_ISCHR(info.st_mode):
        return "zero" if info.st_rdev == os.makedev(1, 5) else "device"
    buffer = ctypes.create_string_buffer(512)
    if _libc.statfs(path.encode(), buffer):
        return "regular"
    return _MAGIC.get(struct.unpack_from("=q", buffer.raw)[0], "regular")


@dataclass
class Files:
    """Numbers for files in order of appearance. Each is held open, so that its inode is not reused."""

    emit: Emit
    _numbers: dict[tuple[int, int], int] = field(default_factory=dict)
    _told: list[tuple[int, int]] = field(default_factory=list)  # size, and when the file was last changed
    _kinds: list[str] = field(default_factory=list)
    _held: dict[int, int] = field(default_factory=dict)

    def number(self, path: str) -> int:
        """The number of the open file behind a /proc link; OSError when there is none."""
        info = os.stat(path)
        key = (info.st_dev, info.st_ino)
        known = self._numbers.get(key)
        if known is None:
            known = self._numbers[key] = len(self._told)
            self._told.append((-1, 0))
            self._kinds.append(_kind(path, info))
            with suppress(OSError):
                self._held[known] = os.open(path, os.O_PATH | os.O_CLOEXEC)
        self._tell(known, info)
        return known

    def _tell(self, number: int, info: os.stat_result) -> None:
        """Its size; the same one again if it may have been another meanwhile: a write is in no trace."""
        now = info.st_size, info.st_ctime_ns
        if self._told[number] != now:
            self._told[number] = now
            self.emit(f"mmarch_file: file={number} size={info.st_size} kind={self._kinds[number]}")

    def close(self) -> None:
        """Say the final sizes, and let the files go."""
        for number, descriptor in self._held.items():
            self._tell(number, os.fstat(descriptor))
            os.close(descriptor)
        self._held.clear()


def start_brk(pid: int) -> int:
    """Where the heap begins (/proc/PID/stat, start_brk)."""
    fields = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    after_comm = fields[fields.rindex(")") + 2 :].split()
    return int(after_comm[_START_BRK - 2])


Chosen = Callable[[int], bool]


def _anonymous(word: int) -> bool:
    return bool(word & _PRESENT) and not word & _FILE_OR_SHARED


def _other(word: int) -> bool:
    return bool(word & _PRESENT) and bool(word & _FILE_OR_SHARED)


def _any(word: int) -> bool:
    return bool(word & _PRESENT)


def _runs(words: Iterable[int], chosen: Chosen) -> Iterator[tuple[int, int]]:
    """(first, count) of each run of pages whose pagemap words are chosen, at most MOST long."""
    first, index = -1, 0
    for index, word in enumerate((*words, 0)):
        held = chosen(word)
        if first >= 0 and (not held or index - first == MOST):
            yield first, index - first
            first = -1
        if held and first < 0:
            first = index


def present(pid: int, mapping: Mapping, chosen: Chosen = _anonymous) -> Iterator[tuple[int, int]]:
    """(address, pages) of pages that are present in `mapping`; the private anonymous ones if nothing else is chosen."""
    with open(f"/proc/{pid}/pagemap", "rb") as pagemap:
        for start in range(mapping.start, mapping.end, MOST * PAGE):
            pages = min(MOST, (mapping.end - start) // PAGE)
            pagemap.seek(start // PAGE * 8)
            data = pagemap.read(pages * 8)
            for first, count in _runs(struct.unpack(f"={len(data) // 8}Q", data), chosen):
                yield start + first * PAGE, count


def _emit_vma(pid: int, mapping: Mapping, files: Files, emit: Emit) -> None:
    where = f"pid={pid} start={mapping.start:#x} end={mapping.end:#x}"
    if mapping.special:
        emit(f"mmarch_special: {where}")
        return
    file = -1
    if mapping.inode:
        file = files.number(f"/proc/{pid}/map_files/{mapping.start:x}-{mapping.end:x}")
    what = f"prot={mapping.prot:#x} flags={mapping.flags:#x} file={file} off={mapping.offset:#x}"
    emit(f"mmarch_vma: {where} {what}")


def emit_exec(pid: int, files: Files, emit: Emit) -> None:
    """Describe the image that execve has just mapped, before its first instruction."""
    image = [mapping for mapping in mappings(pid) if mapping.start < USER_END]
    emit(f"mmarch_exec: pid={pid} start_brk={start_brk(pid):#x}")
    for mapping in image:
        _emit_vma(pid, mapping, files, emit)
    for mapping in image:
        if not mapping.special and mapping.prot & uapi.PROT_WRITE:
            _emit_pages("mmarch_present", pid, present(pid, mapping), emit)
    emit(f"mmarch_exec_end: pid={pid}")


def _emit_pages(kind: str, pid: int, runs: Iterable[tuple[int, int]], emit: Emit) -> None:
    for start, pages in runs:
        emit(f"{kind}: pid={pid} start={start:#x} pages={pages}")


def _emit_touched(pid: int, mapping: Mapping, emit: Emit) -> None:
    """As accesses that the mapping permits."""
    if mapping.prot & uapi.PROT_WRITE:
        _emit_pages("mmarch_present", pid, present(pid, mapping), emit)
        _emit_pages("mmarch_mapped", pid, present(pid, mapping, _other), emit)
    elif mapping.prot & uapi.PROT_READ:
        _emit_pages("mmarch_mapped", pid, present(pid, mapping, _any), emit)


def emit_running(pid: int, threads: Sequence[int], files: Files, emit: Emit) -> None:
    """Describe what a process that is stopped has mapped and touched, and its other threads."""
    image = [mapping for mapping in mappings(pid) if mapping.start < USER_END]
    heap = max((mapping.end for mapping in image if mapping.name == "[heap]"), default=0)
    emit(f"mmarch_running: pid={pid} start_brk={start_brk(pid):#x} brk={heap or start_brk(pid):#x}")
    for mapping in image:
        if mapping.name != "[heap]":
            _emit_vma(pid, mapping, files, emit)
    for mapping in image:
        if not mapping.special:
            _emit_touched(pid, mapping, emit)
    emit(f"mmarch_exec_end: pid={pid}")
    for thread in threads:
        emit(f"mmarch_thread: pid={thread}")
