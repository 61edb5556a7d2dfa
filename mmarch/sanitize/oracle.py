"""The TLB oracle: reads the event log of a run, in either engine, and says what a real TLB could get wrong.

It models a TLB of unlimited memory: whatever valid translation the walker can reach is cached at
once, and stays until an invalidation of it was waited for. What does not count: address spaces
that never run again, as long as their ASID is not handed out anew; translations that
permit no more than the entry in the table (an accessed flag cleared, a permission added).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from core_mm import vmstat
from core_mm.tlb_model import TlbModel
from core_mm.vmstat import ARCH_EVENT
from mmarch import cpus
from mmarch.engine.machine import Config
from mmarch.sanitize.blocks import Blocks
from mmarch.sanitize.decode import INVALID, Leaf, decoder_of, show_permits
from mmarch.sanitize.stale import PMD_LEVEL, PTE_LEVEL, Stale, StaleSet, Walk
from mmarch.sanitize.violation import Violation, Where

Row = Sequence[int]
KEPT = 100  # violations


@dataclass(slots=True)
class TableInfo:
    """A page-table page: `base` is the first page number it translates, None while it hangs nowhere."""

    level: int
    mm: int
    base: int | None


@dataclass
class Oracle:
    """Feed it every row of the log in order, then call `finish`.

    config  of the machine that writes the log
    strict  report known hazards of the architecture like anything else
    known   how often each of them showed
    needless  superfluous flushes by operation, number of the outermost hook, event
    counted whether a row of the workload counts as a flush of its own; all do without it
    """

    config: Config
    strict: bool = False
    counted: Callable[[int], bool] = lambda row: True
    known: Counter[str] = field(default_factory=Counter)
    violations: list[Violation] = field(default_factory=list)
    found: int = 0
    flushes: Counter[str] = field(default_factory=Counter)
    superfluous: Counter[str] = field(default_factory=Counter)
    needless: Counter[tuple[int, int, str]] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        arch = self.config.arch
        if arch.tlb_model is None:
            raise ValueError(f"arch {arch.name} declares no tlb_model")
        self.model: TlbModel = arch.tlb_model
        geometry = arch.granules[self.config.granule or arch.default_granule]
        self._bits, self._shift = geometry.pte_bits, geometry.page_shift
        self._top = geometry.levels - 1
        cpu = cpus.find(arch, self.config.cpu)
        self._relaxed = any(cpu.features.get(name) for name in self.model.relaxed_bbm)
        self._bbm = "bbm" in arch.capabilities_of(cpu)
        self._hooks = tuple(self.config.hooks)
        self._events = {ARCH_EVENT + i: name for i, name in enumerate(arch.events)}
        self.decoder = decoder_of(self.config)
        self.stale = StaleSet(self.model.synchronous)
        self.blocks = Blocks(self.decoder, geometry.cont_ptes)
        self.tables: dict[int, TableInfo] = {}
        self.entries: dict[int, dict[int, int]] = {}  # table -> index -> raw entry
        self.mapped: Counter[int] = Counter()  # frame -> valid PTEs
        self.asids: dict[int, int] = {}
        self.dying: set[int] = set()
        self.lingering: set[int] = set()
        self.generation = 0
        self.counting = True
        self.flushed_all = False
        self._whole: list[int | None] = []  # ASIDs whose flush was issued and not waited for; None: all
        self.now = Where()
        self._recent: list[Stale] = []
        self._handlers = {
            vmstat.LOG_PTE: self._entry, vmstat.LOG_TLBI: self._tlbi, vmstat.LOG_DSB: self._dsb,
            vmstat.LOG_FREE: self._free, vmstat.LOG_TABLE: self._table, vmstat.LOG_ASID: self._asid,
            vmstat.LOG_EXIT: self._exit, vmstat.LOG_OP: self._op,
        }  # fmt: skip

    def feed(self, rows: Iterable[Row]) -> None:
        """Take the next rows of the log."""
        for row in rows:
            handler = self._handlers.get(row[0])
            if handler:
                handler(row)

    def reset_table(self, slot: int, raws: Mapping[int, int]) -> None:
        """Someone put this PTE table into another state behind the log's back; nothing is cached."""
        for table in (self.entries[slot], None):
            for index, raw in (raws if table is None else table).items():
                leaf = self.decoder.leaf(raw, index)
                if leaf is not INVALID:
                    self.mapped[leaf.pfn] += 1 if table is None else -1
        self.entries[slot].clear()
        self.entries[slot].update(raws)
        self.stale = StaleSet(self.model.synchronous)
        self.blocks.forget()
        self._recent.clear()

    def recent(self) -> list[Stale]:
        """Leaves that changed since the last operation began and may be cached as they were."""
        return [item for item in self._recent if not item.gone]

    def finish(self) -> None:
        """The run is over, or paused between two operations."""
        self._settle()

    # -- page tables ------------------------------------------------------------------

    def _entry(self, row: Row) -> None:
        ptep, old, new, hook = row[1], row[2], row[3], row[5]
        slot, index = ptep >> self._bits, ptep & ((1 << self._bits) - 1)
        table = self.tables.get(slot)
        if table is None:
            return
        own = self.entries[slot]
        if new:
            own[index] = new
        else:
            own.pop(index, None)
        if table.level == 0:
            if self.blocks.size > 1:
                self.blocks.touch(own, slot, index, self._address_of(table, index), old, new)
            self._leaf(table, index, ptep, self.decoder.leaf(old, index), self.decoder.leaf(new, index), row)
        else:
            self._upper(table, index, ptep, old, new, hook)

    def _address_of(self, table: TableInfo, index: int) -> tuple[int, int]:
        return table.mm, (table.base or 0) + index

    def _leaf(self, table: TableInfo, index: int, ptep: int, old: Leaf, new: Leaf, row: Row) -> None:
        if old is not INVALID:
            self.mapped[old.pfn] -= 1
        if new is not INVALID:
            self.mapped[new.pfn] += 1
        if table.base is None:
            return
        change = (ptep, row[2], row[3], row[5])
        self._changed(table.mm, table.base + index, 1, PTE_LEVEL, old, new, change, upper=False)

    def _changed(
        self,
        mm: int,
        page: int,
        pages: int,
        level: int,
        old: Leaf,
        new: Leaf,
        change: tuple[int, int, int, int],
        upper: bool = True,
    ) -> None:
        """A reachable leaf changed: what it was may be cached, and what it is may meet that."""
        asid = self.asids.get(mm)
        if asid is None or mm in self.dying:
            return
        ptep, before, after, hook = change
        if old is not INVALID and old != new:
            item = Stale(mm, asid, page, pages, level, old, ptep, before, after, hook, len(self._ops) - 1, upper)
            self.stale.add(item)
            self._recent.append(item)
        if new is not INVALID and self._bbm:
            for item in self.stale.at(asid, page, pages):
                if self._conflicts(item, new, level):
                    self._report_bbm(item, new, hook)

    def _conflicts(self, item: Stale, new: Leaf, level: int) -> bool:
        """Whether `new` must not be made while `item` may still be cached (Arm ARM, break-before-make)."""
        if item.level != level or (item.leaf.pfn != new.pfn and level == PTE_LEVEL):
            return True
        return item.leaf.contiguous != new.contiguous and not self._relaxed

    def _upper(self, table: TableInfo, index: int, ptep: int, old: int, new: int, hook: int) -> None:
        page = None if table.base is None else table.base + (index << self._bits * table.level)
        pages = 1 << self._bits * table.level
        if table.level == 1:
            was, now = self._huge(old), self._huge(new)
            if page is not None and (was is not INVALID or now is not INVALID):
                self._changed(table.mm, page, pages, PMD_LEVEL, was, now, (ptep, old, new, hook))
        gone, come = self._child(table, old), self._child(table, new)
        if gone and gone != come:
            self._unhook(table.mm, gone, (ptep, old, new, hook))
        if come and come in self.tables and page is not None:
            self._hang(table.mm, come, page, hook)

    def _huge(self, raw: int) -> Leaf:
        return self.decoder.huge(raw) if self.decoder.is_huge(raw) else INVALID

    def _child(self, table: TableInfo, raw: int) -> int:
        if table.level == 1 and self.decoder.is_huge(raw):
            return 0
        return self.decoder.child(raw)

    def _hang(self, mm: int, slot: int, page: int, hook: int) -> None:
        """A table became reachable, and what is in it."""
        table = self.tables[slot]
        table.base, table.mm = page, mm
        asid = self.asids.get(mm)
        for index, raw in self.entries[slot].items():
            if table.level == 0:
                leaf = self.decoder.leaf(raw, index)
                if leaf is not INVALID and asid is not None and mm not in self.dying and self._bbm:
                    for item in self.stale.at(asid, page + index, 1):
                        if self._conflicts(item, leaf, PTE_LEVEL):
                            self._report_bbm(item, leaf, hook)
            elif (child := self._child(table, raw)) in self.tables and child:
                self._hang(mm, child, page + (index << self._bits * table.level), hook)

    def _unhook(self, mm: int, slot: int, change: tuple[int, int, int, int]) -> None:
        """A table left the tree: it, and what is in it, may be cached."""
        table = self.tables.get(slot)
        asid = self.asids.get(mm)
        if table is None or table.base is None:
            return
        if asid is not None:
            ptep, before, after, hook = change
            span = 1 << self._bits * (table.level + 1)
            self.stale.add_walk(
                Walk(mm, asid, table.base, span, slot, ptep, before, after, hook, len(self._ops) - 1)
            )
        for index, raw in self.entries[slot].items():
            if table.level == 0:
                leaf = self.decoder.leaf(raw, index)
                if leaf is not INVALID:
                    self._changed(mm, table.base + index, 1, PTE_LEVEL, leaf, INVALID, change)
            elif child := self._child(table, raw):
                self._unhook(mm, child, change)
        table.base = None

    def _table(self, row: Row) -> None:
        slot, level, mm = row[1], row[2], row[3]
        if level >= 0:
            self.tables[slot] = TableInfo(level, mm, 0 if level == self._top else None)
            self.entries[slot] = {}
            if level == self._top:
                self.asids.pop(mm, None)
                self.dying.discard(mm)
            return
        for walks in self.stale.walks.values():
            for walk in walks:
                if walk.child == slot:
                    self._report(
                        "freed-table", "page-table page freed while a walk cache may lead to it", walk, row[5]
                    )
                    self.stale.drop(walk)
                    break
        for index, raw in self.entries.pop(slot, {}).items():
            if self.tables[slot].level == 0 and (leaf := self.decoder.leaf(raw, index)) is not INVALID:
                self.mapped[leaf.pfn] -= 1
        self.tables.pop(slot, None)

    # -- TLB maintenance --------------------------------------------------------------

    def _tlbi(self, row: Row) -> None:
        event, address, packed, asid = row[1], row[2], row[3], row[4]
        name = self._events.get(event, str(event))
        scope = self.model.tlbi.get(name)
        if scope is None:
            return
        self._check_blocks(row[5])
        if self.counting:
            self.flushes[name] += 1
        if scope.scope == "none":
            return
        asid &= self.model.asid_mask
        hint = packed >> 32
        pages = max(packed & 0xFFFFFFFF, 1)
        hit = self.stale.invalidate(scope, asid, address >> self._shift, pages, hint & 3, self._misfit(hint))
        if scope.scope != "pages" and not scope.local:
            hit += len(self.lingering) if scope.scope == "all" else asid in self.lingering
            self._whole.append(None if scope.scope == "all" else asid)
            if self.model.synchronous:
                self._complete_whole()
        if not hit and self.counting:
            self.superfluous[name] += 1
            self.needless[self.now.op, row[5], name] += 1

    def _misfit(self, hint: int) -> str:
        """Why an invalidation with this hint drops nothing, for its page size; "" if it may drop something."""
        size, known = hint >> 2 & 3, self.model.page_hints
        if not size or not known or known.get(self._shift) == size:
            return ""
        meant = next(
            (f"{1 << shift >> 10} KiB" for shift, value in known.items() if value == size), str(size)
        )
        return f"its hint was for pages of {meant}, not {1 << self._shift >> 10} KiB"

    def _complete_whole(self) -> None:
        """Flushes of whole address spaces are done: their translations are in no TLB, whoever had the ASID."""
        for asid in self._whole:
            self.flushed_all |= asid is None
            self.lingering = set() if asid is None else self.lingering - {asid}
        self._whole.clear()

    def _dsb(self, row: Row) -> None:
        name = self._events.get(row[1], "")
        if whose := self.model.publish.get(name):
            self.stale.publish(whose)
        if whose := self.model.complete.get(name):
            self.stale.complete(whose)
            if whose == "all":
                self._complete_whole()

    # -- obligations ------------------------------------------------------------------

    def _free(self, row: Row) -> None:
        for item in list(self.stale.of_frame(row[1], row[2])):
            self._report(
                "freed-frame", f"frame {item.leaf.pfn:#x} freed while a TLB may translate to it", item, row[5]
            )
            self.stale.drop(item)
        for frame in range(row[1], row[1] + row[2]):
            if self.mapped.get(frame):
                if self.mapped[frame] > 0:
                    what = f"frame {frame:#x} freed while {self.mapped[frame]} entries map it"
                    self._add(
                        Violation(
                            "freed-frame", what, self._where(row[5]), self.now, 0, 0, 0, 0, 0, "unmapping"
                        )
                    )
                del self.mapped[frame]

    def _asid(self, row: Row) -> None:
        mm, full = row[1], row[2]
        asid, generation = full & self.model.asid_mask, full >> 16
        if generation != self.generation:
            self.generation = generation
            if self.flushed_all:
                self.lingering.clear()
            else:
                self.lingering |= set(self.asids.values())
            self.asids.clear()
        if asid in self.lingering:
            what = f"ASID {asid:#x} handed to mm {mm} while translations of its last owner may be cached"
            missing = "a flush of this ASID, or of everything when ASIDs begin anew"
            self._add(Violation("asid", what, self._where(row[5]), self.now, mm, 0, 0, 0, 0, missing))
            self.lingering.discard(asid)
        shared = next((other for other, its in self.asids.items() if its == asid and other != mm), None)
        if shared is not None and shared not in self.dying:
            what = f"ASID {asid:#x} handed to mm {mm} while mm {shared} has it: each runs on the other's translations"
            self._add(
                Violation("asid", what, self._where(row[5]), self.now, mm, 0, 0, 0, 0, "an ASID of its own")
            )
        self.asids[mm] = asid

    def _exit(self, row: Row) -> None:
        """The address space never runs again."""
        mm = row[1]
        self.dying.add(mm)
        asid = self.asids.get(mm)
        if asid is not None:
            self.stale.forget(asid)
            self.lingering.add(asid)

    def _op(self, row: Row) -> None:
        self._settle()
        self.now = Where(row[1], row[2])
        self._ops.append(self.now)
        self.counting = self.counted(row[1])
        self.flushed_all = False

    _ops: list[Where] = field(default_factory=lambda: [Where()])

    def _settle(self) -> None:
        """An operation is over: nothing may be cached that permits more than the tables do."""
        self._check_blocks(0)
        for item in self._recent:
            if not item.gone:
                if not self._harmless(item):
                    self._report("stale", self._stale_text(item), item, 0)
                self.stale.drop(item)
        self._recent.clear()

    def _harmless(self, item: Stale) -> bool:
        table = self.tables.get(item.ptep >> self._bits)
        index = item.ptep & ((1 << self._bits) - 1)
        if table is None or item.mm in self.dying:
            return table is not None
        raw = self.entries[item.ptep >> self._bits].get(index, 0)
        at = None if table.base is None else table.base + (index << self._bits * table.level)
        if at != item.page or table.mm != item.mm:
            return False
        now = self.decoder.leaf(raw, index) if item.level == PTE_LEVEL else self._huge(raw)
        return now is not INVALID and now.pfn == item.leaf.pfn and not item.leaf.permits & ~now.permits

    def _stale_text(self, item: Stale) -> str:
        return (
            f"a TLB may still translate to frame {item.leaf.pfn:#x} "
            f"({show_permits(item.leaf.permits)}) after the operation"
        )

    # -- reports ----------------------------------------------------------------------

    def stale_frames(self, pfn: int, pages: int) -> list[Stale]:
        """Translations into these frames that may be cached although no entry says so."""
        return list(self.stale.of_frame(pfn, pages))

    def _check_blocks(self, hook: int) -> None:
        for mm, page, ptep, raw, what in self.blocks.check():
            if mm not in self.dying:
                address = page << self._shift
                missing = "unfolding the block, or changing all of it"
                self._add(
                    Violation(
                        "block", what, self._where(hook), self.now, mm, address, ptep, raw, raw, missing
                    )
                )

    def _report_bbm(self, item: Stale, new: Leaf, hook: int) -> None:
        kind = "frame" if item.leaf.pfn != new.pfn else "size"
        what = f"a translation was made while one of another {kind} may be cached (break before make)"
        for hazard in () if self.strict else self.model.hazards:
            if hazard.kind == "bbm" and hazard.hook == self._hook(hook):
                self.known[hazard.reason] += 1
                return
        self._report("bbm", what, item, hook)
        self.stale.drop(item)

    def _report(self, kind: str, what: str, item: Stale | Walk, hook: int) -> None:
        cause = self._ops[item.op]
        where = Where(cause.row, cause.op, self._hook(item.hook))
        self._add(
            Violation(
                kind, what, self._where(hook), where, item.mm, item.page << self._shift, item.ptep, item.before,
                item.after, self._missing(item), self._meaning(item),
            )
        )  # fmt: skip

    def _meaning(self, item: Stale | Walk) -> str:
        """What the entry of a leaf, or of the table that it was in, was and became, in the architecture's words."""
        if isinstance(item, Walk):
            return ""
        return f"{self.decoder.words(item.before, item.upper)} -> {self.decoder.words(item.after, item.upper)}"

    def _missing(self, item: Stale | Walk) -> str:
        """The flush, and what became of it."""
        first = item.page << self._shift
        what = "leaf" if isinstance(item, Stale) else "table"
        pages = f"{item.pages} page{'s' if item.pages > 1 else ''}"
        return f"TLB flush of {what} entries of {pages} at {first:#x}, ASID {item.asid:#x}: {item.why}"

    def _where(self, hook: int) -> Where:
        return Where(self.now.row, self.now.op, self._hook(hook))

    def _hook(self, number: int) -> str:
        return self._hooks[number - 1] if number else ""

    def _add(self, violation: Violation) -> None:
        self.found += 1
        if len(self.violations) < KEPT:
            self.violations.append(violation)
