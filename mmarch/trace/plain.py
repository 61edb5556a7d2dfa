"""The plain form, which anyone prints with printf: one event a line, numbers in decimal or 0x….

    # mmarch events 1
    PID fault ADDR r|w|x
    PID mmap ADDR LEN PROT FLAGS [NAME OFFSET]     a file's name, without spaces; none for anonymous memory
    PID munmap ADDR LEN
    PID mprotect ADDR LEN PROT
    PID madvise ADDR LEN ADVICE
    PID mremap OLD OLD_LEN NEW_LEN FLAGS NEW
    PID brk ADDR
    PID fork CHILD | vfork CHILD | clone CHILD     clone: a thread
    PID exec | exit

Lines are in the order in which things happened; only calls that succeeded; a ``#`` begins a comment.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from core_mm import uapi
from mmarch.errors import InputError
from mmarch.trace.assumed import PLAIN, Assumed, Reading
from mmarch.trace.calls import ARGUMENTS, Syscalls
from mmarch.trace.ftrace_text import MAX_TEXT, TraceError, lines
from mmarch.trace.rows import PAGE, Rows
from mmarch.trace.strace import kind_of
from mmarch.trace.tasks import ADDRESS_END, CLONE_THREAD, CLONE_VFORK, CLONE_VM, Tasks
from mmarch.trace.unread import Unread
from mmarch.workload import Workload

HEAD = "# mmarch events "
VERSION = "1"
ACCESSES = {"r": uapi.ACCESS_READ, "w": uapi.ACCESS_WRITE, "x": uapi.ACCESS_EXEC}
_BIRTHS = {"fork": 0, "vfork": CLONE_VM | CLONE_VFORK, "clone": CLONE_VM | CLONE_THREAD}


class _Reader:
    """One pass over the lines."""

    def __init__(self, reading: Reading) -> None:
        self.rows, self.unread = Rows(), Unread()
        self.assumed = Assumed(self.rows, reading, faults=True)
        self.tasks = Tasks(self.rows, self.assumed)
        self.calls = Syscalls(self.tasks, self.rows)
        self.used = 0
        self.events: dict[str, Callable[[str, str, list[str], int], None]] = {
            "fault": self._fault, "mmap": self._mmap, "exec": self._exec, "exit": self._exit,
            **dict.fromkeys(("munmap", "mprotect", "madvise", "mremap", "brk"), self._call),
            **dict.fromkeys(_BIRTHS, self._birth),
        }  # fmt: skip

    def line(self, text: str, line: int) -> None:
        """One line."""
        if text.startswith(HEAD) and text.removeprefix(HEAD).strip() != VERSION:
            raise TraceError(f"events of version {text.removeprefix(HEAD).strip()}; this mmarch reads {VERSION}")
        words = text.partition("#")[0].split()
        if not words:
            return
        try:
            self.events[words[1]](words[0], words[1], words[2:], line)
            self.used += 1
        except TraceError:
            raise
        except (KeyError, ValueError, IndexError):
            self.unread.add(words[1] if len(words) > 1 and words[1] in self.events else "line", line, text)

    def _fault(self, pid: str, _name: str, words: list[str], line: int) -> None:
        address, access = int(words[0], 0), ACCESSES[words[1]]
        if not 0 <= address < ADDRESS_END:
            raise ValueError(address)
        self.tasks.touch(self.tasks.get(pid, line), address & -PAGE, access, line)

    def _mmap(self, pid: str, name: str, words: list[str], line: int) -> None:
        addr, size, prot, flags = (int(word, 0) for word in words[:4])
        offset = int(words[5], 0) if len(words) > 5 else 0
        if len(words) > 5:
            self.tasks.get(pid, line).file = self.tasks.files.seen(words[4], offset + size, kind_of(words[4]))
        else:
            flags |= uapi.MAP_ANONYMOUS
        self.calls.enter(pid, name, (0, size, prot, flags, -1, offset), line)
        self.calls.exit(pid, name, addr, line)

    def _call(self, pid: str, name: str, words: list[str], line: int) -> None:
        args = tuple(int(word, 0) for word in words)
        if len(args) != ARGUMENTS[name]:
            raise ValueError(name)
        self.calls.enter(pid, name, args, line)
        self.calls.exit(pid, name, args[{"mremap": 4}.get(name, 0)], line)

    def _birth(self, pid: str, name: str, words: list[str], line: int) -> None:
        self.tasks.newtask(pid, str(int(words[0])), _BIRTHS[name], line)

    def _exec(self, pid: str, _name: str, _words: list[str], line: int) -> None:
        self.tasks.execed(pid, pid, line)

    def _exit(self, pid: str, _name: str, _words: list[str], line: int) -> None:
        self.tasks.exited(pid, line)


def load_plain(
    path: Path, reading: Reading = PLAIN, *, max_text: int = MAX_TEXT, stream: BinaryIO | None = None
) -> Workload:
    """The workload of the plain form; InputError, with file and line, for damage or too much that is not of it."""
    reader, number = _Reader(reading), 0
    try:
        for number, line in enumerate(lines(path, max_text, stream), 1):
            reader.line(line, number)
        reader.unread.check(reader.used, reading.lenient)
    except TraceError as error:
        raise InputError(f"{path}:{max(number, 1)}: {error}") from error
    ops, numbers = reader.rows.result()
    return Workload(
        name=path.name.removesuffix(".gz").removesuffix(".txt").removesuffix(".events"),
        ops=ops,
        lines=numbers,
        files=reader.tasks.files.result(),
        source=str(path),
        ignored=dict(sorted({**reader.rows.ignored, **reader.unread.result()}.items())),
        provenance={"format": "plain events", **reader.assumed.facts()},
    )
