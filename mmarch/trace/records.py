"""Records of our recorder in a trace: what execve mapped, files, and a process that ran before."""

from __future__ import annotations

import re
from collections.abc import Callable

from core_mm import uapi
from mmarch.trace.ftrace_text import TraceError
from mmarch.trace.rows import PAGE, Rows
from mmarch.trace.task import ADDRESS_END, Mm, State, Task
from mmarch.trace.tasks import Tasks

MAX_PRESENT = 1 << 16
_FIELD = re.compile(r"(\w+)=(0x[0-9a-f]{1,16}|-?\d{1,19}|\w+)")
Record = dict[str, int | str]


def fields(body: str) -> Record:
    """``name=value`` fields of a record of ours."""
    found: Record = {}
    for name, value in _FIELD.findall(body):
        try:
            found[name] = int(value, 0)
        except ValueError:
            found[name] = value
    return found


def number(record: Record, name: str, low: int = 0, high: int = ADDRESS_END) -> int:
    """A field that has to be a number in ``[low, high)``."""
    value = record.get(name)
    if not isinstance(value, int) or not low <= value < high:
        raise TraceError(f"record has {name}={value!r}; wanted a number from {low} to below {high:#x}")
    return value


class Records:
    """Each kind of record, and what it makes of the tasks."""

    def __init__(self, tasks: Tasks, rows: Rows) -> None:
        self.tasks, self.rows, self.files = tasks, rows, tasks.files
        self.handlers: dict[str, Callable[[Record, int], None]] = {
            "mmarch_file": self.file_known,
            "mmarch_fd": self.file_of_call,
            "mmarch_exec": self.snapshot_begins,
            "mmarch_vma": self.snapshot_vma,
            "mmarch_special": self.snapshot_special,
            "mmarch_present": self.snapshot_present,
            "mmarch_exec_end": self.snapshot_ends,
            "mmarch_running": self.running_begins,
            "mmarch_mapped": self.snapshot_mapped,
            "mmarch_thread": self.running_thread,
        }

    def snapshot_begins(self, record: Record, line: int) -> None:
        task = self._of(record, State.EXEC_DONE)
        start = number(record, "start_brk")
        task.mm, task.state = Mm(start), State.SNAPSHOT
        self.rows.add(line, uapi.OP_EXEC, task.index, start)

    def _of(self, record: Record, state: State) -> Task:
        task = self.tasks.get(str(number(record, "pid")))
        if task.state is not state:
            raise TraceError(f"record out of place: the task is {task.state.name}, not {state.name}")
        return task

    def _range(self, record: Record) -> tuple[int, int]:
        start, end = number(record, "start"), number(record, "end")
        if start % PAGE or end % PAGE or start >= end:
            raise TraceError(f"{start:#x}-{end:#x} is not a range of whole pages")
        return start, end

    def snapshot_vma(self, record: Record, line: int) -> None:
        task = self._of(record, State.SNAPSHOT)
        start, end = self._range(record)
        file, flags = number(record, "file", -1), number(record, "flags", 0, 1 << 32)
        index = -1 if file < 0 else self.files.find(file)
        prot, offset = number(record, "prot", 0, 8), number(record, "off")
        self.rows.add(line, uapi.OP_MMAP, task.index, start, end - start, prot, flags, index, offset)

    def running_begins(self, record: Record, line: int) -> None:
        """A process that ran before the recording: its mappings follow, as those of an image."""
        pid, start, end = str(number(record, "pid")), number(record, "start_brk"), number(record, "brk")
        self.tasks.attached = self.tasks.by_pid[pid] = self.tasks.new(Mm(end), pid)
        self.tasks.attached.state = State.SNAPSHOT
        self.rows.add(line, uapi.OP_SPAWN, self.tasks.attached.index)
        self.rows.add(line, uapi.OP_EXEC, self.tasks.attached.index, start)
        if end > start:
            self.rows.add(line, uapi.OP_BRK, self.tasks.attached.index, end)

    def running_thread(self, record: Record, line: int) -> None:
        if self.tasks.attached is None:
            raise TraceError("mmarch_thread without the process before it (mmarch_running)")
        pid = str(number(record, "pid"))
        thread = self.tasks.by_pid[pid] = self.tasks.new(self.tasks.attached.mm, pid)
        self.rows.add(line, uapi.OP_CLONE_VM, self.tasks.attached.index, thread.index)

    def snapshot_special(self, record: Record, _line: int) -> None:
        self._of(record, State.SNAPSHOT).mm.add_special(*self._range(record))
        self.rows.ignored["mapping of the kernel's own (vdso, vvar)"] += 1

    def snapshot_present(self, record: Record, line: int, access: int = uapi.ACCESS_WRITE) -> None:
        task, start = self._of(record, State.SNAPSHOT), number(record, "start")
        pages = number(record, "pages", 1, MAX_PRESENT + 1)
        self.rows.add(line, uapi.OP_TOUCH, task.index, start, pages, access)

    def snapshot_mapped(self, record: Record, line: int) -> None:
        self.snapshot_present(record, line, uapi.ACCESS_READ)

    def snapshot_ends(self, record: Record, _line: int) -> None:
        self._of(record, State.SNAPSHOT).state = State.RUNNING

    def file_known(self, record: Record, line: int) -> None:
        """A file is seen for the first time, or has another size by now."""
        kind, size = str(record.get("kind")), number(record, "size")
        index = self.files.learn(number(record, "file"), size, kind)
        alive = (task.index for task in self.tasks.by_pid.values() if task.state is not State.EXITED)
        if self.files.resize(index, size) and (task := next(alive, None)) is not None:
            self.rows.add(line, uapi.OP_FTRUNCATE, task, index, size)

    def file_of_call(self, record: Record, _line: int) -> None:
        task = self.tasks.get(str(number(record, "pid")))
        task.file = self.files.find(number(record, "file"))
