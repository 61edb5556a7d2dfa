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
TEXT = "__mmarch_text__"  # of a module: the source that it was made from, whatever its file says by now
Function = Callable[..., Any]


class NotLinkable(Exception):
    """A function uses something outside the linkable subset; says where and what."""


def is_hookspec(value: object) -> bool:
    """Whether `value` is one of the hook declarations."""
    return isinstance(value, FunctionType) and hasattr(value, SPEC_MARK)


def kept_text(module: str) -> str | None:
    """The source that a module was made from, if it keeps that; else it is in its file."""
    text: str | None = vars(sys.modules[module]).get(TEXT) if module in sys.modules else None
    return text


@cache
def _definitions(filename: str, text: str | None) -> dict[tuple[str, int], ast.FunctionDef]:
    """Functions of a file by name and first line (of the first decorator); `text` is read from it if None."""
    if text is None:
        with open(filename, encoding="utf-8") as file:
            text = file.read()
    found = {}
    for node in ast.walk(ast.parse(text, filename)):
        if isinstance(node, ast.FunctionDef):
            first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
            found[node.name, first] = node
    return found


def definition(function: FunctionType) -> ast.FunctionDef:
    """The syntax tree of a function, with the line numbers of its file."""
    code = function.__code__
    try:
        known = _definitions(code.co_filename, kept_text(function.__module__))
        node = known.get((function.__name__, code.co_firstlineno))
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
    """One function of the program: its object, its tree and what its names mean.

    original  the function of core-mm that it replaces
    """

    function: FunctionType
    original: FunctionType | None = None

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
        """A name that is unique in the program; a replacement has the one of what it replaces."""
        function = self.original or self.function
        return f"{function.__module__}.{function.__qualname__}"

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
    replaced  function -> what runs wherever it is called
    """

    def __init__(
        self,
        roots: Iterable[FunctionType],
        winners: Mapping[str, FunctionType],
        defaults: Mapping[str, FunctionType] | None = None,
        replaced: Mapping[FunctionType, FunctionType] | None = None,
    ) -> None:
        self.winners, self.defaults = dict(winners), dict(defaults or {})
        self.replaced = dict(replaced or {})
        originals = {new: old for old, new in self.replaced.items()}
        self.roots = [Routine(self.meant(root), originals.get(self.meant(root))) for root in roots]
        self.routines: dict[FunctionType, Routine] = {}
        pending = [routine.function for routine in self.roots]
        while pending:
            function = pending.pop()
            if function in self.routines:
                continue
            routine = self.routines[function] = Routine(function, originals.get(function))
            pending.extend(self.callees(routine))

    def meant(self, function: FunctionType) -> FunctionType:
        """What runs where `function` is called."""
        return self.replaced.get(function, function)

    def callees(self, routine: Routine) -> list[FunctionType]:
        """The functions that it may call."""
        found = []
        for node in ast.walk(ast.Module(routine.node.body, [])):  # calls in decorators are not its own
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
        return [self.meant(target)] if isinstance(target, FunctionType) else []
