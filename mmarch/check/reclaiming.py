"""What waits for the LRU lists, and what reclaim frees, in turn: a second account (mm/swap.c, mm/vmscan.c)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from core_mm import lru, mmu_gather, reclaim, swap_state, vmscan
from core_mm.memory import wp
from core_mm.mm_types import (
    PG_ANON,
    PG_LARGE,
    PG_LRU,
    PG_ORDER_SHIFT,
    PG_SWAPCACHE,
    VM_LOCKED,
    VM_RAND_READ,
    VM_SEQ_READ,
)
from core_mm.pgtable import pmd_off
from mmarch.check.accounting import Account
from mmarch.check.outcome import CheckFailed
from mmarch.engine.direct import Bound, Replace

WALKED = 64  # pages of a process, MIN_LRU_BATCH
TABLES = 16  # of a mapping, that are looked at
BATCH = 31  # PAGEVEC_SIZE: folios of a struct folio_batch


class Reclaiming(Account):
    """The batch of new folios, and what reclaim was given.

    waiting  folios of this CPU's batch of new ones
    freed    folios that reclaim has freed since the last flush
    turn     those that reclaim was given, in order
    gentle   whether aging passes over tables whose own flag is clear
    seen     the entry of the table that it looked at last
    walked   address spaces of this pass, gently or not
    looked   mappings and entries of tables that it has looked at
    """

    def __init__(self) -> None:
        super().__init__()
        self.waiting: list[int] = []
        self.turn: list[int] = []
        self.freed = 0
        self.gentle, self.seen = 0, 0
        self.looked: set[tuple[int, int]] = set()
        self.walked: list[tuple[int, bool]] = []

    def instead(self) -> Mapping[Callable[..., Any], Replace]:
        """What replaces functions of core-mm."""
        return {
            lru.folio_add_lru: self.around(self._add),
            lru.lru_add_drain: self.around(self._drain),
            lru.lru_add_drain_to_unmap: self.around(self._to_unmap),
            lru.folio_test_lru: self.around(self._test),
            swap_state.folio_free_swap: self.around(self._free_swap),
            mmu_gather.tlb_flush_rmaps: self.around(self._rmaps),
            reclaim.flush_and_free: self.around(self._flushed),
            reclaim.remove_mapping: self.around(self._removed),
            reclaim.shrink_folio: self.around(self._shrinks),
            reclaim.reclaim_pages: self.around(self._reclaims),
            wp.wp_can_reuse_anon_folio: self.around(self._reuses),
            vmscan.age_ptes: self.around(self._limited),
            vmscan.walk_pte_range: self.around(self._ages),
            vmscan.walk_mm: self.around(self._walks),
            vmscan.lru_gen_age: self.around(self._passes),
        }

    def _page(self, name: str, folio: int) -> int:
        return self.column("PAGE", name, folio)

    def _pages(self, folio: int) -> int:
        return 1 << (self._page("flags", folio) >> PG_ORDER_SHIFT)

    # -- the batch of new folios

    def _add(self, original: Bound, folio: int) -> int:
        result = original(folio)
        self.waiting.append(folio)
        if len(self.waiting) == BATCH or self._page("flags", folio) & PG_LARGE:
            self.waiting.clear()
        self._test(self.machine.bound(lru.folio_test_lru), folio)
        return result

    def _drain(self, original: Bound) -> int:
        self.waiting.clear()
        return original()

    def _to_unmap(self, original: Bound) -> int:
        result = original()
        if self.waiting and not self.machine.feature.unmap_keeps_lru_batches:
            raise CheckFailed("memory is unmapped while new folios wait for the lists")
        return result

    def _test(self, original: Bound, folio: int) -> int:
        found = original(folio)
        right = bool(self._page("flags", folio) & PG_LRU) and folio not in self.waiting
        if bool(found) != right:
            raise CheckFailed(
                f"folio {folio:#x} is{'' if found else ' not'} said to be on a list, with {len(self.waiting)} that wait"
            )
        return found

    def _reuses(self, original: Bound, folio: int, vma: int) -> int:
        """A batch has a reference, with which a page cannot be said to be nobody else's."""
        reused = original(folio, vma)
        if reused and not self._page("flags", folio) & PG_LARGE:
            if folio in self.waiting or self._page("refcount", folio) != 1:
                raise CheckFailed(f"folio {folio:#x} is reused, with a reference that somebody else has")
            at = self.column("VMA", "anon_vma", vma)
            if self._page("mapping", folio) != at:
                raise CheckFailed(f"folio {folio:#x} is reused, and not of anon_vma {at}")
        return reused

    # -- swap and reclaim

    def _free_swap(self, original: Bound, folio: int) -> int:
        cached = bool(self._page("flags", folio) & PG_SWAPCACHE)
        first, references = self._page("private", folio), self.machine.memory.arrays["swap_map"]
        free = cached and not references[first : first + self._pages(folio)].any()
        pages, counted = self._pages(folio), self._page("refcount", folio)
        gone = original(folio)
        left = bool(self._page("flags", folio) & PG_SWAPCACHE)
        if bool(gone) != free or left != (cached and not free):
            raise CheckFailed(
                f"swap of folio {folio:#x} is{'' if gone else ' not'} freed; right is the other"
            )
        if free and counted > pages and self._page("refcount", folio) != counted - pages:
            raise CheckFailed(f"folio {folio:#x} leaves the swap cache, and a reference stays")
        return gone

    def _removed(self, original: Bound, folio: int) -> int:
        """What nothing but a cache and reclaim refers to is freed."""
        flags, pages = self._page("flags", folio), self._pages(folio)
        cached = flags & PG_SWAPCACHE or (not flags & PG_ANON and self._page("mapping", folio))
        free = self._page("refcount", folio) == 1 + (pages if cached else 0)
        done = original(folio)
        if (done == reclaim.FREED) != free:
            raise CheckFailed(f"folio {folio:#x} is{'' if done else ' not'} freed; right is the other")
        self.freed += done
        return done

    def _flushed(self, original: Bound) -> int:
        if self.freed > BATCH:
            raise CheckFailed(f"{self.freed} folios wait for a flush; right is at most {BATCH}")
        self.freed = 0
        return original()

    def _shrinks(self, original: Bound, folio: int, top: int) -> Any:
        if folio in self.turn:
            if self.turn[0] != folio:
                raise CheckFailed(
                    f"reclaim takes folio {folio:#x}; right is {self.turn[0]:#x}, which was found first"
                )
            self.turn.pop(0)
        return original(folio, top)

    def _reclaims(self, original: Bound, nr: int) -> int:
        self.turn = self.machine.memory.arrays["isolated"][:nr].tolist()
        result = original(nr)
        if self.turn:
            raise CheckFailed(f"reclaim leaves out folio {self.turn[0]:#x}, and {len(self.turn) - 1} more")
        return result

    def _rmaps(self, original: Bound, tlb: int, vma: int) -> int:
        """A page may be written to through a TLB until the flush: its rmap goes after that."""
        if self.column("GATHER", "end", tlb):
            raise CheckFailed("rmaps that wait for a flush are removed before it")
        return original(tlb, vma)

    # -- aging

    def _passes(self, original: Bound, gentle: int) -> int:
        """Every process of 64 pages or more has its turn, where hardware sets the flag (should_walk_mmu)."""
        hooks, tables = self.machine.hooks, self.machine.memory.tables["MM"]
        pages = tables["rss_anon"] + tables["rss_file"] + tables["rss_shmem"]
        large = [
            mm
            for mm in range(2, int(self.machine.mach.next_mm))
            if tables["mm_users"][mm] and pages[mm] >= WALKED
        ]
        by_table = bool(gentle and hooks["arch_has_hw_nonleaf_pmd_young"]())
        right = [(mm, by_table) for mm in large] if hooks["arch_has_hw_pte_young"]() else []
        self.walked.clear()
        result = original(gentle)
        if self.walked != right:
            raise CheckFailed(f"aging walks {self.walked}; right is {right}, each gently or not")
        return result

    def _walks(self, original: Bound, mm: int, by_table: int) -> int:
        """A pass looks at every mapping that can be reclaimed, at a leaf whichever pass it is."""
        self.gentle, self.seen = by_table, 0
        self.looked.clear()
        self.walked.append((mm, bool(by_table)))
        result = original(mm, by_table)
        vma = self.column("MM", "mmap", mm)
        while vma:
            if not self._skipped(vma):
                self._aged(mm, vma)
            vma = self.column("VMA", "vm_next", vma)
        return result

    def _skipped(self, vma: int) -> bool:
        """What is locked, or was said to be accessed in any order, or anonymous where there is no swap."""
        flags = self.column("VMA", "vm_flags", vma)
        swap = self.machine.cfg.swap_slots and not self.machine.mach.swap_off
        said = flags & (VM_LOCKED | VM_SEQ_READ | VM_RAND_READ)
        return bool(said or not (swap or self.column("VMA", "vm_file", vma)))

    def _aged(self, mm: int, vma: int) -> None:
        """No leaf is young that has a page of its own, and a pass that is not gentle was at every table."""
        size, hooks = int(self.machine.cfg.pmd_size), self.machine.hooks
        start, end = (self.column("VMA", name, vma) for name in ("vm_start", "vm_end"))
        for addr in range(start & -size, min(end, (start & -size) + TABLES * size), size):
            pmdp = self.machine.bound(pmd_off)(mm, addr)
            pmd = int(self.machine.ptes[pmdp]) if pmdp else 0
            if pmd and hooks["pmd_leaf"](pmd):
                leaf = hooks["pmd_pte"](pmd)
                if hooks["pte_young"](leaf) and not hooks["pte_special"](leaf):
                    raise CheckFailed(f"aging leaves the leaf at {addr:#x} of mm {mm} young")
            elif pmd and not self.gentle and (vma, pmdp) not in self.looked:
                raise CheckFailed(f"aging leaves out the table at {addr:#x} of mm {mm}")

    def _ages(self, original: Bound, vma: int, pmdp: int, addr: int, end: int) -> int:
        """A gentle pass looks at tables whose own flag is set, or whose flag it has cleared."""
        hooks, owner = self.machine.hooks, self.column("VMA", "vm_mm", vma)
        start, after = (self.column("VMA", name, vma) for name in ("vm_start", "vm_end"))
        size = self.machine.cfg.pmd_size
        if not start <= addr < end <= after or (addr ^ end - 1) & -size:
            raise CheckFailed(
                f"aging of [{addr:#x}, {end:#x}), of mm {owner}, which is not of one table and mapping"
            )
        young = hooks["pte_young"](hooks["pmd_pte"](int(self.machine.ptes[pmdp])))
        if self.gentle and not young and pmdp != self.seen:
            raise CheckFailed(
                f"gentle aging of mm {owner} looks at a table at {addr:#x} that nobody has gone through"
            )
        if self._skipped(vma):
            raise CheckFailed(
                f"aging looks at a mapping at {addr:#x} of mm {owner} whose accesses say nothing"
            )
        self.seen = pmdp
        self.looked.add((vma, pmdp))
        result = original(vma, pmdp, addr, end)
        self._old(pmdp, addr, end)
        return result

    def _limited(self, original: Bound, vma: int, ptep: int, pte: int, addr: int, limit: int) -> int:
        """A batch ends with the mapping, and with the table."""
        cfg = self.machine.cfg
        inside = self.column("VMA", "vm_end", vma) - addr >> cfg.page_shift
        if not 0 < limit <= min(inside, cfg.ptrs_per_pte - ptep % cfg.ptrs_per_pte):
            raise CheckFailed(
                f"aging looks for a batch of {limit} pages at {addr:#x}, {inside} before the mapping ends"
            )
        return original(vma, ptep, pte, addr, limit)

    def _old(self, pmdp: int, addr: int, end: int) -> None:
        """No page is young any more, but for those that wait for a list where aging finds pages by that."""
        cfg, hooks = self.machine.cfg, self.machine.hooks
        first = hooks["table_slot"](int(self.machine.ptes[pmdp])) * cfg.ptrs_per_pte
        for page in range(addr >> cfg.page_shift, end >> cfg.page_shift):
            pte = hooks["ptep_get"](first + page % cfg.ptrs_per_pte)
            if not hooks["pte_present"](pte) or hooks["pte_special"](pte) or not hooks["pte_young"](pte):
                continue
            folio = self._page("head", hooks["pte_pfn"](pte))
            listed = self._page("flags", folio) & PG_LRU and folio not in self.waiting
            if listed or not self.machine.feature.aging_on_lists:
                raise CheckFailed(f"aging leaves page {page << cfg.page_shift:#x} young")
