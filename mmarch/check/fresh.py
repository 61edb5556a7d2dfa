"""Rows that were just allocated: zero but for what says what they are (kmem_cache_zalloc, post_alloc_hook)."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from types import FrameType
from typing import Any

from core_mm.mm_types import PG_LARGE, PG_ORDER_SHIFT
from mmarch.check.outcome import CheckFailed
from mmarch.check.profiling import profiled
from mmarch.engine.machine import Machine

# allocator -> table, and its columns that are not zero, None if that is nobody's business
ALLOCATORS: Mapping[str, tuple[str, Mapping[str, int | None]]] = {
    "vm_area_alloc": ("VMA", {"vm_mm": None, "priority": None}),
    "mm_alloc": ("MM", {"pgd": None, "mm_users": 1, "pgtables": 1}),
    "tlb_gather_start": (
        "GATHER",
        {"mm": None, "fullmm": None, "start": 1 << 62, "active": None, "local": None},
    ),
    "anon_vma_alloc": ("ANON_VMA", {"parent": None, "root": None, "next": None}),
}
FRAMES = "get_page_from_freelist"
UNUSED = "added"  # of a folio that is on no list


class Fresh:
    """Looks at every row that an interpreted machine allocates."""

    def __init__(self, machine: Machine) -> None:
        self.tables = machine.memory.tables

    def watched(self) -> AbstractContextManager[None]:
        """CheckFailed from within the allocation."""
        return profiled(self._called)

    def _called(self, frame: FrameType, event: str, result: Any) -> None:
        name = frame.f_code.co_name
        if event != "return" or not result:
            return
        if name in ALLOCATORS:
            table, own = ALLOCATORS[name]
            self._look(name, table, result, own)
        elif name == FRAMES:
            order = frame.f_locals["order"]
            flags = PG_LARGE | order << PG_ORDER_SHIFT if order else 0
            self._look(name, "PAGE", result, {"refcount": 1, "head": result, "flags": flags, UNUSED: None})
            for tail in range(result + 1, result + (1 << order)):
                self._look(name, "PAGE", tail, {"head": result, UNUSED: None})

    def _look(self, name: str, table: str, row: int, own: Mapping[str, int | None]) -> None:
        rows = self.tables[table]
        for column in rows.columns:
            wanted, found = own.get(column, 0), int(rows[column][row])
            if wanted is not None and found != wanted:
                raise CheckFailed(
                    f"{name} gives {table} {row} with {column} {found:#x}; right is {wanted:#x}"
                )
