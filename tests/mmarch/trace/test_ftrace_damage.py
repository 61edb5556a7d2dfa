"""Damaged, foreign, cut-off and hostile traces end in one InputError that names file and line."""

import gzip
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmarch.errors import InputError
from mmarch.trace.ftrace import load_ftrace
from mmarch.trace.ftrace_text import MAX_LINE
from tests.support.trace_text import HEADER, START, event, mark, newtask, trace

FAULT = event(1, "page_fault_user: address=0x7ffd00000000 ip=0x1 error_code=0x6")
CALLS = (
    newtask(1, 2, 0x100),
    event(2, "sys_munmap(addr: 0x1000, len: 0x1000)"),
    event(2, "sys_munmap -> 0x0"),
    mark("mmarch_fd: pid=1 file=0"),
    event(1, "sys_mmap(addr: 0, len: 0x2000, prot: 3, flags: 0x2, fd: 0x3, off: 0)"),
    event(1, "sys_mmap -> 0x7f0000000000"),
    event(1, "sys_brk(brk: 0x555000030000)"),
    event(1, "sys_brk -> 0x555000030000"),
    event(2, "sched_process_exit: group_dead=false"),
)
WHOLE = trace(*START, *CALLS, FAULT)


def failure(path: Path, data: bytes | str, **options) -> str:
    """The message for a file of `data`."""
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    with pytest.raises(InputError) as caught:
        load_ftrace(path, **options)
    assert str(caught.value).startswith(f"{path}:")
    return str(caught.value)[len(str(path)) :]


@pytest.fixture
def path(tmp_path):
    """Where a bad trace goes."""
    return tmp_path / "bad.ftrace.txt"


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "no events"),
        (b"\n\n", "no events"),
        (b"# tracer: nop\n", "no events"),
        (b"hello world\n", ":1: not an ftrace event: 'hello world'"),
        (b"\x7fELF\x02\x01\x01\0\n", ":1: not an ftrace event"),
        (b"\x17\x08\x44tracing6\0", "trace-cmd report"),
        (b"PERFILE2\0\0", "perf.data"),
        (b"\x28\xb5\x2f\xfd\0", "truncated: its zstd data ends"),
        (b"\xfd7zXZ\0", "truncated: its xz data ends"),
        (b"BZh91AY", "bzip2"),
        (b"\x1f\x8b\x08", "truncated"),
        (b"\x1f\x8bnonsense" * 9, "damaged"),
        (b"{}\n" * 3, ":1: not an ftrace event"),
        (b"x" * (MAX_LINE + 1), ":1: a line longer than"),
        (b"#\n" + b"y" * (1 << 21) + b"\n", ":2: a line longer than"),
    ],
)
def test_what_is_no_trace_is_refused(path, data, says):
    """By what it is, where that can be told."""
    assert says in failure(path, data)


def test_a_missing_file_and_a_directory_are_input_errors(tmp_path):
    """Not tracebacks."""
    for wrong in (tmp_path / "none", tmp_path):
        with pytest.raises(InputError, match="cannot be read"):
            load_ftrace(wrong)


def test_a_trace_cut_between_lines_is_truncated(path):
    """The recorder's last line tells how many events there are."""
    text = WHOLE.splitlines(keepends=True)
    assert "its end is missing" in failure(path, "".join(text[:-1]))
    assert "truncated" in failure(path, "".join(text[:-2] + text[-1:]))


def test_a_trace_cut_within_a_line_is_truncated(path):
    """0x14 cut to 0x1 would be another fault."""
    assert "truncated: the last line" in failure(path, WHOLE[: WHOLE.index("# end") - 2])


@pytest.mark.parametrize("keep", [0.3, 0.9, 0.999])
def test_gzip_that_ends_too_early_is_truncated(path, keep):
    """Whatever its text looks like."""
    random.seed(1)
    body = [f"{FAULT[:-1]}{random.randrange(8)}" for _ in range(3000)]
    data = gzip.compress(trace(*START, *body).encode())
    assert "truncated" in failure(path, data[: int(len(data) * keep)])


def test_gzip_with_a_wrong_byte_is_damaged(path):
    """zlib or the checksum sees it."""
    data = bytearray(gzip.compress(WHOLE.encode()))
    data[len(data) // 2] ^= 0xFF
    assert failure(path, bytes(data))


def test_a_decompression_bomb_stops_at_the_bound(path):
    """64 MiB of one line in 64 KiB; the bound here is 1 MiB more than one block."""
    data = gzip.compress((HEADER + "#\n" * (32 << 20)).encode())
    assert "more than 2097152 bytes of text" in failure(path, data, max_text=2 << 20)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("CPU:1 [LOST 34 EVENTS]", "34 events were lost"),
        ("# entries-in-buffer/entries-written: 10/25   #P:2", "of 25 events 10 are here"),
        ("# mmarch trace: 2", "format '2'"),
        (event(1, "kprobe_thing: x"), "unknown event 'kprobe_thing'"),
        (event(1, "page_fault_user: address=0x1000"), "page fault without"),
        (event(9, "sys_munmap(addr: 0, len: 0)"), "pid 9 acts, but neither its birth"),
        (event(9, "page_fault_user: address=0x1000 ip=0x1 error_code=0x4"), "pid 9 acts"),
        (event(1, "sys_munmap(addr: 0x1000)"), "munmap has 2 arguments"),
        (event(1, "sys_brk -> what"), "brk ends without a result"),
        (event(1, "task_newtask: nothing"), "task_newtask without pid"),
        (event(1, "sched_process_exec: filename=-"), "without pid and old_pid"),
        (newtask(1, 1, 0), "pid 1 is born twice"),
        (mark("mmarch_new: pid=1"), "unknown record"),
        (mark("mmarch_fd: pid=1 file=99"), "file 99 has no mmarch_file record"),
        (mark("mmarch_fd: pid=1"), "file=None"),
        (mark("mmarch_exec: pid=1 start_brk=0x1"), "out of place: the task is RUNNING"),
        (mark("mmarch_vma: pid=1 start=0x1"), "out of place"),
        (mark("mmarch_file: file=1 size=-5 kind=ext4"), "size=-5"),
        (mark("mmarch_file: file=1 size=5 kind=tape"), "file kind 'tape'"),
    ],
)
def test_a_bad_line_is_named(path, line, says):
    """File, line number, the value."""
    text = HEADER + "".join(f"{each}\n" for each in (*START, line))
    message = failure(path, text)
    assert says in message
    assert message.startswith(f":{len(text.splitlines())}: ")


@pytest.mark.parametrize(
    ("record", "says"),
    [
        ("mmarch_vma: pid=1 start=0x1001 end=0x2000 prot=0x1 flags=0x22 file=-1 off=0x0", "whole pages"),
        ("mmarch_vma: pid=1 start=0x2000 end=0x1000 prot=0x1 flags=0x22 file=-1 off=0x0", "whole pages"),
        ("mmarch_vma: pid=1 start=0x1000 end=0x2000 prot=0x99 flags=0x22 file=-1 off=0x0", "prot=153"),
        ("mmarch_vma: pid=1 start=0x1000 end=0x2000 prot=0x1 flags=0x2 file=4 off=0x0", "file 4"),
        ("mmarch_vma: pid=1 start=0x1000 end=0xffffffffffff0000 prot=0x1 flags=0x2 file=-1 off=0x0", "end="),
        ("mmarch_present: pid=1 start=0x1000 pages=99999999999", "pages=99999999999"),
    ],
)
def test_a_bad_snapshot_is_named(path, record, says):
    """A snapshot cannot make the twin run for ever either."""
    assert says in failure(path, HEADER + "\n".join([*START[:3], mark(record), ""]))


@pytest.mark.parametrize(
    ("calls", "says"),
    [
        (
            ["sys_mmap(addr: 0, len: 1, prot: 1, flags: 0x2, fd: 0x3, off: 0)", "sys_mmap -> 0x1000"],
            "mmarch_fd",
        ),
        (["sys_ftruncate(fd: 3, length: 5)", "sys_ftruncate -> 0x0"], "mmarch_fd"),
        (
            ["sys_shmat(shmid: 1, shmaddr: 0, shmflg: 0)", "sys_shmat -> 0x7f0000000000"],
            "no shmget says how large",
        ),
        (["sys_munmap(addr: 0x7ffffffffffff000, len: 0xfff)", "sys_munmap -> 0x0"], "not a range"),
    ],
)
def test_a_call_that_cannot_be_replayed_is_named(path, calls, says):
    """What is missing, or what is not modelled."""
    assert says in failure(path, HEADER + "\n".join([*START, *(event(1, call) for call in calls), ""]))


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_no_damage_escapes(tmp_path_factory, data):
    """Any bytes changed, dropped or doubled give a workload or an InputError, never anything else."""
    text = bytearray(WHOLE.encode())
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(text) - 1))
        end = min(len(text), at + data.draw(st.integers(0, 80)))
        text[at:end] = data.draw(
            st.sampled_from([b"", b"f", b"0", b"-", b" ", b"\n", b"9" * 30, bytes(text[at:end]) * 2])
        )
    path = tmp_path_factory.mktemp("fuzz") / "t"
    path.write_bytes(bytes(text))
    try:
        assert load_ftrace(path).ops.shape[1] == 8
    except InputError as error:
        assert str(error).startswith(str(path))
