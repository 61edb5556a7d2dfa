"""The framed table of arm64 letters: (I) where there is less of something, (R) where there is more.

Counts are exact, so that every difference is significant and marked.
"""

from __future__ import annotations

from collections.abc import Sequence

from mmarch.report.columns import BLOCKS, title, versions
from mmarch.report.compare import ABLATED, extra, metrics, useful
from mmarch.report.forms import framed
from mmarch.runs.result import Ablation, Comparison, FeatureAblation, Result, Single
from mmarch.table import Row, number, wrap

HEADINGS = ("Benchmark", "Result Class")
NEUTRAL = [column.events for column in BLOCKS if column.heading != "unfolds"]  # a block made is no loss


def run(results: Sequence[Result]) -> str:
    """One configuration: counts alone."""
    groups = [_group([result]) for result in results]
    return _letter(framed([*HEADINGS, "count"], groups, 2), {"": results[0]})


def compare(comparison: Comparison) -> str:
    """The first configuration's counts, and how the others differ."""
    groups = [_group(results) for results in comparison.workloads()]
    lines = framed([*HEADINGS, *comparison.names], groups, 2)
    return _letter(lines, dict(zip(comparison.names, comparison.results, strict=False)))


def ablate(ablation: Ablation) -> str:
    """Each hook that makes a difference: the counts, and what it takes to do without."""
    base = ablation.baseline
    groups = [
        [
            [name, column.heading, number(total), marked(total, total + extra(item, column))]
            for name, column in zip([item.name, *[""] * len(ABLATED)], ABLATED, strict=False)
            for total in [base.total(*column.events)]
        ]
        for item in useful(ablation)
    ]
    lines = framed([*HEADINGS, base.workload.name, "without the hook"], groups, 2)
    return _letter(lines, {"": base})


def between(found: FeatureAblation) -> str:
    """Each feature that makes a difference: switched on alone in the older release, and off alone in the newer."""
    names = (found.older.configuration.release, found.newer.configuration.release)
    groups = [rows for single in found.singles if (rows := _single(found, single))]
    lines = framed([*HEADINGS, names[0], "with it", names[1], "without it"], groups, 2)
    return _letter(lines, dict(zip(names, (found.older, found.newer), strict=True)))


def _single(found: FeatureAblation, single: Single) -> list[Row]:
    """One feature's rows, of what it changes in either release."""
    rows: list[Row] = []
    for column in ABLATED:
        on, off = (sum(counts.get(event, 0) for event in column.events) for counts in (single.on, single.off))
        if on or off:
            before, after = found.older.total(*column.events), found.newer.total(*column.events)
            name = "" if rows else single.feature
            cells = (number(before), marked(before, before - on), number(after), marked(after, after + off))
            rows.append([name, column.heading, *cells])
    return rows


def _group(results: Sequence[Result]) -> list[Row]:
    """A workload's rows; what happened nowhere, or what one of the engines does not show, is left out."""
    rows: list[Row] = []
    for column in metrics(results):
        first, *others = (result.total(*column.events) for result in results)
        if not all(result.sees(*column.events) for result in results):
            continue
        if first or any(others):
            name = "" if rows else results[0].workload.name
            cost = column.events not in NEUTRAL
            rows.append([name, column.heading, number(first), *(marked(first, o, cost) for o in others)])
    return rows


def marked(before: int, after: int, fewer_is_better: bool = True) -> str:
    """The change in per cent; with its mark, where fewer is better."""
    if before == after:
        return "0.00%" if before else ""
    mark = ("(R) " if after > before else "(I) ") if fewer_is_better else ""
    return mark + (f"{100 * (after - before) / before:.2f}%" if before else number(after))


def _letter(lines: Sequence[str], ran: dict[str, Result]) -> str:
    """The table, and below it what was run."""
    wide = max(len(name) + 2 if name else 0 for name in ran)
    below = [
        line
        for name, result in ran.items()
        for line in wrap(name.ljust(wide) + title(result.configuration, result.page_shift), " " * (wide + 2))
    ]
    return "\n".join([*lines, "", *below, *wrap(versions(next(iter(ran.values()))))])
