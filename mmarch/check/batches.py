"""How large a folio a fault brings, and how many entries a zap or a swap-in takes: a second account, by the tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from core_mm import folio as folios
from core_mm import swapfile
from core_mm.memory import fault, swap_fault, zap
from core_mm.mm_types import PG_ANON, PG_ORDER_SHIFT, VM_HUGEPAGE, VM_NOHUGEPAGE, VM_SHARED
from core_mm.pgtable import pmd_off
from core_mm.uapi import ACCESS_WRITE
from mmarch.check.accounting import Account
from mmarch.check.outcome import CheckFailed
from mmarch.engine.direct import Bound, Replace

SMALLEST = 2  # order of a folio with more than one page


class Batches(Account):
    """What faults, zaps and swap-ins take at once."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[int, int]] = []  # order, and the folio that came

    def instead(self) -> Mapping[Callable[..., Any], Replace]:
        """What replaces functions of core-mm."""
        return {
            folios.folio_alloc: self.around(self._alloc),
            swapfile.swap_pte_batch: self.around(self._swapped),
            zap.zap_folio_batch: self.around(self._zapped),
            zap.zap_present_folio_ptes: self.around(self._state),
            swap_fault.do_swap_page: self.around(self._swap_in),
            fault.do_anonymous_page: self.around(self._anonymous),
        }

    # -- what the tables say

    def _entries(self, ptep: int, most: int) -> Iterator[int]:
        hooks = self.machine.hooks
        return (hooks["ptep_get"](at) for at in range(ptep, ptep + most))

    def _left(self, ptep: int) -> int:
        """Entries from this one to the end of its table."""
        size = int(self.machine.cfg.ptrs_per_pte)
        return size - ptep % size

    def _run(self, ptep: int, most: int) -> int:
        """How many swap entries follow one another, slot by slot, with the same mark."""
        hooks = self.machine.hooks
        first: tuple[int, bool] | None = None
        nr = 0
        for pte in self._entries(ptep, min(most, self._left(ptep))):
            if hooks["pte_none"](pte) or hooks["pte_present"](pte):
                break
            key = hooks["pte_to_swp_entry"](pte) - nr, bool(hooks["pte_swp_exclusive"](pte))
            first = first or key
            if key != first:
                break
            nr += 1
        return nr

    def _alike(self, folio: int, ptep: int, most: int) -> int:
        """How many entries map pages of a folio in turn, and are equal but for young, dirty and writable."""
        hooks, heads = self.machine.hooks, self.machine.memory.tables["PAGE"]["head"]
        first, nr = 0, 0
        for pte in self._entries(ptep, min(most, self._left(ptep))):
            if not hooks["pte_present"](pte) or heads[hooks["pte_pfn"](pte)] != folio:
                break
            plain = hooks["pte_mkold"](hooks["pte_wrprotect"](hooks["pte_mkclean"](pte)))
            first = first or plain
            if plain != hooks["pte_advance_pfn"](first, nr):
                break
            nr += 1
        return nr

    def _orders(self, vma: int, address: int) -> list[int]:
        """Orders that memory of a mapping may have whose block lies in it, the largest first."""
        cfg, flags = self.machine.cfg, self.column("VMA", "vm_flags", vma)
        start, end = (self.column("VMA", name, vma) for name in ("vm_start", "vm_end"))
        enabled = cfg.anon_always | (cfg.anon_orders if flags & VM_HUGEPAGE else 0)
        if flags & VM_NOHUGEPAGE:
            return []
        found = (order for order in range(cfg.pmd_order - 1, SMALLEST - 1, -1) if enabled >> order & 1)
        return [one for one in found if start <= self._block(address, one) <= end - (cfg.page_size << one)]

    def _block(self, address: int, order: int) -> int:
        return int(address & -(self.machine.cfg.page_size << order))

    def _ptep(self, mm: int, address: int) -> int:
        """Of an address; 0 where there is no table."""
        hooks = self.machine.hooks
        pmdp = self.machine.bound(pmd_off)(mm, address)
        pmd = int(self.machine.ptes[pmdp]) if pmdp else 0
        if not pmd or hooks["pmd_leaf"](pmd):
            return 0
        size = int(self.machine.cfg.ptrs_per_pte)
        return int(hooks["table_slot"](pmd) * size + (address >> self.machine.cfg.page_shift) % size)

    # -- the functions

    def _alloc(self, original: Bound, order: int) -> int:
        found = original(order)
        self.asked.append((order, found))
        return found

    def _swapped(self, original: Bound, ptep: int, most: int, pte: int) -> int:
        """swap_pte_batch: as many as there are."""
        hooks, right = self.machine.hooks, self._run(ptep, most)
        known = hooks["pte_same"](hooks["ptep_get"](ptep), pte)
        nr = original(ptep, most, pte)
        if nr != right or not known or most > self._left(ptep):
            raise CheckFailed(
                f"a batch of swap entries from {ptep:#x} on, at most {most}, is {nr} long; right is {right}, and an "
                "entry that is there, and no more than the table has"
            )
        return nr

    def _zapped(
        self,
        original: Bound,
        tlb: int,
        vma: int,
        folio: int,
        page: int,
        ptep: int,
        pte: int,
        addr: int,
        limit: int,
    ) -> Any:
        """zap_folio_batch: all entries of a folio that follow one another, at most to the end of the mapping."""
        room = self.column("VMA", "vm_end", vma) - addr >> self.machine.cfg.page_shift
        right = self._alike(folio, ptep, min(limit, room))
        result: Any = original(tlb, vma, folio, page, ptep, pte, addr, limit)
        if result[0] != right:
            raise CheckFailed(f"{result[0]} entries of folio {folio:#x} are zapped at once; right is {right}")
        return result

    def _state(
        self,
        original: Bound,
        tlb: int,
        vma: int,
        folio: int,
        page: int,
        ptep: int,
        pte: int,
        nr: int,
        addr: int,
    ) -> int:
        """zap_present_folio_ptes: flush when an rmap waits for it, and stop when there are no slots."""
        hooks = self.machine.hooks
        file = not self.column("PAGE", "flags", folio) & PG_ANON
        dirty = file and any(hooks["pte_dirty"](one) for one in self._entries(ptep, nr))
        state = original(tlb, vma, folio, page, ptep, pte, nr, addr)
        active = self.column("GATHER", "active", tlb)
        most = self.column("BATCH", "max", active) - int(self.machine.feature.gather_pairs)
        full = self.column("BATCH", "nr", active) >= most
        delay = dirty and self.column("GATHER", "delayed_rmap", tlb)
        right = zap.FORCE_FLUSH | zap.FORCE_BREAK if full else zap.FORCE_FLUSH if delay else 0
        if state != right:
            raise CheckFailed(
                f"after {nr} entries of folio {folio:#x} are zapped a zap does {state}; right is {right}"
            )
        return state

    def _anonymous(
        self, original: Bound, vma: int, address: int, pmdp: int, orig: int, valid: int, access: int
    ) -> int:
        """do_anonymous_page: the largest folio whose block is empty, the next smaller one where memory is short."""
        mm, page, wanted = self.column("VMA", "vm_mm", vma), self.machine.cfg.page_size, [0]
        if access != ACCESS_WRITE or self.column("VMA", "vm_flags", vma) & VM_SHARED:
            return original(vma, address, pmdp, orig, valid, access)
        orders = self._orders(vma, address)
        for at, order in enumerate(orders):
            first = self._ptep(mm, self._block(address, order))
            if not first or all(
                self.machine.hooks["pte_none"](pte) for pte in self._entries(first, 1 << order)
            ):
                wanted = [*orders[at:], 0]
                break
        self.asked.clear()
        result = original(vma, address, pmdp, orig, valid, access)
        self._compare(wanted, f"a first write to page {address // page:#x}")
        return result

    def _compare(self, wanted: list[int], what: str) -> None:
        """Folios are asked for in this order until one comes."""
        orders, came = [order for order, _ in self.asked], [bool(folio) for _, folio in self.asked]
        right = orders == wanted[: len(orders)] and not any(came[:-1])
        if not right or (orders and not came[-1] and orders != wanted):
            raise CheckFailed(
                f"{what} asks for folios of orders {orders}; right is {wanted}, until one comes"
            )

    def _swap_in(
        self, original: Bound, vma: int, address: int, pmdp: int, ptep: int, orig: int, access: int
    ) -> int:
        """do_swap_page: the largest folio whose pages lie in swap in one piece, each uncached; it is mapped whole."""
        machine, cache = self.machine, self.machine.memory.arrays["swap_cache"]
        slot = machine.hooks["pte_to_swp_entry"](orig)
        references, wanted = machine.memory.arrays["swap_map"], [0]
        if not cache[slot] and (references[slot] == 1 or machine.feature.swapin_cached):
            for order in self._orders(vma, address):
                idx = (address >> machine.cfg.page_shift) % (1 << order)
                first = slot - idx
                if slot % (1 << order) == idx and self._run(ptep - idx, 1 << order) == 1 << order:
                    if machine.hooks["pte_to_swp_entry"](next(self._entries(ptep - idx, 1))) == first:
                        if not cache[first : first + (1 << order)].any():
                            wanted = [order, 0]
                            break
        cached = int(cache[slot])
        mm = self.column("VMA", "vm_mm", vma)
        held = self.column("MM", "rss_swap", mm)
        mapped = self._whole(vma, address, ptep, slot)
        self.asked.clear()
        result = original(vma, address, pmdp, ptep, orig, access)
        if not cached:
            came = [order for order, folio in self.asked[:2] if folio]
            mapped = 1 << came[0] if came else 0
            self.asked[:] = self.asked[: 2 if self.asked and not self.asked[0][1] and wanted[0] else 1]
            self._compare(wanted, f"a fault on swap slot {slot:#x}")
        if result == 0 and held - self.column("MM", "rss_swap", mm) != mapped:
            raise CheckFailed(
                f"a fault on swap slot {slot:#x} does not map {mapped} pages, as its folio lies there"
            )
        return result

    def _whole(self, vma: int, address: int, ptep: int, slot: int) -> int:
        """How many pages a fault on a slot maps whose folio is cached: all, if their entries are there, else one."""
        cfg, page = self.machine.cfg, int(self.machine.memory.arrays["swap_cache"][slot])
        folio = self.column("PAGE", "head", page)
        nr, before = 1 << (self.column("PAGE", "flags", folio) >> PG_ORDER_SHIFT), page - folio
        start = address - before * cfg.page_size
        inside = (
            self.column("VMA", "vm_start", vma)
            <= start
            <= self.column("VMA", "vm_end", vma) - nr * cfg.page_size
        )
        if not page or not inside or not before <= ptep % cfg.ptrs_per_pte <= cfg.ptrs_per_pte - nr + before:
            return 1
        first = next(self._entries(ptep - before, 1))
        hooks = self.machine.hooks
        if hooks["pte_none"](first) or hooks["pte_present"](first):
            return 1
        there = hooks["pte_to_swp_entry"](first) == slot - before and self._run(ptep - before, nr) == nr
        return nr if there else 1
