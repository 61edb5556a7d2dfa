"""Tier stateful: the series of December 2023 that clears at once what the gather surely has room for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from core_mm.memory import zap
from core_mm.mm_types import PG_ANON, PG_SWAPBACKED, VM_RAND_READ, VM_SEQ_READ
from core_mm.mmu_gather import SPARE_SLOTS
from core_mm.uapi import (
    ACCESS_READ,
    ACCESS_WRITE,
    FILE_REGULAR,
    FILE_SHMEM,
    MADV_DONTNEED,
    MADV_RANDOM,
    MAP_ANONYMOUS,
    MAP_FIXED,
    MAP_PRIVATE,
    MAP_SHARED,
    OP_EXIT,
    OP_FORK,
    OP_MADVISE,
    OP_MMAP,
    OP_MUNMAP,
    OP_TOUCH,
)
from core_mm.vmstat import FOLIO_MARK_ACCESSED, FOLIO_MARK_DIRTY, GATHER_LEAK, GATHER_RESERVE_CLAMP
from mmarch.check.accounting import Account
from mmarch.check.context import Context
from mmarch.check.outcome import CheckFailed, Skipped
from mmarch.check.registry import check
from mmarch.check.system import System, system
from mmarch.engine.direct import DirectMachine
from mmarch.sanitize.random_rows import block_pages

THIRD, FOURTH = "contpte-v3", "contpte-v4"
AT, RW = 1 << 34, 3
PRIVATE = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED
BLOCKS = 3  # of each mapping
# slots of a page, and the allocation from which on none is had: promises are kept, or not
GATHERS = ((0, 0), (3, 0), (5, 0), (7, 0), (5, 1), (24, 3))


class Before(NamedTuple):
    """What the gather, the table and the pages that are zapped say.

    left  slots of the page of them in use, if no other may follow once rmaps wait for the flush; else -1
    """

    slots: list[int]
    start: int
    end: int
    rss: dict[str, int]
    mapped: list[int]
    counts: dict[int, int]
    entries: int
    left: int


class Reserved(Account):
    """Of every batch how long it has to be, and what has to become of its pages."""

    def __init__(self, third: bool) -> None:
        super().__init__()
        self.third = third
        self.batches = 0
        self.checked: list[tuple[int, int]] = []  # by arch_check_zapped_pte

    def zaps(
        self, original: Callable[..., Any], tlb: int, vma: int, folio: int, page: int, ptep: int, pte: int,
        addr: int, limit: int,
    ) -> Any:  # fmt: skip
        """What replaces zap_reserved_ptes."""
        wanted = self._following(folio, page, ptep, limit) if self.third else self._hinted(ptep, pte, limit)
        room = self._room(tlb, wanted)
        self._given(vma, folio, page, ptep, pte, addr, limit)
        right = min(wanted, max(room, 1))
        entries = [self.machine.hooks["ptep_get"](ptep + i) for i in range(right)]
        before = self._before(tlb, vma, page, ptep, right)
        cleared, state = original(tlb, vma, folio, page, ptep, pte, addr, limit)
        if cleared != right:
            raise CheckFailed(
                f"{cleared} entries are cleared at once; right is {right}: {wanted} follow one another, and "
                f"{room} slots are certain"
            )
        self._compare(tlb, vma, folio, page, ptep, addr, entries, state, before, room < wanted)
        self.batches += 1
        return cleared, state

    def listen(self, machine: DirectMachine) -> None:
        """Watch it from now on."""
        self.given = machine
        checks = machine.cells["arch_check_zapped_pte"]["target"]

        def check(vma: int, pte: int) -> Any:
            self.checked.append(
                (vma, machine.hooks["pte_pfn"](pte) if machine.hooks["pte_present"](pte) else -1)
            )
            return checks(vma, pte)

        machine.cells["arch_check_zapped_pte"]["target"] = check

    def _given(self, vma: int, folio: int, page: int, ptep: int, pte: int, addr: int, limit: int) -> None:
        """What it is called with."""
        cfg, hooks = self.machine.cfg, self.machine.hooks
        room = self.column("VMA", "vm_end", vma) - addr >> cfg.page_shift
        self._same("its entry", hooks["ptep_get"](ptep), pte)
        self._same("its page", page, hooks["pte_pfn"](pte))
        self._same("its folio", folio, self.column("PAGE", "head", page))
        self._same("its place", ptep % cfg.ptrs_per_pte, (addr >> cfg.page_shift) % cfg.ptrs_per_pte)
        self._same("its limit", 0 < limit <= min(room, cfg.ptrs_per_pte - ptep % cfg.ptrs_per_pte), True)
        self.checked.clear()

    def _following(self, folio: int, page: int, ptep: int, limit: int) -> int:
        """Third version: entries that map pages of the folio in turn, all or none of them PROT_NONE."""
        hooks, heads = self.machine.hooks, self.machine.memory.tables["PAGE"]["head"]
        protnone = bool(hooks["pte_protnone"](hooks["ptep_get"](ptep)))
        for i in range(1, limit):
            pte = hooks["ptep_get"](ptep + i)
            same = (
                hooks["pte_present"](pte) and hooks["pte_pfn"](pte) == page + i and heads[page + i] == folio
            )
            if not same or bool(hooks["pte_protnone"](pte)) != protnone:
                return i
        return limit

    def _hinted(self, ptep: int, pte: int, limit: int) -> int:
        """Fourth version: what the architecture says without looking."""
        return min(self.machine.hooks["pte_batch_hint"](ptep, pte), limit)

    def _room(self, tlb: int, wanted: int) -> int:
        """Slots that are left, with those of further pages that surely can be had."""
        cfg, batch = self.machine.cfg, self.column("GATHER", "active", tlb)
        left = self._unused(batch)
        taken, asked = self.column("GATHER", "batch_count", tlb), int(self.machine.mach.nowait)
        more = 0
        while (more == 0) if self.third else (left < wanted):
            more += 1
            if self.column("GATHER", "delayed_rmap", tlb) and batch != self.column("GATHER", "local", tlb):
                break
            batch = self.column("BATCH", "next", batch) if batch else 0
            if not batch:
                taken, asked = taken + 1, asked + 1
                if taken > cfg.max_gather_batch_count or 0 < cfg.fail_nowait <= asked:
                    break
            left += cfg.max_gather_batch
        return left

    def _unused(self, batch: int) -> int:
        """Slots of one page of them that are left."""
        return self.column("BATCH", "max", batch) - self.column("BATCH", "nr", batch)

    def _before(self, tlb: int, vma: int, page: int, ptep: int, nr: int) -> Before:
        counted = (FOLIO_MARK_ACCESSED, FOLIO_MARK_DIRTY, GATHER_LEAK, GATHER_RESERVE_CLAMP)
        active, local, start, end = (
            self.column("GATHER", name, tlb) for name in ("active", "local", "start", "end")
        )
        mm, counts = self.column("VMA", "vm_mm", vma), self.machine.counts()
        size = int(self.machine.cfg.ptrs_per_pte)
        names = [name for name in self.machine.memory.tables["MM"].columns if name.startswith("rss_")]
        return Before(
            self._slots(tlb), start, end,
            {name: self.column("MM", name, mm) for name in names},
            self.machine.memory.tables["PAGE"]["mapcount"][page : page + nr].tolist(),
            {event: int(counts[:, :, event].sum()) for event in counted},
            int(np.count_nonzero(self.machine.memory.arrays["ptes"][ptep & -size :][:size])),
            -1 if active == local else self._unused(active),
        )  # fmt: skip

    def _slots(self, tlb: int) -> list[int]:
        """All that the gather holds, in the order in which it was queued."""
        found: list[int] = []
        size = self.machine.cfg.max_gather_batch + SPARE_SLOTS
        batch = self.column("GATHER", "local", tlb)
        while batch:
            used = self.column("BATCH", "nr", batch)
            found += self.machine.memory.arrays["slots"][batch * size : batch * size + used].tolist()
            batch = self.column("BATCH", "next", batch)
        return found

    def _compare(
        self, tlb: int, vma: int, folio: int, page: int, ptep: int, addr: int, entries: list[int], state: int,
        before: Before, clamped: bool,
    ) -> None:  # fmt: skip
        """CheckFailed where a page, the gather or a count says something else."""
        hooks, nr = self.machine.hooks, len(entries)
        after, flags = self._before(tlb, vma, page, ptep, nr), self.column("PAGE", "flags", folio)
        queued = len(after.slots) - len(before.slots)
        left = self._unused(self.column("GATHER", "active", tlb))
        dirty = not flags & PG_ANON and any(hooks["pte_dirty"](pte) for pte in entries)
        seldom = self.column("VMA", "vm_flags", vma) & (VM_SEQ_READ | VM_RAND_READ)
        young = not flags & PG_ANON and not seldom and any(hooks["pte_young"](pte) for pte in entries)
        delay = int(dirty and bool(self.column("GATHER", "delayed_rmap", tlb)))
        full = left <= 0
        kind = "rss_anon" if flags & PG_ANON else "rss_shmem" if flags & PG_SWAPBACKED else "rss_file"
        size = 1 << self.machine.cfg.page_shift
        lost = nr - min(nr, before.left) if self.third and delay and before.left >= 0 else 0
        self._same("entries of the table are gone", before.entries - after.entries, nr)
        self._same(
            "entries are left", sum(not hooks["pte_none"](hooks["ptep_get"](ptep + i)) for i in range(nr)), 0
        )
        if queued < nr and not lost and left + SPARE_SLOTS > 0:
            raise CheckFailed(f"{queued} of {nr} pages are queued")
        self._same("slots", after.slots[len(before.slots) :], [page + i << 2 | delay for i in range(queued)])
        freed = nr - lost  # pages past the end of all slots are counted, and lost with a warning
        self._same(kind, before.rss[kind] - after.rss[kind], freed)
        self._same("all pages", sum(before.rss.values()) - sum(after.rss.values()), freed)
        gone = [0 if delay or i >= freed else 1 for i in range(nr)]
        self._same(
            "mapcounts", [was - now for was, now in zip(before.mapped, after.mapped, strict=True)], gone
        )
        self._same("where the range to flush begins", after.start, min(before.start, addr))
        self._same("where it ends", after.end, max(before.end, addr + freed * size))
        self._same("arch_check_zapped_pte of", self.checked, [(vma, page)])
        self._same("what is to be done", state, 3 if full else 1 if delay else 0)
        told = {
            FOLIO_MARK_ACCESSED: int(young), FOLIO_MARK_DIRTY: int(dirty), GATHER_LEAK: lost,
            GATHER_RESERVE_CLAMP: int(clamped),
        }  # fmt: skip
        self._same("counts", {event: after.counts[event] - before.counts[event] for event in told}, told)

    def _same(self, what: str, found: object, right: object) -> None:
        if found != right:
            raise CheckFailed(f"a batch is zapped; {what}: {found}; right is {right}")


def program(made: System, block: int, offset: int) -> None:
    """Memory of each kind, of a child's too, some of it changed in the middle of a folio, is given back."""
    page, size = made.page, BLOCKS * block * made.page
    places = [AT + i * 4 * size for i in range(5)]
    kinds = [
        (PRIVATE, -1),
        (MAP_SHARED | MAP_FIXED, 0),
        (MAP_SHARED | MAP_FIXED, 1),
        (MAP_PRIVATE | MAP_FIXED, 1),
    ]
    kinds.append((MAP_SHARED | MAP_FIXED, 1))
    for at, (flags, file) in zip(places, kinds, strict=True):
        made.do(OP_MMAP, 1, at, size, RW, flags, file, 0)
    anon, shared, shmem, private, seldom = places
    made.do(OP_MADVISE, 1, seldom, size, MADV_RANDOM)
    made.do(OP_TOUCH, 1, anon, BLOCKS * block, ACCESS_WRITE)
    for at in (shared, shmem, private, seldom):
        made.do(OP_TOUCH, 1, at, BLOCKS * block, ACCESS_READ)
    made.do(OP_TOUCH, 1, private + (offset + block) * page, 2, ACCESS_WRITE)
    made.do(OP_TOUCH, 1, shared + (offset + 1) * page, block, ACCESS_WRITE)
    made.do(OP_TOUCH, 1, shmem + block * page, 2 * block, ACCESS_WRITE)
    made.do(OP_FORK, 1, 2)
    made.do(OP_TOUCH, 2, anon + (block + offset) * page, 1, ACCESS_WRITE)
    made.do(OP_TOUCH, 1, anon + offset * page, 1, ACCESS_WRITE)
    for at in (anon, private, shared):
        made.do(OP_MADVISE, 1, at + offset * page, block * page, MADV_DONTNEED)
    made.do(OP_MUNMAP, 1, anon, shmem + size - anon)
    made.do(OP_EXIT, 2)
    made.do(OP_EXIT, 1)


@check(
    "stateful.reserved",
    hooks=("clear_ptes", "pte_batch_hint"),
    source='the series "mm: Batch-clear PTE ranges during zap_pte_range()", third and fourth version',
    turns=True,
)
def reserved(context: Context) -> str:
    """Of the series of December 2023, as many entries are zapped at once as follow one another and have slots."""
    if context.with_ or context.without or context.changes.owner:
        raise Skipped("looks at a series as it was posted")
    batches = 0
    block = block_pages(context.geometry)
    for release in (THIRD, FOURTH):
        rng = context.rng(release)
        for slots, fails in (rng.choice(GATHERS),) if context.aside else GATHERS:
            account = Reserved(release == THIRD)
            overrides = {"log_ptes": 0, "fail_nowait": fails}
            if slots:
                overrides["max_gather_batch"] = slots
            order = 1 << block.bit_length() - 1
            changes = {"overrides": overrides, "log_rows": 0, "shmem_orders": order, "anon_orders": order}
            bytes_ = BLOCKS * block << context.geometry.page_shift
            made = system(
                replace(context, release=release), files=((FILE_REGULAR, bytes_), (FILE_SHMEM, bytes_)), judged=False,
                instead={zap.zap_reserved_ptes: account.around(account.zaps)}, changes=changes,
            )  # fmt: skip
            assert isinstance(made.machine, DirectMachine)
            account.listen(made.machine)
            try:
                program(made, block, rng.randrange(1, block - 1))
            except CheckFailed as failed:
                raise CheckFailed(f"{release}: {failed}{context.where}", made.steps()) from None
            batches += account.batches
    return f"{batches:,} batches"
