"""Births, images and deaths of tasks in a trace, as rows of a workload.

execve in a trace is a sequence: system call, sched_prepare_exec or exit_mmap (the old
address space goes), faults in the new one, sched_process_exec, the recorder's snapshot, return.
"""

from __future__ import annotations

from core_mm import uapi
from mmarch.trace.assumed import UNTOLD, Assumed
from mmarch.trace.backing import Files
from mmarch.trace.ftrace_text import Contradiction, TraceError
from mmarch.trace.layout import Layout, Piece
from mmarch.trace.maps import Mapping, kind_of
from mmarch.trace.rows import PAGE, Rows
from mmarch.trace.task import Mm, State, Task

CLONE_VM, CLONE_VFORK, CLONE_THREAD = 0x100, 0x4000, 0x10000
NO_SNAPSHOT = "the mappings execve made (mmarch_exec records) are missing; record with: mmarch record"


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
            raise Contradiction(
                f"pid {child_pid} is born twice without an exit; is sched_process_exit missing?"
            )
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

    def signalled(self, pid: str) -> bool:
        """SIGSEGV or SIGBUS answers a fault: its access never happened. Whether there was one."""
        task = self.get(pid)
        if task.last_fault < 0:
            return False
        self.rows.drop(task.last_fault)
        task.last_fault = -1
        self.rows.ignored["fault answered with a signal"] += 1
        return True
