"""A probe on ``handle_mm_fault`` as page faults: its address, flags and registers, by whatever name it was made.

It is called for more than faults: get_user_pages() calls it without registers; and again for one
fault, if the first try had to wait or to take another lock (mm/memory.c:handle_mm_fault).
"""

from __future__ import annotations

import re
from collections import Counter

from core_mm import uapi
from mmarch.trace.ftrace_text import TraceError, shown

FUNCTION = "(handle_mm_fault+"
WRITE, TRIED, INSTRUCTION, VMA_LOCK = 1, 1 << 5, 1 << 8, 1 << 12  # enum fault_flag, include/linux/mm_types.h
_FIELD = re.compile(r"\b(address|flags|regs)=(?:0x)?([0-9a-f]{1,16})\b")
GUP = "handle_mm_fault for get_user_pages (no registers)"
AGAIN = "handle_mm_fault tried again"


class Probed:
    """The calls of a trace, one after the other; `ignored` counts those that are no faults of their own."""

    def __init__(self, ignored: Counter[str]) -> None:
        self.ignored = ignored
        self._last: dict[str, tuple[int, int, int]] = {}

    def __bool__(self) -> bool:
        """Whether there was any."""
        return bool(self._last)

    def interrupted(self, pid: str) -> None:
        """The task did something else: what comes next is not the same fault."""
        if pid in self._last:
            self._last[pid] = (0, 0, 0)

    def fault(self, pid: str, body: str) -> tuple[int, int] | None:
        """(address, `uapi.ACCESS_*`) of a call, None if it is no fault of its own; TraceError if it lacks a field."""
        found = {name: int(value, 16) for name, value in _FIELD.findall(body)}
        if len(found) < 3:
            raise TraceError(
                f"a probe without address, flags and regs: {shown(body)}; make it with: "
                "p handle_mm_fault address=$arg2:x64 flags=$arg3:x32 regs=$arg4:x64"
            )
        if not found["regs"]:
            self.ignored[GUP] += 1
            return None
        address, flags = found["address"], found["flags"]
        access = access_of(flags)
        before, self._last[pid] = self._last.get(pid), (address, access, flags)
        if (
            before
            and before[:2] == (address, access)
            and (flags & TRIED or before[2] & VMA_LOCK > flags & VMA_LOCK)
        ):
            self.ignored[AGAIN] += 1
            return None
        return address, access


def access_of(flags: int) -> int:
    """What FAULT_FLAG_* say of an access."""
    if flags & WRITE:
        return uapi.ACCESS_WRITE
    return uapi.ACCESS_EXEC if flags & INSTRUCTION else uapi.ACCESS_READ
