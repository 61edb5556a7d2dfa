"""Which jobs of tools/mutation_stage.py can notice a mutant at all: those in which it once computes something else.

A mutant that no job runs, or whose changed expression always has the value that the sound one has, leaves every job as
it is: no check has to be run to know that. So the sound tree is run once, interpreted, with all mutants of a sample
beside the expressions that they change, and each job says which of them once differed. An expression that has side
effects cannot be evaluated twice; it counts as different wherever it runs.

`python -m tools.mutation_probe MUTANTS STAGE SEED [PART OF]` prints a line for each job, or for one of so many parts of
them; MUTANTS is what `write` wrote.
"""

from __future__ import annotations

import ast
import copy
import importlib
import json
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from functools import partial
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, TracebackType
from typing import Any

from tools.mutators import Mutant

DIFFER, RAN = "_mutant_differs", "_mutant_runs"
HARMLESS = (
    ast.Name, ast.Attribute, ast.Subscript, ast.BinOp, ast.BoolOp, ast.UnaryOp, ast.Compare, ast.Constant, ast.IfExp,
    ast.Tuple,
)  # fmt: skip
PLAIN = {"min", "max", "abs", "int", "len", "bool", "range"}
seen: set[int] = set()  # numbers of mutants that the current job can notice
ran: set[int] = set()  # numbers of those whose place it runs


def differs(number: int, value: Any, mutant: Callable[[], Any], tested: bool) -> Any:
    """The sound value; whether the mutant has another one, or none."""
    ran.add(number)
    if number not in seen:
        try:
            other = mutant()
        except Exception as error:
            leave_hook(error.__traceback__)
            seen.add(number)
        else:
            if (bool(value) != bool(other)) if tested else (value != other):
                seen.add(number)
    return value


def leave_hook(traceback: TracebackType | None) -> None:
    """The outermost hook that an exception left does not count as under way any more."""
    while traceback is not None:
        known, local = traceback.tb_frame.f_globals, traceback.tb_frame.f_locals
        if "outer" in local and "mach" in known:  # as mmarch.engine has its calls of hooks
            known["mach"].hook = local["outer"]
            return
        traceback = traceback.tb_next


def runs(number: int) -> None:
    """A place whose mutant cannot be evaluated beside it."""
    ran.add(number)
    seen.add(number)


class Beside(ast.NodeTransformer):
    """Puts mutants beside the largest expressions without side effects that they change.

    pure  whether the function of that name has none, in this module
    """

    def __init__(
        self, tree: ast.Module, source: str, mutants: Iterable[tuple[int, Mutant]], pure: set[str]
    ) -> None:
        self.pure = pure
        self.starts = [0]
        for line in source.encode().splitlines(keepends=True):
            self.starts.append(self.starts[-1] + len(line))
        self.parents = {inner: node for node in ast.walk(tree) for inner in ast.iter_child_nodes(node)}
        spans: dict[tuple[int, int], list[tuple[int, Mutant]]] = defaultdict(list)
        for number, mutant in mutants:
            spans[mutant.start, mutant.start + len(mutant.old.encode())].append((number, mutant))
        self.beside: dict[ast.AST, list[tuple[int, ast.expr]]] = defaultdict(list)
        self.marked: dict[ast.AST, list[int]] = defaultdict(list)
        for node in ast.walk(tree):
            if isinstance(node, ast.expr):
                for number, mutant in spans.get(self._span(node), ()):
                    self._place(number, mutant, node)

    def _span(self, node: ast.expr) -> tuple[int, int]:
        return (
            self.starts[node.lineno - 1] + node.col_offset,
            self.starts[(node.end_lineno or 1) - 1] + (node.end_col_offset or 0),
        )

    def _place(self, number: int, mutant: Mutant, node: ast.expr) -> None:
        if mutant.operator == "deleted call":
            self.marked[node].append(number)
            return
        new = ast.parse(mutant.new, mode="eval").body
        if not (self._pure(node) and self._pure(new)):
            swap = self._swapped(node, new) if mutant.operator == "swapped argument" else None
            if swap is None:
                self.marked[node].append(number)
            else:
                self.beside[swap[0]].append((number, swap[1]))
            return
        whole: ast.expr = node
        while isinstance(parent := self.parents[whole], ast.expr) and self._pure(parent):
            whole = parent
        self.beside[whole].append((number, replaced(whole, node, new)))

    def _swapped(self, node: ast.expr, new: ast.expr) -> tuple[ast.expr, ast.expr] | None:
        """Of a call whose arguments have no side effects: the first of the two, and the other one."""
        assert isinstance(node, ast.Call) and isinstance(new, ast.Call)
        pairs = zip(node.args, new.args, strict=True)
        first, other = next(pair for pair in pairs if ast.dump(pair[0]) != ast.dump(pair[1]))
        return (first, other) if self._pure(first) and self._pure(other) else None

    def _pure(self, node: ast.expr) -> bool:
        return all(self._harmless(inner) for inner in ast.walk(node))

    def _harmless(self, node: ast.AST) -> bool:
        if isinstance(node, ast.Call):
            called = node.func.id if isinstance(node.func, ast.Name) and not node.keywords else ""
            return called in self.pure or called in PLAIN
        return isinstance(node, HARMLESS) or not isinstance(node, ast.expr | ast.Store)

    def visit(self, node: ast.AST) -> Any:
        """Wrap what has mutants; inner expressions first."""
        tested = (
            isinstance(parent := self.parents.get(node), ast.If | ast.While | ast.IfExp)
            and parent.test is node
        )
        beside, marked = self.beside.get(node, ()), self.marked.get(node, ())
        made: Any = self.generic_visit(node)
        for number, mutant in beside:
            later = ast.Lambda(args=ast.arguments([], [], None, [], [], None, []), body=mutant)
            call = [ast.Constant(number), made, later, ast.Constant(tested)]
            made = ast.copy_location(ast.Call(ast.Name(DIFFER, ast.Load()), call, []), node)
        for number in marked:
            mark = ast.Call(ast.Name(RAN, ast.Load()), [ast.Constant(number)], [])
            both = ast.Tuple([mark, made], ast.Load())
            made = ast.copy_location(ast.Subscript(both, ast.Constant(1), ast.Load()), node)
        return made


def replaced(whole: ast.expr, old: ast.expr, new: ast.expr) -> ast.expr:
    """A copy of an expression with a part of it exchanged."""
    return copy.deepcopy(whole, {id(old): new})


def instrumented(source: str, mutants: Iterable[tuple[int, Mutant]], pure: set[str]) -> ast.Module:
    """A module with mutants beside its expressions; lines stay."""
    tree = ast.parse(source)
    made: ast.Module = Beside(tree, source, mutants, pure).visit(tree)
    names = [ast.alias("differs", DIFFER), ast.alias("runs", RAN)]
    future = sum(isinstance(node, ast.ImportFrom) and node.module == "__future__" for node in made.body[:3])
    documented = isinstance(made.body[0], ast.Expr)
    made.body.insert(future + documented, ast.ImportFrom("tools.mutation_probe", names, 0))
    return ast.fix_missing_locations(made)


# -- in the process that runs jobs ----------------------------------------------------


def install(root: Path, mutants: Sequence[Mutant], pure: dict[str, list[str]]) -> None:
    """Have the modules that mutants are of compiled with them."""
    places: dict[str, list[tuple[int, Mutant]]] = defaultdict(list)
    for number, mutant in enumerate(mutants):
        places[str(root / mutant.path)].append((number, mutant))
    compiled = SourceFileLoader.source_to_code

    def source_to_code(self: SourceFileLoader, data: Any, path: Any, *, _optimize: int = -1) -> CodeType:
        if str(path) not in places:
            return compiled(self, data, path, _optimize=_optimize)
        known = set(pure.get(Path(str(path)).relative_to(root).as_posix(), ()))
        tree = instrumented(bytes(data).decode(), places[str(path)], known)
        return compile(tree, str(path), "exec", dont_inherit=True)

    SourceFileLoader.source_to_code = source_to_code  # type: ignore[method-assign,assignment]  # for this process


def write(path: Path, mutants: Sequence[Mutant], pure: dict[str, list[str]]) -> None:
    """What a probing process has to know."""
    path.write_text(json.dumps({"mutants": [asdict(one) for one in mutants], "pure": pure}), encoding="utf-8")


def settled(run: Callable[[], str], differing: set[int]) -> str:
    """What a job of the sound tree notices.

    A mutant that calls hooks calls them beside the sound expression until it has differed, which a job that compares
    counts of calls notices: it is run again as long as there are more of these.
    """
    known = -1
    while (noticed := run()) and known < len(differing):
        known = len(differing)
    return noticed


def main() -> None:
    """Run every job of a stage; a line each."""
    told = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    probe = importlib.import_module("tools.mutation_probe")  # the modules' own, not __main__
    probe.install(Path.cwd(), [Mutant(**one) for one in told["mutants"]], told["pure"])
    stage = importlib.import_module("tools.mutation_stage")
    name, seed = sys.argv[2], int(sys.argv[3])
    for arch in stage.ARCHS:
        stage.loaded(arch)
    always = set(probe.ran)  # what runs while modules are imported decides every job
    part, of = (int(number) for number in sys.argv[4:6] or (0, 1))
    for job in stage.jobs(name, seed)[part::of]:
        probe.seen.clear()
        probe.ran.clear()
        start = time.process_time()
        noticed = settled(partial(stage.run, job, seed, False), probe.seen)
        told = {"job": str(job), "seconds": round(time.process_time() - start, 2), "noticed": noticed}
        print(
            json.dumps(told | {"seen": sorted(probe.seen | always), "ran": sorted(probe.ran | always)}),
            flush=True,
        )


if __name__ == "__main__":
    main()
