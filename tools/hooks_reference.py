"""Write docs/reference/hooks.md from the docstrings of core_mm/hookspecs.py, and from who calls and implements hooks.

`python tools/hooks_reference.py` writes it, with --check it only says whether it is up to date.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from core_mm.releases import RELEASES
from tools import hook_callers
from tools.generated import write_or_check

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "core_mm" / "hookspecs.py"
PAGE = ROOT / "docs" / "reference" / "hooks.md"
SECTION = "# --- "

HEAD = """# Hooks

Every function that core-mm calls and an architecture may replace, made from
[core_mm/hookspecs.py](../../core_mm/hookspecs.py) by `python tools/hooks_reference.py`. How to begin:
[Adding an architecture](../../arches/README.md), and [a tutorial](../tutorial/an-architecture-in-30-minutes.md).

Below each contract stand the [releases](releases.md) of the twin in which core-mm calls the hook, and the functions
that do, as its source says; where the default is; and which of the architectures here have one of their own.

"""
SHOWN = 4
ARCHES = {
    "arm64": ROOT / "arches" / "arm64",
    "riscv_svnapot": ROOT / "examples" / "riscv_svnapot" / "src",
    "x86": ROOT / "examples" / "x86" / "src",
}


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


def _facts(hook: str) -> Iterator[str]:
    by_release = hook_callers.callers()[hook]
    names = sorted(set().union(*by_release.values()), key=lambda name: (name.startswith("default"), name))
    shown = [f"`{name}`".replace("`default of ", "the default of `") for name in names[:SHOWN]]
    more = [f"{len(names) - SHOWN} more"] if len(names) > SHOWN else []
    releases = "every release" if len(by_release) == len(RELEASES) else ", ".join(by_release)
    yield (
        f"called in {releases} by {', '.join(shown + more)}"
        if names
        else "core-mm of the twin does not call it"
    )
    yield f"default: {_files([ROOT / 'arches' / 'generic'], hook) or 'none'}"
    own = [f"{name} ({files})" for name, folder in ARCHES.items() if (files := _files([folder], hook))]
    yield f"own ones: {', '.join(own) or 'none'}"


def _files(folders: list[Path], hook: str) -> str:
    paths = hook_callers.implementing(*folders).get(hook, [])
    return ", ".join(f"[{path.name}](../../{path.relative_to(ROOT).as_posix()})" for path in paths)


def _render(text: str) -> Iterator[str]:
    starts, common = sections(text), (ast.get_docstring(ast.parse(text)) or "").split("\n\n")[1:]
    yield "\n\n".join(common)
    pending = list(starts)
    for hook in hooks(text):
        while pending and pending[0][0] < hook.line:
            yield f"\n## {pending.pop(0)[1]}"
        facts = "\n".join(f"- {fact}" for fact in _facts(hook.name))
        yield f"\n### {hook.heading}\n\n{paragraphs(hook.contract)}\n\n{facts}"


def main(arguments: list[str]) -> int:
    """Write the page, or compare it; 1 if it is out of date."""
    return write_or_check([(PAGE, render(SOURCE.read_text(encoding="utf-8")))], arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
