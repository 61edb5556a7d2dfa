"""Tier tlb: flushes that reclaim puts off, by one CPU, and what others do about them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from core_mm import reclaim, tlb_batched
from core_mm.uapi import (
    ACCESS_READ,
    ACCESS_WRITE,
    FILE_REGULAR,
    MADV_COLD,
    MADV_DONTNEED,
    MADV_FREE,
    MADV_PAGEOUT,
    MADV_RANDOM,
    MAP_ANONYMOUS,
    MAP_FIXED,
    MAP_PRIVATE,
    MAP_SHARED,
    MREMAP_DONTUNMAP,
    MREMAP_FIXED,
    MREMAP_MAYMOVE,
    OP_MADVISE,
    OP_MMAP,
    OP_MPROTECT,
    OP_MREMAP,
    OP_MUNMAP,
    OP_TOUCH,
)
from core_mm.vmstat import ARCH_EVENT, FOLIO_FREE, LOG_DSB, LOG_TLBI
from mmarch.check.batching import batch
from mmarch.check.context import Context
from mmarch.check.outcome import CheckFailed, Skipped
from mmarch.check.registry import check
from mmarch.check.system import System, show, system
from mmarch.check.walking import Step, Walker
from mmarch.engine.direct import Bound, DirectMachine
from mmarch.engine.hookimpls import implementations
from mmarch.sanitize.stale import Stale

AT, BESIDE, ELSEWHERE = 0x10000000, 0x20000000, 0x50000000
PAGES, FEW = 64, 16  # more than reclaim unmaps before it waits, and fewer


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


def examining(size: int) -> Iterator[tuple[int, ...]]:
    """Calls that look at the entries of a mapping of a file at AT, or of memory beside it."""
    yield OP_MPROTECT, 1, AT, size, 0
    yield OP_MUNMAP, 1, AT, size
    yield OP_MADVISE, 1, AT, size, MADV_DONTNEED
    yield OP_MREMAP, 1, AT, size, size, MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, ELSEWHERE
    yield OP_MADVISE, 1, BESIDE, size, MADV_FREE
    yield OP_MADVISE, 1, AT, size, MADV_COLD


@check(
    "tlb.interrupted",
    hooks=("arch_flush_tlb_batched_pending", "arch_tlbbatch_add_pending"),
    source="mm/rmap.c:flush_tlb_batched_pending, from zap_pte_range, change_pte_range, move_ptes and madvise; "
    "3ea277194daa",
)
def interrupted(context: Context) -> None:
    """Whoever examines entries while reclaim on another CPU has put flushes off completes them first."""
    deferring(context)
    size = FEW << context.geometry.page_shift
    for call in examining(size):
        interrupt(context, size, call)


def interrupt(context: Context, size: int, call: tuple[int, ...]) -> None:
    """kswapd reclaims a file's clean pages and, when it wants to wait, a thread on another CPU makes a call."""
    left: list[Stale] = []
    calls = [call]

    def interrupting(original: Bound) -> Bound:
        def try_to_unmap_flush() -> int:
            if calls and machine.get("tlb_ubc"):
                machine.interrupt(*calls.pop())
                left.extend(machine.oracle.recent() if machine.oracle else ())
            return original()

        return try_to_unmap_flush

    machine = system(
        context, files=((FILE_REGULAR, 2 * size),), instead={tlb_batched.try_to_unmap_flush: interrupting}
    )
    machine.do(OP_MMAP, 1, AT, size, 1, MAP_SHARED | MAP_FIXED, 0, 0)
    machine.do(OP_MMAP, 1, BESIDE, size, 3, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0)
    machine.do(OP_TOUCH, 1, AT, FEW, ACCESS_READ)
    machine.do(OP_TOUCH, 1, BESIDE, FEW, ACCESS_WRITE)
    kswapd(machine)
    if calls:
        raise CheckFailed(
            "reclaim of clean pages never waits for flushes that it has put off", machine.steps()
        )
    if left:
        raise CheckFailed(
            f"reclaim has cleared the entry of page {left[0].page:#x} and put its flush off; {show(call)} on another "
            f"CPU returns while it may be cached; flush: {left[0].why}",
            [*machine.steps(), "kswapd reclaims the file, and before it waits for its flushes:", show(call)],
        )


def kswapd(machine: System) -> None:
    """Reclaims every folio of the first file; no gather of the address space is open meanwhile."""
    assert isinstance(machine.machine, DirectMachine)
    bound, memory = machine.machine.bound, machine.machine.memory
    pages = memory.arrays["i_pages"][: memory.tables["INODE"]["pages"][1]]
    folios = np.unique(memory.tables["PAGE"]["head"][pages[pages > 0]])
    for folio in folios.tolist():
        bound(reclaim.folio_isolate_lru)(folio)
    nr = machine.get("nr_isolated")
    machine.set("nr_isolated", 0)
    bound(reclaim.reclaim_pages)(nr)


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
