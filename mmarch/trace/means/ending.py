"""End a command that a tool runs, with all that it started; the tool sees that, and writes what it has.

Errors: none; who is gone already is fine.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Container, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36
_PAUSE = 0.02  # seconds between two looks for who was born meanwhile
_libc = ctypes.CDLL(None, use_errno=True)


@contextmanager
def orphans_are_ours() -> Iterator[None]:
    """Who loses its parent becomes a child of this process, so that it is found (man 2 prctl)."""
    _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        yield
    finally:
        _libc.prctl(_PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


def children() -> dict[int, set[int]]:
    """Of every process."""
    found: dict[int, set[int]] = {}
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            stat = (path / "stat").read_text()
            parent = int(stat.rpartition(")")[2].split()[1])  # man 5 proc: state, ppid
            found.setdefault(parent, set()).add(int(path.name))
    return found


def started(tool: int, depth: int, known: set[int]) -> set[int]:
    """The command's processes: below so many tools that run each other, and orphans, but for our `known` children."""
    family = children()
    level = {tool}
    for _ in range(depth):
        level = set().union(*(family.get(pid, ()) for pid in level))
    level |= family.get(os.getpid(), set()) - known - {tool}
    found: set[int] = set()
    while level - found:
        found |= level
        level = set().union(*(family.get(pid, ()) for pid in level))
    return found


def end(tool: subprocess.Popen[bytes], depth: int, known: set[int], patience: float) -> None:
    """Kill all of them, until the tool has ended and none is left; subprocess.TimeoutExpired if the tool does not."""
    until = time.monotonic() + patience
    while (left := _killed(started(tool.pid, depth, known))) or tool.poll() is None:
        if not left and time.monotonic() > until:
            raise subprocess.TimeoutExpired(tool.args, patience)
        time.sleep(_PAUSE)


def end_orphans(known: set[int], names: Container[str]) -> None:
    """Those of a tool that was ended before it had begun, as strace's child that tries ptrace, by their names."""
    for pid in children().get(os.getpid(), set()) - known:
        with suppress(OSError):
            if Path(f"/proc/{pid}/comm").read_text().strip() in names:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)


def _killed(pids: set[int]) -> set[int]:
    """Whom there was to kill; an orphan is reaped."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        with suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
    return pids
