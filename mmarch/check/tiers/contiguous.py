"""Tier contiguous: when blocks form and dissolve, what they look like, and break before make."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from core_mm.uapi import ACCESS_WRITE
from core_mm.vmstat import LOG_PTE, LOG_TLBI
from mmarch.check.batching import batch
from mmarch.check.bench import Bench
from mmarch.check.context import Context
from mmarch.check.layouts import BLOCKS, folio_order, layouts, ranges
from mmarch.check.outcome import CheckFailed, Skipped
from mmarch.check.registry import check
from mmarch.check.walking import Step, Walker, raws, walk
from mmarch.sanitize.blocks import Blocks
from mmarch.sanitize.decode import SILENT_WRITE, decoder_of

_FOLD = "arch/arm64/mm/contpte.c:contpte_try_fold"
_NEEDS = ("contiguous",)


def cont_mask(context: Context) -> int:
    """The bits that mark an entry of a block; Skipped if the descriptor does not say."""
    model = context.arch.tlb_model
    if model is None or not model.cont_mask:
        raise Skipped("the descriptor's tlb_model has no cont_mask")
    return model.cont_mask


def folded(bench: Bench, mask: int, first: int) -> bool:
    """Whether the block of entry `first` is folded."""
    return bool((bench.table[first : first + bench.block] & np.int64(mask)).all())


def any_folded(bench: Bench, mask: int) -> bool:
    """Whether any entry is marked."""
    return bool((bench.table & np.int64(mask)).any())


@check("contiguous.fold", hooks=("set_ptes",), requires=_NEEDS, level="should", source=_FOLD)
def fold(context: Context) -> None:
    """A whole, aligned block of one folio becomes contiguous: installed at once, and entry by entry."""
    mask = cont_mask(context)
    for variant in context.variants():
        bench = variant.bench()
        if not bench.has_blocks:
            continue
        folio, block = bench.folio(folio_order(bench)), bench.block
        small = bench.folio(block.bit_length() - 1)
        bench.set(0, bench.value(folio, "w"), block)
        for index in range(block):
            bench.set(block + index, bench.value(folio + block + index, "w"))
            bench.set(2 * block + index, bench.value(small + index, "w"))
        hows = "installed at once", "installed one by one", "that is a whole folio, installed one by one,"
        for number, how in enumerate(hows):
            if not folded(bench, mask, number * block):
                raise CheckFailed(
                    f"a block {how} is not contiguous{variant.where}: {bench.look(number * block)}"
                )


def _misaligned(b: Bench, folio: int) -> None:
    _fill(b, lambda i: b.value(folio + i + 1, "w"))


def _hole(b: Bench, folio: int) -> None:
    _fill(b, lambda i: 0 if i == b.block // 2 else b.value(folio + i, "w"))


def _protnone(b: Bench, folio: int) -> None:
    _fill(b, lambda i: b.value(folio + i, "n"))


def _one_protnone(b: Bench, folio: int) -> None:
    _fill(b, lambda i: b.value(folio + i, "n" if i == 3 else "w"))


def _special(b: Bench, folio: int) -> None:
    _fill(b, lambda i: b.hook.pte_mkspecial(b.value(folio + i, "r")))


def _one_read_only(b: Bench, folio: int) -> None:
    _fill(b, lambda i: b.value(folio + i, "r" if i == 1 else "w"))


def _one_executable(b: Bench, folio: int) -> None:
    _fill(b, lambda i: b.value(folio + i, "x" if i == b.block - 2 else "r"))


def _swapped(b: Bench, folio: int) -> None:
    _fill(b, lambda i: b.hook.swp_entry_to_pte(70 + i) if i == 0 else b.value(folio + i, "w"))


def _out_of_sequence(b: Bench, folio: int) -> None:
    _fill(b, lambda i: b.value(folio + (i ^ 1 if i < 2 else i), "w"))


def _small_folios(b: Bench, folio: int) -> None:
    """Consecutive frames of folios that are half as large as the block."""
    half = (b.block // 2).bit_length() - 1
    heads = sorted(b.folio(half) for _ in range(64))
    pairs = [h for h in heads if h % b.block == 0 and h + b.block // 2 in heads]
    if pairs:
        _fill(b, lambda i: b.value(pairs[0] + i, "w"))


def _fill(b: Bench, entry: Callable[[int], int]) -> None:
    for index in range(b.block):
        value = entry(index)
        if value:
            b.set(index, value)


_NEVER: dict[str, Callable[[Bench, int], None]] = {
    "its frames are out of step with its addresses": _misaligned,
    "an entry is empty": _hole,
    "an entry is PROT_NONE": _one_protnone,
    "all entries are PROT_NONE": _protnone,
    "its entries are special": _special,
    "an entry is read-only, the others are writable": _one_read_only,
    "an entry is executable, the others are not": _one_executable,
    "an entry is swapped out": _swapped,
    "two frames are out of sequence": _out_of_sequence,
    "it belongs to two folios": _small_folios,
}


@check("contiguous.conditions", hooks=("set_ptes",), requires=_NEEDS, source=_FOLD)
def conditions(context: Context) -> None:
    """A block is not contiguous if any one of the conditions fails."""
    mask = cont_mask(context)
    for variant in context.variants():
        bench = variant.bench()
        if not bench.has_blocks:
            continue
        folio = bench.folio(folio_order(bench))
        for why, fill in _NEVER.items():
            bench.clear_table()
            fill(bench, folio)
            if any_folded(bench, mask):
                raise CheckFailed(f"a block was folded although {why}{variant.where}")


@check("contiguous.kernel", hooks=("set_ptes",), requires=_NEEDS, source="arch/arm64/mm/contpte.c:mm_is_user")
def kernel(context: Context) -> None:
    """Entries of the kernel's address space are never folded."""
    mask = cont_mask(context)
    for variant in context.variants():
        bench = variant.bench()
        if not bench.has_blocks:
            continue
        folio, init_mm = bench.folio(folio_order(bench)), 1
        bench.hook.set_ptes(init_mm, bench.addr(0), bench.ptep(0), bench.value(folio, "w"), bench.block)
        for index in range(bench.block, 2 * bench.block):
            bench.hook.set_ptes(
                init_mm, bench.addr(index), bench.ptep(index), bench.value(folio + index, "w"), 1
            )
        if any_folded(bench, mask):
            raise CheckFailed(f"entries of init_mm were folded{variant.where}")


@check(
    "contiguous.leak",
    hooks=("set_ptes", "ptep_set_access_flags"),
    requires=_NEEDS,
    source="arch/arm64/include/asm/pgtable.h:set_pte",
)
def leak(context: Context) -> None:
    """The contiguous mark of a value that was read does not come back with it into a single entry."""
    mask = cont_mask(context)
    for variant in context.variants():
        bench = variant.bench()
        if not bench.has_blocks:
            continue
        folio, block = bench.folio(folio_order(bench)), bench.block
        bench.set(0, bench.value(folio, "w"), block)
        value = bench.hook.ptep_get(bench.ptep(5))
        for index in (block + 5, block + 7):
            bench.set(index, value)
        bench.set(2 * block + 1, value, block // 2)
        marked = np.flatnonzero(bench.table[block:] & np.int64(mask)).tolist()
        if marked:
            raise CheckFailed(
                f"set_ptes of the value that ptep_get(5) gives of a block marks entry {block + marked[0]}, which is in "
                f"none, as contiguous{variant.where}"
            )


@check("contiguous.whole", hooks=("clear_ptes", "wrprotect_ptes", "test_and_clear_young_ptes"), requires=_NEEDS,
       level="should", source="arch/arm64/mm/contpte.c:contpte_try_unfold_partial")  # fmt: skip
def whole(context: Context) -> None:
    """Batches of whole blocks unfold nothing: every entry is written once at most and nothing is flushed."""
    mask = cont_mask(context)
    for variant in context.variants():
        bench = variant.bench()
        if not bench.has_blocks:
            continue
        folio = bench.folio(folio_order(bench))
        for name in (
            "clear_ptes",
            "clear_full_ptes",
            "wrprotect_ptes",
            "test_and_clear_young_ptes",
            "clear_young_dirty_ptes",
        ):
            for blocks in (1, 2, 3):
                nr = blocks * bench.block
                bench.clear_table()
                bench.set(0, bench.value(folio, "w"), 3 * bench.block)
                if not folded(bench, mask, 0):
                    raise Skipped("nothing is folded")
                bench.take_log()
                batch(bench, name, 0, nr)
                rows = bench.take_log()
                writes = [row[1] - bench.first for row in rows if row[0] == LOG_PTE]
                if len(writes) > nr or any(index >= nr for index in writes):
                    raise CheckFailed(
                        f"{name} of {blocks} whole blocks writes {len(writes)} entries, not {nr}{variant.where}"
                    )
                if any(row[0] == LOG_TLBI for row in rows):
                    raise CheckFailed(
                        f"{name} of {blocks} whole blocks flushes the TLB itself{variant.where}"
                    )


@check("contiguous.partial", hooks=("clear_ptes", "wrprotect_ptes"), requires=_NEEDS, level="should",
       source="arch/arm64/mm/contpte.c:contpte_try_unfold_partial")  # fmt: skip
def partial(context: Context) -> None:
    """A batch unfolds the blocks that it covers in part, and no others."""
    mask = cont_mask(context)
    for variant in context.variants():
        bench = variant.bench()
        if not bench.has_blocks:
            continue
        folio, block = bench.folio(folio_order(bench)), bench.block
        for name in ("clear_ptes", "clear_full_ptes", "wrprotect_ptes"):
            for start, nr in ranges(variant, block, "partial"):
                bench.clear_table()
                bench.set(0, bench.value(folio, "w"), BLOCKS * block)
                batch(bench, name, start, nr)
                what = f"{name}(start={start}, nr={nr})"
                for number in range(BLOCKS):
                    covered = min(start + nr, (number + 1) * block) - max(start, number * block)
                    if covered <= 0 and not folded(bench, mask, number * block):
                        raise CheckFailed(f"{what} unfolds block {number}{variant.where}")
                    part = bench.table[number * block : (number + 1) * block] & np.int64(mask)
                    if 0 < covered < block and part.any():
                        raise CheckFailed(f"{what} leaves block {number} marked{variant.where}")


UNIFORM = (
    "clear_ptes", "clear_full_ptes", "wrprotect_ptes", "ptep_set_wrprotect", "pte_clear", "ptep_get_and_clear",
    "clear_young_dirty_ptes", "modify_prot_start_ptes",
)  # fmt: skip


@check("contiguous.uniform", hooks=("set_ptes", "clear_ptes", "wrprotect_ptes"), requires=_NEEDS,
       source="Arm ARM D8.7.1; arch/arm64/mm/contpte.c")  # fmt: skip
def uniform(context: Context) -> None:
    """After every batch each contiguous block is whole: valid, consecutive, aligned, with equal permissions."""
    cont_mask(context)
    model = context.arch.tlb_model
    assert model is not None
    for variant in context.variants():
        bench = variant.bench()
        if not bench.has_blocks:
            continue
        decoder = decoder_of(variant.config())
        blocks = Blocks(decoder, bench.block)
        for layout in layouts(variant, bench):
            for name in UNIFORM:
                for start, nr in ranges(variant, bench.block, f"uniform {name}"):
                    layout.restore(bench)
                    batch(bench, name, start, nr)
                    table = raws(bench)
                    for first in range(0, BLOCKS * bench.block, bench.block):
                        flaw = blocks.flaw(table, first)
                        if flaw:
                            step = f"{name}(start={start}, nr={nr})"
                            what = f"{step} on {layout.name}{variant.where}: entry {flaw[0]}: {flaw[1]}"
                            raise CheckFailed(what, (*layout.steps, step))


@check(
    "contiguous.gather",
    hooks=("ptep_get", "ptep_get_and_clear"),
    requires=_NEEDS,
    source="arch/arm64/mm/contpte.c:contpte_ptep_get",
)
def gather(context: Context) -> None:
    """Accessed and dirty of a block are those of any of its entries, for every reader, and outlive its unfolding."""
    for variant in context.variants():
        bench = variant.bench()
        if not bench.has_blocks:
            continue
        folio, block = bench.folio(folio_order(bench)), bench.block
        step = max(1, block // 16)
        for touched in range(0, block, step):
            bench.clear_table()
            bench.set(0, bench.value(folio, "w", 0, 0), block)
            if not bench.touch(touched, ACCESS_WRITE):
                break
            for index in range(0, block, step):
                seen = bench.look(index)
                if not seen.young or not seen.dirty:
                    raise CheckFailed(
                        f"after a write through entry {touched}, entry {index} of its block is {seen}{variant.where}"
                    )
            victim = (touched + 1) % block
            bench.hook.pte_clear(bench.mm, bench.addr(victim), bench.ptep(victim))
            for index in range(0, block, step):
                seen = bench.look(index)
                if index != victim and not (seen.young and seen.dirty):
                    raise CheckFailed(
                        f"after a write through entry {touched} of a block and pte_clear({victim}), which unfolds it, "
                        f"entry {index} is {seen}{variant.where}"
                    )


@check("contiguous.walker", hooks=("ptep_set_access_flags",), requires=_NEEDS,
       source="arch/arm64/mm/contpte.c:contpte_ptep_set_access_flags, 97c5550b7631")  # fmt: skip
def walker(context: Context) -> None:
    """A walker that looks at one entry only gets through after its fault, whatever the block's other entries say."""
    model = context.arch.tlb_model
    if model is None:
        raise Skipped("the descriptor has no tlb_model")
    for variant in context.variants():
        bench = variant.bench()
        if not bench.has_blocks:
            continue
        decoder = decoder_of(variant.config())
        folio, block = bench.folio(folio_order(bench)), bench.block
        bench.set(0, bench.value(folio, "w", 1, 1), block)
        dirty = bench.table[:block].copy()
        for sibling, target in ((0, 1), (block - 1, 0), (3, block - 1)):
            bench.clear_table()
            bench.set(0, bench.value(folio, "w", 0, 0), block)
            bench.table[sibling] = dirty[sibling]
            hook = bench.hook
            entry = hook.pte_mkdirty(hook.pte_mkyoung(hook.ptep_get(bench.ptep(target))))
            hook.ptep_set_access_flags(bench.vma, bench.addr(target), bench.ptep(target), entry, 1)
            raw = int(bench.table[target])
            if not decoder.leaf(raw, target).permits & SILENT_WRITE or raw == 0:
                raise CheckFailed(
                    f"of a block only entry {sibling} is dirty; a walker that knows but entry {target} faults on a "
                    f"write; ptep_set_access_flags({target}) leaves it as {raw & (1 << 64) - 1:#018x}, on which it "
                    f"faults again{variant.where}"
                )


@check(
    "contiguous.bbm",
    hooks=("set_ptes", "clear_ptes", "wrprotect_ptes", "ptep_set_access_flags"),
    requires=("contiguous", "bbm"),
    source="Arm ARM D8.17.1; arch/arm64/mm/contpte.c:contpte_convert",
)
def bbm(context: Context) -> None:
    """A block changes its size only by break before make; whenever something is flushed, blocks are uniform."""
    cont_mask(context)
    walk(context, broken_before_made, walks=500)


@check(
    "contiguous.modify-prot",
    hooks=("modify_prot_start_ptes", "modify_prot_commit_ptes"),
    requires=("contiguous", "bbm"),
    source="mm/mprotect.c:change_pte_range; arch/arm64/mm/mmu.c:modify_prot_commit_ptes, Linux 6.17",
)
def modify_prot(context: Context) -> None:
    """A block of single entries that is protected as a whole does not become contiguous before they are flushed."""
    for variant in context.variants():
        walker = Walker(variant, strict=True)
        block = walker.bench.block
        if not walker.bench.has_blocks:
            continue
        halves = [Step("map", 0, block // 2, 0), Step("map", block // 2, block // 2, 0)]
        walker.run([*halves, Step("mprotect", 0, block, 1)], broken_before_made)


def broken_before_made(walker: Walker, step: Step) -> None:
    """CheckFailed if a block was made or was not uniform."""
    found = walker.violation()
    if found is not None and found.kind in ("bbm", "block"):
        raise CheckFailed(str(found))
