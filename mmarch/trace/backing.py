"""Files that a trace maps."""

from __future__ import annotations

from core_mm import uapi
from mmarch.trace.ftrace_text import TraceError, shown
from mmarch.workload import File

_KINDS = {
    "regular": uapi.FILE_REGULAR,
    "tmpfs": uapi.FILE_TMPFS,
    "ext4": uapi.FILE_EXT4,
    "ramfs": uapi.FILE_RAMFS,
    "zero": uapi.FILE_REGULAR,
    "device": uapi.FILE_REGULAR,
    "hugetlbfs": uapi.FILE_REGULAR,
}


class Files:
    """Files by the recorder's numbers."""

    def __init__(self) -> None:
        self.index: dict[int | str, int] = {}
        self.kinds: list[str] = []
        self.size: list[int] = []
        self.largest: list[int] = []
        self.shrunk: set[int] = set()

    def learn(self, number: int | str, size: int, kind: str) -> int:
        """The index of a file of which a size was recorded."""
        if kind not in _KINDS:
            raise TraceError(f"file kind {shown(kind)} is not one of {', '.join(_KINDS)}")
        index = self.index.setdefault(number, len(self.size))
        if index == len(self.size):
            self.kinds.append(kind)
            self.size.append(size)
            self.largest.append(size)
        return index

    def resize(self, index: int, size: int) -> bool:
        """Note a size; whether it has to be replayed, as a shrink and any growth after one have to."""
        if size < self.size[index]:
            self.shrunk.add(index)
        changed = size != self.size[index]
        self.size[index] = size
        self.largest[index] = max(size, self.largest[index])
        return changed and index in self.shrunk

    def seen(self, name: str, size: int, kind: str = "regular") -> int:
        """The index of a file of which no size was recorded: it has at least `size` bytes."""
        index = self.learn(name, size, kind)
        self.largest[index] = max(size, self.largest[index])
        return index

    def find(self, number: int) -> int:
        index = self.index.get(number)
        if index is None:
            raise TraceError(f"file {number} has no mmarch_file record before this")
        return index

    def result(self) -> tuple[File, ...]:
        """Backing files with the largest size each had: growth by write is not in a trace."""
        return tuple(File(_KINDS[kind], size) for kind, size in zip(self.kinds, self.largest, strict=True))
