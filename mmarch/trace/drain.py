"""Take events out of the ring buffer while the program runs, so that little is left to save when it ends."""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from operator import itemgetter
from typing import IO

from mmarch.trace.anonymize import Anonymizer, Event
from mmarch.trace.tracefs import Instance

PAUSE = 0.05  # seconds between two looks at a buffer that was empty
READS = 128  # of a page of text each, between two looks at what was lost
LATE = 100_000  # microseconds that an event may take to be in the buffer
_TIME: Callable[[Event], int] = itemgetter(0)

Progress = Callable[[int, int], None]  # lines written, lines in all


def _now() -> int:
    """The clock of the trace, in microseconds."""
    return time.monotonic_ns() // 1000


class Drain:
    """From the buffers of all CPUs through `names` to `text`, in order of time.

    `cut` says that a buffer was full, so that the text ends with what was surely complete before; what comes
    later stays in the buffers or is dropped, so that they tell which buffer would have done: `needed_kib`.
    """

    def __init__(self, trace: Instance, names: Anonymizer, text: IO[str]) -> None:
        self.names = names
        self.cut = self._past = False
        self.needed_kib = 0
        self.losses: dict[str, int] = {}  # by reason, at the end
        self._trace, self._text = trace, text
        self._rest = ""
        self._held: list[Event] = []
        self._complete = _now()  # until then nothing was lost
        self._over = threading.Event()
        self._error: Exception | None = None

    @contextmanager
    def running(self) -> Iterator[None]:
        """In a thread of its own, as long as the block."""
        thread = threading.Thread(target=self._run, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()

    def _run(self) -> None:
        try:
            while not self._over.is_set() and not self.cut:
                if not self._take():
                    self._over.wait(PAUSE)
        except Exception as error:  # for `finish`, in the main thread
            self._error = error

    def finish(self, progress: Progress) -> None:
        """Write what is left, once nothing is recorded any more; raises what went wrong meanwhile."""
        if self._error:
            raise self._error
        self.losses, self.needed_kib = self._trace.lost(), self._trace.needed_kib()
        done, total = 0, self._trace.entries() + len(self._held)
        while not self._past and (taken := self._take()):
            done += taken
            progress(done, total)
        self._write(len(self._held))

    def _take(self) -> int:
        """What is there now, but not for ever; how many events."""
        begin = _now()
        *lines, self._rest = (self._rest + self._trace.take(READS)).split("\n")
        self._held += self.names.events_in(lines)
        self._held.sort(key=_TIME)
        self._look_at_losses()
        self._write(bisect_left(self._held, begin - LATE, key=_TIME))
        return len(lines)

    def _look_at_losses(self) -> None:
        """Nothing that comes after the first loss is worth keeping."""
        now = _now()
        self.cut = self.cut or bool(self._trace.lost())
        if self.cut:
            kept = bisect_left(self._held, self._complete, key=_TIME)
            self._past = kept < len(self._held)
            del self._held[kept:]
        else:
            self._complete = now

    def _write(self, number: int) -> None:
        """The first that are held: an event of another CPU may still come before the others."""
        self._text.writelines(self.names.rewritten(self._held[:number]))
        del self._held[:number]
