"""A document as text for a terminal, for a letter, as Markdown or as HTML."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator, Sequence

from mmarch.report.document import Block, Document, Paragraph, Part, Table, Verbatim
from mmarch.table import Row, table, width, wrap

LETTER = 72
_ACTIVE = re.compile(r"([\\`*<>|\[\]])")  # characters that mean something in Markdown, wherever they stand


def terminal(document: Document) -> str:
    """As wide as the terminal, else 80 columns."""
    return _plain([document.head, *document.parts])


def lkml(document: Document) -> str:
    """At most 72 columns of plain text, what was run below: a paragraph for a letter."""
    return _plain(document.letter(), LETTER)


def _plain(parts: Sequence[Part], columns: int = 0) -> str:
    return "\n\n".join(
        "\n".join(line for block in part for line in _lines(block, columns)) for part in parts if part
    )


def _lines(block: Block, columns: int) -> list[str]:
    if isinstance(block, Paragraph):
        return wrap(block.text, block.indent, columns=columns)
    if isinstance(block, Verbatim):
        return [part for line in block.lines for part in _fitting(line, columns)]
    return table(block.headings, block.rows, block.left, block.total, columns)


def _fitting(line: str, columns: int) -> list[str]:
    """As it is, or, where a page is too narrow for it, with single spaces and wrapped."""
    return [line] if not columns or len(line) <= columns else wrap(" ".join(line.split()), columns=columns)


def markdown(document: Document) -> str:
    """GitHub's kind; what was run below."""
    return _joined(document.letter(), "\n\n", _markdown)


def _markdown(block: Block) -> str:
    if isinstance(block, Paragraph):
        return _escaped(block.text.strip())
    if isinstance(block, Verbatim):
        return "\n".join(["```text", *block.lines, "```"])
    rule = [":--"] * block.left + ["--:"] * (len(block.headings) - block.left)
    rows = [[_escaped(_nested(cell)) for cell in row] for row in (block.headings, *block.rows)]
    return "\n".join(f"| {' | '.join(row)} |" for row in (rows[0], rule, *rows[1:]))


def _escaped(text: str) -> str:
    return _ACTIVE.sub(r"\\\1", text)


def _nested(cell: str) -> str:
    """An indent, which Markdown and HTML would drop, as a sign."""
    return f"– {cell.strip()}" if cell.startswith(" ") else cell


def page(document: Document) -> str:
    """An HTML fragment for a notebook."""
    return f"<div>{_joined([document.head, *document.parts], '', _html)}</div>"


def _html(block: Block) -> str:
    if isinstance(block, Paragraph):
        return f"<p>{html.escape(block.text.strip())}</p>"
    if isinstance(block, Verbatim):
        return f"<pre>{html.escape(chr(10).join(block.lines))}</pre>"
    head = _cells(block, block.headings, "th")
    rows = "".join(f"<tr>{_cells(block, row, 'td')}</tr>" for row in block.rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _cells(block: Table, row: Row, tag: str) -> str:
    sides = ["left"] * block.left + ["right"] * (len(row) - block.left)
    return "".join(
        f'<{tag} style="text-align:{side}">{html.escape(_nested(cell))}</{tag}>'
        for side, cell in zip(sides, row, strict=True)
    )


def _joined(parts: Sequence[Part], between: str, write: Callable[[Block], str]) -> str:
    return between.join(write(block) for part in parts for block in part)


def framed(headings: Row, groups: Sequence[Sequence[Row]], left: int) -> list[str]:
    """A table in a frame, a rule below each group of rows; columns that do not fit continue in another frame.

    left  columns of text, which every frame repeats
    """
    rows = [headings, *(row for group in groups for row in group)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines: list[str] = []
    for columns in _frames(widths, left, width()):
        lines += ["", *_frame(headings, groups, columns, widths, left)]
    return lines[1:]


def _frames(widths: Sequence[int], left: int, whole: int) -> Iterator[list[int]]:
    """Which columns stand in one frame."""
    columns = list(range(left))
    for column in range(left, len(widths)):
        if len(columns) > left and sum(widths[c] + 3 for c in (*columns, column)) + 1 > whole:
            yield columns
            columns = list(range(left))
        columns.append(column)
    yield columns


def _frame(
    headings: Row, groups: Sequence[Sequence[Row]], columns: Sequence[int], widths: Sequence[int], left: int
) -> Iterator[str]:
    def rule(sign: str) -> str:
        return "+".join(["", *(sign * (widths[column] + 2) for column in columns), ""])

    def line(row: Row) -> str:
        cells = (row[c].ljust(widths[c]) if c < left else row[c].rjust(widths[c]) for c in columns)
        return f"| {' | '.join(cells)} |"

    yield rule("-")
    yield line(headings)
    yield rule("=")
    for group in groups:
        yield from map(line, group)
        yield rule("-")
