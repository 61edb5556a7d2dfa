"""Who calls each hook, in which releases: core-mm's source read with the features of a release.

What a feature of the release decides is decided, everything else may go either way, so that a hook is said to be called
wherever some run could call it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from core_mm.features import feature
from core_mm.hookspecs import HOOKS
from core_mm.releases import RELEASES, features

ROOT = Path(__file__).parents[1]
ENTRY = "run_operations"
ENDS = (ast.Return, ast.Raise, ast.Continue, ast.Break)


@dataclass(frozen=True)
class Reader:
    """Reads functions as a release with these features runs them."""

    has: frozenset[str]

    def decided(self, test: ast.expr) -> bool | None:
        """What a condition is in this release, None if it depends on the run."""
        match test:
            case ast.Attribute(value=ast.Name(id="feature"), attr=name):
                return name in self.has
            case ast.UnaryOp(op=ast.Not(), operand=inner):
                value = self.decided(inner)
                return None if value is None else not value
            case ast.BoolOp(op=operation, values=parts):
                values = [self.decided(part) for part in parts]
                decisive = isinstance(operation, ast.Or)
                if decisive in values:
                    return decisive
                return None if None in values else not decisive
        return None

    def expression(self, node: ast.AST) -> Iterator[str]:
        """Names of the functions that an expression calls."""
        match node:
            case ast.IfExp(test=test, body=yes, orelse=no):
                value = self.decided(test)
                yield from self.expression(test)
                yield from self.expression(yes) if value is not False else ()
                yield from self.expression(no) if value is not True else ()
                return
            case ast.BoolOp(op=operation, values=parts):
                for part in parts:
                    yield from self.expression(part)
                    if self.decided(part) is isinstance(operation, ast.Or):
                        return
                return
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)):
                yield name
        for child in ast.iter_child_nodes(node):
            yield from self.expression(child)

    def block(self, statements: Sequence[ast.stmt]) -> Iterator[str]:
        """The same of statements, up to the first after which there is no way on."""
        for statement in statements:
            yield from self.statement(statement)
            if self.ends(statement):
                return

    def statement(self, node: ast.stmt) -> Iterator[str]:
        """The same of one statement."""
        match node:
            case ast.If(test=test, body=yes, orelse=no):
                value = self.decided(test)
                yield from self.expression(test)
                yield from self.block(yes) if value is not False else ()
                yield from self.block(no) if value is not True else ()
            case ast.While(test=head, body=body) | ast.For(iter=head, body=body):
                yield from self.expression(head)
                yield from self.block(body)
            case _:
                yield from self.expression(node)

    def ends(self, node: ast.stmt) -> bool:
        """Whether nothing after a statement is reached."""
        if isinstance(node, ast.If):
            value = self.decided(node.test)
            taken = [node.body] if value else [node.orelse] if value is False else [node.body, node.orelse]
            return all(any(map(self.ends, branch)) for branch in taken)
        return isinstance(node, ENDS)


@cache
def functions(folder: str) -> Mapping[str, ast.FunctionDef]:
    """Module-level functions of a package, but hookspecs; their names are unique, as in the kernel."""
    return {
        node.name: node
        for path in sorted((ROOT / folder).rglob("*.py"))
        if path.name != "hookspecs.py"
        for node in ast.parse(path.read_text("utf-8")).body
        if isinstance(node, ast.FunctionDef)
    }


def reached(release: str) -> dict[str, set[str]]:
    """Each hook that core-mm calls in a release, with the functions that do, and `default of HOOK` for generic ones."""
    reader = Reader(features(release, feature.table.values()))
    core, generic = functions("core_mm"), functions("arches/generic")
    found: dict[str, set[str]] = {}
    pending, seen = [(ENTRY, core)], {ENTRY}
    while pending:
        name, home = pending.pop()
        for called in set(reader.block(home[name].body)):
            if called in HOOKS:
                found.setdefault(called, set()).add(f"default of {name}" if home is generic else name)
            inside = generic if called in HOOKS or (home is generic and called in generic) else core
            if called in inside and called not in seen:
                seen.add(called)
                pending.append((called, inside))
    return found


@cache
def callers() -> Mapping[str, Mapping[str, frozenset[str]]]:
    """For each hook the releases that call it, with the callers in each."""
    by_release = {release: reached(release) for release in RELEASES}
    return {
        hook: {name: frozenset(found[hook]) for name, found in by_release.items() if hook in found}
        for hook in HOOKS
    }


@cache
def implementing(*folders: Path) -> Mapping[str, Sequence[Path]]:
    """For each hook the files below these folders that implement it."""
    found: dict[str, list[Path]] = {}
    for path in (path for folder in folders for path in sorted(folder.rglob("*.py"))):
        for node in ast.parse(path.read_text("utf-8")).body:
            if isinstance(node, ast.FunctionDef) and any(
                isinstance(mark, ast.Name) and mark.id == "hookimpl" for mark in node.decorator_list
            ):
                found.setdefault(node.name, []).append(path)
    return found
