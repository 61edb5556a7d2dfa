"""Random walks over the hooks under the TLB oracle, each step with the flush that core-mm would give it."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from core_mm.uapi import ACCESS_READ, ACCESS_WRITE
from core_mm.vmstat import LOG_OP
from mmarch.check.bench import NONE, PRESENT, Bench
from mmarch.check.context import Context
from mmarch.check.layouts import BLOCKS, folio_order
from mmarch.check.outcome import CheckFailed
from mmarch.sanitize import Oracle
from mmarch.sanitize.violation import Violation


@dataclass(frozen=True)
class Step:
    """One hook call: entries [start, start + nr), and a flag that the action interprets."""

    action: str
    start: int
    nr: int
    flag: int

    def __str__(self) -> str:
        pages = "" if self.action in ("replace", "fault") else f", nr={self.nr}"
        return f"{self.action}(start={self.start}{pages}{''.join(', ' + word for word in self._words())})"

    def _words(self) -> tuple[str, ...]:
        """What the flag means to the action."""
        flag, odd = self.flag, self.flag & 1
        if self.action == "map":
            perm = permission(flag)
            dirty = ("dirty",) if perm == "w" and flag & 8 else ()
            return (perm, *dirty, *(("one frame off",) if flag & 4 else ()))
        return {
            "unmap": ("clear_ptes" if odd else "clear_full_ptes",),
            "mprotect": ("read" if odd else "none",),
            "age": ("clear_flush_young_ptes" if odd else "test_and_clear_young_ptes",),
            "free": (f"flags={flag % 3 + 1}",),
            "fault": ("write" if odd else "read",),
        }.get(self.action, ())


def permission(flag: int) -> str:
    """Of a mapping: n, r or w."""
    return "nrwr"[flag & 3] if flag & 3 else "w"


class Walker:
    """Applies steps to the table of a bench; steps that would break a hook's precondition do nothing."""

    def __init__(self, context: Context, strict: bool = False) -> None:
        self.context = context
        self.bench = context.bench()
        self.oracle = Oracle(context.config(), strict)
        self.oracle.feed(self.bench.birth)
        self.folio = self.bench.folio(folio_order(self.bench))
        self.slot = self.bench.first // self.bench.entries
        self.actions: dict[str, Callable[[int, int, int], None]] = {
            name.removeprefix("do_"): getattr(self, name) for name in dir(self) if name.startswith("do_")
        }

    def run(self, steps: Sequence[Step], judge: Callable[[Walker, Step], None]) -> None:
        """From an empty table."""
        self.bench.reset()
        self.bench.take_log()
        self.oracle.reset_table(self.slot, {})
        self.oracle.violations.clear()
        for number, step in enumerate(steps):
            self.oracle.feed([(LOG_OP, number + 1, 0, 0, 0, 0)])  # the report counts steps from 1
            try:
                self.actions[step.action](step.start, step.nr, step.flag)
                self.oracle.feed(self.bench.take_log())
                judge(self, step)
            except CheckFailed as error:
                raise CheckFailed(
                    f"{step}{self.context.where}: {error}", [str(s) for s in steps[: number + 1]]
                ) from None

    def violation(self) -> Violation | None:
        """The first one so far."""
        self.oracle.finish()
        return self.oracle.violations[0] if self.oracle.violations else None

    # -- steps ------------------------------------------------------------------------

    def _at(self, start: int) -> tuple[int, int, int]:
        return self.bench.mm, self.bench.addr(start), self.bench.ptep(start)

    def _in(self, start: int) -> tuple[int, int, int]:
        return self.bench.vma, self.bench.addr(start), self.bench.ptep(start)

    def _flush(self, start: int, nr: int) -> None:
        self.bench.hook.flush_tlb_range(self.bench.vma, self.bench.addr(start), self.bench.addr(start + nr))

    def _batch(self, start: int, nr: int) -> int:
        """How many entries from `start` on core-mm would treat as one batch, `nr` at most."""
        first = self.bench.look(start)
        if first.kind != PRESENT:
            return 0
        got = 1
        while got < nr:
            other = self.bench.look(start + got)
            same = first.but(pfn=first.pfn + got, young=other.young, dirty=other.dirty)
            if other != same:
                break
            got += 1
        return got

    def do_map(self, start: int, nr: int, flag: int) -> None:
        """Pages of a folio, in step with the addresses or one off."""
        free = 0
        while free < nr and self.bench.look(start + free).kind == NONE:
            free += 1
        if free:
            perm = permission(flag)
            pfn = self.folio + start + (1 if flag & 4 else 0)
            self.bench.set(
                start, self.bench.value(pfn, perm, young=1, dirty=flag >> 3 & 1 if perm == "w" else 0), free
            )

    def do_unmap(self, start: int, nr: int, flag: int) -> None:
        """Zap a batch, then flush it."""
        got = self._batch(start, nr)
        if got:
            clear = self.bench.hook.clear_ptes if flag & 1 else self.bench.hook.clear_full_ptes
            clear(*self._at(start), got, 0)
            self._flush(start, got)

    def do_protect(self, start: int, nr: int, flag: int) -> None:
        """fork: write-protect a batch, then flush it."""
        got = self._batch(start, nr)
        if got:
            self.bench.hook.wrprotect_ptes(*self._at(start), got)
            self._flush(start, got)

    def do_mprotect(self, start: int, nr: int, flag: int) -> None:
        """Read-only or PROT_NONE and a flush."""
        got = self._batch(start, nr)
        if got:
            hook = self.bench.hook
            old = hook.modify_prot_start_ptes(*self._in(start), got)
            new = hook.pte_modify(old, hook.vm_get_page_prot(flag & 1))
            hook.modify_prot_commit_ptes(*self._in(start), old, new, got)
            self._flush(start, got)

    def do_age(self, start: int, nr: int, flag: int) -> None:
        """Clear accessed flags."""
        got = self._batch(start, nr)
        if got:
            name = "clear_flush_young_ptes" if flag & 1 else "test_and_clear_young_ptes"
            getattr(self.bench.hook, name)(*self._in(start), got)

    def do_free(self, start: int, nr: int, flag: int) -> None:
        """MADV_FREE: clear accessed and dirty, then flush; of whole blocks, since the hook may clear these."""
        got = self._batch(start, nr)
        if got:
            self.bench.hook.clear_young_dirty_ptes(*self._in(start), got, flag % 3 + 1)
            first, block = start & -self.bench.block, self.bench.block
            self._flush(first, -(-(start + got) // block) * block - first)

    def do_replace(self, start: int, nr: int, flag: int) -> None:
        """Copy on write of one page: clear, flush, map another one."""
        if self.bench.look(start).kind == PRESENT:
            self.bench.hook.ptep_clear_flush(*self._in(start))
            pfn = self.folio + 3 * self.bench.block + start % self.bench.block
            self.bench.set(start, self.bench.value(pfn, "w", 1, 1))

    def do_fault(self, start: int, nr: int, flag: int) -> None:
        """An access, with the fault it may take."""
        seen = self.bench.look(start)
        if seen.kind != PRESENT or not seen.valid:
            return
        access = ACCESS_WRITE if flag & 1 else ACCESS_READ
        if self.bench.touch(start, access):
            return
        hook = self.bench.hook
        entry = hook.pte_mkyoung(hook.ptep_get(self.bench.ptep(start)))
        if access == ACCESS_WRITE:
            entry = hook.pte_mkwrite(hook.pte_mkdirty(entry))
        if hook.ptep_set_access_flags(*self._in(start), entry, access):
            hook.update_mmu_cache_range(0, *self._in(start), 1)
        elif access == ACCESS_WRITE:
            hook.flush_tlb_fix_spurious_fault(*self._in(start))


ACTIONS = ("map", "map", "unmap", "protect", "mprotect", "age", "free", "replace", "fault", "fault")


def random_steps(rng: random.Random, block: int, length: int) -> list[Step]:
    """A walk; starts and lengths prefer the borders of blocks."""
    size = BLOCKS * block
    steps = []
    for _ in range(length):
        start = rng.choice((rng.randrange(size), rng.randrange(BLOCKS) * block, size - block - 1))
        nr = rng.choice((1, rng.randrange(1, size), block, block // 2, 2 * block, block - start % block))
        steps.append(Step(rng.choice(ACTIONS), start, max(1, min(nr, size - start)), rng.randrange(16)))
    return steps


def shrink(
    walker: Walker, steps: Sequence[Step], judge: Callable[[Walker, Step], None]
) -> CheckFailed | None:
    """The failure of `steps`, after leaving out what it does not need; None if they do not fail."""

    def failure(tried: Sequence[Step]) -> CheckFailed | None:
        try:
            walker.run(tried, judge)
        except CheckFailed as error:
            return error
        return None

    best = failure(steps)
    if best is None:
        return None
    kept = list(steps[: len(best.steps)])
    position = 0
    while position < len(kept):
        shorter = kept[:position] + kept[position + 1 :]
        found = failure(shorter)
        if found:
            best, kept = found, shorter[: len(found.steps)]
        else:
            position += 1
    return best


def walk(
    context: Context,
    judge: Callable[[Walker, Step], None],
    walks: int,
    length: int = 24,
    first: Callable[[int], Iterable[Sequence[Step]]] = lambda block: (),
) -> None:
    """Those of `first`, given the block's entries, then random walks on every variant.

    CheckFailed with the shortest failing one.
    """
    for variant in context.variants():
        walker = Walker(variant)
        rng, block = variant.rng("walk"), walker.bench.block
        number = max(3, int(walks * variant.share))
        for steps in chain(first(block), (random_steps(rng, block, length) for _ in range(number))):
            failed = shrink(walker, steps, judge)
            if failed:
                raise failed


def raws(bench: Bench) -> dict[int, int]:
    """The table's entries that are not zero."""
    indices = np.flatnonzero(bench.table).tolist()
    return {index: int(bench.table[index]) for index in indices}
