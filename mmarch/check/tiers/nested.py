"""Tier batch: hooks that are made of other hooks, and what these get."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import FrameType
from typing import Any

from core_mm.pgtable import pmd_off
from mmarch.check.arguments import CORE, SAME, Arguments
from mmarch.check.bench import Bench
from mmarch.check.context import TINY, Context
from mmarch.check.layouts import Layout, layouts
from mmarch.check.outcome import CheckFailed
from mmarch.check.profiling import profiled
from mmarch.check.registry import check
from mmarch.engine.hookimpls import parameters

EMPTY = ("set_ptes", "modify_prot_commit_ptes", "ptep_modify_prot_commit")  # hooks that fill entries
WALKER = "mmu_access"
FEW = 8
OWNERS = ("mm", "vma")


def arguments(bench: Bench, names: tuple[str, ...], start: int, nr: int, entry: int) -> list[int]:
    """What a hook with these parameters gets for a batch."""
    hook = bench.hook
    values = {
        "mm": bench.mm, "vma": bench.vma, "addr": bench.addr(start), "ptep": bench.ptep(start), "nr": nr,
        "flags": 3, "dirty": 1, "entry": hook.pte_mkyoung(entry), "pte": hook.pte_wrprotect(entry), "old_pte": entry,
    }  # fmt: skip
    return [values.get(name, 0) for name in names]


class Listener:
    """Looks at calls of hooks within a hook: of this bench, a batch of it, and what parameters are named after.

    names   hook -> what its parameters mean
    placed  the same of hooks of an address and an entry, by what the entry is called
    """

    def __init__(self, bench: Bench) -> None:
        self.bench, self.judge = bench, Arguments(bench.machine)
        self.names = {
            name: tuple(SAME.get(one, one) for one in parameters(declared))
            for name, declared in bench.machine.config.hooks.items() if name != WALKER
        }  # fmt: skip
        self.placed = {
            at: {name: names for name, names in self.names.items() if names[1:3] == ("addr", at) and names[0] in OWNERS}
            for at in ("ptep", "pmdp")
        }  # fmt: skip

    def run(self, call: Callable[[], int], first: int, after: int, leaf: int = 0) -> int:
        """CheckFailed unless all that is called is about addresses from `first` to `after`; `leaf` is a PMD's entry."""

        def called(frame: FrameType, event: str, result: Any) -> None:
            name = frame.f_code.co_name
            if event != "call" or name not in self.names or frame.f_code.co_filename.startswith(CORE):
                return
            values = [frame.f_locals[one] for one in frame.f_code.co_varnames[: len(self.names[name])]]
            given = dict(zip(self.names[name], values, strict=True))
            if leaf and given.get("ptep") == leaf:  # as update_mmu_cache_pmd does
                given["pmdp"] = given.pop("ptep")
            if wrong := self.judge.wrong(given) or self._strange(given, first, after):
                raise CheckFailed(f"{name} is called with {wrong}")

        with profiled(called):
            return call()

    def _strange(self, given: Mapping[str, int], first: int, after: int) -> str:
        owners = {"mm": self.bench.mm, "vma": self.bench.vma}
        for name, owner in owners.items():
            if given.get(name, owner) != owner:
                return f"{name} {given[name]}, not {owner}"
        outside = [name for name in ("addr", "start") if name in given and not first <= given[name] < after]
        return f"{outside[0]} {given[outside[0]]:#x}, which is not of the batch" if outside else ""


@check("batch.nested", hooks=("clear_ptes", "wrprotect_ptes", "modify_prot_start_ptes"),
       source="core_mm/hookspecs.py: parameters")  # fmt: skip
def nested(context: Context) -> None:
    """A hook that calls others does so with its own address space, and with entries of its batch and their address."""
    for variant in context.variants():
        step = 1 if variant.cpu == context.cpu and variant.share >= TINY else 4
        listener = Listener(variant.bench())
        for layout in list(layouts(variant, listener.bench))[::step]:
            for start, nr in short(listener.bench.block):
                entries(variant, listener, layout, start, nr)
        leaves(variant, listener)


def short(block: int) -> tuple[tuple[int, int], ...]:
    """(start, nr) of batches of a few entries: from a block's start, within one, and across its end."""
    return (0, min(block, FEW)), (block + 1, 3), (block - 1, 2), (block - 3, FEW)


def entries(context: Context, listener: Listener, layout: Layout, start: int, nr: int) -> None:
    """Every hook of a batch, or of its first entry."""
    bench = listener.bench
    low, high = map(bench.addr, bench.blocks_of(start, nr))
    for name, names in listener.placed["ptep"].items():
        layout.restore(bench)
        entry = bench.hook.ptep_get(bench.ptep(start))
        pages = nr if "nr" in names else 1
        if name in EMPTY:
            bench.hook.clear_ptes(bench.mm, bench.addr(start), bench.ptep(start), pages, 0)
        given = arguments(bench, names, start, pages, entry)
        try:
            listener.run(lambda: int(getattr(bench.hook, name)(*given)), low, high)  # noqa: B023 - called at once
        except CheckFailed as error:
            what = f"{name}(start={start}, nr={pages}) on {layout.name}{context.where}"
            raise CheckFailed(f"in {what} {error}", layout.steps) from None


def leaves(context: Context, listener: Listener) -> None:
    """Every hook of a PMD leaf."""
    bench = listener.bench
    hook, span = bench.hook, bench.entries * bench.page
    addr = bench.first_addr + span
    pmdp, table = bench.core(pmd_off)(bench.mm, addr), bench.machine.memory.arrays["ptes"]
    before, leaf = int(table[pmdp]), bench.value(5 * bench.entries, "w")
    try:
        for name, names in listener.placed["pmdp"].items():
            table[pmdp] = hook.pmd_mkhuge(leaf)
            values = {
                "mm": bench.mm, "vma": bench.vma, "addr": addr, "pmdp": pmdp, "dirty": 1,
                "entry": hook.pmd_mkhuge(hook.pte_mkdirty(leaf)), "pmd": hook.pmd_mkhuge(leaf),
            }  # fmt: skip
            given = [values.get(one, 0) for one in names]
            try:
                listener.run(lambda: int(getattr(hook, name)(*given)), addr, addr + span, pmdp)  # noqa: B023 - at once
            except CheckFailed as error:
                raise CheckFailed(f"in {name} of a leaf{context.where} {error}") from None
    finally:
        table[pmdp] = before
