"""`mmarch ablate --from --to` and `mmarch release` as text."""

from __future__ import annotations

from collections.abc import Sequence

from core_mm.feature import Feature
from core_mm.releases import RELEASES
from mmarch.errors import InputError
from mmarch.measurement.evidence import is_linux, placed
from mmarch.report.columns import BATCH_PAGES, BORDER, FAULTS, TLBIS, UNSEEN, Column, title, versions
from mmarch.report.compare import ACCESSES, CONVERSIONS
from mmarch.report.document import Document, Paragraph, Part, Table
from mmarch.report.rests_on import compared, rests_on
from mmarch.runs.result import Counts, FeatureAblation, RestsOn, Result, Single
from mmarch.suggest import unknown
from mmarch.table import number, table, wrap

COLUMNS = (TLBIS, ACCESSES, CONVERSIONS)
SHOWN = (*COLUMNS, BATCH_PAGES)


def between(found: FeatureAblation, sort: str = "") -> Document:
    """What each feature saves, the most first; then what none of them explains."""
    columns = _columns(found, sort)
    pair = {"A": found.older, "B": found.newer}
    head = [Paragraph(f"{name}  {title(r.configuration, r.page_shift)}", "     ") for name, r in pair.items()]
    work = found.newer.workload
    head.append(Paragraph(f"{work.name}: each feature saves, on alone in A and off alone in B"))
    singles = sorted(found.singles, key=lambda single: _order(single, columns))
    useful = [s for s in singles if any(_sum(s.on, c) or _sum(s.off, c) for c in columns)]
    rows = [[s.feature + "*" * bool(s.with_), *_cells(s.on, s.off, columns)] for s in useful]
    rows.append(["(remainder)", *_cells(found.remainder_on, found.remainder_off, columns)])
    rows.append(["(A - B)", *_cells(found.total, found.total, columns)])
    headings = [text for column in columns for text in (f"{column.heading} on", "off")]
    parts: list[Part] = [[Table(["feature", *headings], rows, total=True)], _dates(useful)]
    if together := [s for s in useful if s.with_]:
        parts.append([Paragraph(f"* {s.feature}: with {', '.join(s.with_)}", "    ") for s in together])
    if idle := [s.feature for s in found.singles if s not in useful]:
        parts.append([Paragraph(f"no difference on this workload: {', '.join(idle)}")])
    parts.append(rests_on([found.older, found.newer]))
    return Document(head, [part for part in parts if part], versions(found.newer))


def _dates(singles: Sequence[Single]) -> list[Table]:
    """When each came, or went: by research, and after which kernel and up to which by what was measured on them."""
    rows = [
        [single.feature, dated.release, dated.before or UNSEEN, dated.after or UNSEEN]
        for single in singles
        if (dated := single.dated)
    ]
    return [Table(["feature", "by research", "measured: after", "up to"], rows, left=4)] if rows else []


def _columns(found: FeatureAblation, sort: str) -> tuple[Column, ...]:
    if not sort:
        return COLUMNS
    for column in (FAULTS, *BORDER, *SHOWN):
        if sort in (column.heading, *column.events):
            return (column, *(c for c in COLUMNS if c != column))
    known = dict.fromkeys([*found.older.groups, *found.older.totals, *found.newer.totals])
    if sort not in known:
        headings = list(dict.fromkeys(column.heading for column in (FAULTS, *BORDER, *SHOWN)))
        raise unknown(
            "count to --sort by:",
            sort,
            [*headings, *known],
            f"Columns: {', '.join(headings)}; or any event of --json.",
        )
    return (Column(sort, (sort,)), *COLUMNS)


def _order(single: Single, columns: Sequence[Column]) -> list[int]:
    return [-max(_sum(single.on, column), _sum(single.off, column), key=abs) for column in columns]


def _cells(on: Counts, off: Counts, columns: Sequence[Column]) -> list[str]:
    return [number(_sum(counts, column)) for column in columns for counts in (on, off)]


def _sum(counts: Counts, column: Column) -> int:
    return sum(counts.get(event, 0) for event in column.events)


def releases() -> list[str]:
    """All releases in a table."""
    rows = [[r.name, r.base or "-", r.measured or "-", r.description] for r in RELEASES.values()]
    return _described(["RELEASE", "AFTER", "MEASURED"], rows)


def _described(headings: list[str], rows: list[list[str]]) -> list[str]:
    """A table whose last column is a sentence, on lines of its own."""
    lines = []
    for line, row in zip(
        table(headings, [row[:-1] for row in rows], left=len(headings))[1:], rows, strict=True
    ):
        lines += [line, *wrap(f"    {row[-1]}", "    ")]
    return [*table(headings, [], left=len(headings)), *lines] if rows else []


def feature(item: Feature) -> list[str]:
    """One feature with everything that is known of it."""
    releases = (item.since, *item.also, *(f"{name}.y" for name in item.backported))
    span = f"since {' and '.join(releases)}" + (f", until {item.until}" if item.until else "")
    lines = [f"{item.name} ({span})", *wrap(f"    {item.summary}", "    ")]
    for what, names in (("requires", item.requires), ("excludes", item.excludes)):
        if names:
            lines += wrap(f"    {what} {', '.join(names)}", "      ")
    lines += wrap(f"    {item.source}", "      ")
    return [*lines, *wrap(f"    {placed(item)}", "      ")] if is_linux(item.since) else lines


def release(name: str, items: Sequence[Feature], rests: RestsOn) -> list[str]:
    """What a release rests on, then its features."""
    lines = wrap(f"{name}: {compared(rests.kernels)}")
    if rests.research:
        lines += wrap(f"rests on research alone, has it or not: {', '.join(rests.research)}")
    listed = [line for item in items for line in feature(item)] or ["it has none of the features"]
    return [*lines, "", *listed]


def change(before: Sequence[Feature], after: Sequence[Feature]) -> list[str]:
    """What came and what went."""
    came = [item for item in after if item not in before]
    went = [item for item in before if item not in after]
    lines = []
    for sign, items in (("+", came), ("-", went)):
        for item in items:
            lines += [f"{sign} {line}" if not line.startswith(" ") else line for line in feature(item)]
    return lines or ["no difference"]


def trend(results: Sequence[Result], steps: Sequence[FeatureAblation], page_shift: int) -> list[str]:
    """A workload over releases, each step with the features that made it."""
    first = results[0]
    rest = title(first.configuration, page_shift).partition(", ")[2].partition(", ")[2]
    rows = [
        [r.configuration.release, *(number(r.total(*column.events)) for column in SHOWN), _kernels(r)]
        for r in results
    ]
    lines = [
        *wrap(f"{first.configuration.arch}, {rest}"),
        *wrap(f"{first.workload.qualified}: over all releases"),
        "",
    ]
    lines += table(["release", *(column.heading for column in SHOWN), "compared with"], rows)
    for step in steps:
        lines += ["", *_step(step)]
    return lines


def _kernels(result: Result) -> str:
    return ", ".join(result.rests_on.kernels) or UNSEEN if result.rests_on else UNSEEN


def _step(step: FeatureAblation) -> list[str]:
    names = f"{step.older.configuration.release} to {step.newer.configuration.release}"
    made = [s for s in sorted(step.singles, key=lambda s: _order(s, SHOWN)) if _saves(s)]
    if not made:
        return [f"{names}: no feature makes a difference"]
    return [
        f"{names}, saved by",
        *(line for s in made for line in wrap(f"  {s.feature}: {_saves(s)}", "    ")),
    ]


def _saves(single: Single) -> str:
    """In the newer release what it would take to do without; in the older one where that shows more."""
    parts = []
    for column in SHOWN:
        on, off = _sum(single.on, column), _sum(single.off, column)
        if value := max(on, off, key=abs):
            parts.append(f"{number(value)} {column.heading}")
    return ", ".join(parts)


def known_release(name: str) -> str:
    """The name, if it is one of a release."""
    if name not in RELEASES:
        raise unknown("release", name, RELEASES)
    return name


def one(known: dict[str, Feature], name: str) -> Feature:
    """A feature by its name."""
    if name not in known:
        raise InputError(f"{name!r} is neither a release nor a feature. Releases: {', '.join(RELEASES)}")
    return known[name]
