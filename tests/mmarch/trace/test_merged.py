"""Traces in several files: strace -ff, and strace's calls with perf's faults, on one clock."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from core_mm import uapi
from mmarch.errors import InputError
from mmarch.runs.workloads import Trace, open_workload
from mmarch.trace.assumed import Reading
from mmarch.trace.clocks import Clock
from mmarch.trace.strace import WITH_FAULTS
from mmarch.workload import Workload
from tests.mmarch.conftest import Ran

PARENT = """\
1795780367.100000 execve("/bin/sh", ["sh"], 0x7ff /* 1 var */) = 0
1795780367.200000 mmap(NULL, 8192, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x7f0000000000
1795780367.300000 clone(child_stack=NULL, flags=CLONE_CHILD_CLEARTID|SIGCHLD) = 12
1795780367.500000 munmap(0x7f0000000000, 4096) = 0
1795780367.700000 +++ exited with 0 +++
"""
CHILD = """\
1795780367.400000 mprotect(0x7f0000000000, 4096, PROT_READ) = 0
1795780367.600000 +++ exited with 0 +++
"""
ORDER = [
    ("spawn", 0), ("execve", 0), ("mmap", 0), ("fault", 0), ("fork", 0), ("mprotect", 1), ("munmap", 0), ("exit", 1),
    ("exit", 0),
]  # fmt: skip
PERF = """\
     perf 10/10 1795780367.050000000: page-faults:     7f0000000000 ffffffff8175336a
       sh 11/11 1795780367.250000000: page-faults:     7f0000001234 ffffffff8175336a
       sh 12/12 1795780367.350000000: page-faults:     7f0000000000 ffffffff8175336a
   strace 10/10 1795780367.360000000: page-faults:     7f0000000000 ffffffff8175336a
      cat 99/99 1795780367.370000000: page-faults:     7f0000000000 ffffffff8175336a
       sh 12/12 1795780367.410000000: page-faults:     7f0000000008 ffffffff8175336a
       sh 11/11 1795780367.800000000: page-faults:     7f0000000008 ffffffff8175336a
"""


def several(tmp_path: Path, parent: str = PARENT, child: str = CHILD) -> Path:
    """Files as strace -ff -o t writes them; the child has the lower number, as after a wrap."""
    (tmp_path / "t.11").write_text(parent)
    (tmp_path / "t.12").write_text(child)
    return tmp_path / "t"


def read(name: Path, **how: object) -> Workload:
    """What the commands would read."""
    source = open_workload(str(name), reading=Reading(**how))  # type: ignore[arg-type]
    assert isinstance(source, Trace)
    return source.recorded


def done(workload: Workload) -> list[tuple[str, int]]:
    """Operations and their tasks."""
    return [(uapi.OP_NAMES[op], task) for op, task in workload.ops[:, :2].tolist()]


def test_the_files_of_strace_ff_are_one_trace(tmp_path: Path, mmarch: Callable[..., Ran]) -> None:
    """By the name that they share; in order of time; the same as from one file with pids."""
    name = several(tmp_path)
    assert done(read(name)) == ORDER
    lines = [
        (line, f"{pid} {line}") for pid, text in ((11, PARENT), (12, CHILD)) for line in text.splitlines()
    ]
    (tmp_path / "one").write_text("".join(f"{with_pid}\n" for _, with_pid in sorted(lines)))
    assert read(tmp_path / "one").ops.tolist() == read(name).ops.tolist()
    assert mmarch("run", name, "-q").code == 0


def test_times_of_the_day_will_do_and_none_will_not(tmp_path: Path) -> None:
    """-tt has an order, no time and -r have none."""
    day = [text.replace("1795780367.", "12:00:07.") for text in (PARENT, CHILD)]
    assert done(read(several(tmp_path, *day))) == ORDER
    for instead, says in (("", "no time"), ("     0.", "times of -r are of one task alone")):
        texts = [text.replace("1795780367.", instead) for text in (PARENT, CHILD)]
        if not instead:
            texts = [text.replace(text[:7], "") for text in texts]
            texts = [
                "".join(line.partition(" ")[2] + "\n" for line in text.splitlines())
                for text in (PARENT, CHILD)
            ]
        with pytest.raises(InputError, match=rf"t\.1[12]:1: {says}"):
            read(several(tmp_path, *texts))


def test_one_file_alone_needs_no_times(tmp_path: Path) -> None:
    """A program without children."""
    (tmp_path / "t.11").write_text("brk(NULL) = 0x55f6d4a3b000\n")
    assert done(read(tmp_path / "t")) == [("spawn", 0), ("brk", 0)]


def test_page_faults_come_in_by_their_times(tmp_path: Path) -> None:
    """None is assumed any more; those of perf, strace and of tasks that strace did not follow are left out."""
    (tmp_path / "perf").write_text(PERF)
    workload = read(several(tmp_path), faults=tmp_path / "perf", access="write")
    expected = [kind for kind in ORDER if kind[0] != "fault"]
    expected[3:3] = [("fault", 0)]
    expected[5:5] = [("fault", 1)]
    expected[7:7] = [("fault", 1)]
    assert done(workload) == expected
    assert workload.ops[3].tolist()[2:5] == [0x7F0000001000, 1, uapi.ACCESS_WRITE]
    assert workload.ignored["page faults of tasks that strace does not see"] == 1
    assert workload.provenance["page faults"] == "3 of perf"
    assert "assumed accesses" not in workload.provenance
    assert workload.times.tolist() == sorted(workload.times.tolist())


def test_a_trace_without_pids_is_of_one_task(tmp_path: Path) -> None:
    """Its faults are those of the only program that is no tracer."""
    clone = "clone(child_stack=NULL, flags=CLONE_CHILD_CLEARTID|SIGCHLD) = 12"
    alone = PARENT.replace(clone, "brk(NULL) = 0x55f6d4a3b000")
    (tmp_path / "s").write_text(alone)
    (tmp_path / "perf").write_text("\n".join(PERF.splitlines()[:2]) + "\n")
    workload = read(tmp_path / "s", faults=tmp_path / "perf")
    assert [kind for kind, _ in done(workload)] == [
        "spawn",
        "execve",
        "mmap",
        "fault",
        "brk",
        "munmap",
        "exit",
    ]


OURS = f"# mmarch recording: {WITH_FAULTS}\n# page size: 4096 bytes\n" + "".join(
    f"{line}\n"
    for line in (
        "7 1.0 mmap(NULL, 8192, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x7f0000000000",
        "7 1.1 page-faults: 7f0000001234",
        "8 1.2 page-faults: 7f0000001234",
        "7 1.3 munmap(0x7f0000000000, 8192 <detached ...>",
    )
)


def test_our_recorder_has_both_in_one_file(tmp_path: Path) -> None:
    """Faults are those of its lines, of tasks known or not; of a call that strace left nobody knows what became."""
    (tmp_path / "t").write_text(OURS)
    workload = read(tmp_path / "t", access="read")
    faults = [row[1:5] for row in workload.ops.tolist() if row[0] == uapi.OP_TOUCH]
    assert faults == [[task, 0x7F0000001000, 1, uapi.ACCESS_READ] for task in (0, 1)]
    assert [kind for kind, _ in done(workload)].count("munmap") == 0
    assert not workload.ignored
    assert workload.provenance["page faults"] == "2 of perf"
    (tmp_path / "perf").write_text(PERF)
    with pytest.raises(InputError, match="in it already; drop --faults"):
        read(tmp_path / "t", faults=tmp_path / "perf")


def test_what_is_assumed_beside_the_heap_leaves_it_room(tmp_path: Path, mmarch: Callable[..., Ran]) -> None:
    """brk wants the page behind it free, too; around the access before it 64K are taken to be mapped."""
    (tmp_path / "t").write_text(
        OURS.partition("7 1.0")[0]
        + "7 1.0 page-faults: 4b8000\n7 1.1 brk(NULL) = 0x4b9000\n7 1.2 brk(0x4b9d40) = 0x4b9d40\n"
        "7 1.3 page-faults: 4b9350\n"
    )
    ran = mmarch("run", tmp_path / "t", "-q")
    assert (ran.code, ran.err) == (0, "")


@pytest.mark.parametrize(
    ("perf", "says"),
    [
        ("", "perf: no page faults"),
        ("nonsense\n", "perf:1: not a page fault by perf script: 'nonsense'"),
        (PERF.replace("1795780367", "1"), "no fault of .*perf is of a task here"),
        (PERF.replace("11/11", "91/91").replace("12/12", "92/92"), "no fault of .*perf is of a task here"),
    ],
)
def test_faults_of_another_run_are_refused(tmp_path: Path, perf: str, says: str) -> None:
    """With how to record both."""
    (tmp_path / "perf").write_text(perf)
    with pytest.raises(InputError, match=rf"{says}.*CLOCK_REALTIME"):
        read(several(tmp_path), faults=tmp_path / "perf")


def test_strace_without_absolute_times_cannot_be_merged(tmp_path: Path) -> None:
    """The option is named."""
    (tmp_path / "perf").write_text(PERF)
    texts = [text.replace("1795780367.", "12:00:07.") for text in (PARENT, CHILD)]
    with pytest.raises(InputError, match=r"t:1: no time since 1970.*strace -f -ttt"):
        read(several(tmp_path, *texts), faults=tmp_path / "perf")


def test_clocks() -> None:
    """Midnight, differences, and none at all."""
    day = Clock()
    assert [day.read("23:59:59.5"), day.read("00:00:00.5")] == [86399.5, 86400.5]
    relative = Clock()
    assert [relative.read(text) for text in ("0.25", "0.5", None)] == [0.25, 0.75, 0.75]
    assert Clock().read(None) == 0
