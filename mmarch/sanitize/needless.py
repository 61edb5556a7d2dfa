"""Flushes that dropped nothing, by what asked for them: the call, the hook that core-mm called, where its source is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from core_mm.uapi import OP_NAMES
from mmarch.engine.hookimpls import implementations, short_where
from mmarch.engine.machine import Config


@dataclass(frozen=True)
class Needless:
    """Invalidations of one kind that one hook issued in one kind of call and that concerned no stale translation.

    source  `file:line` of the hook's implementation; "" outside of hooks
    """

    call: str
    hook: str
    source: str
    event: str
    count: int


def needless(config: Config, found: Mapping[tuple[int, int, str], int]) -> tuple[Needless, ...]:
    """Of counts by operation, number of the hook and event; the most frequent first."""
    own = {n: f for n, f in implementations(config.arch).items() if n not in config.without}
    winners, hooks = implementations(config.generic) | own, ("", *config.hooks)
    made = [
        Needless(
            OP_NAMES.get(op, str(op)), hooks[hook], short_where(winners[hooks[hook]]) if hooks[hook] in winners else "",
            event, count,
        )
        for (op, hook, event), count in found.items()
    ]  # fmt: skip
    return tuple(sorted(made, key=lambda one: (-one.count, one.call, one.hook, one.event)))
