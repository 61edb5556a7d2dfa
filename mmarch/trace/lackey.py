"""Output of valgrind --tool=lackey --trace-mem=yes --trace-syscalls=yes to a workload: every access, folded by page.

An access to a page that was accessed so since the last system call says nothing new to page tables, and is left out.
"""

from __future__ import annotations

import re

from core_mm import uapi
from mmarch.trace.assumed import Reading
from mmarch.trace.calls import ARGUMENTS
from mmarch.trace.foreign import Foreign
from mmarch.trace.rows import PAGE
from mmarch.trace.task import ADDRESS_END

ACCESS = re.compile(r"(?:(I)  ?| ([LSM]) )([0-9a-f]{1,16}),\d+$")
_CALL = re.compile(
    r"SYSCALL\[(\d+),\d+\]\(\s*\d+\) sys_(\w+)\s*\((.*?)\).*-->.*Success\(0x([0-9a-f]+)(?::0x[0-9a-f]+)?\)"
)
_KINDS = {"I": uapi.ACCESS_EXEC, "L": uapi.ACCESS_READ, "S": uapi.ACCESS_WRITE, "M": uapi.ACCESS_WRITE}
ALONE = "0"  # lackey tells accesses from no task


class Lackey(Foreign):
    """A reader of lackey's output."""

    FORMAT = "valgrind lackey"

    def __init__(self, reading: Reading) -> None:
        super().__init__(reading, faults=True)
        self.seen: set[tuple[int, int]] = set()

    def line(self, text: str, number: int) -> None:
        """An access, a system call, or what Valgrind says of itself."""
        if match := ACCESS.match(text):
            self._access(_KINDS[match[1] or match[2]], int(match[3], 16), number)
        elif match := _CALL.match(text):
            self._call(match[2], match[3], int(match[4], 16), number)
        elif text.strip() and not text.startswith(("==", "--", "SYSCALL", "**", "  ", " -->")):
            raise ValueError(text)

    def _access(self, access: int, address: int, number: int) -> None:
        page = address & -PAGE
        if (page, access) in self.seen or page >= ADDRESS_END:
            self.rows.ignored["accesses to a page accessed before"] += 1
            return
        self.seen.add((page, access))
        self.tasks.touch(self.tasks.get(ALONE, number), page, access, number)
        self.used += 1

    def _call(self, name: str, text: str, result: int, number: int) -> None:
        if name not in ARGUMENTS:
            self.rows.ignored["system calls that map nothing"] += 1
            return
        args = [int(word, 0) for word in text.split(",")]
        args += [0] * (ARGUMENTS[name] - len(args))
        self.seen.clear()
        self.calls.enter(ALONE, name, tuple(args), number)
        self.calls.exit(ALONE, name, result, number)
        self.used += 1
