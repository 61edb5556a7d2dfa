"""What the log tells of tasks, mappings, folios and faults, against what the machine has at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from core_mm import vmstat
from core_mm.mm_types import PG_LARGE, PG_ORDER_SHIFT, VM_LOCKED
from core_mm.uapi import COLUMNS, OP_FORK, OP_TOUCH
from mmarch.check.instructions import Instructions
from mmarch.engine.log import Row, taken
from mmarch.engine.machine import Machine
from mmarch.sanitize.invariants.spaces import vmas_of
from mmarch.sanitize.state import Reader, State

MM, FILE = 24, 44  # shifts of the first column of a mapping
MASK = 1 << 24
SHOWN = 3
# how many of a, b, c and the ASID rows of a kind use (core_mm/vmstat.py); the others are 0
OPERANDS = {
    vmstat.LOG_PTE: 3, vmstat.LOG_FREE: 2, vmstat.LOG_OP: 3, vmstat.LOG_TABLE: 3, vmstat.LOG_ASID: 2,
    vmstat.LOG_EXIT: 1, vmstat.LOG_HW: 3, vmstat.LOG_TASK: 2, vmstat.LOG_FAULT: 3, vmstat.LOG_CONVERT: 3,
    vmstat.LOG_CONTENT: 3,
}  # fmt: skip

INSTRUCTIONS = vmstat.LOG_TLBI, vmstat.LOG_DSB, vmstat.LOG_ISB
SOME_ASID = 1
LIVES = vmstat.LOG_OP, vmstat.LOG_TASK, vmstat.LOG_ASID, vmstat.LOG_EXIT


@dataclass
class Told:
    """All that is known after the rows so far.

    mappings  VMA -> address space, file, start, end, flags
    folios    first frame -> pages, inode
    tables    slot -> level, address space
    given     frame of the table that has just been given back; -1: none
    """

    ops: np.ndarray
    page: int
    tasks: dict[int, int] = field(default_factory=dict)
    mappings: dict[int, tuple[int, int, int, int, int]] = field(default_factory=dict)
    folios: dict[int, tuple[int, int]] = field(default_factory=dict)
    tables: dict[int, tuple[int, int]] = field(default_factory=dict)
    given: int = -1
    wrong: list[str] = field(default_factory=list)
    row: int = -1

    def take(self, rows: list[Row]) -> None:
        """The next rows."""
        known: dict[int, Callable[[int, int, int, int], None]] = {
            vmstat.LOG_OP: self._op, vmstat.LOG_TASK: self._task, vmstat.LOG_VMA: self._vma,
            vmstat.LOG_FOLIO: self._folio, vmstat.LOG_FREE: self._free, vmstat.LOG_FAULT: self._fault,
            vmstat.LOG_EXIT: self._exit, vmstat.LOG_TABLE: self._table,
        }  # fmt: skip
        for kind, *operands in rows:
            if kind in known:
                known[kind](*operands[:4])

    def _op(self, row: int, op: int, task: int, _: int) -> None:
        cells = self.ops[row * COLUMNS : row * COLUMNS + 2].tolist()
        if row != self.row + 1 or [op, task] != cells:
            self.wrong.append(f"operation {row} of task {task} is logged as {op}, and is {cells}")
        self.row = row

    def _task(self, task: int, mm: int, *_: int) -> None:
        self.tasks[task] = mm

    def _table(self, slot: int, level: int, what: int, _: int) -> None:
        if level >= 0:
            self.tables[slot] = level, what
            return
        if self.tables.pop(slot, None) is None:
            self.wrong.append(f"table {slot} is logged as given back, and there was none")
        self.given = what

    def _vma(self, packed: int, start: int, end: int, flags: int) -> None:
        vma, mm, file = packed % MASK, packed >> MM & (1 << FILE - MM) - 1, packed >> FILE
        self.mappings.pop(vma, None)
        if end:
            self.mappings[vma] = mm, file, start, end, flags & ~VM_LOCKED

    def _exit(self, mm: int, *_: int) -> None:
        self.mappings = {vma: known for vma, known in self.mappings.items() if known[0] != mm}

    def _folio(self, frame: int, pages: int, order: int, inode: int) -> None:
        if pages != 1 << order:
            self.wrong.append(f"frame {frame:#x} is logged as {pages} pages of order {order}")
        self.folios[frame] = pages, inode

    def _free(self, frame: int, pages: int, *_: int) -> None:
        if self.given not in (-1, frame):
            self.wrong.append(f"a table is logged in frame {self.given:#x}, and given back is {frame:#x}")
        self.given = -1
        for one in range(frame, frame + pages):
            self.folios.pop(one, None)

    def _fault(self, address: int, access: int, mm: int, _: int) -> None:
        op, task, start, pages, wanted = self.ops[self.row * COLUMNS :][:5].tolist()
        inside = start <= address < start + max(pages, 1) * self.page
        if op != OP_TOUCH or not inside or access != wanted or mm != self.tasks.get(task):
            self.wrong.append(
                f"a fault of mm {mm} at {address:#x}, access {access}, is logged in operation {self.row}"
            )


@dataclass
class Newborn:
    """Address spaces that have not run, which have ASID 0; that of a child is changed before the child is told of."""

    forking: bool = False
    waiting: set[int] = field(default_factory=set)
    ran: set[int] = field(default_factory=set)

    def take(self, row: list[int]) -> None:
        """The next row of those that say whose life begins and ends."""
        kind, first, second = row[:3]
        if kind == vmstat.LOG_OP:
            self.forking = second == OP_FORK
        elif kind == vmstat.LOG_TASK:
            self.waiting |= {second} - self.ran - {0}
        else:
            self.waiting.discard(first)
            (self.ran.add if kind == vmstat.LOG_ASID else self.ran.discard)(first)

    @property
    def any(self) -> bool:
        """Whether there is one."""
        return self.forking or bool(self.waiting)


def differences(machine: Machine) -> Iterator[str]:
    """What the log says otherwise than memory, after the program that it is of; the log held all."""
    reader = Reader(machine)
    told = Told(machine.memory.arrays["ops"], reader.constant("page_size"))
    told.take(taken(machine.memory))
    yield from told.wrong[:SHOWN]
    yield from _operands(machine)
    state = reader.read()
    mms = machine.memory.tables["TASK"]["mm"]
    for task, mm in told.tasks.items():
        if int(mms[task + 1]) != mm:
            yield f"task {task} is logged in mm {mm}, and is in {mms[task + 1]}"
    yield from _tables(machine, told)
    yield from _mappings(state, told)
    yield from _folios(state, told)


def _tables(machine: Machine, told: Told) -> Iterator[str]:
    """Those that are left, with their levels and address spaces."""
    table, number = machine.memory.tables["PTDESC"], machine.memory.get("mach", "tables")
    if len(told.tables) != number:
        yield f"{len(told.tables)} tables are logged, and there are {number}"
    for slot, logged in told.tables.items():
        if logged != (there := (int(table["level"][slot]), int(table["mm"][slot]))):
            yield f"table {slot} is logged with level and mm {logged}, and has {there}"


def _operands(machine: Machine) -> Iterator[str]:
    """Of instructions, which have to be possible, and those that a kind of row has no use for."""
    log, length = machine.memory.tables["LOG"], machine.memory.get("mach", "log_len")
    kind, *operands = (log[name][:length] for name in ("kind", "a", "b", "c", "asid"))
    for which, used in OPERANDS.items():
        for operand in operands[used:]:
            if (odd := np.flatnonzero((kind == which) & (operand != 0))).size:
                yield f"row {odd[0]} of the log, of kind {which}, has an operand {operand[odd[0]]} too many"
    instructions = Instructions.of(machine.config.arch, machine.memory.get("cfg", "page_shift"))
    newborn = Newborn()
    for row in np.flatnonzero(np.isin(kind, (*INSTRUCTIONS, *LIVES))).tolist():
        values = [int(kind[row]), *(int(operand[row]) for operand in operands)]
        if values[0] in LIVES:
            newborn.take(values)
            continue
        flaw = instructions.flaw(values) if instructions else ""
        if instructions and flaw and newborn.any and values[4] == 0:
            flaw = instructions.flaw([*values[:4], SOME_ASID])
        if flaw:
            yield flaw


def _mappings(state: State, told: Told) -> Iterator[str]:
    table = state.reader.memory.tables["VMA"]
    there = {
        vma: (mm, int(table["vm_file"][vma]), start, end, int(table["vm_flags"][vma]) & ~VM_LOCKED)
        for mm, areas in vmas_of(state).items()
        for vma, start, end in areas
    }
    for vma in sorted({*there, *told.mappings}):
        if there.get(vma) != told.mappings.get(vma):
            yield f"mapping {vma} is logged as {told.mappings.get(vma)}, and is {there.get(vma)}"


def _folios(state: State, told: Told) -> Iterator[str]:
    large = set(state.used[state.flags[state.used] & PG_LARGE != 0].tolist())
    for folio in large:
        pages, logged = 1 << (int(state.flags[folio]) >> PG_ORDER_SHIFT), told.folios.get(folio, (0, 0))[0]
        if logged != pages:
            yield f"folio {folio:#x} is logged with {logged} pages, and has {pages}"
    for folio, (pages, _) in told.folios.items():
        if pages > 1 and folio not in large:
            yield f"folio {folio:#x} is logged with {pages} pages, and is none"
    inodes, _, frames = state.cached
    for inode, frame in zip(inodes.tolist(), frames.tolist(), strict=True):
        folio = int(state.head[frame]) if frame > 0 else 0
        if folio and told.folios.get(folio, (0, 0))[1] != inode:
            yield f"folio {folio:#x} of inode {inode} is logged as {told.folios.get(folio)}"
