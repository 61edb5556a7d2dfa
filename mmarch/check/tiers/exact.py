"""Tier tlb: what a hook invalidates by itself is what it has changed: all of that or nothing, and no page beyond."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from core_mm import mmu_gather
from core_mm.pgtable import pmd_off
from mmarch import cpus
from mmarch.check.bench import Bench
from mmarch.check.context import Context
from mmarch.check.instructions import Instructions, Row
from mmarch.check.layouts import BLOCKS, Layout, layouts
from mmarch.check.outcome import CheckFailed, Skipped
from mmarch.check.registry import check

PTE, PMD = 3, 2  # levels of leaves
# of one entry, of several
AGE = "ptep_clear_flush_young", "clear_flush_young_ptes"
PROTECT = "ptep_modify_prot_start", "modify_prot_start_ptes"
FAULT, CLEAR = "ptep_set_access_flags", "ptep_clear_flush"


def machines(context: Context) -> Iterator[Context]:
    """Every CPU that differs in a feature, the default one first, each with a page size of its own choice."""
    rng = context.rng("machines")
    models = [context.cpu] if context.cpu else ["", *cpus.covering(context.arch)[1:]]
    for model in models:
        granule = context.granule or (rng.choice(list(context.arch.granules)) if model else "")
        made = replace(context, cpu=model, granule=granule)
        if context.requires <= made.capabilities:
            yield made


class Judge:
    """Of one bench: what its log says that hooks have invalidated.

    flushed  hook and protection -> whether what it has changed is invalidated, as it was so far
    """

    def __init__(self, context: Context) -> None:
        found = Instructions.of(context.arch, context.geometry.page_shift)
        if found is None:
            raise Skipped("the descriptor has no tlb_model")
        self.context, self.instructions = context, found
        self.bench = context.bench()
        self.asid = int(self.bench.machine.memory.tables["MM"]["asid"][self.bench.mm])
        self.flushed: dict[tuple[str, str], bool] = {}

    def take(self, what: str, level: int | None) -> Sequence[Row]:
        """The log, in which every operand can be."""
        rows = self.bench.take_log()
        for row in rows:
            if flaw := self.instructions.flaw(row, self.asid, level):
                raise CheckFailed(f"{what}{self.context.where}: {flaw}")
        return rows

    def within(self, what: str, rows: Sequence[Row], first: int, after: int) -> set[int] | None:
        """Pages that are invalidated, all of them in [first, after); None for all there are."""
        pages = self.instructions.invalidated(rows)
        if outside := sorted(page for page in pages or () if not first <= page < after):
            raise CheckFailed(f"{what}{self.context.where} invalidates page {outside[0]:#x} too")
        return pages

    def changed(self, what: str, rows: Sequence[Row], start: int, nr: int) -> bool | None:
        """Whether entries of a batch that have changed are invalidated afterwards: all or none. None: none changed."""
        base, first = self.bench.first_addr // self.bench.page, self.bench.first
        self.within_blocks(what, rows, start, nr)
        said = {
            index: pages is None or base + index in pages
            for ptep, pages in self.instructions.after_changes(rows)
            if start <= (index := ptep - first) < start + nr
        }
        return self.alike(what, said) if said else None

    def within_blocks(self, what: str, rows: Sequence[Row], start: int, nr: int) -> set[int] | None:
        """Pages that are invalidated, all of them of the blocks that a batch touches; None for all there are."""
        base, (low, high) = self.bench.first_addr // self.bench.page, self.bench.blocks_of(start, nr)
        return self.within(what, rows, base + low, base + high)

    def alike(self, what: str, said: Mapping[int, bool]) -> bool:
        """Whether changed entries are invalidated, all of them or none."""
        if len(set(said.values())) > 1:
            left = next(index for index, gone in said.items() if not gone)
            raise CheckFailed(
                f"{what}{self.context.where} invalidates some of the pages that it changes and leaves entry {left}"
            )
        return any(said.values())

    def agree(self, hooks: Sequence[str], perm: str, hook: str, flushes: bool) -> None:
        """Hooks of one entry and of several do alike."""
        self.flushed.setdefault((hook, perm), flushes)
        for other in hooks:
            if self.flushed.get((other, perm), flushes) != flushes:
                does = "invalidates" if flushes else "does not invalidate"
                raise CheckFailed(f"{hook} {does} what it has changed, unlike {other}{self.context.where}")


def batches(block: int) -> tuple[tuple[int, int], ...]:
    """(start, nr): one entry, whole blocks, and ragged ones."""
    return (0, 1), (block + 1, 1), (0, block), (1, block), (block - 1, 2), (2, 2 * block), (0, BLOCKS * block)


@check(
    "tlb.exact",
    hooks=(
        *AGE,
        *PROTECT,
        FAULT,
        CLEAR,
        "arch_tlbbatch_add_pending",
        "flush_tlb_page",
        "pmdp_clear_flush_young",
    ),
    source="Documentation/core-api/cachetlb.rst; Arm ARM D8.17",
)
def exact(context: Context) -> None:
    """A hook that flushes names what it changed, all of it, at its level, nothing beyond; batches do as single ones."""
    for made in machines(context):
        judge = Judge(made)
        for layout in layouts(made, judge.bench, "wx"):
            for start, nr in batches(judge.bench.block):
                aged(judge, layout, start, nr)
                protected(judge, layout, start, nr)
            single(judge, layout)
        flushes(judge)
        leaf(judge)
        gathered(judge)


def called(
    judge: Judge, layout: Layout, hook: str, start: int, nr: int, *more: int
) -> tuple[int, str, Sequence[Row]]:
    """A hook of a range on a layout: what it returns, how to call that, and its log."""
    bench = judge.bench
    layout.restore(bench)
    bench.take_log()
    what = f"{hook}(start={start}, nr={nr}) on {layout.name}"
    result = getattr(bench.hook, hook)(bench.vma, bench.addr(start), bench.ptep(start), *more)
    return int(result), what, judge.take(what, PTE)


def aged(judge: Judge, layout: Layout, start: int, nr: int) -> None:
    """The accessed flag: nothing is invalidated where none was set, and all that was, or none of it ever."""
    for hook, pages, more in ((AGE[0], 1, ()), (AGE[1], nr, (nr,))):
        found, what, rows = called(judge, layout, hook, start, pages, *more)
        wanted = any(view.young for view in layout.views[start : start + pages])
        names = judge.within_blocks(what, rows, start, pages)
        if not found and (names is None or names):
            raise CheckFailed(f"{what}{judge.context.where} invalidates pages that were not young")
        if not found or not wanted:
            continue
        base, (low, high) = judge.bench.first_addr // judge.bench.page, judge.bench.blocks_of(start, pages)
        old = [
            index for index in range(low, min(high, len(layout.raw)))
            if judge.bench.hook.pte_young(int(layout.raw[index]))
            and not judge.bench.hook.pte_young(int(judge.bench.table[index]))
        ]  # fmt: skip
        gone = {index: names is None or base + index in names for index in old}
        judge.agree(AGE, "", hook, judge.alike(what, gone))


def protected(judge: Judge, layout: Layout, start: int, nr: int) -> None:
    """An entry that is cleared for new permissions is invalidated at once where an erratum wants that, or never.

    How a block is dissolved, or made of single entries, is another matter.
    """
    perm = "x" if judge.bench.hook.pte_write(int(layout.raw[0])) else "w"
    for hook, pages, more in ((PROTECT[0], 1, ()), (PROTECT[1], nr, (nr,))):
        _, what, rows = called(judge, layout, hook, start, pages, *more)
        flushes = judge.changed(what, rows, start, pages)
        if flushes is not None and layout.name == "unfolded" and pages < judge.bench.block:
            judge.agree(PROTECT, perm, hook, flushes)


def single(judge: Judge, layout: Layout) -> None:
    """A fault's entry, and one that is replaced."""
    bench, hook = judge.bench, judge.bench.hook
    for start in (0, bench.block + 1, 3 * bench.block - 2):
        called(judge, layout, CLEAR, start, 1)
        layout.restore(bench)
        entry = hook.pte_mkyoung(hook.ptep_get(bench.ptep(start)))
        for dirty in (0, 1):
            if dirty and not hook.pte_write(entry):
                continue
            entry = hook.pte_mkdirty(entry) if dirty else entry
            _, what, rows = called(judge, layout, FAULT, start, 1, entry, dirty)
            judge.changed(what, rows, start, 1)


def flushes(judge: Judge) -> None:
    """Hooks that do nothing else: of one page, of a page that reclaim has unmapped, after a spurious fault."""
    bench, hook = judge.bench, judge.bench.hook
    bench.clear_table()
    at, page = bench.addr(7), bench.addr(7) // bench.page
    bench.take_log()
    hook.flush_tlb_page(bench.vma, at)
    if judge.within("flush_tlb_page", judge.take("flush_tlb_page", PTE), page, page + 1) != {page}:
        raise CheckFailed(f"flush_tlb_page does not invalidate its page, or more{judge.context.where}")
    for name, arguments in whole(bench).items():
        bench.set(7, bench.value(bench.folio(0), "w"))
        getattr(hook, name)(*arguments)
        if wrong := judge.instructions.unordered(judge.take(name, None)):
            raise CheckFailed(f"{name} {wrong}{judge.context.where}")
        hook.pte_clear(bench.mm, at, bench.ptep(7))
        bench.take_log()
    hook.flush_tlb_fix_spurious_fault(bench.vma, at, bench.ptep(7))
    judge.within(
        "flush_tlb_fix_spurious_fault", judge.take("flush_tlb_fix_spurious_fault", PTE), page, page + 1
    )
    for pages in (1, 5) if bench.machine.feature.tlbbatch_ranges else (1,):
        hook.arch_tlbbatch_add_pending(bench.mm, at, at + pages * bench.page)
        hook.arch_tlbbatch_flush()
        what = f"arch_tlbbatch_add_pending of {pages} pages"
        found = judge.within(what, judge.take(what, PTE), page, page + pages)
        if hook.arch_tlbbatch_should_defer(bench.mm) and found is not None and len(found) != pages:
            raise CheckFailed(f"{what}{judge.context.where} invalidates {len(found)}")


def whole(bench: Bench) -> dict[str, tuple[int, ...]]:
    """Hooks that wait until every CPU has dropped what they are about, with arguments for the eighth entry."""
    at, end = bench.addr(7), bench.addr(8)
    return {
        "flush_tlb_page": (bench.vma, at), "flush_tlb_range": (bench.vma, at, end), "flush_tlb_mm": (bench.mm,),
        "flush_tlb_all": (), "flush_pmd_tlb_range": (bench.vma, bench.addr(0), bench.addr(bench.entries)),
    }  # fmt: skip


def leaf(judge: Judge) -> None:
    """The accessed flag of a PMD leaf, which every architecture of Linux invalidates: it stands for many pages."""
    bench, hook = judge.bench, judge.bench.hook
    addr = bench.first_addr + bench.entries * bench.page
    pmdp, table = bench.core(pmd_off)(bench.mm, addr), bench.machine.memory.arrays["ptes"]
    before, first = int(table[pmdp]), addr // bench.page
    try:
        for young in (0, 1):
            pmd = hook.pmd_mkhuge(bench.value(5 * bench.entries, "w", young=young))
            hook.set_pmd_at(bench.mm, addr, pmdp, pmd)
            bench.take_log()
            what = f"pmdp_clear_flush_young of {'a young' if young else 'an old'} leaf"
            found, now = hook.pmdp_clear_flush_young(bench.vma, addr, pmdp), int(table[pmdp])
            pages = judge.within(what, judge.take(what, PMD), first, first + bench.entries)
            if bool(found) != bool(young) or now != hook.pmd_mkhuge(hook.pte_mkold(hook.pmd_pte(pmd))):
                raise CheckFailed(f"{what} returns {found} and leaves {bench.raw(now)}{judge.context.where}")
            if (pages is None or bool(pages)) != bool(young):
                raise CheckFailed(
                    f"{what} {'does not invalidate' if young else 'invalidates'} it{judge.context.where}"
                )
    finally:
        table[pmdp] = before


def gathered(judge: Judge) -> None:
    """A gather that is flushed twice invalidates each time what was recorded since, at the level of that."""
    bench = judge.bench
    start, end = mmu_gather.tlb_flush_pte_range, mmu_gather.tlb_flush_pmd_range
    span, at = bench.entries * bench.page, bench.first_addr
    ptes = (start, at + 3 * bench.page, 2 * bench.page, PTE), (start, at, bench.page, PTE)
    pmds = (end, at + span, span, PMD), (end, at - span, span, PMD)
    for parts in (ptes, pmds, (ptes[0], pmds[1], ptes[1]), (pmds[0], ptes[1])):
        tlb = bench.core(mmu_gather.tlb_gather_mmu)(bench.mm)
        bench.take_log()
        for record, addr, size, level in parts:
            bench.core(record)(tlb, addr, size)
            bench.core(mmu_gather.tlb_flush_mmu)(tlb)
            what = f"a gather of {size:#x} bytes of level {level}"
            rows = judge.take(what, level)
            first, after = addr // bench.page, (addr + size) // bench.page
            pages = judge.within(what, rows, first, after)
            if pages is not None and (not pages or (level == PTE and len(pages) != after - first)):
                raise CheckFailed(f"{what} invalidates {len(pages)} pages{judge.context.where}")
        bench.core(mmu_gather.tlb_finish_mmu)(tlb)
        if any(judge.instructions.scope(row) for row in judge.take("the end of a gather", None)):
            raise CheckFailed(
                f"a gather that has been flushed invalidates more at its end{judge.context.where}"
            )
