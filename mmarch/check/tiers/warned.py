"""Tier stateful: what core-mm says when its own books are wrong: whoever changes it is told, once, of what."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from core_mm import folio, folio_split, gup, lazy_mmu, mmu_gather, page_alloc, rmap
from core_mm import vmstat as v
from core_mm.memory import access, fault
from core_mm.mm_types import EFAULT
from core_mm.uapi import ACCESS_WRITE, MADV_POPULATE_WRITE, OP_MADVISE, OP_MMAP, OP_TOUCH
from mmarch.check.context import Context
from mmarch.check.outcome import CheckFailed
from mmarch.check.registry import check
from mmarch.check.system import System, system, warning
from mmarch.check.tiers.tlb import ANON, AT, RW, mapped
from mmarch.engine.direct import DirectMachine, Replace

PAGES = 32
IN_VAIN: list[tuple[int, ...]] = []  # calls of what does nothing
Told = tuple[int, int]  # W_*, and what it is about


class World:
    """A machine with mapped pages, whose functions can be called as nobody should."""

    def __init__(self, context: Context, instead: dict[Callable[..., Any], Replace]) -> None:
        self.s: System = system(context, instead=instead)
        assert isinstance(self.s.machine, DirectMachine)
        self.core, self.tables = self.s.machine.bound, self.s.machine.memory.tables
        self.cfg, self.feature = self.s.machine.cfg, self.s.machine.feature

    def folio(self, order: int = 0) -> int:
        """A new one, which nobody maps."""
        return int(self.core(folio.folio_alloc)(order))

    def vma(self) -> int:
        """Of mapped pages."""
        mapped(self.s, PAGES)
        found: int = self.tables["VMA"]["vm_start"].tolist().index(AT)
        return found


def put_once_more(world: World) -> Told:
    """A reference that nobody had is dropped."""
    page = world.folio()
    world.core(folio.folio_put_refs)(page, 2)
    return v.W_REFCOUNT, page


def put_while_mapped(world: World) -> Told:
    """The last reference goes while an entry maps the page."""
    page = world.folio()
    world.core(rmap.folio_add_file_rmap_ptes)(page, page, 1, world.vma())
    world.core(folio.folio_put)(page)
    return v.W_MAPCOUNT, page


def freed_twice(world: World) -> Told:
    """A block goes to the free lists a second time."""
    block = world.folio(3)
    for _ in range(2):
        world.core(page_alloc.free_pages)(block, 3)
    return v.W_DOUBLE_FREE, block


def unmapped_twice(world: World) -> Told:
    """An entry is gone that there was not."""
    page = world.folio()
    world.core(rmap.folio_remove_rmap_ptes)(page, page, 1, world.vma())
    return v.W_MAPCOUNT, page


def unmapped_huge(world: World) -> Told:
    """The same of a leaf that maps a large folio."""
    page = world.folio(world.cfg.pmd_order)
    world.core(rmap.sub_large_mapcount)(page, 1, world.vma())
    return v.W_MAPCOUNT, page


def ended_outside(world: World) -> Told:
    """A section of lazy MMU mode ends that none began; before 7.0 nobody counts them."""
    if not world.feature.lazy_mmu_nesting:
        return 0, 0
    world.core(lazy_mmu.lazy_mmu_mode_disable)()
    return v.W_LAZY_MMU, 0


def resumed_outside(world: World) -> Told:
    """A pause ends that none began."""
    world.core(lazy_mmu.lazy_mmu_mode_resume)()
    return v.W_LAZY_MMU, 1


def queued_past_the_end(world: World) -> Told:
    """A gather gets more pages than it has slots, by one, then by more than the room behind them."""
    tlb = world.core(mmu_gather.tlb_gather_mmu)(int(world.tables["TASK"]["mm"][2]))
    batch = int(world.tables["GATHER"]["local"][tlb])
    most = mmu_gather.MMU_GATHER_BUNDLE + mmu_gather.SPARE_SLOTS
    for number in range(most):
        world.core(mmu_gather.put_slot)(batch, number << 2)
        expected = max(0, number + 1 - mmu_gather.MMU_GATHER_BUNDLE)
        if world.s.count(v.GATHER_OVERFLOW) != expected or world.s.get("warned"):
            raise CheckFailed(
                f"{number + 1} pages in {mmu_gather.MMU_GATHER_BUNDLE} slots: {expected} overrun them"
            )
    world.core(mmu_gather.put_slot)(batch, 0)
    return v.W_GATHER_RANGE, most


def faulted_for_ever(world: World) -> Told:
    """Faults succeed, and the access cannot go on all the same."""
    world.s.do(OP_MMAP, 1, AT, PAGES * world.s.page, RW, ANON, -1, 0)
    tried = len(IN_VAIN)
    for most, *row in (
        (access.MAX_FAULTS + 1, OP_TOUCH, 1, AT + world.s.page, 1, ACCESS_WRITE),
        (gup.MAX_FAULTS, OP_MADVISE, 1, AT, world.s.page, MADV_POPULATE_WRITE),
    ):
        if world.s.do(*row) != -EFAULT:
            raise CheckFailed("an access that never gets through has to fail")
        if len(IN_VAIN) - tried != most:
            raise CheckFailed(f"an access is tried {len(IN_VAIN) - tried} times; right is {most}")
        tried = len(IN_VAIN)
    return v.W_FAULT_LOOP, AT + world.s.page


def unsplit(world: World) -> Told:
    """A split says that it has been made."""
    large = world.folio(2)
    world.core(folio_split.split_folio_to_list)(large, 0)
    return v.W_SPLIT, large


def unsplit_around(world: World) -> Told:
    """The same of one around a page."""
    large = world.folio(2)
    world.core(folio_split.folio_split)(large, large + 1)
    return v.W_SPLIT, large


def in_vain(_: Callable[..., int]) -> Callable[..., int]:
    """A function that says it did, and does nothing but remember with what."""

    def did(*arguments: int) -> int:
        IN_VAIN.append(arguments)
        return 0

    return did


MISTAKES: dict[Callable[[World], Told], dict[Callable[..., Any], Replace]] = {
    put_once_more: {}, put_while_mapped: {}, freed_twice: {}, unmapped_twice: {}, unmapped_huge: {},
    ended_outside: {}, resumed_outside: {}, queued_past_the_end: {},
    faulted_for_ever: {fault.handle_mm_fault: in_vain},
    unsplit: {folio_split.__folio_split: in_vain}, unsplit_around: {folio_split.__folio_split: in_vain},
}  # fmt: skip


@check(
    "stateful.warned",
    source="include/asm-generic/bug.h:WARN_ON_ONCE; include/linux/mmdebug.h; mm/page_alloc.c:bad_page",
    turns=True,
)
def warned(context: Context) -> str:
    """Whoever drops, unmaps, frees, ends or splits what is none is told: every time, and what the first was about."""
    for mistake, instead in MISTAKES.items():
        world = World(context, instead)
        told = mistake(world)
        if not told[0]:
            continue
        heard(world.s, told, 1, mistake)
        world.core(folio.folio_put_refs)(world.folio(), 2)
        heard(world.s, told, 2, mistake)
    return f"{len(MISTAKES)} mistakes"


def heard(s: System, told: Told, times: int, mistake: Callable[[World], Told]) -> None:
    """CheckFailed unless core-mm has warned so often, and remembers the first."""
    found = s.get("warn_code"), s.get("warn_value")
    if s.get("warned") != times or s.count(v.WARN_EVENT) != times or found != told:
        raise CheckFailed(
            f"{mistake.__doc__} core-mm warns {s.get('warned')} times, counts {s.count(v.WARN_EVENT)} and remembers "
            f"{warning(found[0])} ({found[1]:#x}); right is {times}, and {warning(told[0])} ({told[1]:#x})"
        )
