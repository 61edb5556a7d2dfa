"""A test bench: one user address space with a page table whose neighbours are guarded, and every hook at hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from core_mm.mm_types import VM_EXEC, VM_READ, VM_SHARED, VM_WRITE
from mmarch import cpus
from mmarch.check.outcome import CheckFailed
from mmarch.engine.direct import Bound, DirectMachine, Replace
from mmarch.engine.log import taken
from mmarch.engine.machine import Config
from mmarch.runs.entries import attributes
from mmarch.sanitize.random_rows import block_pages

if TYPE_CHECKING:
    from collections.abc import Iterator

PERMS = {
    "r": VM_READ, "w": VM_READ | VM_WRITE, "x": VM_READ | VM_EXEC, "n": 0,
    "s": VM_READ | VM_WRITE | VM_SHARED, "sx": VM_READ | VM_WRITE | VM_EXEC | VM_SHARED,
}  # fmt: skip
NONE, SWAP, PRESENT = "none", "swap", "present"
WALKED = 5  # entry that the walker is sent through
REMEMBERED = 1 << 14  # looks at entries of blocks
BASE = 1 << 30  # first address of the bench's VMA; aligned to any PMD


class View(NamedTuple):
    """What core-mm sees of an entry."""

    kind: str
    pfn: int = 0
    valid: int = 0
    protnone: int = 0
    young: int = 0
    dirty: int = 0
    write: int = 0
    special: int = 0

    def but(self, **fields: int) -> View:
        """The same with other values."""
        return self._replace(**fields)  # type: ignore[arg-type]

    def __str__(self) -> str:
        if self.kind != PRESENT:
            return f"{self.kind} {self.pfn}" if self.kind == SWAP else self.kind
        names = ("valid", "protnone", "young", "dirty", "write", "special")
        flags = " ".join(name for name in names if getattr(self, name))
        return f"pfn {self.pfn:#x} {flags}"


class Bench:
    """One machine; entries are named by their index in the table under test. Counting takes a third of its time."""

    def __init__(self, config: Config, counting: bool = False) -> None:
        from core_mm import context, fork, mmap, pgtable, rwonce, syscalls, vma_tree, vmstat

        self.config = config
        self.notes: dict[Any, Any] = {}  # what is costly to make again
        self._seen: dict[tuple[int, bytes], View] = {}
        self.window: range | None = None
        self.before_access: Callable[[int], None] | None = None
        watched = (rwonce.READ_ONCE, rwonce.WRITE_ONCE, rwonce.xchg, rwonce.cmpxchg)
        instead: dict[Callable[..., Any], Replace] = {}
        if not counting:
            instead[vmstat.count] = lambda original: lambda event, n: 0
        instead.update(dict.fromkeys(watched, self._watch))
        self.machine = DirectMachine(config, instead)
        self.hook = SimpleNamespace(**self.machine.hooks)
        arch = config.arch
        self.geometry = arch.granules[config.granule or arch.default_granule]
        self.page = 1 << self.geometry.page_shift
        self.entries = 1 << self.geometry.pte_bits
        capabilities = arch.capabilities_of(cpus.find(arch, config.cpu))
        self.has_blocks = "contiguous" in capabilities and self.geometry.cont_ptes > 1
        self.block = block_pages(self.geometry)
        self.core(syscalls.boot)()
        self.mm = self.core(fork.mm_alloc)()
        self.core(context.check_and_switch_context)(self.mm)
        pmd = self.entries * self.page
        self.base = -(-BASE // pmd) * pmd
        self.core(mmap.do_mmap)(self.mm, self.base, 3 * pmd, 3, 0x22, -1, 0)
        self.vma = self.core(vma_tree.find_vma)(self.mm, self.base)
        for i in range(3):
            pmdp = self.core(pgtable.pmd_alloc)(self.mm, self.base + i * pmd)
            self.core(pgtable.pte_alloc)(self.mm, pmdp)
        self.first_addr = self.base + pmd
        pmdp = self.core(pgtable.pmd_off)(self.mm, self.first_addr)
        self.first: int = self.core(pgtable.pte_offset_map)(pmdp, self.first_addr)
        self.table: NDArray[np.int64] = self.machine.memory.arrays["ptes"][
            self.first : self.first + self.entries
        ]
        self.window = range(self.first, self.first + self.entries)
        self.birth = self.take_log()  # its tables and its ASID, which an oracle has to know

    # -- the machine ------------------------------------------------------------------

    def core(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """A function of core-mm."""
        return self.machine.bound(function)

    def _watch(self, original: Bound) -> Bound:
        """The same primitive, which tells the bench and stays inside the table."""

        def access(ptep: int, *values: int) -> int:
            if self.window is not None and ptep not in self.window:
                raise CheckFailed(f"accesses PTE {ptep - self.first} of a table of {self.entries}")
            if self.before_access is not None:
                self.before_access(ptep)
            return original(ptep, *values)

        return access

    @contextmanager
    def watching(self, action: Callable[[int], None]) -> Iterator[None]:
        """Call `action` with the PTE before every raw access; what it does itself is not watched."""

        def once(ptep: int) -> None:
            self.before_access = None
            try:
                action(ptep)
            finally:
                self.before_access = once

        self.before_access = once
        try:
            yield
        finally:
            self.before_access = None

    @contextmanager
    def unguarded(self) -> Iterator[None]:
        """Allow other tables than the one under test."""
        window, self.window = self.window, None
        try:
            yield
        finally:
            self.window = window

    # -- entries ----------------------------------------------------------------------

    def ptep(self, index: int) -> int:
        """Of an index."""
        return self.first + index

    def addr(self, index: int) -> int:
        """Of an index."""
        return self.first_addr + index * self.page

    def blocks_of(self, start: int, nr: int) -> tuple[int, int]:
        """[first, after) of the blocks that a batch touches, by index; of its own entries where there are none."""
        size = self.block if self.has_blocks else 1
        return start // size * size, -(-(start + nr) // size) * size

    def folio(self, order: int) -> int:
        """The first frame of a new folio, aligned to its size."""
        from core_mm.page_alloc import alloc_pages

        page = int(self.core(alloc_pages)(order))
        if not page:
            raise CheckFailed(f"the bench has no memory for a folio of order {order}")
        return page

    def value(self, pfn: int, perm: str = "w", young: int = 1, dirty: int = 0) -> int:
        """An entry; `perm` is r, w, x, s (shared), sx or n (PROT_NONE)."""
        hook = self.hook
        pte = hook.pfn_pte(pfn, hook.vm_get_page_prot(PERMS[perm]))
        if perm[0] == "w" or perm[0] == "s":
            pte = hook.pte_mkwrite(pte)
        pte = hook.pte_mkdirty(pte) if dirty else hook.pte_mkclean(pte)
        return int(hook.pte_mkyoung(pte) if young else hook.pte_mkold(pte))

    def set(self, index: int, pte: int, nr: int = 1) -> None:
        """`set_ptes`."""
        self.hook.set_ptes(self.mm, self.addr(index), self.ptep(index), pte, nr)

    def view(self, pte: int) -> View:
        """What core-mm sees in a value."""
        hook = self.hook
        if hook.pte_none(pte):
            return View(NONE)
        if not hook.pte_present(pte):
            return View(SWAP, hook.pte_to_swp_entry(pte))
        return View(
            PRESENT, hook.pte_pfn(pte), _bit(hook.pte_valid(pte)), _bit(hook.pte_protnone(pte)),
            _bit(hook.pte_young(pte)), _bit(hook.pte_dirty(pte)), _bit(hook.pte_write(pte)),
            _bit(hook.pte_special(pte)),
        )  # fmt: skip

    def raw(self, pte: int) -> str:
        """A value as the kernel prints it, with the architecture's names of its bits."""
        words = "" if self.hook.pte_none(pte) or not self.hook.pte_present(pte) else self._named(pte)
        return f"{pte & (1 << 64) - 1:#018x}" + (f" [{' '.join(words.split())}]" if words else "")

    def _named(self, pte: int) -> str:
        return attributes(self.config.arch.pte_names, pte)

    def shown(self, pte: int) -> str:
        """A value as core-mm sees it and as it is."""
        return f"{self.view(pte)} ({self.raw(pte)})"

    def shown_at(self, index: int) -> str:
        """The same of an entry of the table, as it lies there."""
        return self.shown(int(self.table[index]))

    def look(self, index: int) -> View:
        """What core-mm sees at an index, under the lock.

        Of a contiguous block it is remembered if ptep_get, which reads all of it, read nothing else.
        """
        if not self.has_blocks or self.before_access is not None:
            return self._look(index)
        first = index - index % self.block
        block = self.table[first : first + self.block]
        known = index, block.tobytes()
        if known in self._seen:
            return self._seen[known]
        read: list[int] = []
        with self.watching(read.append):
            seen = self._look(index)
        whole = range(self.first + first, self.first + first + self.block)
        if block.tobytes() == known[1] and all(ptep in whole for ptep in read):
            if len(self._seen) == REMEMBERED:
                self._seen.clear()
            self._seen[known] = seen
        return seen

    def _look(self, index: int) -> View:
        return self.view(self.hook.ptep_get(self.ptep(index)))

    def looks(self, first: int, last: int) -> list[View]:
        """The same of [first, last)."""
        return [self.look(index) for index in range(first, last)]

    def touch(self, index: int, access: int) -> bool:
        """The program's access through this entry; whether the hardware let it through."""
        return bool(self.hook.mmu_access(self.mm, self.addr(index), self.ptep(index), 3, access))

    def walked(self, pte: int, access: int) -> tuple[bool, int]:
        """Whether the hardware lets an access through an entry, and the entry afterwards."""
        self.table[WALKED] = pte
        return self.touch(WALKED, access), int(self.table[WALKED])

    def reset(self) -> None:
        """As new, but for folios that are in use."""
        self.clear_table()
        self.before_access = None
        self.window = range(self.first, self.first + self.entries)
        self.machine.mach.hook = 0
        self.machine.mach.log_len = 0

    def clear_table(self) -> None:
        """Empty the table behind everyone's back."""
        self.table[:] = 0

    # -- the log ----------------------------------------------------------------------

    def take_log(self) -> Sequence[Sequence[int]]:
        """Rows since the last call."""
        length, self.machine.mach.log_len = self.machine.mach.log_len, 0
        return taken(self.machine.memory, length)

    def count(self, event: int) -> int:
        """A count so far, over all operations and hooks."""
        return int(self.machine.counts()[:, :, event].sum())


def _bit(value: int) -> int:
    return 1 if value else 0
