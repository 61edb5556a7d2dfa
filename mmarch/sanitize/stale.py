"""Translations that a TLB may still hold although the tables say otherwise, until they are flushed for certain."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from core_mm.tlb_model import Tlbi
from mmarch.sanitize.decode import Leaf

PTE_LEVEL, PMD_LEVEL = 3, 2
PENDING, PUBLISHED, ISSUED = 0, 1, 2


@dataclass(eq=False, slots=True)
class Stale:
    """One leaf translation that was reachable until an entry changed.

    page, pages  virtual page number and how many it maps
    state        PENDING until a barrier shows the change to the walker, ISSUED once invalidated
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
    state: int = PENDING
    why: str = "there was none"
    gone: bool = False
    local: bool = False  # invalidated on this CPU at least


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

    def at(self, asid: int, page: int, pages: int) -> Iterator[Stale]:
        """Those that translate any of `pages` pages from `page` on."""
        own = self.pages.get(asid)
        if own:
            if pages > len(own):
                for number in [n for n in own if page <= n < page + pages]:
                    yield from own[number]
            else:
                for number in range(page, page + pages):
                    if number in own:
                        yield from own[number]
        for item in self.huge.get(asid, ()):
            if item.page < page + pages and page < item.page + item.pages:
                yield item

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

    def publish(self) -> None:
        """Walkers see every store so far."""
        for item in self.pending:
            item.state = max(item.state, PUBLISHED)
        self.pending.clear()

    def invalidate(self, scope: Tlbi, asid: int, page: int, pages: int, hint: int) -> int:
        """One TLB invalidation; returns how many translations it concerns."""
        leaves: list[Stale] = []
        walks: list[Walk] = []
        if scope.scope == "all":
            asids = list({*self.pages, *self.huge, *self.walks})
            leaves = [item for one in asids for item in self.of_asid(one)]
            walks = [item for items in self.walks.values() for item in items]
        elif scope.scope == "asid":
            leaves, walks = list(self.of_asid(asid)), list(self.walks.get(asid, ()))
        else:
            leaves = list(self.at(asid, page, pages))
            walks = [w for w in self.walks.get(asid, ()) if w.page < page + pages and page < w.page + w.pages]
        for leaf in leaves:
            if hint and hint != leaf.level:
                leaf.why = f"its level hint was {hint}, the leaf is at level {leaf.level}"
            else:
                self._hit(leaf, scope)
        for walk in walks:
            if not scope.walk:
                walk.why = "only leaf entries were flushed"
            else:
                self._hit(walk, scope)
        return len(leaves) + len(walks)

    def _hit(self, item: Cached, scope: Tlbi) -> None:
        if item.state != PENDING and isinstance(item, Stale):
            item.local = True
        if item.state == PENDING:
            item.why = "it came before the barrier that publishes the change"
        elif scope.local:
            item.why = "it reached this CPU only"
        elif self.synchronous:
            self.drop(item)
        elif item.state == PUBLISHED:
            item.state, item.why = ISSUED, "nobody waited for it (DSB)"
            self.issued.append(item)

    def complete(self) -> None:
        """Invalidations issued so far are done on every CPU."""
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
