"""Lower the linkable subset of Python to LLVM assembly.

Every value is a signed 64-bit integer, as in the machine's memory.  The subset
is what core-mm and architecture code needs: integer expressions, assignment,
`if`, `while`, `for … in range(…)`, calls, and the declarations of
`core_mm.decl`.  Anything else is refused with its file and line.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from types import FunctionType
from typing import Any

from core_mm.decl import NOINLINE, Array, Column, Scalars, Table
from core_mm.vmstat import EVENTS, HOOK_CALL
from mmarch.engine.layout import Layout
from mmarch.engine.program import NotLinkable, Program, Routine, is_hookspec

_BINARY = {
    ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.BitAnd: "and", ast.BitOr: "or",
    ast.BitXor: "xor", ast.LShift: "shl", ast.RShift: "ashr",
}  # fmt: skip
_COMPARE = {
    ast.Eq: "eq", ast.NotEq: "ne", ast.Lt: "slt", ast.LtE: "sle", ast.Gt: "sgt", ast.GtE: "sge",
    ast.Is: "eq", ast.IsNot: "ne",
}  # fmt: skip


@dataclass(frozen=True)
class Options:
    """What to build in: index checks, attribution of counts to hooks, a count of executed operations."""

    checked: bool = False
    attribute: bool = False
    operations: bool = False


@dataclass
class Unit:
    """One LLVM module in the making: text of functions, constants and alias metadata."""

    program: Program
    layout: Layout
    options: Options = Options()
    functions: list[str] = field(default_factory=list)
    constants: dict[tuple[int, ...], str] = field(default_factory=dict)
    alias: dict[str, int] = field(default_factory=dict)

    def tag(self, name: str) -> str:
        """Type-based alias metadata: two different columns never overlap."""
        number = self.alias.setdefault(name, len(self.alias))
        return f"!tbaa !{10 + 2 * number + 1}"

    def table(self, values: tuple[int, ...]) -> str:
        """A constant array in the image."""
        return self.constants.setdefault(values, f"@table{len(self.constants)}")

    def text(self) -> str:
        """The whole module."""
        lines = ['source_filename = "mmarch"']
        for values, name in self.constants.items():
            items = ", ".join(f"i64 {v}" for v in values)
            lines.append(f"{name} = private constant [{len(values)} x i64] [{items}]")
        lines += [
            "declare i64 @llvm.smin.i64(i64, i64)",
            "declare i64 @llvm.smax.i64(i64, i64)",
            "declare i64 @llvm.cttz.i64(i64, i1)",
            *self.functions,
            "!0 = !{}",
            '!1 = !{!"mmarch"}',
        ]
        for name, number in self.alias.items():
            node = 10 + 2 * number
            lines.append(f'!{node} = !{{!"{name}", !1, i64 0}}')
            lines.append(f"!{node + 1} = !{{!{node}, !{node}, i64 0}}")
        return "\n".join(lines) + "\n"


def lower(program: Program, layout: Layout, options: Options) -> str:
    """LLVM assembly of `program`; each root is exported under its bare name."""
    unit = Unit(program, layout, options)
    for routine in program.routines.values():
        unit.functions.append(_Function(unit, routine).emit())
    for root in program.roots:
        unit.functions.append(_export(root))
    return unit.text()


def _export(root: Routine) -> str:
    params = ", ".join(f"i64 %a{i}" for i in range(len(root.parameters)))
    args = ", ".join(["ptr %S", *(f"i64 %a{i}" for i in range(len(root.parameters)))])
    return (
        f'define i64 @"{root.function.__name__}"(ptr %S{", " + params if params else ""}) {{\n'
        f'  %r = call fastcc i64 @"{root.symbol}"({args})\n  ret i64 %r\n}}'
    )


class _Function:
    """Emits one function."""

    def __init__(self, unit: Unit, routine: Routine) -> None:
        self.unit, self.routine = unit, routine
        self.body: list[str] = []
        self.entry: list[str] = []
        self.slots: dict[str, str] = {}
        self.loops: list[tuple[str, str]] = []
        self.counter = 0
        self.done = False  # the current block has its terminator

    # -- plumbing ---------------------------------------------------------------

    def fail(self, node: ast.AST, why: str) -> NotLinkable:
        code = self.routine.function.__code__
        line = getattr(node, "lineno", code.co_firstlineno)
        return NotLinkable(f"{code.co_filename}:{line}: {self.routine.function.__name__}: {why}")

    def fresh(self, stem: str = "v") -> str:
        self.counter += 1
        return f"{stem}{self.counter}"

    def put(self, text: str) -> None:
        if not self.done:
            self.body.append("  " + text)

    def value(self, text: str) -> str:
        name = "%" + self.fresh()
        self.put(f"{name} = {text}")
        return name

    def label(self, name: str) -> None:
        self.jump(name)
        self.body.append(f"{name}:")
        self.done = False

    def jump(self, name: str) -> None:
        self.put(f"br label %{name}")
        self.done = True

    def branch(self, condition: str, yes: str, no: str) -> None:
        self.put(f"br i1 {condition}, label %{yes}, label %{no}")
        self.done = True

    def slot(self, name: str) -> str:
        if name not in self.slots:
            self.slots[name] = f"%L.{name}"
            self.entry.append(f"  %L.{name} = alloca i64")
        return self.slots[name]

    # -- the function -------------------------------------------------------------

    def emit(self) -> str:
        names = self.routine.parameters
        for name in names:
            self.entry.append(f"  %L.{name} = alloca i64")
            self.entry.append(f"  store i64 %p.{name}, ptr %L.{name}")
            self.slots[name] = f"%L.{name}"
        for node in ast.walk(self.routine.node):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                self.slot(node.id)
        self.block(self.routine.node.body)
        self.put(f"ret {self.result_type} " + ("0" if self.routine.results == 1 else "zeroinitializer"))
        params = ", ".join(["ptr noalias %S", *(f"i64 %p.{name}" for name in names)])
        cold = " noinline" if hasattr(self.routine.function, NOINLINE) else ""
        head = f'define internal fastcc {self.result_type} @"{self.routine.symbol}"({params}){cold} {{\nentry:'
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
        return _type(self.routine)

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
        self.put(f"ret {self.result_type} {packed}")
        self.done = True

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

    def label_only(self, name: str) -> None:
        self.body.append(f"{name}:")
        self.done = False

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

    # -- memory -------------------------------------------------------------------

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

    def load(self, address: str, width: int, tag: str) -> str:
        raw = self.value(f"load i{width}, ptr {address}, {tag}")
        return raw if width == 64 else self.value(f"sext i{width} {raw} to i64")

    def write(self, address: str, width: int, tag: str, value: str) -> None:
        if width != 64:
            value = self.value(f"trunc i64 {value} to i{width}")
        self.put(f"store i{width} {value}, ptr {address}, {tag}")

    def base(self, index: int) -> str:
        where = self.value(f"getelementptr i64, ptr %S, i64 {index}")
        return self.value(f"load ptr, ptr {where}, !invariant.load !0")

    def address(self, node: ast.Subscript) -> tuple[str, int, str]:
        try:
            declared = self.routine.resolve(node.value)
        except LookupError as error:
            raise self.fail(node, f"{ast.unparse(node.value)} is not a declared array") from error
        index = self.expr(node.slice)
        layout = self.unit.layout
        if isinstance(declared, Array):
            place = layout.arrays[declared.name]
            index = self.guard(index, place.root, node)
            return (
                self.value(f"getelementptr i64, ptr {self.base(place.root)}, i64 {index}"),
                64,
                self.unit.tag(declared.name),
            )
        if isinstance(declared, Column):
            table = layout.tables[declared.owner]
            index = self.guard(index, table.root, node)
            offset = self.value(f"mul nsw i64 {index}, {table.stride}")
            if table.offsets[declared.name]:
                offset = self.value(f"add nsw i64 {offset}, {table.offsets[declared.name]}")
            address = self.value(f"getelementptr i8, ptr {self.base(table.root)}, i64 {offset}")
            return address, declared.width, self.unit.tag(f"{declared.owner}.{declared.name}")
        raise self.fail(node, f"{ast.unparse(node.value)} is not a declared array")

    def guard(self, index: str, root: int, node: ast.AST) -> str:
        """In a checked build: an index outside the array is noted and becomes 0."""
        if not self.unit.options.checked:
            return index
        where = self.value(f"getelementptr i64, ptr %S, i64 {root + 1}")
        length = self.value(f"load i64, ptr {where}, !invariant.load !0")
        bad = self.value(f"icmp uge i64 {index}, {length}")
        wrong, fine = self.fresh("oob"), self.fresh("ok")
        self.branch(bad, wrong, fine)
        self.label_only(wrong)
        line = getattr(node, "lineno", 0)
        code = self.unit.layout.location(self.routine.function.__code__.co_filename, line)
        for slot, item in ((0, str(code)), (1, index), (2, str(root))):
            spot = self.value(f"getelementptr i64, ptr %S, i64 {self.unit.layout.fault + slot}")
            self.put(f"store i64 {item}, ptr {spot}")
        self.jump(fine)
        self.label_only(fine)
        return self.value(f"select i1 {bad}, i64 0, i64 {index}")

    def scalar(self, node: ast.Attribute) -> tuple[str, str, bool]:
        owner = self.routine.resolve(node.value)
        if not (isinstance(owner, type) and issubclass(owner, Scalars) and node.attr in owner.names):
            raise self.fail(node, f"{ast.unparse(node)} is not declared")
        place = self.unit.layout.scalars[owner.__name__]
        address = self.value(
            f"getelementptr i64, ptr {self.base(place.root)}, i64 {owner.names.index(node.attr)}"
        )
        return address, self.unit.tag(f"{owner.__name__}.{node.attr}"), owner.constant

    # -- expressions --------------------------------------------------------------

    def constant_of(self, node: ast.expr) -> int | None:
        """The value of a compile-time constant expression, else None."""
        if isinstance(node, ast.Constant):
            return int(node.value) if isinstance(node.value, int) else None
        if isinstance(node, ast.Name | ast.Attribute):
            if isinstance(node, ast.Name) and node.id in self.slots:
                return None
            try:
                value = self.routine.resolve(node)
            except LookupError:
                return None
            return int(value) if isinstance(value, int) else None
        if isinstance(node, ast.UnaryOp):
            inner = self.constant_of(node.operand)
            if inner is None:
                return None
            return int(eval_unary(node.op, inner))
        if isinstance(node, ast.BinOp):
            left, right = self.constant_of(node.left), self.constant_of(node.right)
            if left is None or right is None:
                return None
            return eval_binary(node.op, left, right)
        return None

    def expr(self, node: ast.expr) -> str:
        constant = self.constant_of(node)
        if constant is not None:
            if not -(1 << 63) <= constant < 1 << 63:
                raise self.fail(node, f"{constant:#x} does not fit a signed 64-bit integer")
            return str(constant)
        method = getattr(self, "ex_" + type(node).__name__, None)
        if method is None:
            raise self.fail(node, f"{type(node).__name__} expressions do not link")
        return str(method(node))

    def ex_Constant(self, node: ast.Constant) -> str:
        raise self.fail(node, f"only integers link, not {node.value!r}")

    def ex_Name(self, node: ast.Name) -> str:
        if node.id not in self.slots:
            raise self.fail(node, f"{node.id} is neither a local nor an integer constant")
        return self.value(f"load i64, ptr {self.slots[node.id]}")

    def ex_Attribute(self, node: ast.Attribute) -> str:
        try:
            if self.is_hook_number(node):
                return "0"
            address, tag, constant = self.scalar(node)
        except LookupError as error:
            raise self.fail(node, f"{ast.unparse(node)} is not declared") from error
        return self.value(f"load i64, ptr {address}, {tag}" + (", !invariant.load !0" if constant else ""))

    def is_hook_number(self, node: ast.Attribute) -> bool:
        """`mach.hook`, in an image that does not attribute counts to hooks."""
        if self.unit.options.attribute or node.attr != "hook":
            return False
        owner = self.routine.resolve(node.value)
        return isinstance(owner, type) and issubclass(owner, Scalars) and owner.__name__ == "mach"

    def ex_Subscript(self, node: ast.Subscript) -> str:
        try:
            values = self.routine.resolve(node.value)
        except LookupError:
            values = None
        if isinstance(values, tuple) and all(isinstance(v, int) for v in values):
            name = self.unit.table(tuple(int(v) for v in values))
            place = self.value(
                f"getelementptr [{len(values)} x i64], ptr {name}, i64 0, i64 {self.expr(node.slice)}"
            )
            return self.value(f"load i64, ptr {place}, !invariant.load !0")
        address, width, tag = self.address(node)
        return self.load(address, width, tag)

    def ex_BinOp(self, node: ast.BinOp) -> str:
        return self.binary(node, node.op, self.expr(node.left), node.right)

    def binary(self, node: ast.AST, op: ast.operator, left: str, right_node: ast.expr) -> str:
        constant = self.constant_of(right_node)
        if isinstance(op, ast.FloorDiv | ast.Mod):
            return self.floor(op, left, self.expr(right_node), constant)
        if type(op) not in _BINARY:
            raise self.fail(node, f"{type(op).__name__} does not link")
        return self.value(f"{_BINARY[type(op)]} i64 {left}, {self.expr(right_node)}")

    def floor(self, op: ast.operator, left: str, right: str, constant: int | None) -> str:
        """Python's division rounds down; LLVM's towards zero."""
        if constant is not None and constant > 0 and constant & (constant - 1) == 0:
            if isinstance(op, ast.Mod):
                return self.value(f"and i64 {left}, {constant - 1}")
            return self.value(f"ashr i64 {left}, {constant.bit_length() - 1}")
        quotient = self.value(f"sdiv i64 {left}, {right}")
        rest = self.value(f"srem i64 {left}, {right}")
        odd = self.value(f"icmp ne i64 {rest}, 0")
        signs = self.value(f"icmp slt i64 {self.value(f'xor i64 {left}, {right}')}, 0")
        adjust = self.value(f"and i1 {odd}, {signs}")
        if isinstance(op, ast.Mod):
            return self.value(
                f"add i64 {rest}, {self.value(f'select i1 {adjust}, i64 {right}, i64 0')}"
            )
        return self.value(f"sub i64 {quotient}, {self.value(f'zext i1 {adjust} to i64')}")

    def ex_UnaryOp(self, node: ast.UnaryOp) -> str:
        if isinstance(node.op, ast.Not):
            return self.value(f"zext i1 {self.condition(node)} to i64")
        inner = self.expr(node.operand)
        if isinstance(node.op, ast.USub):
            return self.value(f"sub i64 0, {inner}")
        if isinstance(node.op, ast.Invert):
            return self.value(f"xor i64 {inner}, -1")
        return inner

    def ex_Compare(self, node: ast.Compare) -> str:
        return self.value(f"zext i1 {self.condition(node)} to i64")

    def ex_BoolOp(self, node: ast.BoolOp) -> str:
        """Python's `and`/`or` yield the operand that decided."""
        result = "%" + self.fresh("L.")
        self.entry.append(f"  {result} = alloca i64")
        end = self.fresh("bool")
        for i, item in enumerate(node.values):
            value = self.expr(item)
            self.put(f"store i64 {value}, ptr {result}")
            if i + 1 < len(node.values):
                more = self.fresh("more")
                truth = self.value(f"icmp ne i64 {value}, 0")
                first, second = (more, end) if isinstance(node.op, ast.And) else (end, more)
                self.branch(truth, first, second)
                self.label_only(more)
        self.jump(end)
        self.label_only(end)
        return self.value(f"load i64, ptr {result}")

    def ex_IfExp(self, node: ast.IfExp) -> str:
        result = "%" + self.fresh("L.")
        self.entry.append(f"  {result} = alloca i64")
        yes, no, end = self.fresh("yes"), self.fresh("no"), self.fresh("fi")
        self.test(node.test, yes, no)
        for name, item in ((yes, node.body), (no, node.orelse)):
            self.label_only(name)
            self.put(f"store i64 {self.expr(item)}, ptr {result}")
            self.jump(end)
        self.label_only(end)
        return self.value(f"load i64, ptr {result}")

    def ex_Call(self, node: ast.Call) -> str:
        return self.call(node)[0]

    def condition(self, node: ast.expr) -> str:
        """An i1 that says whether `node` is true."""
        if isinstance(node, ast.Compare):
            if len(node.ops) == 1:
                op = node.ops[0]
                if type(op) not in _COMPARE:
                    raise self.fail(node, f"{type(op).__name__} does not link")
                left, right = self.expr(node.left), self.expr(node.comparators[0])
                return self.value(f"icmp {_COMPARE[type(op)]} i64 {left}, {right}")
            values = [self.expr(item) for item in [node.left, *node.comparators]]
            result = "true"
            for op, left, right in zip(node.ops, values, values[1:], strict=False):
                one = self.value(f"icmp {_COMPARE[type(op)]} i64 {left}, {right}")
                result = self.value(f"and i1 {result}, {one}")
            return result
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            return self.value(f"xor i1 {self.condition(node.operand)}, true")
        return self.value(f"icmp ne i64 {self.expr(node)}, 0")

    def test(self, node: ast.expr, yes: str, no: str) -> None:
        """Branch on `node`, without evaluating more of it than Python would."""
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            self.test(node.operand, no, yes)
            return
        if isinstance(node, ast.BoolOp):
            for item in node.values[:-1]:
                more = self.fresh("more")
                if isinstance(node.op, ast.And):
                    self.test(item, more, no)
                else:
                    self.test(item, yes, more)
                self.label_only(more)
            self.test(node.values[-1], yes, no)
            return
        self.branch(self.condition(node), yes, no)

    # -- calls --------------------------------------------------------------------

    def call(self, node: ast.Call) -> tuple[str, str]:
        """The value of a call and its LLVM type."""
        try:
            target = self.routine.resolve(node.func)
        except LookupError as error:
            raise self.fail(node, f"{ast.unparse(node.func)} is not a known function") from error
        if target in (min, max):
            return self.extreme(node, "smin" if target is min else "smax"), "i64"
        if target in (int, bool):
            inner = node.args[0]
            truth = target is bool
            return (self.value(f"zext i1 {self.condition(inner)} to i64") if truth else self.expr(inner)), "i64"
        if not isinstance(target, FunctionType):
            raise self.fail(node, f"{ast.unparse(node.func)} cannot be called here")
        if is_hookspec(target):
            return self.hook(node, target), "i64"
        return self.direct(node, self.known(target), self.arguments(node, target))

    def known(self, function: FunctionType) -> Routine:
        return self.unit.program.routines[function]

    def extreme(self, node: ast.Call, name: str) -> str:
        result = self.expr(node.args[0])
        for item in node.args[1:]:
            result = self.value(f"call i64 @llvm.{name}.i64(i64 {result}, i64 {self.expr(item)})")
        return result

    def arguments(self, node: ast.Call, function: FunctionType) -> dict[str, str]:
        names = Routine(function).parameters
        given = dict(zip(names, (self.expr(a) for a in node.args), strict=False))
        for keyword in node.keywords:
            if keyword.arg not in names:
                raise self.fail(node, f"{function.__name__} has no parameter {keyword.arg}")
            given[keyword.arg] = self.expr(keyword.value)
        defaults = function.__defaults__ or ()
        for name, default in zip(names[len(names) - len(defaults) :], defaults, strict=True):
            given.setdefault(name, str(int(default)))
        missing = [name for name in names if name not in given]
        if missing or len(node.args) > len(names):
            raise self.fail(node, f"{function.__name__}({', '.join(names)}) is called with other arguments")
        return given

    def direct(self, node: ast.Call, routine: Routine, given: dict[str, str]) -> tuple[str, str]:
        values = ", ".join(["ptr %S", *(f"i64 {given[name]}" for name in routine.parameters)])
        kind = _type(routine)
        return self.value(f'call fastcc {kind} @"{routine.symbol}"({values})'), kind

    def hook(self, node: ast.Call, spec: FunctionType) -> str:
        given = self.arguments(node, spec)
        name = spec.__name__
        program = self.unit.program
        outer = self.enter_hook(name)
        if name not in program.defaults:
            result, _ = self.direct(node, self.known(program.winners[name]), given)
        else:
            result = self.select(node, name, given)
        if outer is not None:
            self.write(outer[0], 64, outer[1], outer[2])
        return result

    def select(self, node: ast.Call, name: str, given: dict[str, str]) -> str:
        """Choose at run time between the override and the default, by a bit of the state."""
        program = self.unit.program
        bit = sorted(program.defaults).index(name)
        withheld, tag = self.unit.layout.special(self, "withheld")
        mask = self.value(f"load i64, ptr {withheld}, {tag}, !invariant.load !0")
        chosen = self.value(f"and i64 {mask}, {1 << bit}")
        yes, no, end = self.fresh("without"), self.fresh("with"), self.fresh("hooked")
        result = "%" + self.fresh("L.")
        self.entry.append(f"  {result} = alloca i64")
        self.branch(self.value(f"icmp ne i64 {chosen}, 0"), yes, no)
        for label, function in ((yes, program.defaults[name]), (no, program.winners[name])):
            self.label_only(label)
            value, _ = self.direct(node, self.known(function), given)
            self.put(f"store i64 {value}, ptr {result}")
            self.jump(end)
        self.label_only(end)
        return self.value(f"load i64, ptr {result}")

    def count_call(self, number: int) -> None:
        """One more call of the hook, in its own row of the counters."""
        scope, tag = self.unit.layout.special(self, "scope")
        row = self.load(scope, 64, tag)
        index = self.value(f"add i64 {row}, {number * EVENTS + HOOK_CALL}")
        base = self.base(self.unit.layout.arrays["counters"].root)
        address = self.value(f"getelementptr i64, ptr {base}, i64 {index}")
        calls = self.load(address, 64, self.unit.tag("counters"))
        self.write(address, 64, self.unit.tag("counters"), self.value(f"add i64 {calls}, 1"))

    def enter_hook(self, name: str) -> tuple[str, str, str] | None:
        """Attribute counts to the outermost hook."""
        if not self.unit.options.attribute:
            return None
        address, tag = self.unit.layout.special(self, "hook")
        old = self.load(address, 64, tag)
        number = self.unit.layout.hook_number(name)
        self.count_call(number)
        new = self.value(f"select i1 {self.value(f'icmp eq i64 {old}, 0')}, i64 {number}, i64 {old}")
        self.write(address, 64, tag, new)
        return address, tag, old


def _type(routine: Routine) -> str:
    return "i64" if routine.results == 1 else "{" + ", ".join(["i64"] * routine.results) + "}"


def _as_load(node: ast.expr) -> ast.expr:
    if isinstance(node, ast.Name):
        return ast.copy_location(ast.Name(node.id, ast.Load()), node)
    if isinstance(node, ast.Attribute):
        return ast.copy_location(ast.Attribute(node.value, node.attr, ast.Load()), node)
    return node


def eval_unary(op: ast.unaryop, value: int) -> int:
    """Fold a unary operation on constants."""
    return {ast.USub: -value, ast.Invert: ~value, ast.UAdd: value, ast.Not: int(not value)}[type(op)]


def eval_binary(op: ast.operator, left: int, right: int) -> int | None:
    """Fold a binary operation on constants; None where that is not possible."""
    operations: dict[type, Any] = {
        ast.Add: int.__add__, ast.Sub: int.__sub__, ast.Mult: int.__mul__, ast.BitAnd: int.__and__,
        ast.BitOr: int.__or__, ast.BitXor: int.__xor__, ast.LShift: int.__lshift__,
        ast.RShift: int.__rshift__, ast.FloorDiv: int.__floordiv__, ast.Mod: int.__mod__,
    }  # fmt: skip
    function = operations.get(type(op))
    return None if function is None else int(function(left, right))


__all__ = ["Options", "Table", "lower"]
