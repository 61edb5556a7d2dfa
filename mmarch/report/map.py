"""`mmarch map` as text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from mmarch.history import Mapping, Tables, coverage
from mmarch.report.columns import show_ranges
from mmarch.runs.result import Range
from mmarch.table import table


def render(tables: Tables, first: int, last: int) -> list[str]:
    """Leaves of [first, last) in ptdump's manner, like neighbours together, under the mapping that they are in."""
    lines: list[str] = []
    for mapping, found in mapped(tables, first, last):
        lines.append(f"---[ {mapping.start:#014x}-{mapping.end:#014x} {mapping} ]---")
        lines += show_ranges(found)
    return lines


def mapped(tables: Tables, first: int, last: int) -> Iterator[tuple[Mapping, list[Range]]]:
    """Each mapping that has bytes in [first, last), with what is mapped there."""
    for mapping in tables.mappings:
        if first < mapping.end and mapping.start < last:
            yield mapping, list(tables.ranges(max(first, mapping.start), min(last, mapping.end)))


def covered(tables: Tables, first: int, last: int) -> list[str]:
    """Coverage of each mapping in [first, last) that has memory, and in total."""
    lines: list[str] = []
    total: Counter[str] = Counter()
    for mapping in tables.mappings:
        if first < mapping.end and mapping.start < last and (found := coverage(tables, mapping)):
            total += found
            lines += [f"{mapping.start:#014x}-{mapping.end:#014x} {mapping}", *_keys(found), ""]
    return [*lines, "total", *_keys(total)]


def _keys(found: Counter[str]) -> list[str]:
    rows = []
    for key in sorted(found):
        kind = key.partition("-")[0]
        whole = found[f"{kind}-rss"]
        share = "" if key == f"{kind}-rss" else f"{found[key] / whole:.0%}"
        rows.append([f"  {key}", f"{found[key] >> 10:,} kB", share])
    return table(["", "", ""], rows)[1:] if rows else ["  nothing mapped"]
