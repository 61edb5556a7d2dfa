"""What a page shows: runs side by side, and what hooks or features buy."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmarch.errors import InputError
from mmarch.history import History
from mmarch.runs.configure import letters
from mmarch.runs.result import Ablation, Answer, Comparison, Counts, FeatureAblation, Result
from mmarch.runs.stored import is_stored, load
from mmarch.sizes import show_orders

MOST_RUNS = 4


@dataclass(frozen=True)
class Run:
    """One column: a result under a name, with the history of the run, or why there is none."""

    name: str
    result: Result
    history: History | None = None
    why: str = ""


@dataclass(frozen=True)
class Bars:
    """What each hook or feature saves: name and counts; `total` is a run with all of them, `idle` save nothing."""

    title: str
    rows: Sequence[tuple[str, Counts]]
    total: Result
    idle: Sequence[str] = ()


@dataclass
class Page:
    """Up to `MOST_RUNS` runs, and ablations; `costs` is a cost profile, whose estimates stand beside the counts."""

    runs: list[Run] = field(default_factory=list)
    bars: list[Bars] = field(default_factory=list)
    costs: str = ""

    def add(self, found: Answer) -> None:
        """The runs of an answer, and its bars."""
        if isinstance(found, Comparison):
            names = found.names * (len(found.results) // max(1, len(found.names)))
            self.runs += [Run(name, result) for name, result in zip(names, found.results, strict=False)]
        elif isinstance(found, Ablation):
            self.runs.append(Run("", found.baseline))
            self.bars.append(hooks(found))
        elif isinstance(found, FeatureAblation):
            self.runs += [Run(side.configuration.release, side) for side in (found.older, found.newer)]
            self.bars.append(features(found))
        else:
            self.runs.append(Run("", found))

    def check(self, more: int = 0) -> None:
        """InputError if so many runs more have no room on a page."""
        if not 0 < (runs := len(self.runs) + more) <= MOST_RUNS:
            raise InputError(
                f"a page shows 1 to {MOST_RUNS} runs side by side, not {runs}; write several pages"
            )

    def names(self) -> list[str]:
        """Of each run one of its own: as it is called, by what differs, by its workload, or a letter."""
        if len(self.runs) == 1:
            return [self.runs[0].name]
        alphabet = [letters(number) for number in range(len(self.runs))]
        given = [run.name for run in self.runs]
        called = [] if set(given) <= {*alphabet, ""} else given
        for names in (called, _differences([run.result for run in self.runs])):
            if names and all(names) and len(set(names)) == len(names):
                return names
        return alphabet


def _differences(results: Sequence[Result]) -> list[str]:
    """What tells workloads and configurations apart, in as few fields as it takes."""
    records = [
        {
            "workload": result.workload.name,
            **result.configuration.record(),
            "folio_orders": f"folios {show_orders(result.configuration.folio_orders, result.page_shift)}",
        }
        for result in results
    ]
    fields = [name for name in records[0] if len({str(record[name]) for record in records}) > 1]
    for name in fields[::-1]:
        without = [field for field in fields if field != name]
        if len({str([record[field] for field in without]) for record in records}) == len(records):
            fields = without
    named = ("with", "without", "memory", "seed")
    return [
        ", ".join(
            f"{name} {record[name] or 'nothing'}" if name in named else str(record[name]) for name in fields
        )
        for record in records
    ]


def stored(given: Any) -> list[Answer] | None:
    """The answers that an argument is or names; None for a workload."""
    if isinstance(given, Answer):
        return [given]
    if isinstance(given, str | os.PathLike) and is_stored(os.fspath(given)):
        return load(Path(given))
    return None


def hooks(found: Ablation) -> Bars:
    """What it takes to do without each hook."""
    base = found.baseline
    rows = [(item.name, item.extra) for item in found.withheld if item.extra]
    idle = [item.name for item in found.withheld if not item.extra]
    return Bars(f"What each hook saves on {base.workload.name}", rows, base, idle)


def features(found: FeatureAblation) -> Bars:
    """What each feature saves: where doing without it in the newer release shows nothing, in the older one."""
    older, newer = found.older.configuration.release, found.newer.configuration.release
    rows = [(single.feature, single.off or single.on) for single in found.singles if single.off or single.on]
    idle = [single.feature for single in found.singles if not (single.off or single.on)]
    return Bars(f"What each feature saves from {older} to {newer}", rows, found.newer, idle)
