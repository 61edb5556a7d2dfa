"""A recording on larger pages: what its program would have asked for, where the machine maps 16K or 64K at once.

A large page is mapped as long as any of the recorded pages in it is, and permits what any of them permits.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial

import numpy as np

from core_mm import uapi
from mmarch.errors import InputError
from mmarch.sizes import show_size
from mmarch.trace.layout import Layout, Piece
from mmarch.workload import Workload

RECORDED = 4096  # page size of a recording that does not say
RW = uapi.PROT_READ | uapi.PROT_WRITE
HEAP = uapi.MAP_PRIVATE | uapi.MAP_ANONYMOUS
GROW = {uapi.MADV_WILLNEED, uapi.MADV_POPULATE_READ, uapi.MADV_POPULATE_WRITE}  # they take nothing away

Row = tuple[int, ...]
Span = tuple[int, int]


class _Space:
    """An address space: its layout and its program break, as recorded."""

    def __init__(self, layout: Layout, brk: int = 0, delta: int = 0) -> None:
        self.layout, self.brk, self.delta = layout, brk, delta

    def fork(self) -> _Space:
        return _Space(self.layout.copy(), self.brk, self.delta)


def at_page_size(workload: Workload, page_size: int) -> Workload:
    """The same workload on pages of `page_size` bytes; itself where these are the recorded ones.

    Mappings never share a page: each moves as a whole to pages of its own, beside its neighbours
    where there is room, the heap and parts of files too (a file's pages stay at their offsets). What
    takes away (munmap, MADV_DONTNEED and FREE, mprotect to less) shrinks inward to the pages of which
    it covers all that is mapped; accesses and what gives grow outward. Rows keep their order; one may
    become several where the mappings it covers moved apart. What is left with nothing to do vanishes
    and is counted in `ignored`, as are accesses to addresses where nothing is mapped.

    On smaller pages only accesses change, see `on_smaller`.

    InputError if the address space is too small for it.
    """
    recorded = workload.page_size or RECORDED
    if page_size <= recorded:
        return on_smaller(workload, recorded // page_size) if page_size < recorded else workload
    moved = _Mover(recorded, page_size)
    ops: list[Row] = []
    lines: list[int] = []
    for row, line in zip(workload.ops.tolist(), workload.lines.tolist(), strict=True):
        try:
            rows = moved.row(*row)
        except ValueError as error:
            raise InputError(
                f"{workload.source}:{line}: with pages of {show_size(page_size)}: {error}"
            ) from None
        ops += rows
        lines += [line] * len(rows)
    ignored = Counter(workload.ignored) + moved.vanished
    return replace(
        workload,
        ops=np.array([(*row, *(0,) * (uapi.COLUMNS - len(row))) for row in ops], np.int64).reshape(
            -1, uapi.COLUMNS
        ),
        lines=np.array(lines, np.int32),
        ignored=dict(sorted(ignored.items())),
        page_size=page_size,
        times=np.empty(0),
    )


def on_smaller(workload: Workload, ratio: int) -> Workload:
    """The same workload on pages of which `ratio` make up a recorded one.

    An access tells of a large page, not of which part: it is taken for one to its beginning, and so
    is the last page of several, for what follows may lie behind the end of a file.
    """
    ops = workload.ops.copy()
    touches = ops[:, 0] == uapi.OP_TOUCH
    ops[touches, 3] = (ops[touches, 3] - 1) * ratio + 1
    return replace(workload, ops=ops, page_size=(workload.page_size or RECORDED) // ratio)


def joined(spans: Iterable[Span]) -> list[Span]:
    """Spans in their order, those that continue each other as one, empty ones left out."""
    found: list[Span] = []
    for low, high in spans:
        if found and found[-1][1] == low < high:
            found[-1] = found[-1][0], high
        elif low < high:
            found.append((low, high))
    return found


def continued(pieces: list[Piece]) -> list[Piece]:
    """Pieces that continue each other in all respects as one."""
    found: list[Piece] = []
    for piece in pieces:
        if (
            found
            and found[-1]._replace(end=piece.end, start=piece.start) == piece
            and found[-1].end == piece.start
        ):
            found[-1] = found[-1]._replace(end=piece.end)
        else:
            found.append(piece)
    return found


class _Mover:
    """One pass over the rows, with the address space of each task."""

    def __init__(self, recorded: int, page: int) -> None:
        self.recorded, self.page = recorded, page
        self.size = f"whole page of {show_size(page)}"
        self.spaces: dict[int, _Space] = {}
        self.vanished: Counter[str] = Counter()
        self.handlers: dict[int, Callable[..., list[Row]]] = {
            uapi.OP_TOUCH: self.touch, uapi.OP_MMAP: self.mmap, uapi.OP_MUNMAP: self.munmap,
            uapi.OP_MPROTECT: self.mprotect, uapi.OP_MADVISE: self.madvise, uapi.OP_MREMAP: self.mremap,
            uapi.OP_MSYNC: self.msync, uapi.OP_BRK: self.brk, uapi.OP_EXEC: self.exec, uapi.OP_SPAWN: self.spawn,
            uapi.OP_FORK: self.fork, uapi.OP_VFORK: partial(self.share, uapi.OP_VFORK),
            uapi.OP_CLONE_VM: partial(self.share, uapi.OP_CLONE_VM),
        }  # fmt: skip

    def row(self, op: int, task: int, *cells: int) -> list[Row]:
        """What becomes of a row; ValueError if there is no room."""
        handler = self.handlers.get(op)
        if handler is None:
            return [(op, task, *cells)]
        rows = handler(task, *cells)
        if not rows:
            touch = op == uapi.OP_TOUCH
            self.vanished[
                "fault where nothing is mapped" if touch else f"{uapi.OP_NAMES[op]} of no {self.size}"
            ] += 1
        return rows

    # -- tasks ------------------------------------------------------------------------

    def spawn(self, task: int, *_: int) -> list[Row]:
        self.spaces[task] = _Space(Layout(self.page))
        return [(uapi.OP_SPAWN, task)]

    def fork(self, task: int, child: int, *_: int) -> list[Row]:
        self.spaces[child] = self.spaces[task].fork()
        return [(uapi.OP_FORK, task, child)]

    def share(self, op: int, task: int, child: int, *_: int) -> list[Row]:
        self.spaces[child] = self.spaces[task]
        return [(op, task, child)]

    def exec(self, task: int, start_brk: int, *_: int) -> list[Row]:
        delta = -(-start_brk // self.page) * self.page - start_brk
        self.spaces[task] = _Space(Layout(self.page), start_brk, delta)
        return [(uapi.OP_EXEC, task, start_brk + delta)]

    # -- accesses ---------------------------------------------------------------------

    def touch(self, task: int, addr: int, pages: int, access: int, *_: int) -> list[Row]:
        layout, end = self.spaces[task].layout, addr + pages * self.recorded
        layout.find(addr)  # a stack grows
        spans = ((layout.down(piece.low), layout.up(piece.high)) for piece in layout.between(addr, end))
        return [(uapi.OP_TOUCH, task, low, (high - low) // self.page, access) for low, high in joined(spans)]

    # -- mappings ---------------------------------------------------------------------

    def mmap(
        self, task: int, addr: int, size: int, prot: int, flags: int, file: int, offset: int
    ) -> list[Row]:
        layout, end = self.spaces[task].layout, addr + size
        gone = layout.take(addr, end)
        delta = self._delta(layout, addr, end, offset % self.page if file >= 0 else 0, gone)
        piece = Piece(addr, end, delta, prot, flags, file, offset - addr, bool(flags & uapi.MAP_GROWSDOWN))
        row = self._mapped(layout, task, piece)
        unmapped = self._unmapped(layout, task, gone, (row[2], row[2] + row[3]))
        layout.add(piece)
        return [*unmapped, row]

    def _delta(self, layout: Layout, start: int, end: int, phase: int, gone: list[Piece]) -> int:
        """In place where a mapping replaces all of the pages it needs of another, else in pages of its own."""
        if len(gone) == 1 and (gone[0].start, gone[0].end) == (start, end):
            low, high = gone[0].low, gone[0].high
            if low % self.page == phase and layout.whole(low, high) == (layout.down(low), layout.up(high)):
                return gone[0].delta
        return layout.place(start, end, phase)

    def _mapped(self, layout: Layout, task: int, piece: Piece) -> Row:
        low, high = layout.down(piece.low), layout.up(piece.high)
        offset = layout.down(piece.start + piece.base) if piece.file >= 0 else 0
        return (uapi.OP_MMAP, task, low, high - low, piece.prot, piece.flags, piece.file, offset)

    def _unmapped(self, layout: Layout, task: int, gone: list[Piece], kept: Span = (0, 0)) -> list[Row]:
        """Rows for pages that lost all that was mapped in them, without those of `kept`."""
        rows: list[Row] = []
        for low, high in joined(layout.whole(piece.low, piece.high) for piece in gone):
            for first, last in (
                ((low, min(high, kept[0])), (max(low, kept[1]), high)) if kept[1] else ((low, high),)
            ):
                if first < last:
                    rows.append((uapi.OP_MUNMAP, task, first, last - first))
        return rows

    def munmap(self, task: int, addr: int, size: int, *_: int) -> list[Row]:
        layout = self.spaces[task].layout
        return self._unmapped(layout, task, layout.take(addr, addr + size))

    def mprotect(self, task: int, addr: int, size: int, prot: int, *_: int) -> list[Row]:
        layout = self.spaces[task].layout
        before = layout.take(addr, addr + size)
        changed = prot & ~uapi.PROT_GROWSDOWN
        for piece in before:
            layout.add(piece._replace(prot=changed))
        spans = joined(self._permitted(layout, piece, changed) for piece in before)
        return [(uapi.OP_MPROTECT, task, low, high - low, prot) for low, high in spans]

    def _permitted(self, layout: Layout, piece: Piece, prot: int) -> Span:
        """The pages of a piece that permit just `prot` now."""
        low, high = layout.down(piece.low), layout.up(piece.high)
        if self._permits(layout, low) != prot:
            low += self.page
        if low < high and self._permits(layout, high - self.page) != prot:
            high -= self.page
        return low, high

    def _permits(self, layout: Layout, page: int) -> int:
        union = 0
        for piece in layout.lying(page, page + self.page):
            union |= piece.prot
        return union

    def madvise(self, task: int, addr: int, size: int, advice: int, *_: int) -> list[Row]:
        layout = self.spaces[task].layout
        pieces = layout.between(addr, addr + size)
        if advice in GROW:
            spans = joined((layout.down(piece.low), layout.up(piece.high)) for piece in pieces)
        else:
            spans = joined(layout.whole(piece.low, piece.high) for piece in pieces)
        return [(uapi.OP_MADVISE, task, low, high - low, advice) for low, high in spans]

    def msync(self, task: int, addr: int, size: int, flags: int, *_: int) -> list[Row]:
        layout = self.spaces[task].layout
        pieces = layout.between(addr, addr + size)
        spans = joined((layout.down(piece.low), layout.up(piece.high)) for piece in pieces)
        return [(uapi.OP_MSYNC, task, low, high - low, flags) for low, high in spans]

    def mremap(
        self, task: int, old: int, old_size: int, new_size: int, flags: int, new: int, *_: int
    ) -> list[Row]:
        layout = self.spaces[task].layout
        kept = old + min(old_size, new_size)
        rows = self._unmapped(layout, task, layout.take(kept, old + old_size))
        if new == old and new_size <= old_size:
            return [self._shrunk(layout, old, row, flags) for row in rows]
        if new == old and (grown := self._grown(layout, task, kept, new + new_size, flags)):
            return [*rows, grown]
        gone = [] if new == old else layout.take(new, new + new_size)
        stays = flags & uapi.MREMAP_DONTUNMAP
        pieces = continued(layout.between(old, kept) if stays else layout.take(old, kept))
        for number, piece in enumerate(pieces, 1):
            end = new + new_size if number == len(pieces) else new + piece.end - old
            rows += self._moved(layout, task, piece, new + piece.start - old, end, flags)
        for row in self._unmapped(layout, task, gone):
            rows.insert(0, row)
        return rows

    def _shrunk(self, layout: Layout, old: int, unmapped: Row, flags: int) -> Row:
        """The call that unmaps the end of a mapping."""
        _, task, first, size = unmapped
        kept = layout.find(old)
        low = layout.down(kept.low) if kept is not None else first
        return (uapi.OP_MREMAP, task, low, first + size - low, first - low, flags, low)

    def _grown(self, layout: Layout, task: int, end: int, new_end: int, flags: int) -> Row:
        """The call that makes a mapping longer where it is; () if there is no room."""
        last = layout.find(end - 1)
        if last is None or layout.taken(layout.up(last.high), layout.up(new_end + last.delta)):
            return ()
        layout.take(last.start, last.end)
        piece = last._replace(end=new_end)
        layout.add(piece)
        low, high = layout.down(piece.low), layout.up(piece.high)
        return (uapi.OP_MREMAP, task, low, layout.up(last.high) - low, high - low, flags, low)

    def _moved(self, layout: Layout, task: int, piece: Piece, start: int, end: int, flags: int) -> list[Row]:
        """A piece goes to [start, end): pages that it shares stay behind, and are new at its destination."""
        here = layout.down(piece.low), layout.up(piece.high)
        delta = layout.place(start, end, piece.low % self.page, here)
        arrived = piece._replace(start=start, end=end, delta=delta, base=piece.base + piece.start - start)
        low, high = layout.whole(piece.low, piece.high)
        row = self._mapped(layout, task, arrived)
        layout.add(arrived)
        to, size, flags = row[2], row[3], flags | uapi.MREMAP_MAYMOVE
        if (low, high) == here:
            return [(uapi.OP_MREMAP, task, low, high - low, size, flags, to)]
        inner = (uapi.OP_MREMAP, task, low, high - low, high - low, flags, to + low - here[0])
        return [row, inner] if low < high else [row]

    # -- the heap ---------------------------------------------------------------------

    def brk(self, task: int, new: int, *_: int) -> list[Row]:
        space = self.spaces[task]
        layout = space.layout
        if (
            not space.brk
        ):  # as in core-mm, the first call of a task without an image says where its heap begins
            space.brk, space.delta = new, layout.up(new) - new
        old, end = (-(-brk // self.recorded) * self.recorded for brk in (space.brk, new))
        if end > old:
            layout.take(old, end)
            if layout.taken(layout.up(old + space.delta), layout.up(end + space.delta)):
                raise ValueError(f"the heap at {new:#x} meets another mapping")
            layout.add(Piece(old, end, space.delta, RW, HEAP, -1, 0, False))
        else:
            layout.take(end, old)
        space.brk = new
        return [(uapi.OP_BRK, task, new + space.delta)]
