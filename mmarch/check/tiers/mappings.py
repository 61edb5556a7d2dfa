"""Tier stateful: mappings are divided as Linux divides them, after every call of random programs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import zip_longest
from random import Random

from core_mm import mm_types, uapi
from core_mm.madvise import MADV_DODUMP, MADV_DONTDUMP, VM_DONTDUMP
from core_mm.mm_types import ENOMEM, VM_LOCKED, VM_SHARED, VM_WRITE
from core_mm.mmap import VM_MAYALL
from core_mm.uapi import (
    ACCESS_READ,
    ACCESS_WRITE,
    MAP_ANONYMOUS,
    MAP_FIXED,
    MAP_GROWSDOWN,
    MAP_LOCKED,
    MAP_NORESERVE,
    MAP_PRIVATE,
    MAP_SHARED,
    MREMAP_DONTUNMAP,
    MREMAP_FIXED,
    MREMAP_MAYMOVE,
    PROT_EXEC,
    PROT_READ,
)
from core_mm.vmstat import LOG_EXIT, LOG_VMA
from mmarch.check.context import QUICK, Context
from mmarch.check.driver import files
from mmarch.check.log_told import Told
from mmarch.check.mappings import Mapping, Mappings
from mmarch.check.outcome import CheckFailed
from mmarch.check.registry import check
from mmarch.check.system import System, in_order, outcome, system
from mmarch.sanitize.invariants.spaces import mappings as mapped

PROGRAMS, FEWEST, CALLS = 40, 20, 80  # of a quick run
UNITS, HEAP, STACK = 12, 7, 128  # of the arena; where in it the heap begins; where a stack is
RW = 3
FIXED = MREMAP_MAYMOVE | MREMAP_FIXED
# advice: flags that it takes away and gives
ADVICE = {
    uapi.MADV_DONTFORK: (0, mm_types.VM_DONTCOPY), uapi.MADV_DOFORK: (mm_types.VM_DONTCOPY, 0),
    uapi.MADV_HUGEPAGE: (mm_types.VM_NOHUGEPAGE, mm_types.VM_HUGEPAGE),
    uapi.MADV_NOHUGEPAGE: (mm_types.VM_HUGEPAGE, mm_types.VM_NOHUGEPAGE),
    uapi.MADV_RANDOM: (mm_types.VM_SEQ_READ, mm_types.VM_RAND_READ),
    uapi.MADV_SEQUENTIAL: (mm_types.VM_RAND_READ, mm_types.VM_SEQ_READ),
    uapi.MADV_NORMAL: (mm_types.VM_RAND_READ | mm_types.VM_SEQ_READ, 0),
    MADV_DONTDUMP: (0, VM_DONTDUMP), MADV_DODUMP: (VM_DONTDUMP, 0),
}  # fmt: skip
FEW = (uapi.MADV_DONTFORK, uapi.MADV_DOFORK, MADV_DONTDUMP, MADV_DODUMP)  # most programs use these alone


class Program:
    """Random calls of some tasks on one machine, and what each must leave."""

    def __init__(self, context: Context, machine: System, rng: Random) -> None:
        geometry, memory = context.geometry, machine.machine.memory
        self.machine, self.rng, self.where = machine, rng, context.where
        self.tables, self.page = memory.tables, machine.page
        entries = 1 << geometry.pte_bits
        huge = context.small_tables and rng.random() < 0.25
        self.unit = entries // 4 if huge else 1
        self.base = (64 << geometry.pte_bits) - 8 * self.unit
        faulted = bool(memory.get("feature", "merge_faulted_vmas"))
        self.spaces: dict[int, Mappings] = {1: Mappings(faulted)}
        self.told = Told(memory.arrays["ops"], self.page)
        self.alike = rng.random() < 0.7
        self.advice = FEW if self.alike else tuple(ADVICE)
        self.prots = (RW, RW, RW, PROT_READ) if self.alike else (RW, RW, PROT_READ, 0, PROT_READ | PROT_EXEC)

    def run(self, calls: int) -> None:
        """From an empty address space on."""
        self._do(uapi.OP_EXEC, 1, 0)
        advised = 6 if self.unit == 1 else 30
        steps: dict[Callable[[int, Mappings], None], int] = {
            self.mmap: 22, self.munmap: 4, self.mprotect: 26, self.madvise: advised, self.touch: 36, self.mremap: 14,
            self.brk: 5, self.stack: 1, self.fork: 3, self.exit: 2,
        }  # fmt: skip
        for step in self.rng.choices(list(steps), list(steps.values()), k=calls):
            task = self.rng.choice(sorted(self.spaces))
            step(task, self.spaces[task])
        for task in sorted(self.spaces)[1:]:
            self.exit(task, self.spaces[task])
        in_order(self.machine, self.where)

    # -- calls ------------------------------------------------------------------------

    def _do(self, op: int, task: int, *arguments: int) -> int:
        result = self.machine.do(op, task, *arguments)
        self.told.take([row for row in self.machine.log() if row[0] in (LOG_VMA, LOG_EXIT)])
        return result

    def _answers(self, right: int, op: int, task: int, *arguments: int) -> None:
        found = self._do(op, task, *arguments)
        if found != right:
            self._fail(f"returned {outcome(found)}; right is {outcome(right)}")

    def _fail(self, what: str) -> None:
        steps = self.machine.steps()
        raise CheckFailed(f"{steps[-1]} {what}{self.where}", steps)

    def _range(self) -> tuple[int, int]:
        """Some pages of the arena, mostly few units."""
        start = self.rng.randrange(UNITS - 1)
        units = min(self.rng.choice((1, 1, 2, 2, 3, 4) if self.unit == 1 else (1, 4, 6, 8)), UNITS - start)
        return self.base + start * self.unit, self.base + (start + units) * self.unit

    def _bytes(self, start: int, end: int) -> tuple[int, int]:
        return start * self.page, (end - start) * self.page

    def mmap(self, task: int, space: Mappings) -> None:
        """Memory, or a file whose pages continue those of other mappings of it, or do not."""
        rng, (start, end) = self.rng, self._range()
        file = rng.choice((-1, -1, -1, -1, -1, 0) if self.alike else (-1, -1, 0, 1))
        shared = file >= 0 and not self.alike and rng.random() < 0.5
        prot = rng.choice(self.prots)
        flags = MAP_FIXED | (MAP_SHARED if shared else MAP_PRIVATE) | (MAP_ANONYMOUS if file < 0 else 0)
        more = 0 if self.alike else rng.choices((0, MAP_NORESERVE, MAP_LOCKED), (10, 2, 1))[0]
        index = start - self.base + rng.choices((0, 1), (6, 1))[0] if file >= 0 else 0
        address, size = self._bytes(start, end)
        self._answers(address, uapi.OP_MMAP, task, address, size, prot, flags | more, file, index * self.page)
        space.cut(start, end)
        vm_flags = prot | VM_MAYALL | (mm_types.VM_SHARED | mm_types.VM_MAYSHARE if shared else 0)
        vm_flags |= VM_LOCKED if more == MAP_LOCKED else 0
        vm_flags |= mm_types.VM_NORESERVE if more == MAP_NORESERVE else 0
        if prot & VM_WRITE and not shared and more != MAP_NORESERVE:
            vm_flags |= mm_types.VM_ACCOUNT
        space.add(Mapping(start, end, vm_flags, file + 1, index if file >= 0 else start))
        self._compare(task)

    def munmap(self, task: int, space: Mappings) -> None:
        """Of whatever is there."""
        start, end = self._range()
        self._answers(0, uapi.OP_MUNMAP, task, *self._bytes(start, end))
        space.cut(start, end)
        self._compare(task)

    def _whole(self, space: Mappings, start: int, end: int) -> int:
        """0, or the error of a call that wants a range without gaps."""
        found = sum(min(one.end, end) - max(one.start, start) for one in space.inside(start, end))
        return 0 if found == end - start else -ENOMEM

    def mprotect(self, task: int, space: Mappings) -> None:
        """Of one mapping, a part, or several, with gaps."""
        start, end = self._some(space)
        beside = [one.flags & 7 for one in space.inside(start - 1, end + 1)] or [RW]
        prot = self.rng.choice((*self.prots, *beside, *beside))
        right = self._whole(space, start, end)
        self._answers(right, uapi.OP_MPROTECT, task, *self._bytes(start, end), prot)
        space.protect(start, end, prot)
        self._compare(task)

    def _some(self, space: Mappings) -> tuple[int, int]:
        """A range; mostly a mapping of the arena, or one end of it."""
        own = space.inside(self.base, self.base + UNITS * self.unit)
        if not own or self.rng.random() < 0.4:
            return self._range()
        one = self.rng.choice(own)
        half = one.start + (one.end - one.start) // (2 * self.unit) * self.unit
        start, end = self.rng.choice(((one.start, one.end), (one.start, half), (half, one.end)))
        return (start, end) if start < end else (one.start, one.end)

    def madvise(self, task: int, space: Mappings) -> None:
        """Advice that tells mappings apart, or takes that back."""
        start, end = self._some(space)
        advice = self.rng.choice(self.advice)
        right = self._whole(space, start, end)
        self._answers(right, uapi.OP_MADVISE, task, *self._bytes(start, end), advice)
        space.advise(start, end, *ADVICE[advice])
        self._compare(task)

    def touch(self, task: int, space: Mappings) -> None:
        """A page of a mapping: a written one that is its own gives it an anon_vma."""
        if not space.all:
            return
        one, access = self.rng.choice(space.all), self.rng.choice((ACCESS_WRITE, ACCESS_WRITE, ACCESS_READ))
        page = self.rng.randrange(one.start, one.end)
        result = self._do(uapi.OP_TOUCH, task, page * self.page, 1, access)
        if result < 0 and not one.file and one.flags & RW == RW:
            self._fail(f"returned {outcome(result)}; right is success")
        self._compare(task, faulted=True)
        now = space.at(page)
        if result >= 0 and access == ACCESS_WRITE and now and not now.flags & VM_SHARED and not now.anon:
            self._fail(f"leaves mapping {now}")

    def mremap(self, task: int, space: Mappings) -> None:
        """Pages of one mapping: away, away and larger, larger in place, away and leaving it behind, smaller."""
        rng = self.rng
        own = space.inside(self.base, self.base + UNITS * self.unit)
        if not own:
            return
        one = rng.choice(own)
        start, end = rng.choice(((one.start, one.end), self._inside(one)))
        address, size = self._bytes(start, end)
        to, _ = self._range()
        home = one.pgoff + start - one.start + (self.base if one.file else 0)
        to = rng.choice((to, self._beside(own, end - start), home))
        grown = end - start + rng.choice((0, 0, self.unit))
        if rng.random() < 0.15 and end == one.end and not space.inside(end, end + self.unit):
            larger = size + self.unit * self.page
            self._answers(address, uapi.OP_MREMAP, task, address, size, larger, 0, address)
            space.grow(one, self.unit)
        elif rng.random() < 0.1 and end - start > 1:
            self._answers(address, uapi.OP_MREMAP, task, address, size, self.page, 0, address)
            space.cut(start + 1, end)
        elif to >= self.base - UNITS * self.unit and (to + grown <= start or end <= to):
            keep = grown == end - start and rng.random() < 0.3
            flags = FIXED | (MREMAP_DONTUNMAP if keep else 0)
            target = to * self.page
            self._answers(target, uapi.OP_MREMAP, task, address, size, grown * self.page, flags, target)
            space.cut(to, to + grown)
            space.move(start, end - start, grown, to, keep)
        else:
            return
        self._compare(task)

    def _inside(self, one: Mapping) -> tuple[int, int]:
        units = max(1, (one.end - one.start) // self.unit)
        first = self.rng.randrange(units)
        after = min(one.end, one.start + (first + self.rng.randrange(1, units - first + 1)) * self.unit)
        return one.start + first * self.unit, after

    def _beside(self, own: Sequence[Mapping], pages: int) -> int:
        """Where so many pages touch another mapping."""
        one, last = self.rng.choice(own), self.base + UNITS * self.unit
        return self.rng.choice((min(one.end, last), max(one.start - pages, self.base - UNITS * self.unit)))

    def brk(self, task: int, space: Mappings) -> None:
        """Up to what is free but for a page, or down."""
        new = self.base + (HEAP + self.rng.randrange(5)) * self.unit + self.rng.choice((0, 0, 1))
        if not space.start_brk:
            new = space.start_brk = space.brk = self.base + HEAP * self.unit
        old, right = space.brk, new
        if new > old and space.inside(old, new + 1):
            right = old
        self._answers(right * self.page, uapi.OP_BRK, task, new * self.page)
        if right < old:
            space.cut(new, old)
        elif right > old:
            flags = RW | VM_MAYALL | mm_types.VM_ACCOUNT
            space.add(Mapping(old, new, flags, 0, old), only_below=True)
        space.brk = right
        self._compare(task)

    def stack(self, task: int, space: Mappings) -> None:
        """Grows, after it was mapped if it was not."""
        top = self.base + STACK * self.unit + 1024
        flags = MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN
        start = top - self.rng.randrange(4, 9)
        address, size = self._bytes(start, top)
        self._answers(address, uapi.OP_MMAP, task, address, size, RW, flags, -1, 0)
        space.cut(start, top)
        kind = RW | VM_MAYALL | mm_types.VM_ACCOUNT | mm_types.VM_GROWSDOWN
        space.add(Mapping(start, top, kind, 0, start))
        self._compare(task)
        low = next(one for one in space.all if one.end == top).start - self.rng.randrange(1, 4)
        self._answers(0, uapi.OP_TOUCH, task, low * self.page, 1, ACCESS_WRITE)
        space.reach(low)
        self._compare(task, faulted=True)

    def fork(self, task: int, space: Mappings) -> None:
        """A child has the same mappings, and anon_vmas of its own beside those of its parent."""
        child = len(self.spaces) + 1
        if child > 3 or child in self.spaces:
            return
        self._answers(0, uapi.OP_FORK, task, child)
        self._compare(task)
        self.spaces[child] = space.child()
        self._adopt(child)
        self._compare(child)

    def exit(self, task: int, space: Mappings) -> None:
        """A child goes."""
        if task != 1:
            del self.spaces[task]
            self._answers(0, uapi.OP_EXIT, task)

    # -- comparison -------------------------------------------------------------------

    def _mm(self, task: int) -> int:
        return int(self.tables["TASK"]["mm"][task + 1])

    def _rows(self, task: int) -> Iterator[int]:
        """The VMAs of a task, in order; CheckFailed if tree and list do not agree."""
        column, mm = self.tables["VMA"], self._mm(task)
        vma, before, tree = (
            int(self.tables["MM"]["mmap"][mm]),
            0,
            self._tree(int(self.tables["MM"]["mm_rb"][mm])),
        )
        while vma:
            if next(tree, 0) != vma or column["vm_prev"][vma] != before:
                self._fail(
                    f"leaves mapping {vma} of task {task} in another place of the tree than of the list"
                )
            yield vma
            before, vma = vma, int(column["vm_next"][vma])
        if next(tree, 0):
            self._fail(f"leaves a mapping of task {task} in its tree that is not in its list")

    def _tree(self, node: int) -> Iterator[int]:
        column, above = self.tables["VMA"], list[int]()
        while node or above:
            while node:
                above.append(node)
                node = int(column["left"][node])
            node = above.pop()
            yield node
            node = int(column["right"][node])

    def _mapping(self, vma: int) -> Mapping:
        column = self.tables["VMA"]
        start, end, flags, file, pgoff, anon = (
            int(column[name][vma]) for name in ("vm_start", "vm_end", "vm_flags", "vm_file", "vm_pgoff", "anon_vma")
        )  # fmt: skip
        chain, pair = list[int](), int(column["avc"][vma])
        while pair and len(chain) < 64:
            chain.append(int(self.tables["AVC"]["anon_vma"][pair]))
            pair = int(self.tables["AVC"]["same_vma"][pair])
        if len(set(chain)) != len(chain):
            self._fail(f"leaves mapping {vma} twice in an anon_vma")
        return Mapping(start // self.page, end // self.page, flags, file, pgoff, anon, frozenset(chain))

    def _compare(self, task: int, faulted: bool = False) -> None:
        """The machine's mappings of a task with the model's; `faulted`: the call may have brought first pages."""
        rows, space = list(self._rows(task)), self.spaces[task]
        for place, vma in enumerate(rows):
            found = self._mapping(vma)
            if place < len(space.all):
                must = space.all[place]
                if found.anon and not must.anon and (faulted or must.flags & VM_LOCKED):
                    self._first(task, must, found.anon)
        for is_so, must in zip_longest((self._mapping(vma) for vma in rows), list(space.all)):
            if is_so != must:
                self._fail(f"leaves mapping {is_so} of task {task}; right is {must}")
        self._logged(task, rows)
        for finding in mapped(self.machine.reader.read()) if self.unit > 1 else ():
            self._fail(f"leaves this: {finding}")

    def _logged(self, task: int, rows: list[int]) -> None:
        """What the log says of them."""
        column, mm = self.tables["VMA"], self._mm(task)
        there = {
            vma: (
                mm, *(int(column[name][vma]) for name in ("vm_file", "vm_start", "vm_end")),
                int(column["vm_flags"][vma]) & ~VM_LOCKED,
            ) for vma in rows
        }  # fmt: skip
        logged = {vma: known for vma, known in self.told.mappings.items() if known[0] == mm}
        if there != logged:
            wrong = sorted(there.items() ^ logged.items())[0]
            self._fail(
                f"logs mapping {wrong[0]} as {logged.get(wrong[0])}, and leaves it {there.get(wrong[0])}"
            )

    def _used(self) -> set[int]:
        return {anon for space in self.spaces.values() for one in space.all for anon in one.chain}

    def _first(self, task: int, must: Mapping, anon: int) -> None:
        """A mapping has its first page, and an anon_vma: that of a neighbour it can be one with, or a new one."""
        space = self.spaces[task]
        right = space.first_page(must)
        if anon != right if right else anon in self._used():
            self._fail(f"gives {must} anon_vma {anon}; right is {right or 'a new one'}")
        space.owns(must, anon)

    def _adopt(self, child: int) -> None:
        """What fork gave a child of anon_vmas: those of the parent, and one of its own."""
        space, used = self.spaces[child], self._used()
        found = {one.start: one for one in map(self._mapping, self._rows(child))}
        for must in [one for one in space.all if one.anon]:
            got = found.get(must.start, must)
            own = got.chain - must.chain
            if (
                not got.chain >= must.chain
                or not own <= {got.anon}
                or own & used
                or got.anon not in got.chain
            ):
                self._fail(f"gives task {child} mapping {got}, which its parent has as {must}")
            used |= own
            space.owns(must, got.anon, got.chain)


@check(
    "stateful.mappings",
    source="mm/vma.c: vma_merge_new_range, vma_modify, __split_vma; mm/rmap.c: anon_vma_fork",
)
def divided(context: Context) -> str:
    """Mappings end where Linux lets them end, and have the anon_vmas that their pages have, after every call."""
    calls = 0
    for variant in context.variants():
        orders = 1 << 2 | (1 << variant.geometry.pte_bits if variant.small_tables else 0)
        changes = {"anon_orders": orders, "overrides": {"log_ptes": 1, "anon_always": orders}}
        machine = system(variant, files=files(variant), changes=changes)
        rng = variant.rng("mappings")
        wanted = round(PROGRAMS * min(variant.share / QUICK, 1.5))
        for _ in range(min(wanted, 6) if calls else max(FEWEST, wanted)):
            Program(variant, machine, rng).run(CALLS)
            calls += CALLS
    return f"{calls:,} calls"
