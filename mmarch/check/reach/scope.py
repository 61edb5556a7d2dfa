"""The code that a machine consists of: what booting, system calls and hooks reach, function by function."""

from __future__ import annotations

import ast
import linecache
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import FunctionType

from core_mm import syscalls
from core_mm.descriptor import ArchDescriptor
from core_mm.feature import Features
from mmarch.check.reach.model import Way
from mmarch.engine.changes import Changes
from mmarch.engine.hookimpls import implementations
from mmarch.engine.program import Program, Routine

Arc = tuple[int, int]  # from a line to a line, negative for the way out of a function


@dataclass(frozen=True)
class Function:
    """One function of the machine, in its file."""

    routine: Routine

    @property
    def name(self) -> str:
        """With its module."""
        return f"{self.routine.function.__module__}.{self.routine.function.__name__}"

    @property
    def package(self) -> str:
        """Of core-mm the top-level one, else the folder."""
        module = self.routine.function.__module__
        return "core_mm" if module.startswith("core_mm.") else module.rpartition(".")[0] or module

    @property
    def path(self) -> str:
        """Of its file."""
        return self.routine.function.__code__.co_filename

    @property
    def file(self) -> str:
        """The path below the folder that holds its package."""
        depth = self.routine.function.__module__.count(".") + 1
        return Path(*Path(self.path).parts[-depth:]).as_posix()

    @property
    def first(self) -> int:
        """First line of the body."""
        return self._body[0].lineno

    @property
    def lines(self) -> range:
        """Of the body."""
        return range(self.first, (self.routine.node.end_lineno or self.first) + 1)

    @cached_property
    def _body(self) -> Sequence[ast.stmt]:
        body = self.routine.node.body
        documented = isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant)
        return body[1:] if documented and len(body) > 1 else body

    @cached_property
    def branching(self) -> dict[int, ast.If | ast.While | ast.For]:
        """Line -> what branches there."""
        nodes = ast.walk(self.routine.node)
        return {node.lineno: node for node in nodes if isinstance(node, ast.If | ast.While | ast.For)}

    def text(self, arc: Arc) -> str:
        """The line that branches."""
        return linecache.getline(self.path, arc[0]).strip()

    def way(self, arc: Arc) -> Way:
        """What has to happen for a branch to be taken."""
        node = self.branching[arc[0]]
        inside = arc[1] == node.body[0].lineno
        if isinstance(node, ast.For):
            return "entered" if inside else "ended"
        return "true" if inside else "false"

    def features(self) -> Iterator[tuple[str, int]]:
        """Each feature that is asked for, and the line."""
        for node in ast.walk(self.routine.node):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                table = self.routine.function.__globals__.get(node.value.id)
                if isinstance(table, type) and issubclass(table, Features):
                    yield node.attr, node.lineno


def functions(arch: ArchDescriptor, generic: ArchDescriptor, changes: Changes) -> list[Function]:
    """Those of core-mm, of the architecture and of series; generic's defaults are not asked for."""
    winners = {
        **implementations(generic), **changes.of_arch(generic.name),
        **implementations(arch), **changes.of_arch(arch.name),
    }  # fmt: skip
    roots = [
        root for root in (syscalls.boot, syscalls.run_operations, *winners.values())
        if isinstance(root, FunctionType)
    ]  # fmt: skip
    program = Program(roots, winners, replaced=changes.replaced)
    packages = {"core_mm", *map(package, arch.modules), *(module.__name__ for module in changes.modules)}
    found = map(Function, program.routines.values())
    chosen = [one for one in found if one.package in packages or one.routine.function.__module__ in packages]
    return sorted(chosen, key=lambda one: (one.package, one.file, one.first))


def package(module: str) -> str:
    """The package of a module, or the module that has none."""
    return module.rpartition(".")[0] or module
