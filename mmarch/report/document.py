"""A report before it has a form: what was run, then paragraphs and tables in parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from mmarch.table import Row


@dataclass(frozen=True)
class Paragraph:
    """Text, its further lines indented where the form has lines."""

    text: str
    indent: str = "  "


@dataclass(frozen=True)
class Table:
    """The first `left` columns are text, the others numbers; `total`: the last row is a sum."""

    headings: Row
    rows: Sequence[Row]
    left: int = 1
    total: bool = False


@dataclass(frozen=True)
class Verbatim:
    """Lines that stay as they are, such as page tables."""

    lines: Sequence[str]


Block = Paragraph | Table | Verbatim
Part = Sequence[Block]


class Document(NamedTuple):
    """What was run, what came of it, and what counted it, for whoever reads it elsewhere."""

    head: Sequence[Paragraph]
    parts: Sequence[Part]
    versions: str = ""

    def letter(self) -> list[Part]:
        """The parts, then what was run and by what."""
        return [*self.parts, [*self.head, *([Paragraph(self.versions)] if self.versions else [])]]
