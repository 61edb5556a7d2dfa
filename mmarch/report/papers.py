"""Published tables with the twin's counts, and fitted prices with what they predict."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from mmarch.papers import Counted, Fit, Letter, Reproduced
from mmarch.papers.fit import Point
from mmarch.papers.reproduce import EVENTS
from mmarch.report.document import Block, Document, Paragraph, Table
from mmarch.report.rests_on import rests_on
from mmarch.runs.result import Counts
from mmarch.table import Row


def listed(letters: Mapping[str, Letter]) -> Document:
    """What can be reproduced."""
    return Document([], [[_line(letter) for letter in letters.values()]])


def _line(letter: Letter) -> Paragraph:
    machine = letter.machine.partition(";")[0].partition(",")[0]
    return Paragraph(f"{letter.id} ({letter.date}, {machine}): {letter.title}", "    ")


def document(found: Reproduced) -> Document:
    """Who measured what, then each row before and after."""
    letter = found.letter
    where = f", <{letter.message}>" if letter.message else ""
    head = [
        Paragraph(f"{letter.id}: {letter.title}"),
        Paragraph(f'{letter.author}, {letter.date}, "{letter.subject}"{where}'),
        Paragraph(f"measured on {letter.machine}"),
        *([Paragraph(letter.about)] if letter.about else []),
    ]
    stands = rests_on(result for row in found.rows for result in row.results)
    return Document(head, [*(list(_case(row)) for row in found.rows), *([stands] if stands else [])])


def _case(row: Counted) -> Iterator[Block]:
    case = row.case
    sides = [("before", case.before, row.before), ("after", case.after, row.after)]
    if row.missing:
        published = " → ".join(_amount(value, case.unit) for _, value, _ in sides)
        yield Paragraph(f"{case.name}: {published}, x{case.ratio:.2f}; {row.missing}")
        return
    columns = list(_columns(row))
    rows = [
        [name, _amount(value, case.unit), *(f"{_sum(counts, EVENTS[column]):,}" for column in columns)]
        for name, value, counts in sides
    ]
    ratios = [_ratio(_sum(row.before, EVENTS[column]), _sum(row.after, EVENTS[column])) for column in columns]
    rows.append(["after / before", f"x{case.ratio:.2f}", *ratios])
    yield Table([case.name, "published", *columns], rows)
    if row.before == row.after:
        yield Paragraph(f"no count differs{': ' * bool(case.note)}{case.note}")
    elif case.note:
        yield Paragraph(case.note)


def _columns(row: Counted) -> Iterator[str]:
    """Counts of what the border does, and others where they differ."""
    for name, events in EVENTS.items():
        before, after = _sum(row.before, events), _sum(row.after, events)
        if before != after or (before and name not in ("rmap calls", "batch pages")):
            yield name


def _sum(counts: Counts, events: Sequence[str]) -> int:
    return sum(counts.get(event, 0) for event in events)


def _ratio(before: int, after: int) -> str:
    return f"x{after / before:.2f}" if before else "="


def _amount(value: float, unit: str) -> str:
    return f"{value:+g} %" if unit == "%" else f"{value:g} {unit}"


def fitted(found: Fit) -> Document:
    """Prices, then what was fitted and what is held out, each beside its prediction."""
    prices = [[group, *_price(found, group), ", ".join(found.times.groups[group])] for group in found.prices]
    parts: list[list[Block]] = [[Table(["group", "ns", "95 %", "events"], prices)]]
    if not found.margins:
        parts[0].append(
            Paragraph("no interval: as many times as groups with a price, so every residual is 0")
        )
    for name, some in (("fitted to", _points(found, False)), ("held out", _points(found, True))):
        if some:
            headings = [name, "measured", "predicted", "off", *found.times.groups]
            parts.append([Table(headings, [_row(point) for point in some])])
            parts[-1] += [
                Paragraph(f"{point.time.name}: {point.time.note}") for point in some if point.time.note
            ]
    parts += [[Paragraph(f"{name}: left out; {why}")] for name, why in found.missing.items()]
    return Document([Paragraph(f"{found.times.name}: {found.times.description}")], parts)


def _points(found: Fit, held_out: bool) -> list[Point]:
    return [point for point in found.points if point.time.held_out == held_out]


def _price(found: Fit, group: str) -> tuple[str, str]:
    margin = f"± {found.margins[group]:,.0f}" if group in found.margins else "–"
    return f"{found.prices[group]:,.0f}", margin


def _row(point: Point) -> Row:
    counts = (f"{number:,}" for number in point.counts)
    return [point.time.name, _ns(point.ns), _ns(point.predicted), f"{point.off:+.1%}", *counts]


def _ns(ns: float) -> str:
    """In the unit that suits it."""
    size, unit = next(
        ((size, unit) for size, unit in ((1e6, "ms"), (1e3, "us")) if abs(ns) >= size), (1, "ns")
    )
    return f"{ns / size:,.3f} {unit}"
