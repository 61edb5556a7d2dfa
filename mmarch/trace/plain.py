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

from core_mm import uapi
from mmarch.trace.assumed import Reading
from mmarch.trace.calls import ARGUMENTS
from mmarch.trace.foreign import Foreign
from mmarch.trace.ftrace_text import TraceError
from mmarch.trace.maps import kind_of
from mmarch.trace.rows import PAGE
from mmarch.trace.task import ADDRESS_END
from mmarch.trace.tasks import CLONE_THREAD, CLONE_VFORK, CLONE_VM

HEAD = "# mmarch events "
VERSION = "1"
ACCESSES = {"r": uapi.ACCESS_READ, "w": uapi.ACCESS_WRITE, "x": uapi.ACCESS_EXEC}
_ASIDE = ("Attaching ", "@")  # what bpftrace says without -q, and its maps at the end
_BIRTHS = {"fork": 0, "vfork": CLONE_VM | CLONE_VFORK, "clone": CLONE_VM | CLONE_THREAD}


class Plain(Foreign):
    """A reader of the plain form."""

    FORMAT = "plain events"

    def __init__(self, reading: Reading) -> None:
        super().__init__(reading, faults=True)
        self.events: dict[str, Callable[[str, str, list[str], int], None]] = {
            "fault": self._fault, "mmap": self._mmap, "exec": self._exec, "exit": self._exit,
            **dict.fromkeys(("munmap", "mprotect", "madvise", "mremap", "brk"), self._call),
            **dict.fromkeys(_BIRTHS, self._birth),
        }  # fmt: skip

    def line(self, text: str, number: int) -> None:
        """One line."""
        if text.startswith(HEAD) and text.removeprefix(HEAD).strip() != VERSION:
            raise TraceError(
                f"events of version {text.removeprefix(HEAD).strip()}; this mmarch reads {VERSION}"
            )
        words = text.partition("#")[0].split()
        if not words or text.startswith(_ASIDE):
            return
        self.events[words[1]](words[0], words[1], words[2:], number)
        self.used += 1

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
