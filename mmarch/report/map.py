"""`mmarch map` as text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from mmarch.history import Leaf, Mapping, Tables, coverage
from mmarch.history.tables import LEVELS
from mmarch.sizes import show_size
from mmarch.table import table


def render(tables: Tables, first: int, last: int) -> list[str]:
    """Leaves of [first, last) in ptdump's manner, like neighbours together, under the mapping that they are in."""
    lines: list[str] = []
    for mapping in tables.mappings:
        if mapping.end <= first or last <= mapping.start:
            continue
        lines.append(f"---[ {mapping.start:#014x}-{mapping.end:#014x} {mapping} ]---")
        lines += [_line(start, end, leaf) for start, end, leaf in runs(tables, mapping, first, last)]
    return lines


def runs(tables: Tables, mapping: Mapping, first: int, last: int) -> Iterator[tuple[int, int, Leaf]]:
    """Start and end of each run of leaves with the same attributes, with its first leaf."""
    start, end, same = 0, 0, None
    begin, stop = tables.addresses.searchsorted((max(first, mapping.start), min(last, mapping.end))).tolist()
    for number in range(begin, stop):
        leaf = tables.leaf(number)
        if same and leaf.address == end and (leaf.level, leaf.text) == (same.level, same.text):
            end += leaf.size
            continue
        if same:
            yield start, end, same
        start, end, same = leaf.address, leaf.address + leaf.size, leaf
    if same:
        yield start, end, same


def _line(start: int, end: int, leaf: Leaf) -> str:
    return f"{start:#014x}-{end:#014x} {show_size(end - start):>5} {LEVELS[leaf.level]} {leaf.text}"


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
