"""What a system call may return, by its manual page and the model before it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from core_mm import uapi
from core_mm.mm_types import EACCES, EFAULT, EINVAL, ENOMEM, EOPNOTSUPP
from mmarch.sanitize.follow import MADV_DONTNEED_LOCKED
from mmarch.sanitize.model import Area, Model, Space

MS_SYNC = 4
CHANGE_NOTHING_ELSE = {
    uapi.MADV_NORMAL, uapi.MADV_RANDOM, uapi.MADV_SEQUENTIAL, uapi.MADV_DONTFORK, uapi.MADV_DOFORK,
    uapi.MADV_HUGEPAGE, uapi.MADV_NOHUGEPAGE, uapi.MADV_KEEPONFORK,
}  # fmt: skip
NEEDS_UNLOCKED = {uapi.MADV_DONTNEED, uapi.MADV_FREE, uapi.MADV_COLD, uapi.MADV_PAGEOUT, uapi.MADV_REMOVE}
ALWAYS_WORK = {
    uapi.OP_CLEAR_REFS, uapi.OP_DROP_CACHES, uapi.OP_LRU_GEN_AGE, uapi.OP_EXEC, uapi.OP_EXIT, uapi.OP_UNLINK,
}  # fmt: skip
MAKE_TASKS = {uapi.OP_FORK, uapi.OP_VFORK, uapi.OP_CLONE_VM}
CLEAR_REFS = range(1, 6)  # what may be written there
Answers = frozenset[int]
FINE: Answers = frozenset({0})


@dataclass(frozen=True)
class Caller:
    """Who asks.

    page   bytes
    where  pages [start, end) of an address and a length, None if they make no range
    tasks  how many there may be
    holes  whether a file, by its number, can have holes
    """

    model: Model
    page: int
    where: Callable[[Sequence[int]], tuple[int, int] | None]
    tasks: int
    holes: Sequence[bool]

    def answers(self, op: int, task: int, cells: Sequence[int]) -> Answers | None:
        """What `op` of a live task may return where memory is enough; None: anything."""
        space = self.model.tasks[task]
        if op == uapi.OP_CLEAR_REFS and cells[0] not in CLEAR_REFS:
            return frozenset({-EINVAL})
        if op in ALWAYS_WORK:
            return FINE
        if op in MAKE_TASKS:
            free = 0 <= cells[0] < self.tasks and cells[0] not in self.model.tasks
            return FINE if free else frozenset({-EINVAL})
        if op == uapi.OP_MMAP:
            return self._mmap(cells)
        if op in (uapi.OP_MUNMAP, uapi.OP_MPROTECT, uapi.OP_MADVISE, uapi.OP_MSYNC):
            return self._on_range(op, space, cells)
        return None

    def _mmap(self, cells: Sequence[int]) -> Answers | None:
        usual = cells[3] & uapi.MAP_FIXED and cells[3] & uapi.MAP_TYPE in (uapi.MAP_SHARED, uapi.MAP_PRIVATE)
        if not usual or self.where(cells) is None or cells[5] % self.page:
            return None
        return frozenset({cells[0]})

    def _on_range(self, op: int, space: Space, cells: Sequence[int]) -> Answers | None:
        where = self.where(cells)
        if where is None:
            empty = -self.page < cells[1] <= 0 and op != uapi.OP_MUNMAP  # a small negative one is rounded to nothing
            return None if empty else frozenset({-EINVAL})
        if op == uapi.OP_MUNMAP:
            return FINE
        if op == uapi.OP_MADVISE:
            return self._advised(space, where, cells[2])
        return None if op == uapi.OP_MSYNC and cells[2] != MS_SYNC else missing(space, where)

    def _advised(self, space: Space, where: tuple[int, int], advice: int) -> Answers | None:
        if advice in (uapi.MADV_POPULATE_READ, uapi.MADV_POPULATE_WRITE):
            return populated(space, where, advice)
        for area in space.inside(*where):
            if error := self._refused(area, advice):
                return frozenset({error})
        known = CHANGE_NOTHING_ELSE | NEEDS_UNLOCKED | {uapi.MADV_WIPEONFORK, MADV_DONTNEED_LOCKED}
        return missing(space, where) if advice in known else None

    def _refused(self, area: Area, advice: int) -> int:
        """The error of advice about one area, 0 if there is none."""
        if advice in NEEDS_UNLOCKED and area.locked:
            return -EINVAL
        if advice in (uapi.MADV_FREE, uapi.MADV_WIPEONFORK):
            return -EINVAL if area.file is not None or area.shared else 0
        if advice != uapi.MADV_REMOVE:
            return 0
        if area.file is None:
            return -EINVAL
        if not (area.shared and area.prot & uapi.PROT_WRITE):
            return -EACCES
        return 0 if area.file.number < 0 or self.holes[area.file.number] else -EOPNOTSUPP


def missing(space: Space, where: tuple[int, int]) -> Answers:
    """ENOMEM of a range with a gap."""
    mapped = sum(area.end - area.start for area in space.inside(*where))
    return FINE if mapped == where[1] - where[0] else frozenset({-ENOMEM})


def populated(space: Space, where: tuple[int, int], advice: int) -> Answers:
    """What its rights forbid, or a gap, ends it; so does a file that ends before."""
    need = uapi.PROT_READ if advice == uapi.MADV_POPULATE_READ else uapi.PROT_WRITE
    at, ends = where[0], Answers()
    for area in space.inside(*where):
        if area.start != at:
            break
        if not area.prot & need:
            return ends | {-EINVAL}
        if area.file is not None and area.at(area.end) > area.file.pages:
            ends = Answers({-EFAULT})
        at = area.end
    return ends | {0 if at == where[1] else -ENOMEM}
