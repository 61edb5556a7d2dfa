"""Where the pages of an address space lie when pages are larger: each mapping keeps its order and moves as a whole."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import NamedTuple

ADDRESSES = 1 << 47  # user addresses of every 64-bit architecture with such pages
STOREY = 1 << 40  # a mapping whose place is taken keeps its address below this


class Piece(NamedTuple):
    """Part of a mapping, bytes [start, end) of the recorded addresses; it lies `delta` higher.

    prot   of PROT_*
    flags  of MAP_*
    file   index, -1 anonymous
    base   file offset minus address
    grows  down, as a stack
    """

    start: int
    end: int
    delta: int
    prot: int
    flags: int
    file: int
    base: int
    grows: bool

    @property
    def low(self) -> int:
        """Where it lies."""
        return self.start + self.delta

    @property
    def high(self) -> int:
        """Where it ends."""
        return self.end + self.delta


class Layout:
    """The pieces of one address space, by recorded address and by the place they have; both are disjoint."""

    def __init__(self, page: int) -> None:
        self.page = page
        self._starts: list[int] = []
        self._by_start: list[Piece] = []
        self._lows: list[int] = []
        self._by_low: list[Piece] = []

    def copy(self) -> Layout:
        """Of a child."""
        other = Layout(self.page)
        other._starts, other._by_start = self._starts.copy(), self._by_start.copy()
        other._lows, other._by_low = self._lows.copy(), self._by_low.copy()
        return other

    def down(self, address: int) -> int:
        """To the beginning of its page."""
        return address & -self.page

    def up(self, address: int) -> int:
        """To the end of the page that it ends in."""
        return -(-address // self.page) * self.page

    def add(self, piece: Piece) -> None:
        """A piece where nothing is."""
        at = bisect_left(self._starts, piece.start)
        self._starts.insert(at, piece.start)
        self._by_start.insert(at, piece)
        at = bisect_left(self._lows, piece.low)
        self._lows.insert(at, piece.low)
        self._by_low.insert(at, piece)

    def _drop(self, at: int) -> Piece:
        piece = self._by_start[at]
        low = bisect_left(self._lows, piece.low)
        del self._starts[at], self._by_start[at], self._lows[low], self._by_low[low]
        return piece

    def find(self, address: int) -> Piece | None:
        """The piece that has an address; a stack grows down to it if nothing is between."""
        at = bisect_right(self._starts, address)
        if at and address < self._by_start[at - 1].end:
            return self._by_start[at - 1]
        if at == len(self._starts) or not (above := self._by_start[at]).grows:
            return None
        if self.taken(self.down(address + above.delta), self.down(above.low)):
            return None
        self._drop(at)
        self.add(above._replace(start=address))
        return self._by_start[at]

    def between(self, start: int, end: int) -> list[Piece]:
        """What lies in [start, end), each piece cut to it."""
        first = bisect_right(self._starts, start)
        if first and self._by_start[first - 1].end > start:
            first -= 1
        found = self._by_start[first : bisect_left(self._starts, end, first)] if start < end else []
        if found and found[0].start < start:
            found[0] = found[0]._replace(start=start)
        if found and found[-1].end > end:
            found[-1] = found[-1]._replace(end=end)
        return found

    def take(self, start: int, end: int) -> list[Piece]:
        """Remove what lies in [start, end)."""
        taken = self.between(start, end)
        for piece in taken:
            whole = self._drop(bisect_right(self._starts, piece.start) - 1)
            if whole.start < piece.start:
                self.add(whole._replace(end=piece.start))
            if piece.end < whole.end:
                self.add(whole._replace(start=piece.end))
        return taken

    def lying(self, low: int, high: int) -> list[Piece]:
        """The pieces that have a byte of the places [low, high)."""
        at = bisect_left(self._lows, high)
        found = []
        while at and self._by_low[at - 1].high > low:
            at -= 1
            found.append(self._by_low[at])
        return found

    def taken(self, low: int, high: int) -> bool:
        """Whether any piece has a byte of [low, high)."""
        at = bisect_left(self._lows, high)
        return bool(at) and low < high and self._by_low[at - 1].high > low

    def whole(self, low: int, high: int) -> tuple[int, int]:
        """The pages of which [low, high) has everything that is mapped: it shrinks inward where it shares a page."""
        first, last = self.down(low), self.up(high)
        if self.taken(first, low):
            first += self.page
        if last > first and self.taken(high, last):
            last -= self.page
        return first, max(first, last)

    def place(self, start: int, end: int, phase: int, apart: tuple[int, int] = (0, 0)) -> int:
        """How much higher [start, end) is to lie, `phase` bytes into a page, sharing no page with another mapping.

        Beside its neighbours where it has any and there is room, else where it was, else at the same
        address in another storey; nowhere in the places `apart`.
        """
        size = self.up(phase + end - start)
        beside = []
        at = bisect_left(self._starts, start)
        if at < len(self._starts) and self._starts[at] == end:
            beside.append(self.down(self._by_start[at].low) - size)
        if at and self._by_start[at - 1].end == start:
            beside.append(self.up(self._by_start[at - 1].high))
        own = self.down(start)
        storeys = ((own + number * STOREY) % ADDRESSES for number in range(ADDRESSES // STOREY))
        for low in (*beside, *storeys):
            free = not self.taken(low, low + size) and not (low < apart[1] and apart[0] < low + size)
            if free and 0 < low <= ADDRESSES - size:
                return low + phase - start
        raise ValueError(f"no room for {end - start:#x} bytes at {start:#x}")
