"""How long a sweep will take: a few of its points, timed."""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass

from mmarch.grid.plan import Plan
from mmarch.grid.work import count
from mmarch.runs.parallel import cores

SAMPLES = 8
ENOUGH = 3.0  # seconds, after which no other sample is begun


@dataclass(frozen=True)
class Estimate:
    """Seconds that a point takes on one core, over so many samples, and the cores."""

    seconds: float
    samples: int
    cores: int

    def total(self, points: int) -> float:
        """Seconds for so many."""
        return points * self.seconds / self.cores

    def text(self, points: int) -> str:
        """For people."""
        timed = f"{self.seconds * 1000:.0f} ms a point and core, by {self.samples} of them"
        return f"about {duration(self.total(points))} on {self.cores} cores ({timed})"


def estimate(plan: Plan) -> Estimate:
    """Time a few points from all over the grid, each for the second time: the first time reads and links."""
    step = max(1, len(plan.digests) // SAMPLES)
    samples = itertools.islice(plan.distinct(), step // 2, None, step)
    spent, number = 0.0, 0
    for point in itertools.islice(samples, SAMPLES):
        count(point)
        start = time.monotonic()
        count(point)
        spent += time.monotonic() - start
        number += 1
        if spent > ENOUGH:
            break
    return Estimate(spent / number, number, cores())


def duration(seconds: float) -> str:
    """`40 s`, `12 min`, `3.5 h`."""
    if seconds < 120:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
