"""Where tracefs is: as it is mounted, or a mount of our own that nobody else sees.

Such a mount is attached to no directory: it has an anonymous namespace of its own, and is gone with the
descriptor that holds it (man 2 fsmount, Linux 5.2). No namespace of ours or of the program's changes.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mmarch.errors import InputError

_FSOPEN, _FSCONFIG, _FSMOUNT = 430, 431, 432  # the same numbers everywhere
_CMD_CREATE, _CLOEXEC = 6, 1
_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


@contextmanager
def tracefs(mounts: Path = Path("/proc/mounts")) -> Iterator[Path]:
    """The root of a tracefs; InputError if none may be had."""
    for line in mounts.read_text().splitlines():
        fields = line.split()
        if len(fields) > 2 and fields[2] == "tracefs":
            yield Path(fields[1])
            return
    descriptor = _own()
    try:
        yield Path(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)


def _own() -> int:
    """The descriptor of a mount of our own."""
    context = _call(_FSOPEN, b"tracefs", _CLOEXEC)
    try:
        _call(_FSCONFIG, context, _CMD_CREATE, None, None, 0)
        return _call(_FSMOUNT, context, _CLOEXEC, 0)
    finally:
        os.close(context)


def _call(number: int, *arguments: bytes | int | None) -> int:
    found = int(_libc.syscall(ctypes.c_long(number), *arguments))
    if found < 0:
        raise InputError(
            f"cannot record: tracefs is not mounted, and may not be by us ({os.strerror(ctypes.get_errno())}); "
            "as root: mount -t tracefs nodev /sys/kernel/tracing"
        )
    return found
