"""What the kernel counts of a command's tasks: faults, and the most memory of each process.

    python -m tools.kernel_counts [-o FILE] [--recorded] COMMAND …

The kernel reports every task that ends through netlink (Documentation/accounting/taskstats.rst); needs root. The
command gets a group id that nobody else has, by which its tasks are known. With --recorded the command is
`mmarch record …`, whose own tasks are left out.
"""

from __future__ import annotations

import argparse
import csv
import os
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import nullcontext, suppress
from dataclasses import dataclass

NETLINK_GENERIC, REQUEST, CONTROL = 16, 1, 0x10
GET_FAMILY, FAMILY_ID, FAMILY_NAME = 3, 1, 2
GET, REGISTER_CPUS = 1, 3
AGGREGATE_TASK, STATISTICS = 4, 3
LARGEST = 1 << 16  # bytes of a message
QUIET = 0.5  # seconds after the command, for reports that are under way
# of struct taskstats (include/uapi/linux/taskstats.h)
GROUP, PID, PARENT, MINOR, MAJOR, PEAK = 124, 128, 132, 168, 176, 200
COMMAND = slice(80, 112)


@dataclass(frozen=True)
class Task:
    """One that has ended: minor and major faults, and the most KiB its address space had."""

    pid: int
    parent: int
    name: str
    minor: int
    major: int
    peak_kib: int


def _attribute(kind: int, value: bytes) -> bytes:
    head = struct.pack("=HH", 4 + len(value), kind) + value
    return head + bytes(-len(head) % 4)


def attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Kind and value of each, in one layer."""
    while len(data) >= 4:
        length, kind = struct.unpack_from("=HH", data)
        if length < 4:
            return
        yield kind & 0x3FFF, data[4:length]
        data = data[(length + 3) & ~3 :]


def _ask(link: socket.socket, family: int, command: int, *parts: bytes) -> None:
    body = struct.pack("=BBH", command, 1, 0) + b"".join(parts)
    link.send(struct.pack("=IHHII", 16 + len(body), family, REQUEST, 1, 0) + body)


def task(statistics: bytes) -> tuple[int, Task]:
    """The group of a task, and what was counted of it."""
    group, pid, parent = (struct.unpack_from("=I", statistics, at)[0] for at in (GROUP, PID, PARENT))
    minor, major, peak = (struct.unpack_from("=Q", statistics, at)[0] for at in (MINOR, MAJOR, PEAK))
    name = statistics[COMMAND].split(b"\0")[0].decode(errors="replace")
    return group, Task(pid, parent, name, minor, major, peak)


def tasks(message: bytes) -> Iterator[tuple[int, Task]]:
    """Those that a message reports."""
    for kind, value in attributes(message[20:]):
        if kind == AGGREGATE_TASK:
            yield from (task(inner) for kind, inner in attributes(value) if kind == STATISTICS)


def _listen() -> socket.socket:
    """A link on which every task is reported that ends."""
    link = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_GENERIC)
    link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 << 20)
    link.bind((0, 0))
    _ask(link, CONTROL, GET_FAMILY, _attribute(FAMILY_NAME, b"TASKSTATS\0"))
    found = dict(attributes(link.recv(LARGEST)[20:]))
    family = struct.unpack("=H", found[FAMILY_ID])[0]
    cpus = f"0-{(os.cpu_count() or 1) - 1}\0".encode()
    _ask(link, family, GET, _attribute(REGISTER_CPUS, cpus))
    return link


def counted(command: list[str]) -> tuple[int, list[Task]]:
    """The command's exit status, and its tasks, in the order in which they ended."""
    group = 1 << 30 | os.getpid()
    with _listen() as link:
        process = subprocess.Popen(command, group=group)
        found: list[Task] = []
        link.settimeout(QUIET)
        end = float("inf")
        while time.monotonic() < end:  # others' tasks may end all the time
            with suppress(TimeoutError):
                found += [one for which, one in tasks(link.recv(LARGEST)) if which == group]
            if end == float("inf") and process.poll() is not None:
                end = time.monotonic() + QUIET
    return process.returncode, found


def main() -> int:
    """One line a task, in the order of their pids, which are not told."""
    parser = argparse.ArgumentParser(description="What the kernel counts of a command's tasks.")
    parser.add_argument("-o", "--output", help="of CSV; else it is printed")
    parser.add_argument("--recorded", action="store_true", help="leave the command's own tasks out")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    given = parser.parse_args()
    status, found = counted(given.command)
    if given.recorded:
        found = [one for one in found if one.parent != os.getpid()]
    rows = [(one.name, one.minor, one.major, one.peak_kib) for one in sorted(found, key=lambda one: one.pid)]
    with open(given.output, "w") if given.output else nullcontext(sys.stdout) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerows([("name", "minor faults", "major faults", "peak KiB"), *rows])
    print(
        f"{len(found)} tasks, {sum(one.minor + one.major for one in found):,} faults, "
        f"{sum(one.major for one in found):,} of them major", file=sys.stderr,
    )  # fmt: skip
    return status


if __name__ == "__main__":
    sys.exit(main())
