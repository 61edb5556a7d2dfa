"""A report as a paragraph and a table for a cover letter."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from mmarch.check.registry import MEANING
from mmarch.check.results import BAD, Report, Result
from mmarch.table import counted, number, table, wrap

COLUMNS = 72
HEADINGS = ("Check", "Kernel", "Runs", "Calls", "Compared", "Result")


def letter(report: Report) -> str:
    """What was checked and what came of it, in 72 columns."""
    lines = wrap(" ".join(_sentences(report)), "", columns=COLUMNS)
    return "\n".join([*lines, "", *table(HEADINGS, list(_rows(report)), left=2, columns=COLUMNS)])


def _sentences(report: Report) -> Iterator[str]:
    with_ = ", ".join(report.with_)
    releases = " and ".join(dict.fromkeys(result.release for result in report.results))
    yield f"Checked on {report.arch} with mmarch {report.version}, a user-space twin of mm, core-mm as of {releases}."
    compared = _meaning(report)
    if compared and not _failed(compared):
        totals = {what: sum(r.counts.get(what, 0) for r in compared) for what in RUNS}
        runs = " and ".join(counted(total, RUNS[what]) for what, total in totals.items() if total)
        yield (
            f"With and without {with_}, {runs} leave the same behind: results, entries, accessed and dirty state, "
            "mapcounts, exclusivity, swap and rss; and no TLB entry is stale with it that is not without."
        )
    elif compared:
        yield f"With {with_} something is not as without it: {_failed(compared)[0].message.partition(chr(10))[0]}."
    if report.declared:
        meant = "; ".join(f"{aspect} ({reason})" for aspect, reason in report.declared.items())
        yield f"What it means to change is {meant}."
    others = Counter(result.status for result in report.results if result not in compared)
    if others:
        found = ", ".join(f"{number} {status}" for status, number in others.items())
        yield f"Of the conformance suite {'with it ' if with_ else ''}{found}."
    if not report.complete:
        yield "The run is incomplete."


RUNS = {"programs": "random program", "workloads": "workload"}


def _meaning(report: Report) -> list[Result]:
    return [r for r in report.results if r.check.startswith(f"{MEANING}.") and r.status != "skip"]


def _failed(results: Sequence[Result]) -> list[Result]:
    return [result for result in results if result.status in BAD]


def _rows(report: Report) -> Iterator[list[str]]:
    """Each comparison; the rest of the suite by release."""
    compared = _meaning(report)
    for result in compared:
        runs = sum(result.counts.get(what, 0) for what in RUNS)
        cells = (runs, result.counts.get("calls", 0), result.counts.get("observed", 0))
        yield [result.check, result.release, *map(_or_dash, cells), _verdict([result])]
    others: dict[str, list[Result]] = {}
    for result in report.results:
        if result not in compared and result.status != "skip":
            others.setdefault(result.release, []).append(result)
    for release, results in others.items():
        yield ["conformance", release, number(len(results)), "-", "-", _verdict(results)]


def _or_dash(value: int) -> str:
    return number(value) if value else "-"


def _verdict(results: Sequence[Result]) -> str:
    failed = len(_failed(results))
    return f"{failed} FAIL" if failed else "ok"
