"""Scenarios to workloads: the system calls the recording program makes, at its addresses.

Errors: mmarch.errors.InputError with file, line and column.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from mmarch.workload import Dump, Region, Step, Workload

from .emit import BLOCK_PAGES, Emitter, Process
from .model import Act, Line, Loop, Part, Place, Scenario, Show
from .words import fail

FIRST_ADDRESS = 0x200000000
MAX_DUMP_PMDS = 64
_NO_STEP = ("reserve", "drop", "end", "file", "anchor")
_OWN_REGION = ("touch", "advise", "protect", "unmap", "msync")


@dataclass(frozen=True)
class StepInfo:
    """What the workload's step does not say.

    part     the name it is reported under
    process  it forks, exits or reaps
    """

    part: str
    process: bool


@dataclass(frozen=True)
class Lowered:
    """A scenario as operations.

    infos parallels workload.steps; a step with an empty label is not measured and only carries dumps.
    next_address is where the next scenario of the same program would reserve.
    """

    workload: Workload
    infos: tuple[StepInfo, ...]
    regions: tuple[Region, ...]
    next_address: int


def lower(
    scenario: Scenario, page_size: int, order: int, kind: str | None = None, address: int = FIRST_ADDRESS
) -> Lowered:
    """The workload of `scenario` with folios of 2^order pages enabled (0: none).

    `kind` is the backing for a scenario that has several; `address` is where the first region goes.
    """
    return _Lowerer(scenario, Emitter(page_size, order, kind or scenario.kinds[0], address)).run()


def variants(scenario: Scenario, page_size: int, order: int | None = None) -> list[tuple[int, str]]:
    """The (order, kind) pairs to run: the scenario's own orders, or `order`.

    A scenario for any order runs with contpte-sized folios unless told otherwise.
    """
    own = scenario.orders or (BLOCK_PAGES[page_size].bit_length() - 1,)
    if order is not None and scenario.orders is not None and order not in own:
        meant = ", ".join(map(str, own))
        fail(
            scenario.place,
            f"scenario {scenario.name!r} is meant for order {meant}, not {order}; "
            f"run it with --folio-orders {own[0] or 'none'}",
        )
    return [(o, kind) for o in (own if order is None else (order,)) for kind in scenario.kinds]


def check_beside(scenario: Scenario, order: int, enabled: Collection[int]) -> None:
    """InputError unless all of the orders that a scenario wants at once are enabled, and no other."""
    meant = sorted({order, *scenario.beside})
    if scenario.beside and meant != sorted(enabled):
        fail(
            scenario.place,
            f"scenario {scenario.name!r} is meant for orders {', '.join(map(str, meant))} enabled at once; "
            f"run it with --folio-orders {','.join(map(str, meant))}",
        )


class _Lowerer:
    def __init__(self, scenario: Scenario, emitter: Emitter) -> None:
        self.scenario, self.emitter = scenario, emitter
        self.steps: list[Step] = []
        self.infos: list[StepInfo] = []
        self.part = scenario.name
        self.counter = 0

    def run(self) -> Lowered:
        for name, param in self.scenario.params.items():
            self.emitter.define(name, param)
        chosen = {f"parameter {name}": str(self.emitter.names[name]) for name in self.scenario.params}
        self._lines(self.scenario.body)
        out = self.emitter
        workload = Workload(
            name=self.scenario.name,
            ops=np.array(out.ops, dtype=np.int64),
            lines=np.array(out.lines, dtype=np.int32),
            files=tuple(out.files),
            steps=tuple(self.steps),
            regions=tuple(out.regions),
            source=self.scenario.place.file,
            beside=self.scenario.beside,
            provenance={"order": str(out.order), "kind": out.kind, **chosen},
        )
        return Lowered(workload, tuple(self.infos), tuple(out.regions), out.parent.space.next_address)

    def _lines(self, body: list[Line]) -> None:
        for line in body:
            if isinstance(line, Act):
                self._act(line)
            elif isinstance(line, Show):
                self._show(line)
            elif isinstance(line, Part):
                self.part = line.name
            else:
                self._loop(line)

    def _loop(self, loop: Loop) -> None:
        names = self.emitter.names
        values = self.scenario.lists[loop.values].get(self.emitter.page_size)
        if values is None:
            fail(loop.place, f"list {loop.values!r} has no values for {self.emitter.page_size >> 10}K pages")
        outer = dict(names)
        for value in values:
            names[loop.variable] = value
            self._lines(loop.body)
        names.clear()
        names.update(outer)

    def _act(self, act: Act) -> None:
        label = self._label(act)
        process = self.emitter.acting(act.child, act.place)
        first, last = self.emitter.perform(act)
        if label is None:
            return
        dumps = self._dumps(act, process, label) if act.mode == "auto" else ()
        self._step(Step(label, first, last, dumps), act.operation.verb in ("fork", "thread", "reap"))

    def _step(self, step: Step, process: bool) -> None:
        self.steps.append(step)
        self.infos.append(StepInfo(self.part, process))

    def _label(self, act: Act) -> str | None:
        if act.mode == "step":
            return self._expand(act.label, act.place)
        if act.mode == "setup":
            return None
        self.counter += 1
        return None if act.operation.verb in _NO_STEP else f"{self.counter - 1:03d} {act.place.text}"

    def _expand(self, label: str, place: Place) -> str:
        for name, value in self.emitter.names.items():
            label = label.replace("{" + name + "}", str(value))
        if "{" in label:
            fail(place, f"label {label!r} names a variable that no loop around it sets")
        return label

    def _dumps(self, act: Act, process: Process, label: str) -> tuple[Dump, ...]:
        """What the recording program dumps after a line by itself: the regions it concerns."""
        operation, regions = act.operation, process.regions
        mark = f"{label} {act.child}" if act.child else label
        if operation.verb == "map":
            return ()
        if operation.verb == "move" and operation.span:
            moved = (regions[operation.span.region], label), (regions[operation.target], mark)
            return tuple(_dump(region, process, text) for region, text in moved)
        if operation.verb in _OWN_REGION and operation.span:
            return (_dump(regions[operation.span.region], process, mark),)
        return tuple(_dump(regions[name], process, mark) for name in sorted(regions))

    def _show(self, show: Show) -> None:
        process = self.emitter.acting(show.child, show.place)
        beyond = MAX_DUMP_PMDS * self.emitter.pmd
        addr, length = self.emitter.extent(show.span, process, show.place, beyond)
        dump = Dump(self._expand(show.label, show.place), process.task, addr, length)
        end = len(self.emitter.ops)
        last = self.steps[-1] if self.steps else None
        if last is None or last.last != end or self.infos[-1].part != self.part:
            self._step(Step("", end, end, (dump,)), False)
        else:
            self.steps[-1] = Step(last.label, last.first, last.last, (*last.dumps, dump))


def _dump(region: Region, process: Process, label: str) -> Dump:
    return Dump(f"{label}.{region.name}", process.task, region.addr, region.length, asked=False)
