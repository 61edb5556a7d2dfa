"""What has changed in a kernel that the hooks and the functions here follow.

`python tools/kernel_drift.py TREE [OLD_TREE]` reads unpacked kernel sources and says which hooks they have that
core_mm/hookspecs.py has not and the other way round, which came, went or changed their name between the trees, and
for each function that a docstring in core_mm or arches says we follow how much of its text changed, worst first.
The exit code is 1 if something that we name is in no tree, 2 if there is nothing to read.
"""

from __future__ import annotations

import argparse
import ast
import re
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tools.kernel_source import BORDER, Tree, statements  # noqa: E402  (found from anywhere)

HOOKSPECS = Path("core_mm/hookspecs.py")
FOLLOWERS = ("core_mm", "arches")
HARDWARE = ("mmu_access",)  # no function of the kernel
ALIKE = 0.8  # from this likeness on, a hook that went and one that came are one
WIDTH = 80

SOURCE = re.compile(r"(?<![\w/*])[\w./-]*\w\.[ch]\b(?!\.\w)")
NAMED = re.compile(
    r":((?!enum\b|struct\b)[a-z_]\w*(?:, [a-z_]\w*(?![\w./-]))*)|: ([a-z]*_\w*(?:, [a-z]*_\w*(?![\w./-]))*)"
)


@dataclass(frozen=True, order=True)
class Followed:
    """A function of the kernel, or with no name a file, and where we name it."""

    file: str
    name: str
    where: str

    @property
    def label(self) -> str:
        """As docstrings name it."""
        return f"{self.file}:{self.name}" if self.name else self.file

    def __str__(self) -> str:
        return f"{self.label}  {self.where.removesuffix(f':{self.name}')}"


def sources(docstring: str, arch: str) -> Iterator[tuple[list[str], list[str]]]:
    """Places where a file that is named may lie, likeliest first, and the functions named with it."""
    last = ""
    for found in SOURCE.finditer(docstring):
        file = found[0]
        places = [file, f"{last.rpartition('/')[0]}/{file}"]
        if file.startswith(("asm/", "asm-generic/")):
            places = [f"include/{file}", f"arch/{arch}/include/{file}"]
        named = NAMED.match(docstring, found.end())
        last = places[0]
        yield places, (named[1] or named[2]).split(", ") if named else []


def documented(path: Path) -> Iterator[tuple[str, str]]:
    """Name ("" for the file itself) and docstring of what a file defines."""
    module = ast.parse(path.read_text(encoding="utf-8"))
    yield "", ast.get_docstring(module) or ""
    for node in module.body:
        if isinstance(node, ast.FunctionDef):
            yield node.name, ast.get_docstring(node) or ""


def followed(trees: Sequence[Tree], root: Path = ROOT) -> list[Followed]:
    """Functions that docstrings name, or that bear the name of one in a file that they name."""
    found: dict[tuple[str, str], Followed] = {}
    for folder in FOLLOWERS:
        for path in sorted((root / folder).rglob("*.py")):
            for one in followed_by(path.relative_to(root), list(documented(path)), trees):
                found.setdefault((one.file, one.name), one)
    return sorted(found.values())


def followed_by(path: Path, texts: Sequence[tuple[str, str]], trees: Sequence[Tree]) -> Iterator[Followed]:
    """Those of one file of ours."""
    arch = path.parts[1] if path.parts[0] == "arches" else "arm64"
    common: list[str] = []
    for function, docstring in texts:
        where, own = f"{path}:{function}" if function else str(path), []
        for places, names in sources(docstring, arch):
            file = next((p for p in places for tree in trees if (tree.path / p).is_file()), places[0])
            own.append(file)
            for name in names or ([""] if not any((tree.path / file).is_file() for tree in trees) else []):
                yield Followed(file, name, where)
        if not function:
            common = own
        words = {function, *re.findall(r"\b\w*_\w+\b", docstring)} - {""}
        for file in dict.fromkeys([*own, *common]):
            theirs = {f"{Path(file).stem}_{function}", *words}
            for name in sorted(theirs & {n for tree in trees for n in tree.functions(file)}):
                yield Followed(file, name, where)


# --- comparing ---


@dataclass(frozen=True)
class Change:
    """Statements of a function that came and went, of as many as it has in both trees together."""

    what: Followed
    added: int
    removed: int
    size: int

    @property
    def share(self) -> float:
        """0 as it was, 1 nothing left."""
        return (self.added + self.removed) / self.size

    def __str__(self) -> str:
        return f"{self.share:4.0%} +{self.added:<3} -{self.removed:<3} {self.what}"


def compare(what: Followed, old: str, new: str) -> Change:
    """How much of a function is not what it was."""
    before, after = statements(old), statements(new)
    same = sum(
        block.size for block in SequenceMatcher(None, before, after, autojunk=False).get_matching_blocks()
    )
    return Change(what, len(after) - same, len(before) - same, len(before) + len(after))


def alike(one: str, other: str) -> float:
    """How much of two names is the same."""
    return SequenceMatcher(None, one, other, autojunk=False).ratio()


def renamed(old: Tree, new: Tree, went: Sequence[str]) -> dict[str, str]:
    """Hook that went -> what the border has since that nearly bears its name."""
    came = {name for file in BORDER for name in new.functions(file).keys() - old.functions(file).keys()}
    came -= old.hooks.keys()
    pairs = {}
    for name in went:
        best = max(sorted(came), key=lambda other: alike(name, other), default="")
        if alike(name, best) >= ALIKE:
            pairs[name] = best
            came.discard(best)
    return pairs


def hookspecs(root: Path = ROOT) -> dict[str, frozenset[str]]:
    """Hook -> its names in kernels: its own, and words in backticks or capitals that are no hook and no argument."""
    module = ast.parse((root / HOOKSPECS).read_text(encoding="utf-8"))
    nodes = [
        node for node in module.body if isinstance(node, ast.FunctionDef)
        if any(isinstance(mark, ast.Name) and mark.id == "hookspec" for mark in node.decorator_list)
    ]  # fmt: skip
    hooks = {node.name for node in nodes}
    found = {}
    for node in nodes:
        words = re.findall(r"`(\w+)(?:\(.*?\))?`|\b([A-Z]+_[A-Z_]+)\b", ast.get_docstring(node) or "")
        others = {a or b for a, b in words} - hooks - {argument.arg for argument in node.args.args}
        found[node.name] = frozenset({node.name, *others})
    return found


def lost(trees: Sequence[Tree], ours: Mapping[str, frozenset[str]]) -> list[str]:
    """Our hooks that no tree knows under any of their names."""
    return [
        hook for hook, names in ours.items()
        if hook not in HARDWARE and not any(tree.knows(name) for tree in trees for name in names)
    ]  # fmt: skip


def changes(trees: Sequence[Tree], wanted: Sequence[Followed]) -> tuple[list[Change], list[str]]:
    """What became of each function, worst first; and where we name one that no tree has."""
    found, missing = [], []
    seen: set[tuple[str, ...]] = set()  # one that moved is named under both of its files
    for one in wanted:
        texts = [tree.text(one.file, one.name) for tree in trees] if one.name else []
        if not any(texts):
            missing.append(str(one))
        elif len(texts) > 1 and (one.name, *texts) not in seen:
            seen.add((one.name, *texts))
            found.append(compare(one, texts[1], texts[0]))
    return sorted(found, key=lambda change: (-change.share, change.what)), missing


# --- saying so ---


def paragraph(title: str, rows: Sequence[str]) -> Iterator[str]:
    """A heading with how many there are, and lines below it."""
    yield ""
    yield from textwrap.wrap(f"{title}: {len(rows) or 'none'}", WIDTH)
    for row in rows:
        yield from textwrap.wrap(
            row, WIDTH, initial_indent="  ", subsequent_indent="    ", break_on_hyphens=False
        )


def hooks_differ(new: Tree, old: Tree) -> Iterator[str]:
    """Hooks that came, went, or are left to the architectures."""
    went = sorted(old.hooks.keys() - new.hooks.keys())
    pairs = renamed(old, new, [name for name in went if name not in new.by_arch])
    came = sorted(new.hooks.keys() - old.hooks.keys() - set(pairs.values()))
    yield from paragraph(
        f"hooks new since {old.name} (and who has its own)", [new.shown(hook) for hook in came]
    )
    yield from paragraph(
        f"renamed since {old.name}, it seems",
        [f"{was} -> {new.shown(now)}" for was, now in pairs.items()],
    )  # fmt: skip
    alone = [name for name in went if name in new.by_arch and name not in pairs]
    yield from paragraph(f"without a default since {old.name}", [new.shown(hook) for hook in alone])
    yield from paragraph(
        f"gone since {old.name}",
        [old.shown(hook) for hook in went if hook not in pairs and hook not in alone],
    )


def hooks_lacking(new: Tree, ours: Mapping[str, frozenset[str]]) -> Iterator[str]:
    """Hooks of a tree that hookspecs.py has not, those first that most architectures replace."""
    known: frozenset[str] = frozenset().union(*ours.values())
    rest = sorted(new.hooks.keys() - known, key=lambda hook: (-len(new.overriders(hook)), hook))
    taken = [hook for hook in rest if new.overriders(hook)]
    title = f"hooks of {new.name} that hookspecs.py has not"
    yield from paragraph(f"{title}, and who has its own", [new.shown(hook) for hook in taken])
    yield from paragraph(f"{title}, and nobody has its own", rest[len(taken) :])


def functions_changed(found: Sequence[Change], old: Tree) -> Iterator[str]:
    """Functions that went, that came, and whose statements are not what they were: the share, which came and went."""
    what = f"{len(found)} functions that we follow"
    went = [change for change in found if change.removed == change.size]
    came = [change for change in found if change.added == change.size]
    changed = [change for change in found if change.share and change not in went and change not in came]
    yield from paragraph(f"of {what}, gone since {old.name}", [str(change.what) for change in went])
    yield from paragraph(f"of {what}, new since {old.name}", [str(change.what) for change in came])
    yield from paragraph(f"of {what}, changed since {old.name}", [str(change) for change in changed])


def report(trees: Sequence[Tree], root: Path) -> tuple[list[str], bool]:
    """What there is to say, and whether something that we name is missing."""
    ours = hookspecs(root)
    found, missing = changes(trees, followed(trees, root))
    without = lost(trees, ours)
    names = " or ".join(tree.name for tree in trees)
    lines = [f"{trees[0].name} has {len(trees[0].hooks)} hooks, {HOOKSPECS} {len(ours)}"]
    if len(trees) > 1:
        lines += hooks_differ(*trees)
    lines += hooks_lacking(trees[0], ours)
    lines += paragraph(f"hooks of hookspecs.py that are not in {names}", without)
    lines += paragraph(f"functions and files that docstrings name and that are not in {names}", missing)
    if len(trees) > 1:
        lines += functions_changed(found, trees[1])
    return lines, bool(without or missing)


def main(arguments: Sequence[str] | None = None, root: Path = ROOT) -> int:
    """Read, compare, print; the exit code."""
    parser = argparse.ArgumentParser(prog="kernel_drift", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("tree", type=Path, metavar="TREE", help="unpacked sources of a kernel")
    parser.add_argument("old", type=Path, nargs="?", metavar="OLD_TREE", help="those of an earlier one")
    options = parser.parse_args(arguments)
    try:
        lines, missing = report([Tree(path) for path in (options.tree, options.old) if path], root)
    except OSError as error:
        print(f"kernel_drift: {error}", file=sys.stderr)
        return 2
    print("\n".join(lines))
    return int(missing)


if __name__ == "__main__":
    sys.exit(main())
