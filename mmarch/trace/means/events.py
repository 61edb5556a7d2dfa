"""What either means of ftrace switches on besides faults: system calls, births, images and deaths of tasks."""

from __future__ import annotations

import signal
from collections.abc import Iterable

from mmarch.trace.calls import UNMODELLED, UNSUPPORTED
from mmarch.trace.ftrace_text import words
from mmarch.trace.means.writes import Write, enable


def both_ends(names: Iterable[str]) -> list[str]:
    """The events of system calls."""
    return [f"syscalls/sys_{side}_{name}" for name in names for side in ("enter", "exit")]


NEEDED = [
    "task/task_newtask", "sched/sched_process_exec", "sched/sched_process_exit",
    *both_ends(("mmap", "munmap", "mprotect", "mremap", "madvise", "brk", "execve")),
]  # fmt: skip
WELCOME = [
    "sched/sched_prepare_exec", "mmap/exit_mmap",
    *both_ends(sorted(UNMODELLED | UNSUPPORTED | words("pkey_mprotect msync ftruncate execveat shmget shmdt"))),
]  # fmt: skip
SIGNALS = f"sig == {int(signal.SIGSEGV)} || sig == {int(signal.SIGBUS)}"


def writes(name: str) -> list[Write]:
    """For the instance of that name."""
    return [
        *enable(name, NEEDED),
        *enable(name, WELCOME, needed=False),
        *enable(name, ["signal/signal_generate"], needed=False, filtered=SIGNALS),
    ]
