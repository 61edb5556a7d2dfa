"""A sweep: the points of a plan that a store has not yet, counted by a crew."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mmarch.grid.crew import Crew, Pace, chunks
from mmarch.grid.local import Local
from mmarch.grid.plan import Plan
from mmarch.grid.points import Point
from mmarch.grid.store import Store, opened

Note = Callable[[str], None]
Progress = Callable[[int, int], None]  # points done, of how many


@dataclass(frozen=True)
class Swept:
    """What a sweep did.

    points    of the SPEC
    distinct  of them, each of which is counted once
    before    that the store had already
    ran       now
    failures  digest and message of each point in the store that failed
    """

    store: str
    points: int
    distinct: int
    before: int
    ran: int
    failures: tuple[tuple[str, str], ...]


def sweep(
    plan: Plan,
    folder: Path,
    crew: Crew | None = None,
    *,
    retry: bool = False,
    rebuild: bool = False,
    note: Note = lambda text: None,
    progress: Progress = lambda done, total: None,
) -> Swept:
    """Count what `folder` has not yet.

    retry    points that failed, too
    rebuild  what is damaged there, instead of refusing it
    InputError for a folder that is no store of this plan. Whatever ends it, no point that is finished runs again.
    """
    with opened(folder, plan, rebuild) as (store, said):
        for line in said:
            note(line)
        if retry:
            store.forget_failed()
        before, total = len(store.finished), len(plan.digests)
        progress(before, total)
        with _kept(store, total):
            ran = _run(plan, store, crew or Local(), lambda done: progress(before + done, total))
        return Swept(str(folder), plan.points, total, before, ran, tuple(store.failures()))


def _run(plan: Plan, store: Store, crew: Crew, progress: Callable[[int], None]) -> int:
    pace, ran = Pace(), 0
    given = chunks(_pending(plan, frozenset(store.finished)), str(store.journals.resolve()), pace)
    for done in crew.work(given, pace):
        pace.saw(done)
        ran += done.points
        store.take(done.journals, done.points)
        progress(ran)
    store.seal()
    return ran


def _pending(plan: Plan, finished: frozenset[str]) -> Iterator[Point]:
    return (point for point in plan.distinct() if point.digest not in finished)


@contextmanager
def _kept(store: Store, total: int) -> Iterator[None]:
    """Whoever stops the sweep is told that what is finished is kept."""
    try:
        yield
    except KeyboardInterrupt as stop:
        stop.add_note(
            f"what is finished of {total:,} points is kept in {os.fspath(store.folder)}; the same command goes on"
        )
        raise
