"""Tier meaning: what core-mm can observe is the same with what --with names as without it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import islice

from core_mm.releases import features
from core_mm.uapi import OP_TOUCH
from mmarch.check.context import QUICK, Context
from mmarch.check.observation import ASPECTS
from mmarch.check.outcome import CheckFailed, Done, Skipped
from mmarch.check.pair import Kernels, Subject, Tally
from mmarch.check.programs import programs
from mmarch.check.registry import check
from mmarch.check.replays import replays
from mmarch.check.system import show
from mmarch.engine.changes import Changes
from mmarch.engine.machine import Config, tables
from mmarch.engine.program import NotLinkable
from mmarch.suggest import did_you_mean

PROGRAMS, FEWEST = 20_000, 20
QUICKLY = 400  # programs of a quick run, on the first release
SLOWER = 200  # times, where nothing links
ENTRIES = "core_mm/observe.py: what is compared"


def kernels(context: Context) -> Kernels:
    """Without and with: of series and features together the series alone; Skipped if there is no difference."""
    changed = context.config()
    own = frozenset(context.changes.owner.values())
    plain = replace(changed, with_=changed.with_ - own if own else frozenset(), changes=Changes())
    if not own and present(plain) == present(changed):
        raise Skipped(f"{context.release} has {', '.join(context.with_)} anyway")
    return Kernels(plain, changed, private=private_bits(context), declared=declared(context))


def declared(context: Context) -> tuple[str, ...]:
    """What the series mean to change; CheckFailed for what is no aspect."""
    for aspect in context.declared:
        if aspect not in ASPECTS:
            raise CheckFailed(f"declares to change {aspect!r}.{did_you_mean(aspect, ASPECTS)}")
    return tuple(context.declared)


def seen(both: Kernels, tally: Tally) -> None:
    """CheckFailed for what is declared and did not show in all of these programs."""
    for aspect in both.declared:
        if not tally.declared[aspect]:
            raise CheckFailed(
                f"declares to change {aspect!r}, which is the same in {tally.programs:,} programs; do not declare it"
            )


def present(config: Config) -> frozenset[str]:
    """Features that a kernel has."""
    known = [item for table in tables(config) for item in table.table.values()]
    return (features(config.release, known) | config.with_) - config.without


def private_bits(context: Context) -> int:
    """Bits that the architecture adds to the entries of a block, found by making one."""
    bench = context.bench()
    if not bench.has_blocks:
        return 0
    value = bench.value(bench.folio(bench.block.bit_length() - 1), "w", 1, 1)
    bench.set(0, value, bench.block)
    return int(bench.hook.ptep_get(bench.ptep(0))) ^ value


def compared(both: Kernels, subjects: Iterable[Subject], tally: Tally) -> None:
    """CheckFailed with the shortest program at the first difference."""
    for subject in subjects:
        found = both.compare(subject, tally)
        if found is not None:
            short, found = both.shrink(subject, found)
            raise CheckFailed(f"{found}\n  on      {subject.place}", [show(row) for row in short.rows])


def linked_or_not(both: Kernels, run: Callable[[Kernels, int], None]) -> None:
    """With linked code; interpreted, and less of it, where something does not link."""
    try:
        run(both, 1)
    except NotLinkable:
        run(replace(both, engine="interpreted"), SLOWER)


def done(tally: Tally, what: str) -> Done:
    """What a check reports."""
    counts = {
        what: tally.programs, "calls": tally.calls, "failed": tally.failed, "swapped": tally.swapped,
        "observed": tally.observed,
    }  # fmt: skip
    shown = ", ".join(f"{aspect} {number:,} times" for aspect, number in tally.declared.items())
    return Done(
        f"{tally.programs:,} {what}, {tally}" + (f"; declared differences: {shown}" if shown else ""), counts
    )


@check("meaning.programs", source=ENTRIES, long=True, links=True, paired=True, limit=7200)
def same_for_programs(context: Context) -> Done:
    """Random programs leave the same behind with it as without, after every call, and no stale translation."""
    both, tally = kernels(context), Tally()
    usual = QUICKLY * context.share / QUICK if context.quick else PROGRAMS * context.share
    wanted = context.programs or max(FEWEST, round(usual))

    def run(both: Kernels, fewer: int) -> None:
        compared(both, islice(programs(context.config(), context.seed), max(1, wanted // fewer)), tally)

    linked_or_not(both, run)
    if tally.programs >= PROGRAMS:
        seen(both, tally)
    return done(tally, "programs")


@check("meaning.workloads", source=ENTRIES, long=True, links=True, paired=True, limit=3600)
def same_for_workloads(context: Context) -> Done:
    """Every workload that comes with mmarch leaves the same behind with it as without."""
    both, tally = kernels(context), Tally()
    config = replace(context.config(), granule=context.granule or context.arch.default_granule)
    both = replace(
        both,
        plain=replace(both.plain, granule=config.granule),
        changed=replace(both.changed, granule=config.granule),
    )

    def run(both: Kernels, fewer: int) -> None:
        compared(both, replays(config) if fewer == 1 else small(replays(config)), tally)

    linked_or_not(both, run)
    return done(tally, "workloads")


def small(subjects: Iterable[Subject]) -> Iterable[Subject]:
    """Those that can be interpreted in a few seconds."""
    for subject in subjects:
        if sum(max(1, row[3]) for row in subject.rows if row[0] == OP_TOUCH) < 20_000:
            yield subject
