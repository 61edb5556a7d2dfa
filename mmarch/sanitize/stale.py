"""Translations that a TLB may still hold although the tables say otherwise, until they are flushed for certain."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from core_mm.tlb_model import Tlbi
from mmarch.sanitize.decode import Leaf

PTE_LEVEL, PMD_LEVEL = 3, 2
PENDING, SEEN_HERE, PUBLISHED, ISSUED = 0, 1, 2, 3


@dataclass(eq=False, slots=True)
class Stale:
    """One leaf translation that was reachable until an entry changed.

    page, pages  virtual page number and how many it maps
    state        PENDING until a barrier shows the change to walkers, SEEN_HERE if only to this CPU's, ISSUED once
                 invalidated on every CPU
    why          why an invalidation did not help, for the report
    """

    mm: int
    asid: int
    page: int
    pages: int
    level: int
    leaf: Leaf
    ptep: int
    before: int
    after: int
    hook: int
    op: int
    upper: bool  # what changed is an entry of an upper level
    state: int = PENDING
    why: str = "there was none"
    gone: bool = False
    local: bool = False  # invalidated, for certain, on this CPU at least


@dataclass(eq=False, slots=True)
class Walk:
    """A cached upper-level entry that no longer leads to table `child`."""

    mm: int
    asid: int
    page: int
    pages: int
    child: int
    ptep: int
    before: int
    after: int
    hook: int
    op: int
    state: int = PENDING
    why: str = "there was none that reaches walk caches"
    gone: bool = False


Cached = Stale | Walk


@dataclass
class StaleSet:
    """All of them, by address space, page and frame."""

    synchronous: bool
    pages: dict[int, dict[int, list[Stale]]] = field(default_factory=dict)
    huge: dict[int, list[Stale]] = field(default_factory=dict)
    walks: dict[int, list[Walk]] = field(default_factory=dict)
    frames: dict[int, list[Stale]] = field(default_factory=dict)
    pending: list[Cached] = field(default_factory=list)
    issued: list[Cached] = field(default_factory=list)
    issued_here: list[Stale] = field(default_factory=list)

    def add(self, item: Stale) -> None:
        """A leaf changed."""
        if item.level == PTE_LEVEL:
            self.pages.setdefault(item.asid, {}).setdefault(item.page, []).append(item)
            self.frames.setdefault(item.leaf.pfn, []).append(item)
        else:
            self.huge.setdefault(item.asid, []).append(item)
        self._await(item)

    def add_walk(self, item: Walk) -> None:
        """A table was taken out of the tree."""
        self.walks.setdefault(item.asid, []).append(item)
        self._await(item)

    def _await(self, item: Cached) -> None:
        if self.synchronous:
            item.state = PUBLISHED
        else:
            self.pending.append(item)

    # -- finding ----------------------------------------------------------------------

    def at(self, asid: int, page: int, pages: int) -> list[Stale]:
        """Those that translate any of `pages` pages from `page` on."""
        found: list[Stale] = []
        if own := self.pages.get(asid):
            numbers: Iterable[int] = range(page, page + pages)
            if pages > len(own):
                numbers = [number for number in own if page <= number < page + pages]
            for number in numbers:
                found += own.get(number, ())
        for item in self.huge.get(asid, ()):
            if item.page < page + pages and page < item.page + item.pages:
                found.append(item)
        return found

    def of_asid(self, asid: int) -> Iterator[Stale]:
        """All of one address space."""
        for items in self.pages.get(asid, {}).values():
            yield from items
        yield from self.huge.get(asid, ())

    def of_frame(self, pfn: int, pages: int) -> Iterator[Stale]:
        """Those that lead into the frames [pfn, pfn + pages)."""
        for frame in range(pfn, pfn + pages):
            yield from self.frames.get(frame, ())
        for items in self.huge.values():
            for item in items:
                if item.leaf.pfn < pfn + pages and pfn < item.leaf.pfn + item.pages:
                    yield item

    # -- flushing ---------------------------------------------------------------------

    def publish(self, whose: str) -> None:
        """Walkers of all CPUs see every store so far, or this one's."""
        for item in self.pending:
            item.state = max(item.state, PUBLISHED if whose == "all" else SEEN_HERE)
        if whose == "all":
            self.pending.clear()

    def invalidate(self, scope: Tlbi, asid: int, page: int, pages: int, hint: int, misfit: str = "") -> int:
        """One TLB invalidation; returns how many translations it concerns.

        hint    the level of the leaf, 0 for none
        misfit  why it drops nothing, whatever the level
        """
        leaves: list[Stale] = []
        walks: list[Walk] = []
        if scope.scope == "all":
            asids = list({*self.pages, *self.huge, *self.walks})
            leaves = [item for one in asids for item in self.of_asid(one)]
            walks = [item for items in self.walks.values() for item in items]
        elif scope.scope == "asid":
            leaves, walks = list(self.of_asid(asid)), list(self.walks.get(asid, ()))
        else:
            leaves = self.at(asid, page, pages)
            walks = [w for w in self.walks.get(asid, ()) if w.page < page + pages and page < w.page + w.pages]
        for leaf in leaves:
            wrong = (
                f"its level hint was {hint}, the leaf is at level {leaf.level}" if hint != leaf.level else ""
            )
            self._hit(leaf, scope, misfit or (wrong if hint else ""))
        for walk in walks:
            wrong = f"its level hint was {hint}: hardware may drop leaves alone" if hint else ""
            self._hit(walk, scope, misfit or (wrong if scope.walk else "only leaf entries were flushed"))
        return len(leaves) + len(walks)

    def _hit(self, item: Cached, scope: Tlbi, wrong: str) -> None:
        """An invalidation that names it; `wrong` says why it does nothing to it all the same."""
        if item.state == ISSUED:
            return
        if wrong:
            item.why = wrong
        elif item.state == PENDING:
            item.why = "it came before the barrier that publishes the change"
        elif scope.local:
            item.why = "it reached this CPU only"
            if isinstance(item, Stale):
                self.issued_here.append(item)
        elif item.state == SEEN_HERE:
            item.why = "the barrier before it published the change to this CPU only"
        elif self.synchronous:
            self.drop(item)
        else:
            item.state, item.why = ISSUED, "nobody waited for it (DSB)"
            self.issued.append(item)
        if self.synchronous:
            self.complete("local")

    def complete(self, whose: str) -> None:
        """Invalidations issued so far are done, on every CPU or on this one."""
        for here in self.issued_here:
            here.local = True
        self.issued_here.clear()
        if whose != "all":
            for item in self.issued:
                item.why = "it was waited for on this CPU only"
            return
        for item in self.issued:
            if not item.gone:
                self.drop(item)
        self.issued.clear()

    def drop(self, item: Cached) -> None:
        """It is in no TLB any more."""
        item.gone = True
        if isinstance(item, Walk):
            self.walks[item.asid].remove(item)
        elif item.level == PTE_LEVEL:
            _remove(self.pages[item.asid], item.page, item)
            _remove(self.frames, item.leaf.pfn, item)
        else:
            self.huge[item.asid].remove(item)

    def forget(self, asid: int) -> None:
        """The leaves of an address space that never runs again; walk caches stay."""
        for item in list(self.of_asid(asid)):
            self.drop(item)

    @property
    def count(self) -> int:
        """Leaf translations outstanding."""
        return sum(len(items) for items in self.frames.values()) + sum(
            len(items) for items in self.huge.values()
        )


def _remove(lists: dict[int, list[Stale]], key: int, item: Stale) -> None:
    items = lists[key]
    items.remove(item)
    if not items:
        del lists[key]
