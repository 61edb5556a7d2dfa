"""One QEMU process, bounded in time, memory and output, which does not outlive us.

Errors: mmarch.errors.InputError with the last lines of the guest's console.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import resource
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mmarch.errors import InputError

MAX_FILE = 2 << 30  # of any one file that QEMU writes
MAX_ADDRESSES = 16 << 30
_PR_SET_PDEATHSIG = 1
_TAIL = 12
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[^\x20-\x7e\t]")


@dataclass(frozen=True)
class Ended:
    """How a process ended: its code, how long it took, whether it was stopped for taking too long."""

    code: int
    seconds: float
    overdue: bool = False


def run(
    command: Sequence[str], folder: Path, timeout: float, watch: Callable[[], None] = lambda: None
) -> Ended:
    """Run QEMU in `folder`, its console in the file `console` there; `watch` is called ten times a second."""
    start = time.monotonic()
    with (folder / "console").open("wb") as console:
        process = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=console, stderr=subprocess.STDOUT,
            start_new_session=True, preexec_fn=_bound(os.getpid()),
        )  # fmt: skip
        try:
            while (code := _poll(process)) is None:
                watch()
                if time.monotonic() - start > timeout:
                    return Ended(-signal.SIGKILL, timeout, overdue=True)
            return Ended(code, time.monotonic() - start)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _poll(process: subprocess.Popen[bytes]) -> int | None:
    try:
        return process.wait(0.1)
    except subprocess.TimeoutExpired:
        return None


def _bound(parent: int) -> Callable[[], None]:
    """For the child: die with the parent, write and map no more than so much."""
    libc = ctypes.CDLL(None)

    def bound() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)
        resource.setrlimit(resource.RLIMIT_FSIZE, (MAX_FILE, MAX_FILE))
        resource.setrlimit(resource.RLIMIT_AS, (MAX_ADDRESSES, MAX_ADDRESSES))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    return bound


def last_lines(folder: Path) -> str:
    """The end of the console, for an error message."""
    try:
        with (folder / "console").open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - 8192))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return ""
    lines = [_CONTROL.sub("", line).rstrip()[:200] for line in text.splitlines()]
    return "\n".join(f"  {line}" for line in [line for line in lines if line][-_TAIL:])


def complaint(what: str, folder: Path) -> InputError:
    """An error that ends with the console's last lines."""
    lines = last_lines(folder)
    return InputError(f"{what}; the console ends:\n{lines}" if lines else f"{what}; its console is empty")
