"""What perf and strace write becomes one text of ours, without names, in order of time."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from core_mm import uapi
from mmarch.errors import InputError
from mmarch.trace import recorder
from mmarch.trace.means import ending, merged, perf, strace
from mmarch.trace.means.tool import Names
from mmarch.trace.recording import Wanted
from mmarch.trace.strace import WITH_FAULTS
from tests.support.recorded import AREA, PROGRAM, lasting, load, refusal


@pytest.fixture
def both(monkeypatch):
    """perf without the right to tracepoints, as a user has it, on a machine that has strace too."""
    for name in ("perf", "strace"):
        if why := refusal(name):
            pytest.skip(why)
    monkeypatch.setattr(perf, "_tracepoints", lambda *_: [])


def test_without_tracepoints_perf_has_strace_tell_the_calls(tmp_path, both):
    """On one clock: each page of the area is touched once it is mapped, and nothing is assumed to be."""
    said: list[str] = []
    made = recorder.record(tmp_path / "out.txt", [sys.executable, "-c", PROGRAM], by="perf", note=said.append)
    assert said == [f"recording by {WITH_FAULTS}"]
    workload = load(made.path)
    rows = workload.ops.tolist()
    at, area = next((at, row) for at, row in enumerate(rows) if row[0] == uapi.OP_MMAP and row[3] == AREA)
    touched = {row[2]: at for at, row in enumerate(rows) if row[0] == uapi.OP_TOUCH}
    inside = [place for address, place in touched.items() if area[2] <= address < area[2] + AREA]
    assert len(inside) == AREA // 4096
    assert min(inside) > at
    assert made.faults == int(workload.provenance["page faults"].split()[0])
    assert "assumed accesses" not in workload.provenance
    assert workload.provenance["recorded by"] == WITH_FAULTS


def test_both_attach_to_a_process_and_leave_it_alone(tmp_path, both):
    """Its forks are strace's, its children's faults perf's."""
    with lasting() as pid:
        recorder.record(tmp_path / "out.txt", pid=pid, seconds=6, by="perf")
        assert "TracerPid:\t0" in Path(f"/proc/{pid}/status").read_text()
    rows = load(tmp_path / "out.txt").ops.tolist()
    children = {row[1] for row in rows} - {rows[0][1]}
    assert [row[0] for row in rows].count(uapi.OP_FORK) > 0
    assert any(row[0] == uapi.OP_TOUCH and row[1] in children for row in rows)


def test_a_tool_that_is_ended_before_it_begins_is_an_error_of_ours(tmp_path, both, monkeypatch):
    """Nothing was recorded, and nobody is left; strace tries ptrace on a child of its own first."""
    monkeypatch.setattr(perf, "run", lambda *_, **__: (0, True, False))
    monkeypatch.setattr(perf, "_printed", lambda *_: tmp_path / "printed")
    (tmp_path / "printed").touch()
    with pytest.raises(InputError, match="nothing was recorded"):
        recorder.record(tmp_path / "out.txt", ["true"], by="perf")
    name = tmp_path / "strace"
    name.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid; read forever < {tmp_path}/fifo\n")
    os.mkfifo(tmp_path / "fifo")
    name.chmod(0o755)
    with ending.orphans_are_ours():
        subprocess.run(["sh", "-c", f"{name} & until [ -s {tmp_path}/pid ]; do sleep 0.05; done"], check=True)
        ending.end_orphans(set(), ["strace"])
    assert not Path("/proc", (tmp_path / "pid").read_text().strip()).exists()


def test_perf_that_is_not_permitted_says_what_would_do(tmp_path, monkeypatch):
    """By the setting that some distributions have above 2."""
    fake = tmp_path / "perf"
    fake.write_text("#!/bin/sh\necho Error: >&2; echo 'Access is limited.' >&2; exit 255\n")
    fake.chmod(0o755)
    (tmp_path / "paranoid").write_text("3\n")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(perf, "PARANOID", tmp_path / "paranoid")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    said = r"perf: Access is limited\. \(kernel\.paranoid is 3; 2 would do\)"
    with pytest.raises(InputError, match=said), perf.ready(Wanted(tmp_path / "out.txt")):
        pass


def test_faults_come_between_calls_by_their_times():
    """Those of the program, by tasks that strace saw; a call that has the time of a fault goes first."""
    calls = ["1 1.000001 brk(NULL) = 0x5000\n", "1 1.000003 +++ exited with 0 +++\n"]
    names = Names()
    assert names.number("pid", "4423") == "1"
    faults = [
        "  strace 4423 1.000000500:  page-faults:     562744e0b1e0\n",
        "  my sh 4423 1.000001900:  page-faults:u:     562744e0b1e0\n",
        "  my sh 99 1.000002000:  page-faults:     562744e0b1e0\n",
    ]
    assert list(merged.by_time(calls, merged.faults(faults, {"4423"}, names))) == [
        calls[0], "1 1.000001 page-faults: 562744e0b1e0\n", calls[1],
    ]  # fmt: skip


def test_perfs_text_names_nobody():
    """Task names, file names and pids; what is left is read. A death is told once, by perf's own record of it."""
    lines = [
        "            me.sh 4423 25625.516703000:                         page-faults:     562744e0b1e0\n",
        "      me.sh 4423 25625.516704000:  sched:sched_process_exec: filename=/home/me/x pid=4423 old_pid=4423\n",
        "my sh 4423 25625.516705000:  task:task_newtask: pid=4500 comm=my sh clone_flags=1200 oom_score_adj=0\n",
        "WARNING: something of /home/me\n",
        "      me.sh 4500 25625.516706000: PERF_RECORD_COMM: me.sh:4500/4500\n",
        "      me.sh 4500 25625.516706000: sched:sched_process_exit: comm=me.sh pid=4500 prio=120\n",
        "      me.sh 4500 25625.516707000: PERF_RECORD_EXIT(4500:4500):(4423:4423)\n",
    ]
    assert list(perf.rewritten(lines, Names())) == [
        "task 1 25625.516703000:                         page-faults:     562744e0b1e0\n",
        "task 1 25625.516704000:  sched:sched_process_exec: filename=- pid=1 old_pid=1\n",
        "task 1 25625.516705000:  task:task_newtask: pid=2 comm=- clone_flags=1200 oom_score_adj=0\n",
        "task 2 25625.516707000: sched:sched_process_exit: comm=- pid=2\n",
    ]


def test_straces_text_names_nobody():
    """Paths become numbers that keep their kind; a string within arguments is gone."""
    lines = [
        '4423  1.000000 execve("/home/me/x", ["x", "a) = 0"], 0x7ffd /* 42 vars */) = 0\n',
        "4423  1.000001 mmap(NULL, 8192, PROT_READ, MAP_PRIVATE, 3</home/me/a>, 0) = 0x7f5000000000\n",
        "4423  1.000002 mmap(NULL, 8192, PROT_READ, MAP_SHARED, 4</dev/shm/mine>, 0) = 0x7f5000004000\n",
        "4423  1.000003 clone(child_stack=NULL, flags=CLONE_CHILD_SETTID|SIGCHLD, child_tidptr=0x7f55) = 4500\n",
        "4500  1.000004 mmap(NULL, 8192, PROT_READ, MAP_PRIVATE, 3</home/me/a>, 0) = 0x7f5000008000\n",
        "4500  1.000005 mmap(NULL, 81",
    ]
    assert list(strace.rewritten(lines, Names())) == [
        "1  1.000000 execve() = 0\n",
        "1  1.000001 mmap(NULL, 8192, PROT_READ, MAP_PRIVATE, 3</1>, 0) = 0x7f5000000000\n",
        "1  1.000002 mmap(NULL, 8192, PROT_READ, MAP_SHARED, 4</dev/shm/2>, 0) = 0x7f5000004000\n",
        "1  1.000003 clone(child_stack=NULL, flags=CLONE_CHILD_SETTID|SIGCHLD, child_tidptr=0) = 2\n",
        "2  1.000004 mmap(NULL, 8192, PROT_READ, MAP_PRIVATE, 3</1>, 0) = 0x7f5000008000\n",
    ]
