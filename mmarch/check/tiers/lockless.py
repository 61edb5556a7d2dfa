"""Tier lockless: what readers without the lock, and the table walker, may do in the middle of a hook."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from core_mm.uapi import ACCESS_WRITE
from mmarch.check.batching import batch
from mmarch.check.bench import NONE, PRESENT, Bench, View
from mmarch.check.context import Context
from mmarch.check.layouts import folio_order
from mmarch.check.outcome import CheckFailed
from mmarch.check.registry import check

_LOCKLESS = "arch/arm64/mm/contpte.c:contpte_ptep_get_lockless; mm/gup.c:gup_fast_pte_range"
Change = Callable[[Bench, int], None]  # (bench, first frame of another folio)


def _unfold(b: Bench, other: int) -> None:
    batch(b, "ptep_set_wrprotect", b.block - 1, 1)


def _zap(b: Bench, other: int) -> None:
    batch(b, "clear_full_ptes", 0, b.block)


def _repaint(b: Bench, other: int) -> None:
    """Another folio, the same permissions, with accessed and dirty elsewhere."""
    batch(b, "clear_full_ptes", 0, b.block)
    b.set(0, b.value(other, "w", 0, 0), b.block)


def _protect(b: Bench, other: int) -> None:
    batch(b, "clear_full_ptes", 0, b.block)
    b.set(0, b.value(other, "r", 1, 0), b.block)


def _move_dirty(b: Bench, other: int) -> None:
    """Clean the block and write through another entry of it."""
    batch(b, "clear_young_dirty_ptes", 0, b.block, 3)
    b.touch(b.block - 1, ACCESS_WRITE)


def _protect_in_place(b: Bench, other: int) -> None:
    """The same pages, read-only and clean."""
    pfn = b.look(0).pfn
    batch(b, "clear_full_ptes", 0, b.block)
    b.set(0, b.value(pfn, "r", 0, 0), b.block)


_CHANGES: dict[str, Change] = {
    "unfolding": _unfold, "a zap": _zap, "another folio": _repaint, "another read-only folio": _protect,
    "cleaning and another write": _move_dirty, "write protection of clean pages": _protect_in_place,
}  # fmt: skip


@check("lockless.read", hooks=("ptep_get_lockless",), source=_LOCKLESS)
def read(context: Context) -> None:
    """ptep_get_lockless returns what an entry was before a change or is after it, never a mixture of both."""
    for variant in context.variants():
        bench = variant.bench()
        folio, other = bench.folio(folio_order(bench)), bench.folio(folio_order(bench))
        targets = (0, 3, bench.block - 1)
        for name, change in _CHANGES.items():
            for dirty in (0, bench.block // 2, bench.block - 1):
                for target in targets:
                    for moment in moments(variant, bench):
                        one_read(variant, bench, (name, change), (folio, other), (target, dirty, moment))


def moments(context: Context, bench: Bench) -> range:
    """Numbers of raw accesses before which the change happens; a block is read once, maybe twice."""
    most = 2 * bench.block + 3
    return range(0, most, 1 if context.share == 1.0 else max(1, most // 12))


def prepare(bench: Bench, folio: int, dirty: int) -> None:
    """A folded block, clean but for one entry."""
    bench.clear_table()
    bench.set(0, bench.value(folio, "w", 0, 0), bench.block)
    bench.touch(dirty, ACCESS_WRITE)


def one_read(
    context: Context,
    bench: Bench,
    what: tuple[str, Change],
    folios: tuple[int, int],
    when: tuple[int, int, int],
) -> None:
    """The change at one moment of one read."""
    (name, change), (folio, other), (target, dirty, moment) = what, folios, when
    prepare(bench, folio, dirty)
    before = bench.look(target)
    seen = 0

    def disturb(ptep: int) -> None:
        nonlocal seen
        if seen == moment:
            change(bench, other)
        seen += 1

    with bench.watching(disturb):
        got = bench.view(bench.hook.ptep_get_lockless(bench.ptep(target)))
    if seen <= moment:
        return
    after = bench.look(target)
    if got not in (before, after) and got.kind != NONE and not _between(got, before, after):
        raise CheckFailed(
            f"ptep_get_lockless({target}) with {name} before raw access {moment}{context.where} read {got}; "
            f"it was {before} and is {after}",
            (
                f"set_ptes(0, pfn {folio:#x} w old clean, nr={bench.block})",
                f"the hardware writes through {dirty}",
                f"ptep_get_lockless({target}); before its raw access {moment}: {name}",
            ),
        )


def _between(got: View, before: View, after: View) -> bool:
    """Of the same page, permissions of before or after, and A/D of some moment between."""
    if got.kind != PRESENT or not got.pfn == before.pfn == after.pfn:
        return False
    if not got.but(young=0, dirty=0) == before.but(young=0, dirty=0) == after.but(young=0, dirty=0):
        return False
    return all(
        min(getattr(before, flag), getattr(after, flag)) <= getattr(got, flag) for flag in ("young", "dirty")
    )


@check(
    "lockless.hardware", hooks=("ptep_get_and_clear", "clear_ptes", "ptep_set_wrprotect", "wrprotect_ptes"),
    requires=("hw_afdbm",), source="arch/arm64/include/asm/pgtable.h:__ptep_get_and_clear, ___ptep_set_wrprotect",
)  # fmt: skip
def hardware(context: Context) -> None:
    """A write that the hardware lets through at any moment of a hook leaves its mark: dirty is never lost."""
    names = (
        "ptep_get_and_clear", "clear_ptes", "ptep_set_wrprotect", "wrprotect_ptes", "ptep_test_and_clear_young",
        "test_and_clear_young_ptes", "clear_flush_young_ptes", "ptep_modify_prot_start", "modify_prot_start_ptes",
    )  # fmt: skip
    for variant in context.variants():
        bench = variant.bench()
        folio = bench.folio(folio_order(bench))
        for name in names:
            for offset in (0, 1):  # folded where the architecture folds, and never folded
                for nr in (1, 5, bench.block):
                    for target in sorted({0, nr // 2, nr - 1}):
                        for moment in range(0, 3 * nr + 2 * bench.block, 1 if nr < 16 else 5):
                            if not one_write(variant, bench, name, folio + offset, nr, target, moment):
                                break


def one_write(context: Context, bench: Bench, name: str, pfn: int, nr: int, target: int, moment: int) -> bool:
    """The hardware writes through `target` before a raw access; whether the hook made that many."""
    bench.clear_table()
    bench.set(0, bench.value(pfn, "w", 1, 0), bench.block)
    seen, written = 0, False

    def write(ptep: int) -> None:
        nonlocal seen, written
        if seen == moment:
            written = bench.touch(target, ACCESS_WRITE)
        seen += 1

    with bench.watching(write):
        result = batch(bench, name, 0, nr)
    if written:
        gives = "young" not in name and "wrprotect" not in name  # the value it took out
        returned = bench.view(result) if result and gives else View(NONE)
        left = bench.look(target)
        if not returned.dirty and not left.dirty:
            gave = f" and what it returned is {returned}" if gives else ""
            raise CheckFailed(
                f"{name}(start=0, nr={nr}){context.where}: a write by the hardware through entry {target} before raw "
                f"access {moment} is lost: the entry is {left}{gave}",
                (
                    f"set_ptes(0, pfn {pfn:#x} w young clean, nr={bench.block})",
                    f"{name}(start=0, nr={nr}); before its raw access {moment} the hardware writes through {target}",
                ),
            )
    return seen > moment


@check("lockless.retry", hooks=("ptep_get_lockless",), source=_LOCKLESS)
def retry(context: Context) -> None:
    """ptep_get_lockless of a table that keeps still ends, with what ptep_get returns, wherever A/D are."""
    for variant in context.variants():
        bench = variant.bench()
        folio, last = bench.folio(folio_order(bench)), bench.block - 1
        images = [image(bench, folio, young, dirty) for young, dirty in ((0, 0), (1, 0), (0, 1))]
        for dirty in sorted({*range(0, bench.block, max(1, bench.block // 8)), last}):
            for young in (0, last):
                bench.table[:] = images[0]
                bench.table[young] = images[1][young]
                bench.table[dirty] = images[2][dirty]
                for target in range(0, bench.block, max(1, bench.block // 8)):
                    got = bench.view(bench.hook.ptep_get_lockless(bench.ptep(target)))
                    if got != bench.look(target):
                        marks = f"entry {dirty} is dirty" + (
                            f", entry {young} young" if young != dirty else ""
                        )
                        raise CheckFailed(
                            f"ptep_get_lockless({target}) is {got}, ptep_get is {bench.look(target)}{variant.where}; "
                            f"of {bench.block} entries {marks}"
                        )


def image(bench: Bench, folio: int, young: int, dirty: int) -> NDArray[np.int64]:
    """The table with one block, all of it in this state."""
    bench.clear_table()
    bench.set(0, bench.value(folio, "w", young, dirty), bench.block)
    return bench.table.copy()
