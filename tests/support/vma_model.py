"""VMAs and nothing else: says which accesses of a workload lie outside the mappings alive then.

Written from the system calls' manual pages, without the twin: an independent judge of a trace.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field

from core_mm import uapi
from mmarch.workload import Workload

PAGE = 4096
STACK_LIMIT = 8 << 20
STACK_GUARD_GAP = 256 * PAGE
NEEDED = {
    uapi.ACCESS_READ: uapi.PROT_READ | uapi.PROT_WRITE | uapi.PROT_EXEC,
    uapi.ACCESS_WRITE: uapi.PROT_WRITE,
    uapi.ACCESS_EXEC: uapi.PROT_EXEC,
}


@dataclass(frozen=True)
class Vma:
    """[start, end) in bytes; `file_end` is where SIGBUS begins, for file mappings."""

    start: int
    end: int
    prot: int
    flags: int
    file: int = -1
    offset: int = 0

    def part(self, start: int, end: int, prot: int | None = None) -> Vma:
        offset = self.offset + start - self.start
        return Vma(start, end, self.prot if prot is None else prot, self.flags, self.file, offset)


@dataclass
class Mm:
    """Disjoint VMAs, ascending."""

    start_brk: int = 0
    brk: int = 0
    vmas: list[Vma] = field(default_factory=list)

    def fork(self) -> Mm:
        return Mm(self.start_brk, self.brk, list(self.vmas))

    def find(self, address: int) -> Vma | None:
        index = bisect_right(self.vmas, address, key=lambda vma: vma.start) - 1
        if index >= 0 and address < self.vmas[index].end:
            return self.vmas[index]
        return None

    def _replace(self, start: int, end: int, prot: int | None) -> list[Vma]:
        """Cut [start, end) out, or give it `prot`; what was there."""
        kept, hit = [], []
        for vma in self.vmas:
            low, high = max(vma.start, start), min(vma.end, end)
            if low >= high:
                kept.append(vma)
                continue
            hit.append(vma.part(low, high))
            if vma.start < low:
                kept.append(vma.part(vma.start, low))
            if prot is not None:
                kept.append(vma.part(low, high, prot))
            if high < vma.end:
                kept.append(vma.part(high, vma.end))
        self.vmas = kept
        return hit

    def map(self, vma: Vma) -> None:
        self._replace(vma.start, vma.end, None)
        self.vmas = sorted([*self.vmas, vma], key=lambda each: each.start)

    def unmap(self, start: int, length: int) -> list[Vma]:
        return self._replace(start, start + length, None)

    def covered(self, start: int, length: int) -> bool:
        pieces = [vma for vma in self.vmas if vma.start < start + length and start < vma.end]
        held = sum(min(vma.end, start + length) - max(vma.start, start) for vma in pieces)
        return held == length

    def protect(self, start: int, length: int, prot: int) -> None:
        self._replace(start, start + length, prot)

    def set_brk(self, brk: int) -> None:
        old, new = (-(-value // PAGE) * PAGE for value in (self.brk, brk))
        if new > old:
            self.map(Vma(old, new, uapi.PROT_READ | uapi.PROT_WRITE, uapi.MAP_PRIVATE | uapi.MAP_ANONYMOUS))
        elif new < old:
            self.unmap(new, old - new)
        self.brk = brk

    def grow_stack(self, address: int) -> Vma | None:
        """mm/mmap.c:expand_stack: the next VMA above grows down if it is a stack."""
        index = bisect_right(self.vmas, address, key=lambda vma: vma.start)
        if index == len(self.vmas):
            return None
        above = self.vmas[index]
        if not above.flags & uapi.MAP_GROWSDOWN or above.end - address > STACK_LIMIT:
            return None
        self.vmas[index] = Vma(address & -PAGE, above.end, above.prot, above.flags)
        return self.vmas[index]


@dataclass
class Judge:
    """Applies rows; `outside`, `forbidden`, `beyond` and `holes` list the rows that cannot be right."""

    workload: Workload
    mms: dict[int, Mm] = field(default_factory=dict)
    outside: list[int] = field(default_factory=list)
    forbidden: list[int] = field(default_factory=list)
    beyond: list[int] = field(default_factory=list)
    holes: list[int] = field(default_factory=list)
    ended: set[int] = field(default_factory=set)

    def run(self) -> Judge:
        self.sizes = [file.size for file in self.workload.files]
        for position, row in enumerate(self.workload.ops.tolist()):
            getattr(self, f"_{uapi.OP_NAMES[row[0]]}", self._nothing)(position, *row[1:])
        return self

    def _nothing(self, *_row: int) -> None:
        pass

    def _spawn(self, _at: int, task: int, *_: int) -> None:
        self.mms[task] = Mm()

    def _execve(self, _at: int, task: int, start_brk: int, *_: int) -> None:
        self.mms[task] = Mm(start_brk, start_brk)

    def _fork(self, _at: int, task: int, child: int, *_: int) -> None:
        self.mms[child] = self.mms[task].fork()

    def _vfork(self, _at: int, task: int, child: int, *_: int) -> None:
        self.mms[child] = self.mms[task]

    _clone = _vfork

    def _exit(self, _at: int, task: int, *_: int) -> None:
        assert task not in self.ended
        self.ended.add(task)
        del self.mms[task]

    def _mmap(self, _at: int, task: int, addr: int, length: int, *how: int) -> None:
        self.mms[task].map(Vma(addr, addr + length, *how))

    def _munmap(self, _at: int, task: int, addr: int, length: int, *_: int) -> None:
        self.mms[task].unmap(addr, length)

    def _brk(self, _at: int, task: int, brk: int, *_: int) -> None:
        self.mms[task].set_brk(brk)

    def _mprotect(self, at: int, task: int, addr: int, length: int, prot: int, *_: int) -> None:
        if not self.mms[task].covered(addr, length):
            self.holes.append(at)
        self.mms[task].protect(addr, length, prot)

    def _madvise(self, at: int, task: int, addr: int, length: int, *_: int) -> None:
        if not self.mms[task].covered(addr, length):
            self.holes.append(at)

    def _mremap(self, at: int, task: int, old: int, old_len: int, *more: int) -> None:
        new_len, flags, new = more[:3]
        mm = self.mms[task]
        vma = mm.find(old)
        if vma is None:
            self.holes.append(at)
            return
        if not flags & uapi.MREMAP_DONTUNMAP:
            mm.unmap(old, old_len)
        offset = vma.offset + old - vma.start
        mm.map(Vma(new, new + new_len, vma.prot, vma.flags, vma.file, offset))

    def _ftruncate(self, _at: int, _task: int, file: int, size: int, *_: int) -> None:
        self.sizes[file] = size

    def _fault(self, at: int, task: int, addr: int, pages: int, access: int, *_: int) -> None:
        mm = self.mms[task]
        for address in range(addr, addr + pages * PAGE, PAGE):
            vma = mm.find(address) or mm.grow_stack(address)
            if vma is None:
                self.outside.append(at)
            elif not vma.prot & NEEDED[access]:
                self.forbidden.append(at)
            elif vma.file >= 0 and vma.offset + address - vma.start >= self.sizes[vma.file]:
                self.beyond.append(at)
