"""Tier stateful: which frames and swap slots allocations get, against second accounts of the allocators."""

from __future__ import annotations

from itertools import islice
from random import Random

import numpy as np

from core_mm.mm_types import PG_RESERVED
from core_mm.page_alloc import UNINITIALISED, alloc_pages, free_pages
from core_mm.swapfile import get_swap_pages, swap_duplicate, swap_free_nr
from core_mm.syscalls import boot
from core_mm.vmstat import W_DOUBLE_FREE
from mmarch.check.buddies import Buddies, drawn
from mmarch.check.context import Context
from mmarch.check.outcome import CheckFailed
from mmarch.check.registry import check
from mmarch.check.slots import Slots
from mmarch.engine.direct import DirectMachine

STEPS, FEWEST, ELSEWHERE = 20_000, 8_000, 400
TURN = 1500  # steps in which memory is taken, or given back
# fragmented or not -> frames, and some more: the last one is half of a pair, or alone
MEMORY = {False: 4_701, True: 2_200}
HELD = 7  # by every frame before it is handed out
WHOLE, CLUSTER = 12, 256  # page_shift with which large folios are swapped whole; slots of a cluster otherwise
ORDERS = (0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 9, 10)


@check("stateful.frames", source="mm/page_alloc.c:rmqueue_pcplist, expand, __free_one_page")
def frames(context: Context) -> None:
    """The smallest block that is large enough is split, what was freed last comes first, buddies become one again."""
    for number, variant in enumerate(context.variants()):
        steps = max(ELSEWHERE if number else FEWEST, round(STEPS * variant.share))
        for fragmented in MEMORY:
            run = Run(variant, fragmented)
            run.random(steps // 2)
            if number == 0:
                run.everything()


class Run:
    """A machine that nobody runs on, and the account; in fragmented memory somebody looks what blocks hold."""

    def __init__(self, context: Context, fragmented: bool) -> None:
        self.rng, self.where = context.rng(f"frames {fragmented}"), context.where
        memory = MEMORY[fragmented] + 2 * self.rng.randrange(50)
        overrides = {"log_ptes": 0, "content": int(fragmented)}
        config = context.config(memory=memory << context.geometry.page_shift, log_rows=0, overrides=overrides)
        self.machine = DirectMachine(config)
        seed, lost = fragmenting(self.rng) if fragmented else (0, 0)
        self.machine.mach.seed, self.machine.cfg.fragmentation = seed, lost
        self.account = Buddies(memory, context.geometry.pte_bits, lost, seed)
        self.pages, self.content = self.machine.memory.tables["PAGE"], self.machine.memory.arrays["content"]
        self.held: list[tuple[int, int]] = []
        self.machine.bound(boot)()
        self._same("the zero page", int(self.machine.mach.zero_page), self.account.take(0))
        self.content[:] = HELD

    def random(self, steps: int) -> None:
        """Memory is taken until there is none, and given back, in turns."""
        rng, grows, single = self.rng, True, True
        for step in range(steps):
            if step % TURN == 0:
                self._listed()
                grows = step % (2 * TURN) == 0
                single = rng.random() < 0.6
            if not self.held or rng.random() < (0.95 if grows else 0.1):
                self._take(0 if single else rng.choice(ORDERS))
            else:
                self._give(*self.held.pop(rng.randrange(len(self.held))))
        while self.held:
            self._give(*self.held.pop())
        self._lost()
        for order in (self.account.top, 0):
            self._take(order)
        frame = self.held[-1][0]
        self._give(*self.held.pop())
        self.machine.bound(free_pages)(frame, 0)
        self._same(
            "the warning about a frame that is freed twice", int(self.machine.mach.warn_code), W_DOUBLE_FREE
        )
        self._same("the number of free frames", int(self.machine.mach.free_pages), self.account.free())

    def everything(self) -> None:
        """What is not in a large block is taken frame by frame; given back, the lowest first, it is as it was."""
        for order in (self.account.top, 0):
            while self._take(order):
                pass
        for frame, order in sorted(self.held):
            self._give(frame, order)
        self.held.clear()
        while self._take(self.account.top):
            pass
        self._listed()

    def _take(self, order: int) -> int:
        frame = int(self.machine.bound(alloc_pages)(order))
        self._same(f"a block of order {order}", frame, self.account.take(order))
        if frame:
            self.held.append((frame, order))
            self._hides(frame, 1 << order)
        return frame

    def _hides(self, frame: int, pages: int) -> None:
        """Who looks at a new block sees nothing of what it held, and nobody has touched its neighbours."""
        if not self.machine.cfg.content:
            return
        hidden = np.flatnonzero(self.content == UNINITIALISED).tolist()
        if hidden != list(range(frame, frame + pages)):
            raise CheckFailed(
                f"{pages} frames from {frame:#x} on are handed out, and what {len(hidden)} hold is hidden{self.where}"
            )
        self.content[frame : frame + pages] = HELD

    def _give(self, frame: int, order: int) -> None:
        self.machine.bound(free_pages)(frame, order)
        self.account.give(frame, order)
        self._same("the references to a free block", int(self.pages["refcount"][frame]), 0)
        self._same("the number of free frames", int(self.machine.mach.free_pages), self.account.free())

    def _lost(self) -> None:
        """A frame that somebody took before the start is reserved, with one reference, and part of nothing."""
        for frame in self.account.taken:
            found = {name: int(self.pages[name][frame]) for name in ("flags", "refcount", "head")}
            if found != {"flags": PG_RESERVED, "refcount": 1, "head": frame}:
                raise CheckFailed(f"frame {frame:#x}, which is in use for good, has {found}{self.where}")

    def _listed(self) -> None:
        """Free blocks hang in the lists of their orders, that of single frames beside, in the order of the account."""
        heads = self.machine.memory.arrays["free_area"].tolist()
        for order, right in enumerate(self.account.lists):
            self._list(f"list of free blocks of order {order}", heads[order], right)
        self._list("list of single frames", int(self.machine.mach.pcp), self.account.single)

    def _list(self, what: str, frame: int, right: list[int]) -> None:
        for place, wanted in enumerate((*reversed(right), 0)):
            self._same(f"place {place} of the {what}", frame, wanted)
            frame = int(self.pages["head"][frame])

    def _same(self, what: str, found: int, right: int) -> None:
        if found != right:
            raise CheckFailed(
                f"{what} is {found:#x}; right is {right:#x}, with {len(self.held)} blocks taken{self.where}"
            )


def fragmenting(rng: Random) -> tuple[int, int]:
    """A seed, and a share of blocks with which the second one loses a frame, and the first one just does not."""
    while True:
        seed = rng.randrange(1 << 31)
        share, second = (number % 100 for number in islice(drawn(seed), 2))
        if second < share < 60:
            return seed, share


SLOTS, SLOT_STEPS, FEWEST_SLOTS, SLOTS_ELSEWHERE = 1_650, 6_000, 1_200, 150


@check("stateful.slots", source="mm/swapfile.c:cluster_alloc_swap_entry, swap_range_free")
def slots(context: Context) -> None:
    """Each order goes on in its own cluster of the swap area, then begins a free one; what is given back is free."""
    for number, variant in enumerate(context.variants()):
        steps = max(SLOTS_ELSEWHERE if number else FEWEST_SLOTS, round(SLOT_STEPS * variant.share))
        swapped(variant, steps)


def swapped(context: Context, steps: int) -> None:
    """Runs of slots are taken until there are none, and given back, in turns."""
    rng, shift = context.rng("slots"), context.geometry.page_shift
    count = SLOTS + rng.randrange(100)
    machine = DirectMachine(context.config(swap_bytes=count << shift, log_rows=0, overrides={"log_ptes": 0}))
    cluster = 1 << context.geometry.pte_bits if shift == WHOLE else CLUSTER
    account = Slots(count, cluster, bool(machine.memory.get("feature", "swap_header_cluster")))
    held: list[tuple[int, int]] = []
    for step in range(steps):
        grows, orders = step % 600 < 400, ORDERS[: rng.choice((1, 6, len(ORDERS)))]
        if not held or rng.random() < (0.95 if grows else 0.15):
            order = rng.choice(orders)
            slot, right = machine.bound(get_swap_pages)(order), account.take(order)
            if slot != right:
                raise CheckFailed(
                    f"a folio of order {order} gets slot {slot}; right is {right}{context.where}"
                )
            if slot:
                held.append((slot, order))
                for one in range(slot, slot + (1 << order)):
                    machine.bound(swap_duplicate)(one)
        else:
            slot, order = held.pop(rng.randrange(len(held)))
            machine.bound(swap_free_nr)(slot, 1 << order)
            account.give(slot, order)
        if (used := int(machine.mach.swap_used)) != len(account.taken):
            raise CheckFailed(f"{used} slots are in use; right is {len(account.taken)}{context.where}")
