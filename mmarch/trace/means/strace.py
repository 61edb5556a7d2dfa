"""System calls by strace, as anybody may run it; no faults, so that what a mapping's user did is assumed."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from mmarch.errors import InputError
from mmarch.trace.calls import ARGUMENTS, UNMODELLED, UNSUPPORTED
from mmarch.trace.machines import this_machine
from mmarch.trace.means.tool import Names, refused, run, save
from mmarch.trace.recording import Recording, Wanted

NAME = "strace, without faults"
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
def ready(wanted: Wanted) -> Iterator[Callable[[], Recording]]:
    """Try it on a program that does nothing; InputError with what strace says."""
    this_machine()
    with tempfile.TemporaryDirectory(prefix="mmarch-") as folder:
        output = Path(folder) / "strace.txt"
        if why := refused("strace", [*_BASE, "-o", str(output), "--", "true"], Path(folder)):
            raise InputError(f"cannot record: {why}")
        yield partial(_record, wanted, output)


def _record(wanted: Wanted, output: Path) -> Recording:
    what = ["-p", str(wanted.pid)] if wanted.pid else ["-I1", "--", *wanted.command]
    ended = run([*_BASE, "-o", str(output), *what], wanted)
    names = Names()
    with output.open(errors="replace") as lines:
        return save(wanted, NAME, rewritten(lines, names), names, ended, "")


def rewritten(lines: Iterable[str], names: Names) -> Iterator[str]:
    """Without names and real pids."""
    for line in lines:
        match = _HEAD.match(line)
        if match:
            pid, at, body = match.groups()
            yield f"{names.number('pid', pid)}{at}{_without_names(body, names)}"


def _without_names(body: str, names: Names) -> str:
    body = _PROGRAM.sub(r"\1\2", _STRING.sub('"-"', body))
    body = _FILE.sub(lambda found: f"<{names.file(found[1])}>", body)
    body = _TID.sub(r"\g<1>0", body)
    return _CHILD.sub(lambda found: found[1] + names.number("pid", found[2]), body)
