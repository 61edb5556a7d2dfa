"""A bench for an architecture's hooks: one process, one page table, every hook callable by its name.

For the tests of an architecture's own repository; whole system calls are `mmarch check`'s business.
"""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType
from typing import Any

from core_mm import hookspecs, syscalls
from core_mm import hookspecs as hook
from core_mm.context import check_and_switch_context
from core_mm.descriptor import ArchDescriptor
from core_mm.folio import folio_alloc
from core_mm.fork import mm_alloc
from core_mm.pgtable import pmd_alloc, pte_alloc, pte_offset_map
from core_mm.releases import DEFAULT_RELEASE
from core_mm.vma_tree import vm_area_alloc
from core_mm.vmstat import ARCH_EVENT, HOOK_CALL, LOG_TLBI, NAMES
from mmarch.engine.hookimpls import parameters
from mmarch.engine.log import taken
from mmarch.engine.machine import Config, Machine
from mmarch.plugins import load_arch

__all__ = ["Bench", "hook"]

BASE = 1 << 30  # where the one page table's range begins


def _caller(name: str) -> FunctionType:
    """A function of this module that calls one hook."""
    arguments = ", ".join(parameters(getattr(hookspecs, name)))
    space: dict[str, FunctionType] = {}
    exec(f"def {name}({arguments}):\n    return hook.{name}({arguments})\n", globals(), space)
    return space[name]


class Bench:
    """An interpreted machine on which `bench.HOOK(…)` calls the hook that wins, as core-mm would.

    arch     the architecture, or the name of an installed one
    cpu      a CPU model, granule a page size of it; the defaults of the architecture if empty
    release  a kernel release
    values   values of `core_mm.mm_types.cfg` to override

    mm, vma  rows of one process and one VMA
    addr     bytes where the range of the page table begins, aligned to it
    ptep     the first entry of that table
    """

    def __init__(
        self,
        arch: ArchDescriptor | str,
        cpu: str = "",
        granule: str = "",
        release: str = DEFAULT_RELEASE,
        **values: int,
    ) -> None:
        self.arch = load_arch(arch).descriptor if isinstance(arch, str) else arch
        generic = self.arch if self.arch.name == "generic" else load_arch("generic").descriptor
        config = Config(
            arch=self.arch, generic=generic, release=release, cpu=cpu, granule=granule,
            memory=256 << 20, log_rows=4096, overrides=values,
        )  # fmt: skip
        roots: list[Any] = [
            syscalls.boot, mm_alloc, check_and_switch_context, vm_area_alloc, pmd_alloc, pte_alloc,
            pte_offset_map, folio_alloc, *(_caller(name) for name in hookspecs.HOOKS),
        ]  # fmt: skip
        self.machine = Machine(config, "interpreted", roots)
        self._names = (*NAMES, *[""] * (ARCH_EVENT - len(NAMES)), *self.arch.events)
        self._set_up()
        self.reset()

    def _set_up(self) -> None:
        call = self.machine.call
        call("boot")
        self.mm = call("mm_alloc")
        call("check_and_switch_context", self.mm)
        self.vma = call("vm_area_alloc", self.mm)
        self.addr = BASE
        size = self.machine.memory.get("cfg", "pmd_size")
        row = self.machine.memory.tables["VMA"][self.vma]
        row["vm_mm"], row["vm_start"], row["vm_end"] = self.mm, BASE, BASE + size
        pmdp = call("pmd_alloc", self.mm, BASE)
        call("pte_alloc", self.mm, pmdp)
        self.ptep = call("pte_offset_map", pmdp, BASE)

    def __getattr__(self, name: str) -> Callable[..., int]:
        """A hook by its name."""
        if name not in hookspecs.HOOKS:
            raise AttributeError(f"{type(self).__name__} has no {name!r}, which is no hook either")
        return lambda *arguments: self.machine.call(name, *arguments)

    def folio(self, order: int = 0) -> int:
        """The first frame of a new folio of 2**order pages, aligned to its size."""
        return self.machine.call("folio_alloc", order)

    def set_flags(self, vm_flags: int) -> None:
        """Give the VMA these VM_* flags."""
        self.machine.memory.tables["VMA"][self.vma]["vm_flags"] = vm_flags

    def raw(self, ptep: int) -> int:
        """What memory holds, uncounted."""
        return int(self.machine.memory.arrays["ptes"][ptep])

    def poke(self, ptep: int, value: int) -> None:
        """Change memory as hardware would, uncounted."""
        self.machine.memory.arrays["ptes"][ptep] = value

    def reset(self) -> None:
        """Forget what was counted and logged."""
        self.machine.memory.arrays["counters"][:] = 0
        self.machine.memory.set("mach", "log_len", 0)

    def counts(self) -> dict[str, int]:
        """Events since the last `reset`, those that happened; calls of hooks are not among them."""
        sums: Any = self.machine.counts().sum(axis=(0, 1))
        sums[HOOK_CALL] = 0
        return {name: int(sums[i]) for i, name in enumerate(self._names) if name and sums[i]}

    def tlbi(self) -> list[tuple[str, int, int]]:
        """TLB invalidations since the last `reset`, in order: event, address, pages."""
        rows = taken(self.machine.memory)
        return [(self._names[r[1]], r[2], r[3] & 0xFFFFFFFF) for r in rows if r[0] == LOG_TLBI]
