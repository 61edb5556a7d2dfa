"""Rewrite ftrace text so that it names nobody and nothing: no paths, no comms, small pids.

Each line keeps ftrace's own form. Task names become ``<...>``, as ftrace writes a name it does
not know; times start at 0; of each event only the fields the importer reads are kept.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator

from mmarch.errors import InternalError

# name-pid [cpu] flags seconds: text; a name has 16 columns, or less if the text was not decoded bytewise
_LINE = re.compile(r"(?:.{16}|.{1,40}?)-(\d+) +(\[\d+\] \S+) +(\d+)\.(\d{6}): (.*)")
_FAULTS = ("page_fault_user", "page_fault_kernel")
_EVENT = re.compile(r"(\w+)(?:: |\(| -> )")
_MARK = "tracing_mark_write: mmarch_"
_RUNNING = f"{_MARK}running: "
_PID = re.compile(r"\bpid=(\d+)")
_QUOTED = re.compile(r' "(?:[^"\\]|\\.)*"(?:\.\.\.)?')
_NEWTASK = re.compile(r"pid=(\d+) comm=.* clone_flags=([0-9a-f]+)")
_EXECED = re.compile(r"filename=.* pid=(\d+) old_pid=(\d+)")
_EXITED = re.compile(r"group_dead=(\w+)")
_SIGNALLED = re.compile(r"sig=(\d+) errno=\S+ code=(\S+) comm=.* pid=(\d+)")
_REGISTERS = re.compile(r"regs=0x[0-9a-f]*[1-9a-f][0-9a-f]*")  # where the kernel's stack is


Event = tuple[int, str, str, str]  # microseconds, pid, CPU and flags, text


class Anonymizer:
    """Turns the kernel's lines into ours, from the first exec of `root` on; what ran already, from its record on."""

    def __init__(self, root: int, threads: Iterable[int] = ()) -> None:
        """`threads`: all of `root`, if it runs already."""
        tasks = dict.fromkeys((root, *sorted(threads)))
        self._numbers = {str(pid): number for number, pid in enumerate(tasks, 1)}
        self._root = str(root)
        self._tasks = len(tasks)
        self._started = False
        self._origin = 0
        self._rules = {
            "task_newtask": self._newtask,
            "sched_process_exec": self._execed,
            "sched_process_exit": self._exited,
            "signal_generate": self._signalled,
            "mmarch_fault": self._probed,
        }
        self.events: Counter[str] = Counter()

    @property
    def tasks(self) -> int:
        """Tasks seen so far, threads included."""
        return self._tasks

    def _number(self, pid: str) -> int:
        number = self._numbers.get(pid)
        if number is None:
            raise InternalError(f"recorder: task {pid} acts, but its birth was not recorded")
        return number

    def _newtask(self, body: str) -> str:
        pid, flags = self._fields(_NEWTASK, body)
        self._tasks += 1
        self._numbers[pid] = self._tasks
        return f"pid={self._tasks} comm=<...> clone_flags={flags} oom_score_adj=0"

    def _execed(self, body: str) -> str:
        pid, old = self._fields(_EXECED, body)
        return f"filename=- pid={self._number(pid)} old_pid={self._number(old)}"

    def _exited(self, body: str) -> str:
        match = _EXITED.search(body)
        return f"group_dead={match[1]}" if match else "-"

    def _signalled(self, body: str) -> str:
        number, code, pid = self._fields(_SIGNALLED, body)
        return f"sig={number} errno=0 code={code} comm=<...> pid={self._numbers.get(pid, 0)}"

    @staticmethod
    def _probed(body: str) -> str:
        return _REGISTERS.sub("regs=0x1", body)

    @staticmethod
    def _fields(pattern: re.Pattern[str], body: str) -> tuple[str, ...]:
        match = pattern.search(body)
        if match is None:
            raise InternalError(f"recorder: this kernel words an event in an unknown way: {body!r}")
        return match.groups()

    def _body(self, text: str) -> str:
        """The event's text without what could identify."""
        name = text.partition(":")[0]
        if name in _FAULTS:  # most of all
            self.events[name] += 1
            return text
        match = _EVENT.match(text)
        if match is None:
            raise InternalError(f"recorder: not an event: {text!r}")
        name = match[1]
        self.events[name] += 1
        rule = self._rules.get(name)
        if rule is not None:
            return f"{name}: {rule(text[match.end() :])}"
        if name in ("sched_prepare_exec", "exit_mmap"):
            return f"{name}: -"
        return _QUOTED.sub("", text)

    def _mark(self, text: str) -> str:
        self.events["tracing_mark_write"] += 1
        return _PID.sub(lambda match: f"pid={self._number(match[1])}", text, count=1)

    def _begins(self, pid: str, text: str) -> bool:
        """Whether `root` leaves the recorder's image here for the program's, or is described as it runs."""
        if text.startswith(_RUNNING):
            return True
        if pid != self._root:
            return False
        return text.startswith(("sched_prepare_exec:", "exit_mmap:"))

    @staticmethod
    def events_in(raw: Iterable[str]) -> Iterator[Event]:
        """The kernel's lines taken apart."""
        for line in raw:
            match = _LINE.match(line)
            if match:
                pid, where, seconds, fraction, text = match.groups()
                yield int(seconds + fraction), pid, where, text
            elif line.strip() and not line.startswith("#"):
                raise InternalError(f"recorder: not an ftrace line: {line!r}")

    def rewritten(self, events: Iterable[Event]) -> Iterator[str]:
        """Our lines, each with its newline."""
        for at, pid, where, text in events:
            if not self._started:
                if not self._begins(pid, text):
                    continue
                self._started, self._origin = True, at
            ours = text.startswith(_MARK)
            number = 0 if ours else self._number(pid)
            body = self._mark(text) if ours else self._body(text)
            whole, part = divmod(at - self._origin, 1_000_000)
            yield f"           <...>-{number:<7d} {where} {whole:5d}.{part:06d}: {body}\n"

    def lines(self, raw: Iterable[str]) -> Iterator[str]:
        """The kernel's lines as ours."""
        return self.rewritten(self.events_in(raw))
