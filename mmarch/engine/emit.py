"""The plumbing of lowering a function: values, labels, slots, loads and stores as text."""

from __future__ import annotations

import ast

from mmarch.engine.program import NotLinkable, Routine
from mmarch.engine.unit import Unit


class Emitter:
    """The text of one function, as it grows."""

    def __init__(self, unit: Unit, routine: Routine) -> None:
        self.unit, self.routine = unit, routine
        self.body: list[str] = []
        self.entry: list[str] = []
        self.slots: dict[str, str] = {}
        self.loops: list[tuple[str, str]] = []
        self.counter = 0
        self.done = False  # the current block has its terminator

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

    def label_only(self, name: str) -> None:
        self.body.append(f"{name}:")
        self.done = False

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

    def special(self, name: str) -> tuple[str, str]:
        """Address and alias tag of a scalar that the linker itself uses."""
        group = "cfg" if name == "withheld" else "mach"
        place = self.unit.layout.scalars[group]
        address = self.value(f"getelementptr i64, ptr %S, i64 {place.first + place.names.index(name)}")
        return address, self.unit.tag(f"{group}.{name}")
