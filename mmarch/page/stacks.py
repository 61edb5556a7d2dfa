"""What causes TLBIs, unfolds and faults: paths of calls with their counts."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any

from mmarch.history import History
from mmarch.history.top import short

MOST = 4000  # paths; a program of any length has some hundreds
CAUSED = ("tlbi", "unfold", "fault")
STACKED = ("tlbi", "fault", "unfold", "fold", "barrier")
Path = tuple[str, ...]


def stacks(history: History) -> dict[str, Any]:
    """Names of functions, and for each kind of event its paths as numbers of names, each with its count first."""
    known: dict[str, int] = {}
    found: dict[str, list[list[int]]] = {}
    for which in STACKED:
        paths = sorted(_paths(history, which), key=lambda item: (-item[1], item[0]))[:MOST]
        found[which] = [
            [count, *(known.setdefault(name, len(known)) for name in path)] for path, count in paths
        ]
    return {"names": list(known), "paths": found}


def causes(history: History) -> list[dict[str, Any]]:
    """For each call and the last functions before TLB maintenance, its counts; most TLBIs first."""
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for which in CAUSED:
        for path, count in _paths(history, which):
            found[";".join(short(path))][which] += count
    order = sorted(found, key=lambda cause: ([-found[cause][which] for which in CAUSED], cause))
    return [{"cause": cause, **{which: found[cause][which] for which in CAUSED}} for cause in order[:MOST]]


def _paths(history: History, which: str) -> Iterable[tuple[Path, int]]:
    """Paths of the events of a group, or of the one event of that name."""
    descriptor = history.setup.arch.descriptor
    groups = {"tlbi": descriptor.group("tlbi"), "barrier": descriptor.group("barrier")}
    events = groups.get(which, (which,))
    return history.calls.folded(number for number, name in enumerate(history.event_names) if name in events)
