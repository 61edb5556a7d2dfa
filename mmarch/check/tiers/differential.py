"""Tier differential: the same program on the generic architecture and on this one, interpreted and linked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from core_mm.descriptor import ArchDescriptor
from mmarch.check.choices import writer
from mmarch.check.context import Context
from mmarch.check.driver import Driver, files
from mmarch.check.observing import Observer, Seen
from mmarch.check.outcome import CheckFailed, Skipped
from mmarch.check.registry import check
from mmarch.check.system import System, system_config
from mmarch.engine.lower import Options
from mmarch.sanitize.random_rows import Row

LENGTH = 60
TINY = 0.01  # share of the cases on the second release of a quick run


def program(context: Context, salt: str) -> tuple[Driver, Sequence[Row]]:
    """A random program that has run on the architecture, compared with the model throughout."""
    driver, rows = Driver(context), writer(context, context.rng(salt)).write(LENGTH + 1)[1:]
    for row in rows:
        driver.call(row)
    return driver, rows


def like(arch: ArchDescriptor, generic: ArchDescriptor) -> ArchDescriptor:
    """The generic architecture with the page tables of `arch`."""
    return generic.model_copy(update={"granules": arch.granules, "default_granule": arch.default_granule})


def view(observer: Observer) -> dict[tuple[int, int], tuple[object, ...]]:
    """What is mapped where, without frame numbers: who shares with whom, permissions, dirty, mapcount."""
    pages = observer.pages()
    first: dict[int, tuple[int, int]] = {}
    for place in sorted(pages):
        first.setdefault(pages[place].pfn, place)
    return {place: _visible(observer, seen, first[seen.pfn]) for place, seen in pages.items()}


def _visible(observer: Observer, seen: Seen, owner: tuple[int, int]) -> tuple[object, ...]:
    if seen.swapped:
        return ("swapped",)
    if seen.special:
        return ("special", seen.write)
    dirty = seen.dirty or observer.folio_dirty(seen.pfn)
    return ("present", owner, seen.write, seen.valid, dirty, int(observer.frames["mapcount"][seen.pfn]))


@check("differential.generic", source="core_mm/hookspecs.py: every default", turns=True)
def generic_alike(context: Context) -> None:
    """Core-mm sees the same on this architecture as on the generic one: sharing, permissions, dirty, counts, errors."""
    plain = replace(context, arch=like(context.arch, context.generic), cpu="", name=context.name)
    for number in range(max(1 if context.aside else 2, int(20 * context.share))):
        driver, rows = program(context, f"generic {number}")
        other = Driver(plain)
        for row in rows:
            other.call(row)
        steps = driver.system.steps()
        if driver.system.operations != other.system.operations:
            raise CheckFailed("the same program runs differently: some operation fails on one of them", steps)
        ours, theirs = view(driver.observer), view(other.observer)
        for place in sorted(ours.keys() | theirs.keys()):
            if ours.get(place) != theirs.get(place):
                raise CheckFailed(
                    f"page {place[1]:#x} of mm {place[0]} is {ours.get(place)}, on the generic architecture it is "
                    f"{theirs.get(place)}", steps,
                )  # fmt: skip
        for name in ("rss_anon", "rss_file", "rss_shmem", "rss_swap"):
            mine, generic = driver.observer.mms[name][:64].tolist(), other.observer.mms[name][:64].tolist()
            if mine != generic:
                raise CheckFailed(
                    f"{name} of all mms is {mine}, on the generic architecture {generic}", steps
                )


@check("differential.engines", source="mmarch/engine", long=True, links=True)
def engines_alike(context: Context) -> None:
    """Interpreted and linked, a program leaves the same memory to the byte."""
    if context.share < TINY:
        raise Skipped("the quick form compares the engines on one release")
    for number in range(max(1, int(6 * context.share))):
        rows = program(context, f"engines {number}")[0].system.operations
        interpreted, linked = machine(context, "interpreted"), machine(context, "linked")
        for row in rows[1:]:
            interpreted.do(*row)
            linked.do(*row)
        compare_memory(interpreted, linked)
        interpreted.judge()


def machine(context: Context, engine: str, options: Options = Options()) -> System:
    """As the driver's, in another engine."""
    return System(
        system_config(context), engine, files(context), options=options, judged=engine == "interpreted"
    )


def compare_memory(interpreted: System, linked: System) -> None:
    """CheckFailed at the first difference, in results first."""
    ours, theirs = interpreted.machine.memory, linked.machine.memory
    for name in ("results", "ptes", "i_pages", "swap_map"):
        _same(name, ours.arrays[name], theirs.arrays[name], interpreted)
    for name in ("PAGE", "MM", "VMA", "PTDESC"):
        for column in ours.tables[name].columns:
            _same(f"{name}.{column}", ours.tables[name][column], theirs.tables[name][column], interpreted)


@check("differential.bounds", source="mmarch/engine: checked builds", long=True, links=True)
def in_bounds(context: Context) -> None:
    """No access lies outside its array, in a build that checks every one."""
    if context.quick:
        raise Skipped("the quick form does not link a checked build")
    rows = program(context, "bounds")[0].system.operations
    linked = machine(context, "linked", Options(checked=True))
    layout, root = linked.machine.layout, linked.machine.memory.root
    for row in rows[1:]:
        linked.do(*row)
        location, index, _ = root[layout.fault : layout.fault + 3].tolist()
        if location:
            where = f"{layout.files[(location >> 32) - 1]}:{location & 0xFFFFFFFF}"
            raise CheckFailed(f"{where}: index {index} lies outside its array", linked.steps())


def _same(name: str, ours: np.ndarray, theirs: np.ndarray, machine: System) -> None:
    different = np.flatnonzero(ours != theirs)
    if len(different):
        at = int(different[0])
        raise CheckFailed(
            f"{name}[{at:#x}] is {ours[at]} interpreted and {theirs[at]} linked", machine.steps()
        )
