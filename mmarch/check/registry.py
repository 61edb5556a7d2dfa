"""What is checked: plain functions, registered once, in tiers that run in order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from mmarch.check.context import Context
from mmarch.check.outcome import Done

Level = Literal["must", "should"]
Function = Callable[[Context], "str | Done | None"]

MEANING = "meaning"  # the tier that compares two kernels
TIERS = (
    "load", "smoke", "algebra", "batch", "contiguous", "gather", "tlb", "lockless", "stateful", "differential",
    MEANING,
)  # fmt: skip


@dataclass(frozen=True)
class Check:
    """One property of an architecture.

    id        `tier.name`, stable: expected failures name it
    title     the property, as a sentence
    hooks     what a failure points to
    requires  capabilities without which it is skipped
    source    the kernel function that relies on it, or the text that demands it
    function  returns None, or a line about what it did, or that with counts
    limit     seconds after which a run of it counts as hung
    long      takes many seconds even as a sample, and is begun first
    links     compiles an image, which takes longer than all that need none: these come first
    paired    compares a kernel with the one without what --with names
    wide      in the full form looks at every release there is
    turns     looks at one machine only: a full run has it look at others in turn
    """

    id: str
    title: str
    function: Function
    hooks: tuple[str, ...]
    level: Level
    requires: frozenset[str]
    source: str
    limit: int
    long: bool
    links: bool
    paired: bool
    wide: bool
    turns: bool

    @property
    def tier(self) -> str:
        """The tier it belongs to."""
        return self.id.partition(".")[0]


CHECKS: dict[str, Check] = {}


def check(
    id: str,
    *,
    hooks: Sequence[str] = (),
    level: Level = "must",
    requires: Sequence[str] = (),
    source: str = "",
    limit: int = 240,
    long: bool = False,
    links: bool = False,
    paired: bool = False,
    wide: bool = False,
    turns: bool = False,
) -> Callable[[Function], Function]:
    """Register a function of a Context as a check; its docstring is the property it checks."""

    def register(function: Function) -> Function:
        if id in CHECKS or id.partition(".")[0] not in TIERS:
            raise ValueError(f"check id {id!r} is taken or of no tier")
        title = " ".join((function.__doc__ or "").split("\n\n")[0].split())
        CHECKS[id] = Check(
            id,
            title,
            function,
            tuple(hooks),
            level,
            frozenset(requires),
            source,
            limit,
            long,
            links,
            paired,
            wide,
            turns,
        )
        return function

    return register
