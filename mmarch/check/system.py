"""A booted machine that runs whole system calls under the TLB oracle, one operation after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np

from core_mm import syscalls, uapi
from core_mm.vmstat import LOG_OP, LOG_TLBI
from mmarch.check.context import FRAMES, Context
from mmarch.check.outcome import CheckFailed
from mmarch.engine.direct import DirectMachine, Replace
from mmarch.engine.log import Row, taken
from mmarch.engine.lower import Options
from mmarch.engine.machine import Config, Machine
from mmarch.runs.run import error_name
from mmarch.sanitize import Oracle, Where
from mmarch.sanitize.invariants import broken
from mmarch.sanitize.state import Reader

ROWS = 1 << 15
GIVING = (uapi.OP_MMAP, uapi.OP_BRK, uapi.OP_MREMAP)  # calls that return an address
LOG = 1 << 19


class System:
    """Tasks and files of one machine.

    machine   of either engine
    oracle    None where the architecture declares no tlb_model
    operations  every row so far, for the report
    """

    def __init__(
        self,
        config: Config,
        engine: str = "direct",
        files: Sequence[tuple[int, int]] = (),
        instead: dict[Callable[..., Any], Replace] | None = None,
        options: Options = Options(),
        judged: bool = True,
    ) -> None:
        """`files` are (kind, bytes); `judged` by the TLB oracle, which wants calls of hooks told apart."""
        shift = config.arch.granules[config.granule or config.arch.default_granule].page_shift
        pages = [2 * (-(-size >> shift) or 1) for _, size in files]
        operations = np.zeros((ROWS, uapi.COLUMNS), np.int64)
        self._logged = 0
        self.direct = engine == "direct"
        room = {"operations": operations, "files": len(files), "file_pages": sum(pages) + 8}
        roots = [syscalls.boot, syscalls.run_operations]
        self.machine: Machine = (
            DirectMachine(config, instead, **room)  # type: ignore[arg-type]
            if self.direct
            else Machine(config, engine, roots, options=options, **room)  # type: ignore[arg-type]
        )
        inodes, first = self.machine.memory.tables["INODE"], 0
        for row, ((kind, size), space) in enumerate(zip(files, pages, strict=True), 1):
            inodes["size"][row], inodes["kind"][row] = size, kind
            inodes["first"][row], inodes["pages"][row], inodes["nlink"][row] = first, space, 1
            first += space
        self._set("next_inode", len(files) + 1)
        self._set("next_file_page", first)
        self.call("boot")
        self.page = 1 << shift
        self.oracle = Oracle(config) if judged and config.arch.tlb_model else None
        self.operations: list[tuple[int, ...]] = []
        self.do(uapi.OP_SPAWN, 1)

    def _set(self, name: str, value: int) -> None:
        self.machine.memory.set("mach", name, value)
        if isinstance(self.machine, DirectMachine):
            setattr(self.machine.mach, name, value)

    def get(self, name: str) -> int:
        """A scalar of the machine."""
        if isinstance(self.machine, DirectMachine):
            return int(getattr(self.machine.mach, name))
        return self.machine.memory.get("mach", name)

    def set(self, name: str, value: int) -> None:
        """Set a scalar of the machine."""
        self._set(name, value)

    @cached_property
    def reader(self) -> Reader:
        """Of the machine's memory."""
        return Reader(self.machine)

    def call(self, name: str, *arguments: int) -> int:
        """boot or run_operations."""
        if isinstance(self.machine, DirectMachine):
            return int(self.machine.bound(getattr(syscalls, name))(*arguments))
        return self.machine.call(name, *arguments)

    def do(self, op: int, task: int, *arguments: int) -> int:
        """Run one operation; its result. The oracle sees it."""
        row = len(self.operations)
        if row >= ROWS - 1:  # the last one is for interrupt()
            raise CheckFailed(f"a check runs at most {ROWS - 1} operations")
        cells = [op, task, *arguments, *[0] * (uapi.COLUMNS - 2 - len(arguments))]
        self.operations.append(tuple(cells))
        self.machine.memory.arrays["ops"][row * uapi.COLUMNS : (row + 1) * uapi.COLUMNS] = cells
        self.call("run_operations", row, row + 1)
        self.drain()
        result = int(self.machine.memory.arrays["results"][row])
        if wrong := neither(op, result):
            raise CheckFailed(f"{self.steps()[-1]} {wrong}", self.steps())
        return result

    def interrupt(self, *row: int) -> None:
        """Run an operation in the middle of another, by a thread on another CPU; which waits for its own flushes."""
        assert isinstance(self.machine, DirectMachine)
        self.drain(but=LOG_TLBI)
        at = (ROWS - 1) * uapi.COLUMNS
        self.machine.memory.arrays["ops"][at : at + len(row)] = row
        self.machine.bound(syscalls.run_operation)(ROWS - 1)
        self.drain(but=LOG_OP)

    def drain(self, but: int = 0) -> None:
        """Give the log to the oracle, but for one kind of rows."""
        self._logged = self.get("log_len")
        self._set("log_len", 0)
        if self.oracle is not None:
            if self._logged > self.machine.memory.get("cfg", "log_capacity"):
                raise CheckFailed(
                    f"operation {len(self.operations) - 1} causes {self._logged} events; use a smaller one"
                )
            self.oracle.feed(row for row in self.log() if row[0] != but)

    def log(self) -> list[Row]:
        """Rows of the last operation, as far as there was room for them."""
        return taken(self.machine.memory, self._logged)

    def count(self, event: int) -> int:
        """Of an event so far, over all operations and hooks."""
        return int(self.machine.counts()[:, :, event].sum())

    def steps(self, row: int | None = None) -> list[str]:
        """The operations so far, or up to a row, readably; accesses to consecutive pages are one step."""
        done = self.operations if row is None else self.operations[: row + 1]
        return [show(step) for step in joined(done, self.page)]

    def numbered(self, where: Where) -> Where:
        """The same with the number of its step instead of its row."""
        return replace(where, row=len(self.steps(where.row))) if where.row >= 0 else where

    def judge(self, where: str = "") -> None:
        """CheckFailed if the oracle has found something, or the machine has warned."""
        if self.oracle is not None:
            self.oracle.finish()
            if self.oracle.violations:
                found = self.oracle.violations[0]
                steps = self.steps(found.where.row)
                shown = replace(found, where=self.numbered(found.where), cause=self.numbered(found.cause))
                raise CheckFailed(f"{shown}{where}", steps)
        if self.get("warned"):
            code, value = self.get("warn_code"), self.get("warn_value")
            raise CheckFailed(f"WARN {warning(code)} ({value}){where}", self.steps())


def in_order(made: System, where: str) -> None:
    """CheckFailed as `judge` says, or if an invariant of core-mm does not hold."""
    made.judge(where)
    for finding in broken(made.reader.read()):
        raise CheckFailed(f"{finding}{where}", made.steps())


def run_rows(machine: Machine, rows: Sequence[tuple[int, ...]], where: str) -> int:
    """Run each, and say how many; CheckFailed from within says after which."""
    for row in range(len(rows)):
        try:
            machine.call("run_operations", row, row + 1)
        except CheckFailed as failed:
            raise CheckFailed(f"{failed}{where}", [show(one) for one in rows[: row + 1]]) from None
        if wrong := neither(rows[row][0], int(machine.memory.arrays["results"][row])):
            raise CheckFailed(f"{show(rows[row])} {wrong}{where}", [show(one) for one in rows[: row + 1]])
    return len(rows)


def neither(op: int, result: int) -> str:
    """What is wrong with a result that is no error, no address that was asked for and not 0; "" if nothing."""
    return f"returned {result}; right is 0 or an error" if result > 0 and op not in GIVING else ""


def books_in_order(machine: DirectMachine, rows: Sequence[tuple[int, ...]], where: str) -> None:
    """CheckFailed if an invariant of core-mm does not hold after these."""
    for finding in broken(Reader(machine).read()):
        raise CheckFailed(f"{finding}{where}", [show(one) for one in rows])


def warning(code: int) -> str:
    """The name of a WARN()."""
    from core_mm import vmstat

    return next(
        (name for name, value in vars(vmstat).items() if name.startswith("W_") and value == code), str(code)
    )


def outcome(result: int) -> str:
    """What an operation returned: its value, or the name of its error."""
    return str(result) if result >= 0 else error_name(-result)


def joined(rows: Sequence[tuple[int, ...]], page: int) -> list[tuple[int, ...]]:
    """Accesses of one kind to consecutive pages as one operation; the last row stays alone, it may be what failed."""
    steps: list[tuple[int, ...]] = []
    for number, row in enumerate(rows, 1):
        before = steps[-1] if steps else row
        task_and_access = row[1], row[4:]
        if (
            number < len(rows)
            and before[0] == row[0] == uapi.OP_TOUCH
            and (before[1], before[4:]) == task_and_access
            and before[2] + before[3] * page == row[2]
        ):
            steps[-1] = (*before[:3], before[3] + row[3], *before[4:])
        else:
            steps.append(row)
    return steps


def show(row: Sequence[int]) -> str:
    """An operation as a line, without the zeros at its end."""
    used = max((at + 1 for at, value in enumerate(row) if value), default=0)
    arguments = "".join(f" {value:#x}" if abs(value) > 9 else f" {value}" for value in row[2:used])
    return f"task {row[1]} {uapi.OP_NAMES.get(row[0], row[0])}{arguments}"


def system_config(context: Context, **changes: object) -> Config:
    """With folios of the block's size, and smaller ones, for all memory."""
    geometry = context.geometry
    block = max(2, geometry.cont_ptes.bit_length() - 1) if geometry.cont_ptes > 1 else 4
    orders = 1 << block | 1 << 2
    overrides = {"log_ptes": 1, "anon_always": orders}
    values: dict[str, object] = {
        "log_rows": LOG,
        "anon_orders": orders,
        "overrides": overrides,
        "memory": 2 * FRAMES << geometry.page_shift,
    }
    return context.config(**{**values, **changes})


def system(context: Context, **kwargs: Any) -> System:
    """A machine for `context`."""
    changes = kwargs.pop("changes", {})
    return System(system_config(context, **changes), **kwargs)
