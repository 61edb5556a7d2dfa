"""Births, images and deaths of tasks in a trace, as rows of a workload.

execve in a trace is a sequence: system call, sched_prepare_exec or exit_mmap (the old
address space goes), faults in the new one, sched_process_exec, the recorder's snapshot, return.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import IntEnum

from core_mm import uapi
from mmarch.trace.assumed import UNTOLD, Assumed
from mmarch.trace.ftrace_text import Contradiction, TraceError, shown
from mmarch.trace.layout import Layout, Piece
from mmarch.trace.maps import Mapping, kind_of
from mmarch.trace.rows import PAGE, Rows
from mmarch.workload import File

MAX_PRESENT = 1 << 16
ADDRESS_END = 1 << 63
CLONE_VM, CLONE_VFORK, CLONE_THREAD = 0x100, 0x4000, 0x10000
NO_SNAPSHOT = "the mappings execve made (mmarch_exec records) are missing; record with: mmarch record"

_KINDS = {
    "regular": uapi.FILE_REGULAR,
    "tmpfs": uapi.FILE_TMPFS,
    "ext4": uapi.FILE_EXT4,
    "ramfs": uapi.FILE_RAMFS,
    "zero": uapi.FILE_REGULAR,
    "device": uapi.FILE_REGULAR,
    "hugetlbfs": uapi.FILE_REGULAR,
}
_FIELD = re.compile(r"(\w+)=(0x[0-9a-f]{1,16}|-?\d{1,19}|\w+)")


@dataclass
class Mm:
    """An address space: its break, and the kernel's own mappings in it, faults in which are not replayed.

    low, high  faults between need a second look, for there are such mappings
    """

    brk: int = 0
    special: list[tuple[int, int]] = field(default_factory=list)
    low: int = ADDRESS_END
    high: int = 0
    layout: Layout | None = None  # what is mapped, where not all of it was recorded

    def fork(self) -> Mm:
        layout = self.layout.copy() if self.layout else None
        return Mm(self.brk, list(self.special), self.low, self.high, layout)

    def add_special(self, start: int, end: int) -> None:
        self.special.append((start, end))
        self.low, self.high = min(self.low, start), max(self.high, end)

    def cover(self, start: int, end: int) -> None:
        """A new mapping replaces what it overlaps."""
        if start < self.high and self.low < end:
            self.special = [(low, high) for low, high in self.special if high <= start or end <= low]

    def is_special(self, address: int) -> bool:
        return any(low <= address < high for low, high in self.special)


class State(IntEnum):
    """Where a task is in its life; faults of any but RUNNING need thought."""

    RUNNING = 0
    EXEC_CALLED = 1  # still in the old address space
    EXEC_NEW_MM = 2  # in the new one, which the snapshot will describe
    EXEC_DONE = 3  # the snapshot has to come next
    SNAPSHOT = 4  # between mmarch_exec and mmarch_exec_end
    EXITED = 5


@dataclass
class Call:
    """A system call that has begun; `row` is the place reserved for it, or -1."""

    name: str
    args: tuple[int, ...]
    row: int
    file: int | None


@dataclass
class Task:
    """One pid of the trace."""

    index: int
    mm: Mm
    state: State = State.RUNNING
    call: Call | None = None
    file: int | None = None
    last_fault: int = -1
    exit_row: int = -1
    held: list[tuple[int, int, int]] = field(default_factory=list)
    late: list[int] = field(default_factory=list)


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


def fields(body: str) -> dict[str, int | str]:
    """``name=value`` fields of a record of ours."""
    found: dict[str, int | str] = {}
    for name, value in _FIELD.findall(body):
        try:
            found[name] = int(value, 0)
        except ValueError:
            found[name] = value
    return found


def number(record: dict[str, int | str], name: str, low: int = 0, high: int = ADDRESS_END) -> int:
    """A field that has to be a number in ``[low, high)``."""
    value = record.get(name)
    if not isinstance(value, int) or not low <= value < high:
        raise TraceError(f"record has {name}={value!r}; wanted a number from {low} to below {high:#x}")
    return value


class Tasks:
    """All tasks of a trace and what becomes of them."""

    def __init__(self, rows: Rows, assumed: Assumed | None = None) -> None:
        """`assumed`: of a trace that does not show everything; without it, what is missing is an error."""
        self.rows = rows
        self.assumed = assumed
        self.files = Files()
        self.by_pid: dict[str, Task] = {}
        self.attached: Task | None = None  # ran before our recorder began
        self.count = 0
        self.pids: list[int] = []

    def get(self, pid: str, line: int = 0) -> Task:
        """The task that acts; TraceError when the trace does not show where it came from."""
        task = self.by_pid.get(pid)
        if task is None and self.assumed:
            return self.adopt(pid, line)
        if task is None:
            raise TraceError(
                f"pid {pid} acts, but neither its birth (task/task_newtask) nor an exec is in the trace "
                "before this; record with: mmarch record"
            )
        return task

    def new(self, mm: Mm, pid: str) -> Task:
        self.pids.append(int(pid))
        task = Task(self.count, mm)
        self.count += 1
        return task

    def unseen(self) -> Mm:
        """An address space of which nobody knows what is mapped."""
        return Mm(layout=Layout(PAGE))

    def adopt(self, pid: str, line: int) -> Task:
        """A task that ran before the trace began."""
        task = self.by_pid[pid] = self.new(self.unseen(), pid)
        self.rows.add(line, uapi.OP_SPAWN, task.index)
        if self.assumed:
            maps, self.assumed.maps = self.assumed.maps, []
            for mapping in maps:
                self._had(task, mapping, line)
        return task

    def _had(self, task: Task, mapping: Mapping, line: int) -> None:
        """A mapping of a task that ran before the trace began."""
        start, size = mapping.start, mapping.end - mapping.start
        kind = kind_of(mapping.name) if mapping.inode else "anonymous"
        private = any(anonymous for *_, anonymous in mapping.there)
        before = mapping.prot | (uapi.PROT_READ | uapi.PROT_WRITE if private else 0)
        if mapping.special or kind == "device":
            task.mm.add_special(start, mapping.end)
            return
        if mapping.name == "[heap]":
            self.rows.add(line, uapi.OP_BRK, task.index, start)
            self.rows.add(line, uapi.OP_BRK, task.index, mapping.end)
            task.mm.brk = mapping.end
        else:
            file = self.files.seen(mapping.name, mapping.offset + size, kind) if mapping.inode else -1
            cells = start, size, before, mapping.flags, file, mapping.offset if file >= 0 else 0
            self.rows.add(line, uapi.OP_MMAP, task.index, *cells)
        for advice in mapping.advice:
            self.rows.add(line, uapi.OP_MADVISE, task.index, start, size, advice)
        for first, pages, anonymous in mapping.there:
            access = uapi.ACCESS_WRITE if anonymous else uapi.ACCESS_READ
            self.rows.add(line, uapi.OP_TOUCH, task.index, first, pages, access)
        if before != mapping.prot:
            self.rows.add(line, uapi.OP_MPROTECT, task.index, start, size, mapping.prot)
        if task.mm.layout:
            grows = mapping.name == "[stack]"
            task.mm.layout.add(Piece(start, mapping.end, 0, mapping.prot, mapping.flags, -1, 0, grows))

    def touch(self, task: Task, address: int, access: int, line: int) -> None:
        """An access, which may be UNTOLD in a trace that does not show everything."""
        if self.assumed and task.mm.layout:
            prot = self.assumed.touched(task.mm.layout, task.index, address, line)
            access = self.assumed.how(prot) if access == UNTOLD else access
        task.last_fault = self.rows.add(line, uapi.OP_TOUCH, task.index, address, 1, access)

    def odd_fault(self, pid: str, address: int, access: int, line: int) -> None:
        """A fault of a task that is not simply running."""
        task = self.get(pid)
        if task.state is State.EXEC_CALLED:
            task.held.append((address, access, line))
        elif task.state is State.EXEC_NEW_MM:
            self.rows.ignored["fault of execve itself (the snapshot has its pages)"] += 1
        elif task.state is State.EXITED:
            self.rows.drop(task.exit_row)
            self.touch(task, address, access, line)
            task.late.append(task.last_fault)
            task.exit_row = self.rows.add(line, uapi.OP_EXIT, task.index)
        else:
            raise TraceError(f"pid {pid} runs a new program, but {NO_SNAPSHOT}")

    def newtask(self, pid: str, child_pid: str, flags: int, line: int) -> None:
        """fork, vfork or clone, by its CLONE_* flags."""
        parent = self.get(pid, line)
        old = self.by_pid.get(child_pid)
        if old is not None and old.state is not State.EXITED:
            raise Contradiction(f"pid {child_pid} is born twice without an exit; is sched_process_exit missing?")
        child = self.new(parent.mm if flags & CLONE_VM else parent.mm.fork(), child_pid)
        self.by_pid[child_pid] = child
        op = uapi.OP_FORK
        if flags & CLONE_VM:
            op = uapi.OP_VFORK if flags & CLONE_VFORK and not flags & CLONE_THREAD else uapi.OP_CLONE_VM
        self.rows.add(line, op, parent.index, child.index)

    def exited(self, pid: str, line: int) -> None:
        task = self.get(pid, line)
        task.exit_row = self.rows.add(line, uapi.OP_EXIT, task.index)
        task.state, task.call = State.EXITED, None

    def exec_called(self, pid: str, line: int = 0) -> None:
        task = self.get(pid, line)
        task.state, task.held = State.EXEC_CALLED, []

    def _replay_held(self, task: Task) -> None:
        for address, access, line in task.held:
            self.touch(task, address, access, line)
        task.held = []

    def exec_failed(self, task: Task) -> None:
        self._replay_held(task)
        task.state = State.RUNNING

    def old_mm_leaves(self, pid: str, line: int) -> None:
        """sched_prepare_exec or exit_mmap: in execve, all later faults are in the new address space."""
        if not self.by_pid:
            root = self.by_pid[pid] = self.new(Mm(), pid)
            root.state = State.EXEC_NEW_MM
            self.rows.add(line, uapi.OP_SPAWN, root.index)
            return
        task = self.get(pid)
        if task.state is State.EXEC_CALLED:
            self._replay_held(task)
            task.state = State.EXEC_NEW_MM

    def prepare_exec(self, pid: str, line: int) -> None:
        if self.by_pid and self.get(pid).state is State.RUNNING:
            self.exec_called(pid)
        self.old_mm_leaves(pid, line)

    def execed(self, pid: str, old_pid: str, line: int) -> None:
        """A task runs a new program; `old_pid` is another one where a thread called execve."""
        if pid != old_pid:
            self._become_leader(pid, old_pid)
        if not self.by_pid:
            self.old_mm_leaves(pid, line)
        task = self.get(pid, line)
        if task.held:
            self.rows.ignored["fault of execve before an unknown point"] += len(task.held)
        task.state, task.held, task.call = State.EXEC_DONE, [], None
        if self.assumed:
            self._unseen_image(task, line)

    def _unseen_image(self, task: Task, line: int) -> None:
        """execve without a snapshot: its mappings will be assumed as they are used."""
        task.mm, task.state = self.unseen(), State.RUNNING
        self.rows.add(line, uapi.OP_EXEC, task.index)

    def _become_leader(self, pid: str, old_pid: str) -> None:
        """exec in a thread: the leader is dead, the thread takes its pid (fs/exec.c:de_thread)."""
        leader, task = self.by_pid.get(pid), self.get(old_pid)
        if leader is not None:
            for position in leader.late:
                self.rows.drop(position)
        self.by_pid[pid] = task
        del self.by_pid[old_pid]

    def exec_returned(self, pid: str, result: int | None, line: int) -> None:
        """End of the execve system call; `result` is None when it failed."""
        task = self.get(pid, line)
        if result is None:
            self.exec_failed(task)
        elif task.state is State.EXEC_CALLED and self.assumed:
            self.execed(pid, pid, line)
        elif task.state in (State.EXEC_DONE, State.SNAPSHOT):
            raise TraceError(f"pid {pid} runs a new program, but {NO_SNAPSHOT}")

    def snapshot_begins(self, record: dict[str, int | str], line: int) -> None:
        task = self._of(record, State.EXEC_DONE)
        start = number(record, "start_brk")
        task.mm, task.state = Mm(start), State.SNAPSHOT
        self.rows.add(line, uapi.OP_EXEC, task.index, start)

    def _of(self, record: dict[str, int | str], state: State) -> Task:
        task = self.get(str(number(record, "pid")))
        if task.state is not state:
            raise TraceError(f"record out of place: the task is {task.state.name}, not {state.name}")
        return task

    def _range(self, record: dict[str, int | str]) -> tuple[int, int]:
        start, end = number(record, "start"), number(record, "end")
        if start % PAGE or end % PAGE or start >= end:
            raise TraceError(f"{start:#x}-{end:#x} is not a range of whole pages")
        return start, end

    def snapshot_vma(self, record: dict[str, int | str], line: int) -> None:
        task = self._of(record, State.SNAPSHOT)
        start, end = self._range(record)
        file, flags = number(record, "file", -1), number(record, "flags", 0, 1 << 32)
        index = -1 if file < 0 else self.files.find(file)
        prot, offset = number(record, "prot", 0, 8), number(record, "off")
        self.rows.add(line, uapi.OP_MMAP, task.index, start, end - start, prot, flags, index, offset)

    def running_begins(self, record: dict[str, int | str], line: int) -> None:
        """A process that ran before the recording: its mappings follow, as those of an image."""
        pid, start, end = str(number(record, "pid")), number(record, "start_brk"), number(record, "brk")
        self.attached = self.by_pid[pid] = self.new(Mm(end), pid)
        self.attached.state = State.SNAPSHOT
        self.rows.add(line, uapi.OP_SPAWN, self.attached.index)
        self.rows.add(line, uapi.OP_EXEC, self.attached.index, start)
        if end > start:
            self.rows.add(line, uapi.OP_BRK, self.attached.index, end)

    def running_thread(self, record: dict[str, int | str], line: int) -> None:
        if self.attached is None:
            raise TraceError("mmarch_thread without the process before it (mmarch_running)")
        pid = str(number(record, "pid"))
        thread = self.by_pid[pid] = self.new(self.attached.mm, pid)
        self.rows.add(line, uapi.OP_CLONE_VM, self.attached.index, thread.index)

    def snapshot_special(self, record: dict[str, int | str], _line: int) -> None:
        self._of(record, State.SNAPSHOT).mm.add_special(*self._range(record))
        self.rows.ignored["mapping of the kernel's own (vdso, vvar)"] += 1

    def snapshot_present(
        self, record: dict[str, int | str], line: int, access: int = uapi.ACCESS_WRITE
    ) -> None:
        task, start = self._of(record, State.SNAPSHOT), number(record, "start")
        pages = number(record, "pages", 1, MAX_PRESENT + 1)
        self.rows.add(line, uapi.OP_TOUCH, task.index, start, pages, access)

    def snapshot_mapped(self, record: dict[str, int | str], line: int) -> None:
        self.snapshot_present(record, line, uapi.ACCESS_READ)

    def snapshot_ends(self, record: dict[str, int | str], _line: int) -> None:
        self._of(record, State.SNAPSHOT).state = State.RUNNING

    def file_known(self, record: dict[str, int | str], line: int) -> None:
        """A file is seen for the first time, or has another size by now."""
        kind, size = str(record.get("kind")), number(record, "size")
        index = self.files.learn(number(record, "file"), size, kind)
        alive = (task.index for task in self.by_pid.values() if task.state is not State.EXITED)
        if self.files.resize(index, size) and (task := next(alive, None)) is not None:
            self.rows.add(line, uapi.OP_FTRUNCATE, task, index, size)

    def file_of_call(self, record: dict[str, int | str], _line: int) -> None:
        task = self.get(str(number(record, "pid")))
        task.file = self.files.find(number(record, "file"))

    def signalled(self, pid: str) -> bool:
        """SIGSEGV or SIGBUS answers a fault: its access never happened. Whether there was one."""
        task = self.get(pid)
        if task.last_fault < 0:
            return False
        self.rows.drop(task.last_fault)
        task.last_fault = -1
        self.rows.ignored["fault answered with a signal"] += 1
        return True
