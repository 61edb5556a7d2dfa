"""Where code does not end: interpreted code by its frames, linked code by running the operation once more."""

from __future__ import annotations

import ctypes
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from itertools import takewhile
from types import FrameType

from mmarch.engine import stopping

LOOKING = 3.0  # seconds for the operation to come to where it hung
POLL = 0.05
HOOK = 1 / 2  # of the time that an operation may take
MANY = "run_operations"  # which may take as long as it likes


class Hung(Exception):
    """Interpreted code was left in the middle; which, the watch says."""


class Watch:
    """How long calls of core-mm and of plugins have been under way in a thread, in processor time.

    found  seconds and `around` what should have ended, once something should have
    """

    def __init__(self, packages: Collection[str]) -> None:
        self.packages = packages
        self.found = (0.0, "")
        self._since: dict[FrameType, float] = {}

    def look(self, frame: FrameType | None, now: float) -> bool:
        """Whether a hook, or an operation, has run for so long that it will not end."""
        before, self._since = self._since, {}
        for one, _ in traceback.walk_stack(frame):
            own = package_of(one) in self.packages
            if own or (package_of(one) == "core_mm" and one.f_code.co_name != MANY):
                begun = self._since[one] = before.get(one, now)
                if now - begun > stopping.limit() * (HOOK if own else 1):
                    self.found = now - begun, around(frame, before, self.packages)
        if self.found[0]:
            self._since.clear()
        return bool(self.found[0])


_watches: dict[int, Watch] = {}  # thread -> of its call


@contextmanager
def watched(packages: Collection[str]) -> Iterator[None]:
    """Interpreted code of this thread that does not end is left with Hung, which has seconds and place as arguments."""
    thread = threading.get_ident()
    outer, watch = _watches.get(thread), Watch(packages)
    _watches[thread] = watch
    _watchdog(os.getpid())
    try:
        yield
    except Hung:
        stopping.noticed()
        raise Hung(*watch.found) from None
    finally:
        if outer is None:
            del _watches[thread]
        else:
            _watches[thread] = outer


@cache
def _watchdog(process: int) -> threading.Thread:
    """One for each process; a fork has none until it asks."""
    thread = threading.Thread(target=_look_on, name="mmarch-interpreted", daemon=True)
    thread.start()
    return thread


def _look_on() -> None:
    while True:
        time.sleep(stopping.LOOK)
        for thread, watch in list(_watches.items()):
            with suppress(OSError):  # it has just ended
                spent = time.clock_gettime(time.pthread_getcpuclockid(thread))
                frame = sys._current_frames().get(thread)
                if watch.look(frame, spent) and _watches.get(thread) is watch:
                    _interrupt(thread, Hung)


def place(run: Callable[[], object], packages: Collection[str]) -> str:
    """`around` what `run` does not come out of; "" if `run` ends."""
    ended = threading.Event()

    def running() -> None:
        with suppress(BaseException):  # what it says does not matter: it ends
            run()
        ended.set()

    thread = threading.Thread(target=running, daemon=True)
    thread.start()
    if ended.wait(LOOKING / 2):
        return ""
    before = _stack(thread)
    if ended.wait(LOOKING / 2):
        return ""
    found = around(next(iter(_stack(thread)), None), before, packages)
    until = time.monotonic() + 1
    while not ended.wait(POLL) and time.monotonic() < until:  # a plugin may catch it, then it runs on
        _interrupt(thread.ident or 0, SystemExit)
    return found


def _stack(thread: threading.Thread) -> list[FrameType]:
    """Its frames, innermost first."""
    return [one for one, _ in traceback.walk_stack(sys._current_frames().get(thread.ident or 0))]


def _interrupt(thread: int, error: type[BaseException]) -> None:
    """Python code notices it in any loop."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(error))


def around(frame: FrameType | None, before: Collection[FrameType], packages: Collection[str]) -> str:
    """` in hook: function (file:line)` of the loop: the innermost function that was under way `before` too.

    hook      through which core-mm came to it, if it is a function of these packages; otherwise it is core-mm's own,
              and what it calls of them is said behind it
    """
    known = {*packages, "core_mm"}
    stack = [one for one, _ in traceback.walk_stack(frame) if package_of(one) in known]
    loop = next((place for place, one in enumerate(stack) if one in before), 0)
    if not stack:
        return ""
    if package_of(stack[loop]) == "core_mm":
        called = [f", which calls {_named(one)}" for one in stack[:loop] if package_of(one) in packages]
        return f" in {_named(stack[loop])}{(called or [''])[-1]}"
    own = takewhile(lambda one: package_of(one) in packages, stack[loop:])
    hook = list(own)[-1]
    return f" in {'' if hook is stack[loop] else hook.f_code.co_name + ': '}{_named(stack[loop])}"


def _named(frame: FrameType) -> str:
    return f"{frame.f_code.co_name} ({frame.f_code.co_filename}:{frame.f_lineno})"


def package_of(frame: FrameType) -> str:
    """Whose code it is."""
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]
