"""A validation report as a table, side by side, or as JSON."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console, Group
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from mmarch.table import wrap

from .validate import DIFFERENT, EQUAL, EXEMPT, Report, Result, Row

MAX_LINES = 40


def table(report: Report) -> Table:
    """Release, CPU, scenario with the number of steps compared, equal, different and exempt."""
    shown = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("release", "CPU", "page", "scenario"):
        shown.add_column(name)
    for name in ("steps", "equal", "different", "exempt"):
        shown.add_column(name, justify="right")
    for row in report.rows:
        shown.add_row(*_cells(row), style="red" if row.count(DIFFERENT) else "")
    shown.add_section()
    counts = [report.count(verdict) for verdict in (EQUAL, DIFFERENT, EXEMPT)]
    shown.add_row("total", "", "", "", *map(str, (sum(counts), *counts)), style="bold")
    return shown


def _cells(row: Row) -> tuple[str, ...]:
    counts = (len(row.results), row.count(EQUAL), row.count(DIFFERENT), row.count(EXEMPT))
    return row.release, row.cpu, f"{row.page_size >> 10}K", escape(row.scenario), *map(str, counts)


def exemptions(report: Report) -> Iterator[str]:
    """A line for each exempt step, with its reason."""
    for row, result in _results(report, EXEMPT):
        yield f"exempt: {place(row, result)}: {result.reason}"
    for entry in report.unused:
        yield (
            f"exemption not needed: {entry.kernel} {entry.cpu} {entry.scenario} order {entry.order} "
            f"{entry.kind}: {entry.step}"
        )


def side_by_side(report: Report) -> Iterator[Group]:
    """Each step that differs: measured on the left, the twin on the right."""
    for row, result in _results(report, DIFFERENT):
        shown = Table(show_header=True, header_style="bold", expand=False)
        for name in ("", "measured", "twin"):
            shown.add_column(name, overflow="fold")
        for found in result.differences:
            shown.add_row(escape(found.field), Text(_clip(found.measured)), Text(_clip(found.twin)))
        yield Group(Text(place(row, result), style="bold"), shown)


def _clip(text: str) -> str:
    lines = text.split("\n")
    more = [f"… {len(lines) - MAX_LINES} more"] if len(lines) > MAX_LINES else []
    return "\n".join(lines[:MAX_LINES] + more)


def place(row: Row, result: Result) -> str:
    """`6.12 cortex-a72 4K NAME order 4 anon: STEP`."""
    step = result.step
    where = f"{row.release} {row.cpu} {row.page_size >> 10}K {row.scenario}"
    return f"{where} order {step.order} {step.kind}: {step.phase}"


def _results(report: Report, verdict: str) -> Iterator[tuple[Row, Result]]:
    return ((row, result) for row in report.rows for result in row.results if result.verdict == verdict)


def show(report: Report, console: Console, diff: bool = False) -> None:
    """Print the table, the exempt steps and, with `diff`, every different step side by side."""
    for word, names in (("with", report.with_), ("without", report.without)):
        if names:
            console.print(Text(f"the twin {word} {', '.join(names)}"), soft_wrap=True)
    console.print(table(report))
    for line in exemptions(report):
        for part in wrap(line, columns=console.width):
            console.print(Text(part), soft_wrap=True)
    if diff:
        for group in side_by_side(report):
            console.print(group)
