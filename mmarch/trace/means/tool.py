"""Record with a program that others keep: it runs, writes a file of its own, and its text is rewritten into ours."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from mmarch.errors import InputError
from mmarch.trace import ptrace
from mmarch.trace.faults import TRACERS
from mmarch.trace.ftrace_text import FORMAT_KEY, RECORDING_KEY
from mmarch.trace.interrupts import Ended, Interrupts
from mmarch.trace.means import ending
from mmarch.trace.provenance import facts, head
from mmarch.trace.recording import BY_CTRL_C, BY_TIME, Recording, Wanted, text_file

_PATIENCE = 60.0  # seconds that a tool may take to write what it has
_TRIAL = 120.0  # seconds that it may take to record nothing
Rewriting = Callable[[Iterable[str]], Iterable[str]]
Ready = tuple[str, Callable[[], Recording]]  # by what, in a line; how to run it


class Names:
    """Numbers for pids and for files, in order of appearance."""

    def __init__(self) -> None:
        self._known: dict[str, dict[str, str]] = {}

    def number(self, kind: str, name: str) -> str:
        """The same one for the same name of a kind."""
        known = self._known.setdefault(kind, {})
        return known.setdefault(name, str(len(known) + 1))

    def count(self, kind: str) -> int:
        """How many there are."""
        return len(self._known.get(kind, ()))

    def file(self, path: str) -> str:
        """A name that keeps what kind of file it is (`mmarch.trace.maps.kind_of`), and nothing else."""
        kept = re.match(r"/dev/zero$|/dev/shm/|/memfd:|/SYSV|/dev/|anon_inode:|\w+:\[", path)
        if path == "/dev/zero":
            return path
        return f"{kept[0] if kept else '/'}{self.number('file', path)}"


def run(command: Sequence[str], wanted: Wanted, tools: int = 1) -> tuple[int, bool, bool]:
    """(status, whether it was ended before the program was, whether by Ctrl-C).

    tools  how many run each other, the last one of them the program
    """
    interrupts = Interrupts(wanted.seconds)
    quiet = None if wanted.huge_pages or wanted.pid else ptrace.disable_huge_pages
    known = ending.children().get(os.getpid(), set())
    with ending.orphans_are_ours(), interrupts.held():
        process = subprocess.Popen(command, preexec_fn=quiet)
        try:
            return interrupts.wait(process.wait), False, False
        except Ended:
            return 0, True, interrupts.by_hand
        finally:
            if process.poll() is None:
                _stop(process, wanted, tools, known)


def _stop(process: subprocess.Popen[bytes], wanted: Wanted, tools: int, known: set[int]) -> None:
    try:
        if wanted.pid:
            process.send_signal(signal.SIGINT)
            process.wait(_PATIENCE)
            ending.end_orphans(known, TRACERS)
        else:
            ending.end(process, tools, known, _PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise InputError(f"cannot record: the tool does not end: {process.args!r}") from None


def save(
    wanted: Wanted, means: str, lines: Iterable[str], names: Names, ended: tuple[int, bool, bool], fault: str
) -> Recording:
    """Write the head and all lines; those that have `fault` in them are faults."""
    status, over, by_hand = ended
    count = faults = 0
    with text_file(wanted.output) as text:
        found = facts(wanted, means)
        del found[FORMAT_KEY]
        text.write(f"# {RECORDING_KEY}: {means}\n{head(found)}")
        for line in lines:
            text.write(line)
            count += 1
            faults += bool(fault) and fault in line
        if not count:
            raise InputError(f"nothing was recorded: {means} saw nothing of it (status {status})")
        if over:
            text.write(f"# ended: {BY_CTRL_C if by_hand else BY_TIME}\n")
    return Recording(wanted.output, count, faults, names.count("pid"), status, by_hand and not wanted.pid)


def refused(program: str, trial: Sequence[str], folder: Path) -> str:
    """Why a tool cannot record, by its own words: nothing if it can."""
    try:
        done = subprocess.run(trial, cwd=folder, capture_output=True, text=True, timeout=_TRIAL)
    except FileNotFoundError:
        return f"no {program} on the path"
    except subprocess.TimeoutExpired:
        return f"{program} does not end"
    said = [line for line in (done.stderr + done.stdout).splitlines() if line.strip() not in ("", "Error:")]
    if done.returncode == 0:
        return ""
    return f"{program}: {said[0].strip().removeprefix(f'{program}: ')}" if said else f"{program} fails"
