"""Address spaces as the rows of a recording leave them: what is mapped, which pages were touched, and how."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from core_mm import uapi
from mmarch.trace.layout import Layout, Piece

RW = uapi.PROT_READ | uapi.PROT_WRITE
HEAP = uapi.MAP_PRIVATE | uapi.MAP_ANONYMOUS
OF_BRK = -2  # in place of a file: what brk made
GONE = {uapi.MADV_DONTNEED, uapi.MADV_REMOVE}  # advice after which pages are not there


class Space:
    """One address space.

    start, brk  of the heap, 0 as long as nobody said
    pages       address of each page that is there, and the access that brought it, a write if there was one
    """

    def __init__(self, page: int, start: int = 0) -> None:
        self.page, self.start, self.brk = page, start, start
        self.layout = Layout(page)
        self.pages: dict[int, int] = {}

    def fork(self) -> Space:
        other = Space(self.page, self.start)
        other.brk, other.layout, other.pages = self.brk, self.layout.copy(), self.pages.copy()
        return other

    def align(self, address: int) -> int:
        return -(-address // self.page) * self.page

    def forget(self, low: int, high: int) -> dict[int, int]:
        """Pages of [low, high) are not there any more; which ones were."""
        among = range(low, high, self.page) if high - low < len(self.pages) * self.page else list(self.pages)
        gone = {at: self.pages[at] for at in among if low <= at < high and at in self.pages}
        for at in gone:
            del self.pages[at]
        return gone

    def touch(self, addr: int, pages: int, access: int, *_: int) -> None:
        self.layout.find(addr)  # a stack grows
        for at in range(addr, addr + pages * self.page, self.page):
            self.pages[at] = (
                max(access, self.pages.get(at, 0)) if access != uapi.ACCESS_EXEC else self.pages.get(at, 0)
            )

    def mmap(self, addr: int, size: int, prot: int, flags: int, file: int, offset: int) -> None:
        self.munmap(addr, size)
        grows = bool(flags & uapi.MAP_GROWSDOWN)
        self.layout.add(Piece(addr, addr + size, 0, prot, flags, file, offset - addr, grows))

    def munmap(self, addr: int, size: int, *_: int) -> None:
        self.layout.take(addr, addr + size)
        self.forget(addr, addr + size)

    def mprotect(self, addr: int, size: int, prot: int, *_: int) -> None:
        for piece in self.layout.take(addr, addr + size):
            self.layout.add(piece._replace(prot=prot & ~uapi.PROT_GROWSDOWN))

    def madvise(self, addr: int, size: int, advice: int, *_: int) -> None:
        if advice in GONE:
            self.forget(addr, addr + size)

    def mremap(self, old: int, old_size: int, new_size: int, flags: int, new: int, *_: int) -> None:
        kept = min(old_size, new_size)
        pieces = self.layout.between(old, old + kept)
        pages = self.forget(old, old + kept)
        self.munmap(old + kept, old_size - kept)
        if not flags & uapi.MREMAP_DONTUNMAP:
            self.layout.take(old, old + kept)
        self.munmap(new, new_size)
        for number, piece in enumerate(pieces, 1):
            start = piece.start + new - old
            end = new + new_size if number == len(pieces) else piece.end + new - old
            self.layout.add(piece._replace(start=start, end=end, base=piece.base + old - new))
        self.pages.update((at + new - old, access) for at, access in pages.items())

    def set_brk(self, new: int, *_: int) -> None:
        self.start = self.start or new
        old, self.brk = self.align(self.brk or new), new
        if self.align(new) < old:
            self.munmap(self.align(new), old - self.align(new))
        elif old < self.align(new):
            self.layout.take(old, self.align(new))
            self.layout.add(Piece(old, self.align(new), 0, RW, HEAP, OF_BRK, 0, False))

    def rows(self, task: int) -> Iterator[tuple[int, ...]]:
        """Operations of a new task that lead to the same."""
        yield uapi.OP_SPAWN, task
        if self.start:
            yield uapi.OP_BRK, task, self.start
            if self.start < self.brk:
                yield uapi.OP_BRK, task, self.brk
        heap = self.align(self.start)
        pieces = self.layout.between(0, 1 << 63)
        for piece in pieces:
            if piece.file == OF_BRK:
                if heap < piece.start:
                    yield uapi.OP_MUNMAP, task, heap, piece.start - heap
                heap = piece.end
            yield from self._piece(piece, task)
        if heap < self.align(self.brk):
            yield uapi.OP_MUNMAP, task, heap, self.align(self.brk) - heap

    def _piece(self, piece: Piece, task: int) -> Iterator[tuple[int, ...]]:
        """Mapped so that its pages can be touched as they were, which it may forbid by now."""
        size, touches = piece.end - piece.start, list(self._touches(piece, task))
        before = RW if piece.file == OF_BRK else piece.prot
        if any(row[4] == uapi.ACCESS_WRITE for row in touches):
            before |= RW
        elif touches:
            before |= uapi.PROT_READ
        if piece.file != OF_BRK:
            offset = piece.start + piece.base if piece.file >= 0 else 0
            yield uapi.OP_MMAP, task, piece.start, size, before, piece.flags, piece.file, offset
        yield from touches
        if before != piece.prot:
            yield uapi.OP_MPROTECT, task, piece.start, size, piece.prot

    def _touches(self, piece: Piece, task: int) -> Iterator[tuple[int, ...]]:
        among = range(piece.start, piece.end, self.page)
        if len(self.pages) < len(among):
            among = sorted(at for at in self.pages if piece.start <= at < piece.end)  # type: ignore[assignment]
        first, count, access = 0, 0, -1
        for at in among:
            how = self.pages.get(at, -1)
            if how >= 0 and count and at == first + count * self.page and how == access:
                count += 1
                continue
            if count:
                yield uapi.OP_TOUCH, task, first, count, access
            first, count, access = at, int(how >= 0), how
        if count:
            yield uapi.OP_TOUCH, task, first, count, access


HANDLERS: dict[int, Callable[..., None]] = {
    uapi.OP_TOUCH: Space.touch, uapi.OP_MMAP: Space.mmap, uapi.OP_MUNMAP: Space.munmap, uapi.OP_BRK: Space.set_brk,
    uapi.OP_MPROTECT: Space.mprotect, uapi.OP_MADVISE: Space.madvise, uapi.OP_MREMAP: Space.mremap,
}  # fmt: skip


class Spaces:
    """Of all tasks that live, by their numbers; tasks that share one have the same."""

    def __init__(self, page: int) -> None:
        self.page = page
        self.of: dict[int, Space] = {}
        self.sizes: dict[int, int] = {}  # of files that were cut

    def act(self, op: int, task: int, *cells: int) -> None:
        """What a row does."""
        if op == uapi.OP_SPAWN:
            self.of[task] = Space(self.page)
        elif op == uapi.OP_EXEC:
            self.of[task] = Space(self.page, cells[0])
        elif op == uapi.OP_FORK:
            self.of[cells[0]] = self.of[task].fork()
        elif op in (uapi.OP_VFORK, uapi.OP_CLONE_VM):
            self.of[cells[0]] = self.of[task]
        elif op == uapi.OP_EXIT:
            self.of.pop(task, None)
        elif op == uapi.OP_FTRUNCATE:
            self.sizes[cells[0]] = cells[1]
        elif op in HANDLERS:
            HANDLERS[op](self.of[task], *cells)
