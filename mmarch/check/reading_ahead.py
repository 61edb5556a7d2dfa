"""What faults on a mapped file read, mark and map: a second account of mm/readahead.c and mm/filemap.c, page by page.

It knows the file as a dictionary of pages and shares nothing with core-mm but the names of features.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

READ, WRITE = 0, 1  # a write is one to a shared mapping
NORMAL, RANDOM, SEQUENTIAL = range(3)
READ_AHEAD_BYTES = 128 << 10  # read_ahead_kb
AROUND_BYTES = 64 << 10  # fault_around_bytes
LOTS_OF_MISSES = 100
NODE = 64  # slots of a node of an XArray


@dataclass
class Folio:
    """Pages [first, first + pages) of the file; those of fallocate are not `valid` until somebody asks for them."""

    first: int
    pages: int
    marked: bool = False
    dirty: bool = False
    valid: bool = True

    @property
    def order(self) -> int:
        """Its pages are two to the power of it."""
        return self.pages.bit_length() - 1


@dataclass(frozen=True)
class Area:
    """A mapping of pages [first, after) of the file; `cut` is the first one that lies in the next table."""

    first: int
    after: int
    cut: int
    advice: int = NORMAL
    text: bool = False

    def in_table(self, page: int) -> tuple[int, int]:
        """What it maps by the table that maps a page."""
        return (
            (self.first, min(self.cut, self.after))
            if page < self.cut
            else (max(self.first, self.cut), self.after)
        )


@dataclass
class ReadingAhead:
    """A file of `size` pages on a disk, and what is cached and mapped of it.

    has     whether core-mm has a feature
    memory  whether it has no disk and is all there is (tmpfs, shared memory)
    text    the order of folios that the architecture wishes for text, below 0 for none
    window  the next to be read of it: where it begins, how long it is, how much of it is behind its mark
    """

    size: int
    page_bytes: int
    large: bool
    text: int
    has: Callable[[str], int]
    cache: dict[int, Folio] = field(default_factory=dict)
    mapped: set[int] = field(default_factory=set)
    window: tuple[int, int, int] = (0, 0, 0)
    order: int = 0
    misses: int = 0
    memory: bool = False

    @property
    def most(self) -> int:
        """Pages of the largest window."""
        return READ_AHEAD_BYTES // self.page_bytes

    def touch(self, area: Area, page: int, access: int) -> None:
        """An access to a page of the file; who writes takes the mark away (folio_mark_dirty)."""
        if page not in self.mapped:
            self._fault(area, page, access)
        if access == WRITE:
            self.cache[page].marked = False

    def _fault(self, area: Area, page: int, access: int) -> None:
        if access == READ and self._around(area, page, None):
            return
        until: int | None = self.size
        if page in self.cache:
            until = self._found(area, page)
        else:
            self._missed(area, page)
            if page not in self.cache:
                self._add(page, 0, False)
        if until is None or access == WRITE or not self._around(area, page, until):
            self._finish(area, page)

    def drop(self) -> None:
        """Everything is written, and what nobody maps forgotten."""
        kept = {id(self.cache[page]) for page in self.mapped}
        self.cache = {page: folio for page, folio in self.cache.items() if id(folio) in kept}
        if not self.cache:
            self.window, self.order = (0, 0, 0), 0

    # -- mapping ------------------------------------------------------------------------

    def _around(self, area: Area, page: int, until: int | None) -> bool:
        """Faultaround: whether the page itself was there to be mapped.

        Again, with the page from where on what is read ahead has not arrived, or for the first time (None).
        """
        per = AROUND_BYTES // self.page_bytes
        if per < 2:
            return False
        first, after = area.in_table(page)
        start = max(
            page - (page - area.cut) % per, first
        )  # aligned as addresses are, and so is a table's border
        end = min(start + per, after, self.size if until is None else min(until, self.size))
        hits, done = 0, False
        looked = set[int]()
        for at in range(start, end):
            folio = self.cache.get(at)
            if at in looked or folio is None or folio.marked or not folio.valid:
                continue
            part = range(at, min(end, folio.first + folio.pages))
            if self.has("fault_around_folio") and folio.pages > 1 and self._whole(area, page, folio):
                if self.memory or folio.first + folio.pages < self.size:
                    part = range(folio.first, folio.first + folio.pages)
            looked.update(part)
            fresh = page in part and page not in self.mapped
            self.mapped.update(part)
            done |= fresh
            if self.has("fault_hits_once"):
                hits += fresh and self._counts(area)
            else:
                hits += len(part)
        if until is None or not self.has("retry_keeps_misses"):
            self.misses = max(0, self.misses - hits)
        return done

    def _whole(self, area: Area, page: int, folio: Folio) -> bool:
        first, after = area.in_table(page)
        return first <= folio.first and folio.first + folio.pages <= after

    def _finish(self, area: Area, page: int) -> None:
        """Map the page, and what else of its folio the release maps with it."""
        folio = self.cache[page]
        part = range(folio.first, folio.first + folio.pages)
        beyond = not self.memory and self.has("map_within_eof") and part.stop > self.size
        if self._maps_whole() and self._whole(area, page, folio) and not beyond:
            if self.mapped.isdisjoint(part):
                self.mapped.update(part)
        self.mapped.add(page)

    def _maps_whole(self) -> bool:
        return bool(self.has("finish_fault_folio"))

    # -- reading ------------------------------------------------------------------------

    def _counts(self, area: Area) -> bool:
        return not (self.has("exec_misses_uncounted") and (area.text or area.advice == SEQUENTIAL))

    def _missed(self, area: Area, page: int) -> None:
        """Nothing is cached there."""
        if area.advice == RANDOM and not (area.text and self.has("exec_misses_uncounted")):
            return
        if area.advice == SEQUENTIAL:
            self._first(page, self.most, 0)
            return
        if self._counts(area):
            self.misses = min(self.misses + 1, max(self.misses, 10 * LOTS_OF_MISSES))
            if self.misses > LOTS_OF_MISSES:
                return
        if area.text and self.has("exec_readahead") and self.text >= 0:
            unit = 1 << self.text
            start = max(page // unit * unit, area.first)
            end = min(-(-(start + self.most) // unit) * unit, area.after)
            self._read(start, end - start, 0, self.text)
            return
        self._first(max(0, page - self.most // 2), self.most, self.most // 4)

    def _first(self, start: int, size: int, behind: int) -> None:
        self._read(start, size, behind, 0 if self.has("readahead_order_kept") else 2)

    def _found(self, area: Area, page: int) -> int | None:
        """It is cached, and if its folio is marked, another window is begun: where that does, else the file's end."""
        folio = self.cache[page]
        if area.advice == RANDOM:
            return None
        if self._counts(area):
            self.misses = max(0, self.misses - 1)
        if not folio.marked:
            return None
        folio.marked = False
        start, size, behind = self.window
        if page == (start + size - behind) // folio.pages * folio.pages:
            start, size = start + size, max(size, self.next(size))
        else:
            hole = self.hole(page + 1)
            if hole is None:
                return self.size
            start, size = hole, self.most
        order = 2 + (self.order if self.has("readahead_order_kept") else folio.order)
        if self.has("readahead_natural_end"):
            unit = 1 << min(order, self.most.bit_length() - 1)
            end = (start + size) // unit * unit
            size = end - start if end > start else size
        self._read(start, size, size, order)
        return start

    def next(self, size: int) -> int:
        """Windows grow to the largest, small ones by four, others by two."""
        return min(4 * size if size < self.most // 16 else 2 * size, self.most)

    def hole(self, page: int) -> int | None:
        """The first page that is not cached, as an XArray finds it: within a large entry from its beginning on."""
        slot = page
        if page in self.cache and self.cache[page].pages < NODE:
            slot = self.cache[page].first
        for at in range(page, page + self.most):
            if slot not in self.cache:
                return at
            slot = slot + 1 if (slot + 1) % NODE else at + 1
        return None

    def _read(self, start: int, size: int, behind: int, order: int) -> None:
        """A window, in folios of an order up to where something is cached, and then page by page."""
        self.window, end = (start, size, behind), min(start + size, self.size)
        self.order = min(order, size.bit_length() - 1) if self.large else 0
        unmarked = self.has("readahead_end_unmarked") and start + size >= self.size
        mark = -1 if unmarked else start + size - behind
        at = self._large(start, end, mark) if self.large else start
        if start + size >= self.size and not unmarked:
            mark = self.size - behind
        for page in range(at, end):
            if page not in self.cache:
                self._add(page, 0, page == mark)

    def _large(self, at: int, end: int, mark: int) -> int:
        """Folios as large as they may be, up to the first that would hold something cached; where that is."""
        while at < end:
            pages = 1 << self.order
            while at % pages or at + pages > end:
                pages //= 2
            if any(page in self.cache for page in range(at, at + pages)):
                break
            self._add(at, pages.bit_length() - 1, at <= mark < at + pages)
            at += pages
        return at

    def _add(self, first: int, order: int, marked: bool) -> Folio:
        folio = Folio(first, 1 << order, marked)
        self.cache.update((page, folio) for page in range(first, first + folio.pages))
        return folio
