"""Recordings by themselves: what is in one, and mmarch's own format."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mmarch.api.choosing import Work, open_workload
from mmarch.errors import InputError

if TYPE_CHECKING:
    from mmarch.workload import Workload


def show_trace(trace: Work = "", *, begin: str = "", end: str = "", tasks: Sequence[int] = ()) -> Workload:
    """The operations of a recording, as recorded, and what is known of it; InputError for a scenario.

    begin, end  seconds by the clock of the trace, or "+SECONDS" from its first event, and
    tasks       by their numbers: that part alone, after a snapshot of what is mapped when it begins
    """
    from mmarch.runs.workloads import Trace

    source = open_workload(trace)
    if not isinstance(source, Trace):
        raise InputError(f"{source.name} is a scenario, no trace")
    if begin or end or tasks:
        from mmarch.trace.cut import cut

        return cut(source.recorded, begin, end, tuple(tasks))
    return source.recorded


def convert_trace(
    trace: Work, output: str | os.PathLike[str], *, begin: str = "", end: str = "", tasks: Sequence[int] = ()
) -> int:
    """Write a recording, or the part that `show_trace` would take, in mmarch's own format; the number of bytes."""
    from mmarch.trace.native import write_native

    return write_native(show_trace(trace, begin=begin, end=end, tasks=tasks), os.fspath(output))
