"""Which change did it: each feature that differs between two releases, switched by itself."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain

from mmarch.plugins.features import Table, with_dependants, with_requirements
from mmarch.runs.ablation import Progress
from mmarch.runs.assemble import Note, Request
from mmarch.runs.configure import Setup
from mmarch.runs.parallel import each
from mmarch.runs.rests_on import dated
from mmarch.runs.result import Counts, FeatureAblation, Result, Single, difference
from mmarch.runs.run import run
from mmarch.workload import Workload


def switched_on(known: Table, base: frozenset[str], name: str) -> frozenset[str]:
    """`base` with a feature and all that it requires, and without what these exclude."""
    wanted = with_requirements(known, name)
    against = {
        other
        for other in base - wanted
        if wanted.intersection(known[other].excludes) or any(other in known[item].excludes for item in wanted)
    }
    gone = {dependant for other in against for dependant in with_dependants(known, other)}
    return (base | wanted) - gone


def switched_off(known: Table, base: frozenset[str], name: str) -> frozenset[str]:
    """`base` without a feature and all that require it."""
    return base - with_dependants(known, name)


def between(
    workload: Workload, older: Setup, newer: Setup, request: Request, note: Note, progress: Progress
) -> FeatureAblation:
    """Each feature that differs: changed alone in the older release, and undone alone in the newer."""
    known, old, new = older.known, older.features, newer.features
    names = [name for name in known if (name in old) != (name in new)]
    changed = [(switched_on if name in new else switched_off)(known, old, name) for name in names]
    undone = [(switched_off if name in new else switched_on)(known, new, name) for name in names]
    setups = [older, newer, *map(older.having, changed), *map(newer.having, undone)]
    request = replace(request, runs=len(setups))

    def one(setup: Setup) -> Result:
        return run(workload, setup, request, note)

    results = each(one, setups, progress)
    first, last, singles = results[0], results[1], results[2:]
    found = tuple(
        Single(
            feature=name,
            dated=dated(known[name], older.configuration.release, newer.configuration.release),
            with_=tuple(sorted((changed[i] ^ old) - {name})),
            on=difference(first, singles[i]),
            off=difference(singles[len(names) + i], last),
        )
        for i, name in enumerate(names)
    )
    total = difference(first, last)
    return FeatureAblation(
        older=first,
        newer=last,
        total=total,
        singles=found,
        remainder_on=_rest(total, [single.on for single in found]),
        remainder_off=_rest(total, [single.off for single in found]),
    )


def _rest(total: Counts, parts: list[Counts]) -> Counts:
    """Of the total, what the parts do not explain."""
    names = dict.fromkeys(chain(total, *parts))
    rest = {name: total.get(name, 0) - sum(part.get(name, 0) for part in parts) for name in names}
    return {name: value for name, value in rest.items() if value}
