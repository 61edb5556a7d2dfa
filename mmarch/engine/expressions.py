"""Lowering expressions: every value is a signed 64-bit integer."""

from __future__ import annotations

import ast
from types import FunctionType

from core_mm.decl import Array, Column, Scalars
from core_mm.vmstat import EVENTS, HOOK_CALL
from mmarch.engine.emit import Emitter
from mmarch.engine.fold import eval_binary, eval_unary
from mmarch.engine.program import Routine, is_hookspec
from mmarch.engine.unit import kind_of

_BINARY = {
    ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.BitAnd: "and", ast.BitOr: "or",
    ast.BitXor: "xor", ast.LShift: "shl", ast.RShift: "ashr",
}  # fmt: skip
_COMPARE = {
    ast.Eq: "eq", ast.NotEq: "ne", ast.Lt: "slt", ast.LtE: "sle", ast.Gt: "sgt", ast.GtE: "sge",
    ast.Is: "eq", ast.IsNot: "ne",
}  # fmt: skip


class Expressions(Emitter):
    """Integer expressions, accesses to declared memory, calls."""

    # -- memory -------------------------------------------------------------------

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
            root, stride, start = layout.tables[declared.owner].column(declared.name)
            index = self.guard(index, root, node)
            offset = self.value(f"mul nsw i64 {index}, {stride}")
            if start:
                offset = self.value(f"add nsw i64 {offset}, {start}")
            address = self.value(f"getelementptr i8, ptr {self.base(root)}, i64 {offset}")
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
            f"getelementptr i64, ptr %S, i64 {place.first + owner.names.index(node.attr)}"
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
        if self.unit.options.attribute or self.unit.options.calls or node.attr != "hook":
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
            return self.value(f"add i64 {rest}, {self.value(f'select i1 {adjust}, i64 {right}, i64 0')}")
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
            return (
                self.value(f"zext i1 {self.condition(inner)} to i64") if truth else self.expr(inner)
            ), "i64"
        if not isinstance(target, FunctionType):
            raise self.fail(node, f"{ast.unparse(node.func)} cannot be called here")
        if is_hookspec(target):
            return self.hook(node, target), "i64"
        meant = self.unit.program.meant(target)
        return self.direct(node, self.known(meant), self.arguments(node, meant))

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

    def direct(
        self, node: ast.Call, routine: Routine, given: dict[str, str], marks: str = ""
    ) -> tuple[str, str]:
        values = ", ".join(["ptr %S", *(f"i64 {given[name]}" for name in routine.parameters)])
        kind = kind_of(routine)
        return self.value(f'call fastcc {kind} @"{routine.symbol}"({values}){marks}'), kind

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
        withheld, tag = self.special("withheld")
        mask = self.value(f"load i64, ptr {withheld}, {tag}, !invariant.load !0")
        chosen = self.value(f"and i64 {mask}, {1 << bit}")
        yes, no, end = self.fresh("without"), self.fresh("with"), self.fresh("hooked")
        result = "%" + self.fresh("L.")
        self.entry.append(f"  {result} = alloca i64")
        self.branch(self.value(f"icmp ne i64 {chosen}, 0"), yes, no)
        for label, function, marks in (
            (yes, program.defaults[name], " noinline cold"),
            (no, program.winners[name], ""),
        ):
            self.label_only(label)
            value, _ = self.direct(node, self.known(function), given, marks)
            self.put(f"store i64 {value}, ptr {result}")
            self.jump(end)
        self.label_only(end)
        return self.value(f"load i64, ptr {result}")

    def count_call(self, number: int) -> None:
        """One more call of the hook, in its own row of the counters."""
        scope, tag = self.special("scope")
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
        address, tag = self.special("hook")
        old = self.load(address, 64, tag)
        number = self.unit.layout.hook_number(name)
        self.count_call(number)
        new = self.value(f"select i1 {self.value(f'icmp eq i64 {old}, 0')}, i64 {number}, i64 {old}")
        self.write(address, 64, tag, new)
        return address, tag, old
