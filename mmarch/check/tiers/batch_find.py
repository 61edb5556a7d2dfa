"""Tier batch: finding batches, and batch hooks that are made of single ones."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from core_mm.internal import FPB_RESPECT_DIRTY, FPB_RESPECT_WRITE, folio_pte_batch_flags
from mmarch.check.batching import batch
from mmarch.check.bench import PRESENT, Bench
from mmarch.check.context import Context
from mmarch.check.layouts import BLOCKS, folio_order, layouts, ranges
from mmarch.check.outcome import CheckFailed
from mmarch.check.registry import check
from mmarch.engine.hookimpls import implementations


@check("batch.hint", hooks=("pte_batch_hint", "ptep_get"), source="mm/internal.h:folio_pte_batch")
def hint(context: Context) -> None:
    """pte_batch_hint promises no more entries than map consecutive frames with equal permissions and equal dirty."""
    for variant in context.variants():
        bench = variant.bench()
        for layout in layouts(variant, bench, "wr"):
            layout.restore(bench)
            for index in range(BLOCKS * bench.block):
                pte = bench.hook.ptep_get(bench.ptep(index))
                promised = bench.hook.pte_batch_hint(bench.ptep(index), pte)
                if promised < 1 or index + promised > bench.entries:
                    raise CheckFailed(
                        f"pte_batch_hint({index}) is {promised} on {layout.name}{variant.where}", layout.steps
                    )
                first = bench.view(pte)
                for i in range(1, promised):
                    other = layout.views[index + i]
                    if other.but(young=0) != first.but(young=0, pfn=first.pfn + i):
                        raise CheckFailed(
                            f"pte_batch_hint({index}) is {promised} on {layout.name}{variant.where}, but entry "
                            f"{index + i} is {other} after {first}", layout.steps,
                        )  # fmt: skip


@check("contiguous.hint", hooks=("pte_batch_hint",), requires=("contiguous",), level="should",
       source="arch/arm64/include/asm/pgtable.h:pte_batch_hint")  # fmt: skip
def hint_of_block(context: Context) -> None:
    """Of a contiguous block pte_batch_hint promises all that is left, so that core-mm need not read it."""
    for variant in context.variants():
        bench = variant.bench()
        if not bench.has_blocks:
            continue
        bench.set(0, bench.value(bench.folio(folio_order(bench)), "w"), bench.block)
        for index in range(bench.block):
            pte = bench.hook.ptep_get(bench.ptep(index))
            promised = bench.hook.pte_batch_hint(bench.ptep(index), pte)
            if promised != bench.block - index:
                raise CheckFailed(
                    f"pte_batch_hint({index}) of a block of {bench.block} is {promised}, not {bench.block - index}"
                    f"{variant.where}"
                )


@check("batch.find", hooks=("pte_batch_hint", "pte_advance_pfn"), source="mm/internal.h:folio_pte_batch")
def find(context: Context) -> None:
    """folio_pte_batch ends at the folio's end, a frame jump, another permission, a hole or a swap entry, not before."""
    for variant in context.variants():
        bench = variant.bench()
        scan = bench.core(folio_pte_batch_flags)
        rng = variant.rng("find")
        small = bench.folio(folio_order(bench) - 2)
        for layout in layouts(variant, bench):
            for start, limit in ranges(variant, bench.block, "find"):
                layout.restore(bench)
                _disturb(bench, rng, small)
                first = bench.look(start)
                if first.kind != PRESENT:
                    continue
                flags = rng.choice((0, FPB_RESPECT_WRITE, FPB_RESPECT_DIRTY))
                pte = bench.hook.ptep_get(bench.ptep(start))
                folio, pages = layout.folio, 4 * bench.block
                if small <= first.pfn < small + bench.block:
                    folio, pages = small, bench.block
                found, _ = scan(folio, bench.ptep(start), pte, limit, flags)
                expected = _expected_batch(bench, start, limit, flags, folio + pages)
                if not found <= expected or (not bench.has_blocks and found != expected):
                    raise CheckFailed(
                        f"folio_pte_batch(start={start}, max_nr={limit}, flags={flags}) found {found} entries, "
                        f"there are {expected}{variant.where}", layout.steps,
                    )  # fmt: skip


@check(
    "batch.find-folio", hooks=("pte_advance_pfn",), source="mm/internal.h:folio_pte_batch, Fixes f8d937761d65"
)
def find_folio(context: Context) -> None:
    """folio_pte_batch ends at the folio's end even if the next folio's frames follow at once."""
    for variant in context.variants():
        bench = variant.bench()
        scan = bench.core(folio_pte_batch_flags)
        half = bench.block // 2
        heads = sorted(bench.folio(half.bit_length() - 1) for _ in range(32))
        pairs = [head for head in heads if head + half in heads]
        bench.clear_table()
        for index in range(2 * half):
            bench.set(index + 1, bench.value(pairs[0] + index, "r"))
        for start in range(half):
            pte = bench.hook.ptep_get(bench.ptep(start + 1))
            found, _ = scan(pairs[0], bench.ptep(start + 1), pte, 2 * half - start, 0)
            if found != half - start:
                raise CheckFailed(
                    f"folio_pte_batch from page {start} of a folio of {half} pages found {found}{variant.where}"
                )


def _disturb(bench: Bench, rng: Random, small: int) -> None:
    index = rng.randrange(BLOCKS * bench.block)
    kind = rng.randrange(5)
    if kind == 0:
        batch(bench, "pte_clear", index, 1)
    elif kind == 1:
        bench.set(index, bench.hook.swp_entry_to_pte(9))
    elif kind == 2:
        batch(bench, "ptep_set_wrprotect", index, 1)
    elif kind == 3:
        bench.set(index, bench.value(small + bench.block - 1, "w"))


def _expected_batch(bench: Bench, start: int, limit: int, flags: int, end: int) -> int:
    """By definition: how many entries continue the first one within its folio, which ends at frame `end`."""
    first = bench.look(start)
    nr = 1
    while nr < limit:
        other = bench.look(start + nr)
        expected = first.but(pfn=first.pfn + nr, young=other.young)
        if not flags & FPB_RESPECT_DIRTY:
            expected = expected.but(dirty=other.dirty)
        if not flags & FPB_RESPECT_WRITE:
            expected = expected.but(write=other.write)
        if other != expected or first.pfn + nr >= end:
            break
        nr += 1
    return nr


@check("batch.composition", source="include/linux/pgtable.h, every default", level="must")
def composition(context: Context) -> None:
    """A batch hook that is not overridden does its work through the architecture's single-entry hook."""
    own = implementations(context.arch)
    pairs: Sequence[tuple[str, str]] = (
        ("set_ptes", "set_pte"),
        ("clear_ptes", "ptep_get_and_clear"), ("wrprotect_ptes", "ptep_set_wrprotect"),
        ("test_and_clear_young_ptes", "ptep_test_and_clear_young"),
        ("clear_flush_young_ptes", "ptep_clear_flush_young"),
        ("modify_prot_start_ptes", "ptep_modify_prot_start"), ("clear_not_present_full_ptes", "pte_clear"),
    )  # fmt: skip
    bench = context.bench()
    folio = bench.folio(folio_order(bench))
    for name, single in pairs:
        if name in own and context.arch.name != "generic":
            continue
        bench.clear_table()
        if name == "set_ptes":
            bench.notes["pte"] = bench.value(folio + 1, "w")
        elif name == "clear_not_present_full_ptes":
            for i in range(5):
                bench.set(i, bench.hook.swp_entry_to_pte(9 + i))
        else:
            bench.set(0, bench.value(folio + 1, "w"), 5)
        seen = calls(bench, single, name)
        if seen < 5:
            raise CheckFailed(f"{name} of 5 entries reached {single} {seen} times")


def calls(bench: Bench, single: str, name: str) -> int:
    """How often the default of the batch hook `name` reaches the winner of `single`."""
    cell = bench.machine.cells[single]
    winner, seen = cell["target"], 0

    def counting(*arguments: int) -> int:
        nonlocal seen
        seen += 1
        return int(winner(*arguments))

    cell["target"] = counting
    try:
        if name == "set_ptes":
            bench.set(0, bench.notes["pte"], 5)
        else:
            batch(bench, name, 0, 5)
    finally:
        cell["target"] = winner
    return seen
