"""Pages of the documentation: fenced blocks, and the comment before each that says what a test does with it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    page
    for pattern in ("*.md", "docs/**/*.md", "arches/*.md", "examples/**/*.md", "tests/measured/*.md")
    for page in ROOT.glob(pattern)
)
FENCE = re.compile(r"(?:<!-- (?P<mark>[^>]*) -->\n)?```(?P<kind>\w+)\n(?P<text>.*?)```", re.S)


@dataclass(frozen=True)
class Block:
    """A fenced block and the comment before it."""

    mark: str
    kind: str
    text: str

    def after(self, word: str) -> str:
        """The rest of the mark after `word`, if it begins so."""
        return self.mark.removeprefix(word).strip() if self.mark.startswith(word) else ""


def blocks(page: Path) -> list[Block]:
    """All of a page, in order."""
    return [Block(m["mark"] or "", m["kind"], m["text"]) for m in FENCE.finditer(page.read_text("utf-8"))]
