"""Who counts the points of a sweep: something that takes chunks and gives back what came of them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from mmarch.grid.points import Point
from mmarch.grid.work import Chunk, Done

SECONDS = 1.0  # of work in a chunk, at least
MOST = 5000  # points in a chunk


class Crew(Protocol):
    """Workers, here or elsewhere."""

    def work(self, chunks: Iterator[Chunk], pace: Pace) -> Iterator[Done]:
        """Take chunks as workers are free, and say what came of each, in any order; `pace` may be told of more work."""
        ...


@dataclass
class Pace:
    """How long a point takes, as of late, 0 as long as nobody knows; and how long a chunk should."""

    seconds: float = 0.0
    chunk: float = SECONDS

    def saw(self, done: Done) -> None:
        """What a chunk took."""
        self.seconds = done.seconds / max(1, done.points)

    def points(self) -> int:
        """How many are one chunk."""
        return 1 if not self.seconds else max(1, min(MOST, round(self.chunk / self.seconds)))


def chunks(points: Iterator[Point], folder: str, pace: Pace) -> Iterator[Chunk]:
    """The points in chunks as long as the pace says."""
    while several := tuple(itertools.islice(points, pace.points())):
        yield Chunk(several[0].digest, several, folder)
