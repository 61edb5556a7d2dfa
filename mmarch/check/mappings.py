"""The mappings of an address space as Linux divides them: where one ends, what it is like, whose pages it may have.

By the rules that mm/vma.c states: two neighbours of the same flags and file, whose pages continue one another, are one
if the anon_vmas of both can be. Written as ranges that are cut and joined; addresses are page numbers.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from core_mm.mm_types import (
    VM_ACCESS_FLAGS,
    VM_ACCOUNT,
    VM_DONTCOPY,
    VM_LOCKED,
    VM_NORESERVE,
    VM_SHARED,
    VM_WIPEONFORK,
    VM_WRITE,
)


@dataclass(frozen=True)
class Mapping:
    """Pages [start, end).

    file    number of an inode, 0 of anonymous memory
    pgoff   page of the file at `start`, or of where the mapping was when its first page came
    anon    the anon_vma that new pages get, 0 before the first one
    chain   all anon_vmas that its pages may have
    """

    start: int
    end: int
    flags: int
    file: int
    pgoff: int
    anon: int = 0
    chain: frozenset[int] = frozenset()

    def __str__(self) -> str:
        pages = f"of anon_vma {self.anon}, chain {sorted(self.chain)}" if self.anon else "without anon_vma"
        what = f"flags {self.flags:#x}, inode {self.file}, pgoff {self.pgoff:#x}, {pages}"
        return f"[{self.start:#x}, {self.end:#x}) {what}"

    def part(self, start: int, end: int) -> Mapping:
        """What is left of it."""
        return replace(self, start=start, end=end, pgoff=self.pgoff + start - self.start)

    @property
    def inherited(self) -> bool:
        """Whether some of its pages may be a parent's (vma_is_fork_child)."""
        return self.anon != 0 and len(self.chain) > 1


@dataclass
class Mappings:
    """Of one address space, in order.

    faulted  a mapping without pages may take over one that has some, and not only the other way (Linux 6.16)
    brk      page where the heap ends, start_brk where it begins
    """

    faulted: bool
    all: list[Mapping] = field(default_factory=list)
    start_brk: int = 0
    brk: int = 0

    def at(self, page: int) -> Mapping | None:
        """The one that has a page."""
        found = self.above(page)
        return found if found and found.start <= page else None

    def above(self, page: int) -> Mapping | None:
        """The first that ends above it."""
        place = bisect_right(self.all, page, key=lambda one: one.end)
        return self.all[place] if place < len(self.all) else None

    def inside(self, start: int, end: int) -> list[Mapping]:
        """Those that have pages in a range, whole."""
        return [one for one in self.all if one.start < end and start < one.end]

    def _put(self, old: Iterable[Mapping], new: Iterable[Mapping]) -> None:
        gone = {one.start for one in old}
        kept = [one for one in self.all if one.start not in gone]
        self.all = sorted([*kept, *new], key=lambda one: one.start)

    def _beside(self, start: int, end: int) -> tuple[Mapping | None, Mapping | None]:
        """What ends at `start`, and what begins at `end`."""
        below = next((one for one in self.all if one.end == start), None)
        return below, next((one for one in self.all if one.start == end), None)

    # -- the rules --------------------------------------------------------------------

    def _takes(self, neighbour: Mapping, new: Mapping, source: Mapping | None) -> bool:
        """Whether a neighbour may have the pages of `new`, which has those of `source`."""
        if (neighbour.flags, neighbour.file) != (new.flags, new.file):
            return False
        if neighbour.pgoff - neighbour.start != new.pgoff - new.start:
            return False
        coming = source.anon if source else 0
        if neighbour.anon == coming:
            return True
        if neighbour.anon and coming:
            return False
        if self.faulted:
            one_that_has = source if coming else neighbour
            return one_that_has is not None and not one_that_has.inherited
        return neighbour.anon != 0 and not neighbour.inherited

    def _sides(
        self, new: Mapping, source: Mapping | None, only_below: bool = False
    ) -> tuple[Mapping | None, Mapping | None]:
        """The neighbours that become one with `new`."""
        below, above = self._beside(new.start, new.end)
        if below and not self._takes(below, new, source):
            below = None
        if only_below or (above and not self._takes(above, new, source)):
            above = None
        if below and above and below.anon and above.anon and below.anon != above.anon:
            above = None
        return below, above

    @staticmethod
    def _owning(one: Mapping, others: Iterable[Mapping | None]) -> Mapping:
        """`one` with the pages of the first of the others that has some, if it has none."""
        for other in others:
            if not one.anon and other and other.anon:
                one = replace(one, anon=other.anon, chain=other.chain)
        return one

    # -- calls ------------------------------------------------------------------------

    def cut(self, start: int, end: int) -> None:
        """munmap."""
        hit = self.inside(start, end)
        below = [one.part(one.start, start) for one in hit if one.start < start]
        self._put(hit, [*below, *(one.part(end, one.end) for one in hit if one.end > end)])

    def add(self, new: Mapping, source: Mapping | None = None, only_below: bool = False) -> Mapping:
        """Into a free range; the mapping that it is in then."""
        below, above = self._sides(new, source, only_below)
        if below:
            made = self._owning(replace(below, end=above.end if above else new.end), (above, source))
        elif above:
            made = self._owning(replace(above, start=new.start, pgoff=new.pgoff), (source,))
        else:
            made = replace(new, anon=source.anon, chain=source.chain) if source else new
        self._put([one for one in (below, above) if one], [made])
        return made

    def change(self, one: Mapping, start: int, end: int, flags: int) -> Mapping:
        """[start, end) of a mapping gets flags; the mapping that it is in then (vma_modify)."""
        part = replace(one.part(start, end), flags=flags)
        below, above = self._sides(part, one)
        below, above = below if start == one.start else None, above if end == one.end else None
        made = part
        if below:
            made = self._owning(replace(below, end=above.end if above else end), (one, above))
        elif above:
            made = self._owning(replace(above, start=start, pgoff=part.pgoff), (one,))
        rest = [
            one.part(first, after) for first, after in ((one.start, start), (end, one.end)) if first < after
        ]
        self._put([old for old in (below, one, above) if old], [*rest, made])
        return made

    def protect(self, start: int, end: int, prot: int) -> None:
        """mprotect; what is like that already is left alone, also by its neighbours."""
        while start < end:
            one = self.at(start)
            if one is None:
                return
            after, flags = min(one.end, end), protected(one, prot)
            start = max(after, self.change(one, start, after, flags).end if flags != one.flags else after)

    def advise(self, start: int, end: int, cleared: int, given: int) -> None:
        """madvise that changes flags; gaps are passed over."""
        while start < end:
            one = self.above(start)
            if one is None or one.start >= end:
                return
            start, after = max(start, one.start), min(one.end, end)
            flags = one.flags & ~cleared | given
            if flags != one.flags:
                self.change(one, start, after, flags)
            start = after

    def move(self, start: int, pages: int, grown: int, to: int, keep: bool) -> None:
        """mremap of pages of one mapping to a free range of `grown` pages."""
        one = self.at(start)
        assert one is not None
        pgoff = one.pgoff + start - one.start if one.file or one.anon else to
        made = self.add(Mapping(to, to + grown, one.flags, one.file, pgoff), one)
        if not keep:
            self.cut(start, start + pages)
            return
        left = self.at(start)
        assert left is not None
        whole = (left.start, left.end) == (start, start + pages) and left is not made
        emptied = replace(left, flags=left.flags & ~VM_LOCKED)
        self._put([left], [replace(emptied, anon=0, chain=frozenset()) if whole else emptied])

    def grow(self, one: Mapping, pages: int) -> None:
        """mremap in place."""
        self.add(Mapping(one.end, one.end + pages, one.flags, one.file, one.pgoff + one.end - one.start), one)

    def reach(self, page: int) -> None:
        """A stack grows down to a page below it."""
        one = self.above(page)
        if one is not None and page < one.start:
            self._put([one], [one.part(page, one.end)])

    def child(self) -> Mappings:
        """What fork gives, without anon_vmas where they are to be seen yet."""
        kept = [replace(one, flags=one.flags & ~VM_LOCKED) for one in self.all if not one.flags & VM_DONTCOPY]
        copies = [
            replace(one, anon=0, chain=frozenset()) if one.flags & VM_WIPEONFORK else one for one in kept
        ]
        return replace(self, all=copies)

    def first_page(self, one: Mapping) -> int:
        """The anon_vma of a neighbour that a mapping gets with its first page, 0: one of its own."""
        below, above = self._beside(one.start, one.end)
        for other, lower, upper in ((above, one, above), (below, below, one)):
            if other and lower and upper and other.anon and not other.inherited:
                alike = (lower.flags ^ upper.flags) & ~VM_ACCESS_FLAGS == 0 and lower.file == upper.file
                if alike and lower.pgoff - lower.start == upper.pgoff - upper.start:
                    return other.anon
        return 0

    def owns(self, one: Mapping, anon: int, chain: Iterable[int] = ()) -> None:
        """It has got an anon_vma, with its first page, or from its parent with others."""
        self._put([one], [replace(one, anon=anon, chain=frozenset((anon, *chain)))])


def protected(one: Mapping, prot: int) -> int:
    """Flags after mprotect: private memory is accounted for once it may be written, until then if it has no page."""
    flags = one.flags & ~VM_ACCESS_FLAGS | prot
    if flags == one.flags:
        return flags
    if prot & VM_WRITE:
        free = one.flags & (VM_ACCOUNT | VM_WRITE | VM_SHARED | VM_NORESERVE)
        return flags if free else flags | VM_ACCOUNT
    return flags & ~VM_ACCOUNT if not one.file and not one.anon else flags
