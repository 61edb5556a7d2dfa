"""Text of ``perf script`` to a workload: page-faults with addresses, tracepoints, raw system calls.

Call chains are skipped. perf tells no reads from writes (`Reading.access`) unless page_fault_user was recorded too.
"""

from __future__ import annotations

import platform
import re

from mmarch.trace.assumed import UNTOLD, Reading
from mmarch.trace.calls import ARGUMENTS
from mmarch.trace.foreign import Foreign
from mmarch.trace.ftrace import Tracepoints
from mmarch.trace.ftrace_text import TraceError
from mmarch.trace.rows import PAGE
from mmarch.trace.task import ADDRESS_END

LINE = re.compile(
    r"\s*(?:\S.*?\s+)?(?:-?\d+/)?(?P<tid>\d+)\s+(?:\[\d+\]\s+)?(?P<time>\d+\.\d+):\s*"
    r"(?:\d+\s+)?(?:(?P<event>[a-zA-Z][\w-]*(?::[\w-]+)*):(?:\w+:)?)?\s*(?P<body>.*)$"
)
_CHAIN = re.compile(r"\s+[0-9a-f]+ .*\(.*\)\s*$")
_CHAINED = re.compile(r": .*\n\s+[0-9a-f]+ .*\(.*\)\s*$", re.M)
_ADDRESS = re.compile(r"([0-9a-f]{1,16})(?:\s+(?:.*\s)?([0-9a-f]{8,16})\b.*)?$")
_FIRST = re.compile(r"([0-9a-f]{1,16})\b")
_ARCH = re.compile(r"# arch : (\S+)")
_RAW = re.compile(r"NR (\d+)(?: = (-?\d+)| \((.*)\))")
_FAULTS = ("page-faults", "minor-faults", "major-faults", "faults")
NO_ADDRESS = "page faults without their address: record with perf record -d, print with perf script -F +addr"

# numbers of the calls that matter: arch/x86/entry/syscalls/syscall_64.tbl, include/uapi/asm-generic/unistd.h
_X86 = {
    9: "mmap", 10: "mprotect", 11: "munmap", 12: "brk", 25: "mremap", 26: "msync", 28: "madvise", 59: "execve",
    77: "ftruncate", 322: "execveat", 329: "pkey_mprotect",
}  # fmt: skip
_GENERIC = {
    46: "ftruncate", 214: "brk", 215: "munmap", 216: "mremap", 221: "execve", 222: "mmap", 226: "mprotect",
    227: "msync", 233: "madvise", 281: "execveat", 288: "pkey_mprotect",
}  # fmt: skip
CALLS = {"x86_64": _X86, "aarch64": _GENERIC, "arm64": _GENERIC, "riscv64": _GENERIC, "loongarch64": _GENERIC}


def _has_faults(head: str) -> bool:
    """Also where no event is named: addresses alone are of page faults."""
    return any(word in head for word in (*_FAULTS, "page_fault_")) or "sys_" not in head


class PerfScript(Foreign):
    """A reader of the output of ``perf script``."""

    FORMAT = "perf script"

    def __init__(self, reading: Reading, head: str = "") -> None:
        """`head`: the beginning of the text, which tells whether there are page faults."""
        super().__init__(reading, faults=_has_faults(head))
        self.points = Tracepoints(self.tasks)
        self.chained = bool(_CHAINED.search(head))  # then an event's own line has no instruction pointer
        self.machine = platform.machine()
        self.exact = False  # page_fault_user tells how; page-faults beside it would tell everything twice

    def facts(self) -> dict[str, str]:
        if self.exact:
            return {}
        return {"assumed access": f"{self.reading.access}: perf does not tell reads from writes"}

    def line(self, text: str, number: int) -> None:
        """One line; a call chain follows its event, with blank lines after it."""
        if not text.strip() or _CHAIN.match(text):
            return
        if text.startswith("#"):
            if found := _ARCH.match(text):
                self.machine = found[1]
            return
        match = LINE.match(text)
        if match is None:
            raise ValueError(text)
        self.rows.now = float(match["time"])
        self._event(match["tid"], match["event"] or "page-faults", match["body"], number)

    def _event(self, tid: str, event: str, body: str, number: int) -> None:
        name = event.rpartition(":")[2]
        if body.startswith("PERF_RECORD_"):
            self.rows.ignored["perf's own records"] += 1
            return
        if name in _FAULTS or event in _FAULTS:
            self._fault(tid, body, number)
        elif name in ("page_fault_user", "page_fault_kernel"):
            self.exact = True
            self.points.fault(tid, body, number)
            self.used += 1
        elif event.startswith("raw_syscalls:"):
            self._raw(tid, name, body, number)
        else:
            self.points.event(tid, name, ": ", body, number)
            self.used += name.startswith(("sys_e", "sched_process", "task_"))

    def _fault(self, tid: str, body: str, number: int) -> None:
        match = (_FIRST if self.chained else _ADDRESS).match(body)
        if match is None or not (self.chained or match[2] or len(body.split()) == 1):
            raise TraceError(NO_ADDRESS)
        address = int(match[1], 16) & -PAGE
        if self.exact or address >= ADDRESS_END:
            self.rows.ignored["page-faults that the tracepoint tells too" if self.exact else "kernel"] += 1
            return
        self.tasks.touch(self.tasks.get(tid, number), address, UNTOLD, number)
        self.used += 1

    def _raw(self, tid: str, name: str, body: str, number: int) -> None:
        match = _RAW.match(body)
        if match is None or (name, match[3] is None) not in (("sys_enter", False), ("sys_exit", True)):
            raise ValueError(body)
        call = CALLS.get(self.machine, {}).get(int(match[1]))
        if call is None:
            self.rows.ignored["system calls that map nothing"] += 1
        elif name == "sys_enter":
            args = tuple(int(word, 16) for word in match[3].split(","))
            self.calls.enter(tid, call, args[: ARGUMENTS.get(call, 0)], number)
        else:
            result = int(match[2])
            self.calls.exit(tid, call, result if result >= 0 else None, number)
            self.used += 1
