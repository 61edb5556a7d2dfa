"""Tier batch: lazy MMU sections by themselves, and entries of the kernel's that become valid within and without."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from core_mm import lazy_mmu
from core_mm.vmstat import LOG_DSB, LOG_ISB, LOG_PTE
from mmarch.check.bench import Bench
from mmarch.check.context import Context
from mmarch.check.instructions import Instructions, Row
from mmarch.check.lazy import ENTER, FLUSH, LEAVE
from mmarch.check.outcome import CheckFailed, Skipped
from mmarch.check.registry import check
from mmarch.check.tiers.exact import machines
from mmarch.check.tiers.spurious import listening

STEPS, LONGEST = 40, 12  # sequences of calls, and how long they are
BEGIN, END = lazy_mmu.lazy_mmu_mode_enable, lazy_mmu.lazy_mmu_mode_disable
PAUSE, RESUME = lazy_mmu.lazy_mmu_mode_pause, lazy_mmu.lazy_mmu_mode_resume
INIT_MM = 1
USER = "USR"  # what ptdump calls the bit of an entry that programs may use
KINDS = {LOG_PTE: "store", LOG_DSB: "barrier", LOG_ISB: "isb"}


@dataclass
class Mode:
    """Sections begun and not ended, and pauses, as include/linux/pgtable.h has them since Linux 7.0."""

    depth: int = 0
    paused: int = 0

    def does(self, function: Callable[[], int]) -> tuple[list[str], int]:
        """Hooks that a call leads to, and whether it is a mistake that is warned of."""
        if function is PAUSE:
            self.paused += 1
            return [LEAVE] if self.paused == 1 and self.depth else [], 0
        if function is RESUME:
            if not self.paused:
                return [], 1
            self.paused -= 1
            return [ENTER] if not self.paused and self.depth else [], 0
        if self.paused:
            return [], 0
        if function is BEGIN:
            self.depth += 1
            return [ENTER] if self.depth == 1 else [], 0
        if not self.depth:
            return [], 1
        self.depth -= 1
        return [FLUSH] if self.depth else [LEAVE], 0


@check(
    "batch.sections",
    hooks=(ENTER, LEAVE, FLUSH),
    source="include/linux/pgtable.h:lazy_mmu_mode_enable",
    turns=True,
)
def sections(context: Context) -> None:
    """Sections nest, pauses suspend all of them, and what is not open is neither ended nor resumed."""
    bench, rng = context.bench(), context.rng()
    mach = bench.machine.mach
    if not bench.machine.feature.lazy_mmu_nesting:
        for function, hook in ((BEGIN, ENTER), (END, LEAVE)):
            if (found := heard(bench, function)) != [hook]:
                raise CheckFailed(
                    f"{function.__name__} calls {', '.join(found)}; right is {hook}{context.where}"
                )
        return
    for _ in range(STEPS):
        mode, done = Mode(), list[str]()
        mach.lazy_enabled = mach.lazy_paused = mach.warned = 0
        for function in rng.choices((BEGIN, BEGIN, END, PAUSE, RESUME), k=LONGEST):
            before = mach.warned
            found, done = heard(bench, function), [*done, function.__name__]
            expected, mistakes = mode.does(function)
            active = bool(bench.core(lazy_mmu.is_lazy_mmu_mode_active)())
            right = (expected, mistakes, bool(mode.depth and not mode.paused))
            if (found, mach.warned - before, active) != right:
                raise CheckFailed(
                    f"{done[-1]} calls {found}, warns {mach.warned - before} times and leaves the mode "
                    f"{'on' if active else 'off'}; right is {right}{context.where}",
                    done,
                )
        mach.lazy_enabled = mach.lazy_paused = mach.warned = 0


def heard(bench: Bench, function: Callable[[], int]) -> list[str]:
    """Hooks that a function of core-mm calls."""
    with listening(bench.machine, (ENTER, LEAVE, FLUSH)) as told:
        bench.core(function)()
    return [name for name, _, _ in told]


@check(
    "batch.kernel",
    hooks=("set_ptes", LEAVE, FLUSH),
    source="arch/arm64/include/asm/pgtable.h:__set_pte_complete, 5fdd05efa1cd",
)
def kernel(context: Context) -> None:
    """A valid entry of the kernel's is seen by table walkers, and by this CPU, when it is set, or its section ends."""
    user = next((name.mask for name in context.arch.pte_names if USER in name.set), 0)
    instructions = Instructions.of(context.arch, context.geometry.page_shift)
    if not user or instructions is None or instructions.model.synchronous:
        raise Skipped("the architecture has no barriers, or does not say which entries are the kernel's")
    for made in machines(context):
        bench = made.bench()
        nesting = bool(bench.machine.feature.lazy_mmu_nesting)
        for nr in (1, 3, bench.block):
            entry = bench.value(bench.folio(nr.bit_length() - 1 + (nr & nr - 1 > 0)), "r") & ~user
            for name, before, after in places(nesting):
                bench.clear_table()
                bench.take_log()
                for call in before:
                    bench.core(call)()
                bench.hook.set_ptes(INIT_MM, bench.addr(1), bench.ptep(1), entry, nr)
                for call in after:
                    bench.core(call)()
                rows = bench.take_log()
                rest(bench)
                if wrong := unseen(instructions, rows, nr) or repeated(bench.take_log()):
                    raise CheckFailed(
                        f"set_ptes of {nr} entries of the kernel's, {name}, {wrong}{made.where}"
                    )


def places(
    nesting: bool,
) -> Iterator[tuple[str, tuple[Callable[[], int], ...], tuple[Callable[[], int], ...]]]:
    """Where entries are set: what is called before, and after."""
    yield "outside of sections", (), ()
    yield "in a section that ends", (BEGIN,), (END,)
    if nesting:
        yield "in a section within another", (BEGIN, BEGIN), (END,)
        yield "in a section that is paused after them", (BEGIN,), (PAUSE,)
        yield "while a section is paused", (BEGIN, PAUSE), ()


def rest(bench: Bench) -> None:
    """Leave the mode, however deep; whatever waits would be done now."""
    mach = bench.machine.mach
    mach.lazy_enabled = mach.lazy_paused = 0
    bench.core(BEGIN)()
    bench.core(END)()


def unseen(instructions: Instructions, rows: Sequence[Row], nr: int) -> str:
    """What is missing after the last entry, "" if nothing."""
    kinds = [KINDS.get(row[0], "") for row in rows]
    stores = [number for number, kind in enumerate(kinds) if kind == "store"]
    if len(stores) != nr:
        return f"stores {len(stores)} entries"
    after = rows[stores[-1] :]
    publish = instructions.model.publish
    barriers = [n for n, row in enumerate(after) if publish.get(instructions.names.get(row[1], "")) == "all"]
    barriers = [number for number in barriers if after[number][0] == LOG_DSB]
    if not barriers:
        return "has no barrier for table walkers"
    return (
        ""
        if any(row[0] == LOG_ISB for row in after[barriers[0] :])
        else "has no barrier for this CPU's own fetches"
    )


def repeated(rows: Sequence[Row]) -> str:
    """What a section that nothing is done in may not make."""
    return (
        "makes the next section wait once more" if any(row[0] in (LOG_DSB, LOG_ISB) for row in rows) else ""
    )
