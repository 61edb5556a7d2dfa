"""A recording as what every engine observes: TLBIs, barriers, calls and leaf entries of each step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from mmarch.kernel import arm64
from mmarch.kernel.boot import Boot
from mmarch.kernel.records import RawLeaf, RawStep, TlbiRun
from mmarch.kernel.symbols import plain
from mmarch.measurement.notation import Leaf, Observed, Tlbi
from mmarch.workload import Step

_FLUSHES = ("tlb", "pte", "pmdp", "unmap_flush")


@dataclass(frozen=True)
class Reader:
    """What decoding takes besides the recording: the functions that are counted, whether LPA2 is in use."""

    names: tuple[str, ...]
    lpa2: bool
    boot: Boot

    @classmethod
    def of(cls, boot: Boot) -> Reader:
        """For one boot."""
        recording = boot.recording
        names = tuple(name for _, name in boot.symbols.counted())
        return cls(names, arm64.uses_lpa2(recording.registers), boot)

    def observed(self, raw: RawStep, step: Step | None, page_size: int) -> Observed:
        """One segment; `step` names its dumps."""
        dumps = [
            list(leaves(raw.dumps.get(number, ()), dump.addr, page_size))
            for number, dump in enumerate(step.dumps if step else ())
        ]
        return Observed(list(self.tlbis(raw)), self.barriers(raw), self.calls(raw), dumps)

    def tlbis(self, raw: RawStep) -> Iterator[Tlbi]:
        """In order; not those of address 0, with which CPUs of an erratum repeat a flush."""
        for run in invalidations(raw):
            for operand in run.operands():
                one = arm64.tlbi(run.instruction, operand, self.lpa2)
                if operand or one.va is None:
                    yield one

    def repeated(self, raw: RawStep) -> int:
        """TLBIs of address 0, with which CPUs of an erratum repeat a flush."""
        return sum(
            run.count
            for run in invalidations(raw)
            if not run.operand and not run.stride and arm64.tlbi(run.instruction, 0).va is not None
        )

    def barriers(self, raw: RawStep) -> dict[str, int]:
        """DSBs of flushes and of page-table entries, by domain."""
        found: Counter[str] = Counter()
        for pc, instruction, count in raw.barriers:
            function = self.boot.symbols.function(pc)
            if any(word in function for word in _FLUSHES):
                found[arm64.barrier(instruction)] += count
        return dict(found)

    def calls(self, raw: RawStep) -> dict[str, int]:
        """Entries of functions, by their names without what the compiler added; of several CPUs also what they ask."""
        found: Counter[str] = Counter()
        for line, count in raw.functions.items():
            found[plain(self.names[line])] += count
        for run in raw.tlbis if self.boot.smp > 1 else ():
            if name := arm64.ipi(run.instruction, run.operand):
                found[f"ipi_{name}"] += run.count
        return dict(found)


def invalidations(raw: RawStep) -> Iterator[TlbiRun]:
    """Without the calls of other CPUs, which the plugin lists with them."""
    return (run for run in raw.tlbis if not arm64.ipi(run.instruction, 0))


def leaves(raw: Iterable[RawLeaf], start: int, page_size: int) -> Iterator[Leaf]:
    """Pages count from the dump's start."""
    for leaf in raw:
        yield Leaf((leaf.va - start) // page_size, leaf.level, leaf.entry, leaf.count)
