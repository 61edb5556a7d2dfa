"""`mmarch compare` and `mmarch ablate` as text."""

from __future__ import annotations

from collections.abc import Sequence
from string import ascii_uppercase

from mmarch.report.columns import (
    BATCH_PAGES,
    BLOCKS,
    BORDER,
    FAULTS,
    HAZARDS,
    TLBIS,
    UNSEEN,
    Column,
    milliseconds,
    title,
)
from mmarch.report.run import cost_note
from mmarch.runs.costs import Priced
from mmarch.runs.result import Ablation, Comparison, Counts, Operation, Result, Withheld, total
from mmarch.table import counted, number, table, wrap

ACCESSES = Column("PTE accesses", ("pte_read", "pte_write"))
CONVERSIONS = Column("conversions", ("fold", "unfold"))


def compare(
    comparison: Comparison, page_shifts: Sequence[int], costs: Sequence[Priced] = (), by_op: bool = False
) -> list[str]:
    """Configurations side by side, one letter each."""
    results = comparison.results
    lines = []
    for letter, result, shift in zip(ascii_uppercase, results, page_shifts, strict=False):
        lines += wrap(f"{letter}  {title(result.configuration, shift)}", "     ")
    workload = results[0].workload
    lines += [*wrap(f"{workload.name}: {counted(workload.operations, 'operation')}"), ""]
    lines += _totals(results, costs)
    for name in _operations(results) if by_op else []:
        lines += _one_operation(results, name)
    for result, priced in zip(results[:1], costs, strict=False):
        lines += ["", *cost_note(result, priced)]
    return lines


def _metrics(results: Sequence[Result]) -> list[Column]:
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
    for column in _metrics(results):
        values = [
            total(o.events, r.groups, *column.events) if r.sees(*column.events) else None
            for o, r in zip(operations, results, strict=True)
        ]
        shown = [UNSEEN if value is None else number(value) for value in values]
        rows.append([column.heading, *shown, *(_change(values[0], v) for v in values[1:])])
    return rows


def _headings(results: Sequence[Result]) -> list[str]:
    letters = ascii_uppercase[: len(results)]
    return [*letters, *(f"{letter}/A" for letter in letters[1:])]


def _totals(results: Sequence[Result], costs: Sequence[Priced]) -> list[str]:
    whole = [Operation(count=r.workload.operations, events=r.totals) for r in results]
    rows = _rows(results, whole)
    if costs:
        times = [milliseconds(r.totals, priced) for r, priced in zip(results, costs, strict=True)]
        rows.append(["ms (estimated)", *times, *[""] * (len(results) - 1)])
    return table(["total", *_headings(results)], rows)


def _one_operation(results: Sequence[Result], name: str) -> list[str]:
    nothing = Operation(count=0, events={})
    rows = _rows(results, [r.operations.get(name, nothing) for r in results])
    happened = [row for row in rows if any(cell not in ("0", "") for cell in row[1:])]
    return ["", *table([name, *_headings(results)], happened)] if happened else []


def _operations(results: Sequence[Result]) -> list[str]:
    return list(dict.fromkeys(name for result in results for name in result.operations))


def _change(before: int | None, after: int | None) -> str:
    """In per cent; nothing where there is nothing to compare."""
    if before is None or after is None:
        return ""
    if before == after:
        return "=" if before else ""
    return f"{100 * (after - before) / before:+.1f}%" if before else "new"


def ablate(ablation: Ablation, page_shift: int, costs: Priced | None = None) -> list[str]:
    """What each hook saves, most TLBIs first, then hooks that cannot be withheld."""
    base = ablation.baseline
    columns = (TLBIS, ACCESSES, CONVERSIONS, BATCH_PAGES)
    lines = [
        *wrap(title(base.configuration, page_shift)),
        *wrap(f"{base.workload.name}: each hook saves"),
        "",
    ]
    items = sorted(ablation.withheld, key=lambda item: [-abs(_sum(item, column)) for column in columns])
    useful = [item for item in items if any(_sum(item, column) for column in columns)]
    rows = [
        [item.name, *(number(_sum(item, column)) for column in columns), *_time(item.extra, costs)]
        for item in useful
    ]
    whole = [number(base.total(*column.events)) for column in columns]
    rows.append(["(total as it is)", *whole, *_time(base.totals, costs)])
    headings = ["hook", *(column.heading for column in columns), *(["ms"] if costs else [])]
    lines += table(headings, rows, total=True)
    if costs:
        lines += ["", *cost_note(base, costs)]
    if idle := [item.name for item in items if item not in useful]:
        lines += ["", *wrap(f"no difference on this workload: {', '.join(idle)}")]
    if ablation.required:
        lines += ["", "required, cannot be withheld:"]
        for hook, reason in ablation.required.items():
            lines += wrap(f"  {hook}: {reason}", "    ")
    return lines


def _time(counts: Counts, costs: Priced | None) -> list[str]:
    return [milliseconds(counts, costs)] if costs else []


def _sum(item: Withheld, column: Column) -> int:
    return sum(item.extra.get(event, 0) for event in column.events)
