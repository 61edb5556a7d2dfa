"""Run a workload and keep what happened."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from mmarch.engine.log import Log
from mmarch.engine.machine import Machine
from mmarch.errors import InputError
from mmarch.history.calls import CallTree
from mmarch.history.log import History, Note
from mmarch.runs.assemble import Request, assemble
from mmarch.runs.configure import Setup
from mmarch.runs.run import describe, error_name
from mmarch.workload import Workload

CAP = 1 << 24  # events; 31 bytes each in memory
CHUNK = 4096  # operations between two looks at Ctrl-C


def record(
    workload: Workload,
    setup: Setup,
    request: Request = Request(),
    note: Note = lambda _: None,
    progress: Callable[[int, int], None] = lambda done, total: None,
    cap: int = CAP,
) -> History:
    """Run `workload` on a fresh machine, linked, and keep its log.

    Of at most `cap` events, in whole operations; `note` says if there were more. InputError if the architecture
    does not link, or no operation fits.
    """
    request = replace(request, engine="linked", log_rows=cap, by_hook=False, by_call=True)
    machine = assemble(setup, workload, request, note)
    machine.memory.set("cfg", "log_ptes", 1)
    total = len(workload.ops)
    done = 0
    while done < total and machine.memory.get("mach", "log_len") <= cap:
        last = min(done + CHUNK, total)
        machine.call("run_operations", done, last)
        done = last
        progress(done, total)
    found = _history(machine, workload, setup, cap, done)
    if found.operations < total:
        note(f"the log holds {cap:,} events: the history ends before operation {found.operations} of {total}")
    return found


def _history(machine: Machine, workload: Workload, setup: Setup, cap: int, done: int) -> History:
    length = machine.memory.get("mach", "log_len")
    log = Log.of(machine.memory, length)
    history = History(
        setup, workload, log, CallTree.of(machine), length <= cap, machine.memory.get("mach", "frontier") + 1
    )
    if done and not history.operations:
        raise InputError(
            f"{workload.place(0)}: causes more than {cap:,} events, the most that a history holds"
        )
    results = machine.memory.arrays["results"][: history.operations]
    failed = np.flatnonzero(results < 0)
    if len(failed) and workload.steps:
        row = int(failed[0])
        error = -int(results[row])
        what = describe(workload, row, error, setup.page_size)
        raise InputError(f"{workload.place(row)}: {error_name(error)}: {what}")
    return history
