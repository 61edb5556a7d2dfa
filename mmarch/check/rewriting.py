"""What fork, mprotect and mremap make of entries: a second account, entry by entry, and how many at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from core_mm import gup, move_page_tables, mprotect, tlb_batched, unmap
from core_mm.memory import copy
from core_mm.mm_types import (
    PG_ANON,
    PG_LARGE,
    PG_SWAPBACKED,
    VM_LOCKED,
    VM_MAYWRITE,
    VM_PFNMAP,
    VM_SHARED,
    VM_WRITE,
)
from core_mm.mmu_gather import tlb_flush_pte_range
from core_mm.pgtable import pmd_off
from mmarch.check.accounting import Account
from mmarch.check.outcome import CheckFailed
from mmarch.engine.direct import Bound, DirectMachine, Replace

Entries = dict[int, int]  # page number -> what ptep_get says
Plain = Callable[[int], int]  # an entry without what a batch may differ in


@dataclass(frozen=True)
class Range:
    """Bytes of an address space."""

    mm: int
    start: int
    end: int


class Rewriting(Account):
    """Entries before and after."""

    def __init__(self, private: int) -> None:
        """`private` are the bits that an architecture adds to entries of a block."""
        super().__init__()
        self.private = private
        self.gathers: set[int] = set()  # that were told of pages
        self.recorded: set[int] = set()  # these pages
        self.flushed: list[tuple[int, int]] = []  # bytes that are flushed, or will be
        self.populated: list[tuple[int, int, int]] = []  # mapping, start and end
        self.end = 0  # of the range under way

    def instead(self) -> Mapping[Callable[..., Any], Replace]:
        """What replaces functions of core-mm."""
        return {
            tlb_flush_pte_range: self.around(self._recorded),
            tlb_batched.set_tlb_ubc_flush_pending: self.around(self._deferred),
            gup.populate_vma_page_range: self.around(self._populated),
            mprotect.mprotect_fixup: self.around(self._fixed),
            mprotect.change_protection: self.around(self._protected),
            mprotect.change_batch: self.around(self._protected_at_once),
            copy.copy_page_range: self.around(self._copied),
            copy.copy_present_ptes: self.around(self._copied_at_once),
            move_page_tables.move_page_tables: self.around(self._moved),
            move_page_tables.move_batch: self.around(self._moved_at_once),
            unmap.try_to_unmap_ptes: self.around(self._unmapped_at_once),
        }

    def watch(self, machine: DirectMachine) -> None:
        """From now on; flushes are seen by their hook."""
        self.given = machine
        winner = machine.cells["flush_tlb_range"]["target"]

        def flush_tlb_range(vma: int, start: int, end: int) -> int:
            self.flushed.append((start, end))
            return int(winner(vma, start, end))

        machine.cells["flush_tlb_range"]["target"] = flush_tlb_range

    def _deferred(self, original: Bound, mm: int, pte: int, start: int, end: int) -> int:
        self.flushed.append((start, end))
        return original(mm, pte, start, end)

    def _populated(self, original: Bound, vma: int, start: int, end: int) -> int:
        self.populated.append((vma, start, end))
        return original(vma, start, end)

    # -- what the tables say

    def _tables(self, where: Range) -> Iterator[tuple[int, int, int]]:
        """First page, first entry and entries of each part of the range that a table has; no entry: a leaf."""
        cfg, hooks = self.machine.cfg, self.machine.hooks
        page, at, end = cfg.page_size, where.start // cfg.page_size, where.end // cfg.page_size
        while at < end:
            nr = min(cfg.ptrs_per_pte - at % cfg.ptrs_per_pte, end - at)
            pmdp = self.machine.bound(pmd_off)(where.mm, at * page)
            if pmd := int(self.machine.ptes[pmdp]) if pmdp else 0:
                leaf = hooks["pmd_leaf"](pmd)
                yield at, 0 if leaf else hooks["table_slot"](pmd) * cfg.ptrs_per_pte + at % cfg.ptrs_per_pte, nr
            at += nr

    def _entries(self, where: Range) -> Entries | None:
        """Every entry of the range; None if a leaf is among them, which is another matter."""
        found: Entries = {}
        for page, first, nr in self._tables(where):
            if not first:
                return None
            raw = self.machine.ptes[first : first + nr]
            found |= {
                page + at: self.machine.hooks["ptep_get"](first + at) for at in range(nr) if int(raw[at])
            }
        return found

    def _space(self, vma: int) -> Range:
        """What a mapping covers."""
        return Range(*(self.column("VMA", name, vma) for name in ("vm_mm", "vm_start", "vm_end")))

    def _bare(self, pte: int) -> int:
        """Frame and permissions alone; whether it is of a block is the architecture's affair."""
        return self._clean(pte) & ~self.private

    def _present(self, pte: int) -> bool:
        return bool(self.machine.hooks["pte_present"](pte))

    def _folio(self, pte: int) -> int:
        """The large folio of an entry, 0 if it maps none."""
        hooks = self.machine.hooks
        if not self._present(pte) or hooks["pte_special"](pte):
            return 0
        folio = self.column("PAGE", "head", hooks["pte_pfn"](pte))
        return folio if self.column("PAGE", "flags", folio) & PG_LARGE else 0

    def _compare(self, what: str, wanted: Entries, found: Entries) -> None:
        """Entries are as they must be; of a large folio some may be young or dirty because others were."""
        hooks = self.machine.hooks
        for page in sorted({*wanted, *found}):
            old, new = wanted.get(page, 0), found.get(page, 0)
            right = old == new
            if old and new and self._present(old) and self._present(new):
                right = self._bare(old) == self._bare(new)
                for flag in ("pte_young", "pte_dirty"):
                    had, has = bool(hooks[flag](old)), bool(hooks[flag](new))
                    right &= has >= had if self._folio(old) else has == had
            if not right:
                raise CheckFailed(f"{what} leaves the entry {new:#x} of page {page:#x}; right is {old:#x}")

    # -- mprotect

    def _recorded(self, original: Bound, tlb: int, address: int, size: int) -> int:
        page = self.machine.cfg.page_size
        self.gathers.add(tlb)
        self.recorded.update(range(address // page, (address + size) // page))
        return original(tlb, address, size)

    def _fixed(self, original: Bound, tlb: int, vma: int, start: int, end: int, prot: int) -> Any:
        """mprotect_fixup: locked memory of one's own that may be written to from now on is copied at once."""
        old = self.column("VMA", "vm_flags", vma)
        self.populated.clear()
        result: Any = original(tlb, vma, start, end, prot)
        changed = int(result[0])
        now = self.column("VMA", "vm_flags", changed)
        copied = old & VM_LOCKED and not old & (VM_WRITE | VM_SHARED) and now & VM_WRITE and not result[1]
        if self.populated != ([(changed, start, end)] if copied else []):
            raise CheckFailed(f"mprotect of [{start:#x}, {end:#x}) populates {self.populated}")
        return result

    def _protected(self, original: Bound, tlb: int, vma: int, addr: int, end: int, flags: int) -> int:
        """change_protection: new permissions; writable at once only what no write has to be told of."""
        self.end = end
        where = Range(self.column("VMA", "vm_mm", vma), addr, end)
        before = self._entries(where)
        wanted = {page: self._permitted(vma, pte) for page, pte in (before or {}).items()}
        self.recorded.clear()
        self.gathers.clear()
        result = original(tlb, vma, addr, end, flags)
        if self.gathers - {tlb}:
            raise CheckFailed(f"mprotect tells gathers {sorted(self.gathers)} what to flush, not {tlb} alone")
        if before is not None:
            self._compare("mprotect", wanted, self._entries(where) or {})
            self._gathered(before, wanted)
        return result

    def _permitted(self, vma: int, pte: int) -> int:
        """An entry after mprotect (mm/mprotect.c:change_pte_range, can_change_pte_writable)."""
        hooks, flags = self.machine.hooks, self.column("VMA", "vm_flags", vma)
        if not self._present(pte):
            return pte
        new = hooks["pte_modify"](pte, self.column("VMA", "vm_page_prot", vma))
        if not flags & VM_WRITE or hooks["pte_write"](new) or hooks["pte_protnone"](new):
            return new
        if flags & VM_SHARED:
            return hooks["pte_mkwrite"](new) if hooks["pte_dirty"](new) else new
        alone = not hooks["pte_special"](new) and self.column("PAGE", "anon_exclusive", hooks["pte_pfn"](new))
        return hooks["pte_mkwrite"](new) if alone else new

    def _gathered(self, before: Entries, after: Entries) -> None:
        """The gather hears of what must be flushed, and of nothing outside of that within a table."""
        hooks, size = self.machine.hooks, self.machine.cfg.ptrs_per_pte
        needs = {
            page for page, pte in before.items() if self._present(pte) and hooks["pte_needs_flush"](pte, after[page])
        }
        tables: dict[int, list[int]] = {}
        for page in sorted(needs):
            tables.setdefault(page // size, []).append(page)
        hull = {page for pages in tables.values() for page in range(pages[0], pages[-1] + 1)}
        if needs - self.recorded or (self.recorded - hull and not any(map(self._folio, before.values()))):
            raise CheckFailed(
                f"mprotect changes {len(needs)} entries that a TLB may have; the gather hears of {len(self.recorded)}"
            )

    # -- fork

    def _copied(self, original: Bound, dst_vma: int, src_vma: int) -> int:
        """copy_page_range: the child has what no fault could bring, old; neither may write what both have."""
        flags, here = self.column("VMA", "vm_flags", src_vma), self._space(src_vma)
        there = Range(self.column("VMA", "vm_mm", dst_vma), here.start, here.end)
        self.end = here.end
        before = self._entries(here)
        result = original(dst_vma, src_vma)
        if before is None or result < 0:
            return result
        needs = self.column("VMA", "anon_vma", src_vma) or flags & VM_PFNMAP
        kept = {page: self._kept(flags, pte) for page, pte in before.items()} if needs else before
        given = {page: self._given(flags, pte) for page, pte in kept.items()} if needs else {}
        self._compare("fork", kept, self._entries(here) or {})
        self._compare("fork, to the child,", given, self._entries(there) or {})
        return result

    def _kept(self, flags: int, pte: int) -> int:
        """The parent's entry afterwards."""
        hooks = self.machine.hooks
        if not self._present(pte):
            return hooks["pte_swp_clear_exclusive"](pte)
        return hooks["pte_wrprotect"](pte) if flags & (VM_SHARED | VM_MAYWRITE) == VM_MAYWRITE else pte

    def _given(self, flags: int, pte: int) -> int:
        """The child's."""
        hooks = self.machine.hooks
        if not self._present(pte):
            return pte
        return hooks["pte_mkold"](hooks["pte_mkclean"](pte) if flags & VM_SHARED else pte)

    # -- mremap

    def _moved(self, original: Bound, vma: int, old: int, new_vma: int, new: int, size: int) -> int:
        """move_page_tables: all entries are where they are wanted, as they were, and nowhere else."""
        mm = self.column("VMA", "vm_mm", vma)
        here, there = Range(mm, old, old + size), Range(mm, new, new + size)
        shift = (new - old) // self.machine.cfg.page_size
        self.end = here.end
        before = self._entries(here)
        self.flushed.clear()
        moved = original(vma, old, new_vma, new, size)
        if before is not None and moved >= size:
            self._compare("mremap", {page + shift: pte for page, pte in before.items()}, self._entries(there) or {})
            self._compare("mremap, where they were,", {}, self._entries(here) or {})
            self._covered(here, [page for page, pte in before.items() if self._present(pte)])
        return moved

    def _covered(self, where: Range, pages: list[int]) -> None:
        """What was present is flushed, and nothing beyond the range or the table that it begins in."""
        size = self.machine.cfg.page_size
        low = where.start & -self.machine.cfg.pmd_size
        for page in pages:
            if not any(start <= page * size < end for start, end in self.flushed):
                raise CheckFailed(f"mremap does not flush page {page:#x}, whose entry it has moved")
        for start, end in self.flushed:
            if not low <= start < end <= where.end:
                raise CheckFailed(f"mremap of [{where.start:#x}, {where.end:#x}) flushes [{start:#x}, {end:#x})")

    # -- how many at once

    def _alike(self, folio: int, ptep: int, most: int, plain: Plain) -> int:
        """How many entries map pages of a folio in turn and are otherwise equal."""
        hooks, size = self.machine.hooks, self.machine.cfg.ptrs_per_pte
        first, nr = 0, 0
        for at in range(ptep, ptep + min(most, size - ptep % size)):
            pte = hooks["ptep_get"](at)
            if not self._present(pte) or self._folio(pte) != folio:
                break
            first = first or plain(pte)
            if plain(pte) != hooks["pte_advance_pfn"](first, nr):
                break
            nr += 1
        return nr

    def _left(self, address: int, end: int) -> int:
        return int((end - address) // self.machine.cfg.page_size)

    def _judge(self, what: str, nr: int, right: int) -> None:
        if nr != right:
            raise CheckFailed(f"{what} takes {nr} entries at once; right is {right}")

    def _clean(self, pte: int) -> int:
        hooks = self.machine.hooks
        return int(hooks["pte_mkold"](hooks["pte_mkclean"](pte)))

    def _any(self, pte: int) -> int:
        return int(self.machine.hooks["pte_wrprotect"](self._clean(pte)))

    def _dirt(self, pte: int) -> int:
        hooks = self.machine.hooks
        return int(hooks["pte_wrprotect"](hooks["pte_mkold"](pte)))

    def _copied_at_once(
        self, original: Bound, dst_vma: int, src_vma: int, dst: int, src: int, pte: int, addr: int, limit: int
    ) -> int:
        """copy_present_ptes: of private memory what is dirty or what is not (mm/memory.c)."""
        folio, shared = self._folio(pte), self.column("VMA", "vm_flags", src_vma) & VM_SHARED
        plain = self._any if shared else self._dirt
        right = self._alike(folio, src, self._left(addr, self.end), plain) if folio else 1
        batched = self.machine.feature.fork_batch and not self.machine.feature.fork_cont_batch
        nr = original(dst_vma, src_vma, dst, src, pte, addr, limit)
        if batched or not folio:
            self._judge("fork", nr, right)
        return nr

    def _protected_at_once(
        self, original: Bound, tlb: int, vma: int, ptep: int, pte: int, addr: int, limit: int, prot: int, flags: int
    ) -> int:
        """change_batch: what may be written to, or what may not (mm/mprotect.c:mprotect_folio_pte_batch)."""
        folio = self._folio(pte)
        right = self._alike(folio, ptep, self._left(addr, self.end), self._clean) if folio else 1
        nr = original(tlb, vma, ptep, pte, addr, limit, prot, flags)
        self._judge("mprotect", nr, right)
        return nr

    def _moved_at_once(
        self, original: Bound, vma: int, ptep: int, addr: int, pte: int, limit: int, new_ptep: int, new_addr: int
    ) -> int:
        """move_batch: one entry, without a hint that more pay (mm/mremap.c:mremap_folio_pte_batch)."""
        machine, folio, size = self.machine, self._folio(pte), self.machine.cfg.ptrs_per_pte
        hint = machine.hooks["pte_batch_hint"](ptep, pte) if machine.feature.mremap_batch and folio else 1
        room = min(self._left(addr, self.end), size - new_ptep % size)
        right = self._alike(folio, ptep, room, self._clean) if hint > 1 else 1
        nr = original(vma, ptep, addr, pte, limit, new_ptep, new_addr)
        self._judge("mremap", nr, right)
        return nr

    def _unmapped_at_once(self, original: Bound, folio: int, vma: int, address: int, ptep: int, end: int) -> int:
        """try_to_unmap_ptes: of files, and of what MADV_FREE gave up, many (mm/rmap.c:folio_unmap_pte_batch)."""
        feature, flags = self.machine.feature, self.column("PAGE", "flags", folio)
        pte = self.machine.hooks["ptep_get"](ptep)
        lazy = flags & PG_ANON and not flags & PG_SWAPBACKED
        several = feature.lazyfree_unmap_batch and (lazy or (not flags & PG_ANON and feature.file_unmap_batch))
        room = self._left(address, min(end, self.column("VMA", "vm_end", vma)))
        right = self._alike(folio, ptep, room, self._clean) if several and self._folio(pte) else 1
        self.flushed.clear()
        nr = original(folio, vma, address, ptep, end)
        flushed = address, address + nr * self.machine.cfg.page_size
        if nr and feature.lazyfree_unmap_batch and flushed not in self.flushed:
            raise CheckFailed(f"reclaim clears {nr} entries at {address:#x} and flushes {self.flushed}")
        self._judge("reclaim", nr, right if nr else 0)
        return nr
