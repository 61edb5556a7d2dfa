"""Raw ftrace text to a workload.

Reads what `mmarch record` writes, and any ftrace or ``trace-cmd report`` text that has the same
records. Every recorded fault becomes a touch: whether it faults in the twin is the twin's matter.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from core_mm import uapi
from mmarch.trace import error_code
from mmarch.trace.assumed import Assumed, Reading
from mmarch.trace.calls import ARGUMENTS, ERRNO_MIN, SYSV, Syscalls
from mmarch.trace.ftrace_text import (
    HEADS,
    MAX_TEXT,
    OddLine,
    Preamble,
    TraceError,
    lines,
    named,
    shown,
    words,
)
from mmarch.trace.packed import Damaged
from mmarch.trace.probed import FUNCTION, Probed
from mmarch.trace.records import Records, fields
from mmarch.trace.rows import MANY, PAGE, ROW, Rows
from mmarch.trace.task import ADDRESS_END, State
from mmarch.trace.tasks import Tasks
from mmarch.trace.unread import Cut, Unread
from mmarch.workload import Workload

_SYMBOL = re.compile(r"address=[A-Za-z_][\w.]*(?: \[\w+\])? ip=\S+ error_code=0x([0-9a-f]{1,8})\s*$")
_FAULT = re.compile(r"address=0x([0-9a-f]{1,16}) ip=\S+ error_code=0x([0-9a-f]{1,8})\s*$")
# of riscv64
_CAUSE = re.compile(r"\w+ page fault, address=0x([0-9a-f]{1,16}) epc=\S+ cause=0x([0-9a-f]{1,8})\s*$")
_ARGUMENT = re.compile(r"\b(?!__syscall_nr|nr=)\w+(?:: |=)(?:0x)?([0-9a-f]{1,16})\b")
_RESULT = re.compile(r"(?:(?:__syscall_)?nr=\d+ )?(?:ret=|->)?\s*(?:0x)?([0-9a-f]{1,16})\b")
_NEWTASK = re.compile(r"pid=(\d+) comm=.* clone_flags=(?:0x)?([0-9a-f]+)")
_EXECED = re.compile(r"pid=(\d+) old_pid=(\d+)$")
_SIGNALLED = re.compile(r"sig=(\d+) errno=\S+ code=(-?\d+) comm=.* pid=(\d+)")
MAX_LINES = 1 << 27
_SHAPE = ": page_fault_user: address=0x"
LATEST = 1e10  # seconds; a time beyond is none
MOST_HEADS = 1 << 16

_SILENT = words(
    "sched_process_fork sched_process_wait sched_process_free sched_process_hang sched_switch sched_wakeup "
    "sched_wakeup_new sched_waking sched_migrate_task sched_stat_runtime task_rename rss_stat tlb_flush "
    "mm_page_alloc mm_page_free mm_page_free_batched mm_page_alloc_zone_locked mm_page_pcpu_drain "
    "mm_page_alloc_extfrag mm_filemap_add_to_page_cache mm_filemap_delete_from_page_cache mm_filemap_fault "
    "mm_filemap_map_pages mm_filemap_get_pages mm_lru_insertion mm_lru_activate vm_unmapped_area "
    "mmap_lock_start_locking mmap_lock_acquire_returned mmap_lock_released signal_deliver sys_enter sys_exit "
    "kmalloc kfree kmem_cache_alloc kmem_cache_free"
)

Handler = Callable[[str, str, int], None]


class Tracepoints:
    """One pass over a trace: what each tracepoint means."""

    def __init__(self, tasks: Tasks | None = None, salvage: bool = False) -> None:
        """`salvage`: take what stands before the first damage."""
        self.tasks = tasks = tasks or Tasks(Rows())
        self.rows = tasks.rows
        self.syscalls = Syscalls(self.tasks, self.rows)
        self.preamble = Preamble()
        self.access: dict[str, int] = {}
        self.probed = Probed(self.rows.ignored)
        self.recorded_page_size = 0
        self.cut = Cut(salvage)
        self.heads = list(HEADS)
        self.pids: dict[str, str] = {}
        self.events = 0
        self.unread: Unread | None = None
        self.lenient = False
        self.handlers: dict[str, Handler] = {
            "task_newtask": self._newtask,
            "sched_process_exec": self._execed,
            "sched_process_exit": lambda pid, _body, line: tasks.exited(pid, line),
            "sched_prepare_exec": lambda pid, _body, line: tasks.prepare_exec(pid, line),
            "exit_mmap": lambda pid, _body, line: tasks.old_mm_leaves(pid, line),
            "signal_generate": self._signalled,
            "tracing_mark_write": self._mark,
            "print": self._mark,
            "page_fault_user": self._kernel_fault,
            "page_fault_kernel": self._kernel_fault,
        }
        self.records = Records(tasks, self.rows).handlers

    def assume(self, reading: Reading, faults: bool) -> Assumed:
        """Take what is not shown as `reading` says; without this it is an error."""
        self.tasks.assumed = Assumed(self.rows, reading, faults)
        self.unread, self.lenient = Unread(), reading.lenient
        return self.tasks.assumed

    def fault(self, pid: str, body: str, line: int) -> None:
        """A page fault of a tracepoint, with address and error code."""
        match = _FAULT.match(body)
        if match is None:
            self._kernel_fault(pid, body, line)
            return
        error = match[2]
        access = self.access[error] if error in self.access else self._access(error)
        self.tasks.get(pid, line)
        self._odd_fault(pid, int(match[1], 16) & -PAGE, access, line)

    def _mark(self, _pid: str, body: str, line: int) -> None:
        kind, _, rest = body.partition(":")
        handler = self.records.get(kind)
        if handler is not None:
            handler(fields(rest), line)
        elif kind.startswith("mmarch_"):
            raise TraceError(f"unknown record {shown(body)}")
        else:
            self.rows.ignored["tracing_mark_write"] += 1

    def _newtask(self, pid: str, body: str, line: int) -> None:
        match = _NEWTASK.match(body)
        if match is None:
            raise OddLine(f"task_newtask without pid and clone_flags: {shown(body)}")
        self.tasks.newtask(pid, match[1], int(match[2], 16), line)

    def _execed(self, _pid: str, body: str, line: int) -> None:
        match = _EXECED.search(body)
        if match is None:
            raise OddLine(f"sched_process_exec without pid and old_pid: {shown(body)}")
        self.tasks.execed(match[1], match[2], line)

    def _signalled(self, pid: str, body: str, _line: int) -> None:
        """A code below 0x80 is of the fault handler, which asks for a page only what a mapping permits."""
        match = _SIGNALLED.match(body)
        refused = ("7",) if self.probed else ("7", "11")  # what is answered with SIGSEGV is not probed
        by_fault = match is not None and match[3] == pid and 0 < int(match[2]) < 0x80 and match[1] in refused
        if not (by_fault and self.tasks.signalled(pid)):
            self.rows.ignored["signal_generate"] += 1

    def _enter(self, pid: str, name: str, body: str, line: int) -> None:
        wanted = ARGUMENTS.get(name) or SYSV.get(name, 0)
        args = tuple(int(value, 16) for value in _ARGUMENT.findall(body)) if wanted else ()
        if len(args) < wanted:
            raise OddLine(f"{name} has {wanted} arguments, found {len(args)} in {shown(body)}")
        self.syscalls.enter(pid, name, args, line)

    def _exit(self, pid: str, name: str, body: str, line: int) -> None:
        match = _RESULT.match(body)
        if match is None:
            raise OddLine(f"{name} ends without a result: {shown(body)}")
        value = int(match[1], 16)
        self.syscalls.exit(pid, name, None if value >= ERRNO_MIN else value, line)

    def _kernel_fault(self, pid: str, body: str, line: int) -> None:
        """A fault whose address ftrace printed as a symbol: the kernel's own, so no program made it."""
        if match := _CAUSE.match(body):
            access = error_code.access(int(match[2], 16), error_code.RISCV)
            self._odd_fault(pid, int(match[1], 16) & -PAGE, access, line)
            return
        match = _SYMBOL.match(body)
        if match is None or int(match[1], 16) & error_code.PF_USER:
            raise OddLine(f"page fault without a numeric address and error_code: {shown(body)}")
        self.rows.ignored["fault at a kernel address"] += 1

    def _access(self, error: str) -> int:
        access = error_code.access(int(error, 16), self.preamble.facts.get("arch", ""))
        return self.access.setdefault(error, access)

    def check_end(self, events: int) -> None:
        """TraceError unless all events are here, and some of them replay."""
        if self.unread and self.unread.kinds and not self.rows.some:
            self.unread.check(0, self.lenient)
        self.preamble.check_end(events)
        if not self.rows.some:
            kinds = ", ".join(f"{name} {count}" for name, count in self.rows.ignored.most_common(4))
            raise TraceError(f"no event here can be replayed ({kinds}); record with: mmarch record")
        if self.unread:
            self.unread.check(self.rows.base + len(self.rows.lines), self.lenient)

    def event(self, pid: str, name: str, separator: str, body: str, line: int) -> None:
        """Anything but a page fault at a user address."""
        if body.startswith(FUNCTION):
            self._probe(pid, body, line)
            return
        self.probed.interrupted(pid)
        handler = self.handlers.get(name)
        if handler is not None:
            handler(pid, body, line)
        elif name in _SILENT:
            self.rows.ignored[name] += 1
        elif name.startswith("sys_enter_"):
            self._enter(pid, name.removeprefix("sys_enter_"), body, line)
        elif name.startswith("sys_exit_") and separator != "(":
            self._exit(pid, name.removeprefix("sys_exit_"), body, line)
        elif name.startswith("sys_") and separator == "(":
            self._enter(pid, name.removeprefix("sys_"), body, line)
        elif name.startswith("sys_") and separator == " -> ":
            self._exit(pid, name.removeprefix("sys_"), body, line)
        elif self.tasks.assumed:
            self.rows.ignored[name] += 1
        else:
            raise TraceError(f"unknown event {name!r}: whether it changes page tables is not known")

    def _probe(self, pid: str, body: str, line: int) -> None:
        fault = self.probed.fault(pid, body)
        if fault:
            self._odd_fault(pid, fault[0] & -PAGE, fault[1], line)

    def _odd_fault(self, pid: str, address: int, access: int, line: int) -> None:
        if address >= ADDRESS_END:
            self.rows.ignored["fault at a kernel address"] += 1
            return
        task = self.tasks.get(pid, line)
        if task.mm.is_special(address):
            self.rows.ignored["fault in a mapping of the kernel's own"] += 1
        elif task.state is not State.RUNNING:
            self.tasks.odd_fault(pid, address, access, line)
        else:
            self.tasks.touch(task, address, access, line)

    def _parts(self, line: str, number: int) -> tuple[Any, ...] | None:
        """Of an event, whose head becomes the first to be tried; None of no event."""
        for at, head in enumerate(self.heads):
            if found := head.event.match(line):
                if at:
                    self.heads.insert(0, self.heads.pop(at))
                return found.groups()
        try:
            self.preamble.read(line)
        except OddLine as error:
            self._without(error, number, line)
        self.preamble.page_size()
        return None

    def unread_lines(self) -> dict[str, int]:
        """By their kind."""
        return self.unread.result() if self.unread else {}

    def _without(self, error: OddLine, number: int, line: str) -> None:
        """Go on without a line where not all of a trace has to be there; else its error."""
        if self.unread is None:
            raise error
        self.unread.add(error.kind, number, line)

    def read(self, text: Iterator[str], path: Path) -> None:
        """Take in all lines. Faults, nine lines of ten, are handled here for speed where they have the usual shape."""
        by_pid, assumed, known, pids = self.tasks.by_pid, self.tasks.assumed, self.access, self.pids
        rows, op, pack = self.rows, uapi.OP_TOUCH, ROW.pack
        data, numbers, times = rows.data, rows.lines, rows.times
        number, line = 0, ""
        try:
            for number, line in zip(range(1, MAX_LINES + 1), text, strict=False):
                before, _, after = line.partition(_SHAPE)
                where, _, after = after.partition(" ip=")
                ip, _, error = after.partition(" error_code=0x")
                head, _, when = before.rpartition(" ")
                task, access = by_pid.get(pids.get(head, "")), known.get(error, -1)
                if task is None or task.state or access < 0 or " " in ip:
                    self._line(line, number)
                    continue
                try:
                    now, address = float(when), int(where, 16) & -PAGE
                except ValueError:
                    now = address = -1
                if not (0 <= now < LATEST and 0 <= address < task.mm.low):
                    self._line(line, number)
                    continue
                if (layout := task.mm.layout) and assumed and not layout.find(address):
                    rows.now = now
                    assumed.touched(layout, task.index, address, number)
                self.events += 1
                task.last_fault = rows.base + len(numbers)
                numbers.append(number)
                times.append(now)
                data += pack(op, task.index, address, 1, access, 0, 0, 0)
                if len(numbers) >= MANY:
                    rows.flush()
            if number == MAX_LINES and next(text, None) is not None:
                raise TraceError(f"more than {MAX_LINES} lines; cut the trace or record less")
            self.check_end(self.events)
        except struct.error:
            self.cut.ends(TraceError(f"a number that is too large: {shown(line)}"), path, number, rows.some)
        except (TraceError, Damaged) as error:
            self.cut.ends(error, path, number, rows.some)
        self.recorded_page_size = self.preamble.page_size()

    def _line(self, line: str, number: int) -> None:
        """Any line."""
        parts = self._parts(line, number)
        if parts is None:
            return
        pid, when, where, error, name, separator, body = parts
        self.events += 1
        self.rows.now = float(when) * self.heads[0].unit
        if where is not None:
            self._learn(line, pid, when)
            access = self.access[error] if error in self.access else self._access(error)
            self._odd_fault(pid, int(where, 16) & -PAGE, access, number)
            return
        try:
            self.event(pid, name, separator, body.rstrip(), number)
        except OddLine as odd:
            self._without(odd, number, line)

    def _learn(self, line: str, pid: str, when: str) -> None:
        """What stands before the time of a fault in the usual shape is always the same task's."""
        head, _, last = line.partition(_SHAPE)[0].rpartition(" ")
        if last == when and self.heads[0].unit == 1:
            if len(self.pids) == MOST_HEADS:
                self.pids.clear()
            self.pids[head] = pid


def trace_data(text: Iterator[str]) -> Iterator[str]:
    """The lines of a page's trace-data, and an empty one for each of the others."""
    inside = False
    for line in text:
        if "</script>" in line:
            inside = False
        yield line if inside else ""
        if "trace-data" in line:
            inside = True


def load_ftrace(
    path: Path,
    reading: Reading | None = None,
    *,
    max_text: int = MAX_TEXT,
    stream: BinaryIO | None = None,
    faults: bool = True,
    html: bool = False,
    salvage: bool = False,
) -> Workload:
    """The workload recorded in `path`, plain or gzip; at most `max_text` bytes of text.

    reading  what to take for granted of a trace that our recorder did not make; without it, what is missing is an error
    faults   whether such a trace has page faults
    html     whether the text stands in a page, as systrace writes it
    salvage  take what stands before the first damage

    `stream` is read instead of the file, once and to its end, if it is given.

    InputError, with file and line, for anything that is not understood, is missing, damaged,
    lost or cut off.
    """
    loader = Tracepoints(salvage=salvage)
    assumed = loader.assume(reading, faults) if reading else None
    text = lines(path, max_text, stream)
    loader.read(trace_data(text) if html else text, path)
    return Workload(
        name=named(path),
        **loader.rows.result(),
        files=loader.tasks.files.result(),
        pids=tuple(loader.tasks.pids),
        source=str(path),
        ignored=dict(sorted({**loader.rows.ignored, **loader.unread_lines()}.items())),
        provenance=loader.preamble.provenance() | (assumed.facts() if assumed else {}) | loader.cut.facts,
        page_size=loader.recorded_page_size,
        remarks=error_code.remarks(loader.preamble.facts.get("arch", "")) if loader.access else (),
    )
