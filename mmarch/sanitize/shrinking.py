"""The shortest failing part of a sequence (delta debugging)."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TypeVar

Item = TypeVar("Item")
Found = TypeVar("Found")


def shortest(
    items: Sequence[Item],
    failure: tuple[Found, int],
    failing: Callable[[Sequence[Item]], tuple[Found, int] | None],
    seconds: float,
) -> tuple[Found, tuple[Item, ...]]:
    """Leave out ever smaller parts while what is left still fails, for so long at most.

    A failure is what was found and how many of the items it took; `failing` looks for one.
    """
    end = time.monotonic() + seconds
    found, used = failure
    kept = tuple(items[:used])
    chunk = max(1, len(kept) // 2)
    while chunk and time.monotonic() < end:
        position = 0
        while position < len(kept) and time.monotonic() < end:
            shorter = kept[:position] + kept[position + chunk :]
            failure_left = failing(shorter) if shorter else None
            if failure_left:
                found, used = failure_left
                kept = shorter[:used]
            else:
                position += chunk
        chunk //= 2
    return found, kept
