"""Hot spots: which operations, hooks, causes, mappings and tasks make most TLBIs, unfolds and faults."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from core_mm.uapi import OP_NAMES
from core_mm.vmstat import UNFOLD
from mmarch.history.log import Event, History
from mmarch.history.replay import FILE_SHIFT, MM_SHIFT
from mmarch.history.tables import Mapping

TLBI, UNFOLDS, FAULT = range(3)
WHOLE = "a whole address space"
NO_ADDRESS = frozenset(
    {"fork", "vfork", "clone", "execve", "exit", "spawn", "drop_caches", "lru_gen", "clear_refs"}
)


@dataclass
class _Now:
    """Mappings and tasks as the log has them so far."""

    history: History
    mms: dict[int, int] = field(default_factory=dict)
    asids: dict[int, int] = field(default_factory=dict)
    mappings: dict[int, dict[int, Mapping]] = field(default_factory=lambda: defaultdict(dict))
    sorted: dict[int, list[Mapping]] = field(default_factory=dict)

    def see(self, event: Event) -> None:
        """Follow what is no hot spot itself."""
        if event.kind == "task":
            self.mms[event.a] = event.b
        elif event.kind == "asid":
            self.asids[event.b & 0xFFFF] = event.a
        elif event.kind == "vma":
            mm = event.a >> MM_SHIFT & 0xFFFFF
            mapping = Mapping(event.b, event.c, event.asid, (event.a >> FILE_SHIFT) - 1)
            self.sorted.pop(mm, None)
            if event.c:
                self.mappings[mm][event.a & 0xFFFFFF] = mapping
            else:
                self.mappings[mm].pop(event.a & 0xFFFFFF, None)

    def task(self, event: Event) -> int:
        """Whose operation it is."""
        return int(self.history.workload.ops[event.operation, 1])

    def mapping(self, event: Event) -> str:
        """Where the event's address lies."""
        address, mm = _address(event), self.mms.get(self.task(event), 0)
        if event.kind == "tlbi":
            if event.asid < 0:
                return "none: repeated because of an erratum"
            mm = self.asids.get(event.asid & 0xFFFF, mm)
        if address is None:
            return WHOLE
        known = self.sorted.get(mm)
        if known is None:
            known = self.sorted[mm] = sorted(self.mappings[mm].values(), key=lambda m: m.start)
        at = bisect_right(known, address, key=lambda m: m.start) - 1
        if at < 0 or address >= known[at].end:
            return "no longer mapped"
        found = known[at]
        return f"{found.start:#014x}-{found.end:#014x} {found}"


def _address(event: Event) -> int | None:
    if event.kind == "tlbi":
        return event.b if event.c & 0xFFFFFFFF else None
    return event.b if event.kind == "convert" else event.a


def hot(history: History, by: str) -> list[tuple[str, list[int]]]:
    """What makes most, by "op", "hook", "cause", "mapping" or "task": TLBIs, unfolds, faults; most first."""
    now = _Now(history)
    found: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for event in history.events(0, history.operations):
        which = _which(event)
        if which is None:
            now.see(event)
        else:
            found[_label(now, event, by)][which] += event.c if event.kind == "convert" else 1
    return sorted(found.items(), key=lambda item: ([-n for n in item[1]], item[0]))


def _which(event: Event) -> int | None:
    if event.kind == "convert":
        return UNFOLDS if event.a == UNFOLD else None
    return {"tlbi": TLBI, "fault": FAULT}.get(event.kind)


def _label(now: _Now, event: Event, by: str) -> str:
    calls = now.history.calls
    if by == "op":
        return operation(now.history, event.operation)
    if by == "hook":
        return calls.hook(event.call) or "(core-mm)"
    if by == "cause":
        return ";".join(short(calls.path(event.call)))
    return now.mapping(event) if by == "mapping" else f"task {now.task(event)}"


def operation(history: History, row: int) -> str:
    """One operation for people: its row, its call, where, whose, its line in the workload."""
    op, task, address = history.workload.ops[row, :3].tolist()
    name = OP_NAMES.get(op, str(op))
    where = "" if name in NO_ADDRESS else f" {address:#x}"
    return f"{row} {name}{where} task {task} line {history.workload.line(row)}"


def short(path: tuple[str, ...]) -> tuple[str, ...]:
    """The call and the last functions of a path, up to the first that is about TLBs alone."""
    end = next((at for at, name in enumerate(path, 1) if "flush_tlb" in name), len(path))
    names = path[:end]
    return names if len(names) < 6 else (names[0], *names[-4:])


def folded(history: History, count: str) -> Iterator[str]:
    """Stacks for flame-graph tools, `a;b;c 16`; `count` is "tlbi", "unfold" or "fault"."""
    names = history.event_names
    wanted = history.setup.arch.descriptor.group("tlbi") if count == "tlbi" else (count,)
    events = [number for number, name in enumerate(names) if name and name in wanted]
    return (f"{';'.join(path)} {number}" for path, number in sorted(history.calls.folded(events)))
