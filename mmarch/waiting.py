"""Steps that cannot say how far they are, such as a link: how long the last one took says when this one ends."""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING

from mmarch.cache import cache_dir, write_whole

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

# what, and about how many seconds; 0: nobody knows
Show = Callable[[str, float], AbstractContextManager[None]]
_shows: list[Show] = []
_now: list[str] = []
_numbers = itertools.count()


@contextmanager
def shown_by(show: Show) -> Iterator[None]:
    """Every step from here to the end is shown, whichever thread takes it."""
    _shows.append(show)
    try:
        yield
    finally:
        _shows.remove(show)


def now() -> str:
    """What the latest step is that has not ended; empty if there is none."""
    return _now[-1] if _now else ""


@contextmanager
def waiting(what: str, kind: str = "", size: int = 1, guess: float = 1.0) -> Iterator[None]:
    """The step `what` begins and ends with the block.

    kind   of which this computer keeps the pace; without one nobody knows how long the step will take
    size   in units of which each takes as long
    guess  seconds a unit, until there is a pace

    A KeyboardInterrupt that leaves the block has a note of what it stopped.
    """
    seconds = size * _pace(kind, guess) if kind else 0.0
    with ExitStack() as stack:
        for show in _shows:
            stack.enter_context(show(what, seconds))
        start = time.monotonic()
        _now.append(what)
        try:
            yield
        except KeyboardInterrupt as stop:
            stop.add_note(what)
            raise
        finally:
            _now.remove(what)
    if kind:
        with suppress(OSError):
            write_whole(cache_dir() / "pace" / kind, repr((time.monotonic() - start) / size).encode())


def tell(listener: Connection) -> None:
    """From now on who has the other end of `listener` is told of this process's steps, to show them."""

    @contextmanager
    def show(what: str, seconds: float) -> Iterator[None]:
        number = next(_numbers)
        listener.send(((os.getpid(), number), what, seconds))
        try:
            yield
        finally:
            listener.send(((os.getpid(), number), "", 0.0))

    _shows.append(show)


@contextmanager
def hearing(teller: Connection) -> Iterator[None]:
    """Steps of the processes that have the other end of `teller` are shown as this one's are."""
    over = threading.Event()
    thread = threading.Thread(target=_hear, args=(teller, over), daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _hear(teller: Connection, over: threading.Event) -> None:
    under_way: dict[tuple[int, int], ExitStack] = {}
    while not over.is_set():
        if not teller.poll(0.1):
            continue
        step, what, seconds = teller.recv()
        if not what:
            under_way.pop(step).close()
            continue
        under_way[step] = ExitStack()
        for show in _shows:
            under_way[step].enter_context(show(what, seconds))
    for shown in under_way.values():
        shown.close()


def _pace(kind: str, guess: float) -> float:
    """Seconds that a unit took the last time."""
    try:
        found = float((cache_dir() / "pace" / kind).read_text())
    except (OSError, ValueError):
        return guess
    return found if 0 <= found < 3600 else guess
