"""A booted machine that runs one operation at a time, and looks at its VMAs and page tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from arches.arm64 import arch as arm64
from arches.generic import arch as generic
from core_mm import uapi
from core_mm.descriptor import ArchDescriptor
from core_mm.pgtable import pmd_off, pte_offset_map
from core_mm.syscalls import boot, run_operations
from core_mm.vma_tree import find_vma, find_vma_prev
from mmarch.engine.machine import Config, Machine

BASE = 0x2_0000_0000
PAGE = 4096
ROWS = 4096
ANON = uapi.MAP_PRIVATE | uapi.MAP_ANONYMOUS | uapi.MAP_FIXED
RW = uapi.PROT_READ | uapi.PROT_WRITE


class Computer:
    """Addresses are page numbers above BASE; every operation returns what the system call would."""

    def __init__(
        self, engine: str, arch: ArchDescriptor = arm64, order: int = 0, release: str = "6.12", cpu: str = "",
        files: Sequence[tuple[int, int]] = (), memory: int = 256 << 20, **overrides: int,
    ) -> None:  # fmt: skip
        values = {"anon_always": 1 << order if order else 0, **overrides}
        orders = 1 << order if order else 0
        config = Config(
            arch=arch, generic=generic, release=release, cpu=cpu, memory=memory, overrides=values,
            anon_orders=orders, shmem_orders=orders,
        )  # fmt: skip
        rows = np.zeros((ROWS, uapi.COLUMNS), np.int64)
        roots = [boot, run_operations, find_vma, find_vma_prev, pmd_off, pte_offset_map]
        pages = sum(size // PAGE for _, size in files)
        self.machine = Machine(
            config, engine, roots, operations=rows, files=len(files), file_pages=pages, tasks=16
        )
        self.row = 0
        self._files(files)
        self.machine.call("boot")
        self.free_at_boot = self.scalar("free_pages")
        self.marks: dict[str, int] = {}
        assert self.do(uapi.OP_SPAWN) == 0

    def _files(self, files: Sequence[tuple[int, int]]) -> None:
        inodes, first = self.machine.memory.tables["INODE"], 0
        for row, (kind, size) in enumerate(files, 1):
            inodes["size"][row], inodes["kind"][row], inodes["nlink"][row] = size, kind, 1
            inodes["first"][row], inodes["pages"][row] = first, size // PAGE
            first += size // PAGE
        self.machine.memory.set("mach", "next_inode", len(files) + 1)
        self.machine.memory.set("mach", "next_file_page", first)

    def do(self, op: int, *arguments: int, task: int = 0) -> int:
        """Run one operation."""
        row = [op, task, *arguments, *[0] * (uapi.COLUMNS - 2 - len(arguments))]
        at = self.row * uapi.COLUMNS
        self.machine.memory.arrays["ops"][at : at + uapi.COLUMNS] = row
        self.machine.call("run_operations", self.row, self.row + 1)
        result = int(self.machine.memory.arrays["results"][self.row])
        self.row = (self.row + 1) % ROWS
        return result

    def map(
        self, page: int, pages: int, prot: int = RW, flags: int = ANON, file: int = -1, offset: int = 0
    ) -> int:
        """mmap at a fixed address; 0 if that is the result."""
        addr = BASE + page * PAGE
        result = self.do(uapi.OP_MMAP, addr, pages * PAGE, prot, flags, file, offset * PAGE)
        return 0 if result == addr else result

    def unmap(self, page: int, pages: int, task: int = 0) -> int:
        """munmap."""
        return self.do(uapi.OP_MUNMAP, BASE + page * PAGE, pages * PAGE, task=task)

    def protect(self, page: int, pages: int, prot: int, task: int = 0) -> int:
        """mprotect."""
        return self.do(uapi.OP_MPROTECT, BASE + page * PAGE, pages * PAGE, prot, task=task)

    def advise(self, page: int, pages: int, advice: int, task: int = 0) -> int:
        """madvise."""
        return self.do(uapi.OP_MADVISE, BASE + page * PAGE, pages * PAGE, advice, task=task)

    def move(self, page: int, pages: int, to: int, new_pages: int = -1, flags: int = 3) -> int:
        """mremap; 0 if it moved to `to`."""
        new = (pages if new_pages < 0 else new_pages) * PAGE
        result = self.do(uapi.OP_MREMAP, BASE + page * PAGE, pages * PAGE, new, flags, BASE + to * PAGE)
        return 0 if result == BASE + to * PAGE else result

    def touch(self, page: int, pages: int = 1, access: int = uapi.ACCESS_WRITE, task: int = 0) -> int:
        """One access a page."""
        return self.do(uapi.OP_TOUCH, BASE + page * PAGE, pages, access, task=task)

    def mm(self, task: int = 0) -> int:
        """The task's mm."""
        return int(self.machine.memory.tables["TASK"]["mm"][task + 1])

    def field(self, table: str, column: str, row: int) -> int:
        """One field of a table."""
        return int(self.machine.memory.tables[table][column][row])

    def vma_rows(self, task: int = 0) -> Iterator[int]:
        """Rows of the task's VMAs, by the list."""
        row = self.field("MM", "mmap", self.mm(task))
        while row:
            yield row
            row = self.field("VMA", "vm_next", row)

    def vmas(self, task: int = 0) -> list[tuple[int, int, int]]:
        """(first page, end page, access flags) of the VMAs above BASE."""
        found = []
        for row in self.vma_rows(task):
            start, end = self.field("VMA", "vm_start", row), self.field("VMA", "vm_end", row)
            if start >= BASE:
                flags = self.field("VMA", "vm_flags", row) & 7
                found.append(((start - BASE) // PAGE, (end - BASE) // PAGE, flags))
        return found

    def pte(self, page: int, task: int = 0) -> int:
        """The PTE of a page, 0 where there is no table."""
        addr = BASE + page * PAGE
        pmdp = self.machine.call("pmd_off", self.mm(task), addr)
        ptep = self.machine.call("pte_offset_map", pmdp, addr) if pmdp else 0
        return int(self.machine.memory.arrays["ptes"][ptep]) if ptep else 0

    def ptes(self, page: int, pages: int, task: int = 0) -> list[int]:
        """The PTEs of a range."""
        return [self.pte(page + i, task) for i in range(pages)]

    def scalar(self, name: str) -> int:
        """A field of mach."""
        return self.machine.memory.get("mach", name)

    def since(self, *events: str) -> list[int]:
        """Counts of events since they were last asked for."""
        totals = [self.machine.total(event) for event in events]
        news = [total - self.marks.get(event, 0) for event, total in zip(events, totals, strict=True)]
        self.marks.update(zip(events, totals, strict=True))
        return news

    def check_tree(self, task: int = 0) -> None:
        """The tree is a treap in the order of the list, and both hold `map_count` VMAs."""
        mm, listed = self.mm(task), list(self.vma_rows(task))
        assert len(listed) == self.field("MM", "map_count", mm)
        assert list(self._inorder(self.field("MM", "mm_rb", mm))) == listed
        for before, row in zip([0, *listed], listed, strict=False):
            assert self.field("VMA", "vm_prev", row) == before
            assert self.field("VMA", "vm_start", row) < self.field("VMA", "vm_end", row)
            assert not before or self.field("VMA", "vm_end", before) <= self.field("VMA", "vm_start", row)

    def _inorder(self, row: int) -> Iterator[int]:
        if not row:
            return
        for side in ("left", "right"):
            child = self.field("VMA", side, row)
            assert not child or self.field("VMA", "priority", child) <= self.field("VMA", "priority", row)
        yield from self._inorder(self.field("VMA", "left", row))
        yield row
        yield from self._inorder(self.field("VMA", "right", row))
