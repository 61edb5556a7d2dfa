"""Independent runs on all cores: linked code runs without Python's lock, so that threads are enough."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor, as_completed
from typing import TypeVar

Item = TypeVar("Item")
Made = TypeVar("Made")


def cores() -> int:
    """CPUs this process may use, or $MMARCH_JOBS."""
    chosen = os.environ.get("MMARCH_JOBS", "")
    if chosen.isdecimal() and int(chosen) > 0:
        return int(chosen)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def each(
    function: Callable[[Item], Made],
    items: Sequence[Item],
    progress: Callable[[int, int], None] = lambda done, total: None,
    jobs: int = 0,
) -> list[Made]:
    """`function` of every item, in the order of the items; the first error ends all."""
    with ThreadPoolExecutor(max_workers=max(1, min(jobs or cores(), len(items)))) as pool:
        return collect(pool, function, items, progress)


def collect(
    pool: Executor, function: Callable[[Item], Made], items: Sequence[Item], progress: Callable[[int, int], None]
) -> list[Made]:
    """`each`, in the threads or processes of `pool`."""
    pending = [pool.submit(function, item) for item in items]
    try:
        for done, future in enumerate(as_completed(pending), 1):
            future.result()
            progress(done, len(items))
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    return [future.result() for future in pending]
