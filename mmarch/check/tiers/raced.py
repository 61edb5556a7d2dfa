"""Tier stateful: a fault that finds, when it has its page, that another thread's fault was faster."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from core_mm import folio, lru
from core_mm.memory import fault
from core_mm.uapi import (
    ACCESS_READ,
    ACCESS_WRITE,
    FILE_REGULAR,
    MADV_PAGEOUT,
    MAP_ANONYMOUS,
    MAP_FIXED,
    MAP_PRIVATE,
    MAP_SHARED,
    OP_FORK,
    OP_MADVISE,
    OP_MMAP,
    OP_MSYNC,
    OP_TOUCH,
)
from mmarch.check.arguments import Arguments
from mmarch.check.context import Context
from mmarch.check.outcome import CheckFailed
from mmarch.check.registry import check
from mmarch.check.system import System, in_order, system
from mmarch.check.tiers.tlb import AT, ok
from mmarch.engine.direct import Bound, DirectMachine
from mmarch.sanitize.answers import MS_SYNC

RW, PRIVATE, SHARED = 3, MAP_PRIVATE | MAP_FIXED, MAP_SHARED | MAP_FIXED
ANON, PAGES = PRIVATE | MAP_ANONYMOUS, 32
OTHERS = 3  # of so many kinds one, on page sizes and CPUs other than the default ones
LOOKED, TOLD = "ptep_get_lockless", "update_mmu_tlb_range"
NAMES = ("vma", "addr", "ptep", "nr")


@dataclass
class Race:
    """Of a fault at AT with another thread's.

    what    is mapped there, and what was done to it before
    begins  where the other thread's comes in between
    faults  threads that have a fault under way
    told    arguments with which the architecture heard of a fault that came too late
    left    entries as the other thread left them
    """

    what: str
    flags: int
    before: tuple[tuple[int, ...], ...]
    access: int
    begins: str
    faults: int = 0
    told: list[tuple[int, ...]] = field(default_factory=list)
    left: list[int] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{'write' if self.access == ACCESS_WRITE else 'read'} of {self.what}, raced at {self.begins}"


def races(page: int) -> Iterator[Race]:
    """Every kind of fault, and where it goes without the lock."""
    size = PAGES * page
    written, read = (OP_TOUCH, 1, AT, PAGES, ACCESS_WRITE), (OP_TOUCH, 1, AT, PAGES, ACCESS_READ)
    shared = (written, (OP_FORK, 1, 2))
    out = (written, (OP_MADVISE, 1, AT, size, MADV_PAGEOUT))
    clean = (written, (OP_MSYNC, 1, AT, size, MS_SYNC), read)
    for access in (ACCESS_READ, ACCESS_WRITE):
        yield Race("untouched memory", ANON, (), access, "do_pte_missing")
        for flags in (PRIVATE, SHARED):
            yield Race("a file", flags, (), access, "do_pte_missing")
        yield Race("memory in swap", ANON, out, access, "folio_add_lru")
        yield Race("shared memory in swap", ANON, (*out, (OP_FORK, 1, 2)), access, "folio_add_lru")
    yield Race("untouched memory", ANON, (), ACCESS_WRITE, "folio_alloc")
    yield Race("shared memory", ANON, shared, ACCESS_WRITE, LOOKED)
    yield Race("shared memory", ANON, shared, ACCESS_WRITE, "folio_alloc")
    yield Race("zeros", ANON, (read,), ACCESS_WRITE, "folio_alloc")
    yield Race("a file's clean page", SHARED, clean, ACCESS_WRITE, "folio_mark_dirty")


@check(
    "stateful.raced",
    hooks=(TOLD,),
    source="mm/memory.c: vmf_pte_changed, pte_same under the lock; update_mmu_tlb_range",
)
def raced(context: Context) -> str:
    """A fault that finds another thread's work in its place leaves it alone, and tells the architecture of it."""
    for number, variant in enumerate(context.variants()):
        kinds = list(races(1 << variant.geometry.page_shift))
        for race in kinds[number % OTHERS :: OTHERS] if number else kinds:
            s = begun(variant, race)
            race.faults = 1
            ok(s, OP_TOUCH, 1, AT, 1, race.access)
            if wrong := judged(s, race):
                raise CheckFailed(f"{race}: {wrong}{variant.where}", s.steps())
            in_order(s, variant.where)
    return f"{len(kinds)} kinds of faults"


def begun(context: Context, race: Race) -> System:
    """A machine with what is mapped at AT, and of which the race's place is watched."""

    def watching(original: Bound) -> Bound:
        def watched(*arguments: int) -> Any:
            between(s, race)
            return original(*arguments)

        return watched

    functions: dict[str, Callable[..., Any]] = {
        one.__name__: one
        for one in (fault.do_pte_missing, folio.folio_alloc, folio.folio_mark_dirty, lru.folio_add_lru)
    }
    instead = {functions[race.begins]: watching} if race.begins in functions else {}
    size = PAGES << context.geometry.page_shift
    s = system(context, files=((FILE_REGULAR, size),), instead=instead)
    ok(s, OP_MMAP, 1, AT, size, RW, race.flags, -1 if race.flags & MAP_ANONYMOUS else 0, 0)
    for row in race.before:
        ok(s, *row)
    hooks = machine(s).cells
    hooks[TOLD]["target"] = partial(heard, race, hooks[TOLD]["target"])
    if race.begins == LOOKED:
        hooks[LOOKED]["target"] = partial(looked, s, race, hooks[LOOKED]["target"])
    return s


def machine(s: System) -> DirectMachine:
    """Whose functions can be watched."""
    assert isinstance(s.machine, DirectMachine)
    return s.machine


def between(s: System, race: Race) -> None:
    """The other thread makes the same access, if the first one's fault has come here."""
    if race.faults == 1:
        race.faults = 2
        s.interrupt(OP_TOUCH, 1, AT, 1, race.access)
        race.told.clear()
        race.left = entries(s)


def looked(s: System, race: Race, winner: Bound, ptep: int) -> int:
    """What the first thread finds, before the other one's fault."""
    found = int(winner(ptep))
    between(s, race)
    return found


def heard(race: Race, winner: Bound, *arguments: int) -> int:
    """The architecture is told."""
    race.told.append(arguments)
    return int(winner(*arguments))


def entries(s: System) -> list[int]:
    """Every entry of every table."""
    used = s.get("next_table") << s.machine.memory.get("cfg", "pte_bits")
    found: list[int] = s.machine.memory.arrays["ptes"][:used].tolist()
    return found


def judged(s: System, race: Race) -> str:
    """What is wrong after the race; "" if nothing."""
    if race.faults != 2:
        return "the fault never comes there"
    if len(race.told) != 1:
        return f"{TOLD} is called {len(race.told)} times"
    given = dict(zip(NAMES, race.told[0], strict=True))
    if wrong := Arguments(s.machine).wrong(given):
        return f"{TOLD} is called with {wrong}"
    if not given["addr"] <= AT < given["addr"] + given["nr"] * s.page:
        return f"{TOLD} is told of {given['nr']} pages at {given['addr']:#x}, and the fault was at {AT:#x}"
    if entries(s) != race.left:
        return "it changes the entry that the other thread has made"
    return ""
