"""Tier stateful: the tree of calls that a run keeps for stacks and hot spots."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from random import Random
from types import FunctionType
from typing import cast

from core_mm import calls
from core_mm.vmstat import EVENTS, HOOKS
from mmarch.check.context import Context
from mmarch.check.outcome import CheckFailed
from mmarch.check.registry import check
from mmarch.engine.lower import Options
from mmarch.engine.machine import Machine
from mmarch.runs.entries import SMALL

OPERATIONS = (1, 3)
FUNCTIONS = (5, 9, 5 + calls.RECENT_MASK + 1)  # two of them share the place where the last path is remembered
STEPS, ROOM = 400, 20
Path = tuple[int, ...]  # an operation, and functions, the outermost first


class Model:
    """Which row of `counters` each path has; rows are handed out in order."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.rows: dict[Path, int] = {(op,): op * HOOKS for op in OPERATIONS}

    def begin(self, op: int) -> None:
        """An operation runs, and no function of it yet."""
        self.machine.memory.set("mach", "scope", op * HOOKS * EVENTS)
        self.machine.memory.set("mach", "hook", 0)

    def enter(self, path: Path, room: int) -> tuple[Path, str]:
        """The last function of a path is called: what is counted for from now on, and what is wrong."""
        memory, above = self.machine.memory, path[:-1]
        before = memory.get("mach", "hook")
        if self.machine.call("enter", path[-1]) != before:
            return path, f"does not return {before}, what mach.hook was"
        row = memory.get("mach", "hook") + path[0] * HOOKS
        new = path not in self.rows
        if new and len(self.rows) - len(OPERATIONS) == room:
            known = row == self.rows[above]
            return above, "" if known else f"is counted in row {row}, and there is no room for more"
        expected = self.rows.setdefault(path, calls.ROOTS + len(self.rows) - len(OPERATIONS))
        table = memory.tables["CALL"]
        if row != expected:
            return path, f"is counted in row {row}, not {expected}"
        if new and (table["function"][row] != path[-1] or table["parent"][row] != self.rows[above]):
            return (
                path,
                f"has row {row} of function {table['function'][row]}, called from row {table['parent'][row]}",
            )
        return path, ""


@check("stateful.paths", source="core_mm/calls.py", turns=True)
def paths(context: Context) -> str:
    """Each path of calls is counted in a row of its own, the same whenever it is taken; without room, by its caller."""
    config = replace(context.config(), memory=SMALL, log_rows=0)
    for room, seed in product((0, ROOM), (1, 2)):
        machine = Machine(
            config, "interpreted", [cast(FunctionType, calls.enter)], options=Options(calls=True)
        )
        most = room or machine.memory.get("cfg", "nr_calls") - calls.ROOTS
        machine.memory.set("cfg", "nr_calls", calls.ROOTS + most)
        walk(Model(machine), most, Random(seed))
    return f"{STEPS} calls"


def walk(model: Model, room: int, rng: Random) -> None:
    """Functions call each other at random."""
    memory = model.machine.memory
    stack: list[tuple[Path, int]] = []  # of functions under way, and mach.hook before each
    path: Path = ()
    for _ in range(STEPS):
        if not stack:
            path = (rng.choice(OPERATIONS),)
            model.begin(path[0])
        if stack and (len(stack) == 4 or rng.random() < 0.4):
            path, hook = stack.pop()
            memory.set("mach", "hook", hook)
            continue
        called = (*path, rng.choice(FUNCTIONS))
        stack.append((path, memory.get("mach", "hook")))
        path, wrong = model.enter(called, room)
        if wrong:
            raise CheckFailed(f"function {called[-1]}, called on path {called[:-1]}, {wrong}")
