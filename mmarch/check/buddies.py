"""Which frame an allocation gets: a second account of mm/page_alloc.c, with lists that Python has.

Frames are whole numbers from 1 on; a list's last item is the one that is taken first.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

MAX_PAGE_ORDER = 10  # and at least a PMD's
REFILL = 5  # order of what the list of single frames takes at once, at most
HIGH, BATCH = 1024, 512  # single frames that are kept, and that are given back at once


@dataclass
class Buddies:
    """Frames 1 to `memory`; in `lost` of 100 blocks as large as a huge page one frame was taken before the start."""

    memory: int
    huge: int
    lost: int
    seed: int
    used: int = 1  # frames below were handed out
    lists: list[list[int]] = field(default_factory=list)
    single: list[int] = field(default_factory=list)
    taken: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.draws = drawn(self.seed)
        self.top = max(MAX_PAGE_ORDER, self.huge)
        self.lists = [[] for _ in range(self.top + 1)]
        self._more()

    def free(self) -> int:
        """Frames that nobody has."""
        listed = sum(len(blocks) << order for order, blocks in enumerate(self.lists))
        return listed + len(self.single) + max(0, self.memory + 1 - self.used)

    def take(self, order: int) -> int:
        """The first frame of a block; 0 if there is none."""
        if order:
            return self._block(order)
        if not self.single:
            smallest = next((one for one in range(REFILL) if self.lists[one]), REFILL)
            for size in range(smallest, -1, -1):
                if start := self._block(size):
                    self.single.extend(range(start + (1 << size) - 1, start - 1, -1))
                    break
        return self.single.pop() if self.single else 0

    def give(self, frame: int, order: int) -> None:
        """It is free again."""
        if order:
            self._merge(frame, order)
            return
        self.single.append(frame)
        if len(self.single) > max(HIGH, self.memory // 4):
            self._give_back(BATCH)

    def _give_back(self, count: int) -> None:
        for _ in range(count):
            self._merge(self.single.pop(), 0)

    def _block(self, order: int) -> int:
        while True:
            for size in range(order, self.top + 1):
                if self.lists[size]:
                    frame = self.lists[size].pop()
                    for half in range(size - 1, order - 1, -1):
                        self.lists[half].append(frame + (1 << half))
                    return frame
            if not self._more():
                if not self.single:
                    return 0
                self._give_back(len(self.single))

    def _merge(self, frame: int, order: int) -> None:
        while order < self.top and (frame ^ 1 << order) in self.lists[order]:
            self.lists[order].remove(frame ^ 1 << order)
            frame &= ~(1 << order)
            order += 1
        self.lists[order].append(frame)

    def _more(self) -> bool:
        """The next never used block of the largest size, as far as there is memory."""
        if self.used > self.memory:
            return False
        start, end = self.used, (self.used >> self.top) + 1 << self.top
        self.used = end
        for first, after in self._parts(start, min(end, self.memory + 1)):
            while first < after:
                order = min(self.top, (first & -first).bit_length() - 1, (after - first).bit_length() - 1)
                self.lists[order].append(first)
                first += 1 << order
        return True

    def _parts(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """What is free of new memory: in fragmented memory it is cut where frames are taken."""
        size = 1 << self.huge
        while start < end:
            after = min(start // size * size + size, end) if self.lost else end
            if self.lost and next(self.draws) % 100 < self.lost:
                frame = start + next(self.draws) % (after - start)
                self.taken.add(frame)
                yield start, frame
                start = frame + 1
            yield start, after
            start = after


def drawn(seed: int) -> Iterator[int]:
    """The C standard's example of rand(), section 7.22.2."""
    while True:
        seed = (seed * 1103515245 + 12345) % (1 << 31)
        yield seed // 65536
