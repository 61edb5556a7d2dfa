"""Set-up of ftrace as a list of writes below a tracefs, which whoever records executes: the recorder, or a guest.

Errors: mmarch.errors.InputError with the file, the value and what the kernel said.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from mmarch.errors import InputError

NEW = "/"  # ends the path of a folder to make: a new instance
_NO_EVENT = (errno.ENOENT, errno.ENODEV)


class Write(NamedTuple):
    """`text` into the file `path` below tracefs; if that fails, recording fails where it is `needed`."""

    path: str
    text: str
    needed: bool = True


def instance(name: str, buffer_kib: int) -> list[Write]:
    """A ring buffer of its own, off, which keeps what was first, on the monotonic clock; children are followed."""
    settings = {
        "tracing_on": "0",
        "trace_clock": "mono",
        "options/event-fork": "1",
        "options/overwrite": "0",
        "buffer_size_kb": str(buffer_kib),
    }
    root = f"instances/{name}"
    return [Write(root + NEW, ""), *(Write(f"{root}/{path}", text) for path, text in settings.items())]


def enable(name: str, events: Iterable[str], needed: bool = True, filtered: str = "") -> list[Write]:
    """Switch events of an instance on, each behind a filter if there is one."""
    found = []
    for event in events:
        root = f"instances/{name}/events/{event}"
        if filtered:
            found.append(Write(f"{root}/filter", filtered, needed))
        found.append(Write(f"{root}/enable", "1", needed))
    return found


def execute(root: Path, writes: Iterable[Write]) -> None:
    """All of them, in order."""
    for write in writes:
        try:
            _execute(root / write.path, write)
        except OSError as error:
            if write.needed:
                raise InputError(_complaint(write, error)) from error


def _execute(path: Path, write: Write) -> None:
    if write.path.endswith(NEW):
        path.mkdir()
        return
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND)
    try:
        os.write(descriptor, write.text.encode())
    finally:
        os.close(descriptor)


def _complaint(write: Write, error: OSError) -> str:
    if "/events/" in write.path and error.errno in _NO_EVENT:
        event = write.path.partition("/events/")[2].rpartition("/")[0]
        option = " (CONFIG_FTRACE_SYSCALLS)" if event.startswith("syscalls/") else ""
        return f"cannot record: this kernel has no event {event}{option}"
    if write.path.endswith("_events"):
        missing = (
            "no probes of its functions (CONFIG_KPROBE_EVENTS)" if error.errno in _NO_EVENT else write.text
        )
        refuses = (
            "this kernel has" if error.errno in _NO_EVENT else f"{write.path} refuses ({error.strerror})"
        )
        return f"cannot record: {refuses} {missing}"
    what = f"a new {write.path}" if write.path.endswith(NEW) else f"{write.path} = {write.text}"
    return f"cannot record: tracefs refuses {what} ({error.strerror}); recording with it needs root"


def undo(writes: Sequence[Write]) -> Iterator[Write]:
    """What takes a list back, last first: probes that it defined; an instance goes as a folder, with its settings."""
    for write in reversed(writes):
        if write.path.endswith("_events") and write.text.startswith("p:"):
            yield Write(write.path, f"-:{write.text[2:].split(' ')[0]}", needed=False)


def as_text(writes: Iterable[Write]) -> str:
    """For a guest: a line each, tabs between ``!`` or ``?`` (needed or not), path and text."""
    return "".join(f"{'!' if write.needed else '?'}\t{write.path}\t{write.text}\n" for write in writes)
