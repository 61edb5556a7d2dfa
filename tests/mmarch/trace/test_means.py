"""The means of recording: their lists of tracefs writes, which of them is chosen, and what each records."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner

from core_mm import uapi
from mmarch.cli.app import app
from mmarch.errors import InputError
from mmarch.trace import recorder
from mmarch.trace.ftrace import load_ftrace
from mmarch.trace.means import (
    by_ftrace,
    choose,
    kprobe,
    leftovers,
    mounted,
    perf,
    tracepoints,
)
from mmarch.trace.means.writes import Write, as_text, execute, undo
from mmarch.trace.recording import Wanted
from tests.support.recorded import AREA, PROGRAM, lasting, load, needs
from tests.support.vma_model import Judge

PERMITTED = [pytest.param(name, marks=needs(name)) for name in choose.MEANS]


# -- the list -------------------------------------------------------------------------


def fake_tracefs(root: Path, writes: list[Write]) -> Path:
    """The files that a list writes to, empty, and those folders that it does not make itself."""
    for write in writes[1:]:
        (root / write.path).parent.mkdir(parents=True, exist_ok=True)
        (root / write.path).touch()
    return root


@pytest.mark.parametrize("faults", [tracepoints, kprobe])
def test_the_list_sets_up_an_instance(tmp_path, faults):
    """Off until the program is followed, with faults, all system calls that replay needs, births and deaths."""
    writes = by_ftrace.set_up("mmarch-7", 512, faults, "x86_64")
    assert writes[0] == Write("instances/mmarch-7/", "")
    root = fake_tracefs(tmp_path, writes)
    execute(root, writes[1:])
    instance = root / "instances/mmarch-7"
    wanted = {"trace_clock": "mono", "tracing_on": "0", "options/event-fork": "1", "buffer_size_kb": "512"}
    assert {name: (instance / name).read_text() for name in wanted} == wanted
    for event in ("syscalls/sys_exit_mremap", "task/task_newtask", "sched/sched_process_exit"):
        assert (instance / "events" / event / "enable").read_text() == "1"


def test_the_probe_is_of_handle_mm_fault_and_taken_back():
    """Its third and fourth arguments are flags and registers (mm/memory.c); a group's name has no hyphen."""
    writes = by_ftrace.set_up("mmarch-7", 512, kprobe, "aarch64")
    probe = next(write.text for write in writes if write.path == "kprobe_events")
    assert probe.split() == [
        "p:mmarch_7/mmarch_fault", "handle_mm_fault", "address=$arg2:x64", "flags=$arg3:x32", "regs=$arg4:x64",
    ]  # fmt: skip
    assert Write("instances/mmarch-7/events/mmarch_7/mmarch_fault/filter", "regs != 0") in writes
    assert list(undo(writes)) == [Write("kprobe_events", "-:mmarch_7/mmarch_fault", needed=False)]
    assert list(undo(by_ftrace.set_up("mmarch-7", 512, tracepoints, "x86_64"))) == []


def test_on_riscv_the_probe_is_behind_what_ftrace_patches():
    """A probe on the first eight bytes is refused there; arguments are then in a1 to a3 (the calling convention)."""
    probe = kprobe.writes("mmarch-7", "riscv64")[0]
    assert probe.text.split()[1:] == ["handle_mm_fault+8", "address=%a1:x64", "flags=%a2:x32", "regs=%a3:x64"]


def test_a_guest_gets_the_same_list_as_text():
    """A line each, in order: needed or not, path, text."""
    writes = by_ftrace.set_up("mmarch-7", 512, kprobe, "aarch64")
    lines = [line.split("\t") for line in as_text(writes).splitlines()]
    assert [Write(path, text, mark == "!") for mark, path, text in lines] == writes


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        ("events/exceptions/page_fault_user/enable", "no event exceptions/page_fault_user"),
        ("events/syscalls/sys_enter_brk/enable", "no event syscalls/sys_enter_brk .*CONFIG_FTRACE_SYSCALLS"),
        ("trace_clock", "refuses instances/mmarch-7/trace_clock = mono .*needs root"),
    ],
)
def test_what_is_needed_and_missing_is_named(tmp_path, missing, said):
    """With what the kernel would have to have."""
    writes = by_ftrace.set_up("mmarch-7", 512, tracepoints, "x86_64")
    root = fake_tracefs(tmp_path, writes)
    (root / "instances/mmarch-7" / missing).unlink()
    with pytest.raises(InputError, match=said):
        execute(root, writes[1:])


def test_what_is_only_welcome_may_be_missing(tmp_path):
    """As sched_prepare_exec before Linux 6.10."""
    writes = by_ftrace.set_up("mmarch-7", 512, tracepoints, "x86_64")
    root = fake_tracefs(tmp_path, writes)
    (root / "instances/mmarch-7/events/sched/sched_prepare_exec/enable").unlink()
    execute(root, writes[1:])


def test_a_tracefs_that_may_not_be_looked_at_is_refused(tmp_path, monkeypatch):
    """As without root: by what was refused, and with what it needs."""

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    @contextmanager
    def closed():
        yield tmp_path

    monkeypatch.setattr(by_ftrace, "mounted", closed)
    monkeypatch.setattr(leftovers, "clean", refuse)
    monkeypatch.setattr(Path, "mkdir", refuse)
    monkeypatch.setattr(Path, "exists", refuse)
    said = r"refuses a new instances/mmarch-\d+/ \(Permission denied\).*needs root"
    with pytest.raises(InputError, match=said), by_ftrace.ready(tracepoints, Wanted(tmp_path / "out.txt")):
        pass


def test_a_kernel_without_probes_is_told(tmp_path):
    """By the option that it would need."""
    with pytest.raises(InputError, match="CONFIG_KPROBE_EVENTS"):
        execute(tmp_path, kprobe.writes("mmarch-7", "aarch64")[:1])


def test_a_means_that_records_nothing_is_refused():
    """A kernel may take a probe, and then nothing from its handler (seen on riscv64)."""

    class Deaf:
        def follow(self, _pid: int) -> None: ...
        def start(self) -> None: ...
        def stop(self) -> None: ...
        def follow_nobody(self) -> None: ...
        def take(self, _reads: int) -> str:
            return "python-7 [000] ..... 1.000000: sys_mmap -> 0x7f0000000000\n"

    with pytest.raises(InputError, match="takes a kprobe on handle_mm_fault, and records nothing"):
        by_ftrace._prove(Deaf(), kprobe.NAME)


# -- the choice -----------------------------------------------------------------------


def means_that(*refuse: str):
    """Means of which those refuse, and the others record nothing."""

    def of(name: str):
        @contextmanager
        def ready(_wanted):
            if name in refuse:
                raise InputError(f"cannot record: {name} is refused")
            yield f"by-{name}", lambda: name

        return ready

    return {name: of(name) for name in ("tracepoints", "kprobe", "perf", "strace")}


@pytest.mark.parametrize(
    ("refuse", "best"),
    [((), "tracepoints"), (("tracepoints",), "kprobe"), (("tracepoints", "kprobe", "perf"), "strace")],
)
def test_the_best_means_that_is_permitted_is_taken(monkeypatch, refuse, best):
    """And said, with what the better ones lack."""
    monkeypatch.setattr(choose, "MEANS", means_that(*refuse))
    with choose.chosen("", Wanted(Path("x"))) as (said, run):
        assert run() == best
    assert said.startswith(f"by-{best}")
    assert all(f"not by {name}: {name} is refused" in said for name in refuse)


def test_one_reason_is_said_once():
    """As that both means of ftrace need root."""
    assert choose._instead({"a": "needs root", "b": "needs root", "c": "no c"}) == (
        "; not by a or b: needs root; not by c: no c"
    )


def test_without_any_means_each_says_what_it_lacks(monkeypatch):
    """One line each."""
    monkeypatch.setattr(choose, "MEANS", means_that("tracepoints", "kprobe", "perf", "strace"))
    with pytest.raises(InputError) as raised, choose.chosen("", Wanted(Path("x"))):
        pass
    assert str(raised.value).splitlines()[1:] == [
        f"  by {name}: {name} is refused" for name in ("tracepoints", "kprobe", "perf", "strace")
    ]


def test_an_error_while_recording_is_no_refusal(monkeypatch):
    """A second means must not run the program again."""
    monkeypatch.setattr(choose, "MEANS", means_that())
    with pytest.raises(InputError, match="lost"), choose.chosen("", Wanted(Path("x"))):
        raise InputError("events were lost")


def test_an_unknown_means_is_refused():
    """With those that there are."""
    with pytest.raises(InputError, match=r"--by dtrace: .*tracepoints, kprobe, perf, strace"):
        recorder.record(Path(os.devnull), ["true"], by="dtrace")


# -- what each records ----------------------------------------------------------------


@pytest.mark.parametrize("name", PERMITTED)
def test_each_means_records_a_trace_that_replays(tmp_path, name):
    """The area that the program maps is there; whoever sees faults sees one in each of its pages."""
    said: list[str] = []
    made = recorder.record(
        tmp_path / "out.txt", [sys.executable, "-c", PROGRAM], by=name, arguments=False, note=said.append
    )
    assert made.exit_status == 0
    assert len(said) == 1
    workload = load(made.path)
    area = next(row for row in workload.ops.tolist() if row[0] == uapi.OP_MMAP and row[3] == AREA)
    touched = Counter(
        row[2]
        for row in workload.ops.tolist()
        if row[0] == uapi.OP_TOUCH and area[2] <= row[2] < area[2] + AREA
    )
    assert set(touched) == ({area[2]} if name == "strace" else set(range(area[2], area[2] + AREA, 4096)))
    assert workload.page_size == os.sysconf("SC_PAGE_SIZE")
    assert workload.provenance["program"] == Path(sys.executable).name
    assert workload.provenance["recorded by"] in said[0]
    assert "arguments" not in workload.provenance


@pytest.mark.parametrize("name", PERMITTED)
def test_each_means_attaches_to_a_process_and_leaves_it_alone(tmp_path, name):
    """For as long as was asked; it goes on, untraced."""
    seconds = (
        8 if name == "perf" else 1.5
    )  # which takes long to open its tracepoints on a machine with much to do
    with lasting() as pid:
        made = recorder.record(tmp_path / "out.txt", pid=pid, seconds=seconds, by=name)
        assert "TracerPid:\t0" in Path(f"/proc/{pid}/status").read_text()
    assert (made.exit_status, made.interrupted) == (0, False)
    workload = load(made.path)
    assert [row[0] for row in workload.ops.tolist()].count(uapi.OP_FORK) > 0
    assert "-c" in workload.provenance["arguments"]


@needs("tracepoints")
def test_what_ran_before_is_whole(tmp_path):
    """The pages that the process had written are there at the start, so that every access is in a mapping."""
    with lasting() as pid:
        made = recorder.record(tmp_path / "out.txt", pid=pid, seconds=0.3)
    workload = load_ftrace(made.path)
    judge = Judge(workload).run()
    assert (judge.outside, judge.forbidden) == ([], [])
    assert max(row[3] for row in workload.ops.tolist() if row[0] == uapi.OP_TOUCH) >= 256
    assert [row[0] for row in workload.ops.tolist()].count(uapi.OP_CLONE_VM) == 1


def runs(stat: Path) -> bool:
    """Whether a process does; one that has ended may wait for its parent."""
    try:
        return ") Z " not in stat.read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.parametrize("name", PERMITTED)
def test_a_command_ends_when_its_time_is_over_with_all_that_it_started(tmp_path, name):
    """Also what is in another session and has lost its parent. What it did until then is kept, and is no error."""
    pids = tmp_path / "pids"
    begun = f"echo $$ >> {pids}; exec sleep 60"
    script = f"(setsid sh -c '{begun}' &); sh -c '{begun}' & {begun}"
    pids.touch()

    def let_time_be_over() -> None:
        while len(pids.read_text().split()) < 3:
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGALRM)

    threading.Thread(target=let_time_be_over, daemon=True).start()
    made = recorder.record(tmp_path / "out.txt", ["sh", "-c", script], seconds=3600, by=name)
    started = pids.read_text().split()
    assert len(started) == 3
    assert not [pid for pid in started if runs(Path("/proc", pid, "stat"))]
    assert not made.interrupted
    assert len(load(made.path).ops) > 0


# -- processes that cannot be ---------------------------------------------------------


def test_a_process_that_is_gone_is_refused(tmp_path):
    """By its number."""
    child = subprocess.Popen(["true"])
    child.wait()
    with pytest.raises(InputError, match=f"there is no process {child.pid}"):
        recorder.record(tmp_path / "out.txt", pid=child.pid)


def test_a_process_that_has_ended_is_refused(tmp_path):
    """Though its parent has not asked how."""
    child = os.fork()
    if not child:
        os._exit(0)
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    try:
        with pytest.raises(InputError, match=f"process {child} .* has ended"):
            recorder.record(tmp_path / "out.txt", pid=child)
    finally:
        os.waitpid(child, 0)


def test_a_process_that_is_not_ours_is_refused(tmp_path, monkeypatch):
    """As the kernel says when asked to signal it."""

    def refuse(_pid: int, _number: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "kill", refuse)
    with pytest.raises(InputError, match=r"process 1 .* is not ours"):
        recorder.record(tmp_path / "out.txt", pid=1)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=needs(name)) for name in ("tracepoints", "strace")]
)
def test_a_process_that_is_traced_already_is_refused(tmp_path, name):
    """By whom."""
    with subprocess.Popen(["sleep", "60"]) as process:
        try:
            with subprocess.Popen(["strace", "-qq", "-o", os.devnull, "-p", str(process.pid)]) as tracer:
                while "TracerPid:\t0" in Path(f"/proc/{process.pid}/status").read_text():
                    time.sleep(0.02)
                with pytest.raises(
                    InputError, match=rf"process {process.pid} .*process {tracer.pid} traces it"
                ):
                    recorder.record(tmp_path / "out.txt", pid=process.pid, by=name)
                tracer.send_signal(signal.SIGINT)
        finally:
            process.kill()


# -- tracefs ------------------------------------------------------------------------


@needs("tracepoints")
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to unmount tracefs for itself")
def test_where_none_is_mounted_it_mounts_its_own(tmp_path):
    """Which nobody sees, not even the program."""
    program = f"'sh', '-c', 'cat /proc/mounts > {tmp_path / 'mounts'}'"
    hide = 'for at in $(grep tracefs /proc/mounts | cut -d" " -f2); do umount $at; done; exec "$@"'
    ours = f"sys.argv[1:] = ['record', '-o', '{tmp_path}/out.txt', '--', {program}]"
    command = f"import sys; from mmarch.cli import main; {ours}; sys.exit(main())"
    subprocess.run(["unshare", "-m", "sh", "-c", hide, "sh", sys.executable, "-c", command], check=True)
    assert "tracefs" not in (tmp_path / "mounts").read_text()
    assert len(load_ftrace(tmp_path / "out.txt").ops) > 0


def test_without_the_right_to_mount_it_says_how(tmp_path, monkeypatch):
    """Nothing is invented in place of a trace."""
    mounts = tmp_path / "mounts"
    mounts.write_text("proc /proc proc rw 0 0\n")
    monkeypatch.setattr(mounted, "_FSOPEN", 1 << 20)  # no such system call
    said = r"may not be by us \(Function not implemented\).*mount -t tracefs"
    with pytest.raises(InputError, match=said), mounted.tracefs(mounts):
        pass


def test_leftovers_of_dead_recorders_are_cleared(tmp_path):
    """SIGKILL leaves an instance and a probe; those of the living stay."""
    dead, living = 2**22 + 1, os.getppid()
    for pid in (dead, living):
        (tmp_path / "instances" / f"mmarch-{pid}").mkdir(parents=True)
    probes = tmp_path / "kprobe_events"
    probes.write_text(
        f"p:mmarch_{dead}/mmarch_fault handle_mm_fault\np:mmarch_{living}/mmarch_fault x\np:kprobes/theirs y\n"
    )
    assert leftovers.clean(tmp_path) == [f"instances/mmarch-{dead}"]
    assert [each.name for each in (tmp_path / "instances").iterdir()] == [f"mmarch-{living}"]
    assert probes.read_text().endswith(f"-:mmarch_{dead}/mmarch_fault")


def test_a_pid_that_is_somebody_elses_by_now_holds_no_leftover(tmp_path):
    """Certainly so if it has no file of the instance open."""
    (tmp_path / "instances" / f"mmarch-{os.getpid()}").mkdir(parents=True)
    assert leftovers.clean(tmp_path, certainly=True) == [f"instances/mmarch-{os.getpid()}"]


@needs("tracepoints")
def test_clean_removes_what_a_killed_recorder_left(tmp_path):
    """On this machine: an instance of a process that is gone."""
    with mounted.tracefs() as root:
        left = root / "instances" / f"mmarch-{2**22 + 1}"
        left.mkdir()
        result = CliRunner().invoke(app, ["record", "--clean"])
        assert result.exit_code == 0
        assert not left.exists()


@pytest.mark.parametrize("more", [["-o", "x"], ["true"], ["-p", "1"]])
def test_clean_is_run_alone(more):
    """Neither COMMAND nor -o nor -p."""
    result = CliRunner().invoke(app, ["record", "--clean", *more])
    assert isinstance(result.exception, InputError)
    assert "takes neither COMMAND nor -o nor -p" in str(result.exception)


def test_a_buffer_that_would_have_done_holds_everything() -> None:
    """A hundred events in a mebibyte, three hundred lost: four, and the next power of two above."""
    assert perf.holding(1 << 20, 100, 300) == 8192
    assert perf.holding(1 << 20, 100, 200) == 4096
    assert perf.holding(0, 0, 5) == 1
