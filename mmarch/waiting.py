"""Steps that cannot say how far they are, such as a link: how long the last one took says when this one ends."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress

from mmarch.cache import cache_dir, write_whole

Show = Callable[
    [str, float], AbstractContextManager[None]
]  # what, and about how many seconds; 0: nobody knows
_shows: list[Show] = []
_now: list[str] = []


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


def _pace(kind: str, guess: float) -> float:
    """Seconds that a unit took the last time."""
    try:
        found = float((cache_dir() / "pace" / kind).read_text())
    except (OSError, ValueError):
        return guess
    return found if 0 <= found < 3600 else guess
