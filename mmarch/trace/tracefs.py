"""A private ftrace instance: its own ring buffer, events, clock and marker.

Outside of ``instances/mmarch-PID`` nothing is written but a probe of the same name where one is needed, so
taking both away restores tracefs as it was (Documentation/trace/ftrace.rst, "Instances").
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from mmarch.trace.means.writes import Write, execute, undo

PREFIX = "mmarch-"
FULL = "dropped events"
LOSSES = ("overrun", "commit overrun", FULL)
MARKS = "marks"
MIB_KIB = 1024
SLACK = 1.25  # no two runs are the same


class Instance:
    """One ring buffer per CPU and the switches of its events; made by `instance`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._marker = self._pipe = -1
        self._lost_marks = 0

    def write(self, name: str, text: str) -> None:
        """Write one control file; OSError as the kernel says."""
        descriptor = os.open(self.root / name, os.O_WRONLY | os.O_APPEND)
        try:
            os.write(descriptor, text.encode())
        finally:
            os.close(descriptor)

    def follow(self, pid: int) -> None:
        """Record events of `pid`, and of its children from their birth."""
        self.write("set_event_pid", f"{pid}\n")

    def follow_nobody(self) -> None:
        """Forget whom to follow."""
        os.close(os.open(self.root / "set_event_pid", os.O_WRONLY | os.O_TRUNC))

    def mark(self, text: str) -> None:
        """Put a line of ours on the timeline."""
        if self._marker < 0:
            self._marker = os.open(self.root / "trace_marker", os.O_WRONLY)
        try:
            os.write(self._marker, text.encode())
        except OSError:  # EBADF: the buffer is full (kernel/trace/trace.c, writing a mark)
            self._lost_marks += 1

    def lost(self) -> dict[str, int]:
        """Events lost so far, by reason, over all CPUs; empty when none were."""
        lost = {MARKS: self._lost_marks} if self._lost_marks else {}
        for stats in self.root.glob("per_cpu/cpu*/stats"):
            for line in stats.read_text().splitlines():
                reason, _, number = line.partition(":")
                if reason in LOSSES and int(number):
                    lost[reason] = lost.get(reason, 0) + int(number)
        return lost

    def entries(self) -> int:
        """Events in the buffer, over all CPUs."""
        stats = [path.read_text() for path in self.root.glob("per_cpu/cpu*/stats")]
        found = [
            line.partition(":")[2]
            for text in stats
            for line in text.splitlines()
            if line.startswith("entries")
        ]
        return sum(map(int, found))

    def take(self, reads: int) -> str:
        """The text of events that are there now, and in the buffer no more; the last line may be cut.

        reads  how often at most; of each comes a page

        Events of all CPUs are in order of time, but that one may come late.
        """
        if self._pipe < 0:
            self._pipe = os.open(self.root / "trace_pipe", os.O_RDONLY | os.O_NONBLOCK)
        parts: list[bytes] = []
        with suppress(BlockingIOError):
            while len(parts) < reads and (part := os.read(self._pipe, 1 << 16)):
                parts.append(part)
        return b"".join(parts).decode("latin-1")

    def needed_kib(self) -> int:
        """The buffer, in KiB a CPU, that would have held what is there and what was dropped since the last `take`."""
        return max((_needed(stats.read_text()) for stats in self.root.glob("per_cpu/cpu*/stats")), default=0)

    def start(self) -> None:
        """Record from now on."""
        self.write("tracing_on", "1")

    def stop(self) -> None:
        """Record nothing more."""
        with suppress(OSError):
            self.write("tracing_on", "0")

    def remove(self) -> None:
        """Stop, and give the buffer back."""
        for descriptor in (self._marker, self._pipe):
            if descriptor >= 0:
                os.close(descriptor)
        self.stop()
        with suppress(OSError):
            self.write("events/enable", "0")
        self.root.rmdir()


def default_buffer_kib() -> int:
    """KiB of ring buffer a CPU: 64 MiB, less where that exceeds an eighth of free memory."""
    free_kib = os.sysconf("SC_AVPHYS_PAGES") * (os.sysconf("SC_PAGE_SIZE") // 1024)
    share = free_kib // 8 // (os.cpu_count() or 1)
    return max(MIB_KIB, min(64 * MIB_KIB, share))


def _needed(stats: str) -> int:
    found = dict(line.split(": ", 1) for line in stats.splitlines() if ": " in line)
    entries, size, dropped = (int(found.get(name, 0)) for name in ("entries", "bytes", FULL))
    if not dropped:
        return 0
    wanted = size * (entries + dropped) // max(1, entries) * SLACK
    return int(wanted // 1024 // MIB_KIB + 1) * MIB_KIB


@contextmanager
def instance(root: Path, name: str, writes: Sequence[Write]) -> Iterator[Instance]:
    """What a list of writes below the tracefs `root` sets up, with the instance called `name`; undone on exit."""
    made = Instance(root / "instances" / name)
    try:
        execute(root, writes)
        yield made
    finally:
        if os.path.exists(made.root):  # False, too, where we may not look
            made.remove()
        execute(root, undo(writes))
