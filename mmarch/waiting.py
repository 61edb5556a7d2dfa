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
Step = tuple[str, str, float]  # its name among all processes, what, and seconds; no `what` when it ends
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


def tell(send: Callable[[Step], object]) -> None:
    """From now on `send` is given this process's steps, for another one to show them."""

    @contextmanager
    def show(what: str, seconds: float) -> Iterator[None]:
        name = f"{os.getpid()}.{next(_numbers)}"
        send((name, what, seconds))
        try:
            yield
        finally:
            send((name, "", 0.0))

    _shows.append(show)


@contextmanager
def heard() -> Iterator[Callable[[Step], None]]:
    """A function that shows the steps of other processes as if they were this one's, until they or the block end."""
    under_way: dict[str, ExitStack] = {}

    def hear(step: Step) -> None:
        name, what, seconds = step
        if not what:
            under_way.pop(name).close()
            return
        under_way[name] = ExitStack()
        for show in _shows:
            under_way[name].enter_context(show(what, seconds))

    try:
        yield hear
    finally:
        for shown in under_way.values():
            shown.close()


@contextmanager
def hearing(teller: Connection) -> Iterator[None]:
    """What comes from `teller`, to whose other end processes tell their steps, is shown."""
    over = threading.Event()
    thread = threading.Thread(target=_hear, args=(teller, over), daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _hear(teller: Connection, over: threading.Event) -> None:
    with heard() as hear:
        while not over.is_set():
            if teller.poll(0.1):
                hear(teller.recv())


def _pace(kind: str, guess: float) -> float:
    """Seconds that a unit took the last time."""
    try:
        found = float((cache_dir() / "pace" / kind).read_text())
    except (OSError, ValueError):
        return guess
    return found if 0 <= found < 3600 else guess
