"""Tier gather: what tlb_gather promises, driven through the architecture's own hooks (mm/mmu_gather.c)."""

from __future__ import annotations

from functools import partial

from core_mm import folio as folios
from core_mm import mmu_gather, rmap
from core_mm.memory import zap
from core_mm.vmstat import GATHER_LEAK, GATHER_OVERFLOW
from mmarch.check.batching import batch
from mmarch.check.bench import Bench
from mmarch.check.context import Context
from mmarch.check.outcome import CheckFailed, Skipped
from mmarch.check.registry import check
from mmarch.check.walking import Step, Walker

_ADD = "mm/mmu_gather.c:__tlb_remove_folio_pages_size"
BUNDLE = 8  # MMU_GATHER_BUNDLE
MANY = 1 << 20  # references


def capacity(context: Context, page_size: int, pairs: bool, pages: int = MANY) -> int:
    """Entries until a gather is full, by its definition: slots of the bundle and of the pages it can allocate."""
    slots = (page_size - 16) // 8
    pages = min(10000 // slots, pages)
    if not context.bench().machine.feature.gather_pairs:
        return BUNDLE + pages * slots
    if pairs:
        return BUNDLE // 2 + pages * (slots // 2)
    return BUNDLE - 1 + pages * (slots - 1)


def fill(bench: Bench, page: int, nr: int, most: int, tlb: int = 0) -> tuple[int, int]:
    """A gather, or `tlb` again, with entries of `nr` pages, until it is full or has `most`: (tlb, entries)."""
    tlb = tlb or bench.core(mmu_gather.tlb_gather_mmu)(bench.mm)
    bench.core(mmu_gather.tlb_flush_pte_range)(tlb, bench.addr(0), bench.page)
    add = bench.core(mmu_gather.tlb_remove_folio_pages)
    for number in range(1, most + 1):
        if add(tlb, page, nr, 0):
            return tlb, number
    return tlb, most


@check("gather.capacity", hooks=("tlb_flush",), source=_ADD)
def gather_capacity(context: Context) -> None:
    """A gather is full after as many pages as its slots hold, the last one queued too; flushed, it holds them again."""
    for variant in context.variants():
        bench = variant.bench()
        pages = 2 if bench.machine.feature.gather_pairs else 1
        folio = bench.folio(1)
        bench.core(folios.folio_ref_add)(folio, MANY)
        for nr in sorted({1, pages}):
            expected = capacity(variant, bench.page, nr > 1)
            free = bench.machine.mach.free_pages
            tlb, entries = fill(bench, folio, nr, expected + 10)
            before = bench.core(folios.folio_ref_count)(folio)
            bench.core(mmu_gather.tlb_flush_mmu)(tlb)
            dropped = before - bench.core(folios.folio_ref_count)(folio)
            tlb, again = fill(bench, folio, nr, expected + 10, tlb)
            bench.core(mmu_gather.tlb_finish_mmu)(tlb)
            if again != entries or bench.machine.mach.free_pages != free:
                raise CheckFailed(
                    f"a gather that held {entries} entries of {nr} pages holds {again} after a flush, and keeps "
                    f"{free - bench.machine.mach.free_pages} frames when it ends{variant.where}"
                )
            if entries != expected:
                raise CheckFailed(
                    f"a gather is full after {entries} entries of {nr} pages, not {expected}{variant.where}"
                )
            if dropped != entries * nr:
                raise CheckFailed(f"{entries} entries of {nr} pages drop {dropped} references{variant.where}")


@check("gather.no-memory", hooks=("tlb_flush",), source="mm/mmu_gather.c:tlb_next_batch")
def no_memory(context: Context) -> None:
    """Whenever an allocation fails the gather is full earlier, and still everything queued is freed once."""
    for variant in context.variants():
        bench = variant.bench()
        folio = bench.folio(1)
        bench.core(folios.folio_ref_add)(folio, MANY)
        mach, cfg = bench.machine.mach, bench.machine.cfg
        nr = 2 if bench.machine.feature.gather_pairs else 1
        try:
            for failing in range(1, 5):
                mach.nowait, cfg.fail_nowait = 0, failing
                free = mach.free_pages
                before = bench.core(folios.folio_ref_count)(folio)
                tlb, entries = fill(bench, folio, nr, 20000)
                bench.core(mmu_gather.tlb_finish_mmu)(tlb)
                dropped = before - bench.core(folios.folio_ref_count)(folio)
                expected = capacity(variant, bench.page, nr > 1, failing - 1)
                if entries != expected:
                    raise CheckFailed(
                        f"with allocation {failing} failing, a gather is full after {entries} entries of {nr} pages, "
                        f"not {expected}{variant.where}"
                    )
                if dropped != entries * nr or mach.free_pages != free:
                    raise CheckFailed(
                        f"with allocation {failing} failing, {entries} entries of {nr} pages drop {dropped} references "
                        f"and {free - mach.free_pages} frames stay in use{variant.where}"
                    )
        finally:
            cfg.fail_nowait = 0


@check("gather.mixed", hooks=("tlb_flush",), source="mm/mmu_gather.c:__tlb_batch_free_encoded_pages")
def mixed(context: Context) -> None:
    """Singles and pairs in any order are freed exactly once; no pair is torn apart at the border of two batches."""
    for variant in context.variants():
        bench = variant.bench(counting=True)
        rng = variant.rng()
        folio = bench.folio(4)
        bench.core(folios.folio_ref_add)(folio, MANY)
        add = bench.core(mmu_gather.tlb_remove_folio_pages)
        most = 16 if bench.machine.feature.gather_pairs else 1
        for _ in range(max(3, int(20 * variant.share))):
            before = bench.core(folios.folio_ref_count)(folio)
            tlb = bench.core(mmu_gather.tlb_gather_mmu)(bench.mm)
            bench.core(mmu_gather.tlb_flush_pte_range)(tlb, bench.addr(0), bench.page)
            total, full = 0, 0
            while not full and total < 30000:
                nr = rng.choice((1, 1, most))
                full = add(tlb, folio, nr, 0)
                total += nr
            bench.core(mmu_gather.tlb_finish_mmu)(tlb)
            dropped = before - bench.core(folios.folio_ref_count)(folio)
            if dropped != total or bench.count(GATHER_OVERFLOW):
                overrun = f"{bench.count(GATHER_OVERFLOW)} slots overrun"
                raise CheckFailed(
                    f"{total} pages queued, {dropped} references dropped, {overrun}{variant.where}"
                )


@check("gather.range", hooks=("tlb_flush",), source="include/asm-generic/tlb.h:tlb_flush")
def flush_range(context: Context) -> None:
    """What a gather recorded is flushed, every page of its range."""
    if context.arch.tlb_model is None:
        raise Skipped("the descriptor has no tlb_model")
    for variant in context.variants():
        walker, rng = Walker(variant), variant.rng()
        for _ in range(max(8, int(60 * variant.share))):
            start, nr = rng.randrange(2 * walker.bench.block), rng.randrange(1, walker.bench.block)
            judge = partial(gather_and_flush, start=start, nr=nr)
            walker.run([Step("map", 0, 3 * walker.bench.block, rng.choice((0, 4)))], judge)


def gather_and_flush(walker: Walker, step: Step, start: int, nr: int) -> None:
    """Clear a range in a gather of its own; afterwards none of it may be cached."""
    bench = walker.bench
    tlb = bench.core(mmu_gather.tlb_gather_mmu)(bench.mm)
    for index in range(start, start + nr):
        batch(bench, "pte_clear", index, 1)
    bench.core(mmu_gather.tlb_flush_pte_range)(tlb, bench.addr(start), nr * bench.page)
    bench.core(mmu_gather.tlb_finish_mmu)(tlb)
    walker.oracle.feed(bench.take_log())
    found = walker.violation()
    if found:
        raise CheckFailed(f"tlb_flush of [{start}, {start + nr}): {found}")


@check("gather.nested", hooks=("tlb_flush",), source="mm/mmu_gather.c:tlb_finish_mmu")
def nested(context: Context) -> None:
    """Of two gathers on one mm, the first to end flushes the whole mm: it cannot know what the other cleared."""
    if context.arch.tlb_model is None:
        raise Skipped("the descriptor has no tlb_model")
    for variant in context.variants():
        walker = Walker(variant)
        walker.run([Step("map", 0, walker.bench.block, 4)], two_gathers)


def two_gathers(walker: Walker, step: Step) -> None:
    """Clear an entry in each of two gathers, end one."""
    bench = walker.bench
    finish, record = bench.core(mmu_gather.tlb_finish_mmu), bench.core(mmu_gather.tlb_flush_pte_range)
    outer = bench.core(mmu_gather.tlb_gather_mmu)(bench.mm)
    inner = bench.core(mmu_gather.tlb_gather_mmu)(bench.mm)
    for index, tlb in ((1, outer), (5, inner)):
        batch(bench, "pte_clear", index, 1)
        record(tlb, bench.addr(index), bench.page)
    finish(inner)
    walker.oracle.feed(bench.take_log())
    left = walker.oracle.recent()
    finish(outer)
    if left:
        raise CheckFailed(f"after the first of two gathers ended, page {left[0].page:#x} may still be cached")


@check(
    "gather.reservation",
    hooks=("clear_ptes", "tlb_delay_rmap"),
    source="mm/memory.c:zap_present_folio_ptes; zap of Dec 2023",
)
def reservation(context: Context) -> None:
    """Zapping clean pages, then a dirty folio, at every fill of the gather: nothing is lost, no slot overrun."""
    for clean in range(480, 512, 1 if not context.quick else 4):
        bench = context.bench(counting=True)
        with bench.unguarded():
            zap_clean_then_dirty(bench, clean)
        leaked, overrun = bench.count(GATHER_LEAK), bench.count(GATHER_OVERFLOW)
        if leaked or overrun:
            raise CheckFailed(
                f"zapping {clean} clean pages and a dirty folio loses {leaked} pages and overruns {overrun} slots"
            )
        if bench.machine.mach.warned:
            raise CheckFailed(
                f"zapping {clean} clean pages and a dirty folio warns ({bench.machine.mach.warn_code})"
            )


def zap_clean_then_dirty(bench: Bench, clean: int) -> None:
    """File pages: `clean` single ones, a dirty folio of a block behind them, all unmapped at once."""
    add_rmap = bench.core(rmap.folio_add_file_rmap_ptes)
    first = bench.entries - clean
    order = min((bench.block).bit_length() - 1, 4)
    large = bench.folio(order)
    rss = bench.machine.memory.tables["MM"]["rss_file"]
    base = bench.first - bench.entries  # the table before the one under test
    for i in range(clean):
        page = bench.folio(0)
        add_rmap(page, page, 1, bench.vma)
        addr = bench.first_addr - clean * bench.page + i * bench.page
        bench.hook.set_ptes(bench.mm, addr, base + first + i, bench.value(page, "r", 0, 0), 1)
    for i in range(1 << order):
        bench.set(i, bench.value(large + i, "s", 1, 1))
    add_rmap(large, large, 1 << order, bench.vma)
    bench.core(folios.folio_ref_add)(large, (1 << order) - 1)
    rss[bench.mm] += clean + (1 << order)
    size = (clean + (1 << order)) * bench.page
    bench.core(zap.zap_page_range_single)(bench.vma, bench.first_addr - clean * bench.page, size, 0)


@check(
    "gather.delayed",
    hooks=("clear_ptes", "tlb_delay_rmap"),
    source="mm/mmu_gather.c:tlb_next_batch, Linux 6.2",
)
def delayed(context: Context) -> None:
    """However many rmaps wait for the flush, and wherever in the gather they are, all of them are removed."""
    for clean in (0, 8, 300, 500):
        bench = context.bench(counting=True)
        with bench.unguarded():
            pages = zap_dirty_after_clean(bench, clean)
        left = [page for page in pages if bench.core(folios.folio_mapcount)(page)]
        if left or bench.machine.mach.warned:
            raise CheckFailed(
                f"zapping {clean} clean pages and {len(pages) - clean} dirty ones leaves {len(left)} of them mapped"
            )


def zap_dirty_after_clean(bench: Bench, clean: int) -> list[int]:
    """Single file pages: `clean` of them at the end of a table, as many dirty ones as the next table holds."""
    nr = clean + bench.entries
    pages = [bench.folio(0) for _ in range(nr)]
    add_rmap = bench.core(rmap.folio_add_file_rmap_ptes)
    for i, page in enumerate(pages):
        dirty = int(i >= clean)
        add_rmap(page, page, 1, bench.vma)
        addr, ptep = bench.addr(i - clean), bench.ptep(i - clean)
        bench.hook.set_ptes(bench.mm, addr, ptep, bench.value(page, "s", 1, dirty), 1)
    bench.machine.memory.tables["MM"]["rss_file"][bench.mm] += nr
    bench.core(zap.zap_page_range_single)(bench.vma, bench.addr(-clean), nr * bench.page, 0)
    return pages
