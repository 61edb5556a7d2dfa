"""Which reader a trace is for: its content decides."""

from __future__ import annotations

import re
from pathlib import Path
from typing import BinaryIO

from mmarch.trace.assumed import PLAIN, Reading
from mmarch.workload import Workload

_FTRACE = re.compile(r"^# (?:tracer|mmarch trace):|^\s*\S.*-\d+\s+(?:\(.*\)\s+)?\[\d+\]|^cpus=\d|^version = \d", re.M)
_OURS = re.compile(r"^# mmarch trace:|mmarch_(?:exec|vma|file|fd):", re.M)
_PLAIN = re.compile(r"\A# mmarch events ")
_STRACE = re.compile(
    r"^\s*(?:\[pid\s+\d+\]\s+|\d+\s+)?(?:[\d:.]+\s+)?"
    r"(?:[a-z_]\w*\(.*(?:\)\s+= (?:\?|-?\d|0x)|<unfinished)|\+\+\+ exited)",
    re.M,
)
_PERF = re.compile(
    r"^\s*\S.*?\s(?:-?\d+/)?\d+\s+(?:\[\d+\]\s+)?\d+\.\d+:\s+(?:(?:\d+\s+)?[a-zA-Z][\w:-]*:\s|[0-9a-f]{6,16}\s*$)", re.M
)


def format_of(head: str) -> str:
    """ftrace, plain, strace, perf script, or "" if the beginning of a text is of none."""
    if _PLAIN.match(head):
        return "plain"
    found = [(match.start(), name) for name, form in _FORMS.items() if (match := form.search(head))]
    return min(found)[1] if found else ""


_FORMS = {"ftrace": _FTRACE, "strace": _STRACE, "perf script": _PERF}


def load_trace(
    path: Path, kind: str, reading: Reading = PLAIN, *, stream: BinaryIO | None = None, head: str = ""
) -> Workload:
    """Read `path`, or `stream` instead, as a trace of a kind that `format_of` names, with the beginning `head`."""
    from mmarch.trace.ftrace import load_ftrace
    from mmarch.trace.native import read_native
    from mmarch.trace.perf_script import load_perf_script
    from mmarch.trace.plain import load_plain
    from mmarch.trace.strace import load_strace

    if kind == "native":
        with stream or path.open("rb") as raw:
            return read_native(path, raw)
    if kind == "strace":
        return load_strace(path, reading, stream=stream)
    if kind == "perf script":
        return load_perf_script(path, reading, stream=stream, head=head)
    if kind == "plain":
        return load_plain(path, reading, stream=stream)
    if _OURS.search(head):
        return load_ftrace(path, stream=stream)
    return load_ftrace(path, reading, stream=stream, faults="page_fault_" in head)
