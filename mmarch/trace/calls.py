"""System calls of a trace as rows of a workload.

A row stands where the call's effect is certain to be in order with other threads' faults:
calls that take something away (munmap, mprotect, madvise, mremap, a shrinking brk) where they
begin, since nobody may rely on the memory after that; calls that give (mmap, a growing brk)
where they end, since nobody knows the address before.
"""

from __future__ import annotations

from core_mm import uapi
from mmarch.trace.ftrace_text import Contradiction, TraceError, shown, words
from mmarch.trace.rows import PAGE, Rows, align
from mmarch.trace.sysv import Segments
from mmarch.trace.task import ADDRESS_END, Call, Task
from mmarch.trace.tasks import Tasks

ERRNO_MIN = (1 << 64) - 4095

ARGUMENTS = {
    "mmap": 6,
    "munmap": 2,
    "mprotect": 3,
    "pkey_mprotect": 4,
    "mremap": 5,
    "madvise": 3,
    "brk": 1,
    "msync": 3,
    "ftruncate": 2,
}
SYSV = {"shmget": 3, "shmat": 3, "shmdt": 1}  # of readers that know their arguments
_MAP_TYPE = 0xF
MAP_DROPPABLE = 8  # Linux 6.11: pages that reclaim may drop; glibc 2.41 keeps getrandom's state there
_AT_BEGINNING = words("munmap mprotect pkey_mprotect mremap madvise msync")
UNSUPPORTED = words("shmat remap_file_pages map_shadow_stack")
UNMODELLED = words(
    "mlock mlock2 mlockall munlock munlockall process_madvise process_mrelease mbind move_pages "
    "migrate_pages userfaultfd"
)


class Syscalls:
    """Pairs the two ends of each call and turns those that succeeded into rows."""

    def __init__(self, tasks: Tasks, rows: Rows) -> None:
        self.tasks = tasks
        self.rows = rows
        self.segments = Segments(tasks, rows)
        self.handlers = {name: getattr(self, f"_{name}") for name in ARGUMENTS}

    def enter(self, pid: str, name: str, args: tuple[int, ...], line: int) -> None:
        """A call begins; `args` are those that ARGUMENTS counts, of SYSV if known, none of other calls."""
        if name in ("execve", "execveat"):
            self.tasks.exec_called(pid, line)
            return
        task = self.tasks.get(pid, line)
        if name not in ARGUMENTS:
            task.call = Call(name, args, self.rows.add(line) if name == "shmdt" and args else -1, None)
            return
        if task.call is not None and task.call.row >= 0:
            self.rows.ignored["system call without an end"] += 1
        if name in _AT_BEGINNING:
            self._was_mapped(task, args, line)
        shrinks = name == "brk" and 0 < args[0] < task.mm.brk
        row = self.rows.add(line) if shrinks or name in _AT_BEGINNING else -1
        task.call = Call(name, args, row, task.file)
        task.file = None

    def exit(self, pid: str, name: str, result: int | None, line: int) -> None:
        """A call ends; its result, None of one that failed."""
        if name in ("execve", "execveat"):
            self._exec_returned(pid, result, line)
            return
        task = self.tasks.get(pid, line)
        call, task.call = task.call, None
        if call is None or call.name != name:
            self.rows.ignored[f"end of a {name} that began before the trace"] += 1
        elif result is None:
            self.rows.ignored[f"{name} that failed"] += 1
        elif name in ARGUMENTS:
            self.handlers[name](task, call, result, line)
        elif name in SYSV and call.args:
            getattr(self.segments, name)(task, call, result, line)
        else:
            self._other(name)

    def _exec_returned(self, pid: str, result: int | None, line: int) -> None:
        if result is None:
            self.rows.ignored["execve that failed"] += 1
        self.tasks.exec_returned(pid, result, line)

    def _was_mapped(self, task: Task, args: tuple[int, ...], line: int) -> None:
        """A call on a range that was not recorded: it will succeed, so it is there."""
        start, length = args[0], align(args[1])
        if self.tasks.assumed and task.mm.layout and 0 <= start <= start + length < ADDRESS_END:
            self.tasks.assumed.covered(task.mm.layout, task.index, start, start + length, line)

    def _other(self, name: str) -> None:
        if name in UNSUPPORTED:
            raise TraceError(
                f"{name} maps memory in a way that is not modelled; the trace cannot be replayed"
            )
        self.rows.ignored[f"{name} (not modelled)" if name in UNMODELLED else f"sys_{name}"] += 1

    def _range(self, start: int, length: int) -> tuple[int, int]:
        if start < 0 or length < 0 or start + align(length) >= ADDRESS_END:
            raise Contradiction(f"{shown(f'{start:#x} + {length:#x}')} is not a range of user addresses")
        return start, align(length)

    def _mmap(self, task: Task, call: Call, result: int, line: int) -> None:
        _, length, prot, flags, descriptor, offset = call.args[:6]
        start, length = self._range(result, length)
        task.mm.cover(start, start + length)
        kind, file = self._backing(call, descriptor, flags)
        if kind == "device":
            task.mm.add_special(start, start + length)
            self.rows.ignored["mmap of a device"] += 1
            return
        if file < 0:
            flags, offset = flags | uapi.MAP_ANONYMOUS, 0
        if flags & _MAP_TYPE == MAP_DROPPABLE:
            flags = flags & ~_MAP_TYPE | uapi.MAP_PRIVATE
            self.rows.ignored["MAP_DROPPABLE, taken for MAP_PRIVATE"] += 1
        if offset >= ADDRESS_END or (prot | flags) >= ADDRESS_END:
            raise Contradiction(shown(f"mmap with offset {offset:#x}, prot {prot:#x}, flags {flags:#x}"))
        self.rows.add(line, uapi.OP_MMAP, task.index, start, length, prot, flags, file, offset)
        if self.tasks.assumed and task.mm.layout:
            self.tasks.assumed.mapped(task.mm.layout, task.index, start, start + length, prot & 7, line)

    def _backing(self, call: Call, descriptor: int, flags: int) -> tuple[str, int]:
        """(kind, file index or -1): what a new mapping maps; /dev/zero is anonymous memory."""
        if flags & uapi.MAP_ANONYMOUS:
            return "anonymous", -1
        if call.file is None and (self.tasks.assumed or self.tasks.attached):
            size = call.args[5] + align(call.args[1])
            return "regular", self.tasks.files.seen(f"descriptor {descriptor}, {call.args[5]:#x}", size)
        if call.file is None:
            raise TraceError(
                f"mmap of descriptor {descriptor & 0xFFFFFFFF}: no mmarch_fd record says which file it is; "
                "record with: mmarch record"
            )
        kind = self.tasks.files.kinds[call.file]
        if kind == "hugetlbfs":
            raise TraceError("mmap of a hugetlbfs file is not modelled; this program cannot be replayed")
        return kind, -1 if kind == "zero" else call.file

    def _munmap(self, task: Task, call: Call, _result: int, _line: int) -> None:
        start, length = self._range(*call.args[:2])
        self.rows.fill(call.row, uapi.OP_MUNMAP, task.index, start, length)
        if task.mm.layout:
            task.mm.layout.take(start, start + length)

    def _mprotect(self, task: Task, call: Call, _result: int, line: int) -> None:
        start, length = self._range(*call.args[:2])
        self.rows.fill(call.row, uapi.OP_MPROTECT, task.index, start, length, call.args[2] % ADDRESS_END)
        if self.tasks.assumed and task.mm.layout:
            prot = call.args[2] & 7
            self.tasks.assumed.protected(task.mm.layout, task.index, start, start + length, prot, line)

    _pkey_mprotect = _mprotect

    def _madvise(self, task: Task, call: Call, _result: int, _line: int) -> None:
        start, length = self._range(*call.args[:2])
        self.rows.fill(call.row, uapi.OP_MADVISE, task.index, start, length, call.args[2] & 0x7FFFFFFF)

    def _msync(self, task: Task, call: Call, _result: int, _line: int) -> None:
        start, length = self._range(*call.args[:2])
        self.rows.fill(call.row, uapi.OP_MSYNC, task.index, start, length, call.args[2] & 0x7FFFFFFF)

    def _mremap(self, task: Task, call: Call, result: int, line: int) -> None:
        old, old_length = self._range(*call.args[:2])
        new, new_length = self._range(result, call.args[2])
        flags = call.args[3] & 0xFF
        self.rows.fill(call.row, uapi.OP_MREMAP, task.index, old, old_length, new_length, flags, new)
        if self.tasks.assumed and task.mm.layout:
            ranges = (old, old + old_length), (new, new + new_length)
            self.tasks.assumed.moved(task.mm.layout, task.index, *ranges, line)

    def _brk(self, task: Task, call: Call, result: int, line: int) -> None:
        wanted, now = call.args[0], task.mm.brk
        if not now and self.tasks.assumed:
            task.mm.brk = result
            self.rows.add(line, uapi.OP_BRK, task.index, result)
            return
        if result != wanted or result == now or result >= ADDRESS_END:
            self.rows.ignored["brk that changes nothing"] += 1
            return
        task.mm.brk = result
        if call.row >= 0:
            self.rows.fill(call.row, uapi.OP_BRK, task.index, result)
        else:
            self._was_not_mapped(task, align(now), align(result), line)
            self.rows.add(line, uapi.OP_BRK, task.index, result)
        if self.tasks.assumed and task.mm.layout:
            self._moved_break(task, align(now), align(result), line)

    def _was_not_mapped(self, task: Task, start: int, end: int, line: int) -> None:
        """The heap grows over what was assumed around accesses beside it, so that it was not there.

        Nor was the page behind, which has to be free (mm/mmap.c:brk).
        """
        for piece in task.mm.layout.take(start, end + PAGE) if task.mm.layout else ():
            self.rows.add(line, uapi.OP_MUNMAP, task.index, piece.start, piece.end - piece.start)

    def _moved_break(self, task: Task, old: int, new: int, line: int) -> None:
        assert self.tasks.assumed and task.mm.layout
        if old < new:
            self.tasks.assumed.mapped(
                task.mm.layout, task.index, old, new, uapi.PROT_READ | uapi.PROT_WRITE, line
            )
        else:
            task.mm.layout.take(new, old)

    def _ftruncate(self, task: Task, call: Call, _result: int, line: int) -> None:
        """Only what shrinks a file touches page tables; growth is in the files' sizes."""
        files, size = self.tasks.files, call.args[1]
        if call.file is None and (self.tasks.assumed or self.tasks.attached):
            self.rows.ignored["ftruncate of a file that is not known"] += 1
            return
        if call.file is None:
            raise TraceError("ftruncate: no mmarch_fd record says of which file; record with: mmarch record")
        if size >= ADDRESS_END:
            raise Contradiction(f"ftruncate to {size:#x} bytes")
        if files.resize(call.file, size):
            self.rows.add(line, uapi.OP_FTRUNCATE, task.index, call.file, size)
        else:
            self.rows.ignored["ftruncate that cuts nothing off"] += 1
