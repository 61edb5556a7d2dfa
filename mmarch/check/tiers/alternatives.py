"""Tier differential: the same program with and without features that change only how something is done."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import islice

from core_mm import releases
from core_mm.feature import Feature
from core_mm.uapi import MADV_FREE, OP_MADVISE
from mmarch.check.context import Context
from mmarch.check.mixing import Mixer
from mmarch.check.only_how import MENDED, OF_BLOCKS, ONLY_HOW
from mmarch.check.outcome import CheckFailed, Done, Skipped
from mmarch.check.pair import Difference, Kernels, Tally
from mmarch.check.programs import Program, programs
from mmarch.check.registry import check
from mmarch.check.system import show
from mmarch.check.tiers.meaning import private_bits
from mmarch.engine.machine import Config, tables
from mmarch.plugins.features import with_dependants, with_requirements
from mmarch.sanitize.random_rows import Row
from mmarch.sanitize.shrinking import shortest

FEWEST, PROGRAMS = 24, 60  # the same ones for every seed; those of a seed if a number is asked for
SHARE = 0.5  # of the features that differ in one program
LOOK = 5  # calls between two looks
SHRINKING = 60  # seconds
Table = Mapping[str, Feature]


def table(config: Config) -> dict[str, Feature]:
    """Features of core-mm and of the architectures."""
    return {name: item for one in tables(config) for name, item in one.table.items()}


def rivals(known: Table, name: str) -> frozenset[str]:
    """Features that cannot be together with this one or what it requires."""
    needed = with_requirements(known, name)
    return frozenset(
        other for other in known if any(one in known[other].excludes or other in known[one].excludes for one in needed)
    )  # fmt: skip


def added(known: Table, names: Iterable[str]) -> frozenset[str]:
    """As many of these as go together, with what they require; the first ones win."""
    found: frozenset[str] = frozenset()
    for name in names:
        if not rivals(known, name) & found:
            found |= with_requirements(known, name)
    return found


def pair(context: Context, names: Sequence[str]) -> Kernels:
    """The release without these features and what requires them, and the same with them."""
    config = context.config()
    known = table(config)
    has = releases.features(context.release, known.values())
    needed = added(known, names)
    both = frozenset().union(*(with_requirements(known, name) for name in needed - set(ONLY_HOW)))
    gone = (needed - both).union(*(rivals(known, name) for name in needed))
    plain = has.difference(*(with_dependants(known, name) for name in gone)) | both | set(MENDED) & set(known)
    return Kernels(
        made(config, has, plain), made(config, has, plain | needed), "direct", private_bits(context),
        may_differ(context, needed - both), judged=False, step=LOOK,
    )  # fmt: skip


def made(config: Config, has: frozenset[str], wanted: frozenset[str]) -> Config:
    """A release that has `has`, with what is wanted instead."""
    return replace(config, with_=wanted - has, without=has - wanted)


def may_differ(context: Context, names: Iterable[str]) -> frozenset[str]:
    """Aspects that these features do not promise to keep."""
    found = {aspect for name in names for aspect in ONLY_HOW.get(name, {})}
    return frozenset(found | set(OF_BLOCKS if "contiguous" in context.capabilities else ()))


def sure(both: Kernels, subject: Program) -> Program:
    """Without MADV_FREE where more pages may be dirty on one of them, for then reclaim takes fewer."""
    if "dirty_set" not in both.declared:
        return subject
    freed = OP_MADVISE, MADV_FREE
    return subject.but([row for row in subject.rows if (row[0], row[4]) != freed])


def narrowed(
    context: Context, subject: Program, names: Sequence[str], found: Difference
) -> tuple[Difference, Sequence[str], Sequence[Row]]:
    """The fewest features and calls that are found with which it still differs."""

    def with_fewer(part: Sequence[str]) -> tuple[Difference, int] | None:
        both = pair(context, part)
        seen = both.compare(sure(both, subject), Tally())
        return (seen, len(part)) if seen else None

    found, left = shortest(names, (found, len(names)), with_fewer, SHRINKING)
    both = replace(pair(context, left), step=1)
    subject = sure(both, subject)
    exact = both.compare(subject, Tally())
    short, found = both.shrink(subject, exact) if exact else (subject, found)
    return found, left, short.rows


@check("differential.features", source="what features say of themselves: mmarch/check/only_how.py", limit=600)
def features_alike(context: Context) -> Done:
    """A feature that only changes how something is done leaves behind what its absence does: pages, counts, errors."""
    if context.with_ or context.without or context.changes.owner:
        raise Skipped("compares the features of releases")
    names = sorted(set(ONLY_HOW) & set(table(context.config())))
    seed = context.seed if context.programs else 0
    tally, rng = Tally(), random.Random(f"{seed} features")
    wanted = context.programs or max(FEWEST, round(PROGRAMS * context.share))
    for subject in islice(programs(context.config(), seed, Mixer), wanted):
        chosen = drawn(rng, names)
        both = pair(context, chosen)
        found = both.compare(sure(both, subject), tally)
        if found is not None:
            found, left, rows = narrowed(context, subject, chosen, found)
            raise CheckFailed(
                f"{found}\n  on      {subject.place}\n  feature {', '.join(left)}",
                [show(row) for row in rows],
            )
    counts = {"programs": tally.programs, "calls": tally.calls, "observed": tally.observed}
    return Done(f"{tally.programs:,} programs, {len(names)} features, {tally}", counts)


def drawn(rng: random.Random, names: Sequence[str]) -> list[str]:
    """Some features, in any order."""
    return rng.sample(names, max(1, round(len(names) * SHARE)))
