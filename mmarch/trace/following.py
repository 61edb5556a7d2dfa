"""Follow a program with ptrace while ftrace records it, and put what ftrace lacks on the timeline.

That is the mappings execve makes, the file behind a descriptor, and what a process that runs already has
mapped: read from /proc while the task is held still (see `mmarch.trace.snapshot`).
"""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from mmarch.errors import InputError
from mmarch.trace import ptrace, snapshot, tracefs
from mmarch.trace.interrupts import Ended, Interrupts
from mmarch.trace.machines import Machine, this_machine


@dataclass
class Session:
    """The tracees of one recording and where their records go; `gate` is what a child of ours waits at, or -1."""

    trace: tracefs.Instance
    files: snapshot.Files
    root: int
    tracees: ptrace.Tracees
    machine: Machine
    gate: int = -1
    exit_status: int = 0
    image_seen: bool = False
    ended: bool = False
    by_hand: bool = False


def _become(program: str, command: Sequence[str], gate: int, huge_pages: bool, machine: Machine) -> NoReturn:
    """In the child: wait to be traced, then turn into the program."""
    try:
        os.read(gate, 1)
        if not huge_pages:
            ptrace.disable_huge_pages()
        ptrace.stop_at_file_syscalls(machine)
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        os.execv(program, list(command))
    except OSError as error:
        os.write(2, f"mmarch: {program}: {error}\n".encode())
    finally:
        os._exit(127)


def launch(command: Sequence[str], trace: tracefs.Instance, huge_pages: bool) -> Session:
    """A child that waits at the gate, followed and traced."""
    program = shutil.which(command[0])
    if program is None:
        raise InputError(f"cannot record: no program {command[0]!r} on the path")
    machine = this_machine()
    read_end, write_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(write_end)
        _become(program, command, read_end, huge_pages, machine)
    os.close(read_end)
    try:
        ptrace.seize(pid, kill=True)
        trace.follow(pid)
        trace.start()
    except OSError as error:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        raise InputError(
            f"cannot record: ptrace of a child is refused ({error.strerror}); run as root"
        ) from error
    files = snapshot.Files(trace.mark)
    return Session(trace, files, pid, ptrace.Tracees({pid}), machine, gate=write_end)


def attach(pid: int, trace: tracefs.Instance) -> Session:
    """All threads of a process, stopped; recording begins, with what they have mapped."""
    threads = _seize_all(pid)
    files = snapshot.Files(trace.mark)
    session = Session(trace, files, pid, ptrace.Tracees(threads), this_machine(), image_seen=True)
    for thread in sorted(threads):
        trace.follow(thread)
    trace.start()
    snapshot.emit_running(pid, sorted(threads - {pid}), files, trace.mark)
    for thread in threads:
        ptrace.resume(ptrace.Stop(thread, event=ptrace.EVENT_STOP))
    return session


def _seize_all(pid: int) -> set[int]:
    """Threads may be born while others are stopped, so look until there is no other."""
    threads: set[int] = set()
    while new := {int(path.name) for path in Path(f"/proc/{pid}/task").glob("*")} - threads:
        for thread in new:
            with suppress(ProcessLookupError):
                _seize(pid, thread)
                threads.add(thread)
    if pid not in threads:
        raise InputError(f"cannot record: there is no process {pid} (--pid) any more")
    return threads


def _seize(pid: int, thread: int) -> None:
    try:
        ptrace.seize(thread)
    except PermissionError as error:
        raise InputError(f"cannot record process {pid} (--pid): {ptrace.why_refused(pid)}") from error
    ptrace.interrupt(thread)
    ptrace.wait_for(thread)


def _stop(session: Session, stop: ptrace.Stop) -> None:
    """Take down what a stopped tracee is about to do."""
    if stop.event in ptrace.EVENT_BIRTHS:
        session.tracees.born(ptrace.event_pid(stop.pid))
    elif stop.event == ptrace.EVENT_EXEC:
        _exec(session, stop.pid)
    elif stop.event == ptrace.EVENT_SECCOMP:
        call = ptrace.syscall(stop.pid)
        descriptor = call.args[4 if call.number == session.machine.mmap else 0] & 0xFFFFFFFF
        with suppress(FileNotFoundError):
            file = session.files.number(f"/proc/{stop.pid}/fd/{descriptor}")
            session.trace.mark(f"mmarch_fd: pid={stop.pid} file={file}")


def _exec(session: Session, pid: int) -> None:
    if ptrace.syscall(pid).arch != session.machine.audit_arch:
        raise InputError("cannot record a 32-bit program: the kernel traces no compat system calls")
    former = ptrace.event_pid(pid)
    if former != pid:  # exec in a thread: its pid is gone, the leader's exit ended our following
        session.tracees.ended(former)
        session.trace.follow(pid)
    snapshot.emit_exec(pid, session.files, session.trace.mark)
    session.image_seen = True


def _handle(session: Session, stop: ptrace.Stop) -> None:
    if stop.status is not None:
        session.tracees.ended(stop.pid)
        if stop.pid == session.root:
            session.exit_status = stop.status
        return
    session.tracees.stopped(stop.pid)
    try:
        _stop(session, stop)
    except ProcessLookupError:
        pass
    ptrace.resume(stop)


def follow(session: Session, seconds: float) -> None:
    """Until the last tracee has ended, Ctrl-C, or so many seconds (0: any) have passed."""
    interrupts = Interrupts(seconds)
    with interrupts.held():
        try:
            if session.gate >= 0:
                os.write(session.gate, b".")
            while session.tracees.alive:
                interrupts.wait(ptrace.await_any)
                _handle(session, ptrace.wait())
        except Ended:
            session.ended, session.by_hand = True, interrupts.by_hand


def leave(session: Session) -> None:
    """End the tracees that are left, or let them run alone if they ran before; what that does is not recorded."""
    if session.gate < 0:
        _detach(session.tracees.alive)
        return
    os.close(session.gate)
    _kill(session.tracees.alive)


def _kill(alive: set[int]) -> None:
    for pid in alive:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    with suppress(ChildProcessError):
        while alive:
            stop = ptrace.wait()
            if stop.status is not None:
                alive.discard(stop.pid)


def _detach(alive: set[int]) -> None:
    """Each from its next stop; those that are born meanwhile too."""
    for pid in alive:
        with suppress(ProcessLookupError):
            ptrace.interrupt(pid)
    done: set[int] = set()
    with suppress(ChildProcessError):
        while alive - done:
            stop = ptrace.wait()
            done.add(stop.pid)
            if stop.event in ptrace.EVENT_BIRTHS:
                alive.add(ptrace.event_pid(stop.pid))
            if stop.status is None:
                ptrace.detach(stop)
    alive.clear()
