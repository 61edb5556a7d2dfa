"""Mechanical mutants of Python source: one small change each, in the body of a function.

Annotations, decorators and docstrings stay, and what cannot be told apart by its syntax: arguments of `min` and `max`
in another order, another constant that is returned to nobody, or to who only asks whether it is 0, or passed to who
only asks for that (tools/mutation_results.py). A mutant is a piece of text in place of another, so that the rest of
the file keeps its lines.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator
from dataclasses import dataclass

from tools.mutation_results import Results, name_of

COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Lt: ast.GtE, ast.GtE: ast.Lt, ast.Gt: ast.LtE, ast.LtE: ast.Gt,
}  # fmt: skip
BOUNDARIES: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt,
}  # fmt: skip
ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.FloorDiv, ast.FloorDiv: ast.Mult, ast.LShift: ast.RShift,
    ast.RShift: ast.LShift, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd,
}  # fmt: skip
ALL_MATTER = Results()


@dataclass(frozen=True, order=True)
class Mutant:
    """`old` at `start` of a file becomes `new`.

    path      of the file, below the root, with slashes
    start     bytes before `old`
    operator  the kind of change, such as "boundary"
    """

    path: str
    start: int
    line: int
    function: str
    operator: str
    old: str
    new: str

    @property
    def id(self) -> str:
        """Short, unique in a tree: of two that change the same place, the new text tells which."""
        return f"{self.path}:{self.line}:{self.start}:{self.operator}:{self.new}"

    def __str__(self) -> str:
        """One line for people."""
        old, new = (" ".join(text.split()) for text in (self.old, self.new))
        return f"{self.path}:{self.line} {self.function}: {self.operator}: {old} -> {new or 'nothing'}"

    def applied(self, source: str) -> str:
        """The file with this change; ValueError if it has something else there."""
        data, old = source.encode(), self.old.encode()
        if data[self.start : self.start + len(old)] != old:
            raise ValueError(f"{self.path} has changed: line {self.line} has no {self.old!r} at {self.start}")
        return (data[: self.start] + self.new.encode() + data[self.start + len(old) :]).decode()


def mutants(path: str, source: str, results: Results = ALL_MATTER) -> list[Mutant]:
    """All of a file, in its order; `results` says what becomes of those of its functions."""
    lines = source.encode().splitlines(keepends=True)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))

    def made(function: str, node: ast.AST, operator: str, new: str) -> Mutant:
        place: ast.expr = node  # type: ignore[assignment]
        start = starts[place.lineno - 1] + place.col_offset
        end = starts[(place.end_lineno or place.lineno) - 1] + (place.end_col_offset or 0)
        old = source.encode()[start:end].decode()
        return Mutant(path, start, place.lineno, function, operator, old, new)

    found = {
        made(function, node, operator, new)
        for function, body in functions(ast.parse(source))
        for node in noticed(body, function, results)
        for operator, new in changes(node)
    }
    return sorted(mutant for mutant in found if " ".join(mutant.old.split()) != mutant.new)


def functions(tree: ast.AST) -> Iterator[tuple[str, list[ast.AST]]]:
    """Each function's name and the nodes that it executes."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            yield node.name, [inner for statement in node.body for inner in executed(statement)]


def noticed(body: list[ast.AST], function: str, results: Results) -> list[ast.AST]:
    """Without constants that are returned, or passed, and make no difference."""
    same = [argument for node in body for argument in flagged(node, results) if at_least(argument, 1)]
    if function in results.unused | results.tested:
        least = 0 if function in results.unused else 1
        returned = [node.value for node in body if isinstance(node, ast.Return) and node.value]
        same += [value for value in returned if at_least(value, least)]
    indistinct = set(map(id, same))
    return [node for node in body if id(node) not in indistinct]


def flagged(node: ast.AST, results: Results) -> list[ast.expr]:
    """Arguments of a call that are only tested."""
    if not isinstance(node, ast.Call):
        return []
    name = name_of(node.func)
    return [argument for number, argument in enumerate(node.args) if (name, number) in results.flags]


def at_least(node: ast.AST, least: int) -> bool:
    """Whether this is such a number."""
    return isinstance(node, ast.Constant) and isinstance(node.value, int) and node.value >= least


def executed(node: ast.AST) -> Iterator[ast.AST]:
    """Of a statement, without docstrings, annotations and functions inside."""
    if isinstance(node, ast.FunctionDef) or (
        isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    ):
        return
    yield node
    for name, value in ast.iter_fields(node):
        if name == "annotation":
            continue
        for inner in value if isinstance(value, list) else [value]:
            if isinstance(inner, ast.AST):
                yield from executed(inner)


def changes(node: ast.AST) -> Iterator[tuple[str, str]]:
    """Kind and new text of every mutant of one node."""
    match node:
        case ast.Compare(ops=[op]):
            yield from replaced(node, "comparison", "ops", COMPARISONS.get(type(op)))
            yield from replaced(node, "boundary", "ops", BOUNDARIES.get(type(op)))
        case ast.BinOp(op=op):
            yield from replaced(node, "arithmetic", "op", ARITHMETIC.get(type(op)))
            if isinstance(op, ast.BitOr):
                yield "dropped flag", parenthesized(node.left)
                yield "dropped flag", parenthesized(node.right)
            if isinstance(op, ast.BitAnd) and inverted(node.right):
                yield "dropped flag", parenthesized(node.left)
        case ast.BoolOp(values=[*values]):
            for number in range(len(values)):
                yield "dropped condition", kept(node, number)
        case ast.Constant(value=bool() as value):
            yield "constant", str(not value)
        case ast.Constant(value=int() as value):
            yield "constant", str(value + 1)
        case ast.Expr(value=ast.Call()):
            yield "deleted call", "pass"
        case ast.Call(func=ast.Name(id="min" | "max")):
            return
        case ast.Call(args=[_, _, *_], keywords=[]):
            yield from swapped(node)


def inverted(node: ast.expr) -> bool:
    """Whether this is `~flags`, which `&` takes away."""
    return isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Invert)


def parenthesized(node: ast.expr) -> str:
    """Text that binds as one operand."""
    text = ast.unparse(node)
    return (
        text
        if isinstance(node, ast.Name | ast.Attribute | ast.Constant | ast.Call | ast.Subscript)
        else f"({text})"
    )


def replaced(
    node: ast.Compare | ast.BinOp, kind: str, field: str, new: type[ast.AST] | None
) -> Iterator[tuple[str, str]]:
    """With another operator, if there is one."""
    if new is None:
        return
    changed = copy.copy(node)
    setattr(changed, field, [new()] if field == "ops" else new())
    yield kind, f"({ast.unparse(changed)})" if isinstance(node, ast.BinOp) else ast.unparse(changed)


def kept(node: ast.BoolOp, number: int) -> str:
    """The conjunction or disjunction without one of its parts."""
    rest = [value for index, value in enumerate(node.values) if index != number]
    return f"({ast.unparse(ast.BoolOp(node.op, rest) if len(rest) > 1 else rest[0])})"


def swapped(node: ast.Call) -> Iterator[tuple[str, str]]:
    """Two neighbouring arguments in each other's place."""
    for first in range(len(node.args) - 1):
        if ast.dump(node.args[first]) == ast.dump(node.args[first + 1]):
            continue
        changed = copy.copy(node)
        changed.args = list(node.args)
        changed.args[first : first + 2] = reversed(node.args[first : first + 2])
        yield "swapped argument", ast.unparse(changed)
