"""What becomes of results and arguments of functions: nobody looks at some, of others only whether they are 0.

Another constant that is returned to nobody is the same program, and so is another one than 0 for who only asks whether
it is. A function has to return an integer, 0 where it has nothing to say (see core_mm/hookspecs.py).
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

NOBODY, TEST, RETURNED, VALUE = range(4)  # who gets a result


@dataclass(frozen=True)
class Results:
    """Names of functions whose results nobody gets, and of those whose results are only tested.

    flags  (function, number of a parameter) that its body only tests
    """

    unused: frozenset[str] = frozenset()
    tested: frozenset[str] = frozenset()
    flags: frozenset[tuple[str, int]] = frozenset()


def results(sources: Iterable[str]) -> Results:
    """Of the functions that these files define.

    By name, whoever has it: a hook and all that implement it are one. The result of a function that is not only
    called, but stored or passed on, is a value.
    """
    uses = Uses()
    for source in sources:
        uses.visit(ast.parse(source), VALUE)
    for names in (uses.values, uses.tests):
        while more := {name for name, by in uses.returned.items() if name not in names and by & names}:
            names |= more
    return Results(
        frozenset(uses.defined - uses.values - uses.tests),
        frozenset(uses.defined & uses.tests - uses.values),
        frozenset(uses.parameters - uses.needed),
    )


class Uses:
    """Collects them.

    returned    function -> those that return what it returns
    parameters  of functions, by number; those that are needed for more than a test
    """

    def __init__(self) -> None:
        self.defined, self.values, self.tests = set[str](), set[str](), set[str]()
        self.returned: dict[str, set[str]] = defaultdict(set)
        self.parameters, self.needed = set[tuple[str, int]](), set[tuple[str, int]]()
        self._function = ""

    def visit(self, node: ast.AST, role: int) -> None:
        """A node whose value has a role."""
        match node:
            case ast.FunctionDef(name=name):
                self.defined.add(name)
                self._parameters(node)
                before, self._function = self._function, name
                self._inside(node)
                self._function = before
            case ast.Expr(value=value):
                self.visit(value, NOBODY)
            case ast.Return(value=ast.expr() as value):
                self.visit(value, RETURNED)
            case ast.IfExp(test=test, body=body, orelse=other):
                self.visit(test, TEST)
                self.visit(body, role)
                self.visit(other, role)
            case ast.If(test=test) | ast.While(test=test):
                self.visit(test, TEST)
                self._inside(node, test)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                self.visit(operand, TEST)
            case ast.BoolOp(values=parts) if role == TEST:
                for part in parts:
                    self.visit(part, TEST)
            case ast.Call(func=ast.Name() | ast.Attribute() as func):
                self._used(name_of(func), role)
                self._inside(func)
                self._inside(node, func)
            case ast.Name(ctx=ast.Load()) | ast.Attribute(ctx=ast.Load()):
                self.values.add(name_of(node))
                self._inside(node)
            case _:
                self._inside(node)

    def _parameters(self, function: ast.FunctionDef) -> None:
        numbers = {argument.arg: number for number, argument in enumerate(function.args.args)}
        self.parameters |= {(function.name, number) for number in numbers.values()}
        for name in needed(function):
            if name in numbers:
                self.needed.add((function.name, numbers[name]))

    def _inside(self, node: ast.AST, but: ast.AST | None = None) -> None:
        for inner in ast.iter_child_nodes(node):
            if inner is not but:
                self.visit(inner, VALUE)

    def _used(self, name: str, role: int) -> None:
        if role == RETURNED and self._function:
            self.returned[name].add(self._function)
        elif role == TEST:
            self.tests.add(name)
        elif role != NOBODY:
            self.values.add(name)


def name_of(node: ast.expr) -> str:
    """The last part of a name."""
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def needed(function: ast.FunctionDef) -> set[str]:
    """Names that it uses for more than tests, or stores to."""
    tested: set[ast.AST] = set()
    for node in ast.walk(function):
        if isinstance(node, ast.If | ast.While | ast.IfExp):
            tested |= conditions(node.test)
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            tested |= conditions(node.operand)
    return {node.id for node in ast.walk(function) if isinstance(node, ast.Name) and node not in tested}


def conditions(node: ast.expr) -> set[ast.AST]:
    """The parts of a test that are tests themselves."""
    if isinstance(node, ast.BoolOp):
        return set[ast.AST]().union(*map(conditions, node.values))
    return {node}
