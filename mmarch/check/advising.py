"""What calls on ranges make of entries and folios of anonymous memory: a second account of mm/madvise.c, mm/gup.c.

And of what of mm/memory.c and mm/mprotect.c is the same for them: which entries change and how, which folios are split,
what becomes of their flags, and which pages have to be flushed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field, replace

from core_mm.mm_types import EINVAL
from mmarch.check.converted import NONE, Entry

FRESH = -1  # a frame, or slot, that nothing had before
READ, WRITE = 1, 2  # PROT_*


@dataclass
class Folio:
    """`pages` frames from `first` on.

    cached   it has slots of swap, `swapped`: to which entries refer
    empty    frames that nobody has written to
    """

    first: int
    pages: int
    referenced: bool
    dirty: bool
    swapbacked: bool
    cached: bool = False
    swapped: bool = False
    empty: frozenset[int] = frozenset()

    @property
    def frames(self) -> range:
        """All."""
        return range(self.first, self.first + self.pages)


@dataclass
class Advising:
    """A window of pages in the memory of some tasks.

    has      whether the release has a feature
    border   page that the second table begins with
    entries  of each task
    areas    and which mapping each of its pages is in
    prots    and what that permits
    filled   and whether it has an anon_vma, without which fork leaves it to faults
    folios   by frame
    cached   slots whose pages are cached in a large folio, of which a fault maps what it can
    clean    whether an entry that is writable can be made that is not dirty
    flushed  pages whose translations have to go
    loose    (task, page) -> what of the entry this account does not know
    unknown  frames of whose folios it does not know the flags
    """

    has: Callable[[str], int]
    border: int
    entries: dict[int, list[Entry]]
    areas: dict[int, list[int]]
    prots: dict[int, list[int]]
    filled: dict[int, list[bool]]
    folios: dict[int, Folio]
    cached: set[int]
    clean: bool
    flushed: set[int] = field(default_factory=set)
    loose: dict[tuple[int, int], set[str]] = field(default_factory=dict)
    unknown: set[int] = field(default_factory=set)

    def copy(self) -> Advising:
        """To go on with."""
        entries = {task: list(own) for task, own in self.entries.items()}
        return replace(self, entries=entries, folios=deepcopy(self.folios))

    # -- folios -------------------------------------------------------------------------

    def _maps(self, task: int, frames: range) -> int:
        return sum(entry.kind == "page" and entry.frame in frames for entry in self.entries[task])

    def _mapped(self, folio: Folio) -> int:
        return sum(self._maps(task, folio.frames) for task in self.entries)

    def _shared(self, folio: Folio) -> bool:
        """By several tasks, as far as the kernel knows (folio_maybe_mapped_shared)."""
        if folio.pages == 1:
            return self._mapped(folio) > 1
        if self.has("large_folio_owners"):
            return sum(self._maps(task, folio.frames) > 0 for task in self.entries) > 1
        first = sum(self._maps(task, range(folio.first, folio.first + 1)) for task in self.entries)
        total = self._mapped(folio)
        return total > 1 and (total > folio.pages or first > 1)

    def _split(self, folio: Folio) -> None:
        """Each page is a folio then; it moves meanwhile, and learns from entries that it is dirty.

        The zero page takes the place of those that are empty (mm/migrate.c:try_to_map_unused_to_zeropage).
        """
        mapping = [
            e for own in self.entries.values() for e in own if e.frame in folio.frames and e.kind == "page"
        ]
        dirty = folio.dirty or any(entry.dirty for entry in mapping)
        for frame in folio.frames:
            self.folios[frame] = replace(folio, first=frame, pages=1, dirty=dirty)
        for task, own in self.entries.items():
            for page, entry in enumerate(own):
                if entry.kind != "page" or entry.frame not in folio.frames:
                    continue
                own[page] = entry._replace(dirty=entry.dirty or (entry.write and not self.clean))
                if self.has("split_to_zeropage") and entry.frame in folio.empty:
                    own[page] = Entry("zero", young=True)
                    self._forget(task, page, 1, {"frame"})

    # -- ranges -------------------------------------------------------------------------

    def _pieces(self, task: int, start: int, end: int) -> Iterator[tuple[int, int]]:
        """Of a range, those in one mapping and one table."""
        first = start
        for page in range(start + 1, end + 1):
            if page == end or page == self.border or self.areas[task][page] != self.areas[task][first]:
                yield first, page
                first = page

    def _run(self, task: int, page: int, end: int, folio: Folio) -> int:
        """How many entries map its pages in turn."""
        own, frame = self.entries[task], self.entries[task][page].frame
        most = min(end - page, folio.first + folio.pages - frame)
        return next(
            (i for i in range(1, most) if (own[page + i].kind, own[page + i].frame) != ("page", frame + i)),
            most,
        )

    def _old(self, task: int, first: int, nr: int) -> None:
        own = self.entries[task]
        own[first : first + nr] = [entry._replace(young=False) for entry in own[first : first + nr]]

    def _flush(self, first: int, nr: int) -> None:
        self.flushed.update(range(first, first + nr))

    # -- calls --------------------------------------------------------------------------

    def zap(self, task: int, start: int, end: int) -> None:
        """MADV_DONTNEED, munmap."""
        for page in range(start, end):
            if self.entries[task][page].kind in ("page", "zero"):
                self._flush(page, 1)
            self.entries[task][page] = NONE

    def cold(self, task: int, start: int, end: int) -> None:
        """MADV_COLD: what is this mapping's alone is old, and not referenced."""
        for folio, page in self._own(task, start, end):
            if any(entry.young for entry in self.entries[task][page : page + folio.pages]):
                self._flush(page, folio.pages)
            self._old(task, page, folio.pages)
            folio.referenced = False

    def pageout(self, task: int, start: int, end: int) -> None:
        """MADV_PAGEOUT: that goes to swap, or, of what may go, what is clean goes at all."""
        for folio, page in list(self._own(task, start, end)):
            own = self.entries[task][page : page + folio.pages]
            if folio.swapbacked:
                self.entries[task][page : page + folio.pages] = [
                    Entry("swap", FRESH, exclusive=entry.exclusive) for entry in own
                ]
                self._forget(task, page, folio.pages, {"frame"} if folio.cached else set())
                for i, entry in enumerate(own if folio.pages > 1 else ()):
                    if entry.frame in folio.empty:  # if it has to be split on its way
                        self._forget(task, page + i, 1, set(Entry._fields))
            elif folio.pages > 1 or folio.cached:
                self._forget(task, page, folio.pages, set(Entry._fields))
                self.unknown.update(folio.frames)
            elif folio.dirty or own[0].dirty:
                self.unknown.add(folio.first)
            else:
                self.entries[task][page] = NONE

    def _forget(self, task: int, first: int, nr: int, what: set[str]) -> None:
        for page in range(first, first + nr):
            self.loose.setdefault((task, page), set()).update(what)

    def _own(self, task: int, start: int, end: int) -> Iterator[tuple[Folio, int]]:
        """Folios that lie in the range whole, and nobody else maps; others are split if nobody else has them."""
        for first, after in self._pieces(task, start, end):
            page = first
            while page < after:
                entry = self.entries[task][page]
                if entry.kind != "page":
                    page += 1
                    continue
                folio = self.folios[entry.frame]
                nr = self._run(task, page, after, folio)
                if nr < folio.pages and not self._shared(folio):
                    self._split(folio)
                    continue
                if nr == folio.pages == self._mapped(folio):
                    yield folio, page
                page += nr

    def free(self, task: int, start: int, end: int) -> None:
        """MADV_FREE: entries are old and clean, folios may go; what is in swap goes at once."""
        for first, after in self._pieces(task, start, end):
            page = first
            while page < after:
                entry = self.entries[task][page]
                if entry.kind == "swap":
                    self.entries[task][page] = NONE
                page += self._free_folio(task, page, after) if entry.kind == "page" else 1

    def _free_folio(self, task: int, page: int, end: int) -> int:
        """How many pages are done with then."""
        folio = self.folios[self.entries[task][page].frame]
        nr = self._run(task, page, end, folio)
        if nr < folio.pages or (folio.pages > 1 and not self.has("madvise_free_batch")):
            if self._shared(folio):
                return nr if self.has("madvise_free_batch") else end - page
            self._split(folio)
            return 0
        if folio.cached or folio.dirty:
            if self._mapped(folio) != nr or folio.swapped:
                return nr
            folio.dirty = folio.cached = False
        if any(entry.young or entry.dirty for entry in self.entries[task][page : page + nr]):
            self._flush(page, nr)
        own = self.entries[task]
        own[page : page + nr] = [entry._replace(young=False, dirty=False) for entry in own[page : page + nr]]
        if folio.swapbacked:
            folio.swapbacked = folio.referenced = False
        return nr

    def populate_read(self, task: int, start: int, end: int) -> int:
        """MADV_POPULATE_READ: as the access would, but no entry is touched that lets it."""
        return self._populate(task, start, end, False)

    def populate_write(self, task: int, start: int, end: int) -> int:
        """MADV_POPULATE_WRITE: the same."""
        return self._populate(task, start, end, True)

    def _populate(self, task: int, start: int, end: int, writes: bool) -> int:
        for page in range(start, end):
            if writes and not self.prots[task][page] & WRITE:
                return -EINVAL
            before = self.entries[task][page]
            if before.kind == "page" and (before.write or not writes):
                folio = self.folios[before.frame]
                folio.referenced = True
                folio.dirty = folio.dirty or (writes and not before.dirty)
            else:
                self._fault(task, page, before, writes)
        return 0

    def _fault(self, task: int, page: int, before: Entry, writes: bool) -> None:
        if before.kind == "swap" and before.frame in self.cached:
            for other, entry in enumerate(self.entries[task]):
                if entry.kind == "swap" and entry.frame in self.cached:
                    self._forget(task, other, 1, set(Entry._fields))
        writable = bool(self.prots[task][page] & WRITE)
        loose: set[str] = {"young"}
        after = Entry("page", FRESH, True, writes, writes, True)
        if before.kind == "page":
            after, folio = after._replace(frame=before.frame), self.folios[before.frame]
            folio.referenced = True
            if before.exclusive:
                loose = set()
            else:
                loose = {"young", "frame"}
                self.unknown.update(folio.frames)
        elif before.kind == "swap" and not (writes and before.exclusive):
            after = after._replace(write=writable and (writes or before.exclusive))
            loose |= {"frame"} if before.exclusive or writes else {"frame", "write", "exclusive"}
        elif before.kind == "swap":
            loose |= {"frame"}
        elif not writes:
            after = Entry("zero", before.frame)
            loose |= {"frame"}
        self.entries[task][page] = after
        self._forget(task, page, 1, loose)

    def protect(self, task: int, start: int, end: int, prot: int) -> None:
        """mprotect: a page that is the task's alone can be written to; a batch may be young and dirty as one."""
        own = self.entries[task]
        before = list(own)
        for page in range(start, end):
            entry = own[page]
            if self.prots[task][page] == prot or entry.kind != "page":
                continue
            own[page] = entry._replace(write=bool(prot & WRITE) and entry.exclusive)
            frames = self.folios[entry.frame].frames
            others = [e for e in before[start:end] if e.kind == "page" and e.frame in frames]
            if self.has("mprotect_batch") and not entry.young and any(e.young for e in others):
                self._forget(task, page, 1, {"young"})
            if self.has("mprotect_batch") and not entry.dirty and any(e.dirty for e in others):
                self._forget(task, page, 1, {"dirty"})

    def fork(self, task: int, child: int) -> None:
        """Nobody may write, and no page is anyone's alone; the child has accessed none."""
        own = [entry._replace(write=False, exclusive=False) for entry in self.entries[task]]
        self.entries[task] = own
        self.entries[child] = [
            e._replace(young=False) if filled else NONE
            for e, filled in zip(own, self.filled[task], strict=True)
        ]

    def clear_refs(self, task: int) -> None:
        """All is old, and not referenced."""
        own = self.entries[task]
        for page, entry in enumerate(own):
            if entry.kind == "page":
                own[page] = entry._replace(young=False)
                self.folios[entry.frame].referenced = False
