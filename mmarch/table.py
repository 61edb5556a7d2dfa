"""Plain tables as wide as the terminal, else 80 columns; a wider one continues below, its first column repeated."""

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

WIDTH = 80
NARROWEST, WIDEST_TEXT = 40, 100
Row = Sequence[str]
_fixed = ContextVar("_fixed", default=0)


@contextmanager
def fixed_width(columns: int = WIDTH) -> Iterator[None]:
    """Tables of so many columns, whatever the terminal."""
    before = _fixed.set(columns)
    try:
        yield
    finally:
        _fixed.reset(before)


def width() -> int:
    """Columns of the terminal that stdout is, else 80."""
    if chosen := _fixed.get():
        return chosen
    try:
        return max(NARROWEST, os.get_terminal_size(sys.stdout.fileno()).columns)
    except (OSError, ValueError):
        return WIDTH


def number(value: int) -> str:
    """With a comma every three digits."""
    return f"{value:,}"


def counted(value: int, noun: str) -> str:
    """`1 task`, `2 tasks`."""
    return f"{value:,} {noun}{'' if value == 1 else 's'}"


def table(
    headings: Row, rows: Sequence[Row], left: int = 1, total: bool = False, columns: int = 0
) -> list[str]:
    """Lines of a table; the first `left` columns are text, the others numbers.

    total    the last row is a sum and is set off by a rule
    columns  of the page; 0 for the terminal's
    """
    lines: list[str] = []
    for block in _blocks([headings, *rows], left, columns or width()):
        if lines:
            lines.append("")
        lines += _block(headings, rows, block, left, total)
    return lines


def _widths(rows: Sequence[Row]) -> list[int]:
    return [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]


def _blocks(rows: Sequence[Row], left: int, whole: int) -> list[list[int]]:
    """Which columns stand beside each other: the first one always, the others as they fit."""
    widths = _widths(rows)
    blocks, room = [[0]], whole - widths[0]
    for column in range(1, len(widths)):
        need = widths[column] + 2
        if need > room and len(blocks[-1]) > 1 and column >= left:
            blocks.append([0])
            room = whole - widths[0]
        blocks[-1].append(column)
        room -= need
    return blocks


def _block(headings: Row, rows: Sequence[Row], columns: list[int], left: int, total: bool) -> list[str]:
    widths = _widths([headings, *rows])

    def line(row: Row) -> str:
        cells = [
            row[column].ljust(widths[column]) if column < left else row[column].rjust(widths[column])
            for column in columns
        ]
        return "  ".join(cells).rstrip()

    lines = [line(headings), *map(line, rows)]
    if total and rows:
        lines.insert(-1, "-" * max(map(len, lines)))
    return lines


def wrap(text: str, indent: str = "  ", less: int = 0, columns: int = 0) -> list[str]:
    """A paragraph, its further lines indented; `less` of the page's columns are taken already."""
    room = (columns or min(width(), WIDEST_TEXT)) - less
    return textwrap.wrap(text, room, subsequent_indent=indent, break_on_hyphens=False) or [""]


def indented(line: str, by: int = 0) -> list[str]:
    """A line, which may have an indent of its own, in as many as it needs."""
    by += len(line) - len(line.lstrip())
    return [" " * by + part for part in wrap(line.strip(), less=by)]
