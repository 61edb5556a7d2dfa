"""What the kernel reports of tasks that end."""

from __future__ import annotations

import mmap
import socket
import struct
import sys

import pytest

from tools import kernel_counts
from tools.kernel_counts import Task, attributes, counted, tasks

PAGES = 500
CODE = f"import mmap; m = mmap.mmap(-1, {PAGES} * {mmap.PAGESIZE}); m.write(bytes({PAGES} * {mmap.PAGESIZE}))"


def attribute(kind: int, value: bytes) -> bytes:
    """As the kernel lays one out: length with the head, kind, value, up to four bytes of nothing."""
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def test_attributes_end_at_multiples_of_four() -> None:
    """A value of five bytes is followed by three of nothing; a damaged length ends all."""
    data = attribute(1, b"abcde") + attribute(0x8002, b"fg")
    assert list(attributes(data)) == [(1, b"abcde"), (2, b"fg")]
    assert list(attributes(struct.pack("=HH", 3, 1))) == []


def test_a_message_has_the_counts_of_a_task() -> None:
    """In their places of struct taskstats; what is aggregated of its group is left."""
    counts = bytearray(400)
    counts[80:84] = b"true"
    for place, form, value in (
        (124, "=I", 9),
        (128, "=I", 77),
        (132, "=I", 7),
        (168, "=Q", 60),
        (176, "=Q", 2),
    ):
        struct.pack_into(form, counts, place, value)
    struct.pack_into("=Q", counts, 200, 1024)
    inner = attribute(1, struct.pack("=I", 77)) + attribute(3, bytes(counts))
    message = bytes(20) + attribute(4, inner) + attribute(5, inner)
    assert list(tasks(message)) == [(9, Task(77, 7, "true", 60, 2, 1024))]


def refusal() -> str:
    """Why this kernel does not report; empty if it does."""
    try:
        kernel_counts._listen().close()
    except (OSError, KeyError, AttributeError, struct.error) as error:
        return f"the kernel reports no tasks: {error!r}"
    return "" if hasattr(socket, "AF_NETLINK") else "no netlink"


REFUSAL = refusal()


@pytest.mark.skipif(bool(REFUSAL), reason=REFUSAL)
def test_a_command_is_counted_and_nobody_else() -> None:
    """A shell and what it runs, which writes to so many pages."""
    status, found = counted(["/bin/sh", "-c", f"'{sys.executable}' -c '{CODE}'; exit 3"])
    assert status == 3
    assert len({one.pid for one in found}) == len(found) >= 2
    assert max(one.minor for one in found) >= PAGES
    assert max(one.peak_kib for one in found) >= PAGES * mmap.PAGESIZE // 1024
