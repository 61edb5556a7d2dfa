"""What core-mm owes an architecture that keeps more of a page than its contents while it is in swap."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from core_mm import reclaim, shmem, syscalls
from core_mm.folio import folio_nr_pages
from core_mm.memory import swap_fault
from mmarch.check.outcome import CheckFailed
from mmarch.engine.direct import Bound, DirectMachine, Replace

PREPARE, RESTORE, INVALIDATE = "arch_prepare_to_swap", "arch_swap_restore", "arch_swap_invalidate_page"
AREA = "arch_swap_invalidate_area"


class Keeper:
    """Keeps something for every slot that is written, as MTE's tags are kept; `kept` says for which."""

    def __init__(self) -> None:
        self.kept: set[int] = set()
        self.calls: Counter[str] = Counter()
        self.machine: DirectMachine

    def replacements(self) -> dict[Callable[..., Any], Replace]:
        """Functions of core-mm to watch from the start: `instead` of a DirectMachine."""
        return {
            reclaim.pageout: self._calling(PREPARE, lambda result: result[0] == 1),
            shmem.shmem_swapin_folio: self._calling(RESTORE, lambda result: result != 0),
            swap_fault.map_swapped_in: self._calling(RESTORE, lambda result: True),
            syscalls.run_operations: self._forgotten,
        }

    def watch(self, machine: DirectMachine) -> None:
        """The hooks of the architecture."""
        self.machine = machine
        for name, step in (
            (PREPARE, self._prepare),
            (RESTORE, self._restore),
            (INVALIDATE, self._invalidate),
            (AREA, self._area),
        ):
            machine.cells[name]["target"] = self._called(name, step, machine.cells[name]["target"])

    def _in_use(self, slot: int) -> bool:
        arrays = self.machine.memory.arrays
        return bool(arrays["swap_map"][slot] or arrays["swap_cache"][slot])

    def _pages(self, folio: int) -> int:
        return int(self.machine.bound(folio_nr_pages)(folio))

    def _prepare(self, folio: int) -> None:
        first = int(self.machine.memory.tables["PAGE"]["private"][folio])
        self.kept.update(range(first, first + self._pages(folio)))

    def _restore(self, entry: int, folio: int) -> None:
        for slot in range(entry, entry + self._pages(folio)):
            if not self._in_use(slot):
                raise CheckFailed(
                    f"core-mm restores folio {folio:#x} from slot {slot:#x}, which nothing refers to"
                )

    def _invalidate(self, type: int, offset: int) -> None:
        if self._in_use(offset):
            raise CheckFailed(f"core-mm invalidates slot {offset:#x}, which is in use")
        self.kept.discard(offset)

    def _area(self, type: int) -> None:
        for slot in range(self.machine.memory.get("cfg", "swap_slots")):
            if self._in_use(slot):
                raise CheckFailed(f"core-mm invalidates swap area {type} whose slot {slot:#x} is in use")
        self.kept.clear()

    def _called(self, name: str, step: Callable[..., None], winner: Bound) -> Bound:
        def called(*arguments: int) -> int:
            self.calls[name] += 1
            step(*arguments)
            return winner(*arguments)

        return called

    def _calling(self, name: str, due: Callable[[Any], bool]) -> Replace:
        """A function that has to call a hook, if its result says so."""

        def make(original: Bound) -> Bound:
            def calling(*arguments: int) -> int:
                before = self.calls[name]
                result = original(*arguments)
                if due(result) and self.calls[name] == before:
                    raise CheckFailed(f"{original.__name__} moves a page to or from swap without {name}")
                return result

            return calling

        return make

    def _forgotten(self, original: Bound) -> Bound:
        """When operations are over nothing is kept for slots that are free."""

        def complete(first: int, last: int) -> int:
            result = original(first, last)
            left = sorted(slot for slot in self.kept if not self._in_use(slot))
            if left:
                raise CheckFailed(f"core-mm frees slot {left[0]:#x} without {INVALIDATE}")
            return result

        return complete
