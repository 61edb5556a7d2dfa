"""The twin's counts of the work that a letter measured, before and after."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mmarch.errors import InputError
from mmarch.papers.letter import Case, Letter
from mmarch.plugins.series import find_series, load_series
from mmarch.runs.assemble import Request
from mmarch.runs.configure import Choices, configure
from mmarch.runs.result import Counts, Result, total
from mmarch.runs.run import run
from mmarch.runs.workloads import open_workload

Note = Callable[[str], None]
Progress = Callable[[int, int], None]
EVENTS: Mapping[str, tuple[str, ...]] = {
    "TLBIs": ("tlbi",), "DSBs": ("barrier",), "conversions": ("fold", "unfold"), "PTE reads": ("pte_read",),
    "PTE writes": ("pte_write",), "rmap calls": ("folio_remove_rmap_ptes",), "batch pages": ("gather_page",),
}  # fmt: skip


@dataclass(frozen=True)
class Counted:
    """A row with the counts of its steps before and after, groups among them; `missing` is why there are none.

    results  of the runs that counted, of all steps
    """

    case: Case
    before: Counts
    after: Counts
    missing: str = ""
    results: tuple[Result, ...] = ()

    @property
    def saved(self) -> Counts:
        """Before less after."""
        names = dict.fromkeys((*self.before, *self.after))
        return {name: self.before.get(name, 0) - self.after.get(name, 0) for name in names}


@dataclass(frozen=True)
class Reproduced:
    """A letter with the counts of its rows."""

    letter: Letter
    rows: tuple[Counted, ...]


def reproduce(
    letter: Letter,
    series: Sequence[str] = (),
    note: Note = lambda _: None,
    progress: Progress = lambda done, total: None,
    cases: Sequence[Case] = (),
) -> Reproduced:
    """Run each row's scenario before and after; `series` are names or files, for rows that need one."""
    chosen = cases or letter.cases
    rows = []
    for done, case in enumerate(chosen):
        rows.append(_counted(letter, case, series, note))
        progress(done + 1, len(chosen))
    return Reproduced(letter, tuple(rows))


def _counted(letter: Letter, case: Case, series: Sequence[str], note: Note) -> Counted:
    found = _series(case.needs, series)
    if case.lacks or (case.needs and not found):
        return Counted(
            case, {}, {}, case.lacks or f"its counts need series {case.needs}: --with NAME or FILE"
        )
    place = Path(letter.folder) / (case.scenario or letter.scenario)
    old, new = (_side(case, changes, found, str(place), note) for changes in (case.old, case.new))
    before, after = (_of_steps(result, case.steps) for result in (old, new))
    return Counted(case, before, after, results=(old, new))


def _series(needs: str, given: Sequence[str]) -> str:
    """How to choose a series: a path that was given, or its name if it is installed."""
    if not needs:
        return ""
    named = {load_series(name).name: name for name in given}
    return named.get(needs, needs if needs in find_series() else "")


def _side(case: Case, changes: Mapping[str, Any], series: str, place: str, note: Note) -> Result:
    given = {**case.configuration, **changes}
    with_ = given.pop("with", [])
    names = tuple(series if name == case.needs and series else name for name in with_)
    fields = {name.replace("-", "_"): value for name, value in given.items() if name != "without"}
    setup = configure(Choices(**fields, with_=names, without=tuple(given.get("without", ()))))
    source = open_workload(place)
    request = replace(Request(sampled=True), madvise=source.advised)
    return run(source.workload(setup), setup, request, note)


def _of_steps(result: Result, steps: Sequence[str]) -> Counts:
    """Of the named steps together, with groups summed under their names."""
    named = {step.name: step.events for step in result.steps}
    if wrong := [name for name in steps if name not in named]:
        raise InputError(f"{result.workload.name} has no step {wrong[0]!r}; it has: {', '.join(named)}")
    counts: Counter[str] = Counter()
    for name in steps or named:
        counts.update(named[name])
    groups = {group: total(counts, result.groups, group) for group in result.groups}
    return {**counts, **groups}
