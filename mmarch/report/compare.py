"""What `mmarch compare` and `mmarch ablate` found, as documents."""

from __future__ import annotations

from collections.abc import Sequence

from mmarch.report.columns import (
    BATCH_PAGES,
    BLOCKS,
    BORDER,
    FAULTS,
    FOLDED,
    HAZARDS,
    LARGE,
    TLBIS,
    UNSEEN,
    Column,
    milliseconds,
    title,
    versions,
)
from mmarch.report.document import Document, Paragraph, Part, Table
from mmarch.report.rests_on import rests_on
from mmarch.report.run import cost_note
from mmarch.runs.costs import Priced
from mmarch.runs.result import Ablation, Comparison, Counts, Operation, Result, Withheld, total
from mmarch.table import counted, number
from mmarch.workload import qualified

ACCESSES = Column("PTE accesses", ("pte_read", "pte_write"))
CONVERSIONS = Column("conversions", ("fold", "unfold"))


def compare(comparison: Comparison, costs: Sequence[Priced] = (), by_op: bool = False) -> Document:
    """Configurations side by side, each under its name; one table a workload."""
    first = comparison.results[0]
    wide = max(map(len, comparison.names)) + 2
    head = [
        Paragraph(name.ljust(wide) + title(result.configuration, result.page_shift), " " * (wide + 2))
        for name, result in zip(comparison.names, comparison.results, strict=False)
    ]
    works = comparison.workloads()
    if len(works) == 1:
        head.append(_work(first))
    parts: list[Part] = []
    for results in works:
        parts.append(
            [*([_work(results[0])] if len(works) > 1 else []), _totals(comparison.names, results, costs)]
        )
        parts += [_one_operation(comparison.names, results, name) for name in _operations(results) if by_op]
    parts += [cost_note(first, priced) for priced in costs[:1]]
    parts.append(rests_on(comparison.results))
    return Document(head, [part for part in parts if part], versions(first))


def _work(result: Result) -> Paragraph:
    text = f"{result.workload.title}: {counted(result.workload.operations, 'operation')}"
    return Paragraph(qualified(text, result.workload.facts))


def metrics(results: Sequence[Result]) -> list[Column]:
    """The shared columns, then everything else that differs or is worth a look."""
    tlbis = {e: None for r in results for e in r.groups.get("tlbi", ()) if r.totals.get(e)}
    hazards = [Column(name, (name,)) for name in HAZARDS if any(r.totals.get(name) for r in results)]
    single = [Column("  " + event.removeprefix("tlbi_"), (event,)) for event in tlbis]
    at = BORDER.index(TLBIS) + 1
    blocks = [Column("blocks installed", BLOCKS[0].events), *BLOCKS[1:]]
    shown = blocks if any(r.total(*column.events) for r in results for column in blocks) else []
    return [FAULTS, *BORDER[:at], *single, *BORDER[at:], *shown, BATCH_PAGES, *hazards]


def _rows(results: Sequence[Result], operations: Sequence[Operation]) -> list[list[str]]:
    rows = []
    for column in metrics(results):
        values = [
            total(o.events, r.groups, *column.events) if r.sees(*column.events) else None
            for o, r in zip(operations, results, strict=True)
        ]
        shown = [UNSEEN if value is None else number(value) for value in values]
        rows.append([column.heading, *shown, *(change(values[0], v) for v in values[1:])])
    return rows


def _headings(names: Sequence[str]) -> list[str]:
    return [*names, *(f"{name}/{names[0]}" for name in names[1:])]


def _totals(names: Sequence[str], results: Sequence[Result], costs: Sequence[Priced]) -> Table:
    whole = [Operation(count=r.workload.operations, events=r.totals) for r in results]
    rows = [*_rows(results, whole), *_coverage(results)]
    if costs:
        times = [milliseconds(r.totals, priced) for r, priced in zip(results, costs, strict=True)]
        rows.append(["ms (estimated)", *times, *[""] * (len(results) - 1)])
    return Table(["total", *_headings(names)], rows)


def _coverage(results: Sequence[Result]) -> list[list[str]]:
    """Of anonymous memory, when it was most: how much whole large folios held, and how much was folded."""
    full = [result.fullest() for result in results]
    rows = []
    for name, keys in (("in large folios", LARGE), ("folded", FOLDED)):
        if any(one and one.share(*keys) for one in full):
            shown = [f"{one.share(*keys):.0%}" if one else UNSEEN for one in full]
            rows.append([name, *shown, *[""] * (len(results) - 1)])
    return rows


def _one_operation(names: Sequence[str], results: Sequence[Result], name: str) -> list[Table]:
    nothing = Operation(count=0, events={})
    rows = _rows(results, [r.operations.get(name, nothing) for r in results])
    happened = [row for row in rows if any(cell not in ("0", "") for cell in row[1:])]
    return [Table([name, *_headings(names)], happened)] if happened else []


def _operations(results: Sequence[Result]) -> list[str]:
    return list(dict.fromkeys(name for result in results for name in result.operations))


def change(before: int | None, after: int | None) -> str:
    """In per cent; nothing where there is nothing to compare."""
    if before is None or after is None:
        return ""
    if before == after:
        return "=" if before else ""
    return f"{100 * (after - before) / before:+.1f}%" if before else "new"


ABLATED = (TLBIS, ACCESSES, CONVERSIONS, BATCH_PAGES)


def useful(ablation: Ablation) -> list[Withheld]:
    """What made a difference, most TLBIs first."""
    items = sorted(ablation.withheld, key=lambda item: [-abs(extra(item, column)) for column in ABLATED])
    return [item for item in items if any(extra(item, column) for column in ABLATED)]


def ablate(ablation: Ablation, costs: Priced | None = None) -> Document:
    """What each hook saves, most TLBIs first, then hooks that cannot be withheld."""
    base = ablation.baseline
    shown = useful(ablation)
    rows = [
        [item.name, *(number(extra(item, column)) for column in ABLATED), *_time(item.extra, costs)]
        for item in shown
    ]
    whole = [number(base.total(*column.events)) for column in ABLATED]
    rows.append(["(total as it is)", *whole, *_time(base.totals, costs)])
    headings = ["hook", *(column.heading for column in ABLATED), *(["ms"] if costs else [])]
    parts: list[Part] = [[Table(headings, rows, total=True)]]
    if costs:
        parts.append(cost_note(base, costs))
    if idle := [item.name for item in ablation.withheld if item not in shown]:
        parts.append([Paragraph(f"no difference on this workload: {', '.join(idle)}")])
    if ablation.required:
        why = [Paragraph(f"  {hook}: {reason}", "    ") for hook, reason in ablation.required.items()]
        parts.append([Paragraph("required, cannot be withheld:"), *why])
    parts.append(rests_on([base]))
    head = [
        Paragraph(title(base.configuration, base.page_shift)),
        Paragraph(f"{base.workload.qualified}: each hook saves"),
    ]
    return Document(head, [part for part in parts if part], versions(base))


def _time(counts: Counts, costs: Priced | None) -> list[str]:
    return [milliseconds(counts, costs)] if costs else []


def extra(item: Withheld, column: Column) -> int:
    """How many more of a column's events it takes to do without."""
    return sum(item.extra.get(event, 0) for event in column.events)
