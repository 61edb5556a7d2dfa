"""Which reader a trace is for: its content decides."""

from __future__ import annotations

import re
from pathlib import Path
from typing import BinaryIO

from mmarch.trace.assumed import PLAIN, Reading
from mmarch.trace.ftrace_text import BEGINS
from mmarch.workload import Workload

_OURS = re.compile(r"^# mmarch trace:|mmarch_(?:exec|vma|file|fd):", re.M)
_FORMS = {
    "systrace": re.compile(r"\A\s*<(?:!DOCTYPE html|html)", re.I),
    "plain": re.compile(r"^# mmarch events ", re.M),
    "ftrace": re.compile(rf"^# (?:tracer|mmarch trace):|^cpus=\d|^version = \d|{BEGINS}", re.M),
    "strace": re.compile(
        r"^\s*(?:\[pid\s+\d+(?:<[^>]*>)?\]\s+|\d+(?:<[^>]*>)?\s+)?(?:[\d:.]+\s+)?(?:\[ *[0-9a-f?]+\] +)*"
        r"(?:[a-z_]\w*\(.*(?:\)\s+= (?:\?|-?\d|0x)|<unfinished)|\+\+\+ exited)",
        re.M,
    ),
    "perf script": re.compile(
        r"^\s*(?:\S.*?\s)?(?:-?\d+/)?\d+\s+(?:\[\d+\]\s+)?\d+\.\d+:\s+"
        r"(?:(?:\d+\s+)?[a-zA-Z][\w:-]*:\s|[0-9a-f]{6,16}\s*$)",
        re.M,
    ),
    "perf trace": re.compile(r"^\s*\d+\.\d+ \(\s*(?:\d+\.\d+ ms)?\s*\): ", re.M),
    "lackey": re.compile(r"^(?:I  ?| [LSM] )[0-9a-f]{1,16},\d+$", re.M),
}


def format_of(head: str) -> str:
    """The name of a format, or "" if the beginning of a text is of none."""
    found = [(match.start(), name) for name, form in _FORMS.items() if (match := form.search(head))]
    return min(found)[1] if found else ""


def load_trace(
    path: Path, kind: str, reading: Reading = PLAIN, *, stream: BinaryIO | None = None, head: str = ""
) -> Workload:
    """Read `path`, or `stream` instead, as a trace of a kind that `format_of` names, with the beginning `head`.

    InputError, with file and line, for damage or for what was understood too little of.
    """
    from mmarch.trace.ftrace import load_ftrace
    from mmarch.trace.lackey import Lackey
    from mmarch.trace.native import read_native
    from mmarch.trace.perf_script import PerfScript
    from mmarch.trace.perf_trace import PerfTrace
    from mmarch.trace.plain import Plain
    from mmarch.trace.probed import FUNCTION
    from mmarch.trace.strace import Strace

    if kind == "native":
        with stream or path.open("rb") as raw:
            return read_native(path, raw, reading.salvage)
    if kind == "ftrace" and _OURS.search(head):
        return load_ftrace(path, stream=stream, salvage=reading.salvage)
    if kind in ("ftrace", "systrace"):
        faults = "page_fault_" in head or FUNCTION in head
        how = {"faults": faults, "html": kind == "systrace", "salvage": reading.salvage}
        return load_ftrace(path, reading, stream=stream, **how)
    headed = {"perf script": PerfScript, "perf trace": PerfTrace, "strace": Strace}
    simple = {"plain": Plain, "lackey": Lackey}
    reader = headed[kind](reading, head) if kind in headed else simple[kind](reading)
    return reader.workload(path, stream)
