"""ptrace and seccomp, as little of them as recording needs.

Tracees stop at exec, at the birth of a child and at system calls a seccomp filter picks;
nothing else slows them (man 2 ptrace, man 2 seccomp).
"""

from __future__ import annotations

import ctypes
import os
import signal
import struct
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from mmarch.trace.machines import Machine

_CONT, _DETACH, _SEIZE, _INTERRUPT, _LISTEN = 7, 17, 0x4206, 0x4207, 0x4208
_GETEVENTMSG, _GET_SYSCALL_INFO = 0x4201, 0x420E
EVENT_EXEC, EVENT_SECCOMP, EVENT_STOP = 4, 7, 128
EVENT_BIRTHS = (1, 2, 3)  # fork, vfork, clone
_TRACEFORK, _TRACEVFORK, _TRACECLONE, _TRACEEXEC, _TRACESECCOMP = 2, 4, 8, 16, 128
_EXITKILL = 0x100000
OPTIONS = _TRACEFORK | _TRACEVFORK | _TRACECLONE | _TRACEEXEC | _TRACESECCOMP

_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, _PR_SET_THP_DISABLE = 22, 2, 41
_RET_TRACE, _RET_ALLOW = 0x7FF00000, 0x7FFF0000
_LOAD, _JUMP_EQUAL, _JUMP_SET, _RETURN = 0x20, 0x15, 0x45, 0x06
_DATA_NR, _DATA_ARCH, _DATA_FLAGS = 0, 4, 16 + 8 * 3
_MAP_ANONYMOUS = 0x20
_WALL = 0x40000000
_GROUP_STOPS = {signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU}

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.restype = ctypes.c_long
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p)]


def _filter(machine: Machine) -> list[tuple[int, int, int, int]]:
    """(code, jump if true, jump if false, operand): trace file mappings and ftruncate."""
    return [
        (_LOAD, 0, 0, _DATA_ARCH),
        (_JUMP_EQUAL, 0, 6, machine.audit_arch),
        (_LOAD, 0, 0, _DATA_NR),
        (_JUMP_EQUAL, 3, 0, machine.ftruncate),
        (_JUMP_EQUAL, 0, 3, machine.mmap),
        (_LOAD, 0, 0, _DATA_FLAGS),
        (_JUMP_SET, 1, 0, _MAP_ANONYMOUS),
        (_RETURN, 0, 0, _RET_TRACE),
        (_RETURN, 0, 0, _RET_ALLOW),
    ]


def stop_at_file_syscalls(machine: Machine) -> None:
    """From now on this task and its children stop for their tracer at mmap of files and ftruncate."""
    code = b"".join(struct.pack("=HBBI", *instruction) for instruction in _filter(machine))
    program = _Program(len(code) // 8, code)
    if _libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0):
        raise OSError(ctypes.get_errno(), "seccomp filter refused")


def disable_huge_pages() -> None:
    """No transparent huge page of any size for this task, its children and their exec's."""
    if _libc.prctl(_PR_SET_THP_DISABLE, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "PR_SET_THP_DISABLE refused")


def _ptrace(request: int, pid: int, addr: int = 0, data: int | ctypes.Array[ctypes.c_char] = 0) -> None:
    if _libc.ptrace(request, pid, addr, data) < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def seize(pid: int, kill: bool = False) -> None:
    """Trace `pid` and all its descendants; they die with us if `kill` says so."""
    _ptrace(_SEIZE, pid, 0, OPTIONS | (_EXITKILL if kill else 0))


def refusal(pid: int) -> str:
    """Why a process may not be traced, with its pid; nothing if it may, which is tried."""
    try:
        _ptrace(_SEIZE, pid)
        _ptrace(_INTERRUPT, pid)
        if (stop := wait_for(pid)).status is None:
            detach(stop)
    except PermissionError:
        return f"process {pid} (--pid): {why_refused(pid)}"
    except ProcessLookupError:
        return f"there is no process {pid} any more"
    return ""


def why_refused(pid: int) -> str:
    """As far as /proc tells."""
    status = Path(f"/proc/{pid}/status").read_text()
    tracer = next((line.split()[1] for line in status.splitlines() if line.startswith("TracerPid")), "0")
    if tracer != "0":
        return f"process {tracer} traces it already; end that first"
    return (
        "ptrace of it is refused; it is not ours, of the kernel, or kept from being traced "
        "(kernel.yama.ptrace_scope); run as root"
    )


def interrupt(pid: int) -> None:
    """Stop a tracee; `wait` tells when it has."""
    _ptrace(_INTERRUPT, pid)


@dataclass(frozen=True)
class Stop:
    """Something happened to `pid`: it stopped (`event`, `signal`), or ended with `status`."""

    pid: int
    event: int = 0
    signal: int = 0
    status: int | None = None


def wait_for(pid: int = -1) -> Stop:
    """The next stop or end of `pid`, or of any tracee; ChildProcessError when none is left."""
    pid, status = os.waitpid(pid, _WALL)
    if os.WIFSTOPPED(status):
        return Stop(pid, event=status >> 16, signal=os.WSTOPSIG(status))
    return Stop(pid, status=os.waitstatus_to_exitcode(status))


def wait() -> Stop:
    """Of any."""
    return wait_for()


def await_any() -> None:
    """Until `wait` has something to tell; nothing is taken, so that nothing is lost if a signal ends this."""
    os.waitid(os.P_ALL, 0, os.WEXITED | os.WSTOPPED | os.WNOWAIT | _WALL)


def detach(stop: Stop) -> None:
    """Let a tracee go on alone, with the signal it was about to receive; one that is gone is fine."""
    with suppress(ProcessLookupError):
        _ptrace(_DETACH, stop.pid, 0, 0 if stop.event else stop.signal)


def resume(stop: Stop) -> None:
    """Let the tracee go on, with the signal it was about to receive; a tracee killed meanwhile is fine."""
    request, deliver = _CONT, 0
    if stop.event == EVENT_STOP and stop.signal in _GROUP_STOPS:
        request = _LISTEN
    elif stop.event == 0:
        deliver = stop.signal
    with suppress(ProcessLookupError):
        _ptrace(request, stop.pid, 0, deliver)


class Tracees:
    """Who is alive. A child's own stops, even its end, may be reported before its birth is."""

    def __init__(self, alive: set[int]) -> None:
        self.alive = set(alive)
        self._unannounced: set[int] = set()
        self._ended_early: set[int] = set()

    def born(self, pid: int) -> None:
        """The parent's fork, vfork or clone stop tells of `pid`."""
        self._unannounced.discard(pid)
        if pid in self._ended_early:
            self._ended_early.discard(pid)
        else:
            self.alive.add(pid)

    def stopped(self, pid: int) -> None:
        if pid not in self.alive:
            self.alive.add(pid)
            self._unannounced.add(pid)

    def ended(self, pid: int) -> None:
        self.alive.discard(pid)
        if pid in self._unannounced:
            self._unannounced.discard(pid)
            self._ended_early.add(pid)


def event_pid(pid: int) -> int:
    """At a birth stop, the child; at an exec stop, the thread id `pid` had before."""
    message = ctypes.create_string_buffer(8)
    _ptrace(_GETEVENTMSG, pid, 0, message)
    return int.from_bytes(message.raw, "little")


@dataclass(frozen=True)
class Syscall:
    """ABI (AUDIT_ARCH_*), number and arguments; the last two are 0 outside a seccomp stop."""

    arch: int
    number: int
    args: tuple[int, ...]


def syscall(pid: int) -> Syscall:
    """What a stopped tracee is calling."""
    info = ctypes.create_string_buffer(128)
    _ptrace(_GET_SYSCALL_INFO, pid, len(info), info)
    number, *args = struct.unpack_from("=7Q", info.raw, 24)
    return Syscall(struct.unpack_from("=I", info.raw, 4)[0], number, tuple(args))
