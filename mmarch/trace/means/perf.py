"""Faults by perf's software event page-faults, with addresses; system calls by tracepoints where perf may have them.

What it cannot say is whether an access read or wrote. Without the right to tracepoints, it has the faults that
the program makes itself and no system calls, so that mappings are assumed.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from mmarch.errors import InputError
from mmarch.trace.machines import this_machine
from mmarch.trace.means import events
from mmarch.trace.means.tool import Names, refused, run, save
from mmarch.trace.recording import Recording, Wanted

NAME = "perf's page-faults"
PAGES = 1024  # of a buffer a CPU, unless one is chosen
_BASE = ["perf", "record", "-q", "-e", "page-faults", "-c", "1", "-d", "-k", "CLOCK_MONOTONIC"]
_FIELDS = ["-F", "sw:comm,tid,time,event,addr", "-F", "trace:comm,tid,time,event,trace"]
_LINE = re.compile(r"\s*\S.*?\s+(\d+)\s+(\d+\.\d+):(\s+\S+:.*)$")
_PID = re.compile(r"\b((?:old_)?pid)=(\d+)")
_NAMED = re.compile(r"\b(filename|comm)=.*?(?= (?:pid|clone_flags|prio|group_dead)=|$)")
_LOST = re.compile(r"[Ll]ost (\d+) (?:events|chunks|samples)")


@contextmanager
def ready(wanted: Wanted) -> Iterator[Callable[[], Recording]]:
    """Try it on a program that does nothing; InputError with what perf says."""
    this_machine()
    with tempfile.TemporaryDirectory(prefix="mmarch-") as folder:
        data = Path(folder) / "perf.data"
        if why := refused("perf", [*_BASE, "-o", str(data), "--", "true"], Path(folder)):
            raise InputError(f"cannot record: {why}")
        tracing = _tracepoints(data)
        yield partial(_record, wanted, data, tracing)


def _tracepoints(data: Path) -> list[str]:
    """Options for the tracepoints that perf may have, none if it may not have those that are needed."""
    needed = [event.replace("/", ":", 1) for event in events.NEEDED]
    listed = subprocess.run(
        ["perf", "list", "tracepoint"], capture_output=True, text=True, check=False
    ).stdout
    welcome = [name for event in events.WELCOME if (name := event.replace("/", ":", 1)) in listed.split()]
    options = ["-e", ",".join((*needed, *welcome))]
    return [] if refused("perf", [*_BASE, *options, "-o", str(data), "--", "true"], data.parent) else options


def _record(wanted: Wanted, data: Path, tracing: list[str]) -> Recording:
    what = ["-p", str(wanted.pid)] if wanted.pid else ["--", *wanted.command]
    size = ["-m", f"{wanted.buffer_kib}K" if wanted.buffer_kib else str(PAGES)]
    ended = run([*_BASE, *tracing, *size, "-o", str(data), *what], wanted)
    if not data.exists():
        raise InputError(f"cannot record: perf wrote nothing (status {ended[0]})")
    printed = data.with_suffix(".txt")
    command = ["perf", "script", "--ns", "-i", str(data), *_FIELDS]
    with printed.open("w") as text:
        done = subprocess.run(command, stdout=text, stderr=subprocess.PIPE, text=True, check=False)
    _check_losses(done.stderr, wanted)
    names = Names()
    means = NAME if tracing else f"{NAME}; no system calls, for perf may not have tracepoints"
    with printed.open(errors="replace") as lines:
        return save(wanted, means, rewritten(lines, names), names, ended, " page-faults")


def _check_losses(said: str, wanted: Wanted) -> None:
    if lost := _LOST.search(said):
        larger = max(wanted.buffer_kib * 4, PAGES * 16)
        raise InputError(
            f"perf lost {lost[1]} events; nothing was written. Record again with a larger buffer "
            f"(--buffer {larger}), or record less (-d SECONDS)"
        )


def rewritten(lines: Iterable[str], names: Names) -> Iterator[str]:
    """Without names and real pids."""
    for line in lines:
        match = _LINE.match(line)
        if match:
            tid, at, body = match.groups()
            body = _NAMED.sub(lambda found: f"{found[1]}=-", body)
            body = _PID.sub(lambda found: f"{found[1]}={names.number('pid', found[2])}", body)
            yield f"task {names.number('pid', tid)} {at}:{body}\n"
