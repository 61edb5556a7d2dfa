"""Recordings by themselves: what is in one, and mmarch's own format."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from mmarch.api.choosing import Work, open_workload
from mmarch.errors import InputError

if TYPE_CHECKING:
    from mmarch.workload import Workload


def show_trace(trace: Work = "") -> Workload:
    """The operations of a recording, as recorded, and what is known of it; InputError for a scenario."""
    from mmarch.runs.workloads import Trace

    source = open_workload(trace)
    if not isinstance(source, Trace):
        raise InputError(f"{source.name} is a scenario, no trace")
    return source.recorded


def convert_trace(trace: Work, output: str | os.PathLike[str]) -> int:
    """Write a recording in mmarch's own format; the number of bytes."""
    from mmarch.trace.native import write_native

    return write_native(show_trace(trace), os.fspath(output))
