"""A machine that tests drive operation by operation."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from types import FunctionType
from typing import Any

import numpy as np

from arches.arm64 import arch as arm64
from arches.generic import arch as generic
from core_mm import huge_memory, pgtable, syscalls, uapi
from core_mm.descriptor import ArchDescriptor
from core_mm.vmstat import ARCH_EVENT, NAMES
from mmarch.engine.lower import Options
from mmarch.engine.machine import Config, Machine

ARCHES = {"arm64": arm64, "generic": generic}
ROWS = 4096
A1 = frozenset({"pte_batch_hint", "clear_ptes", "clear_full_ptes", "wrprotect_ptes"})
ONE_IMAGE: dict[str, Any] = {  # by machines of arm64 that have one optimized image
    "roots": (huge_memory.split_huge_pmd, pgtable.pmd_off), "options": Options(attribute=True), "selectable": A1,
}  # fmt: skip


class Twin:
    """One booted machine with one task (1) and no mappings.

    order       the one enabled anonymous folio order, for VMAs with MADV_HUGEPAGE
    selectable  hooks that one image can do with and without
    """

    def __init__(
        self,
        engine: str = "linked",
        arch: ArchDescriptor | str = "arm64",
        order: int = 0,
        roots: Sequence[FunctionType] = (),
        options: Options = Options(),
        overlays: Sequence[object] = (),
        files: int = 0,
        selectable: Collection[str] = (),
        **config: object,
    ) -> None:
        chosen = ARCHES[arch] if isinstance(arch, str) else arch
        settings = Config(arch=chosen, generic=generic, anon_orders=1 << order if order else 0)
        settings = replace(settings, **config)  # type: ignore[arg-type]
        self.machine = Machine(
            settings, engine, [syscalls.boot, syscalls.run_operations, *roots],
            operations=np.zeros((ROWS, uapi.COLUMNS), np.int64), options=options, overlays=overlays, files=files,
            selectable=sorted(selectable),
        )  # fmt: skip
        self.names = (*NAMES, *[""] * (ARCH_EVENT - len(NAMES)), *chosen.events)
        self.machine.call("boot")
        self.do(uapi.OP_SPAWN, 1)

    def do(self, op: int, task: int, *arguments: int) -> int:
        """Run one operation; its result."""
        row = [op, task, *arguments, *[0] * (uapi.COLUMNS - 2 - len(arguments))]
        self.machine.memory.arrays["ops"][: uapi.COLUMNS] = row
        self.machine.call("run_operations", 0, 1)
        return int(self.machine.memory.arrays["results"][0])

    def counts(self) -> dict[str, int]:
        """All events since boot."""
        sums = self.machine.counts().sum(axis=(0, 1))
        return {name: int(sums[i]) for i, name in enumerate(self.names) if name}

    def measure(self, *row: int) -> dict[str, int]:
        """Run one operation, which must succeed; the events it caused."""
        before = self.counts()
        result = self.do(*row)
        assert result >= 0, f"operation {row} returned {result}"
        return delta(before, self.counts())


def delta(before: Mapping[str, int], after: Mapping[str, int]) -> dict[str, int]:
    """Events between two counts."""
    return {name: after[name] - before[name] for name in after}
