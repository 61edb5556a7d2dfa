"""The steps of a scenario under their names: counts, TLBIs with operands, and the maps that `dump` asks for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from core_mm.vmstat import FOLD, UNFOLD
from mmarch.history import Event, History
from mmarch.report.map import render as render_map
from mmarch.table import indented, number, table
from mmarch.workload import Step

COLUMNS = ("faults", "entry writes", "folds", "unfolds", "TLBIs", "DSBs")
COUNTED = {"fault": "faults", "pte": "entry writes", "tlbi": "TLBIs"}


def render(history: History) -> list[str]:
    """A table with a row a step, then what each step flushed and the tables after it."""
    rows = [[step.label, *(number(_counts(history, step)[c]) for c in COLUMNS)] for step in _named(history)]
    lines = table(["step", *COLUMNS], rows)
    for step in history.workload.steps:
        told = [*_flushes(history, step), *_dumps(history, step)]
        lines += ["", step.label or "dump", *told] if told else []
    return lines


def _named(history: History) -> Iterator[Step]:
    return (step for step in history.workload.steps if step.label)


def _counts(history: History, step: Step) -> Counter[str]:
    found: Counter[str] = Counter()
    for event in history.events(step.first, step.last):
        found[_column(history, event)] += event.c if event.kind == "convert" else 1
    return found


def _column(history: History, event: Event) -> str:
    if event.kind == "convert":
        return {FOLD: "folds", UNFOLD: "unfolds"}.get(event.a, "")
    if event.kind == "barrier":
        waits = history.setup.arch.descriptor.group("barrier")
        return "DSBs" if history.event_names[event.a] in waits else ""
    return COUNTED.get(event.kind, "")


def _flushes(history: History, step: Step) -> Iterator[str]:
    """TLBIs in order; alike ones at rising addresses together."""
    run: list[Event] = []
    for event in history.events(step.first, step.last):
        if event.kind != "tlbi":
            continue
        if run and run[-1][2:3] + run[-1][4:] != event[2:3] + event[4:]:
            yield from indented(_flush(history, run))
            run = []
        run.append(event)
    if run:
        yield from indented(_flush(history, run))


def _flush(history: History, run: list[Event]) -> str:
    name = history.event_names[run[0].a].upper().replace("_", " ")
    times = f"{len(run):,} x " if len(run) > 1 else ""
    if run[0].asid < 0:
        return f"  {times}{name} (again, for an erratum)"
    pages, hint = run[0].c & 0xFFFFFFFF, run[0].c >> 32
    where = f" {run[0].b:#x}" + (f" to {run[-1].b:#x}" if len(run) > 1 else "") if pages else ""
    many = f", {pages} pages" if pages > 1 else ""
    level = f", level {hint & 3}" if hint else ""
    return f"  {times}{name} ASID {run[0].asid:#x}{where}{many}{level}"


def _dumps(history: History, step: Step) -> Iterator[str]:
    for dump in step.dumps:
        yield f"  {dump.label}, task {dump.task}:"
        yield from render_map(history.tables(step.last - 1, dump.task), dump.addr, dump.addr + dump.length)
