"""A private ftrace instance: its own ring buffer, events, clock and marker.

Nothing outside ``instances/mmarch-PID`` is written, so taking the instance away restores
tracefs as it was (Documentation/trace/ftrace.rst, "Instances").
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from mmarch.errors import InputError

PREFIX = "mmarch-"
FULL = "dropped events"
LOSSES = ("overrun", "commit overrun", FULL)
MARKS = "marks"
MIB_KIB = 1024


def mount_point(mounts: Path = Path("/proc/mounts")) -> Path:
    """Where tracefs is mounted; InputError when it is not."""
    for line in mounts.read_text().splitlines():
        fields = line.split()
        if len(fields) > 2 and fields[2] == "tracefs":
            return Path(fields[1])
    raise InputError(
        "cannot record: tracefs is not mounted; as root: mount -t tracefs nodev /sys/kernel/tracing"
    )


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

    def has_event(self, event: str) -> bool:
        """Whether this kernel has the event, ``subsystem/name``."""
        return (self.root / "events" / event).is_dir()

    def enable(self, events: Sequence[str], filters: Mapping[str, str]) -> None:
        """Switch events on, each with its filter if it has one."""
        for event in events:
            if event in filters:
                self.write(f"events/{event}/filter", filters[event])
            self.write(f"events/{event}/enable", "1")

    def follow(self, pid: int) -> None:
        """Record events of `pid`, and of its children from their birth."""
        self.write("set_event_pid", f"{pid}\n")

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


def _clear_leftovers(instances: Path) -> None:
    """Take away instances whose recorder was killed before it could."""
    for left in instances.glob(f"{PREFIX}*"):
        if not Path("/proc", left.name.removeprefix(PREFIX)).exists():
            with suppress(OSError):
                Instance(left).remove()


def _make(root: Path) -> Instance:
    try:
        _clear_leftovers(root.parent)
        root.mkdir()
    except OSError as error:
        raise InputError(
            f"cannot record: {root.parent} refuses a new instance ({error.strerror}); "
            "recording needs root and a kernel that permits tracefs"
        ) from error
    return Instance(root)


def _configure(made: Instance, buffer_kib: int) -> None:
    settings = {
        "trace_clock": "mono",
        "options/event-fork": "1",
        "options/overwrite": "0",
        "buffer_size_kb": str(buffer_kib),
    }
    for name, value in settings.items():
        try:
            made.write(name, value)
        except OSError as error:
            raise InputError(f"cannot record: tracefs refuses {name} = {value} ({error.strerror})") from error


@contextmanager
def instance(buffer_kib: int) -> Iterator[Instance]:
    """A fresh instance with `buffer_kib` KiB a CPU and the monotonic clock, gone on exit."""
    made = _make(mount_point() / "instances" / f"{PREFIX}{os.getpid()}")
    try:
        _configure(made, buffer_kib)
        yield made
    finally:
        made.remove()
