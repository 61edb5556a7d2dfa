"""Tier gather: mappings of bare frames, which no reference and no mapcount keeps (VM_PFNMAP)."""

from __future__ import annotations

from core_mm import mmap, pgtable, vma_tree
from core_mm.mm_types import EINVAL, VM_PFNMAP
from core_mm.uapi import (
    MADV_COLD,
    MADV_DONTNEED,
    MADV_FREE,
    MADV_PAGEOUT,
    MAP_ANONYMOUS,
    MAP_FIXED,
    MAP_PRIVATE,
    OP_CLEAR_REFS,
    OP_FORK,
    OP_MADVISE,
    OP_MMAP,
    OP_MPROTECT,
    OP_MUNMAP,
)
from core_mm.vmstat import GATHER_FLUSH_VMA
from mmarch.check.context import Context
from mmarch.check.observing import Observer
from mmarch.check.outcome import CheckFailed, Skipped
from mmarch.check.registry import check
from mmarch.check.system import System, outcome, system
from mmarch.check.tiers.calls import MADV_DONTNEED_LOCKED
from mmarch.check.tiers.raced import entries
from mmarch.engine.direct import Bound, DirectMachine

AT, PAGES, DEVICE = 0x10000000, 5, 1 << 24  # DEVICE: a frame beyond the memory map

ADVICE = (MADV_DONTNEED, MADV_DONTNEED_LOCKED, MADV_FREE, MADV_COLD, MADV_PAGEOUT)


class Watch:
    """Looks at the oracle at the moment a VMA is hidden from rmap walks."""

    def __init__(self) -> None:
        self.machine: System | None = None
        self.asked = 0

    def watch(self, original: Bound) -> Bound:
        """What replaces unlink_mappings."""

        def unlink(vma: int) -> int:
            if self.machine is not None and self.machine.oracle is not None:
                self.asked += 1
                self.machine.drain()
                left = self.machine.oracle.recent()
                if left:
                    raise CheckFailed(
                        f"page {left[0].page:#x} of a mapping of bare frames may be cached while its VMA goes out of "
                        "reach of unmap_mapping_range"
                    )
            return original(vma)

        return unlink


@check(
    "gather.pfnmap",
    hooks=("tlb_flush", "tlb_merge_vmas"),
    source="include/asm-generic/tlb.h:tlb_end_vma, Linux 6.12; mm/memory.c:free_pgtables, Linux 6.16",
)
def pfnmap(context: Context) -> None:
    """A mapping of bare frames is flushed before its VMA goes out of reach of unmap_mapping_range."""
    if context.arch.tlb_model is None:
        raise Skipped("the descriptor has no tlb_model")
    for variant in context.variants():
        watch = Watch()
        machine = system(variant, instead={mmap.unlink_mappings: watch.watch})
        map_frames(machine)
        watch.machine, counted = machine, machine.count(GATHER_FLUSH_VMA)
        try:
            machine.do(OP_MUNMAP, 1, AT, PAGES * machine.page)
        except CheckFailed as error:
            raise CheckFailed(f"{error}{variant.where}", machine.steps()) from None
        if not watch.asked:
            raise CheckFailed("munmap hides no VMA", machine.steps())
        if (times := machine.count(GATHER_FLUSH_VMA) - counted) != 1:
            raise CheckFailed(
                f"one mapping is flushed, and gather_flush_vma is counted {times} times{variant.where}",
                machine.steps(),
            )
        machine.judge(variant.where)


@check("stateful.bare-frames", source="madvise(2), EINVAL; mm/vma.h:VM_SPECIAL; mm/memory.c:vma_needs_copy")
def frames(context: Context) -> None:
    """A mapping of bare frames takes no advice about pages, is merged with none, and a child has the same frames."""
    for variant in context.variants():
        s = system(variant)
        map_frames(s)
        size = PAGES * s.page
        table = entries(s)
        for advice in ADVICE:
            returns(s, -EINVAL, OP_MADVISE, 1, AT, size, advice)
        for flags in (1, 2, 3, 4):
            returns(s, 0, OP_CLEAR_REFS, 1, flags)
        if entries(s) != table:
            raise CheckFailed(f"what concerns pages changes entries of bare frames{variant.where}", s.steps())
        for place, prot in ((AT + size, 3), (AT - s.page, 1)):
            returns(s, place, OP_MMAP, 1, place, s.page, prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0)
        returns(s, 0, OP_MPROTECT, 1, AT - s.page, s.page, 3)
        areas = int(s.machine.memory.tables["MM"]["map_count"][int(s.machine.memory.tables["TASK"]["mm"][2])])
        if areas != 3:
            raise CheckFailed(
                f"bare frames and pages beside them are {areas} mappings, not 3{variant.where}", s.steps()
            )
        returns(s, 0, OP_FORK, 1, 2)
        observer = Observer(s)
        seen = [observer.look(observer.mm_of(2), AT // s.page + i) for i in range(PAGES)]
        if [one and one.pfn for one in seen] != [DEVICE + i for i in range(PAGES)]:
            raise CheckFailed(f"a child has not the frames of its parent: {seen}{variant.where}", s.steps())
        s.judge(variant.where)


def returns(s: System, wanted: int, *row: int) -> None:
    """An operation with its result."""
    if (found := s.do(*row)) != wanted:
        raise CheckFailed(f"{s.steps()[-1]} returned {outcome(found)}; right is {outcome(wanted)}", s.steps())


def map_frames(s: System) -> None:
    """What remap_pfn_range does: a VMA without pages, special entries."""
    machine = s.machine
    assert isinstance(machine, DirectMachine)
    s.do(OP_MMAP, 1, AT, PAGES * s.page, 3, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0)
    mm = int(machine.memory.tables["TASK"]["mm"][2])
    vma = machine.bound(vma_tree.find_vma)(mm, AT)
    machine.memory.tables["VMA"]["vm_flags"][vma] |= VM_PFNMAP
    pmdp = machine.bound(pgtable.pmd_alloc)(mm, AT)
    machine.bound(pgtable.pte_alloc)(mm, pmdp)
    ptep = machine.bound(pgtable.pte_offset_map)(pmdp, AT)
    hook = machine.hooks
    for i in range(PAGES):
        pte = hook["pte_mkspecial"](hook["pfn_pte"](DEVICE + i, hook["vm_get_page_prot"](3)))
        hook["set_ptes"](mm, AT + i * s.page, ptep + i, pte, 1)
    s.drain()
