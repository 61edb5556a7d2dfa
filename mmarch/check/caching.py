"""What calls on a file leave of it in the page cache: which folios, dirty or not, mapped or not, and how long it is.

A second account of mm/truncate.c, mm/filemap.c and mm/shmem.c, as one of readahead is what it stands on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from mmarch.check.reading_ahead import READ, WRITE, Area, Folio, ReadingAhead

ANONYMOUS, TMPFS, HUGE, DISK, RAM = "shared memory", "tmpfs", "tmpfs, huge=always", "disk", "ramfs"
FOREVER = 1 << 60  # bytes


@dataclass
class Caching(ReadingAhead):
    """A file of `bytes` bytes.

    kind       what it is on
    room       pages that it may have
    huge       the order of a folio that fills a table
    enabled    orders of folios of shared memory, a bit each
    written    mapped pages that were written through their entries since these are as they are
    writable   mapped pages whose entries let them be written
    starved    there is no memory for the next folio: the call that needs it has MemoryError, or a smaller one
    drains     a call let go of a batch of folios, and new ones got to their lists (mm/swap.c:__folio_batch_release)
    """

    kind: str = DISK
    bytes: int = 0
    room: int = 0
    huge: int = 9
    enabled: int = 0
    written: set[int] = field(default_factory=set)
    writable: set[int] = field(default_factory=set)
    starved: bool = False
    drains: bool = False

    @property
    def guarded(self) -> bool:
        """Whether the first write to a clean page must be noticed."""
        return not self.memory

    # -- calls --------------------------------------------------------------------------

    def write(self, offset: int, count: int, chunk: int) -> None:
        """write(2), `chunk` bytes each time."""
        for at in range(offset, offset + count, chunk or count or 1):
            after = min(at + (chunk or count), offset + count)
            page, last = at // self.page_bytes, (after - 1) // self.page_bytes
            while page <= last:
                folio = self._to_write(page, last + 1 - page)
                page = folio.first + folio.pages
        self._resize(max(self.bytes, offset + count))

    def allocate(self, offset: int, count: int, keeps_size: bool) -> None:
        """fallocate(2): shared memory has pages then, which nobody has asked for."""
        page = offset // self.page_bytes
        after = -(-(offset + count) // self.page_bytes)
        while self.memory and page < after:
            folio = self._to_write(page, after - page, False)
            page = folio.first + folio.pages
        if not keeps_size:
            self._resize(max(self.bytes, offset + count))

    def truncate(self, size: int) -> None:
        """ftruncate(2): whose pages lose what is behind the end, and mappings too."""
        old, behind = self.bytes, -(-size // self.page_bytes)
        self._resize(size)
        if not self.memory or old > behind * self.page_bytes:
            self.unmap(page for page in list(self.mapped) if page >= behind)
        if size <= old:
            self.lose(size, FOREVER)

    def punch(self, offset: int, count: int) -> None:
        """A hole, if it has whole pages; of a disk, not beyond the last page of the file."""
        after = offset + count
        if not self.memory:
            after = min(after, self.size * self.page_bytes)
        first, behind = -(-offset // self.page_bytes), after // self.page_bytes
        if first < behind:
            self.unmap(page for page in list(self.mapped) if first <= page < behind)
            self.lose(offset, after)

    def sync(self, first: int, after: int) -> None:
        """msync(2) of pages, or sync(2): what was dirty on its way to the disk can be written no more unnoticed."""
        for folio in self._folios(first, min(after, self.size)) if self.kind == DISK else ():
            if folio.dirty:
                folio.dirty = folio.marked = False
                self.drains = True
                self.written.difference_update(pages_of(folio))
                self.writable.difference_update(pages_of(folio))

    def drop(self) -> None:
        """Everything is written, and what nobody maps forgotten."""
        self.sync(0, self.room)
        self.drains = True  # lru_add_drain_all()
        if self.kind == DISK and self.cache:
            for folio in self._folios(0, self.room):
                if not folio.dirty and self.mapped.isdisjoint(pages_of(folio)):
                    self._forget(folio)
            if not self.cache:
                self.window, self.order = (0, 0, 0), 0

    def unmap(self, pages: Iterator[int]) -> None:
        """What entries knew of writes, the folio knows then."""
        for page in pages:
            if page in self.written:
                self.cache[page].dirty, self.cache[page].marked = True, False
            for those in (self.mapped, self.written, self.writable):
                those.discard(page)

    def evict(self) -> None:
        """Nobody has it any more."""
        self.cache.clear()
        self._resize(0)

    # -- accesses -----------------------------------------------------------------------

    def reaches(self, area: Area, page: int, access: int) -> bool:
        """An access; whether there is such a page. What is around one that is not is mapped all the same.

        With all of its folio: of shared memory that has pages behind the end.
        """
        there = page < self.size or page in self.mapped
        if there:
            self.touch(area, page, access)
        elif access == READ:
            before = set(self.mapped)
            self._around(area, page, None)
            self._note(self.mapped - before, READ)
        return there or page in self.mapped

    def touch(self, area: Area, page: int, access: int) -> None:
        """An access to a page that is there."""
        before = set(self.mapped)
        if page not in before:
            self._fault(area, page, access)
        fresh = self.mapped - before
        if access == WRITE and (fresh or page not in self.writable):
            self.cache[page].dirty, self.cache[page].marked = True, False
        self._note(fresh, access)
        if access == WRITE:
            self.written.add(page)
            self.writable.add(page)

    def _note(self, fresh: set[int], access: int) -> None:
        """Entries that a fault made."""
        if access == WRITE or not self.guarded:
            self.writable |= fresh
        if access == WRITE:
            self.written |= fresh
        elif self.has("fault_pte_dirty") and not self.guarded:
            self.written.update(page for page in fresh if self.cache[page].dirty)

    def _fault(self, area: Area, page: int, access: int) -> None:
        if not self.memory:
            super()._fault(area, page, access)
        elif access == WRITE or not self._around(area, page, None):
            if page not in self.cache:
                self._new(page, self._fitting(area, page))
            self.cache[page].valid = True
            self._finish(area, page)

    def _maps_whole(self) -> bool:
        memory = self.kind == ANONYMOUS or (self.memory and bool(self.has("finish_fault_tmpfs")))
        return memory or super()._maps_whole()

    # -- new folios ---------------------------------------------------------------------

    def _fitting(self, area: Area, page: int) -> int:
        """Orders of folios that a fault may make: what they hold lies in the mapping, and as aligned in it."""
        orders = 0
        for order in range(self.huge + 1):
            first = page >> order << order
            aligned = not area.cut % (1 << order)
            if (
                self._orders() & 1 << order
                and area.first <= first
                and first + (1 << order) <= area.after
                and aligned
            ):
                orders |= 1 << order
        return orders

    def _orders(self) -> int:
        """Of shared memory as the machine is set up, of a mount with huge=always as the release has it."""
        every, whole = (2 << self.huge) - 2, 1 << self.huge
        mounted = every if self.has("tmpfs_smaller_orders") else whole
        return {ANONYMOUS: self.enabled, HUGE: mounted}.get(self.kind, 0)

    def _orders_to_write(self, page: int, pages: int) -> int:
        if self.kind == HUGE and self.has("tmpfs_write_orders"):
            largest = max(
                order for order in range(self.huge + 1) if 1 << order <= pages and not page % (1 << order)
            )
            return (2 << largest) - 1
        if self.kind == HUGE and self.has("tmpfs_write_smaller_orders"):
            return (2 << self.huge) - 2
        return self._orders()

    def _new(self, page: int, orders: int) -> Folio:
        """The largest of these orders around a page that holds nothing else."""
        for order in reversed(range(self.huge + 1)):
            if not orders & 1 << order or not self._empty(page >> order << order, 1 << order):
                continue
            if not self._fails():
                return self._add(page >> order << order, order, False)
        if self._fails():
            raise MemoryError
        return self._add(page, 0, False)

    def _fails(self) -> bool:
        """An allocation, of which the first fails."""
        failed, self.starved = self.starved, False
        return failed

    def _empty(self, first: int, pages: int) -> bool:
        return first + pages <= self.room and not any(
            page in self.cache for page in range(first, first + pages)
        )

    def _to_write(self, page: int, pages: int, asked: bool = True) -> Folio:
        """The folio there is, or a new one; of a disk, from the page on and no larger than the write."""
        folio = self.cache.get(page)
        if folio is not None:
            folio.valid = True
        elif self.memory:
            folio = self._new(page, self._orders_to_write(page, pages))
            folio.valid = asked
        elif self._fails():
            raise MemoryError
        else:
            fits = [
                order
                for order in range(self.huge + 1)
                if 1 << order <= pages and not page % (1 << order) and self._empty(page, 1 << order)
            ]
            folio = self._add(page, max(fits) if self.large else 0, False)
        folio.dirty, folio.marked = True, False
        return folio

    # -- holes --------------------------------------------------------------------------

    def lose(self, start: int, end: int) -> None:
        """Bytes [start, end): folios that hold nothing else go; those at both ends are split so that parts can."""
        first, behind = -(-start // self.page_bytes), min(end // self.page_bytes, self.room)
        self._drop_whole(first, behind)
        edges = [self.cache.get(start // self.page_bytes), self.cache.get((end - 1) // self.page_bytes)]
        for number, folio in enumerate(edges):
            if folio is None or (number and folio is edges[0]):
                continue
            if self.memory:
                folio.dirty = True
            self._cut(folio, start // self.page_bytes, end // self.page_bytes)
        self._drop_whole(first, behind)

    def _drop_whole(self, first: int, behind: int) -> None:
        for folio in self._folios(first, behind):
            if first <= folio.first and folio.first + folio.pages <= behind:
                self.unmap(iter(pages_of(folio)))
                self._forget(folio)
                self.drains = True

    def _cut(self, folio: Folio, start: int, end: int) -> None:
        """Split it where a hole begins, and what is still large where it ends; what is to be written stays whole."""
        if folio.pages == 1:
            return
        if self.kind == DISK and folio.dirty:
            if self.has("truncate_unmaps_unsplit"):
                self.unmap(iter(pages_of(folio)))
            return
        self._split(folio, max(start, folio.first))
        if folio.first <= end < folio.first + folio.pages and end in self.cache:
            self._split(self.cache[end], end)

    def _split(self, folio: Folio, page: int) -> None:
        """Halves, and halves of the one that has the page; into pages before that was so. None begin behind the end."""
        if folio.pages == 1:
            return
        self.unmap(iter(pages_of(folio)))
        self._forget(folio)
        for part in halved(folio, page) if self.has("split_nonuniform") else singly(folio):
            if part.first < self.size:
                self.cache.update(dict.fromkeys(pages_of(part), part))

    # -- what there is ------------------------------------------------------------------

    def _folios(self, first: int, after: int) -> list[Folio]:
        """That hold any of these pages."""
        return list(
            {
                id(self.cache[page]): self.cache[page] for page in range(first, after) if page in self.cache
            }.values()
        )

    def _forget(self, folio: Folio) -> None:
        for page in pages_of(folio):
            del self.cache[page]

    def _resize(self, size: int) -> None:
        self.bytes, self.size = size, -(-size // self.page_bytes)


def pages_of(folio: Folio) -> range:
    """All."""
    return range(folio.first, folio.first + folio.pages)


def singly(folio: Folio) -> Iterator[Folio]:
    """Its pages, each alone."""
    for page in pages_of(folio):
        yield replace(folio, first=page, pages=1)


def halved(folio: Folio, page: int) -> Iterator[Folio]:
    """Until the page is alone."""
    if folio.pages == 1:
        yield folio
        return
    half = folio.pages // 2
    for part in (replace(folio, pages=half), replace(folio, first=folio.first + half, pages=half)):
        if page in pages_of(part):
            yield from halved(part, page)
        else:
            yield part
