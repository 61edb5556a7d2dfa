"""`mmarch run --top` as text."""

from __future__ import annotations

from mmarch.history import History
from mmarch.history.top import hot
from mmarch.report.columns import title
from mmarch.table import number, wrap
from mmarch.workload import qualified

NAMES = {"op": "operation", "hook": "hook", "cause": "cause", "mapping": "mapping", "task": "task"}


def render(history: History, count: int, by: str) -> list[str]:
    """The `count` hottest, a row each; a long cause goes on in a line of its own."""
    found = hot(history, by)
    shown = found[:count]
    rows = [[*map(number, numbers), label] for label, numbers in shown]
    chosen = history.setup.configuration
    work = qualified(history.workload.name, history.workload.provenance)
    head = [*wrap(title(chosen, history.setup.geometry.page_shift)), *wrap(work), ""]
    widest = [max(len(row[i]) for row in [*rows, ["TLBIs", "unfolds", "faults"]]) for i in range(3)]
    lines = [_line(["TLBIs", "unfolds", "faults"], widest, NAMES[by])]
    for row in rows:
        lines += _wrapped(_line(row[:3], widest, ""), row[3])
    rest = len(found) - len(shown)
    return [*head, *lines, *([f"… and {rest:,} more"] if rest else [])]


def _line(cells: list[str], widths: list[int], label: str) -> str:
    return "  ".join([*(cell.rjust(width) for cell, width in zip(cells, widths, strict=True)), label])


def _wrapped(numbers: str, label: str) -> list[str]:
    """A path breaks after a semicolon."""
    room, lines = 80 - len(numbers), [""]
    for part in label.replace(";", ";\0").split("\0"):
        if lines[-1] and len(lines[-1]) + len(part) > room:
            lines.append("")
        lines[-1] += part
    return [(numbers if i == 0 else " " * len(numbers)) + line for i, line in enumerate(lines)]
