"""Lower the linkable subset of Python to LLVM assembly.

Every value is a signed 64-bit integer, as in the machine's memory.  The subset
is what core-mm and architecture code needs: integer expressions, assignment,
`if`, `while`, `for … in range(…)`, calls, and the declarations of
`core_mm.decl`.  Anything else is refused with its file and line.
"""

from __future__ import annotations

import ast

from core_mm.decl import INLINING
from mmarch.engine.expressions import Expressions
from mmarch.engine.layout import Layout
from mmarch.engine.program import Program, Routine
from mmarch.engine.unit import Options, Unit, kind_of

ENTER = '@"core_mm.calls.enter"'


def lower(program: Program, layout: Layout, options: Options) -> str:
    """LLVM assembly of `program`; each root is exported under its bare name."""
    unit = Unit(program, layout, options)
    for routine in program.routines.values():
        unit.functions.append(Function(unit, routine).emit())
    for root in program.roots:
        unit.functions.append(_export(root))
    return unit.text()


def _export(root: Routine) -> str:
    params = ", ".join(f"i64 %a{i}" for i in range(len(root.parameters)))
    args = ", ".join(["ptr %S", *(f"i64 %a{i}" for i in range(len(root.parameters)))])
    return (
        f'define i64 @"{root.symbol.rpartition(".")[2]}"(ptr %S{", " + params if params else ""}) {{\n'
        f'  %r = call fastcc i64 @"{root.symbol}"({args})\n  ret i64 %r\n}}'
    )


class Function(Expressions):
    """Emits one function."""

    def emit(self) -> str:
        names = self.routine.parameters
        for name in names:
            self.entry.append(f"  %L.{name} = alloca i64")
            self.entry.append(f"  store i64 %p.{name}, ptr %L.{name}")
            self.slots[name] = f"%L.{name}"
        for node in ast.walk(self.routine.node):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                self.slot(node.id)
        tracked = self.unit.tracks(self.routine)
        self.outer = self.value(f"call fastcc i64 {ENTER}(ptr %S, i64 {tracked})") if tracked else ""
        self.block(self.routine.node.body)
        self.leave()
        self.put(f"ret {self.result_type} " + ("0" if self.routine.results == 1 else "zeroinitializer"))
        params = ", ".join(["ptr noalias %S", *(f"i64 %p.{name}" for name in names)])
        inlining = " " + getattr(self.routine.function, INLINING, "")
        head = f'define internal fastcc {self.result_type} @"{self.routine.symbol}"({params}){inlining} {{\nentry:'
        body = self.counted() if self.unit.options.operations else self.body
        return "\n".join([head, *self.entry, *body, "}"])

    def counted(self) -> list[str]:
        """Every block first adds its number of operations to a slot of the root."""
        slot = self.unit.layout.operations
        blocks: list[list[str]] = [[]]
        for line in self.body:
            if line.endswith(":"):
                blocks.append([line])
            else:
                blocks[-1].append(line)
        counted = []
        for number, block in enumerate(blocks):
            labels = [line for line in block if line.endswith(":")]
            code = block[len(labels) :]
            names = [f"%ops{number}.{i}" for i in range(3)]
            counted += [
                *labels,
                f"  {names[0]} = getelementptr i64, ptr %S, i64 {slot}",
                f"  {names[1]} = load i64, ptr {names[0]}",
                f"  {names[2]} = add i64 {names[1]}, {len(code)}",
                f"  store i64 {names[2]}, ptr {names[0]}",
                *code,
            ]
        return counted

    @property
    def result_type(self) -> str:
        return kind_of(self.routine)

    def block(self, statements: list[ast.stmt]) -> None:
        for statement in statements:
            if self.done:
                return
            method = getattr(self, "do_" + type(statement).__name__, None)
            if method is None:
                raise self.fail(statement, f"{type(statement).__name__} statements do not link")
            method(statement)

    # -- statements ---------------------------------------------------------------

    def do_Pass(self, node: ast.Pass) -> None:
        pass

    def do_Expr(self, node: ast.Expr) -> None:
        if not isinstance(node.value, ast.Constant):
            self.call(node.value) if isinstance(node.value, ast.Call) else self.expr(node.value)

    def do_Return(self, node: ast.Return) -> None:
        if isinstance(node.value, ast.Tuple):
            packed = "undef"
            for i, item in enumerate(node.value.elts):
                packed = self.value(f"insertvalue {self.result_type} {packed}, i64 {self.expr(item)}, {i}")
        elif node.value is None:
            packed = "0"
        elif self.routine.results > 1 and isinstance(node.value, ast.Call):
            packed, _ = self.call(node.value)
        else:
            packed = self.expr(node.value)
        self.leave()
        self.put(f"ret {self.result_type} {packed}")
        self.done = True

    def leave(self) -> None:
        """The path of calls is the caller's again."""
        if self.outer:
            address, tag = self.special("hook")
            self.write(address, 64, tag, self.outer)

    def do_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.store(node.target, self.expr(node.value))

    def do_Assign(self, node: ast.Assign) -> None:
        first = node.targets[0]
        if isinstance(first, ast.Tuple):
            self.unpack(first, node.value)
            return
        value = self.expr(node.value)
        for target in node.targets:
            self.store(target, value)

    def unpack(self, target: ast.Tuple, source: ast.expr) -> None:
        if isinstance(source, ast.Tuple):
            values = [self.expr(item) for item in source.elts]
        elif isinstance(source, ast.Call):
            packed, kind = self.call(source)
            values = [self.value(f"extractvalue {kind} {packed}, {i}") for i in range(len(target.elts))]
        else:
            raise self.fail(source, "only tuples and calls unpack")
        for item, value in zip(target.elts, values, strict=True):
            self.store(item, value)

    def do_AugAssign(self, node: ast.AugAssign) -> None:
        if isinstance(node.target, ast.Subscript):
            address, width, tag = self.address(node.target)
            old = self.load(address, width, tag)
            self.write(address, width, tag, self.binary(node, node.op, old, node.value))
            return
        old = self.expr(_as_load(node.target))
        self.store(node.target, self.binary(node, node.op, old, node.value))

    def do_If(self, node: ast.If) -> None:
        yes, no, end = self.fresh("then"), self.fresh("else"), self.fresh("endif")
        constant = self.constant_of(node.test)
        if constant is not None:
            self.block(node.body if constant else node.orelse)
            return
        self.test(node.test, yes, no if node.orelse else end)
        self.label_only(yes)
        self.block(node.body)
        self.jump(end)
        if node.orelse:
            self.label_only(no)
            self.block(node.orelse)
            self.jump(end)
        self.label_only(end)

    def do_While(self, node: ast.While) -> None:
        if node.orelse:
            raise self.fail(node, "while … else does not link")
        head, body, end = self.fresh("head"), self.fresh("body"), self.fresh("end")
        self.label(head)
        if self.constant_of(node.test):
            self.jump(body)
        else:
            self.test(node.test, body, end)
        self.label_only(body)
        self.loops.append((head, end))
        self.block(node.body)
        self.loops.pop()
        self.jump(head)
        self.label_only(end)

    def do_For(self, node: ast.For) -> None:
        call = node.iter
        if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "range"):
            raise self.fail(node, "only `for … in range(…)` links")
        if node.orelse or not isinstance(node.target, ast.Name):
            raise self.fail(node, "for … else and tuple targets do not link")
        bounds = [self.expr(a) for a in call.args]
        start, stop = ("0", bounds[0]) if len(bounds) == 1 else (bounds[0], bounds[1])
        step = self.constant_of(call.args[2]) if len(bounds) == 3 else 1
        if not step:
            raise self.fail(node, "the step of range must be a constant that is not 0")
        counter = "%" + self.fresh("L.")
        self.entry.append(f"  {counter} = alloca i64")
        self.put(f"store i64 {start}, ptr {counter}")
        head, body, more, end = (self.fresh(s) for s in ("head", "body", "more", "end"))
        self.label(head)
        now = self.value(f"load i64, ptr {counter}")
        self.branch(self.value(f"icmp {'slt' if step > 0 else 'sgt'} i64 {now}, {stop}"), body, end)
        self.label_only(body)
        self.put(f"store i64 {now}, ptr {self.slot(node.target.id)}")
        self.loops.append((more, end))
        self.block(node.body)
        self.loops.pop()
        self.label(more)
        self.put(f"store i64 {self.value(f'add nsw i64 {now}, {step}')}, ptr {counter}")
        self.jump(head)
        self.label_only(end)

    def do_Break(self, node: ast.Break) -> None:
        self.jump(self.loops[-1][1])

    def do_Continue(self, node: ast.Continue) -> None:
        self.jump(self.loops[-1][0])

    def store(self, target: ast.expr, value: str) -> None:
        if isinstance(target, ast.Name):
            self.put(f"store i64 {value}, ptr {self.slot(target.id)}")
        elif isinstance(target, ast.Subscript):
            address, width, tag = self.address(target)
            self.write(address, width, tag, value)
        elif isinstance(target, ast.Attribute):
            address, tag, _ = self.scalar(target)
            self.write(address, 64, tag, value)
        else:
            raise self.fail(target, "this cannot be assigned to")


def _as_load(node: ast.expr) -> ast.expr:
    if isinstance(node, ast.Name):
        return ast.copy_location(ast.Name(node.id, ast.Load()), node)
    if isinstance(node, ast.Attribute):
        return ast.copy_location(ast.Attribute(node.value, node.attr, ast.Load()), node)
    return node


__all__ = ["Options", "lower"]
