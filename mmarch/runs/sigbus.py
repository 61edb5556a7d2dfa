"""Which page of an access lies behind the end of its file, and which operation put the end there."""

from __future__ import annotations

from core_mm import uapi
from mmarch.runs.segfault import describe, made
from mmarch.sizes import show_size
from mmarch.workload import Workload

_MAPS = (uapi.OP_MMAP, uapi.OP_MUNMAP, uapi.OP_MREMAP)


def explain(workload: Workload, row: int, page_size: int) -> str:
    """Page, region, file and cause of an access that ends in SIGBUS; empty if every page lies in its file."""
    for piece, _, cause in made(workload, row, page_size, by=_MAPS):
        _, _, addr, _, _, _, file, offset = workload.ops[cause].tolist() if cause >= 0 else [-1] * 8
        if file < 0:
            continue
        size, by = size_before(workload, row, file)
        end = addr - offset + -(-size // page_size) * page_size
        if end < piece.end:
            bad = max(piece.start, end) + piece.shift
            name = workload.files[file].name or f"file {file}"
            why = f", by line {workload.line(by)}" if by >= 0 else ""
            return f"{describe(workload, row, bad, page_size)}: behind the end of {name}, at {show_size(size)}{why}"
    return ""


def size_before(workload: Workload, row: int, file: int) -> tuple[int, int]:
    """Bytes in a file before operation `row`, and the row that made it as long; -1 if it was from the beginning.

    For operations as scenarios make them: all succeeded.
    """
    size, by = workload.files[file].size, -1
    for number, (op, _, target, a, b, c, _, _) in enumerate(workload.ops[:row].tolist()):
        if target != file:
            continue
        grown = size
        if op == uapi.OP_FTRUNCATE:
            grown = a
        elif op == uapi.OP_PWRITE:
            grown = max(size, a + b)
        elif op == uapi.OP_FALLOCATE and not a & uapi.FALLOC_FL_KEEP_SIZE:
            grown = max(size, b + c)
        if grown != size:
            size, by = grown, number
    return size, by
