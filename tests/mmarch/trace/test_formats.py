"""Traces of other tracers: what their lines mean, what is assumed, what is refused; damage never breaks anything."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core_mm import uapi
from mmarch.errors import InputError
from mmarch.trace.assumed import PLAIN as PLAIN_READING
from mmarch.trace.assumed import Reading
from mmarch.trace.formats import format_of, load_trace
from mmarch.trace.maps import read_maps
from mmarch.trace.strace import arguments, value
from mmarch.workload import Workload
from tests.mmarch.conftest import Ran

STRACE = """\
execve("/usr/bin/true", ["true"], 0x7ffd7d7e7f38 /* 20 vars */) = 0
brk(NULL)                               = 0x55f6d4a3b000
brk(0x55f6d4a5c000)                     = 0x55f6d4a5c000
openat(AT_FDCWD, "/lib/libc, (old) = 3.so", O_RDONLY|O_CLOEXEC) = 3
mmap(NULL, 262144, PROT_READ, MAP_PRIVATE|MAP_DENYWRITE, 3, 0) = 0x7f1dde1f0000
mprotect(0x7f1dde1f0000, 8192, PROT_READ|PROT_WRITE) = 0
madvise(0x7f1dde1f0000, 4096, MADV_DONTNEED) = 0
munmap(0x7f1dde200000, 4096)            = -1 EINVAL (Invalid argument)
munmap(0x7f1dde1f0000, 262144)          = 0
+++ exited with 0 +++
"""
CALLS = ["spawn", "execve", "brk", "brk", "fault", "mmap", "fault", "mprotect", "madvise", "munmap", "exit"]

PLAIN = """\
# mmarch events 1
7 exec
7 mmap 0x10000000 65536 3 0x22
7 fault 0x10000123 w
7 fault 0x10001000 r    # a comment
7 mmap 0x20000000 8192 1 2 /usr/lib/libc.so.6 4096
7 fork 8
8 munmap 0x10000000 65536
8 exit
7 mremap 0x10000000 65536 131072 1 0x30000000
"""

PERF = """\
# arch : aarch64
python3  7/7  12.000001: page-faults:     7fda3ea48290 [unknown] (/bin/git) ffffffff8175336a load ([kernel.kallsyms])
python3  7/7  12.000002: raw_syscalls:sys_enter: NR 222 (0, 4000, 3, 22, ffffffff, 0)
python3  7/7  12.000003: raw_syscalls:sys_exit: NR 222 = 140505395650560
    ffffffff81b73c18 _copy_to_user ([kernel.kallsyms])

my prog  7/7  12.000004: page-faults:     7fc9f6327000 main (/usr/bin/git) 5581b73c1822 main (/usr/bin/git)
"""

LACKEY = """\
==29844== Lackey, an example Valgrind tool
I  0401ab70,3
 S 1fff000688,8
I  0401ab73,5
 L 1fff000690,8
SYSCALL[29844,1](9) sys_mmap ( 0x0, 8192, 3, 34, 4294967295, 0 ) --> [pre-success] Success(0x4835000)
SYSCALL[29844,1](21) sys_access ( 0x402a2a0(/etc/ld.so.preload), 4 )[sync] --> Failure(0x2)
 M 04835ff8,8
SYSCALL[29844,1](11) sys_munmap ( 0x4835000, 8192 )[sync] --> Success(0x0)
"""

PERF_TRACE = """\
     0.000 ( 0.000 ms): git/10793 minfault [elf_load+0x28a] => 0x55dc909190b0 (?k)
     0.097 ( 0.000 ms): git/10793 minfault [_start+0x0] => /usr/lib/ld-linux-x86-64.so.2@0x1ab70 (d.)
     0.120 ( 0.003 ms): git/10793 mmap(len: 8192, prot: READ|WRITE, flags: PRIVATE|ANONYMOUS) = 0x7f4cf21d6000
     0.130 ( 0.000 ms): git/10793 minfault [main+0x1] => 0x7f4cf21d6110 (?k)
     0.140 ( 0.001 ms): git/10793 munmap(addr: 0x7f4cf21d6000, len: 8192)            = 0
"""


def load(tmp_path: Path, text: str, reading: Reading = PLAIN_READING) -> Workload:
    """By its content."""
    path = tmp_path / "trace"
    path.write_text(text)
    return load_trace(path, format_of(text), reading, head=text)


def names(workload: Workload) -> list[str]:
    """Of the operations."""
    return [uapi.OP_NAMES[op] for op in workload.ops[:, 0].tolist()]


@pytest.mark.parametrize(
    "head",
    [
        pytest.param("", id="alone"),
        pytest.param("9632 ", id="-f -o"),
        pytest.param("[pid  9632] ", id="-f"),
        pytest.param("12:00:01 ", id="-t"),
        pytest.param("12:00:01.123456 ", id="-tt"),
        pytest.param("9632  1716212345.123456 ", id="-f -ttt"),
        pytest.param("     0.000012 ", id="-r"),
    ],
)
def test_strace_in_all_its_heads(tmp_path: Path, head: str) -> None:
    """The same operations whatever stands before a call; the failed munmap is none of them."""
    text = "".join(f"{head}{line}\n" for line in STRACE.splitlines())
    assert format_of(text) == "strace"
    workload = load(tmp_path, text)
    assert names(workload) == CALLS
    assert workload.files[0].size == 262144
    assert workload.ignored["munmap that failed"] == 1
    assert load(tmp_path, text.replace(" = 0\n", " = 0 <0.000012>\n")).ops.tolist() == workload.ops.tolist()


def test_strace_of_files_by_descriptor(tmp_path: Path) -> None:
    """-y gives the path; without it the open call did; two mappings of one path are of one file."""
    named = STRACE.replace(", 3, 0)", ", 3</lib/libc, (old) = 3.so>, 0)")
    for text in (STRACE, named):
        assert len(load(tmp_path, text).files) == 1


def test_strace_interrupted_calls_and_a_child_that_acts_before_its_birth_returns(tmp_path: Path) -> None:
    """A munmap has its effect where it begins; the child is forked when it is first seen."""
    workload = load(tmp_path, """\
1 execve("/bin/sh", ["sh"], 0x7ff /* 1 var */) = 0
1 mmap(NULL, 8192, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x7f0000000000
1 clone(child_stack=NULL, flags=CLONE_CHILD_CLEARTID|SIGCHLD <unfinished ...>
2 munmap(0x7f0000000000, 8192 <unfinished ...>
1 <... clone resumed>, child_tidptr=0x7f7d390c4a10) = 2
1 mprotect(0x7f0000000000, 4096, PROT_READ) = 0
2 <... munmap resumed>) = 0
2 +++ killed by SIGKILL +++
""")
    assert names(workload) == ["spawn", "execve", "mmap", "fault", "fork", "munmap", "mprotect", "exit"]
    assert workload.ops[:, 1].tolist() == [0, 0, 0, 0, 0, 1, 0, 1]


def test_strace_attached_notes_cut_lines(tmp_path: Path) -> None:
    """Without -o strace's notes stand in the middle of a call, and the first task has no pid before there are two."""
    workload = load(tmp_path, """\
     0.000021 brk(NULL)                 = 0x55f6d4a3b000
     0.000023 clone(child_stack=NULL, flags=CLONE_VM|CLONE_THREAD|CLONE_SIGHANDstrace: Process 9633 attached
, child_tidptr=0x7f7d390c4a10) = 9633
[pid  9633]      0.000146 munmap(0x7f0000000000, 4096) = 0
[pid  9632]      0.000006 munmap(0x7f0000000000, 4096) = 0
""")
    assert names(workload) == ["spawn", "brk", "clone", "mmap", "munmap", "mmap", "munmap"]
    assert workload.ops[2:, 1].tolist() == [0, 1, 1, 0, 0]


@pytest.mark.parametrize(("touch", "pages"), [("all", 0x21 + 64 + 0), ("first", 2), ("none", 0)])
def test_touch_says_what_the_user_of_a_mapping_did(tmp_path: Path, touch: str, pages: int) -> None:
    """Of the heap's 33 pages and the file's 64: all, one each, none; the result names it."""
    workload = load(tmp_path, STRACE, Reading(touch=touch))  # type: ignore[arg-type]
    ops = workload.ops
    assert ops[ops[:, 0] == uapi.OP_TOUCH, 3].sum() == pages
    assert workload.provenance["assumed accesses"] == f"{touch} of each new mapping, {pages} in all"


@pytest.mark.parametrize(("access", "kinds"), [("write", [1, 1]), ("read", [0, 0]), ("by-protection", [1, 0])])
def test_access_says_how(tmp_path: Path, access: str, kinds: list[int]) -> None:
    """The heap may be written, the file may not."""
    ops = load(tmp_path, STRACE, Reading(access=access)).ops  # type: ignore[arg-type]
    assert ops[ops[:, 0] == uapi.OP_TOUCH, 4].tolist() == kinds


def test_what_was_there_before_the_trace_is_assumed(tmp_path: Path) -> None:
    """A call that succeeded proves that its range was mapped; holes alone are filled, once."""
    workload = load(tmp_path, """\
mmap(NULL, 4096, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x7f0000001000
mprotect(0x7f0000000000, 16384, PROT_READ) = 0
madvise(0x7f0000000000, 16384, MADV_COLD) = 0
""", Reading(touch="none"))
    maps = workload.ops[workload.ops[:, 0] == uapi.OP_MMAP][:, 2:4].tolist()
    assert maps == [[0x7F0000001000, 4096], [0x7F0000000000, 4096], [0x7F0000002000, 8192]]
    assert workload.provenance["assumed mappings"].startswith("2 ")


MAPPED = "mmap(NULL, 8192, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x7f0000001000"


@pytest.mark.parametrize(
    "text",
    [
        f"12<sh> {MAPPED}\n",
        f"[pid    12<sh>] {MAPPED}\n",
        f"12 1700000000.123456789 [00007f990d913ad7] {MAPPED}\n12 [????????????????] +++ exited with 0 +++\n",
        f"12 10:01:02 [   9] [00007f990d913ad7] {MAPPED} <0.000012345>\n",
        f"{MAPPED}\n > /usr/lib/libc.so.6(mmap64+0x17) [0x1119d7]\n > /usr/bin/x(main+0x1) [0x1000]\n",
        f"{MAPPED}\n% time     seconds  usecs/call     calls    errors syscall\n------ ----- ----- ---- ---- ----\n"
        " 65.85    0.000108         108         1           mmap\n100.00    0.000108         108         1 total\n",
        f"{MAPPED}\nmunmap(0xffffffffffffffff, 4096) = -1 EINVAL (Invalid argument)\n",
    ],
    ids=["-Y", "-Y-pid", "-i", "-n", "-k", "-C", "refused"],
)  # fmt: skip
def test_what_options_of_strace_add(tmp_path: Path, text: str) -> None:
    """Names of tasks, instruction pointers, numbers of calls, stacks and a summary say nothing of mappings.

    Nor do calls that the kernel refused.
    """
    workload = load(tmp_path, text, Reading(touch="none"))
    assert format_of(text) == "strace"
    maps = workload.ops[workload.ops[:, 0] == uapi.OP_MMAP]
    assert maps[:, 2:4].tolist() == [[0x7F0000001000, 8192]]
    assert not {kind for kind in workload.ignored if kind.startswith(("line", "event"))}


@pytest.mark.parametrize(
    "text",
    [
        "sh 12 1.5:  1 page-faults:  7fda3ea40008 x+0x8 (/bin/x) \n\tffffffff8175336a elf_load+0x28a ([kernel])\n\n",
        "12 1.500000: page-faults:     7fda3ea40008\n",
        "12/12 1.500000: page-faults:     7fda3ea40008 ffffffff8175336a\n",
        "sh 0 0.000000: PERF_RECORD_COMM: sh:12/12\nsh 12 1.5: PERF_RECORD_MMAP2 12/12: [0x7f(0x5) @ 0 0:0]: r--p /x\n"
        "sh 12 1.500000:  1 page-faults:  7fda3ea40008 x+0x8 (/bin/x) ffffffff8175336a elf_load+0x28a ([kernel])\n",
    ],
    ids=["chain", "no-comm", "pid", "records"],
)
def test_what_options_of_perf_script_add(tmp_path: Path, text: str) -> None:
    """The address stands first, whatever follows; a call chain has the instruction pointer; no name is needed."""
    workload = load(tmp_path, text)
    assert format_of(text) == "perf script"
    assert workload.ops[workload.ops[:, 0] == uapi.OP_TOUCH, 2].tolist() == [0x7FDA3EA40000]
    assert not {kind for kind in workload.ignored if kind.startswith(("line", "event"))}


def test_plain_events(tmp_path: Path) -> None:
    """Every kind of event; a fault of the plain form is exact."""
    workload = load(tmp_path, PLAIN)
    assert format_of(PLAIN) == "plain"
    assert names(workload) == ["spawn", "execve", "mmap", "fault", "fault", "mmap", "fork", "munmap", "exit", "mremap"]
    assert workload.ops[3].tolist()[2:5] == [0x10000000, 1, uapi.ACCESS_WRITE]
    assert workload.files[0].size == 4096 + 8192
    assert "assumed accesses" not in workload.provenance


def test_what_bpftrace_says_around_plain_events(tmp_path: Path) -> None:
    """How many probes there are, without -q, and maps that were not cleared."""
    text = f"Attaching 9 probes...\n{PLAIN}\n\n@len[7]: 4096\n"
    assert format_of(text) == "plain"
    assert load(tmp_path, text).ops.tolist() == load(tmp_path, PLAIN).ops.tolist()


def test_perf_script(tmp_path: Path) -> None:
    """Addresses, not instruction pointers; system calls by the recorded machine's numbers; chains are skipped."""
    workload = load(tmp_path, PERF)
    assert format_of(PERF) == "perf script"
    assert names(workload) == ["spawn", "mmap", "fault", "mmap", "fault"]
    assert workload.ops[1].tolist()[2:4] == [0x7FDA3EA40000, 0x10000]
    assert workload.ops[3].tolist()[2:4] == [140505395650560, 0x4000]
    assert workload.ops[4, 2] == 140505395650560 + 0x1000
    assert "perf does not tell reads from writes" in workload.provenance["assumed access"]


def test_perf_script_without_addresses_says_how_to_get_them(tmp_path: Path) -> None:
    """The default output prints the instruction pointer alone."""
    line = "git 10749 14502.916582:          1 page-faults:  ffffffff8175336a elf_load+0x28a ([kernel.kallsyms])\n"
    with pytest.raises(InputError, match=r"perf record -d.*perf script -F"):
        load(tmp_path, line)


def test_lines_that_say_nothing_are_counted_or_too_many(tmp_path: Path) -> None:
    """One in a hundred is counted by kind; more are an error that quotes the first, unless they are asked for."""
    good = PLAIN + "7 fault 0x30000000 r\n" * 300
    workload = load(tmp_path, good + "7 fault nonsense w\n")
    assert workload.ignored["line (not understood)"] == 1
    bad = PLAIN + "7 fault nonsense w\n"
    with pytest.raises(InputError, match=r"too many.*stood\) 1 \(first line 11: '7 fault nonsense w'\).*--lenient"):
        load(tmp_path, bad)
    assert len(load(tmp_path, bad, Reading(lenient=True)).ops) == 10
    with pytest.raises(InputError, match="no event here can be replayed"):
        load(tmp_path, "# mmarch events 1\n")


def test_another_version_of_the_plain_form(tmp_path: Path) -> None:
    """Is named, with the one that is read."""
    with pytest.raises(InputError, match="events of version 2; this mmarch reads 1"):
        load(tmp_path, PLAIN.replace("events 1", "events 2"))


@pytest.mark.parametrize("text", [STRACE, PLAIN, PERF, LACKEY, PERF_TRACE], ids=format_of)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_damage_is_an_error_with_its_line_or_counted(tmp_path: Path, text: str, data: st.DataObject) -> None:
    """Cut anywhere, bytes changed, lines repeated or doubled: a workload or one message, nothing else."""
    raw = bytearray(text.encode())
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(1, len(raw)))
    path = tmp_path / "damaged"
    path.write_bytes(bytes(raw[:cut]) * data.draw(st.sampled_from([1, 2])))
    try:
        workload = load_trace(path, format_of(text), Reading(lenient=True), head=text)
        assert workload.ops.shape[1] == uapi.COLUMNS
    except InputError as error:
        assert str(path) in str(error)


def test_the_command_line_reads_them_by_content(tmp_path: Path, mmarch: Callable[..., Ran]) -> None:
    """Plain, gzipped and from stdin; the table names what was assumed, the JSON too."""
    path = tmp_path / "a.txt"
    path.write_text(STRACE)
    ran = mmarch("run", path, "--touch", "all", "-q")
    assert ran.code == 0
    assert "assumed accesses all of each new" in " ".join(ran.out.split())
    packed = tmp_path / "a.gz"
    packed.write_bytes(gzip.compress(STRACE.encode()))
    assert mmarch("run", packed, "--json", "-q").code == 0
    assert '"assumed accesses"' in mmarch("run", packed, "--json", "-q").out


def test_arguments_and_values() -> None:
    """Commas in strings, braces and parentheses are no separators; names are joined by |."""
    assert arguments('1, "a, \\"b", {x=1, y=[2, 3]}, f(4, 5)') == ["1", '"a, \\"b"', "{x=1, y=[2, 3]}", "f(4, 5)"]
    assert value("PROT_READ|PROT_WRITE") == 3
    assert value("MAP_PRIVATE|0x800") == 2050
    with pytest.raises(ValueError, match="PROT_MAGIC"):
        value("PROT_READ|PROT_MAGIC")


TRACE_CMD = """\
cpus=4
            bash-930   [003]  6288.896762: page_fault_user:      address=0x55bc6c5557d0 ip=0x7ff74f7aa84c error_code=0x7
            bash-930   [003]  6288.896790: sys_enter_munmap:     addr: 0x55bc6c555000, len: 0x00001000
            bash-930   [003]  6288.896795: irq_handler_entry:    irq=1 name=x
            bash-930   [003]  6288.896799: sys_exit_munmap:      0x0
"""


def test_ftrace_of_another_recorder(tmp_path: Path) -> None:
    """Its tasks and mappings are assumed; events of other kinds are counted."""
    workload = load(tmp_path, TRACE_CMD)
    assert names(workload) == ["spawn", "mmap", "fault", "munmap"]
    assert workload.ignored == {"irq_handler_entry": 1}
    assert workload.provenance == {"assumed mappings": "1 that were there before the trace began"}


def test_lackey_is_folded_by_page(tmp_path: Path) -> None:
    """The second fetch from a page says nothing new, the first after a system call does."""
    workload = load(tmp_path, LACKEY)
    assert format_of(LACKEY) == "lackey"
    assert names(workload) == ["spawn", "mmap", "fault", "mmap", "fault", "fault", "mmap", "fault", "munmap"]
    faults = workload.ops[workload.ops[:, 0] == uapi.OP_TOUCH]
    assert faults[:, 2].tolist() == [0x401A000, 0x1FFF000000, 0x1FFF000000, 0x4835000]
    assert faults[:, 4].tolist() == [uapi.ACCESS_EXEC, uapi.ACCESS_WRITE, uapi.ACCESS_READ, uapi.ACCESS_WRITE]
    assert workload.ignored["accesses to a page accessed before"] == 1


def test_perf_trace(tmp_path: Path) -> None:
    """Arguments by name, faults by address; a fault in a file has none."""
    workload = load(tmp_path, PERF_TRACE)
    assert format_of(PERF_TRACE) == "perf trace"
    assert names(workload) == ["spawn", "mmap", "fault", "mmap", "fault", "munmap"]
    assert workload.ops[3].tolist()[2:6] == [0x7F4CF21D6000, 8192, 3, 0x22]
    assert workload.ignored["faults in files, whose address perf trace does not print"] == 1


def test_systrace(tmp_path: Path) -> None:
    """The trace stands in a page; without an event that replays it says which there are."""
    body = TRACE_CMD.partition("\n")[2]
    page = f'<!DOCTYPE html>\n<script class="trace-data">\n# tracer: nop\n{body}</script></html>\n'
    assert format_of(page) == "systrace"
    assert names(load(tmp_path, page)) == ["spawn", "mmap", "fault", "munmap"]
    other = page.replace(body, "  <...>-976 (  922) [003] d..4 1507.655130: sched_wakeup: comm=sys.ui pid=2217\n")
    with pytest.raises(InputError, match=r"no event here can be replayed .sched_wakeup 1"):
        load(tmp_path, other)


MAPS = """\
55f6d4a00000-55f6d4a10000 r-xp 00001000 fe:00 77                         /usr/bin/program
55f6d4a3b000-55f6d4a5c000 rw-p 00000000 00:00 0                          [heap]
Rss:                   4 kB
7ffd7d7c0000-7ffd7d7e1000 rw-p 00000000 00:00 0                          [stack]
7ffd7d7f0000-7ffd7d7f2000 r-xp 00000000 00:00 0                          [vdso]
"""


def test_maps_say_what_was_there_before(tmp_path: Path) -> None:
    """A file, the heap, a stack that grows; faults in them assume nothing."""
    saved = tmp_path / "maps"
    saved.write_text(MAPS)
    text = "# mmarch events 1\n7 fault 0x55f6d4a3c000 w\n7 fault 0x7ffd7d7bf000 w\n7 brk 0x55f6d4a6c000\n"
    workload = load(tmp_path, text, Reading(maps=read_maps(saved)))
    assert names(workload) == ["spawn", "mmap", "brk", "brk", "mmap", "fault", "fault", "brk"]
    assert workload.files[0].size == 0x11000
    assert workload.provenance["mappings at the start"] == "4 of one task, as --maps says"
    assert "assumed mappings" not in workload.provenance


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nonsense\n", "maps:1: 'nonsense' is no line of /proc/PID/maps or smaps"),
        ("", "no mappings in ascending order"),
        ("\n".join(MAPS.splitlines()[3::-1]), "no mappings in ascending order"),
    ],
)
def test_other_files_are_no_maps(tmp_path: Path, text: str, message: str) -> None:
    """Told with the line, before anything is read."""
    (tmp_path / "maps").write_text(text)
    with pytest.raises(InputError, match=message):
        read_maps(tmp_path / "maps")


def test_events_that_cannot_be_are_counted_by_kind(tmp_path: Path) -> None:
    """A task that is born twice, a range that no user has, numbers that no register holds: left out, and said."""
    good = PLAIN + "7 fault 0x30000000 r\n" * 500
    odd = "7 fork 7\n7 munmap 0x7fffffffffffffff 4096\n7 munmap 0x10000000 -4096\n"
    workload = load(tmp_path, good + odd)
    assert workload.ignored["event that cannot be"] == 3
    assert len(workload.ops) == len(load(tmp_path, good).ops)
    with pytest.raises(InputError, match=r"event that cannot be 1 \(first line 11: '7 fork 7'\)"):
        load(tmp_path, PLAIN + "7 fork 7\n")
    huge = load(tmp_path, f"{good}7 brk {'9' * 3000}\n")
    assert huge.ignored.keys() & {"event that cannot be", "line (not understood)", "brk that changes nothing"}


def test_odd_lines_of_another_recorders_ftrace(tmp_path: Path) -> None:
    """One in a hundred is counted, as of the other formats; our own recorder writes none."""
    fault = TRACE_CMD.splitlines()[1]
    good = TRACE_CMD + f"{fault}\n" * 200
    workload = load(tmp_path, good + "garbage\n" + fault.replace("address=", "address=?") + "\n")
    assert workload.ignored["line (not understood)"] == 2
    with pytest.raises(InputError, match=r"line \(not understood\) 1 \(first line 6: 'garbage'\); take it"):
        load(tmp_path, TRACE_CMD + "garbage\n")


SAMPLES = {"strace": STRACE, "plain": PLAIN, "perf": PERF, "lackey": LACKEY, "perf trace": PERF_TRACE}


@pytest.mark.parametrize("name", SAMPLES)
def test_truncation_at_every_byte(tmp_path: Path, name: str) -> None:
    """A message that names the file, or, salvaged, the first operations of the whole."""
    text, path = SAMPLES[name], tmp_path / "cut"
    whole = load(tmp_path, text)
    for at in range(1, len(text)):
        path.write_text(text[:at])
        try:
            some = load_trace(path, format_of(text), Reading(lenient=True, salvage=True), head=text)
        except InputError as error:
            assert str(error).startswith(f"{path}:")
            continue
        rows = [row for row in some.ops.tolist() if row[0] != uapi.OP_FORK]
        assert all(row in whole.ops.tolist() for row in rows[:1])
        assert len(some.ops) <= len(whole.ops)


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize(
    "number", ["0xffffffffffffffff", "0x8000000000000000", "9" * 30, "-1", "1e9", "0x", "0b1", "1_0", "9" * 3000]
)
def test_huge_and_odd_numbers(tmp_path: Path, name: str, number: str) -> None:
    """In the place of each number of a sample, one after the other."""
    text, path = SAMPLES[name], tmp_path / "odd"
    for match in re.finditer(r"(?:0x)?[0-9a-f]{3,}", text):
        path.write_text(text[: match.start()] + number + text[match.end() :])
        try:
            load_trace(path, format_of(text), Reading(lenient=True, touch="all"), head=text)
        except InputError as error:
            assert str(error).startswith(f"{path}:")
            assert len(str(error)) < 700


@pytest.mark.parametrize("touch", ["all", "first"])
def test_out_of_order_and_reused(tmp_path: Path, touch: str) -> None:
    """Times that go back, and a pid that is born again after its exit."""
    lines = [
        "1 3.000000 clone(child_stack=NULL, flags=SIGCHLD) = 2",
        "2 1.000000 mmap(NULL, 8192, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x7f0000000000",
        "2 2.000000 +++ exited with 0 +++",
        "1 0.500000 clone(child_stack=NULL, flags=SIGCHLD) = 2",
        "2 9.000000 munmap(0x7f0000000000, 8192) = 0",
    ]
    workload = load(tmp_path, "".join(f"{line}\n" for line in lines), Reading(touch=touch))  # type: ignore[arg-type]
    assert [task for _, task in workload.ops[:, :2].tolist()].count(2) >= 1
    assert workload.pids == (1, 2, 2)


@pytest.mark.parametrize("name", ["directory", "/dev/zero", "/dev/null", "/proc/self/mem"])
def test_what_is_no_file(tmp_path: Path, mmarch: Callable[..., Ran], name: str) -> None:
    """One line, at once."""
    (tmp_path / "directory").mkdir()
    ran = mmarch("run", name if name.startswith("/") else tmp_path / name)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.count("\n") == 1


def test_a_pagemap_beside_maps_says_which_pages_were_there(tmp_path: Path) -> None:
    """Anonymous ones were written, which a mapping may forbid by now; those of a file were read; advice is given."""
    saved = tmp_path / "maps"
    saved.write_text("""\
10000000-10003000 r--p 00000000 fe:00 77                         /usr/bin/program
VmFlags: rd mr mw me
20000000-20002000 rw-p 00000000 00:00 0
VmFlags: rd wr mr mw me ac hg
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0          [vsyscall]
""")
    there, file = 1 << 63, 1 << 61
    words = [there | file, 0, there | 5, 1 << 62, there | 7]
    (tmp_path / "maps.pagemap").write_bytes(b"".join(word.to_bytes(8, "little") for word in words))
    workload = load(tmp_path, "# mmarch events 1\n7 fault 0x10000000 r\n", Reading(maps=read_maps(saved)))
    assert [row[:5] for row in workload.ops.tolist()] == [
        [uapi.OP_SPAWN, 0, 0, 0, 0],
        [uapi.OP_MMAP, 0, 0x10000000, 0x3000, 3],
        [uapi.OP_TOUCH, 0, 0x10000000, 1, uapi.ACCESS_READ],
        [uapi.OP_TOUCH, 0, 0x10002000, 1, uapi.ACCESS_WRITE],
        [uapi.OP_MPROTECT, 0, 0x10000000, 0x3000, 1],
        [uapi.OP_MMAP, 0, 0x20000000, 0x2000, 3],
        [uapi.OP_MADVISE, 0, 0x20000000, 0x2000, uapi.MADV_HUGEPAGE],
        [uapi.OP_TOUCH, 0, 0x20001000, 1, uapi.ACCESS_WRITE],
        [uapi.OP_TOUCH, 0, 0x10000000, 1, uapi.ACCESS_READ],
    ]
    said = workload.provenance["mappings at the start"]
    assert said == "2 of one task, as --maps says, with 3 pages that its pagemap has"
    (tmp_path / "maps.pagemap").write_bytes(bytes(8))
    with pytest.raises(InputError, match=r"maps.pagemap: 8 bytes; the mappings have 5 pages, which are 40 bytes"):
        read_maps(saved)


def test_maps_that_nobody_needed_are_said(tmp_path: Path) -> None:
    """A trace that begins with an exec has no task that ran before."""
    (tmp_path / "maps").write_text(MAPS)
    workload = load(tmp_path, PLAIN, Reading(maps=read_maps(tmp_path / "maps")))
    assert workload.provenance["mappings at the start"].startswith("not used")
