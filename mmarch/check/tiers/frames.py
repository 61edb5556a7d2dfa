"""Tier stateful: which frames and swap slots allocations get, against second accounts of the allocators."""

from __future__ import annotations

from core_mm.page_alloc import alloc_pages, free_pages
from core_mm.swapfile import get_swap_pages, swap_duplicate, swap_free_nr
from core_mm.syscalls import boot
from core_mm.vmstat import W_DOUBLE_FREE
from mmarch.check.buddies import Buddies
from mmarch.check.context import Context
from mmarch.check.outcome import CheckFailed
from mmarch.check.registry import check
from mmarch.check.slots import Slots
from mmarch.engine.direct import DirectMachine

STEPS, FEWEST, ELSEWHERE = 20_000, 8_000, 400
TURN = 1500  # steps in which memory is taken, or given back
MEMORY = {0: 4_700, 40: 2_200}  # share of blocks that lost a frame -> frames, and up to a hundred more
WHOLE, CLUSTER = 12, 256  # page_shift with which large folios are swapped whole; slots of a cluster otherwise
ORDERS = (0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 9, 10)


@check("stateful.frames", source="mm/page_alloc.c:rmqueue_pcplist, expand, __free_one_page")
def frames(context: Context) -> None:
    """The smallest block that is large enough is split, what was freed last comes first, buddies become one again."""
    for number, variant in enumerate(context.variants()):
        steps = max(ELSEWHERE if number else FEWEST, round(STEPS * variant.share))
        for lost in MEMORY:
            Run(variant, lost).random(steps // 2)


class Run:
    """A machine that nobody runs on, and the account."""

    def __init__(self, context: Context, lost: int) -> None:
        self.rng, self.where = context.rng(f"frames {lost}"), context.where
        memory = MEMORY[lost] + self.rng.randrange(100)
        overrides = {"fragmentation": lost, "log_ptes": 0}
        config = context.config(memory=memory << context.geometry.page_shift, log_rows=0, overrides=overrides)
        self.machine = DirectMachine(config)
        self.account = Buddies(memory, context.geometry.pte_bits, lost, self.machine.mach.seed)
        self.held: list[tuple[int, int]] = []
        self.machine.bound(boot)()
        self._same("the zero page", int(self.machine.mach.zero_page), self.account.take(0))

    def random(self, steps: int) -> None:
        """Memory is taken until there is none, and given back, in turns."""
        rng, grows, single = self.rng, True, True
        for step in range(steps):
            if step % TURN == 0:
                grows = step % (2 * TURN) == 0
                single = rng.random() < 0.6
            if not self.held or rng.random() < (0.95 if grows else 0.1):
                self._take(0 if single else rng.choice(ORDERS))
            else:
                self._give(*self.held.pop(rng.randrange(len(self.held))))
        while self.held:
            self._give(*self.held.pop())
        for order in (self.account.top, 0):
            self._take(order)
        frame = self.held[-1][0]
        self._give(*self.held.pop())
        self.machine.bound(free_pages)(frame, 0)
        self._same(
            "the warning about a frame that is freed twice", int(self.machine.mach.warn_code), W_DOUBLE_FREE
        )
        self._same("the number of free frames", int(self.machine.mach.free_pages), self.account.free())

    def _take(self, order: int) -> None:
        frame = self.machine.bound(alloc_pages)(order)
        self._same(f"a block of order {order}", frame, self.account.take(order))
        if frame:
            self.held.append((frame, order))

    def _give(self, frame: int, order: int) -> None:
        self.machine.bound(free_pages)(frame, order)
        self.account.give(frame, order)
        self._same("the number of free frames", int(self.machine.mach.free_pages), self.account.free())

    def _same(self, what: str, found: int, right: int) -> None:
        if found != right:
            raise CheckFailed(
                f"{what} is {found:#x}; right is {right:#x}, with {len(self.held)} blocks taken{self.where}"
            )


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
