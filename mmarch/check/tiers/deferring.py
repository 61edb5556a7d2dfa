"""Tier tlb: flushes that reclaim puts off, by one CPU, and what others do about them."""

from __future__ import annotations

from core_mm.uapi import (
    ACCESS_READ,
    FILE_REGULAR,
    MADV_PAGEOUT,
    MADV_RANDOM,
    MAP_FIXED,
    MAP_SHARED,
    OP_MADVISE,
    OP_MMAP,
    OP_TOUCH,
)
from core_mm.vmstat import ARCH_EVENT, FOLIO_FREE, LOG_DSB, LOG_TLBI
from mmarch.check.batching import batch
from mmarch.check.context import Context
from mmarch.check.outcome import CheckFailed, Skipped
from mmarch.check.registry import check
from mmarch.check.system import System, system
from mmarch.check.walking import Step, Walker
from mmarch.engine.hookimpls import implementations

AT = 0x10000000
PAGES = 64


def deferring(context: Context) -> None:
    """Skipped where no flush is ever put off."""
    if context.arch.tlb_model is None:
        raise Skipped("the descriptor has no tlb_model")
    default = context.arch.name == context.generic.name
    if default or "arch_tlbbatch_should_defer" not in implementations(context.arch):
        raise Skipped("the architecture defers no flushes")


@check(
    "tlb.pending",
    hooks=("arch_flush_tlb_batched_pending", "arch_tlbbatch_add_pending"),
    source="mm/rmap.c:flush_tlb_batched_pending; arch/arm64/include/asm/tlbflush.h, Fixes 43b3dfdd0455",
)
def pending(context: Context) -> None:
    """Who finds another CPU's flushes put off flushes itself: its barrier does not wait for what others issued."""
    deferring(context)
    for variant in context.variants():
        walker = Walker(variant)
        nr = 2 * walker.bench.block
        walker.run([Step("map", 0, nr, 4)], flush_of_another_cpu)


def flush_of_another_cpu(walker: Walker, step: Step) -> None:
    """One CPU reclaims and is interrupted; the other goes by what it does itself."""
    bench = walker.bench
    start, end = bench.addr(0), bench.addr(step.nr)
    for index in range(step.nr):
        batch(bench, "ptep_get_and_clear", index, 1)
    walker.oracle.feed(bench.take_log())
    bench.hook.arch_tlbbatch_add_pending(bench.mm, start, end)
    bench.take_log()  # issued by the one, and nobody has waited
    bench.hook.arch_flush_tlb_batched_pending(bench.mm)
    walker.oracle.feed(bench.take_log())
    left = walker.oracle.recent()
    if left:
        raise CheckFailed(
            f"arch_flush_tlb_batched_pending leaves page {left[0].page:#x} cached, whose flush another CPU put off: "
            f"{left[0].why}"
        )


@check(
    "tlb.deferred",
    hooks=("arch_tlbbatch_should_defer", "arch_tlbbatch_add_pending", "arch_tlbbatch_flush"),
    level="should",
    source="mm/vmscan.c:shrink_folio_list; mm/rmap.c:try_to_unmap_flush",
)
def deferred(context: Context) -> None:
    """Reclaim of clean pages waits for its flushes once for many of them."""
    deferring(context)  # some CPUs have better ways: only the default one is looked at
    size = PAGES << context.geometry.page_shift
    machine = system(context, files=((FILE_REGULAR, 2 * size),), judged=False)
    machine.do(OP_MMAP, 1, AT, size, 1, MAP_SHARED | MAP_FIXED, 0, 0)
    machine.do(OP_MADVISE, 1, AT, size, MADV_RANDOM)
    machine.do(OP_TOUCH, 1, AT, PAGES, ACCESS_READ)
    before = machine.count(FOLIO_FREE)
    machine.do(OP_MADVISE, 1, AT, size, MADV_PAGEOUT)
    freed, waited = machine.count(FOLIO_FREE) - before, waits(context, machine)
    if freed < PAGES // 2:
        raise CheckFailed(f"MADV_PAGEOUT frees {freed} of {PAGES} clean pages", machine.steps())
    if waited > freed // 8 + 4:
        raise CheckFailed(f"reclaim of {freed} clean pages waits {waited} times for flushes", machine.steps())


def waits(context: Context, machine: System) -> int:
    """How often the last operation waited for invalidations; each waits by itself where there are no barriers."""
    model = context.arch.tlb_model
    assert model is not None
    names = {ARCH_EVENT + number: name for number, name in enumerate(context.arch.events)}
    found = [(row[0], names.get(row[1], "")) for row in machine.log()]
    if model.synchronous:
        return sum(kind == LOG_TLBI and not model.tlbi[name].local for kind, name in found)
    return sum(kind == LOG_DSB and model.complete.get(name) == "all" for kind, name in found)
