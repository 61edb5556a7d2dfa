"""What is mapped where, and how: mappings of the machine against those of the model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from core_mm.mm_types import VM_GROWSDOWN, VM_LOCKED, VM_SHARED
from mmarch.sanitize.follow import ACCESS, marked
from mmarch.sanitize.invariants import Finding
from mmarch.sanitize.invariants.spaces import vmas_of
from mmarch.sanitize.model import Area
from mmarch.sanitize.state import State

UNNAMED = -1  # of shared memory without a file of the workload


class Piece(NamedTuple):
    """Pages [start, end) that are mapped alike, by one or several mappings.

    file   of the workload, UNNAMED, or None
    shift  file page less page
    """

    start: int
    end: int
    prot: int
    shared: bool
    stack: bool
    locked: bool
    forked: bool
    wiped: bool
    reading: int
    huge: int
    file: int | None
    shift: int

    def __str__(self) -> str:
        parts = "".join(letter if self.prot & bit else "-" for letter, bit in (("r", 1), ("w", 2), ("x", 4)))
        names = [name for name in ("shared", "stack", "locked", "wiped") if getattr(self, name)]
        names += [] if self.forked else ["not forked"]
        names += [f"advice {advice}" for advice in (self.reading, self.huge) if advice]
        names += [] if self.file is None else [f"file {self.file} from page {self.start + self.shift}"]
        return f"[{self.start:#x}, {self.end:#x}) {', '.join([parts, *names])}"


def differences(state: State, mm: int, task: int, areas: Iterable[Area], files: int) -> Iterator[Finding]:
    """Where task `task`, whose address space is `mm`, has something else mapped than `areas`; `files` are known."""
    is_so, must = joined(mapped(state, mm, files)), joined(map(modelled, areas))
    for ours, model in zip(is_so, must, strict=False):
        if ours != model:
            yield Finding("layout", f"task {task} must have mapped {model}, and has {ours}")
            return
    for what, rest in (("has mapped", is_so[len(must) :]), ("has not mapped", must[len(is_so) :])):
        for piece in rest[:1]:
            yield Finding("layout", f"task {task} {what} {piece}")


def mapped(state: State, mm: int, files: int) -> Iterator[Piece]:
    """The machine's, in order."""
    vmas, page = state.reader.memory.tables["VMA"], state.constant("page_size")
    own = vmas_of(state).get(mm, [])
    numbers = [vma for vma, _, _ in own]
    columns = (vmas[name][numbers].tolist() for name in ("vm_flags", "vm_file", "vm_pgoff"))
    for (_, first, after), flags, inode, offset in zip(own, *columns, strict=True):
        file = None if not inode else inode - 1 if inode <= files else UNNAMED
        start, end = first // page, after // page
        shift = offset - start if inode else 0
        shared, stack, locked = (bool(flags & bit) for bit in (VM_SHARED, VM_GROWSDOWN, VM_LOCKED))
        yield Piece(
            start=start, end=end, prot=flags & ACCESS, shared=shared, stack=stack, locked=locked, **marked(flags),
            file=file, shift=shift,
        )  # fmt: skip


def modelled(area: Area) -> Piece:
    """The same of the model."""
    file = None if area.file is None else max(area.file.number, UNNAMED)
    return Piece(
        area.start, area.end, area.prot, area.shared, area.stack, area.locked, area.forked, area.wiped, area.reading,
        area.huge, file, area.index - area.start if area.file is not None else 0,
    )  # fmt: skip


def joined(pieces: Iterable[Piece]) -> list[Piece]:
    """Neighbours that are mapped alike as one."""
    found: list[Piece] = []
    for piece in pieces:
        if found and found[-1].end == piece.start and found[-1][2:] == piece[2:]:
            piece = piece._replace(start=found.pop().start)
        found.append(piece)
    return found
