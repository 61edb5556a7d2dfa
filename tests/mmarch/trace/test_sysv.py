"""System V shared memory: shmget has the size, shmat the place."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from core_mm import uapi
from mmarch.errors import InputError
from mmarch.trace.ftrace import load_ftrace
from mmarch.trace.recorder import record
from mmarch.workload import File
from tests.mmarch.trace.test_ftrace import load, row, rows
from tests.mmarch.trace.test_recorder import needs_tracefs
from tests.support.trace_text import event, newtask
from tests.support.vma_model import Judge

AT = 0x7F0000000000
GOT = (event(1, "sys_shmget(key: 0, size: 0x1234, shmflg: 0x3b6)"), event(1, "sys_shmget -> 0x7"))
ATTACHED = (event(1, "sys_shmat(shmid: 7, shmaddr: 0, shmflg: 0)"), event(1, f"sys_shmat -> {AT:#x}"))
READ_ONLY = (
    event(1, "sys_shmat(shmid: 7, shmaddr: 0, shmflg: 0x1000)"),
    event(1, f"sys_shmat -> {AT + 0x9000:#x}"),
)
WRITE = uapi.PROT_READ | uapi.PROT_WRITE
ALL = """
import ctypes
c = ctypes.CDLL(None)
c.shmat.restype, c.shmat.argtypes = ctypes.c_void_p, [ctypes.c_int, ctypes.c_void_p, ctypes.c_int]
c.shmdt.argtypes = [ctypes.c_void_p]
segment = c.shmget(0, 40960, 0o1600)
at = c.shmat(segment, None, 0)
c.shmctl(segment, 0, None)
ctypes.memset(at, 1, 40960)
c.shmdt(at)
"""


def test_a_segment_is_a_file_in_shared_memory(tmp_path: Path) -> None:
    """Two mappings of the one, in whole pages, the second one to be read; a detached one goes, in a child too."""
    child = [newtask(1, 2, 0x1200000), event(2, f"sys_shmdt(shmaddr: {AT:#x})"), event(2, "sys_shmdt -> 0x0")]
    events = (*GOT, *ATTACHED, *READ_ONLY, *child)
    found = rows(tmp_path, *events)
    assert found[:2] == [
        (uapi.OP_MMAP, 0, AT, 0x2000, WRITE, uapi.MAP_SHARED, 1, 0),
        (uapi.OP_MMAP, 0, AT + 0x9000, 0x2000, uapi.PROT_READ, uapi.MAP_SHARED, 1, 0),
    ]
    assert found[-1] == row(uapi.OP_MUNMAP, 1, AT, 0x2000)
    assert load(tmp_path, *events).files[1] == File(uapi.FILE_TMPFS, 0x2000)


@pytest.mark.parametrize(
    ("events", "message"),
    [
        (ATTACHED, "segment 7: no shmget says how large it is"),
        (
            (event(1, "sys_shmget(key: 0, size: 0x200000, shmflg: 0x900)"), event(1, "sys_shmget -> 0x7")),
            "huge pages",
        ),
        (
            (event(1, f"sys_shmget(key: 0, size: {1 << 63:#x}, shmflg: 0)"), event(1, "sys_shmget -> 0x7")),
            "shmget of 0x8",
        ),
    ],
)
def test_what_cannot_be_mapped_is_said(tmp_path: Path, events: tuple[str, ...], message: str) -> None:
    """With the line."""
    with pytest.raises(InputError, match=rf"small.ftrace.txt:\d+: .*{message}"):
        load(tmp_path, *events)


@needs_tracefs
def test_a_recorded_segment_replays(tmp_path: Path) -> None:
    """Each of its ten pages is touched in a mapping that is there."""
    workload = load_ftrace(record(tmp_path / "out.txt", [sys.executable, "-c", ALL]).path)
    judge = Judge(workload).run()
    assert (judge.outside, judge.forbidden, judge.beyond) == ([], [], [])
    [mapped] = [
        tuple(one)
        for one in workload.ops.tolist()
        if one[0] == uapi.OP_MMAP and one[3:6] == [40960, WRITE, 1]
    ]
    pages = {one[2] for one in workload.ops.tolist() if one[0] == uapi.OP_TOUCH}
    assert set(range(mapped[2], mapped[2] + 40960, 4096)) <= pages
