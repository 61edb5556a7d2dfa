"""Rows of the log about invalidations and barriers: whether their operands can be, and which pages they name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from core_mm.descriptor import ArchDescriptor
from core_mm.tlb_model import Tlbi, TlbModel
from core_mm.vmstat import ARCH_EVENT, LOG_DSB, LOG_ISB, LOG_PTE, LOG_TLBI

NOBODY = -1  # ASID of what invalidates nothing
PAGES, HINT = (1 << 32) - 1, 32  # of the third operand: pages, and where the hint begins
LEVEL, SIZE = 3, 2  # of a hint: its level, and where the page size begins
Row = Sequence[int]  # kind, a, b, c, ASID, hook


@dataclass(frozen=True)
class Instructions:
    """What an architecture says of its events.

    page  bytes of one
    hint  what bits 2 and 3 of a level hint say of that size, 0 if nothing
    """

    model: TlbModel
    names: Mapping[int, str]
    page: int
    hint: int

    @classmethod
    def of(cls, arch: ArchDescriptor, page_shift: int) -> Instructions | None:
        """None where the descriptor has no tlb_model."""
        if arch.tlb_model is None:
            return None
        names = {ARCH_EVENT + number: name for number, name in enumerate(arch.events)}
        return cls(arch.tlb_model, names, 1 << page_shift, arch.tlb_model.page_hints.get(page_shift, 0))

    def scope(self, row: Row) -> Tlbi | None:
        """Of an invalidation."""
        return self.model.tlbi.get(self.names.get(row[1], "")) if row[0] == LOG_TLBI else None

    def flaw(self, row: Row, asid: int | None = None, level: int | None = None) -> str:
        """What cannot be of a row: "" if nothing. `asid` and `level` are those that it has to be for, None if any."""
        name, operands = self.names.get(row[1], ""), tuple(row[2:5])
        if row[0] in (LOG_DSB, LOG_ISB):
            return f"{name} has operands {operands}" if any(operands) else ""
        scope = self.scope(row)
        if scope is None:
            return ""
        at, pages, hint, whose = row[2], row[3] & PAGES, row[3] >> HINT, row[4]
        if scope.scope == "none":
            return "" if (at, row[3], whose) == (0, 1, NOBODY) else f"{name} has operands {operands}"
        if scope.scope != "all" and (whose <= 0 or (asid is not None and self._differ(whose, asid))):
            return f"{name} is for ASID {whose}{'' if asid is None else f', the address space has {asid}'}"
        if scope.scope != "pages":
            odd = at or row[3] or (scope.scope == "all" and whose)
            return f"{name} has operands {operands}" if odd else ""
        if pages < 1 or at % self.page:
            return f"{name} is for {pages} pages from {at:#x} on"
        return "" if self._is_hint(hint, pages, level) else f"{name} of {pages} pages has the hint {hint}"

    def _differ(self, one: int, other: int) -> bool:
        return (one ^ other) & self.model.asid_mask != 0

    def _is_hint(self, hint: int, pages: int, level: int | None) -> bool:
        """None at all, or a level, with the page size where there is one address."""
        levels = (1, 2, 3) if level is None else (level,)
        size = self.hint << SIZE if pages == 1 else 0
        return hint == 0 or hint in {size | one for one in levels}

    def unordered(self, rows: Sequence[Row]) -> str:
        """What is wrong with a flush: walkers see what was stored before, and it has waited. "" if nothing."""
        published, waiting, found = self.model.synchronous, False, False
        for row in rows:
            name = self.names.get(row[1], "")
            if row[0] == LOG_PTE:
                published = self.model.synchronous
            elif row[0] == LOG_DSB:
                published |= self.model.publish.get(name) == "all"
                waiting &= self.model.complete.get(name) != "all"
            elif (scope := self.scope(row)) and scope.scope != "none":
                if not published:
                    return f"invalidates by {name} before table walkers are sure to see the entry that was stored"
                waiting, found = not self.model.synchronous, True
        return (
            "does not wait for its last invalidation" if waiting else "" if found else "invalidates nothing"
        )

    def invalidated(self, rows: Sequence[Row]) -> set[int] | None:
        """Pages that any CPU drops, by their number; None if everything of an address space goes."""
        found: set[int] = set()
        for row in rows:
            scope = self.scope(row)
            if scope is None or scope.scope == "none":
                continue
            if scope.scope != "pages":
                return None
            first = row[2] // self.page
            found.update(range(first, first + (row[3] & PAGES)))
        return found

    def after_changes(self, rows: Sequence[Row]) -> Iterator[tuple[int, set[int] | None]]:
        """Each entry that is stored to, by its index, and what is invalidated after the last store to it."""
        last = {row[1]: number for number, row in enumerate(rows) if row[0] == LOG_PTE}
        for ptep, number in last.items():
            yield ptep, self.invalidated(rows[number:])
