"""Ctrl-C, or the end of the time to record, ends a wait and nothing else, so that no snapshot is torn."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn, TypeVar

T = TypeVar("T")


class Ended(Exception):
    """Recording is over before the program is."""


class Interrupts:
    """`by_hand` says that it was Ctrl-C."""

    def __init__(self, seconds: float = 0) -> None:
        self.seconds = seconds
        self.by_hand = False
        self._waiting = self._seen = False

    @contextmanager
    def held(self) -> Iterator[None]:
        """Where either would raise; only the main thread may arrange that."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        held: dict[int, Any] = {}
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            held[signal.SIGINT] = signal.signal(signal.SIGINT, self._arrived)
        if self.seconds:
            held[signal.SIGALRM] = signal.signal(signal.SIGALRM, self._arrived)
            signal.setitimer(signal.ITIMER_REAL, self.seconds)
        try:
            yield
        finally:
            if self.seconds:
                signal.setitimer(signal.ITIMER_REAL, 0)
            for number, before in held.items():
                signal.signal(number, before)

    def _arrived(self, number: int, _frame: FrameType | None) -> None:
        self._seen = True
        self.by_hand |= number == signal.SIGINT
        if self._waiting:
            raise Ended

    def wait(self, waiting: Callable[[], T]) -> T:
        """Ended if it comes meanwhile, or came before."""
        try:
            self._waiting = True
            if self._seen:
                raise Ended
            return waiting()
        finally:
            self._waiting = False


@contextmanager
def termination_unwinds() -> Iterator[None]:
    """Signals that end us leave through the same door as Ctrl-C; only the main thread may arrange that."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def leave(number: int, _frame: FrameType | None) -> NoReturn:
        raise SystemExit(128 + number)

    ours = [
        n for n in (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT) if signal.getsignal(n) is signal.SIG_DFL
    ]
    for number in ours:
        signal.signal(number, leave)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)
