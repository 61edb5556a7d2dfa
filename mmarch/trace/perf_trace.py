"""Output of ``perf trace -F all`` to a workload: system calls with named arguments, and faults.

perf trace prints an address in a file as the file and an offset, which no mapping of ours has, and leaves out
arguments that are zero; it tells no reads from writes.
"""

from __future__ import annotations

import re

from core_mm import uapi
from mmarch.trace.assumed import UNTOLD, Reading
from mmarch.trace.calls import ARGUMENTS
from mmarch.trace.foreign import Foreign
from mmarch.trace.rows import PAGE
from mmarch.trace.strace import NAMES
from mmarch.trace.task import ADDRESS_END

LINE = re.compile(r"\s*(\d+\.\d+) \(\s*(?:\d+\.\d+ ms)?\s*\): (?:.*?/)?(\d+) (.*)$")
_FAULT = re.compile(r"(?:min|maj)fault \[.*\] => (?:(.*@)?0x([0-9a-f]+))")
_CALL = re.compile(r"(\w+)\((.*)\)\s+= (-?(?:0x[0-9a-f]+|\d+))")
_FIELDS = {
    "mmap": ("addr", "len", "prot", "flags", "fd", "off"), "munmap": ("addr", "len"), "brk": ("brk",),
    "mprotect": ("start", "len", "prot"), "pkey_mprotect": ("start", "len", "prot", "pkey"),
    "madvise": ("start", "len_in", "behavior"), "msync": ("start", "len", "flags"), "ftruncate": ("fd", "length"),
    "mremap": ("addr", "old_len", "new_len", "flags", "new_addr"),
}  # fmt: skip
_PREFIXES = {"prot": "PROT_", "behavior": "MADV_"}


class PerfTrace(Foreign):
    """A reader of perf trace's output."""

    FORMAT = "perf trace"

    def __init__(self, reading: Reading, head: str = "") -> None:
        """`head`: the beginning of the text, which tells whether faults were asked for."""
        super().__init__(reading, faults=not head or "fault [" in head)

    def facts(self) -> dict[str, str]:
        return {"assumed access": f"{self.reading.access}: perf does not tell reads from writes"}

    def line(self, text: str, number: int) -> None:
        """A call that ended, or a fault; the beginning of one that another interrupted is passed over."""
        match = LINE.match(text)
        if match is None:
            if text.strip():
                raise ValueError(text)
            return
        pid, rest = match[2], match[3]
        self.rows.now = float(match[1]) / 1e3
        if found := _FAULT.match(rest):
            self._fault(pid, found[1], int(found[2], 16), number)
        elif found := _CALL.search(rest):
            self._call(pid, found[1], found[2], int(found[3], 0), number)
        elif "..." not in rest:
            raise ValueError(text)

    def _fault(self, pid: str, file: str | None, address: int, number: int) -> None:
        if file or address >= ADDRESS_END:
            self.rows.ignored["faults in files, whose address perf trace does not print"] += 1
            return
        self.tasks.touch(self.tasks.get(pid, number), address & -PAGE, UNTOLD, number)
        self.used += 1

    def _call(self, pid: str, name: str, text: str, result: int, number: int) -> None:
        if name not in ARGUMENTS:
            self.rows.ignored["system calls that map nothing"] += 1
            return
        given = dict(part.split(": ", 1) for part in text.split(", ") if ": " in part)
        args = [_number(field, given.get(field, "0")) for field in _FIELDS[name]]
        if name == "mmap" and "fd" not in given:
            args[4] = -1
            args[3] |= uapi.MAP_ANONYMOUS
        self.calls.enter(pid, name, tuple(args), number)
        self.calls.exit(pid, name, result if result >= 0 else None, number)
        self.used += 1


def _number(field: str, text: str) -> int:
    """A number, or names joined by ``|`` without their prefix; ValueError for another."""
    total = 0
    for word in text.strip("<>").split("|"):
        if field == "fd":
            word = word.split("<")[0]
        prefix = _PREFIXES.get(field, "MREMAP_" if word.endswith(("MAYMOVE", "DONTUNMAP")) else "MAP_")
        if word in NAMES or prefix + word in NAMES:
            total |= NAMES.get(word, NAMES.get(prefix + word, 0))
        elif word != "NONE":
            total |= int(word, 0)
    return total
