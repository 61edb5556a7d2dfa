"""Tier batch: a batch hook does what single hooks do, and leaves the neighbours alone."""

from __future__ import annotations

from core_mm.uapi import ACCESS_READ, ACCESS_WRITE
from mmarch.check.batching import (
    Apply,
    Inside,
    Operation,
    any_young,
    first_with_or,
    hook,
    is_none,
    looked_at,
    may_become,
    one,
    sweep,
)
from mmarch.check.bench import PRESENT, SWAP, Bench, View
from mmarch.check.context import Context
from mmarch.check.layouts import folio_order, layouts, ranges
from mmarch.check.outcome import CheckFailed
from mmarch.check.registry import check

YOUNG, DIRTY = 1, 2  # of clear_young_dirty_ptes
_ZAP = "mm/memory.c:zap_present_folio_ptes"


def _at(bench: Bench, start: int) -> tuple[int, int, int]:
    return bench.mm, bench.addr(start), bench.ptep(start)


def _in(bench: Bench, start: int) -> tuple[int, int, int]:
    return bench.vma, bench.addr(start), bench.ptep(start)


@check("batch.set", hooks=("set_ptes", "ptep_get"), source="mm/memory.c:set_pte_range")
def set_ptes(context: Context) -> None:
    """set_ptes(nr) leaves what nr single stores leave: consecutive frames, equal permissions."""

    def reinstall(bench: Bench, start: int, nr: int) -> int:
        views = bench.looks(start, start + nr)
        bench.hook.clear_full_ptes(*_at(bench, start), nr, 0)
        bench.set(start, bench.value(views[0].pfn, "w", 1, 0), nr)
        return 0

    def installed(before: View, after: View) -> bool:
        return after.but(young=0, dirty=0) == before.but(young=0, dirty=0)

    sweep(context, Operation("clear_full_ptes + set_ptes", reinstall, installed))


@check("batch.set-single", hooks=("set_ptes",), source="include/linux/pgtable.h:set_pte_at")
def set_single(context: Context) -> None:
    """One entry is set over none, over a swap entry, and over a page, and reads back as set."""
    for variant in context.variants():
        bench = variant.bench()
        for layout in layouts(variant, bench):
            for index in sorted({start for start, _ in ranges(variant, bench.block, "single")}):
                layout.restore(bench)
                pte = bench.value(layout.folio + 3 * bench.block + 1, "r", 1, 0)
                for action, value in (
                    ("clear", 0), ("swap", bench.hook.swp_entry_to_pte(77)), ("page", pte), ("again", pte),
                ):  # fmt: skip
                    if value:
                        bench.set(index, value)
                    else:
                        bench.hook.pte_clear(*_at(bench, index))
                    if bench.look(index) != bench.view(value):
                        raise CheckFailed(
                            f"set_ptes(start={index}, nr=1) of {bench.view(value)} ({action}) on {layout.name}"
                            f"{variant.where} leaves {bench.look(index)}", layout.steps,
                        )  # fmt: skip


@check("batch.clear", hooks=("clear_ptes",), source=_ZAP)
def clear(context: Context) -> None:
    """clear_ptes empties the batch, returns the first entry with accessed and dirty OR-ed, and touches nothing else."""
    sweep(
        context,
        Operation("clear_ptes", hook("clear_ptes", 0), is_none, first_with_or),
    )


@check("batch.clear-full", hooks=("clear_ptes",), source=_ZAP)
def clear_whole_mm(context: Context) -> None:
    """With full=1 the result is the same: only atomicity may be skipped."""
    sweep(
        context,
        Operation("clear_ptes(full=1)", hook("clear_ptes", 1), is_none, first_with_or),
    )


@check("batch.clear-forget", hooks=("clear_full_ptes",), source=_ZAP)
def clear_forget(context: Context) -> None:
    """clear_full_ptes empties the batch and touches nothing else."""
    for full in (0, 1):
        sweep(context, Operation(f"clear_full_ptes(full={full})", hook("clear_full_ptes", full), is_none))


@check("batch.clear-one", hooks=("ptep_get_and_clear", "ptep_get_and_clear_full", "pte_clear"), source=_ZAP)
def clear_one(context: Context) -> None:
    """Clearing single entries of a row one by one returns each as it was read, and empties it."""

    def one_by_one(bench: Bench, start: int, nr: int) -> int:
        for index in range(start, start + nr):
            before = bench.look(index)
            if index % 2:
                got = bench.hook.ptep_get_and_clear(*_at(bench, index))
            else:
                got = bench.hook.ptep_get_and_clear_full(*_at(bench, index), index % 4 == 0)
            if bench.view(got) != before:
                raise CheckFailed(f"ptep_get_and_clear({index}) returned {bench.view(got)}, read {before}")
        return 0

    sweep(context, Operation("ptep_get_and_clear of each", one_by_one, is_none))


@check("batch.clear-swap", hooks=("clear_not_present_full_ptes",), source="mm/memory.c:zap_nonpresent_ptes")
def clear_swap(context: Context) -> None:
    """A batch of swap entries is emptied, whatever surrounds it."""

    def swap_and_clear(bench: Bench, start: int, nr: int) -> int:
        bench.hook.clear_full_ptes(*_at(bench, start), nr, 0)
        slot = 0x1555_5400 if start % 2 else 0x0AAA_A800
        for i in range(nr):
            bench.set(start + i, bench.hook.swp_entry_to_pte(slot + i))
            if bench.look(start + i) != View(SWAP, slot + i):
                raise CheckFailed(f"swap entry {slot + i:#x} reads as {bench.look(start + i)}")
        return int(bench.hook.clear_not_present_full_ptes(*_at(bench, start), nr, 0))

    sweep(context, Operation("clear_not_present_full_ptes", swap_and_clear, is_none))


@check(
    "batch.wrprotect",
    hooks=("wrprotect_ptes", "ptep_set_wrprotect"),
    source="mm/memory.c:__copy_present_ptes",
)
def wrprotect(context: Context) -> None:
    """wrprotect_ptes makes the batch read-only, loses neither accessed nor dirty, and leaves the rest writable."""

    def protected(before: View, after: View) -> bool:
        return after.but(young=0, dirty=0) == before.but(young=0, dirty=0, write=0) and (
            after.young >= before.young and after.dirty >= before.dirty
        )

    sweep(context, Operation("wrprotect_ptes", traps_writes(hook("wrprotect_ptes")), protected))


def traps_writes(apply: Apply) -> Apply:
    """And the hardware writes through none of the batch, whatever pte_write() says."""

    def protect(bench: Bench, start: int, nr: int) -> int:
        result = apply(bench, start, nr)
        for index in looked_at(start, nr, bench.block):
            if bench.touch(index, ACCESS_WRITE):
                raise CheckFailed(
                    f"the hardware still writes through entry {index}, which is {bench.shown_at(index)}"
                )
        return result

    return protect


@check("batch.wrprotect-one", hooks=("ptep_set_wrprotect",), source="mm/memory.c:__copy_present_ptes")
def wrprotect_one(context: Context) -> None:
    """ptep_set_wrprotect does it to one entry alone."""

    def each(bench: Bench, start: int, nr: int) -> int:
        for index in range(start, start + nr):
            bench.hook.ptep_set_wrprotect(*_at(bench, index))
        return 0

    sweep(
        context,
        Operation(
            "ptep_set_wrprotect of each",
            traps_writes(each),
            lambda was, now: not now.write and now.dirty >= was.dirty,
        ),
    )


@check(
    "batch.young",
    hooks=("test_and_clear_young_ptes", "ptep_test_and_clear_young"),
    source="mm/rmap.c:folio_referenced_one",
)
def young(context: Context) -> None:
    """Clearing accessed flags says whether any was set; dirty and permissions stay; a second time finds none."""
    for name in ("test_and_clear_young_ptes", "clear_flush_young_ptes"):
        sweep(context, Operation(name, twice(hook(name)), _old, any_young, clears="young"))


def twice(apply: Apply) -> Apply:
    """Do it again at once: nothing is young any more."""

    def both(bench: Bench, start: int, nr: int) -> int:
        first = apply(bench, start, nr)
        if apply(bench, start, nr):
            raise CheckFailed("a second time, just after, an entry is young again")
        return first

    return both


@check(
    "batch.young-one",
    hooks=("ptep_test_and_clear_young", "ptep_clear_flush_young"),
    source="mm/vmscan.c:lru_gen_look_around",
)
def young_one(context: Context) -> None:
    """Of one entry, too, whichever entry of a block carries the flag."""
    for name in ("ptep_test_and_clear_young", "ptep_clear_flush_young"):
        operation = Operation(
            name, age_first(twice(hook(name))), lambda was, now: _same_but(was, now, "young"), clears="young"
        )
        sweep(context, operation)


def age_first(apply: Apply) -> Apply:
    """Of the batch only its first entry, with what it says."""

    def first_only(bench: Bench, start: int, nr: int) -> int:
        before = bench.look(start)
        got = apply(bench, start, 1)
        if bool(got) != bool(before.young) or bench.look(start).young:
            raise CheckFailed(f"returned {got} for {before}, which is now {bench.look(start)}")
        return 0

    return first_only


def _same_but(was: View, now: View, field: str) -> bool:
    return was.but(**{field: 0}) == now.but(**{field: 0})


def _old(was: View, now: View) -> bool:
    return not now.young and _same_but(was, now, "young")


@check("batch.young-dirty", hooks=("clear_young_dirty_ptes",), source="mm/madvise.c:madvise_free_pte_range")
def young_dirty(context: Context) -> None:
    """clear_young_dirty_ptes clears what it is told to in all of the batch, and permissions stay."""
    for flags, clears in ((YOUNG, "young"), (DIRTY, "dirty"), (YOUNG | DIRTY, "young dirty")):
        name = f"clear_young_dirty_ptes(flags={flags})"
        sweep(context, Operation(name, hook("clear_young_dirty_ptes", flags), cleared(clears), clears=clears))


def cleared(clears: str) -> Inside:
    """`clears` are off, what else there is stays or grows."""

    def inside(was: View, now: View) -> bool:
        blank = dict.fromkeys(clears.split(), 0)
        kept = [field for field in ("young", "dirty") if field not in clears]
        grown = all(getattr(was, field) <= getattr(now, field) for field in kept)
        free = dict.fromkeys(("young", "dirty"), 0)
        return now == now.but(**blank) and was.but(**free) == now.but(**free) and grown

    return inside


@check(
    "batch.modify-prot",
    hooks=("modify_prot_start_ptes", "modify_prot_commit_ptes"),
    source="mm/mprotect.c:change_pte_range",
)
def modify_prot(context: Context) -> None:
    """Between start and commit the hardware reaches none of the batch; then new permissions hold, A/D kept."""

    def to_read_only(bench: Bench, start: int, nr: int) -> int:
        hook = bench.hook
        old = hook.modify_prot_start_ptes(*_in(bench, start), nr)
        for index in range(start, start + nr):
            if bench.touch(index, ACCESS_READ):
                raise CheckFailed(f"the hardware reads through entry {index} after modify_prot_start_ptes")
        new = hook.pte_modify(old, hook.vm_get_page_prot(1))
        hook.modify_prot_commit_ptes(*_in(bench, start), old, new, nr)
        return int(old)

    def read_only(was: View, now: View) -> bool:
        return _same_but(was.but(write=0, dirty=0), now.but(dirty=0), "young") and (
            now.young >= was.young and now.dirty >= was.dirty
        )

    sweep(context, Operation("modify_prot_start/commit_ptes", to_read_only, read_only, first_with_or), "wx")


@check(
    "batch.modify-prot-one",
    hooks=("ptep_modify_prot_start", "ptep_modify_prot_commit"),
    source="mm/mprotect.c:change_pte_range",
)
def modify_prot_one(context: Context) -> None:
    """The same for one entry; PROT_NONE and back gives the entry that it was."""

    def there_and_back(bench: Bench, start: int, nr: int) -> int:
        hook = bench.hook
        before, dirtied = bench.look(start), False
        for flags in (0, 3):
            old = hook.ptep_modify_prot_start(*_in(bench, start))
            if bench.touch(start, ACCESS_READ):
                raise CheckFailed("the hardware reads through the entry after ptep_modify_prot_start")
            new = hook.pte_modify(old, hook.vm_get_page_prot(flags))
            if flags and before.write:
                clean, new = not hook.pte_dirty(new), hook.pte_mkwrite(new)
                dirtied = clean and hook.pte_dirty(new)  # which algebra.write-dirty judges
            hook.ptep_modify_prot_commit(*_in(bench, start), old, new)
            if not flags and (bench.look(start).valid or bench.touch(start, ACCESS_READ)):
                raise CheckFailed(f"after mprotect(PROT_NONE) the entry is {bench.look(start)}")
        if not may_become(before, bench.look(start), bench.has_blocks or dirtied, ""):
            raise CheckFailed(f"PROT_NONE and back made {before} into {bench.look(start)}")
        return 0

    sweep(context, Operation("mprotect(PROT_NONE) and back", there_and_back, lambda was, now: True), "wx")


@check("batch.access-flags", hooks=("ptep_set_access_flags",), source="mm/memory.c:handle_pte_fault")
def access_flags(context: Context) -> None:
    """A fault makes its entry young, or dirty, and the hardware gets through afterwards, whatever it reads itself."""

    def fault(bench: Bench, start: int, nr: int) -> int:
        hook = bench.hook
        access = ACCESS_WRITE if nr % 2 else ACCESS_READ
        if access == ACCESS_WRITE and not bench.look(start).write:
            return 0
        for _ in range(3):
            if bench.touch(start, access):
                return 0
            entry = hook.pte_mkyoung(hook.ptep_get(bench.ptep(start)))
            if access == ACCESS_WRITE:
                entry = hook.pte_mkdirty(entry)
            hook.ptep_set_access_flags(*_in(bench, start), entry, access)
        raise CheckFailed(
            f"access {access} still faults after ptep_set_access_flags; the entry is {bench.look(start)}"
        )

    def grown(was: View, now: View) -> bool:
        return was.but(young=0, dirty=0) == now.but(young=0, dirty=0) and (
            now.young >= was.young and now.dirty >= was.dirty
        )

    sweep(context, Operation("fault", fault, grown), "wr")


@check("batch.access-flags-reuse", hooks=("ptep_set_access_flags",), source="mm/memory.c:wp_page_reuse")
def access_flags_reuse(context: Context) -> None:
    """A write-protected page that is reused becomes writable and dirty; its neighbours stay read-only."""

    def reuse(bench: Bench, start: int, nr: int) -> int:
        hook = bench.hook
        entry = hook.pte_mkwrite(hook.pte_mkdirty(hook.pte_mkyoung(hook.ptep_get(bench.ptep(start)))))
        changed = hook.ptep_set_access_flags(*_in(bench, start), entry, 1)
        seen = bench.look(start)
        if not (changed and seen.write and seen.dirty and seen.young):
            raise CheckFailed(f"returned {changed}, the entry is {seen}")
        if not bench.touch(start, ACCESS_WRITE):
            raise CheckFailed(f"the hardware's write still faults; the entry is {seen}")
        return 0

    def rest(was: View, now: View) -> bool:
        return now.pfn == was.pfn and now.kind == PRESENT

    for variant in context.variants():
        bench = variant.bench()
        for layout in layouts(variant, bench, "r"):
            for start in sorted({start for start, _ in ranges(variant, bench.block, "reuse")}):
                layout.restore(bench)
                one(variant, bench, layout, Operation("reuse", reuse, rest), start, 1)


@check("batch.protnone", hooks=("set_ptes",), source="mm/memory.c:copy_present_ptes")
def protnone(context: Context) -> None:
    """A batch of PROT_NONE entries stays what it is: present, not valid, not folded."""
    for variant in context.variants():
        bench = variant.bench()
        folio = bench.folio(folio_order(bench))
        for start, nr in ranges(variant, bench.block, "protnone"):
            bench.clear_table()
            bench.set(start, bench.value(folio + start, "n"), nr)
            for i in range(nr):
                seen = bench.look(start + i)
                if seen.valid or not seen.protnone or seen.pfn != folio + start + i:
                    raise CheckFailed(
                        f"set_ptes(start={start}, nr={nr}) of PROT_NONE entries leaves entry {start + i} as {seen}"
                        f"{variant.where}"
                    )
