"""Lazy MMU sections of core-mm: balanced, nested as the release allows, and no entry looked at past the hooks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from core_mm import lazy_mmu, rwonce, syscalls
from mmarch.check.outcome import CheckFailed
from mmarch.engine.direct import Bound, DirectMachine, Replace

ENTER, LEAVE, FLUSH = "arch_enter_lazy_mmu_mode", "arch_leave_lazy_mmu_mode", "arch_flush_lazy_mmu_mode"
RAW = (rwonce.READ_ONCE, rwonce.WRITE_ONCE, rwonce.xchg, rwonce.cmpxchg)


class Sections:
    """Which sections are open by what core-mm calls, apart from what it keeps of them itself.

    depth   sections begun and not ended
    paused  pauses begun and not ended
    due     hooks of the architecture that the call under way has yet to make
    """

    def __init__(self) -> None:
        self.depth = self.paused = 0
        self.nesting = False
        self.due: list[str] = []

    @property
    def active(self) -> bool:
        """Whether changes of entries may be waiting."""
        return self.depth > 0 and not self.paused

    def replacements(self) -> dict[Callable[..., Any], Replace]:
        """Functions of core-mm to watch from the start: `instead` of a DirectMachine."""
        return {
            lazy_mmu.lazy_mmu_mode_enable: self._watched(self._begin),
            lazy_mmu.lazy_mmu_mode_disable: self._watched(self._end),
            lazy_mmu.lazy_mmu_mode_pause: self._watched(self._pause),
            lazy_mmu.lazy_mmu_mode_resume: self._watched(self._resume),
            syscalls.run_operation: self._balanced,
        }

    def watch(self, machine: DirectMachine) -> None:
        """The hooks of the architecture, and every way of core-mm to an entry but hooks."""
        self.nesting = bool(machine.feature.lazy_mmu_nesting)
        for name in (ENTER, LEAVE, FLUSH):
            machine.cells[name]["target"] = self._called(name, machine)
        guard = Guard(self, machine)
        machine.shadow("ptes", lambda plain: GuardedArray(plain, guard), "core_mm", rwonce.__name__)
        for function in RAW:
            machine.shadow(function.__name__, guard.function, "core_mm", rwonce.__name__)

    def _begin(self) -> list[str]:
        if self.paused:
            return []
        if self.depth and not self.nesting:
            raise CheckFailed(
                "core-mm begins a lazy MMU section inside another; they nest since Linux 7.0 only"
            )
        self.depth += 1
        return [ENTER] if self.depth == 1 else []

    def _end(self) -> list[str]:
        if self.paused:
            return []
        if not self.depth:
            raise CheckFailed("core-mm ends a lazy MMU section outside of one")
        self.depth -= 1
        return [FLUSH] if self.depth else [LEAVE]

    def _pause(self) -> list[str]:
        self.paused += 1
        return [LEAVE] if self.paused == 1 and self.depth else []

    def _resume(self) -> list[str]:
        if not self.paused:
            raise CheckFailed("core-mm resumes lazy MMU mode, which is not paused")
        self.paused -= 1
        return [ENTER] if not self.paused and self.depth else []

    def _watched(self, step: Callable[[], list[str]]) -> Replace:
        def make(original: Bound) -> Bound:
            def watched() -> int:
                self.due = step()
                result = original()
                if self.due:
                    raise CheckFailed(
                        f"{original.__name__} does not call {self.due[0]}, so that changes stay unmade"
                    )
                return result

            return watched

        return make

    def _called(self, name: str, machine: DirectMachine) -> Bound:
        """By core-mm itself; an architecture may do so as it likes."""
        winner, number = machine.cells[name]["target"], machine.layout.hook_number(name)

        def called() -> int:
            if machine.mach.hook != number:
                return int(winner())
            if self.due[:1] != [name]:
                where = f"at depth {self.depth}" if self.depth else "outside lazy MMU mode"
                raise CheckFailed(f"core-mm calls {name} {where}, where it is not due")
            self.due.pop(0)
            return int(winner())

        return called

    def _balanced(self, original: Bound) -> Bound:
        """Nothing stays open when an operation is over."""

        def balanced(row: int) -> int:
            result = original(row)
            if self.depth or self.paused:
                what = "lazy MMU mode paused" if self.paused else "a lazy MMU section open"
                raise CheckFailed(f"core-mm leaves {what} at the end of the operation")
            return result

        return balanced


class Guard:
    """Refuses entries of PTE tables in a section, unless a hook is what looks at them."""

    def __init__(self, sections: Sections, machine: DirectMachine) -> None:
        self.sections, self.mach = sections, machine.mach
        self.levels, self.bits = machine.memory.tables["PTDESC"]["level"], machine.cfg.pte_bits

    def check(self, ptep: int) -> None:
        """CheckFailed if core-mm may not look at this entry now."""
        if self.sections.active and not self.mach.hook and self.levels[ptep >> self.bits] == 0:
            raise CheckFailed(
                f"core-mm goes to entry {ptep:#x} itself in lazy MMU mode, while changes of it may be waiting: "
                "hooks such as ptep_get know of them"
            )

    def function(self, plain: Bound) -> Bound:
        """The same function of an entry, guarded."""

        def guarded(ptep: int, *values: int) -> int:
            self.check(ptep)
            return plain(ptep, *values)

        return guarded


class GuardedArray:
    """`ptes`, guarded."""

    def __init__(self, plain: Any, guard: Guard) -> None:
        self.plain, self.guard = plain, guard

    def __getitem__(self, ptep: int) -> int:
        self.guard.check(ptep)
        return int(self.plain[ptep])

    def __setitem__(self, ptep: int, entry: int) -> None:
        self.guard.check(ptep)
        self.plain[ptep] = entry
