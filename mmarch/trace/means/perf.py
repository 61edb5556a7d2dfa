"""Page faults by perf's software event, with system calls by tracepoints, where perf may have them, else by strace.

What perf does not say is whether an access read or wrote. Without either, it has the faults that the program
makes itself and no system calls, so that mappings are assumed.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from mmarch.errors import InputError
from mmarch.trace.machines import this_machine
from mmarch.trace.means import events, merged, strace
from mmarch.trace.means.tool import Names, Ready, refused, run, save
from mmarch.trace.recording import Recording, Wanted
from mmarch.trace.strace import WITH_FAULTS

NAME = "perf's page-faults"
PAGES = 1024  # of a buffer a CPU, unless one is chosen
PARANOID = Path("/proc/sys/kernel/perf_event_paranoid")
MOST_PARANOID = 2  # that lets a user see the page faults of programs of his own
_BASE = ["perf", "record", "-q", "-B", "-N", "-e", "page-faults", "-c", "1", "-d"]
_FIELDS = ["-F", "sw:comm,tid,time,event,addr", "-F", "trace:comm,tid,time,event,trace"]
_LINE = re.compile(r"\s*\S.*?\s+(\d+)\s+(\d+\.\d+):(\s+\S+:.*)$")
_PID = re.compile(r"\b((?:old_)?pid)=(\d+)")
_NAMED = re.compile(r"\b(filename|comm)=.*?(?= (?:pid|clone_flags|prio|group_dead)=|$)")
_DEATH, _RECORD, _EXIT = "sched:sched_process_exit:", " PERF_RECORD_", " PERF_RECORD_EXIT("
_LOST = re.compile(r" PERF_RECORD_LOST lost (\d+)")


@contextmanager
def ready(wanted: Wanted) -> Iterator[Ready]:
    """Try it on a program that does nothing; InputError with what perf says."""
    this_machine()
    with tempfile.TemporaryDirectory(prefix="mmarch-") as folder:
        data = Path(folder) / "perf.data"
        base = [*_BASE, *_size(wanted, data)]
        if tracing := _tracepoints(base, data):
            yield NAME, partial(_record, wanted, NAME, [*base, "-k", "CLOCK_MONOTONIC", *tracing], data)
        elif why := strace.refusal(wanted, Path(folder)):
            means = f"{NAME}; no system calls, for perf may not have tracepoints ({why})"
            yield means, partial(_record, wanted, means, [*base, "-k", "CLOCK_MONOTONIC"], data)
        else:
            yield WITH_FAULTS, partial(_record_both, wanted, [*base, "-k", "CLOCK_REALTIME"], data)


def _trial(options: Sequence[str], data: Path) -> str:
    return refused("perf", [*options, "-o", str(data), "--", "true"], data.parent)


def _size(wanted: Wanted, data: Path) -> list[str]:
    """The buffer, as far as a user may lock memory; InputError if perf may not record at all."""
    size = ["-m", f"{wanted.buffer_kib}K" if wanted.buffer_kib else str(PAGES)]
    if not (why := _trial([*_BASE, *size], data)):
        return size
    if wanted.buffer_kib or _trial(_BASE, data):
        raise InputError(f"cannot record: {why}{_paranoid()}")
    return []


def _paranoid() -> str:
    """The setting that keeps a user from it; root may whatever it says."""
    try:
        level = int(PARANOID.read_text())
    except (OSError, ValueError):
        return ""
    setting = PARANOID.name
    return (
        f" (kernel.{setting} is {level}; {MOST_PARANOID} would do)"
        if level > MOST_PARANOID and os.geteuid()
        else ""
    )


def _tracepoints(base: Sequence[str], data: Path) -> list[str]:
    """Options for the tracepoints that perf may have, none if it may not have those that are needed."""
    needed, welcome = (
        [event.replace("/", ":", 1) for event in some] for some in (events.NEEDED, events.WELCOME)
    )
    listed = subprocess.run(
        ["perf", "list", "tracepoint"], capture_output=True, text=True, check=False
    ).stdout.split()
    if not set(needed) <= set(listed) or _trial([*base, "-e", needed[0]], data):
        return []
    return ["-e", ",".join((*needed, *(name for name in welcome if name in listed)))]


def _record(wanted: Wanted, means: str, base: Sequence[str], data: Path) -> Recording:
    what = ["-p", str(wanted.pid)] if wanted.pid else ["--", *wanted.command]
    ended = run([*base, "-o", str(data), *what], wanted)
    names = Names()
    with _printed(data, ended[0]).open(errors="replace") as lines:
        return save(wanted, means, rewritten(lines, names), names, ended, merged.FAULT)


def _record_both(wanted: Wanted, base: Sequence[str], data: Path) -> Recording:
    """perf runs strace, and ends it; a process that runs already is attached to by both."""
    of, calls = ["-p", str(wanted.pid)] if wanted.pid else [], data.with_name("strace.txt")
    calls.touch()  # strace may be ended before it begins
    ended = run([*base, "-o", str(data), *of, "--", *strace.command(wanted, calls)], wanted, tools=2)
    names = Names()
    with (
        _printed(data, ended[0]).open(errors="replace") as faults,
        calls.open(errors="replace") as text,
    ):
        seen = merged.tasks(calls)
        lines = merged.by_time(strace.rewritten(text, names), merged.faults(faults, seen, names))
        return save(wanted, WITH_FAULTS, lines, names, ended, merged.FAULT)


def _printed(data: Path, status: int) -> Path:
    """The text of what was recorded."""
    if not data.exists():
        raise InputError(f"cannot record: perf wrote nothing (status {status})")
    printed = data.with_suffix(".txt")
    shown = ["--ns", "--show-task-events", "--show-lost-events"]
    with printed.open("w") as text:
        subprocess.run(
            ["perf", "script", *shown, "-i", str(data), *_FIELDS],
            stdout=text, stderr=subprocess.DEVNULL, check=False,
        )  # fmt: skip
    with printed.open(errors="replace") as lines:
        _check_losses(lines, data.stat().st_size)
    return printed


def _check_losses(lines: Iterable[str], size: int) -> None:
    recorded = lost = 0
    for line in lines:
        recorded += 1
        if found := _LOST.search(line):
            lost += int(found[1])
    if lost:
        raise InputError(
            f"perf lost {lost:,} events; nothing was written. Record again with a larger buffer: "
            f"--buffer {holding(size, recorded, lost)} (KiB a CPU) would have done; or record less (-d SECONDS)"
        )


def holding(size: int, recorded: int, lost: int) -> int:
    """KiB of a buffer for all that was recorded, in `size` bytes, and lost: a power of two, as perf wants it."""
    needed = size * (recorded + lost) // max(recorded, 1) >> 10
    return 1 << needed.bit_length()


def rewritten(lines: Iterable[str], names: Names) -> Iterator[str]:
    """Without names and real pids; deaths as perf itself records them (Linux 6.12 keeps that tracepoint from it)."""
    for line in lines:
        match = _LINE.match(line)
        if match and _DEATH not in match[3]:
            tid, at, body = match.groups()
            if _RECORD in body:
                if _EXIT not in body:
                    continue
                body = f" {_DEATH} comm=- pid={tid}"
            body = _NAMED.sub(lambda found: f"{found[1]}=-", body)
            body = _PID.sub(lambda found: f"{found[1]}={names.number('pid', found[2])}", body)
            yield f"task {names.number('pid', tid)} {at}:{body}\n"
