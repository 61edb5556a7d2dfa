"""Record a program's address-space life: system calls, page faults, births and deaths of tasks.

The timeline is ftrace's. What it lacks (the mappings execve makes, the file behind a
descriptor) is read from /proc while ptrace holds the task still, and put on the same
timeline through trace_marker (see `mmarch.trace.snapshot`).
"""

from __future__ import annotations

import datetime
import errno
import gzip
import io
import os
import platform
import resource
import shutil
import signal
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NoReturn

from mmarch.errors import InputError
from mmarch.trace import ptrace, snapshot, tracefs
from mmarch.trace.anonymize import Anonymizer
from mmarch.trace.calls import UNMODELLED, UNSUPPORTED
from mmarch.trace.drain import Drain
from mmarch.trace.ftrace_text import FORMAT, FORMAT_KEY, words
from mmarch.writing import cannot_write, check, writing


def _both_ends(names: Iterable[str]) -> list[str]:
    return [f"syscalls/sys_{side}_{name}" for name in names for side in ("enter", "exit")]


NEEDED_CALLS = ("mmap", "munmap", "mprotect", "mremap", "madvise", "brk", "execve")
WELCOME_CALLS = sorted(UNMODELLED | UNSUPPORTED | words("pkey_mprotect msync ftruncate execveat shmget shmdt"))
REQUIRED = [
    "exceptions/page_fault_user",
    "exceptions/page_fault_kernel",
    "task/task_newtask",
    "sched/sched_process_exec",
    "sched/sched_process_exit",
    *_both_ends(NEEDED_CALLS),
]
WELCOME = [
    "sched/sched_prepare_exec",
    "mmap/exit_mmap",
    "signal/signal_generate",
    *_both_ends(WELCOME_CALLS),
]
BY_CTRL_C = "by Ctrl-C, before the program"
FULL_FIRST = f"{BY_CTRL_C}; cut where the buffer of a CPU was full"
TOO_SMALL = "the buffer of a CPU was full before the program ran; record with a larger one (--buffer)"
UNKNOWN_PID = (
    "the kernel does not know the program by this pid; record outside of a pid namespace (container)"
)
PACKING = 6  # of gzip: 9 takes four times as long for a fifteenth less
FILTERS = {"signal/signal_generate": f"sig == {int(signal.SIGSEGV)} || sig == {int(signal.SIGBUS)}"}


@dataclass(frozen=True)
class Recording:
    """What was recorded: lines, faults and tasks in it, and how the program ended, or that Ctrl-C ended it.

    `cut` says that a buffer was full before: the trace ends there.
    """

    path: Path
    lines: int
    faults: int
    tasks: int
    exit_status: int
    interrupted: bool = False
    cut: bool = False


@dataclass
class _Session:
    """The tracees of one recording and where their records go."""

    trace: tracefs.Instance
    files: snapshot.Files
    root: int
    tracees: ptrace.Tracees
    drain: Drain
    exit_status: int = 0
    image_seen: bool = False
    interrupted: bool = False


def _check_host() -> None:
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        raise InputError(
            f"cannot record on {platform.system()} {platform.machine()}: the page-fault tracepoints "
            "with an error code and the system-call filter are x86-64 Linux; traces replay anywhere"
        )


def _events(trace: tracefs.Instance) -> list[str]:
    """The events to switch on; InputError when the kernel lacks one that replay needs."""
    missing = [event for event in REQUIRED if not trace.has_event(event)]
    if missing:
        raise InputError(
            f"cannot record: this kernel has no event {', '.join(missing)} "
            "(it needs CONFIG_FTRACE_SYSCALLS and x86 exception tracepoints)"
        )
    return REQUIRED + [event for event in WELCOME if trace.has_event(event)]


def _become(program: str, command: Sequence[str], gate: int, huge_pages: bool) -> NoReturn:
    """In the child: wait to be traced, then turn into the program."""
    try:
        os.read(gate, 1)
        if not huge_pages:
            ptrace.disable_huge_pages()
        ptrace.stop_at_file_syscalls()
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        os.execv(program, list(command))
    except OSError as error:
        os.write(2, f"mmarch: {program}: {error}\n".encode())
    finally:
        os._exit(127)


def _stop(session: _Session, stop: ptrace.Stop) -> None:
    """Take down what a stopped tracee is about to do."""
    if stop.event in ptrace.EVENT_BIRTHS:
        session.tracees.born(ptrace.event_pid(stop.pid))
    elif stop.event == ptrace.EVENT_EXEC:
        if ptrace.syscall(stop.pid).arch != ptrace.AUDIT_ARCH_X86_64:
            raise InputError("cannot record a 32-bit program: the kernel traces no compat system calls")
        former = ptrace.event_pid(stop.pid)
        if former != stop.pid:  # exec in a thread: its pid is gone, the leader's exit ended our following
            session.tracees.ended(former)
            session.trace.follow(stop.pid)
        snapshot.emit_exec(stop.pid, session.files, session.trace.mark)
        session.image_seen = True
    elif stop.event == ptrace.EVENT_SECCOMP:
        call = ptrace.syscall(stop.pid)
        descriptor = call.args[4 if call.number == ptrace.SYS_MMAP else 0] & 0xFFFFFFFF
        with suppress(FileNotFoundError):
            file = session.files.number(f"/proc/{stop.pid}/fd/{descriptor}")
            session.trace.mark(f"mmarch_fd: pid={stop.pid} file={file}")


def _handle(session: _Session, stop: ptrace.Stop) -> None:
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


def _kill(session: _Session) -> None:
    """End the tracees that are left, after an error or Ctrl-C; what that does is not recorded."""
    alive = session.tracees.alive
    for pid in alive:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    with suppress(ChildProcessError):
        while alive:
            stop = ptrace.wait()
            if stop.status is not None:
                alive.discard(stop.pid)


class Interrupts:
    """Ctrl-C ends a wait and nothing else, so that no snapshot is torn."""

    def __init__(self) -> None:
        self._waiting = self._seen = False

    @contextmanager
    def held(self) -> Iterator[None]:
        """Where Ctrl-C would raise; only the main thread may arrange that."""
        main = threading.current_thread() is threading.main_thread()
        if not main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
            yield
            return
        signal.signal(signal.SIGINT, self._arrived)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def _arrived(self, _number: int, _frame: object) -> None:
        self._seen = True
        if self._waiting:
            raise KeyboardInterrupt

    def wait(self, waiting: Callable[[], ptrace.Stop]) -> ptrace.Stop:
        """KeyboardInterrupt if Ctrl-C comes meanwhile, or came before."""
        try:
            self._waiting = True
            if self._seen:
                raise KeyboardInterrupt
            return waiting()
        finally:
            self._waiting = False


def _follow(session: _Session) -> None:
    """Until the last tracee has ended, or Ctrl-C."""
    interrupts = Interrupts()
    with interrupts.held():
        try:
            while session.tracees.alive:
                _handle(session, interrupts.wait(ptrace.wait))
        except KeyboardInterrupt:
            session.interrupted = True


def _launch(command: Sequence[str], trace: tracefs.Instance, huge_pages: bool) -> tuple[int, int]:
    """(pid, gate): a child that waits at the gate, followed and traced."""
    program = shutil.which(command[0])
    if program is None:
        raise InputError(f"cannot record: no program {command[0]!r} on the path")
    read_end, write_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(write_end)
        _become(program, command, read_end, huge_pages)
    os.close(read_end)
    try:
        ptrace.seize(pid)
        trace.follow(pid)
    except OSError as error:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        raise InputError(
            f"cannot record: ptrace of a child is refused ({error.strerror}); run as root"
        ) from error
    return pid, write_end


def _run(command: Sequence[str], trace: tracefs.Instance, huge_pages: bool, text: IO[str]) -> _Session:
    """Run the program to the end of its last descendant; most of what it did is in `text` then."""
    trace.enable(_events(trace), FILTERS)
    pid, gate = _launch(command, trace, huge_pages)
    drain = Drain(trace, Anonymizer(pid), text)
    session = _Session(trace, snapshot.Files(trace.mark), pid, ptrace.Tracees(pid), drain)
    try:
        with drain.running():
            os.write(gate, b".")
            _follow(session)
    finally:
        session.files.close()  # tells sizes, while the buffer takes them
        trace.stop()
        os.close(gate)
        _kill(session)
    if not session.image_seen:
        if session.interrupted:
            raise KeyboardInterrupt
        status = session.exit_status
        raise InputError(f"cannot record: {command[0]!r} could not be executed (status {status})")
    return session


def _header(command: Sequence[str], huge_pages: bool) -> str:
    pages = "as the system has them" if huge_pages else "off for the program (PR_SET_THP_DISABLE)"
    facts = {
        FORMAT_KEY: FORMAT,
        "program": Path(command[0]).name,
        "kernel": platform.release(),
        "arch": platform.machine(),
        "page size": f"{os.sysconf('SC_PAGE_SIZE')} bytes",
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "clock": "mono, from the first exec",
        "huge pages": pages,
        "lost events": "0",
    }
    return "# tracer: nop\n#\n" + "".join(f"# {key}: {value}\n" for key, value in facts.items()) + "#\n"


@contextmanager
def _text(output: Path) -> Iterator[IO[str]]:
    """Text that appears at `output` at the end, and lies beside it until then; gzip if the name ends in .gz."""
    folder = Path(os.path.realpath(output)).parent
    with tempfile.TemporaryFile(dir=folder if os.access(folder, os.W_OK) else None) as raw, _room_for(output):
        with (
            gzip.GzipFile("", "wb", PACKING, raw, mtime=0)
            if output.name.endswith(".gz")
            else nullcontext(raw) as packed
        ):
            text = io.TextIOWrapper(packed)
            yield text
            text.flush()
            text.detach()
        raw.seek(0)
        with writing(output) as file:
            shutil.copyfileobj(raw, file)


@contextmanager
def _room_for(output: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        raise cannot_write(output, error) from error


Progress = Callable[[int, int], None]  # lines written, lines in all
Saving = Callable[[], AbstractContextManager[Progress]]


def _unseen() -> AbstractContextManager[Progress]:
    return nullcontext(lambda done, total: None)


def _check_losses(trace: tracefs.Instance, interrupted: bool, buffer_kib: int) -> None:
    """InputError for lost events, unless Ctrl-C ended the program, so that there is no whole of it anyway."""
    losses = trace.lost()
    if losses and not (interrupted and losses.keys() <= {tracefs.FULL, tracefs.MARKS}):
        what = ", ".join(f"{number} ({reason})" for reason, number in losses.items())
        raise InputError(
            f"events were lost: {what}; nothing was written. Record again with a buffer larger "
            f"than {buffer_kib} KiB a CPU (--buffer), or record less"
        )


def _save(output: Path, session: _Session, text: IO[str], saving: Saving) -> Recording:
    drain = session.drain
    with saving() as progress:
        drain.finish(progress)
    events = drain.names.events
    if not events:
        raise InputError(f"nothing was recorded: {TOO_SMALL if drain.cut else UNKNOWN_PID}")
    if session.interrupted:
        text.write(f"# ended: {FULL_FIRST if drain.cut else BY_CTRL_C}\n")
    text.write(f"# end: {events.total()} events\n")
    return Recording(
        output, events.total(), events["page_fault_user"] + events["page_fault_kernel"], drain.names.tasks,
        session.exit_status, session.interrupted, drain.cut,
    )  # fmt: skip


def _raise_file_limit() -> None:
    """Files stay open while recording, so that no inode number is used twice."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


@contextmanager
def _termination_unwinds() -> Iterator[None]:
    """SIGTERM leaves through the same door as Ctrl-C; only the main thread may arrange that."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def leave(number: int, _frame: object) -> NoReturn:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def record(
    output: Path,
    command: Sequence[str],
    *,
    buffer_kib: int | None = None,
    huge_pages: bool = False,
    saving: Saving = _unseen,
) -> Recording:
    """Run `command` and write what it and its descendants did to their memory to `output`.

    output      ftrace text; gzip if the name ends in .gz; written whole or not at all
    command     program and arguments; it keeps our stdin, stdout and stderr
    buffer_kib  KiB of trace buffer a CPU
    huge_pages  False: none for the program, so that the first touch of every page is a fault
    saving      is entered while the text is written; told how many lines are, of how many

    Lasts until the last descendant has ended, and reaps every child of the calling process.
    Ctrl-C ends the program; what it did until then is kept, or until a buffer was full, which sets `cut`
    beside `interrupted`. tracefs is as before
    afterwards. KeyboardInterrupt if there is nothing to keep, or Ctrl-C comes again while it is written.
    InputError when the machine does not permit recording or events were lost. The text holds no
    paths, names or real pids.
    """
    if not command:
        raise InputError("cannot record: no command was given")
    check(output)
    _check_host()
    size = buffer_kib or tracefs.default_buffer_kib()
    _raise_file_limit()
    with _termination_unwinds(), tracefs.instance(size) as trace, _text(output) as text:
        text.write(_header(command, huge_pages))
        session = _run(command, trace, huge_pages, text)
        _check_losses(trace, session.interrupted, size)
        return _save(output, session, text, saving)
