"""Find every function that a program consists of, from its roots and hook winners."""

from __future__ import annotations

import ast
import inspect
import sys
import textwrap
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from types import FunctionType
from typing import Any

SPEC_MARK = "mmarch_spec"
Function = Callable[..., Any]


class NotLinkable(Exception):
    """A function uses something outside the linkable subset; says where and what."""


def is_hookspec(value: object) -> bool:
    """Whether `value` is one of the hook declarations."""
    return isinstance(value, FunctionType) and hasattr(value, SPEC_MARK)


@cache
def _module_tree(filename: str) -> tuple[ast.Module, str]:
    with open(filename, encoding="utf-8") as file:
        text = file.read()
    return ast.parse(text, filename), text


@cache
def _definitions(filename: str) -> dict[tuple[str, int], ast.FunctionDef]:
    """Top-level functions of a file by name and first line (of the first decorator)."""
    found = {}
    for node in ast.walk(_module_tree(filename)[0]):
        if isinstance(node, ast.FunctionDef):
            first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
            found[node.name, first] = node
    return found


def definition(function: FunctionType) -> ast.FunctionDef:
    """The syntax tree of a function, with the line numbers of its file."""
    code = function.__code__
    try:
        node = _definitions(code.co_filename).get((function.__name__, code.co_firstlineno))
    except (OSError, SyntaxError):
        node = None
    if node is not None:
        return node
    try:
        source = textwrap.dedent(inspect.getsource(function))
    except (OSError, TypeError) as error:
        raise NotLinkable(f"{function.__qualname__}: its source cannot be read: {error}") from error
    parsed = ast.parse(source).body[0]
    if not isinstance(parsed, ast.FunctionDef):
        raise NotLinkable(f"{function.__qualname__}: is not a plain function")
    return ast.increment_lineno(parsed, code.co_firstlineno - 1)


@dataclass(frozen=True)
class Routine:
    """One function of the program: its object, its tree and what its names mean."""

    function: FunctionType

    @cached_property
    def node(self) -> ast.FunctionDef:
        """Its syntax tree."""
        return definition(self.function)

    @property
    def where(self) -> str:
        """`file:line` of its definition."""
        return f"{self.function.__code__.co_filename}:{self.function.__code__.co_firstlineno}"

    @property
    def symbol(self) -> str:
        """A name that is unique in the program."""
        return f"{self.function.__module__}.{self.function.__qualname__}"

    @cached_property
    def parameters(self) -> tuple[str, ...]:
        """Names of its positional parameters."""
        arguments = self.node.args
        if arguments.vararg or arguments.kwarg or arguments.kwonlyargs:
            raise NotLinkable(f"{self.where}: {self.function.__name__}: only positional parameters link")
        return tuple(a.arg for a in arguments.posonlyargs + arguments.args)

    @cached_property
    def results(self) -> int:
        """How many values it returns: the length of the tuples in its returns or its annotation, else 1."""
        for node in ast.walk(self.node):
            if isinstance(node, ast.Return) and isinstance(node.value, ast.Tuple):
                return len(node.value.elts)
        declared = self.node.returns
        if isinstance(declared, ast.Subscript) and isinstance(declared.slice, ast.Tuple):
            return len(declared.slice.elts)
        return 1

    def resolve(self, node: ast.expr) -> Any:
        """The object that a global name or dotted name means; LookupError for locals and others."""
        if isinstance(node, ast.Name):
            if node.id in self.function.__globals__:
                return self.function.__globals__[node.id]
            builtins = sys.modules["builtins"].__dict__
            if node.id in builtins:
                return builtins[node.id]
        elif isinstance(node, ast.Attribute):
            try:
                return inspect.getattr_static(self.resolve(node.value), node.attr)
            except AttributeError as error:
                raise LookupError(node.attr) from error
        raise LookupError(ast.unparse(node))


class Program:
    """The closure of `roots` over calls, with every hook replaced by its winner.

    winners   hook name -> implementation
    defaults  hook name -> the implementation a selector may fall back to
    """

    def __init__(
        self,
        roots: Iterable[FunctionType],
        winners: Mapping[str, FunctionType],
        defaults: Mapping[str, FunctionType] | None = None,
    ) -> None:
        self.winners, self.defaults = dict(winners), dict(defaults or {})
        self.roots = [Routine(root) for root in roots]
        self.routines: dict[FunctionType, Routine] = {}
        pending = [routine.function for routine in self.roots]
        while pending:
            function = pending.pop()
            if function in self.routines:
                continue
            routine = self.routines[function] = Routine(function)
            pending.extend(self.callees(routine))

    def callees(self, routine: Routine) -> list[FunctionType]:
        """The functions that it may call."""
        found = []
        for node in ast.walk(routine.node):
            if isinstance(node, ast.Call):
                try:
                    target = routine.resolve(node.func)
                except LookupError:
                    continue
                found.extend(self.targets(target, routine))
        return found

    def targets(self, target: object, routine: Routine) -> list[FunctionType]:
        """The functions a call of `target` may reach."""
        if is_hookspec(target):
            assert isinstance(target, FunctionType)
            name = target.__name__
            if name not in self.winners:
                raise NotLinkable(f"{routine.where}: hook {name} has no implementation")
            chosen = [self.winners[name]]
            if name in self.defaults:
                chosen.append(self.defaults[name])
            return chosen
        return [target] if isinstance(target, FunctionType) else []

    def sources(self) -> list[str]:
        """The text of every file the program came from, for a digest."""
        files = sorted({routine.function.__code__.co_filename for routine in self.routines.values()})
        return [_module_tree(name)[1] for name in files]
