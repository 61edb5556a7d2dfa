"""Record with ftrace: a list of tracefs writes, a program that is followed, and what the buffers then hold."""

from __future__ import annotations

import mmap
import os
import platform
import resource
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from types import ModuleType
from typing import IO

from mmarch.errors import InputError
from mmarch.trace import following, tracefs
from mmarch.trace.anonymize import Anonymizer
from mmarch.trace.drain import READS, Drain
from mmarch.trace.machines import this_machine
from mmarch.trace.means import events, leftovers
from mmarch.trace.means.mounted import tracefs as mounted
from mmarch.trace.means.tool import Ready
from mmarch.trace.means.writes import Write, instance
from mmarch.trace.provenance import facts, head
from mmarch.trace.recording import BY_CTRL_C, BY_TIME, Recording, Wanted, text_file

FULL_FIRST = "cut where the buffer of a CPU was full"
TOO_SMALL = "the buffer of a CPU was full before the program ran; one of --buffer {} would have done"
UNKNOWN_PID = (
    "the kernel does not know the program by this pid; record outside of a pid namespace (container)"
)
FAULTS = ("page_fault_user", "page_fault_kernel", "mmarch_fault")


def set_up(name: str, buffer_kib: int, faults: ModuleType, machine: str) -> list[Write]:
    """The whole list, with faults by one of the means; what is executed on this machine, or in a guest."""
    return [*instance(name, buffer_kib), *faults.writes(name, machine), *events.writes(name)]


@contextmanager
def ready(faults: ModuleType, wanted: Wanted) -> Iterator[Ready]:
    """Set up, to be run once; InputError if the machine does not permit it. tracefs is as before afterwards."""
    this_machine()
    size = wanted.buffer_kib or tracefs.default_buffer_kib()
    name = f"{tracefs.PREFIX}{os.getpid()}"
    with mounted() as root:
        with suppress(OSError):  # what may not be looked at is refused below, by name
            leftovers.clean(root)
        with tracefs.instance(root, name, set_up(name, size, faults, platform.machine())) as trace:
            _prove(trace, faults.NAME)
            yield faults.NAME, partial(_record, wanted, trace, faults.NAME, size)


def _prove(trace: tracefs.Instance, means: str) -> None:
    """InputError unless a fault of our own is recorded: a kernel may take a probe, and then nothing from it."""
    trace.follow(os.getpid())
    trace.start()
    with mmap.mmap(-1, mmap.PAGESIZE) as page:
        page[0] = 1
    trace.stop()
    text = trace.take(READS)
    trace.follow_nobody()
    if not any(f" {name}: " in text for name in FAULTS):
        raise InputError(f"cannot record: this kernel takes a {means}, and records nothing by it")


def _record(wanted: Wanted, trace: tracefs.Instance, means: str, size: int) -> Recording:
    _raise_file_limit()
    with text_file(wanted.output) as text:
        found = facts(wanted, means) | {"clock": "mono, from the first event", "lost events": "0"}
        text.write(f"# tracer: nop\n#\n{head(found)}#\n")
        session, drain = _run(wanted, trace, text)
        return _save(wanted, session, drain, text, size)


def _run(wanted: Wanted, trace: tracefs.Instance, text: IO[str]) -> tuple[following.Session, Drain]:
    """To the end of its last descendant; most of what it did is in `text` then."""
    if wanted.pid:
        session = following.attach(wanted.pid, trace)
    else:
        session = following.launch(wanted.command, trace, wanted.huge_pages)
    drain = Drain(trace, Anonymizer(session.root, session.tracees.alive), text)
    try:
        with drain.running():
            following.follow(session, wanted.seconds)
    finally:
        session.files.close()  # tells sizes, while the buffer takes them
        trace.stop()
        following.leave(session)
    if not session.image_seen:
        if session.ended:
            raise KeyboardInterrupt
        raise InputError(
            f"cannot record: {wanted.command[0]!r} could not be executed (status {session.exit_status})"
        )
    return session, drain


def _save(wanted: Wanted, session: following.Session, drain: Drain, text: IO[str], size: int) -> Recording:
    with wanted.saving() as progress:
        drain.finish(progress)
    _check_losses(session, drain, size)
    events_seen = drain.names.events
    if not events_seen:
        raise InputError(
            f"nothing was recorded: {TOO_SMALL.format(drain.needed_kib) if drain.cut else UNKNOWN_PID}"
        )
    if session.ended:
        text.write(
            f"# ended: {BY_CTRL_C if session.by_hand else BY_TIME}{f'; {FULL_FIRST}' if drain.cut else ''}\n"
        )
    text.write(f"# end: {events_seen.total()} events\n")
    by_hand = session.by_hand and not wanted.pid
    return Recording(
        wanted.output, events_seen.total(), sum(events_seen[name] for name in FAULTS), drain.names.tasks,
        session.exit_status, by_hand, drain.cut, drain.needed_kib,
    )  # fmt: skip


def _check_losses(session: following.Session, drain: Drain, size: int) -> None:
    """InputError for lost events, unless something ended the program, so that there is no whole of it anyway."""
    losses = drain.losses
    if losses and not (session.ended and losses.keys() <= {tracefs.FULL, tracefs.MARKS}):
        what = ", ".join(f"{number} ({reason})" for reason, number in losses.items())
        larger = (
            f"--buffer {drain.needed_kib} (KiB a CPU) would have done"
            if drain.needed_kib
            else "with --buffer"
        )
        raise InputError(
            f"events were lost: {what}; nothing was written. Record again with a buffer larger "
            f"than {size} KiB a CPU: {larger}; or record less (-d SECONDS)"
        )


def _raise_file_limit() -> None:
    """Files stay open while recording, so that no inode number is used twice."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
