"""Output of strace to a workload: -f, -ff, any of -t, -tt, -ttt and -r, -T, -y; calls that another interrupts.

strace sees no faults, so what a mapping's user did is assumed (`Reading.touch`), and no image of execve. Where our
recorder had perf look on, it put a line for each fault between strace's (`mmarch.trace.means.merged`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from core_mm import uapi
from mmarch.trace.assumed import UNTOLD, Reading
from mmarch.trace.calls import ARGUMENTS, MAP_DROPPABLE, UNMODELLED, UNSUPPORTED
from mmarch.trace.clocks import HEAD, Clock
from mmarch.trace.faults import HOW, Faults
from mmarch.trace.foreign import Foreign
from mmarch.trace.ftrace_text import TraceError
from mmarch.trace.maps import kind_of
from mmarch.trace.rows import PAGE
from mmarch.trace.task import State
from mmarch.trace.tasks import CLONE_THREAD, CLONE_VFORK, CLONE_VM

ALONE = "0"  # the pid of a trace that does not name any
FAULT = "page-faults: "  # begins what our recorder says of one

WITH_FAULTS = "perf's page-faults and strace's system calls, on one clock"  # in the head of such a recording

_NOTE = "strace: Process "
_CALL = re.compile(r"([a-z_]\w*)\((.*)\)\s+= (\?|-?(?:0x[0-9a-f]+|\d+))(.*)$")
_BEGUN = re.compile(r"([a-z_]\w*)\((.*?),?\s*<(?:unfinished|detached) \.\.\.>$")
_RESUMED = re.compile(r"<\.\.\. ([a-z_]\w*) resumed>(.*)$")
_ENDED = re.compile(r"\+\+\+ (?:exited with|killed by) ")
_SIGNAL = re.compile(r"--- (SIGSEGV|SIGBUS)?")
_ASIDE = re.compile(r"# |> |strace: |\[ Process |\+\+\+ superseded|<\.\.\. exit|\?\?\?")
_FD = re.compile(r"(-?\d+)(?:<(.*)>)?$")
_NESTED = re.compile(r'["([{<]')
_NUMBER = re.compile(r"(?:0x[0-9a-f]{1,16}|-?[1-9]\d{0,19}|0)$")
_WORD = re.compile(r"[A-Z][A-Z0-9_]+$")

NAMES = {
    name: value for name, value in vars(uapi).items() if name.startswith(("PROT_", "MAP_", "MREMAP_", "MADV_"))
} | {
    "NULL": 0, "MAP_FILE": 0, "MAP_32BIT": 0x40, "MAP_SYNC": 0x80000, "MAP_DROPPABLE": MAP_DROPPABLE, "PROT_SEM": 8,
    "MADV_MERGEABLE": 12, "MADV_UNMERGEABLE": 13, "MADV_DONTDUMP": 16, "MADV_DODUMP": 17,
    "MS_ASYNC": 1, "MS_INVALIDATE": 2, "MS_SYNC": 4,
    "CLONE_VM": CLONE_VM, "CLONE_VFORK": CLONE_VFORK, "CLONE_THREAD": CLONE_THREAD,
}  # fmt: skip
MATTERS = UNSUPPORTED | UNMODELLED | {"execve", "execveat"}
_OPENS = {"openat", "open", "memfd_create"}
_BIRTHS = {"fork": 0, "vfork": CLONE_VM | CLONE_VFORK, "clone": 0, "clone3": 0}


def arguments(text: str) -> list[str]:
    """At the commas that are in no string, braces or parentheses."""
    if not _NESTED.search(text):
        return text.split(", ")
    found, depth, start, quoted, at = [], 0, 0, False, 0
    while at < len(text):
        letter = text[at]
        if quoted and letter == "\\":
            at += 1
        elif letter == '"':
            quoted = not quoted
        elif not quoted and letter in "([{<":
            depth += 1
        elif not quoted and letter in ")]}>":
            depth -= 1
        elif not quoted and letter == "," and depth <= 0:
            found.append(text[start:at].strip())
            start = at + 1
        at += 1
    found.append(text[start:].strip())
    return found


def value(text: str) -> int:
    """A number, or names joined by ``|``, some of which are numbers; ValueError for a name that is not known."""
    if _NUMBER.match(text):
        return int(text, 0)
    total = 0
    for word in text.split("/*")[0].split("|"):
        word = word.strip().partition("<<")[0]
        if _WORD.match(word):
            if word not in NAMES and not word.startswith(("CLONE_", "SIG")):
                raise ValueError(word)
            total |= NAMES.get(word, 0)
        else:
            total |= int(word, 0)
    return total


@lru_cache(1024)
def argument(text: str) -> int:
    """As `value`; 0 for what is text, or has a file's name."""
    return 0 if "<" in text or '"' in text else value(text)


@dataclass
class _Begun:
    name: str
    text: str


class Strace(Foreign):
    """A reader of strace's output."""

    FORMAT = "strace"

    def __init__(self, reading: Reading, head: str = "") -> None:
        """`head`: the beginning of the text, which tells whether our recorder put page faults into it."""
        self.merged = WITH_FAULTS in head
        super().__init__(reading, faults=self.merged or reading.faults is not None)
        self.clock = Clock()
        self.faults = Faults(reading.faults) if reading.faults and not self.merged else None
        self.begun: dict[str, _Begun] = {}
        self.births: dict[str, int] = {}
        self.paths: dict[tuple[str, int], str] = {}
        self.cut = ""
        self.summary = False
        self.touched = 0  # pages, by faults that perf saw

    def line(self, text: str, number: int) -> None:
        """One line of output; a note of strace's own may stand in its middle, and then the next one has its end."""
        if self.cut:
            text, self.cut = self.cut + text, ""
        if _NOTE in text and (before := text.partition(_NOTE)[0]).strip():
            self.cut = before
            return
        head = HEAD.match(text)
        pid, rest = (head[1] or head[2] or ALONE, head[4].rstrip()) if head else (ALONE, text)
        call = _CALL.match(rest)
        if not call and (not rest or _ASIDE.match(rest) or self._summed(rest)):
            return
        self.rows.now = self.clock.read(head[3] if head else None)
        if self.faults:
            self._faults(self.faults, number)
        if pid not in self.tasks.by_pid:
            self._born(pid, number)
        if rest.startswith(FAULT):
            self.tasks.get(pid, number)
            self._touched(pid, int(rest[len(FAULT) :], 16), number)
        elif call:
            self._call(pid, call[1], call[2], call[3], number)
        elif not self._event(pid, rest, number):
            raise ValueError(text)

    def _summed(self, rest: str) -> bool:
        """Whether a line is of the table that -C ends with."""
        self.summary = self.summary or rest.startswith("% time")
        return self.summary

    def facts(self) -> dict[str, str]:
        if self.reading.faults and self.merged:
            raise TraceError("the page faults of perf are in it already; drop --faults")
        if self.faults is None and not self.merged:
            return {}
        if self.faults and not (self.used and self.touched):
            raise TraceError(f"no fault of {self.faults.path} is of a task here, at a time here; {HOW}")
        how = f"{self.reading.access}: perf does not tell reads from writes"
        return {
            "page faults": f"{self.touched} of {self.faults.path.name if self.faults else 'perf'}",
            "assumed access": how,
        }

    def _faults(self, faults: Faults, line: int) -> None:
        """Those before this line, of the tasks that it has seen."""
        if not self.clock.absolute:
            raise TraceError(f"no time since 1970, by which page faults could be merged; {HOW}")
        now = self.rows.now
        for fault in faults.before(now):
            self.rows.now = fault.when
            self._touched(fault.pid if fault.pid in self.tasks.by_pid else ALONE, fault.address, line)
        self.rows.now = now

    def _touched(self, pid: str, address: int, line: int) -> None:
        task = self.tasks.by_pid.get(pid)
        if task is None or task.state is State.EXITED:
            self.rows.ignored["page faults of tasks that strace does not see"] += 1
            return
        self.touched += 1
        if task.state is State.RUNNING:
            self.tasks.touch(task, address & -PAGE, UNTOLD, line)
        else:
            self.tasks.odd_fault(pid, address & -PAGE, UNTOLD, line)

    def _event(self, pid: str, rest: str, line: int) -> bool:
        """Anything but a call that began and ended in one line."""
        if match := _BEGUN.match(rest):
            self._begins(pid, match[1], match[2], line)
        elif match := _RESUMED.match(rest):
            return self._resumes(pid, match[1], match[2], line)
        elif _ENDED.match(rest):
            self._ends(pid, line)
        elif not _SIGNAL.match(rest):
            return False
        return True

    def _begins(self, pid: str, name: str, text: str, line: int) -> None:
        """A call that takes something away has its effect where it begins, as far as its arguments are there."""
        self.begun[pid] = _Begun(name, text)
        if name in _BIRTHS:
            self.births[pid] = self._clone_flags(name, text)
        elif name == "execve":
            self.tasks.exec_called(pid, line)
        elif name in ARGUMENTS and len(arguments(text)) >= min(ARGUMENTS[name], 4):
            self._enter(pid, name, text, line)

    def _resumes(self, pid: str, name: str, rest: str, line: int) -> bool:
        begun = self.begun.pop(pid, None)
        if begun is None or begun.name != name:
            self.rows.ignored[f"end of a {name} that began before the trace"] += 1
            return True
        joint = ", " if begun.text and rest.strip() and not rest.lstrip().startswith(")") else ""
        match = _CALL.match(f"{name}({begun.text}{joint}{rest.lstrip(' ,')}")
        if match is None:
            return False
        task = self.tasks.by_pid.get(pid)
        entered = task is not None and task.call is not None and task.call.name == name
        self._call(pid, name, match[2], match[3], line, entered)
        return True

    def _call(self, pid: str, name: str, text: str, result: str, line: int, entered: bool = False) -> None:
        answer = -1 if result == "?" else int(result, 0)
        if name in _BIRTHS:
            self._child(pid, name, text, answer, line)
            return
        if name in _OPENS and answer >= 0:
            self._opened(pid, name, text, answer)
        if name not in ARGUMENTS and name not in MATTERS:
            self.rows.ignored["system calls that map nothing"] += 1
            return
        if answer < 0 and not entered and name in ARGUMENTS:  # which proves nothing of its range
            self.rows.ignored[f"{name} that failed"] += 1
            self.used += 1
            return
        if not entered:
            self._enter(pid, name, text, line)
        self.calls.exit(pid, name, answer if answer >= 0 else None, line)
        self.used += name in ARGUMENTS or name == "execve"

    def _enter(self, pid: str, name: str, text: str, line: int) -> None:
        words = arguments(text) if name in ARGUMENTS else []
        numbers = [*map(argument, words)]
        for at in (4,) if name == "mmap" else (0,) if name == "ftruncate" else ():
            numbers[at] = self._file(pid, name, words[at], numbers)
        if name == "mremap":
            numbers += [0] * (5 - len(numbers))
        if len(numbers) < ARGUMENTS.get(name, 0):
            raise ValueError(name)
        self.calls.enter(pid, name, tuple(numbers), line)

    # -- files ------------------------------------------------------------------------

    def _opened(self, pid: str, name: str, text: str, result: int) -> None:
        path = arguments(text)[1 if name == "openat" else 0].strip('"')
        self.paths[pid, result] = f"/memfd:{path}" if name == "memfd_create" else path

    def _file(self, pid: str, name: str, word: str, numbers: list[int]) -> int:
        """The descriptor; the task knows the file that it means."""
        match = _FD.match(word)
        if match is None:
            raise ValueError(word)
        descriptor, task = int(match[1]), self.tasks.get(pid)
        path = match[2] or self.paths.get((pid, descriptor), "")
        if descriptor >= 0 and path:
            end = numbers[5] + numbers[1] if name == "mmap" else 0
            task.file = self.tasks.files.seen(path, end, kind_of(path))
        return descriptor

    # -- tasks ------------------------------------------------------------------------

    def _clone_flags(self, name: str, text: str) -> int:
        match = re.search(r"flags=([\w|]+)", text)
        return _BIRTHS[name] | (value(match[1]) if match else 0)

    def _born(self, pid: str, line: int) -> None:
        """A task acts before the call that made it has returned."""
        if self.births:
            parent = next(iter(self.births))
            self.tasks.newtask(parent, pid, self.births.pop(parent), line)
            self.used += 1
        elif (
            pid != ALONE and ALONE in self.tasks.by_pid
        ):  # strace names the first task when there is a second
            self.tasks.by_pid[pid] = self.tasks.by_pid.pop(ALONE)

    def _child(self, pid: str, name: str, text: str, child: int, line: int) -> None:
        self.births.pop(pid, None)
        known = self.tasks.by_pid.get(str(child))
        if child > 0 and (known is None or known.state is State.EXITED):
            self.tasks.newtask(pid, str(child), self._clone_flags(name, text), line)
            self.used += 1

    def _ends(self, pid: str, line: int) -> None:
        task = self.tasks.by_pid.get(pid)
        if task is not None and task.state is not State.EXITED:
            self.tasks.exited(pid, line)
