"""Operations to rows of the system call table, one verb at a time.

Regions are PMD-aligned holes in PROT_NONE guards of one PMD on either side, the next region
four PMDs after the end of the last, so that unmapping a whole region frees its page tables.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NoReturn

from core_mm import uapi
from mmarch.errors import InputError
from mmarch.sizes import show_size
from mmarch.workload import File, Region

from .expr import Amount, ExpressionError
from .model import Act, Operation, Param, Place, Span
from .verbs import FILE_KINDS
from .words import fail

MAX_REGION = 64 << 30
MAX_OPS = 200_000
MAX_PROCESSES = 4096
BLOCK_PAGES = {4096: 16, 16384: 128, 65536: 32}
_WRITE_LIMIT = 2 << 20
_ANON = uapi.MAP_PRIVATE | uapi.MAP_ANONYMOUS | uapi.MAP_FIXED
_RW = uapi.PROT_READ | uapi.PROT_WRITE
Slice = tuple[int, int]


def pmd_size(page_size: int) -> int:
    """Bytes one PMD entry maps: a page of 8-byte entries, each a page."""
    return page_size // 8 * page_size


@dataclass
class Space:
    """What threads share: regions, and where the next one is reserved."""

    next_address: int
    regions: dict[str, Region] = field(default_factory=dict)


@dataclass
class Process:
    """Who acts in a scenario: a process or a thread of one, by its task index, in its address space."""

    task: int
    space: Space

    @property
    def regions(self) -> dict[str, Region]:
        """Those of its address space."""
        return self.space.regions


class Emitter:
    """Rows, files and regions under construction, for one page size, order and kind."""

    def __init__(self, page_size: int, order: int, kind: str, address: int) -> None:
        self.page_size, self.order, self.kind = page_size, order, kind
        self.pmd = pmd_size(page_size)
        self.names = {
            "page": 1,
            "block": BLOCK_PAGES[page_size],
            "pmd": self.pmd // page_size,
            "folio": min(1 << order, _WRITE_LIMIT // page_size),
        }
        self.ops: list[tuple[int, ...]] = []
        self.lines: list[int] = []
        self.files: list[File] = []
        self.regions: list[Region] = []
        self.parent = Process(0, Space(address))
        self.children: dict[str, Process] = {}
        self._tasks = 1
        self._file_index: dict[str, int] = {}
        self._defined: dict[str, int] = {}  # region -> its line
        self._place = Place("", 0, 1)
        self._line = 0
        self._row(uapi.OP_SPAWN, 0)

    def define(self, name: str, param: Param) -> None:
        """From here on `name` is that many pages; InputError if it is no whole number of them."""
        try:
            self.names[name] = param.amount.pages(self.names, self.page_size)
        except ExpressionError as error:
            if param.place:
                fail(param.place, str(error), param.amount.column)
            raise InputError(f"parameter {name}={param.amount}: {error}") from None

    def perform(self, act: Act) -> Slice:
        """Append the rows of `act`; the slice that a measurement covers."""
        if len(self.ops) > MAX_OPS:
            fail(act.place, f"more than {MAX_OPS} operations; shorten the loop")
        self._place, self._line = act.place, act.place.line
        verb = _EMIT.get(act.operation.verb, _simple)
        return verb(self, act.operation, self.acting(act.child, act.place))

    def acting(self, child: str, place: Place) -> Process:
        """The child of that name, or the parent for an empty one; fails if the child was reaped."""
        if child and child not in self.children:
            fail(place, f"child {child!r} was reaped before this line runs again; fork it in the loop")
        return self.children[child] if child else self.parent

    def pages(self, amount: Amount, place: Place) -> int:
        """The amount in pages."""
        return self._sized(amount, place) // self.page_size

    def extent(self, span: Span, process: Process, place: Place, beyond: int = 0) -> Slice:
        """Address and length in bytes; fails if it leaves its region by more than `beyond` bytes."""
        region = process.regions.get(span.region)
        if region is None:
            fail(place, f"region {span.region!r} does not exist in this process")
        if span.first is None:
            return region.addr, region.length
        first = self._sized(span.first, place)
        if span.end is not None:
            length = self._sized(span.end, place) - first
        else:
            assert span.count is not None
            length = self._sized(span.count, place)
        if length <= 0:
            fail(place, f"an empty range of {span.region!r}", span.first.column)
        if first + length > region.length + beyond:
            size, have = (first + length) // self.page_size, region.length // self.page_size
            fail(place, f"pages up to {size} of region {span.region!r}, which has {have}", span.first.column)
        return region.addr + first, length

    def _sized(self, amount: Amount, place: Place) -> int:
        try:
            return amount.pages(self.names, self.page_size) * self.page_size
        except ExpressionError as error:
            fail(place, str(error), amount.column)

    def _fail(self, message: str, column: int | None = None) -> NoReturn:
        fail(self._place, message, column)

    def _row(self, op: int, task: int, *args: int) -> Slice:
        self.ops.append((op, task, *args, *(0,) * (uapi.COLUMNS - 2 - len(args))))
        self.lines.append(self._line)
        return len(self.ops) - 1, len(self.ops)

    def _none(self) -> Slice:
        return len(self.ops), len(self.ops)

    def _extent(self, operation: Operation, process: Process) -> Slice:
        assert operation.span is not None
        return self.extent(operation.span, process, self._place)

    def _bytes(self, operation: Operation) -> int:
        assert operation.amount is not None
        return self._sized(operation.amount, self._place)

    def _reserve(self, operation: Operation, process: Process) -> Slice:
        """A guard with a PMD-aligned hole; the region is the hole."""
        assert operation.span is not None
        length = self._bytes(operation)
        if not 0 < length <= MAX_REGION:
            self._fail(f"a region of {show_size(length)}; 1 page to {show_size(MAX_REGION)} fit")
        guard = -(-process.space.next_address // self.pmd) * self.pmd
        process.space.next_address = guard + length + 4 * self.pmd
        self._define(Region(operation.span.region, guard + self.pmd, length, process.task), process)
        flags = _ANON | uapi.MAP_NORESERVE
        return self._row(uapi.OP_MMAP, process.task, guard, length + 2 * self.pmd, uapi.PROT_NONE, flags, -1)

    def _define(self, region: Region, process: Process) -> None:
        if region.name in process.regions:
            line = self._defined[region.name]
            self._fail(f"region {region.name!r} is already on line {line}; drop it first")
        self._defined[region.name] = self._line
        process.regions[region.name] = region
        if region not in self.regions:
            self.regions.append(region)

    def _place_in(self, operation: Operation, process: Process) -> None:
        """A region in part of another one, which has the guards."""
        assert operation.span is not None and operation.chunk is not None
        host = process.regions.get(operation.target)
        if host is None:
            self._fail(f"region {operation.target!r} does not exist in this process")
        offset, length = self._sized(operation.chunk, self._place), self._bytes(operation)
        addr, end = host.addr + offset, host.addr + offset + length
        if length <= 0 or end > host.addr + host.length:
            self._fail(
                f"{length // self.page_size} pages do not fit into {host.name!r} at its page "
                f"{offset // self.page_size}; it has {host.length // self.page_size}"
            )
        outer = host.inside or host.name
        for other in process.regions.values():
            if other.inside == outer and other.addr < end and addr < other.addr + other.length:
                self._fail(f"region {other.name!r} has some of these pages of {outer!r}; drop it first")
        self._define(Region(operation.span.region, addr, length, process.task, outer), process)

    def _map(self, operation: Operation, process: Process) -> Slice:
        if operation.target:
            self._place_in(operation, process)
        elif operation.amount is not None:
            self._reserve(operation, process)
        addr, length = self._extent(operation, process)
        flags, file = self._backing(operation, length)
        measured = self._row(uapi.OP_MMAP, process.task, addr, length, operation.prot, flags, file)
        advice = self._advice(operation)
        if flags == _ANON and advice:
            self._row(uapi.OP_MADVISE, process.task, addr, length, advice)
        return measured

    def _backing(self, operation: Operation, length: int) -> Slice:
        if operation.file:
            kind = uapi.MAP_SHARED if operation.shared else uapi.MAP_PRIVATE
            return kind | uapi.MAP_FIXED, self._file_index[operation.file]
        if operation.shared:
            self.files.append(File(uapi.FILE_SHMEM, length))
            return uapi.MAP_SHARED | uapi.MAP_ANONYMOUS | uapi.MAP_FIXED, len(self.files) - 1
        return _ANON, -1

    def _advice(self, operation: Operation) -> int:
        if operation.advice == "none" or (operation.advice == "huge" and not self.order):
            return 0
        return uapi.MADV_HUGEPAGE if self.order else uapi.MADV_NOHUGEPAGE

    def _touch(self, operation: Operation, process: Process) -> Slice:
        addr, length = self._extent(operation, process)
        return self._row(uapi.OP_TOUCH, process.task, addr, length // self.page_size, operation.code)

    def _advise(self, operation: Operation, process: Process) -> Slice:
        return self._row(uapi.OP_MADVISE, process.task, *self._extent(operation, process), operation.code)

    def _protect(self, operation: Operation, process: Process) -> Slice:
        return self._row(uapi.OP_MPROTECT, process.task, *self._extent(operation, process), operation.prot)

    def _unmap(self, operation: Operation, process: Process) -> Slice:
        return self._row(uapi.OP_MUNMAP, process.task, *self._extent(operation, process))

    def _msync(self, operation: Operation, process: Process) -> Slice:
        return self._row(uapi.OP_MSYNC, process.task, *self._extent(operation, process), operation.code)

    def _move(self, operation: Operation, process: Process) -> Slice:
        old, length = self._extent(operation, process)
        target = process.regions.get(operation.target)
        if target is None:
            self._fail(f"region {operation.target!r} does not exist in this process")
        offset = self._bytes(operation)
        if offset + length > target.length:
            self._fail(f"{length // self.page_size} pages do not fit into {target.name!r} at its page "
                       f"{offset // self.page_size}")  # fmt: skip
        flags = uapi.MREMAP_MAYMOVE | uapi.MREMAP_FIXED | operation.code
        return self._row(uapi.OP_MREMAP, process.task, old, length, length, flags, target.addr + offset)

    def _fork(self, operation: Operation, process: Process) -> Slice:
        space = Space(process.space.next_address, dict(process.regions))
        return self._birth(uapi.OP_FORK, operation, process, space)

    def _thread(self, operation: Operation, process: Process) -> Slice:
        return self._birth(uapi.OP_CLONE_VM, operation, process, process.space)

    def _birth(self, op: int, operation: Operation, process: Process, space: Space) -> Slice:
        if self._tasks >= MAX_PROCESSES:
            self._fail(f"more than {MAX_PROCESSES} processes")
        if operation.target in self.children:
            self._fail(
                f"child {operation.target!r} runs already when the loop comes here again; reap it there"
            )
        child = Process(self._tasks, space)
        self.children[operation.target] = child
        self._tasks += 1
        return self._row(op, process.task, child.task)

    def _reap(self, operation: Operation, process: Process) -> Slice:
        child = self.acting(operation.target, self._place)
        del self.children[operation.target]
        return self._row(uapi.OP_EXIT, child.task)

    def _drop(self, operation: Operation, process: Process) -> Slice:
        assert operation.span is not None
        self._extent(operation, process)
        region = process.regions[operation.span.region]
        for other in [r for r in process.regions.values() if region.name in (r.name, r.inside)]:
            del process.regions[other.name]
        return self._forget(region, process)

    def _forget(self, region: Region, process: Process) -> Slice:
        """Unmap a region with its guards, if it has some of its own."""
        guard = 0 if region.inside else self.pmd
        return self._row(uapi.OP_MUNMAP, process.task, region.addr - guard, region.length + 2 * guard)

    def _end(self, operation: Operation, process: Process) -> Slice:
        first = len(self.ops)
        for region in sorted(process.regions.values(), key=lambda r: r.name):
            if not region.inside:
                self._forget(region, process)
        process.regions.clear()
        return first, len(self.ops)

    def _anchor(self, operation: Operation, process: Process) -> Slice:
        """A page in the leading guard: the tables above the region exist from then on."""
        assert operation.span is not None
        self._extent(operation, process)
        region = process.regions[operation.span.region]
        addr = process.regions.get(region.inside, region).addr - self.pmd
        first = len(self.ops)
        self._row(uapi.OP_MMAP, process.task, addr, self.page_size, _RW, _ANON, -1)
        self._row(uapi.OP_TOUCH, process.task, addr, 1, uapi.ACCESS_WRITE)
        return first, len(self.ops)

    def _file(self, operation: Operation, process: Process) -> Slice:
        word = self.kind if operation.target == "kind" else operation.target
        if word not in FILE_KINDS:
            self._fail(f"kind {word!r} is no kind of file; there are: {', '.join(FILE_KINDS)}")
        self._file_index[operation.file] = len(self.files)
        size = self._bytes(operation) if operation.amount else 0
        self.files.append(File(FILE_KINDS[word], size, operation.file))
        return self._none()

    def _truncate(self, operation: Operation, process: Process) -> Slice:
        index = self._file_index[operation.file]
        return self._row(uapi.OP_FTRUNCATE, process.task, index, self._bytes(operation))

    def _fill(self, operation: Operation, process: Process) -> Slice:
        assert operation.chunk is not None
        chunk = self._chunk(operation.chunk)
        index, size = self._file_index[operation.file], self._bytes(operation)
        return self._row(uapi.OP_PWRITE, process.task, index, 0, size, chunk)

    def _fallocate(self, operation: Operation, process: Process) -> Slice:
        assert operation.chunk is not None
        start, size = self._sized(operation.chunk, self._place), self._bytes(operation)
        if start < 0 or size <= 0:
            self._fail(
                f"fallocate from page {start // self.page_size}, {size // self.page_size} pages; at least 0 and 1"
            )
        index = self._file_index[operation.file]
        return self._row(uapi.OP_FALLOCATE, process.task, index, operation.code, start, size)

    def _chunk(self, amount: Amount) -> int:
        try:
            return amount.bytes(self.names, self.page_size) or self.page_size
        except ExpressionError as error:
            self._fail(str(error), amount.column)

    def _unlink(self, operation: Operation, process: Process) -> Slice:
        return self._row(uapi.OP_UNLINK, process.task, self._file_index[operation.file])

    def _clear_refs(self, operation: Operation, process: Process) -> Slice:
        return self._row(uapi.OP_CLEAR_REFS, process.task, operation.code)

    def _nothing(self, operation: Operation, process: Process) -> Slice:
        return self._none()

    def system(self, op: int, process: Process) -> Slice:
        """An operation without arguments."""
        return self._row(op, process.task)


_SIMPLE = {"drop_caches": uapi.OP_DROP_CACHES, "age": uapi.OP_LRU_GEN_AGE}


def _simple(emitter: Emitter, operation: Operation, process: Process) -> Slice:
    return emitter.system(_SIMPLE[operation.verb], process)


_EMIT: dict[str, Callable[[Emitter, Operation, Process], Slice]] = {
    "reserve": Emitter._reserve,
    "map": Emitter._map,
    "touch": Emitter._touch,
    "advise": Emitter._advise,
    "protect": Emitter._protect,
    "unmap": Emitter._unmap,
    "msync": Emitter._msync,
    "move": Emitter._move,
    "fork": Emitter._fork,
    "thread": Emitter._thread,
    "reap": Emitter._reap,
    "drop": Emitter._drop,
    "end": Emitter._end,
    "anchor": Emitter._anchor,
    "file": Emitter._file,
    "truncate": Emitter._truncate,
    "fill": Emitter._fill,
    "fallocate": Emitter._fallocate,
    "unlink": Emitter._unlink,
    "clear_refs": Emitter._clear_refs,
    "nothing": Emitter._nothing,
}
