"""System calls by strace, as anybody may run it; no faults, so that what a mapping's user did is assumed."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from mmarch.errors import InputError
from mmarch.trace import ptrace
from mmarch.trace.calls import ARGUMENTS, UNMODELLED, UNSUPPORTED
from mmarch.trace.machines import this_machine
from mmarch.trace.means.tool import Names, Ready, refused, run, save
from mmarch.trace.recording import Recording, Wanted

NAME = "strace, without faults"
STATE_IT = "state what was touched when it replays (--touch)"
_CALLS = sorted(
    {*ARGUMENTS, *UNMODELLED, *UNSUPPORTED, "execve", "execveat", "fork", "vfork", "clone", "clone3"}
)
_BASE = ["strace", "-q", "-f", "-ttt", "-y", "-e", "trace=" + ",".join(f"?{name}" for name in _CALLS)]
_HEAD = re.compile(r"(\d+)( +\d+\.\d+ )(.*)$", re.S)
_FILE = re.compile(r"(?<=\d)<([^<>]*)>(?=[,)\s]|$)")
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"(?:\.\.\.)?')
_PROGRAM = re.compile(r"(execve(?:at)?\().*?(\) += |<unfinished|$)")
_CHILD = re.compile(r"((?:clone3?|v?fork)\b.*\) += )(\d+)")
_TID = re.compile(r"((?:parent|child)_tid(?:ptr)?=)(\[\d+\]|\w+)")


@contextmanager
def ready(wanted: Wanted) -> Iterator[Ready]:
    """Try it on a program that does nothing; InputError with what strace says."""
    this_machine()
    with tempfile.TemporaryDirectory(prefix="mmarch-") as folder:
        if why := refusal(wanted, Path(folder)):
            raise InputError(f"cannot record: {why}")
        yield f"{NAME}: {STATE_IT}", partial(_record, wanted, Path(folder) / "strace.txt")


def refusal(wanted: Wanted, folder: Path) -> str:
    """Why strace cannot record it; nothing if it can."""
    trial = ["strace", "-q", "-f", "-o", str(folder / "trial"), "--", "true"]
    return refused("strace", trial, folder) or (ptrace.refusal(wanted.pid) if wanted.pid else "")


def command(wanted: Wanted, output: Path) -> list[str]:
    """strace, of a process that runs, until it is interrupted, or of a command, to its end (-I3)."""
    what = ["-p", str(wanted.pid)] if wanted.pid else ["-I3", "--", *wanted.command]
    return [*_BASE, "-o", str(output), *what]


def _record(wanted: Wanted, output: Path) -> Recording:
    output.touch()  # it may be ended before it begins
    ended = run(command(wanted, output), wanted)
    names = Names()
    with output.open(errors="replace") as lines:
        return save(wanted, NAME, rewritten(lines, names), names, ended, "")


def rewritten(lines: Iterable[str], names: Names) -> Iterator[str]:
    """Without names and real pids, and without a last line that is cut."""
    for line in lines:
        match = _HEAD.match(line)
        if match and line.endswith("\n"):
            pid, at, body = match.groups()
            yield f"{names.number('pid', pid)}{at}{_without_names(body, names)}"


def _without_names(body: str, names: Names) -> str:
    body = _PROGRAM.sub(r"\1\2", _STRING.sub('"-"', body))
    body = _FILE.sub(lambda found: f"<{names.file(found[1])}>", body)
    body = _TID.sub(r"\g<1>0", body)
    return _CHILD.sub(lambda found: found[1] + names.number("pid", found[2]), body)
