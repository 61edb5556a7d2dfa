"""The history of a run as a page holds it: bounded, packed, a row for each position of the slider."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from core_mm import vmstat
from core_mm.uapi import OP_NAMES
from mmarch.history import History
from mmarch.history.log import KINDS
from mmarch.page import spaces
from mmarch.page.cells import CHILD, changes
from mmarch.page.pack import columns
from mmarch.page.stacks import causes, stacks

Ints = NDArray[np.int64]
MOST_POSITIONS = 120_000  # of all runs of a page together
MOST_CHANGES = 200_000  # of cells and mappings
MOST_STEPS = 1000
COUNTED = ("tlbi", "unfold", "fold", "install", "fault")
_CONVERT = {vmstat.UNFOLD: 1, vmstat.FOLD: 2, vmstat.CONT_INSTALL: 3}


class Thinned(NamedTuple):
    """What fits on a page: how many operations make a position, and what changes when; no cells if they never fit."""

    every: int
    cells: Ints | None
    mappings: Ints


def past(history: History, share: int = 1) -> dict[str, Any]:
    """The history for a page with `share` of them, as JSON has it."""
    every, cells, mappings = thinned(history, share)
    ends = _ends(history, every)
    geometry = history.setup.geometry
    return {
        "operations": history.operations,
        "rows": len(history.workload.ops),
        "every": every,
        "positions": len(ends),
        "geometry": {
            "pageShift": geometry.page_shift, "bits": geometry.pte_bits, "levels": geometry.levels,
            "block": geometry.cont_ptes, "childShift": CHILD,
        },
        "opNames": [OP_NAMES.get(number, str(number)) for number in range(max(OP_NAMES) + 1)],
        "operation": columns(_operations(history, every), growing=(2, 3)),
        "counted": COUNTED,
        "counts": columns(_counts(history, ends)),
        "cells": None if cells is None else columns(cells, growing=(0, 1)),
        "tasks": columns(spaces.tasks(history, ends), growing=(0,)),
        "tops": columns(spaces.tops(history, ends), growing=(0,)),
        "mappings": columns(mappings, growing=(0, 3, 4)),
        "steps": [[step.label, step.first, step.last] for step in history.workload.steps][:MOST_STEPS],
        "measured": bool(history.workload.measured().all()),
        "stacks": stacks(history),
        "causes": causes(history),
    }  # fmt: skip


def thinned(history: History, share: int = 1) -> Thinned:
    """Every operation a position if all of it fits, else every second, fourth, …"""
    every = 1
    while history.operations > every * MOST_POSITIONS // share:
        every *= 2
    usual = every
    while True:
        ends = _ends(history, every)
        cells, mappings = changes(history, ends), spaces.mappings(history, ends)
        if len(cells) + len(mappings) <= MOST_CHANGES // share:
            return Thinned(every, cells, mappings)
        if every >= history.operations:
            return Thinned(usual, None, mappings[:0])
        every *= 2


def _ends(history: History, every: int) -> Ints:
    """The events behind each position's last operation."""
    last = np.minimum(np.arange(every, history.operations + every, every), history.operations)
    return history.starts[last]


def _operations(history: History, every: int) -> Ints:
    """Of each position's last operation: its call, task, page, line."""
    last = np.minimum(np.arange(every, history.operations + every, every), history.operations) - 1
    ops = history.workload.ops[last]
    return np.column_stack(
        [ops[:, 0], ops[:, 1], ops[:, 2] >> history.setup.page_shift, history.workload.lines[last]]
    )


def _counts(history: History, ends: Ints) -> Ints:
    """Events of each position, in order of COUNTED."""
    log, end = history.log, int(ends[-1]) if len(ends) else 0
    found = np.zeros((len(ends), len(COUNTED)), np.int64)
    names = {name: kind for kind, name in KINDS.items()}
    for column, kind in ((0, names["tlbi"]), (4, names["fault"])):
        at = np.flatnonzero(log.kind[:end] == kind)
        np.add.at(found[:, column], np.searchsorted(ends, at, side="right"), 1)
    at = np.flatnonzero(log.kind[:end] == names["convert"])
    for event, column in _CONVERT.items():
        these = at[log.a[at] == event]
        np.add.at(found[:, column], np.searchsorted(ends, these, side="right"), log.c[these])
    return found
