"""Linked code that does not end is stopped: after so much processor time in one operation, its thread jumps out of it.

Linked code calls nothing and holds nothing, so that it can be left at any instruction. A watchdog looks once
a second which operation each thread is in; to one that stays it sends a signal, whose handler jumps to where
the code was entered. Both lie in a small image of their own.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from mmarch.engine.memory import Memory

LIMIT = 20.0  # seconds of processor time that one operation may take, or $MMARCH_HANG
LATER = 5.0  # the same after one was stopped in this process: the next one hangs as likely
LOOK = 1.0  # seconds between two looks of the watchdog
MOST = 8  # arguments of a root
SIGNAL = getattr(signal, "SIGRTMAX", signal.SIGUSR2) - (3 if hasattr(signal, "SIGRTMAX") else 0)
IDLE, RUNNING, STOPPED = 0, 1, 2
NOWHERE = (-1, -1)
SETJMP = "__sigsetjmp" if sys.platform == "linux" else "sigsetjmp"

_HEAD = f"""
declare i32 @{SETJMP}(ptr, i32) returns_twice
declare void @siglongjmp(ptr, i32) noreturn
@target = global ptr null

define void @chosen(ptr %buffer) {{
  store volatile ptr %buffer, ptr @target
  ret void
}}

define void @handler(i32 %number) {{
  %buffer = load volatile ptr, ptr @target
  %nobody = icmp eq ptr %buffer, null
  br i1 %nobody, label %back, label %look
look:
  %state = load volatile i64, ptr %buffer
  %running = icmp eq i64 %state, {RUNNING}
  br i1 %running, label %jump, label %back
jump:
  store volatile ptr null, ptr @target
  %place = getelementptr i8, ptr %buffer, i64 64
  call void @siglongjmp(ptr %place, i32 1)
  unreachable
back:
  ret void
}}
"""


class Stopped(Exception):
    """Linked code was left in the middle; what it worked on is half done."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        super().__init__(f"no end after {seconds:.0f} s")


class Call:
    """A thread's call, where one is under way.

    memory     of the machine that runs, None between two calls
    operation  the one that it was last seen in, and the thread's processor time then
    buffer     its state, then what setjmp keeps; at `address`
    """

    def __init__(self) -> None:
        self.memory: Memory | None = None
        self.operation = NOWHERE
        self.since = 0.0
        self.buffer = (ctypes.c_int64 * 128)()
        self.address = ctypes.addressof(self.buffer)


_calls: dict[int, Call] = {}  # of each thread that ever ran linked code
_own = threading.local()
_stopped = 0  # how often something did not end
_times = 1.0  # as much as usual is allowed


def _entry(count: int) -> str:
    """Assembly of what enters a root of so many arguments and comes back from it in either way."""
    params = "".join(f", i64 %a{i}" for i in range(count))
    return f"""
define i64 @enter{count}(ptr %root, ptr %buffer, ptr %S{params}) {{
  %place = getelementptr i8, ptr %buffer, i64 64
  %again = call i32 @{SETJMP}(ptr %place, i32 0) returns_twice
  %first = icmp eq i32 %again, 0
  br i1 %first, label %run, label %left
run:
  store volatile i64 {RUNNING}, ptr %buffer
  %result = call i64 %root(ptr %S{params})
  store volatile i64 {IDLE}, ptr %buffer
  ret i64 %result
left:
  store volatile i64 {STOPPED}, ptr %buffer
  ret i64 0
}}
"""


class Doors:
    """What enters linked code, for each number of arguments, and what chooses whom the signal is for."""

    def __init__(self, code: Any) -> None:
        self._code = code  # which owns it
        self.enter: list[Callable[..., int]] = []
        for count in range(MOST + 1):
            kind = ctypes.CFUNCTYPE(ctypes.c_int64, *[ctypes.c_void_p] * 3, *[ctypes.c_int64] * count)
            self.enter.append(kind(code[f"enter{count}"]))
        self.choose = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(code["chosen"])
        install = ctypes.CDLL(None).signal
        install.argtypes, install.restype = [ctypes.c_int, ctypes.c_void_p], ctypes.c_void_p
        install(SIGNAL, code["handler"])


def assembly() -> str:
    """Of the small image."""
    return _HEAD + "".join(_entry(count) for count in range(MOST + 1))


def limit() -> float:
    """Seconds of processor time for one operation."""
    chosen = os.environ.get("MMARCH_HANG", "")
    usual = float(chosen) if chosen.isdecimal() and int(chosen) else LIMIT
    return _times * (min(LATER, usual) if _stopped else usual)


@contextmanager
def patient(times: float) -> Iterator[None]:
    """Allow every operation this many times its limit, for what runs is slower than usual."""
    global _times
    before, _times = _times, times
    try:
        yield
    finally:
        _times = before


def guarded(doors: Doors, address: int, memory: Memory, arguments: tuple[int, ...]) -> int:
    """Run the root at `address`; Stopped if the watchdog had to end it."""
    try:
        call = _own.call
    except AttributeError:
        call = _own.call = _new_call()
    call.operation, call.memory = NOWHERE, memory
    result = doors.enter[len(arguments)](address, call.address, memory.address, *arguments)
    call.memory = None
    if call.buffer[0] == STOPPED:
        raise _left(call)
    return result


def _left(call: Call) -> Stopped:
    call.buffer[0] = IDLE
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {SIGNAL})
    return Stopped(noticed())


def noticed() -> float:
    """Something did not end; the limit that it had."""
    global _stopped
    seconds = limit()
    _stopped += 1
    return seconds


def _new_call() -> Call:
    """Of a thread that runs linked code for the first time."""
    call = _calls[threading.get_ident()] = Call()
    _watchdog()
    return call


@cache
def _watchdog() -> threading.Thread:
    """One for each process."""
    thread = threading.Thread(target=_look_on, name="mmarch-watchdog", daemon=True)
    thread.start()
    return thread


def _forked() -> None:
    """A child has one thread, and no watchdog until it asks."""
    _calls.clear()
    _own.__dict__.clear()
    _watchdog.cache_clear()


os.register_at_fork(after_in_child=_forked)


def _look_on() -> None:
    while True:
        time.sleep(LOOK)
        for thread, call in list(_calls.items()):
            memory = call.memory
            if memory is not None:
                _look_at(thread, call, memory)


def _look_at(thread: int, call: Call, memory: Memory) -> None:
    """Stop it if it has been in one operation for too long."""
    try:
        spent = time.clock_gettime(time.pthread_getcpuclockid(thread))
    except OSError:  # the thread has just ended
        return
    operation = under_way(memory)
    if operation != call.operation:
        call.operation, call.since = operation, spent
    elif spent - call.since > limit():
        _stop(thread, call)


def under_way(memory: Memory) -> tuple[int, int]:
    """What core-mm says it is in; without core-mm, a call is one operation."""
    if "mach" not in memory.scalars:
        return NOWHERE
    return memory.get("mach", "op"), memory.get("mach", "scope")


def _stop(thread: int, call: Call) -> None:
    """Send the signal, and wait until it has come: the next one may be for another thread."""
    choose = _doors[0].choose
    choose(call.address)
    signal.pthread_kill(thread, SIGNAL)
    until = time.monotonic() + LOOK
    while call.buffer[0] == RUNNING and time.monotonic() < until:
        time.sleep(0.001)
    choose(None)


_doors: list[Doors] = []
_making = threading.Lock()  # the handler of the doors made last is the one that is called


def doors(make: Callable[[str], Any]) -> Doors:
    """Those of this process; `make` compiles assembly and loads it."""
    with _making:
        if not _doors:
            _doors.append(Doors(make(assembly())))
    return _doors[0]
