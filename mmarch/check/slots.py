"""Which swap slots a folio gets: a second account of mm/swapfile.c, with a set of the slots that are taken."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Slots:
    """Slots 1 to `count`, in clusters of `size`.

    header  whether single pages begin behind the header of the area, not in a free cluster
    goes_on order -> the slot behind the run that it got last
    """

    count: int
    size: int
    header: bool
    taken: set[int] = field(default_factory=set)
    goes_on: dict[int, int] = field(default_factory=dict)
    begun: int = 0

    def take(self, order: int) -> int:
        """The first of 1 << order slots; 0 if there are none together."""
        pages = 1 << order
        if len(self.taken) + pages > self.count:
            return 0
        at = self.goes_on.get(order, 1 if self.header and order == 0 else 0)
        slot = self._first(at, at // self.size * self.size + self.size, pages) if at else 0
        slot = slot or self._in_free_cluster(pages) or self._first(1, self.count, pages)
        if slot:
            self.taken.update(range(slot, slot + pages))
            self.goes_on[order] = slot + pages
        return slot

    def give(self, slot: int, order: int) -> None:
        """Nobody refers to them any more."""
        self.taken.difference_update(range(slot, slot + (1 << order)))

    def _first(self, start: int, end: int, pages: int) -> int:
        """The lowest aligned run of free slots that lies in [start, end)."""
        lowest = -(-start // pages) * pages
        for slot in range(lowest, min(end, self.count) - pages + 1, pages):
            if self.taken.isdisjoint(range(slot, slot + pages)):
                return slot
        return 0

    def _in_free_cluster(self, pages: int) -> int:
        """In the next cluster that is free, in turn; the first one has the header and never is."""
        numbers = range(1, self.count // self.size)
        for number in sorted(numbers, key=lambda number: (number <= self.begun, number)):
            first = number * self.size
            if self.taken.isdisjoint(range(first, first + self.size)):
                self.begun = number
                return self._first(first, first + self.size, pages)
        return 0
