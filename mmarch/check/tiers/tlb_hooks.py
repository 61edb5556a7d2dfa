"""Tier tlb: single hooks and the flushes they need, judged by the oracle."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from core_mm import mmu_gather
from core_mm.pgtable import pmd_off
from core_mm.vmstat import ARCH_EVENT, LOG_DSB, LOG_TLBI
from mmarch.check.bench import PRESENT, Bench
from mmarch.check.context import Context
from mmarch.check.instructions import Instructions
from mmarch.check.outcome import CheckFailed, Skipped
from mmarch.check.registry import check
from mmarch.check.walking import Step, Walker, walk

FEW = 16  # pages


@check(
    "tlb.hooks",
    hooks=("flush_tlb_range", "flush_tlb_page"),
    source="Documentation/core-api/cachetlb.rst",
)
def hooks(context: Context) -> None:
    """After a hook and the flush of its range nothing is cached that permits more than the table, whatever the walk."""
    if context.arch.tlb_model is None:
        raise Skipped("the descriptor has no tlb_model")

    def judge(walker: Walker, step: Step) -> None:
        found = walker.violation()
        if found is not None:
            raise CheckFailed(str(found))

    walk(context, judge, walks=500)


@check("tlb.spurious", hooks=("ptep_set_access_flags",), source="mm/memory.c:handle_pte_fault")
def spurious(context: Context) -> None:
    """A write fault that makes entries writable drops their read-only translations, on this CPU at least."""
    if context.arch.tlb_model is None:
        raise Skipped("the descriptor has no tlb_model")
    if context.arch.tlb_model.fault_drops:
        raise Skipped("the hardware drops the translation that a fault was about")

    def judge(walker: Walker, step: Step) -> None:
        if step.action != "fault":
            walker.oracle.finish()
            return
        left = [item for item in walker.oracle.recent() if not item.local and item.leaf.permits != 0]
        missed = [item for item in left if _upgraded(walker, item.ptep, item.before)]
        walker.oracle.finish()
        if missed:
            index = missed[0].ptep - walker.bench.first
            raise CheckFailed(
                f"ptep_set_access_flags changes entry {index} and leaves its old translation cached here"
            )

    walk(context, judge, walks=300, first=faults_in_block)


def faults_in_block(block: int) -> Iterator[list[Step]]:
    """Write faults at each end of a block of clean, writable entries, and in the middle of it."""
    for at in (0, block // 2, block - 1):
        yield [Step("map", block, block, 0), Step("fault", block + at, 1, 1)]


SIZES = (
    1,
    2,
    3,
    15,
    16,
    17,
    31,
    62,
    63,
    64,
    65,
    127,
    128,
    511,
    512,
    513,
    2047,
    2048,
    2049,
    4095,
    65536,
    131071,
    2097152,
)


@check(
    "tlb.ranges",
    hooks=("flush_tlb_range", "tlb_flush"),
    source="arch/arm64/include/asm/tlbflush.h:__flush_tlb_range_op",
)
def ranges(context: Context) -> None:
    """flush_tlb_range covers every page of ranges of any length, walk caches of whole tables too, and waits for it."""
    model = context.arch.tlb_model
    if model is None:
        raise Skipped("the descriptor has no tlb_model")
    for variant in context.variants():
        bench = variant.bench()
        first = bench.base // bench.page
        for pages in SIZES:
            if pages > 4096 and (variant is not context or context.quick):
                continue
            for start in (first, first + 1, first + 15):
                bench.take_log()
                bench.hook.flush_tlb_range(bench.vma, start * bench.page, (start + pages) * bench.page)
                covered(variant, bench, start, pages)


def covered(context: Context, bench: Bench, start: int, pages: int) -> None:
    """CheckFailed unless the log of one flush covers [start, start + pages).

    Where no table lies in the range whole, no pointer to one can have changed: leaf entries are enough.
    """
    if bench.machine.mach.log_len > bench.machine.cfg.log_capacity:
        bench.take_log()
        return
    what = f"flush_tlb_range of {pages} pages from page {start:#x} on{context.where}"
    at = start
    for low, high, walks, hint in sorted(invalidated(context, bench, what, start, pages)):
        if (walks or pages < bench.entries) and not hint:
            if low > at:
                break
            at = max(at, high)
    if at < start + pages:
        raise CheckFailed(f"{what} leaves page {at:#x} cached, or a walk cache that leads there")


def invalidated(
    context: Context, bench: Bench, what: str, start: int, pages: int, here: bool = False
) -> list[tuple[int, int, bool, int]]:
    """Of the log of one flush: pages [low, high) dropped on every CPU, whether walk caches go too, and the level hint.

    `here`: on this CPU is enough. CheckFailed if it does not wait for the last one; what names no pages counts for
    all of them.
    """
    model = context.arch.tlb_model
    assert model is not None
    names = {ARCH_EVENT + number: name for number, name in enumerate(context.arch.events)}
    done: list[tuple[int, int, bool, int]] = []
    waiting = False
    for row in bench.take_log():
        name = names.get(row[1], "")
        if row[0] == LOG_DSB and model.complete.get(name, "") in (("all", "local") if here else ("all",)):
            waiting = False
        scope = model.tlbi.get(name) if row[0] == LOG_TLBI else None
        if scope is None or row[4] < 0:
            continue
        waiting = not model.synchronous
        if here or not scope.local:
            at = row[2] // bench.page
            low, high = (
                (at, at + max(row[3] & 0xFFFFFFFF, 1)) if scope.scope == "pages" else (start, start + pages)
            )
            done.append((low, high, scope.walk, (row[3] >> 32) & 3))
    if waiting:
        raise CheckFailed(f"{what} does not wait for its last invalidation")
    return done


@check(
    "tlb.pmd-ranges",
    hooks=("flush_pmd_tlb_range",),
    source="mm/huge_memory.c:move_huge_pmd; include/linux/pgtable.h:flush_pmd_tlb_range",
)
def pmd_ranges(context: Context) -> None:
    """flush_pmd_tlb_range drops the huge translation of every PMD in its range, not the first one alone, and waits."""
    if context.arch.tlb_model is None:
        raise Skipped("the descriptor has no tlb_model")
    for variant in context.variants():
        bench = variant.bench()
        for pmds in (1, 2, 3, 17):
            bench.take_log()
            span, first = bench.entries, bench.base // bench.page
            bench.hook.flush_pmd_tlb_range(bench.vma, bench.base, bench.base + pmds * span * bench.page)
            what = f"flush_pmd_tlb_range of {pmds} PMDs at {bench.base:#x}{variant.where}"
            done = invalidated(variant, bench, what, first, pmds * span)
            for number in range(pmds):
                at = first + number * span
                wrong = pmd_flaw(done, at, at + span)
                if wrong:
                    raise CheckFailed(f"{what} leaves the translation of PMD {number + 1} cached: {wrong}")


def pmd_flaw(done: Sequence[tuple[int, int, bool, int]], first: int, last: int) -> str:
    """Why a huge translation of pages [first, last) stays, "" if it goes; one page of it is enough."""
    hits = [hint for low, high, _, hint in done if low < last and first < high]
    if not hits:
        return "no invalidation names a page of it"
    return "" if any(hint in (0, 2) for hint in hits) else f"the level hint is {hits[0]}, a PMD is at level 2"


@check(
    "tlb.spurious-pmd",
    hooks=("pmdp_set_access_flags", "flush_tlb_fix_spurious_fault_pmd"),
    source="mm/huge_memory.c:do_huge_pmd_wp_page, touch_pmd, cb1fa2e99955",
)
def spurious_pmd(context: Context) -> None:
    """A write fault that makes a huge page writable drops its read-only translation here; others do in their own."""
    model = context.arch.tlb_model
    if model is None or model.fault_drops:
        raise Skipped("the descriptor has no tlb_model, or faults drop translations")
    for variant in context.variants():
        bench = variant.bench()
        hook, addr = bench.hook, bench.first_addr + bench.entries * bench.page
        pmdp, table = bench.core(pmd_off)(bench.mm, addr), bench.machine.memory.arrays["ptes"]
        before, clean = int(table[pmdp]), bench.value(5 * bench.entries, "w", young=1)
        written = hook.pmd_mkhuge(hook.pte_mkwrite(hook.pte_mkdirty(clean)))
        for what in ("pmdp_set_access_flags", "a spurious fault after it"):
            hook.set_pmd_at(bench.mm, addr, pmdp, hook.pmd_mkhuge(hook.pte_wrprotect(clean)))
            bench.take_log()
            hook.pmdp_set_access_flags(bench.vma, addr, pmdp, written, 1)
            if what != "pmdp_set_access_flags" and not everywhere(variant, bench):
                if not hook.pmdp_set_access_flags(bench.vma, addr, pmdp, written, 1):
                    hook.flush_tlb_fix_spurious_fault_pmd(bench.vma, addr + 5 * bench.page, pmdp)
            table[pmdp], first = before, addr // bench.page
            done = invalidated(variant, bench, f"{what}{variant.where}", first, bench.entries, here=True)
            if wrong := pmd_flaw(done, first, first + bench.entries):
                raise CheckFailed(f"{what}{variant.where} leaves the read-only translation cached here: {wrong}")


def everywhere(context: Context, bench: Bench) -> bool:
    """Whether the last call has invalidated anything on all CPUs; then its log stays for who asks next."""
    model, rows = context.arch.tlb_model, bench.machine.mach.log_len
    assert model is not None
    names = {ARCH_EVENT + number: name for number, name in enumerate(context.arch.events)}
    found = [
        model.tlbi[names[row[1]]]
        for row in bench.take_log()
        if row[0] == LOG_TLBI and names.get(row[1]) in model.tlbi
    ]
    if reached := any(not scope.local for scope in found):
        bench.machine.mach.log_len = rows
    return reached


@check(
    "tlb.bounded",
    hooks=("flush_tlb_range", "tlb_flush"),
    level="should",
    source="arch/arm64/include/asm/tlbflush.h:MAX_DVM_OPS",
)
def bounded(context: Context) -> None:
    """A flush of a gigabyte takes no more invalidations than a table has entries."""
    for variant in context.variants():
        bench = variant.bench()
        bench.machine.mach.log_len = 0
        bench.hook.flush_tlb_range(bench.vma, bench.base, bench.base + (1 << 30))
        rows = bench.machine.mach.log_len
        bench.take_log()
        if rows > 2 * bench.entries + 8:
            raise CheckFailed(f"flush_tlb_range of 1 GiB writes {rows} rows of log{variant.where}")


@check(
    "tlb.few",
    hooks=("flush_tlb_range", "tlb_flush"),
    level="should",
    source="arch/x86/mm/tlb.c:tlb_single_page_flush_ceiling; arch/arm64/include/asm/tlbflush.h:MAX_DVM_OPS",
)
def few(context: Context) -> None:
    """A flush of fewer pages than any architecture's ceiling leaves the rest of the address space alone."""
    for variant in context.variants():
        few_flushed(variant, variant.bench())


def few_flushed(context: Context, bench: Bench) -> None:
    """By flush_tlb_range, and by a gather."""
    if (found := Instructions.of(context.arch, context.geometry.page_shift)) is None:
        return
    start, size = bench.base, FEW * bench.page
    bench.hook.flush_tlb_range(bench.vma, start, start + size)
    if found.invalidated(bench.take_log()) is None:
        raise CheckFailed(f"flush_tlb_range of {FEW} pages drops a whole address space{context.where}")
    tlb = bench.core(mmu_gather.tlb_gather_mmu)(bench.mm)
    bench.core(mmu_gather.tlb_flush_pte_range)(tlb, start, size)
    bench.core(mmu_gather.tlb_finish_mmu)(tlb)
    if found.invalidated(bench.take_log()) is None:
        raise CheckFailed(f"a gather of {FEW} pages drops a whole address space{context.where}")


@check(
    "tlb.spurious-fix",
    hooks=("flush_tlb_fix_spurious_fault",),
    source="mm/memory.c:handle_pte_fault, cb1fa2e99955",
)
def spurious_fix(context: Context) -> None:
    """A CPU whose old translation was not flushed when an entry became writable loses it in its spurious fault."""
    model = context.arch.tlb_model
    if model is None or model.fault_drops:
        raise Skipped("the descriptor has no tlb_model, or faults drop translations")

    def judge(walker: Walker, step: Step) -> None:
        if step.action == "fault" and walker.bench.look(step.start).kind == PRESENT:
            for item in walker.oracle.recent():
                item.local = False
            bench = walker.bench
            address, ptep = bench.addr(step.start), bench.ptep(step.start)
            bench.hook.flush_tlb_fix_spurious_fault(bench.vma, address, ptep)
            walker.oracle.feed(bench.take_log())
            left = [item for item in walker.oracle.recent() if item.ptep == ptep and not item.local]
            if any(_upgraded(walker, item.ptep, item.before) for item in left):
                raise CheckFailed(
                    "another CPU that has the old translation faults for ever: nothing drops it"
                )
        walker.oracle.finish()

    walk(context, judge, walks=200)


def _upgraded(walker: Walker, ptep: int, before: int) -> bool:
    """Whether the entry now permits writes that the cached one does not."""
    index = ptep - walker.bench.first
    was = walker.oracle.decoder.leaf(before, index)
    now = walker.oracle.decoder.leaf(int(walker.bench.table[index]), index)
    return was.pfn == now.pfn and bool(now.permits & ~was.permits)
