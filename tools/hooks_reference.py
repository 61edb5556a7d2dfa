"""Write docs/reference/hooks.md from the docstrings of core_mm/hookspecs.py.

`python tools/hooks_reference.py` writes it, with --check it only says whether it is up to date.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "core_mm" / "hookspecs.py"
PAGE = ROOT / "docs" / "reference" / "hooks.md"
SECTION = "# --- "

HEAD = """# Hooks

Every function that core-mm calls and an architecture may replace, made from
[core_mm/hookspecs.py](../../core_mm/hookspecs.py) by `python tools/hooks_reference.py`. How to begin:
[Adding an architecture](../../arches/README.md), and [a tutorial](../tutorial/an-architecture-in-30-minutes.md).

"""


@dataclass(frozen=True)
class Hook:
    """One hookspec: where it is, how it is called, what it promises."""

    line: int
    name: str
    arguments: tuple[str, ...]
    contract: str

    @property
    def heading(self) -> str:
        """As it is called."""
        return f"`{self.name}({', '.join(self.arguments)})`"


def hooks(text: str) -> list[Hook]:
    """The functions marked @hookspec, in order."""
    return [
        Hook(node.lineno, node.name, tuple(a.arg for a in node.args.args), ast.get_docstring(node) or "")
        for node in ast.parse(text).body
        if isinstance(node, ast.FunctionDef)
        and any(isinstance(d, ast.Name) and d.id == "hookspec" for d in node.decorator_list)
    ]


def sections(text: str) -> list[tuple[int, str]]:
    """Line and title of the comments that part the file."""
    return [
        (number, line.removeprefix(SECTION).removesuffix(" ---"))
        for number, line in enumerate(text.splitlines(), 1)
        if line.startswith(SECTION)
    ]


def paragraphs(contract: str) -> str:
    """A docstring as Markdown: each of its lines a line, its paragraphs apart."""
    return contract.replace("->", "→")


def render(text: str) -> str:
    """The page."""
    return HEAD + "\n".join(_render(text)) + "\n"


def _render(text: str) -> Iterator[str]:
    starts, common = sections(text), (ast.get_docstring(ast.parse(text)) or "").split("\n\n")[1:]
    yield "\n\n".join(common)
    pending = list(starts)
    for hook in hooks(text):
        while pending and pending[0][0] < hook.line:
            yield f"\n## {pending.pop(0)[1]}"
        yield f"\n### {hook.heading}\n\n{paragraphs(hook.contract)}"


def main(arguments: list[str]) -> int:
    """Write the page, or compare it; 1 if it is out of date."""
    page = render(SOURCE.read_text(encoding="utf-8"))
    if "--check" in arguments:
        return int(not PAGE.exists() or PAGE.read_text(encoding="utf-8") != page)
    PAGE.write_text(page, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
