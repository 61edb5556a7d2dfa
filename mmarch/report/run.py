"""What `mmarch run` found, as a document."""

from __future__ import annotations

from collections.abc import Sequence

from mmarch.report.columns import (
    BLOCKS,
    BORDER,
    FAULTS,
    FOLDED,
    HAZARDS,
    LARGE,
    STEPS,
    cells,
    milliseconds,
    show_ranges,
    title,
    versions,
)
from mmarch.report.document import Document, Paragraph, Part, Table, Verbatim
from mmarch.report.rests_on import rests_on
from mmarch.runs.costs import Priced
from mmarch.runs.result import Counts, Operation, Result, Sample
from mmarch.sizes import show_size
from mmarch.table import counted, number
from mmarch.workload import qualified

# Events that take time by themselves; a fold or a fault is made of these.
PRICED = ("pte_read", "pte_write", "pte_xchg", "pte_cmpxchg", "pmd_read", "pmd_write")


def document(result: Result, costs: Priced | None = None) -> Document:
    """All of it: what was run, the tables, and what there is to say about them."""
    counts = by_hook(result, costs) if result.hooks is not None else by_operation(result, costs)
    parts: list[Part] = [
        _by_step(result),
        *_dumps(result),
        [counts],
        _by_block(result),
        _by_tlbi(result),
        _remarks(result),
        cost_note(result, costs) if costs else [],
        rests_on([result]),
    ]
    head = [Paragraph(title(result.configuration, result.page_shift)), Paragraph(_workload(result))]
    return Document(head, [part for part in parts if part], versions(result))


def _workload(result: Result) -> str:
    workload = result.workload
    text = f"{workload.title}: {counted(workload.operations, 'operation')}, {result.engine} engine"
    if workload.unmeasured:
        text += f"; {number(workload.unmeasured)} more of setup and end are not counted"
    if workload.ignored:
        kinds = ", ".join(f"{name} {number(count)}" for name, count in workload.ignored.items())
        text += f"; without effect on page tables, left out: {kinds}"
    return qualified(text, workload.facts)


def by_operation(result: Result, costs: Priced | None = None) -> Table:
    """One row a system call."""
    columns = (FAULTS, *BORDER)
    headings = ["call", "count", *(column.heading for column in columns), *(["ms"] if costs else [])]
    everything = Operation(count=result.workload.operations, events=result.totals)
    rows = [
        [name, number(item.count), *cells(item.events, result, columns), *_time(item.events, costs)]
        for name, item in [*_sorted(result), ("total", everything)]
    ]
    return Table(headings, rows, total=True)


def by_hook(result: Result, costs: Priced | None = None) -> Table:
    """One row an outermost hook."""
    headings = ["hook", *(column.heading for column in BORDER), *(["ms"] if costs else [])]
    items = [(name or "(core-mm)", counts) for name, counts in (result.hooks or {}).items()]
    events = {event for column in BORDER for e in column.events for event in result.groups.get(e, (e,))}
    shown = [(name, counts) for name, counts in items if events & counts.keys()]
    rows = [
        [name, *cells(counts, result, BORDER), *_time(counts, costs)]
        for name, counts in [*shown, ("total", result.totals)]
    ]
    return Table(headings, rows, total=True)


def _sorted(result: Result) -> Sequence[tuple[str, Operation]]:
    """Operations by what they did to page tables, most first."""
    return sorted(result.operations.items(), key=lambda item: -sum(item[1].events.values()))


def _by_step(result: Result) -> list[Table]:
    """One row a step of a scenario, in order."""
    named = [step for step in result.steps if step.name]
    rows = [[step.name, *cells(step.events, result, STEPS)] for step in named]
    return [Table(["step", *(column.heading for column in STEPS)], rows)] if rows else []


def _dumps(result: Result) -> list[Part]:
    """The page tables that `dump` asks for, each under its name."""
    return [
        [
            Paragraph(f"{dump.name}, task {dump.task}:"),
            Verbatim(show_ranges(dump.ranges) or ["nothing is mapped"]),
        ]
        for step in result.steps
        for dump in step.dumps
    ]


def _time(counts: Counts, costs: Priced | None) -> list[str]:
    return [milliseconds(counts, costs)] if costs else []


def _by_block(result: Result) -> list[Table]:
    """Contiguous blocks: set as such at once, made of single entries, broken into single entries."""
    if not any(result.total(*column.events) for column in BLOCKS):
        return []
    headings = ["contiguous blocks", *(column.heading for column in BLOCKS)]
    rows = [
        [name, *cells(item.events, result, BLOCKS)]
        for name, item in _sorted(result)
        if any(item.events.get(event) for column in BLOCKS for event in column.events)
    ]
    totals = ["total", *cells(result.totals, result, BLOCKS)]
    return [Table(headings, [*rows, totals], total=True)]


def _by_tlbi(result: Result) -> list[Table]:
    """TLBIs by operation, where there were any."""
    used = [event for event in result.groups.get("tlbi", ()) if result.totals.get(event)]
    if not used:
        return []
    headings = ["TLBIs by operation", *(_bare(event) for event in used)]
    rows = [
        [name, *(number(item.events.get(event, 0)) for event in used)]
        for name, item in _sorted(result)
        if any(item.events.get(event) for event in used)
    ]
    totals = ["total", *(number(result.totals[event]) for event in used)]
    return [Table(headings, [*rows, totals], total=True)]


def _bare(event: str) -> str:
    """Without the prefix that all of them share."""
    return event.removeprefix("tlbi_")


def _remarks(result: Result) -> list[Paragraph]:
    hazards = {hazard: count for hazard in HAZARDS if (count := result.totals.get(hazard))}
    said = [saving(result)] if result.saved is not None else []
    if full := result.fullest():
        said.append(coverage(full))
    if repeats := result.totals.get("tlbi_repeat"):
        said.append(
            f"repeat: {number(repeats)} times a CPU erratum wants one TLBI and one DSB more where the kernel "
            "waits for TLBIs; they invalidate nothing"
        )
    said += [f"hazard: {hazard} {number(count)} (counted, not executed)" for hazard, count in hazards.items()]
    return [Paragraph(text) for text in said]


def coverage(full: Sample) -> str:
    """What large folios covered."""
    folded = f", {full.share(*FOLDED):.0%} was folded into blocks" if full.share("cont-pte") else ""
    return (
        f"coverage: large folios mapped whole held {full.share(*LARGE):.0%} of {show_size(full.bytes['anon-rss'])} of "
        f"anonymous memory{folded}; after operation {number(full.operation)}, when it was most"
    )


def saving(result: Result) -> str:
    """What clear_ptes saved."""
    saved = result.saved or {}
    now = result.total("tlbi")
    tlbis = saved.get("tlbi", 0)
    share = f" ({100 * tlbis / (now + tlbis):.1f} % of those without it)" if tlbis > 0 else ""
    unfolds = saved.get("unfold", 0)
    where = [
        f"{name} {number(counts['tlbi'])}"
        for name, counts in (result.saved_by_operation or {}).items()
        if counts.get("tlbi")
    ]
    return (
        f"clear_ptes saved {number(tlbis)} TLBIs{share}, {number(saved.get('barrier', 0))} DSBs and "
        f"{number(unfolds)} unfolds against the generic loop"
        + (f"; TLBIs by call: {', '.join(where)}" if where else "")
    )


def cost_note(result: Result, costs: Priced) -> list[Paragraph]:
    """Whose times these are, and what they leave out."""
    profile = costs.profile
    missing = costs.unpriced(result.totals, (*PRICED, *_group_events(result)))
    assumed = [
        event for event, figure in costs.figures.items() if figure.assumed and result.totals.get(event)
    ]
    said = [Paragraph(f"ms: estimated by cost profile {profile.name} ({profile.description})")]
    if assumed:
        said.append(Paragraph(f"  assumed, not measured: {', '.join(assumed)}", "    "))
    if missing:
        said.append(Paragraph(f"  without a figure, not included: {', '.join(missing)}", "    "))
    return said


def _group_events(result: Result) -> list[str]:
    return [event for events in result.groups.values() for event in events]
