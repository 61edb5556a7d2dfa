"""Which page of an access no VMA permits, and which earlier operation made it so."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from core_mm import uapi
from mmarch.workload import Workload

_GONE, _MOVED = -1, -2  # where a protection stands otherwise
_NEEDS = {uapi.ACCESS_WRITE: uapi.PROT_WRITE, uapi.ACCESS_EXEC: uapi.PROT_EXEC}
_ANY = uapi.PROT_READ | uapi.PROT_WRITE | uapi.PROT_EXEC
MAKES = (uapi.OP_MMAP, uapi.OP_MPROTECT, uapi.OP_MUNMAP, uapi.OP_MREMAP)
_VERBS = {uapi.ACCESS_READ: "read of", uapi.ACCESS_WRITE: "write to", uapi.ACCESS_EXEC: "execution of"}


class Denied(NamedTuple):
    """The first byte that faults, the row that is to blame (-1: never mapped), the protection there (-1: unmapped)."""

    address: int
    row: int
    prot: int


class Piece(NamedTuple):
    """Addresses as they were before effect number `before`; the access was `shift` bytes further up."""

    start: int
    end: int
    shift: int
    before: int


def denied(workload: Workload, row: int, page_size: int) -> Denied | None:
    """The first page of an OP_TOUCH row that the operations before it do not let through; None: each is permitted.

    For operations as scenarios make them: all succeeded, and moves keep their length.
    """
    access = int(workload.ops[row, 4])
    for piece, prot, cause in made(workload, row, page_size):
        if not _permits(prot, access):
            return Denied(piece.start + piece.shift, cause, prot)
    return None


def made(
    workload: Workload, row: int, page_size: int, by: tuple[int, ...] = MAKES
) -> Iterator[tuple[Piece, int, int]]:
    """The accessed range of an OP_TOUCH row in ascending pieces, each with its protection and the row that made it so.

    by  operations that count, by default all that change a mapping
    """
    _, task, addr, pages = workload.ops[row][:4].tolist()
    rows = _lineage(workload.ops, row, task)
    effects = _effects(workload.ops, rows[np.isin(workload.ops[rows, 0], by)])
    pieces = [Piece(addr, addr + pages * page_size, 0, len(effects))]
    while pieces:
        piece = pieces.pop()
        hits = (effects[: piece.before, 0] < piece.end) & (effects[: piece.before, 1] > piece.start)
        if not hits.any():
            yield piece, _GONE, -1
            continue
        number = int(np.flatnonzero(hits)[-1])
        start, end, prot, source, cause = effects[number].tolist()
        if piece.start < start or end < piece.end:
            pieces += _split(piece, start, end)
        elif prot == _MOVED:
            back = start - source
            pieces.append(Piece(piece.start - back, piece.end - back, piece.shift + back, number))
        else:
            yield piece, prot, cause


def _split(piece: Piece, start: int, end: int) -> list[Piece]:
    """The parts after, in and before [start, end), so that the lowest is taken next."""
    parts = (
        (max(piece.start, end), piece.end),
        (max(piece.start, start), min(piece.end, end)),
        (piece.start, start),
    )
    return [piece._replace(start=low, end=high) for low, high in parts if low < high]


def _permits(prot: int, access: int) -> bool:
    return prot >= 0 and bool(prot & _NEEDS.get(access, _ANY))


def _lineage(ops: NDArray[np.int64], row: int, task: int) -> NDArray[np.intp]:
    """Rows before `row` that made the address space of `task`: its own, and its parent's before the fork."""
    parts = []
    while True:
        before = ops[:row]
        births = np.flatnonzero((before[:, 0] == uapi.OP_FORK) & (before[:, 2] == task))
        row = int(births[-1]) if len(births) else 0
        parts.append(row + np.flatnonzero(before[row:, 1] == task))
        if not len(births):
            return np.concatenate(parts[::-1])
        task = int(ops[row, 1])


def _effects(ops: NDArray[np.int64], rows: NDArray[np.intp]) -> NDArray[np.int64]:
    """What the rows did to ranges, in order: start, end, protection or what else, where it came from, row."""
    found = []
    for row in rows.tolist():
        op, _, addr, size, c, d, e, _ = ops[row].tolist()
        if op in (uapi.OP_MMAP, uapi.OP_MPROTECT):
            found.append((addr, addr + size, c, 0, row))
        elif op == uapi.OP_MUNMAP:
            found.append((addr, addr + size, _GONE, 0, row))
        elif op == uapi.OP_MREMAP:
            found.append((e, e + c, _MOVED, addr, row))  # first, so that what is before it is before both
            if not d & uapi.MREMAP_DONTUNMAP:
                found.append((addr, addr + size, _GONE, 0, row))
    return np.array(found, dtype=np.int64).reshape(-1, 5)


def explain(workload: Workload, row: int, page_size: int) -> str:
    """Page, region and cause of an access that ends in SIGSEGV; empty if nothing before it says why."""
    found = denied(workload, row, page_size)
    if found is None:
        return ""
    return f"{describe(workload, row, found.address, page_size)}: {_cause(workload, found)}"


def describe(workload: Workload, row: int, address: int, page_size: int) -> str:
    """`write to page N of REGION by task T at ADDRESS`."""
    task, access = int(workload.ops[row, 1]), int(workload.ops[row, 4])
    return f"{_VERBS[access]} {_page(workload, row, address, page_size)} by task {task} at {address:#x}"


def _page(workload: Workload, row: int, address: int, page_size: int) -> str:
    """`page N of REGION`; the region is the task's own, or one that it was born with."""
    _, own, start, pages, *_ = workload.ops[row].tolist()
    end = start + pages * page_size
    tasks = [own, *workload.ops[_lineage(workload.ops, row, own), 1].tolist()[::-1]]
    for task in dict.fromkeys(tasks):
        around = [
            r for r in workload.regions if r.task == task and r.addr <= start and end <= r.addr + r.length
        ]
        if around:
            return f"page {(address - around[-1].addr) // page_size} of {around[-1].name}"
    return "a page outside all regions"


def _cause(workload: Workload, found: Denied) -> str:
    if found.row < 0:
        return "never mapped"
    line = workload.line(found.row)
    if found.prot == _GONE:
        moved = int(workload.ops[found.row, 0]) == uapi.OP_MREMAP
        return f"{'moved away' if moved else 'unmapped'} by line {line}"
    if found.prot & _ANY == uapi.PROT_NONE:
        reserved = int(workload.ops[found.row, 0]) == uapi.OP_MMAP
        return f"reserved by line {line}, not mapped" if reserved else f"without access since line {line}"
    return f"{_name(found.prot)} since line {line}"


def _name(prot: int) -> str:
    """What a page that refuses an access is: it lacks one of write and exec."""
    if not prot & uapi.PROT_WRITE:
        return "read-only" if prot == uapi.PROT_READ else "not writable"
    return "not executable"
