"""How long Numba takes for the functions that the linked engine compiles: why mmarch lowers them itself.

    pip install numba; python benchmarks/with_numba.py

The same source is rewritten mechanically (every function gets the machine's arrays as its first argument,
one NamedTuple) and compiled with `njit`. Prints seconds for both, cold, in one process each.
"""

from __future__ import annotations

import ast
import importlib.util
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import numpy as np

from core_mm.decl import Array, Column, Scalars
from core_mm.hookspecs import HOOKS
from mmarch.engine.layout import Layout
from mmarch.engine.link import compile_object
from mmarch.engine.lower import Options, lower
from mmarch.engine.machine import declared_modules, implementations
from mmarch.engine.program import Program, Routine, is_hookspec
from mmarch.runs.assemble import roots
from mmarch.runs.configure import Choices, configure


class Rewriter(ast.NodeTransformer):
    """Turn declarations into fields of `S` and calls into calls by unique name."""

    def __init__(self, routine: Routine, program: Program) -> None:
        self.routine, self.program = routine, program

    def resolved(self, node: ast.expr) -> Any:
        try:
            return self.routine.resolve(node)
        except LookupError:
            return None

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        target = self.resolved(node.func)
        if is_hookspec(target):
            target = self.program.winners[target.__name__]
        if isinstance(target, FunctionType):
            node.func = ast.Name(mangled(target), ast.Load())
            node.args.insert(0, ast.Name("S", ast.Load()))
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        target = self.resolved(node)
        if isinstance(target, Column):
            return field(f"{target.owner}_{target.name}")
        if isinstance(target, int):
            return ast.Constant(int(target))
        owner = self.resolved(node.value)
        if isinstance(owner, type) and issubclass(owner, Scalars):
            index = ast.Constant(owner.names.index(node.attr))
            return ast.Subscript(field(owner.__name__), index, node.ctx)
        return self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> ast.AST:
        if isinstance(node.ctx, ast.Store) or node.id in self.routine.parameters:
            return node
        target = self.resolved(node)
        if isinstance(target, Array):
            return field(target.name)
        return ast.Constant(int(target)) if isinstance(target, int) else node


def field(name: str) -> ast.Attribute:
    """`S.name`."""
    return ast.Attribute(ast.Name("S", ast.Load()), name, ast.Load())


def mangled(function: FunctionType) -> str:
    """A name that is unique in one module."""
    return f"{function.__module__}_{function.__name__}".replace(".", "_")


def rewritten(program: Program) -> str:
    """One module with every function of the program."""
    parts = ["from numba import njit"]
    for routine in program.routines.values():
        node = ast.parse(ast.unparse(routine.node)).body[0]
        assert isinstance(node, ast.FunctionDef)
        node = Rewriter(routine, program).visit(node)
        node.name, node.decorator_list, node.returns = mangled(routine.function), [], None
        node.args.args.insert(0, ast.arg("S"))
        for argument in node.args.args:
            argument.annotation = None
        parts.append("@njit\n" + ast.unparse(ast.fix_missing_locations(node)))
    return "\n\n".join(parts)


def arrays(layout: Layout) -> Mapping[str, np.ndarray]:
    """Every column as an array of its own width."""
    found: dict[str, np.ndarray] = {name: np.zeros(8, np.int64) for name in layout.arrays}
    found |= {name: np.zeros(len(p.names), np.int64) for name, p in layout.scalars.items()}
    for name, place in layout.tables.items():
        found |= {f"{name}_{c}": np.zeros(8, place.dtype)[c] for c in place.offsets}
    return found


def load(text: str, folder: Path) -> ModuleType:
    """Import the rewritten module."""
    path = folder / "rewritten.py"
    path.write_text(text)
    spec = importlib.util.spec_from_file_location("rewritten", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main() -> None:
    """Time both."""
    sys.setrecursionlimit(10000)
    setup = configure(Choices())
    archs = [setup.generic.descriptor, setup.arch.descriptor]
    layout = Layout.of(declared_modules(archs), HOOKS)
    winners = {**implementations(archs[0]), **implementations(archs[1])}
    begin = time.perf_counter()
    program = Program(roots(), winners)
    compile_object(lower(program, layout, Options()))
    print(f"linker: {len(program.routines)} functions in {time.perf_counter() - begin:.1f} s", flush=True)
    from collections import namedtuple

    values = arrays(layout)
    machine = namedtuple("machine", values)(**values)  # type: ignore[misc]
    with tempfile.TemporaryDirectory() as folder:
        module = load(rewritten(program), Path(folder))
        begin = time.perf_counter()
        import numba

        kind = numba.typeof(machine)
        for root in program.roots:
            count = len(root.parameters)
            getattr(module, mangled(root.function)).compile((kind, *[numba.int64] * count))
            print(f"numba: up to {root.function.__name__} {time.perf_counter() - begin:.1f} s", flush=True)


if __name__ == "__main__":
    main()
