"""System V shared memory in a trace: shmget says how large a segment is, shmat and shmdt where it lies (ipc/shm.c)."""

from __future__ import annotations

from core_mm import uapi
from mmarch.trace.ftrace_text import TraceError
from mmarch.trace.rows import Rows, align
from mmarch.trace.task import ADDRESS_END, Call, Task
from mmarch.trace.tasks import Tasks

SHM_HUGETLB, SHM_RDONLY = 0o4000, 0o10000


class Segments:
    """Each is a file in shared memory, which those who attach it map."""

    def __init__(self, tasks: Tasks, rows: Rows) -> None:
        self.tasks, self.rows = tasks, rows
        self.sizes: dict[int, int] = {}
        self.attached: dict[int, int] = {}  # address -> bytes; a child has what its parent attached

    def shmget(self, _task: Task, call: Call, result: int, _line: int) -> None:
        """A new segment, or one that was there, of which a smaller size may be asked."""
        _key, size, flags = call.args[:3]
        if flags & SHM_HUGETLB:
            raise TraceError("shmget of huge pages is not modelled; this program cannot be replayed")
        if size >= ADDRESS_END:
            raise TraceError(f"shmget of {size:#x} bytes")
        self.sizes[result] = max(size, self.sizes.get(result, 0))

    def shmat(self, task: Task, call: Call, result: int, line: int) -> None:
        """The whole of a segment is mapped."""
        segment, _address, flags = call.args[:3]
        size = align(self.sizes.get(segment, 0))
        if not size:
            raise TraceError(
                f"shmat of segment {segment}: no shmget says how large it is; the trace cannot be replayed"
            )
        if result + size >= ADDRESS_END:
            raise TraceError(f"{result:#x} + {size:#x} is not a range of user addresses")
        file = self.tasks.files.seen(f"segment {segment}", size, "tmpfs")
        prot = uapi.PROT_READ if flags & SHM_RDONLY else uapi.PROT_READ | uapi.PROT_WRITE
        task.mm.cover(result, result + size)
        self.attached[result] = size
        self.rows.add(line, uapi.OP_MMAP, task.index, result, size, prot, uapi.MAP_SHARED, file, 0)

    def shmdt(self, task: Task, call: Call, _result: int, _line: int) -> None:
        """What was attached there is unmapped."""
        if call.args[0] in self.attached:
            size = self.attached[call.args[0]]
            self.rows.fill(call.row, uapi.OP_MUNMAP, task.index, call.args[0], size)
        else:
            self.rows.ignored["shmdt of a segment that was attached before the trace"] += 1
