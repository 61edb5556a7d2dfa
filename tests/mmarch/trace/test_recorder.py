"""Recording real programs, where the machine permits it; refusing clearly, where it does not."""

import os
import platform
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from core_mm import uapi
from mmarch.errors import InputError, InternalError
from mmarch.trace import ptrace, tracefs
from mmarch.trace.anonymize import Anonymizer
from mmarch.trace.ftrace import load_ftrace
from mmarch.trace.interrupts import Ended, Interrupts
from mmarch.trace.means import by_ftrace, mounted, tracepoints
from mmarch.trace.recorder import record
from mmarch.trace.recording import BY_CTRL_C, Wanted
from tests.support.vma_model import Judge

THREADS_AND_CHILDREN = """
import os, subprocess, threading
data = bytearray(1 << 20)
def work():
    for at in range(0, len(data), 4096):
        data[at] += 1
thread = threading.Thread(target=work)
thread.start()
thread.join()
child = os.fork()
if not child:
    work()
    os._exit(0)
os.waitpid(child, 0)
subprocess.run(["true"])
"""
EXEC_IN_A_THREAD = """
import os, threading, time
threading.Thread(target=lambda: os.execvp("true", ["true"])).start()
time.sleep(60)
"""

STORM = (
    "import mmap; mmap.mmap(-1, 64 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS).write(bytes(64 << 20))"
)
UNHURRIED = """
import mmap, time
area = mmap.mmap(-1, 12_000 * 4096, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
for page in range(12_000):
    area[page * 4096] = 1
    if page % 500 == 0:
        time.sleep(0.1)
"""


def refusal() -> str:
    """Why this machine cannot record; empty if it can."""
    try:
        with by_ftrace.ready(tracepoints, Wanted(Path(os.devnull))):
            return ""
    except InputError as error:
        return str(error)


REFUSAL = refusal()
needs_tracefs = pytest.mark.skipif(bool(REFUSAL), reason=REFUSAL)


MOST_PROCESSES = 1 << 22  # PID_MAX_LIMIT of include/linux/threads.h


def settings() -> dict[str, str]:
    """The machine's own tracing switches, and its instances."""
    with mounted.tracefs() as root:
        return settings_of(root)


def settings_of(root: Path) -> dict[str, str]:
    """Of a tracefs."""
    names = (
        "tracing_on",
        "trace_clock",
        "events/enable",
        "set_event_pid",
        "options/event-fork",
        "buffer_size_kb",
    )
    found = {name: (root / name).read_text() for name in names}
    return found | {"instances": str(sorted(left_behind(root / "instances")))}


def left_behind(instances: Path) -> Iterator[str]:
    """Those but of other processes that live, or cannot: tests beside this one record, and leave what is cleared."""
    for each in list(instances.iterdir()):
        recorder = each.name.removeprefix(tracefs.PREFIX)
        lives = recorder != str(os.getpid()) and Path("/proc", recorder).exists()
        if not lives and int(recorder) <= MOST_PROCESSES and each.exists():
            yield each.name


def count(path: Path, op: int) -> int:
    """Rows of one operation in a recording."""
    return int((load_ftrace(path).ops[:, 0] == op).sum())


@needs_tracefs
@pytest.mark.parametrize("name", ["out.ftrace.txt", "out.ftrace.txt.gz"])
def test_a_recording_replays_within_its_mappings(tmp_path, name):
    """A thread, a fork that writes, a vfork with exec: all there, every access in a live mapping."""
    before = settings()
    made = record(tmp_path / name, [sys.executable, "-c", THREADS_AND_CHILDREN])
    assert settings() == before
    assert made.exit_status == 0
    assert made.tasks == 4
    workload = load_ftrace(made.path)
    ops = workload.ops[:, 0].tolist()
    assert [ops.count(op) for op in (uapi.OP_CLONE_VM, uapi.OP_FORK, uapi.OP_VFORK, uapi.OP_EXIT)] == [
        1,
        1,
        1,
        4,
    ]
    touched = ops.count(uapi.OP_TOUCH)
    assert 256 <= touched <= made.faults + 10
    judge = Judge(workload).run()
    assert (judge.outside, judge.forbidden, judge.beyond) == ([], [], [])


@needs_tracefs
def test_a_recording_names_nobody(tmp_path):
    """Neither paths nor program names nor this process's directory are in the text."""
    secret = tmp_path / "secretdir"
    secret.mkdir()
    command = ["sh", "-c", f"cd {secret}; cat /etc/hostname > secretfile; true"]
    made = record(tmp_path / "out.txt", command, arguments=False)
    text = made.path.read_text()
    assert "secret" not in text
    assert not re.search(rf"\b{re.escape(platform.node())}\b", text)
    assert "/" not in "".join(line for line in text.splitlines() if not line.startswith("#"))


@needs_tracefs
def test_exec_in_a_thread_is_followed(tmp_path):
    """The kernel stops following when the leader dies; the recorder takes it up again."""
    made = record(tmp_path / "out.txt", [sys.executable, "-c", EXEC_IN_A_THREAD])
    assert count(made.path, uapi.OP_EXEC) == 2
    judge = Judge(load_ftrace(made.path)).run()
    assert judge.outside == []


@needs_tracefs
def test_the_status_of_the_program_is_reported(tmp_path):
    """And a descendant that lives longer is recorded to its end."""
    made = record(tmp_path / "out.txt", ["sh", "-c", "(sleep 0.3; true) & exit 3"])
    assert made.exit_status == 3
    assert count(made.path, uapi.OP_EXIT) == made.tasks


@needs_tracefs
def test_without_huge_pages_every_page_faults(tmp_path):
    """The first touch of each page of a large area is in the trace."""
    code = "import mmap; m = mmap.mmap(-1, 4 << 20, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS); m.write(bytes(4 << 20))"
    made = record(tmp_path / "out.txt", [sys.executable, "-c", code])
    workload = load_ftrace(made.path)
    area = [row for row in workload.ops.tolist() if row[0] == uapi.OP_MMAP and row[3] == 4 << 20][-1]
    touched = {row[2] for row in workload.ops.tolist() if row[0] == uapi.OP_TOUCH}
    assert set(range(area[2], area[2] + area[3], 4096)) <= touched


@needs_tracefs
def test_lost_events_are_an_error_and_nothing_is_written(tmp_path):
    """A buffer of a few KiB cannot hold an interpreter's start."""
    with pytest.raises(InputError, match=r"events were lost: .*4 KiB a CPU: --buffer \d+ .* would have done"):
        record(tmp_path / "out.txt", [sys.executable, "-c", "pass"], buffer_kib=4)
    assert list(tmp_path.iterdir()) == []


NEVER_LOOKS = "from mmarch.trace.drain import Drain; Drain._run = lambda self: None"
LOOKS_ONCE = """
import os, time
from mmarch.trace.drain import Drain
def run(self):
    while not os.path.exists("{folder}/go"):
        time.sleep(0.01)
    while self._take():
        pass
    open("{folder}/looked", "w").close()
Drain._run = run
"""


def interrupted(
    tmp_path: Path, number: int, first: str = "true", *options: str, before: str = ""
) -> tuple[subprocess.Popen[str], str, Path]:
    """`mmarch record` of a program that would last, signalled once it runs; what was said, and the program.

    first   of the shell, before it tells that it runs
    before  of Python, before it records
    """
    ready = tmp_path / "ready"
    command = ["sh", "-c", f"{first}; echo $$ > {ready}; exec sleep 60"]
    ours = "signal.signal(signal.SIGINT, signal.default_int_handler)"  # a background job ignores it
    code = f"{before}\nimport signal, sys; from mmarch.cli import main; {ours}; sys.exit(main())"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "record", *options, "-o", str(tmp_path / "out.txt"), "--", *command],
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    while not (ready.exists() and ready.read_text().strip()) and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(number)
    said = process.communicate(timeout=60)[1]
    return process, said, Path("/proc", ready.read_text().strip(), "stat")


@needs_tracefs
def test_ctrl_c_keeps_what_was_recorded(tmp_path):
    """The program ends, the instance goes, the trace until then replays, and the end is by SIGINT."""
    before = settings()
    process, said, program = interrupted(tmp_path, signal.SIGINT)
    assert process.returncode == -signal.SIGINT
    assert "interrupted: recording sh; " in said
    assert not program.exists() or ") Z " in program.read_text()
    assert settings() == before
    workload = load_ftrace(tmp_path / "out.txt")
    assert workload.provenance["ended"] == "by Ctrl-C, before the program"
    assert count(tmp_path / "out.txt", uapi.OP_EXEC) >= 1
    judge = Judge(workload).run()
    assert (judge.outside, judge.forbidden, judge.beyond) == ([], [], [])


@needs_tracefs
def test_ctrl_c_keeps_what_came_before_a_buffer_was_full(tmp_path):
    """16,384 pages are written to, and nobody takes them out of the buffer: what is before that replays."""
    script = (
        f"cd {tmp_path}; touch go; until [ -e looked ]; do sleep 0.05; done; {sys.executable} -c '{STORM}'"
    )
    held = LOOKS_ONCE.format(folder=tmp_path)
    process, said, _ = interrupted(tmp_path, signal.SIGINT, script, "--buffer", "64", before=held)
    assert process.returncode == -signal.SIGINT
    assert "a buffer was full before, and the trace ends there" in said
    assert f"{tmp_path}/out.txt holds what it did until then" in said
    workload = load_ftrace(tmp_path / "out.txt")
    assert workload.provenance["ended"] == f"{BY_CTRL_C}; {by_ftrace.FULL_FIRST}"
    judge = Judge(workload).run()
    assert (judge.outside, judge.forbidden, judge.beyond) == ([], [], [])
    assert 0 < count(tmp_path / "out.txt", uapi.OP_TOUCH) < 16384


@needs_tracefs
def test_a_file_may_grow_behind_its_mapping(tmp_path):
    """Its last size is told when the program has ended, and is no event that was lost."""
    grow = "import mmap; f = open('grown', 'wb+'); f.truncate(8192); m = mmap.mmap(f.fileno(), 8192); f.truncate(40960)"
    made = record(tmp_path / "out.txt", ["sh", "-c", f'cd {tmp_path}; exec {sys.executable} -c "{grow}"'])
    sizes = re.findall(r"mmarch_file: file=(\d+) size=(\d+)", made.path.read_text())
    assert [size for file, size in sizes if file == sizes[-1][0]][-2:] == ["8192", "40960"]


@needs_tracefs
def test_a_file_that_shrank_may_have_its_size_again(tmp_path):
    """It is cut by ftruncate, grows by write, which no trace shows, and is mapped and read to its end."""
    code = (
        "import mmap, os; f = os.open('f', os.O_RDWR | os.O_CREAT); os.write(f, bytes(40960)); os.ftruncate(f, 3);"
        "os.lseek(f, 0, 0); os.write(f, bytes(40960)); m = mmap.mmap(f, 40960, mmap.MAP_SHARED); m[40000]"
    )
    made = record(tmp_path / "out.txt", ["sh", "-c", f'cd {tmp_path}; exec {sys.executable} -c "{code}"'])
    judge = Judge(load_ftrace(made.path)).run()
    assert (judge.outside, judge.forbidden, judge.beyond) == ([], [], [])


@needs_tracefs
def test_a_recording_may_be_longer_than_its_buffer(tmp_path):
    """Events are taken out while the program runs: 12,000 faults where 3,300 fit."""
    made = record(tmp_path / "out.txt", [sys.executable, "-c", UNHURRIED], buffer_kib=128)
    assert made.faults >= 12_000
    judge = Judge(load_ftrace(made.path)).run()
    assert (judge.outside, judge.forbidden, judge.beyond) == ([], [], [])


@needs_tracefs
def test_ctrl_c_keeps_nothing_of_a_buffer_that_was_full_at_once(tmp_path):
    """Before the program itself ran: there is nothing to keep, and the cause is said."""
    process, said, _ = interrupted(
        tmp_path, signal.SIGINT, "/bin/true; /bin/true; /bin/true", "--buffer", "4", before=NEVER_LOOKS
    )
    assert process.returncode == 2
    assert "nothing was recorded: the buffer of a CPU was full before the program ran" in said
    assert [each.name for each in tmp_path.iterdir()] == ["ready"]


@needs_tracefs
def test_a_terminated_recording_restores_everything(tmp_path):
    """SIGTERM: the program ends, the instance goes, no file is left."""
    before = settings()
    process, _, program = interrupted(tmp_path, signal.SIGTERM)
    assert process.returncode != 0
    assert not program.exists() or ") Z " in program.read_text()
    assert settings() == before
    assert [each.name for each in tmp_path.iterdir()] == ["ready"]


def test_ctrl_c_ends_a_wait_and_nothing_else():
    """One that comes while a stop is handled waits for the next wait, which does not begin."""
    interrupts, waited = Interrupts(), []

    def wait() -> ptrace.Stop:
        waited.append(1)
        signal.raise_signal(signal.SIGINT)
        raise AssertionError("went on")

    with interrupts.held():
        with pytest.raises(Ended):
            interrupts.wait(wait)
        signal.raise_signal(signal.SIGINT)  # is not raised here
        with pytest.raises(Ended):
            interrupts.wait(wait)
    assert (len(waited), interrupts.by_hand) == (1, True)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@needs_tracefs
def test_a_file_that_is_no_program_is_refused(tmp_path):
    """exec fails; nothing is written."""
    empty = tmp_path / "empty"
    empty.touch(mode=0o755)
    with pytest.raises(InputError, match="could not be executed"):
        record(tmp_path / "out.txt", [str(empty)])
    assert [each.name for each in tmp_path.iterdir()] == ["empty"]


@needs_tracefs
def test_an_unwritable_output_is_refused_before_the_program_runs(tmp_path):
    """An hour's recording must not end there."""
    with pytest.raises(InputError, match="cannot write"):
        record(tmp_path / "no" / "out.txt", ["touch", str(tmp_path / "ran")])
    assert not (tmp_path / "ran").exists()


@needs_tracefs
def test_an_unknown_program_is_refused(tmp_path):
    """By its name."""
    with pytest.raises(InputError, match="no program 'no-such-program-here'"):
        record(tmp_path / "out.txt", ["no-such-program-here"])


def test_no_command_is_refused(tmp_path):
    """Anywhere."""
    with pytest.raises(InputError, match="name a command or a process"):
        record(tmp_path / "out.txt", [])


def test_another_architecture_is_refused_by_name(tmp_path, monkeypatch):
    """Traces replay anywhere, but are recorded where the numbers of system calls are known."""
    monkeypatch.setattr(platform, "machine", lambda: "s390x")
    with pytest.raises(InputError, match=r"cannot record on \w+ s390x: .* x86_64, aarch64, riscv64"):
        record(tmp_path / "out.txt", ["true"])


def raw(pid: int, body: str, comm: str = "a b-1") -> str:
    """A line as the kernel prints it."""
    return f"{comm:>16}-{pid:<7d} [001] d..1.  4711.500000: {body}\n"


def test_names_paths_and_pids_do_not_pass_the_anonymizer():
    """Task names, file names, command lines, pids and the time of day's origin."""
    lines = list(
        Anonymizer(4423).lines(
            [
                "# tracer: nop\n",
                raw(4423, "sys_mmap(addr: 0, len: 0x1)"),
                raw(
                    4423, "sched_prepare_exec: interp=/home/me/sh filename=/home/me/sh pid=4423 comm=python3"
                ),
                raw(4423, "sched_process_exec: filename=/home/me/x pid=4423 old_pid=4423"),
                raw(99, "tracing_mark_write: mmarch_exec: pid=4423 start_brk=0x1"),
                raw(4423, 'sys_execve(filename: 0x1 "/home/me/x", argv: 0x2, envp: 0x3)'),
                raw(4423, "task_newtask: pid=4500 comm=me at home clone_flags=1200000 oom_score_adj=0"),
                raw(4500, "signal_generate: sig=11 errno=0 code=1 comm=me pid=4500 grp=0 res=0"),
                raw(4500, "sched_process_exit: comm=me pid=4500 prio=120 group_dead=true"),
            ]
        )
    )
    assert [line.split(":", 1)[1].strip() for line in lines] == [
        "sched_prepare_exec: -",
        "sched_process_exec: filename=- pid=1 old_pid=1",
        "tracing_mark_write: mmarch_exec: pid=1 start_brk=0x1",
        "sys_execve(filename: 0x1, argv: 0x2, envp: 0x3)",
        "task_newtask: pid=2 comm=<...> clone_flags=1200000 oom_score_adj=0",
        "signal_generate: sig=11 errno=0 code=1 comm=<...> pid=2",
        "sched_process_exit: group_dead=true",
    ]
    assert all(line.startswith("           <...>-") and " 0.000000: " in line for line in lines)
    assert "home" not in "".join(lines)


def test_an_event_of_a_task_nobody_bore_is_our_defect():
    """The recorder follows from birth; anything else must not be written quietly."""
    with pytest.raises(InternalError, match="task 7"):
        list(Anonymizer(1).lines([raw(1, "exit_mmap: x"), raw(7, "exit_mmap: x")]))


@pytest.mark.parametrize("order", ["born stopped ended", "stopped born ended", "stopped ended born"])
def test_a_child_is_accounted_for_in_any_order_of_reports(order):
    """wait() may report a child's stop, and even its end, before its parent's fork."""
    tracees = ptrace.Tracees({1})
    for word in order.split():
        getattr(tracees, word)(2)
    assert tracees.alive == {1}
    tracees.ended(1)
    assert not tracees.alive
