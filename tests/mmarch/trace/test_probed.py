"""A probe on handle_mm_fault as page faults."""

from pathlib import Path

import pytest

from core_mm import uapi
from mmarch.errors import InputError
from mmarch.trace.assumed import PLAIN
from mmarch.trace.formats import format_of, load_trace
from mmarch.trace.ftrace import load_ftrace
from mmarch.trace.probed import AGAIN, GUP, Probed, access_of
from mmarch.workload import Workload
from tests.support.trace_text import START, event, mark, trace

AREA = 0x7F0000000000
USER = 0x254  # FAULT_FLAG_DEFAULT (ALLOW_RETRY, KILLABLE, INTERRUPTIBLE) and USER, include/linux/mm_types.h
WRITE, TRIED, INSTRUCTION, LOCK = 0x1, 0x20, 0x100, 0x1000
MMAP = (
    event(1, "sys_mmap(addr: 0, len: 10000, prot: 3, flags: 22, fd: ffffffffffffffff, off: 0)"),
    event(1, f"sys_mmap -> {AREA:#x}"),
)


def probe(address: int, flags: int, regs: int = 1, pid: int = 1, name: str = "mmarch_fault") -> str:
    """As the kernel prints it."""
    where = f"(handle_mm_fault+0x0/0x2c8) address={address:#x} flags={flags:#x} regs={regs:#x}"
    return event(pid, f"{name}: {where}")


def load(tmp_path: Path, *events: str) -> Workload:
    """Of a program that has mapped AREA."""
    path = tmp_path / "probed.ftrace.txt"
    path.write_text(trace(*START, *MMAP, *events))
    return load_ftrace(path)


def touches(workload: Workload) -> list[tuple[int, int]]:
    """(page of AREA, access) of each access to it."""
    return [
        ((row[2] - AREA) // 4096, row[4])
        for row in workload.ops.tolist()
        if row[0] == uapi.OP_TOUCH and row[2] >= AREA and row[2] < AREA + 0x10000
    ]


@pytest.mark.parametrize(
    ("flags", "access"),
    [(USER, uapi.ACCESS_READ), (USER | WRITE, uapi.ACCESS_WRITE), (USER | INSTRUCTION, uapi.ACCESS_EXEC),
     (0x14, uapi.ACCESS_READ), (0x15, uapi.ACCESS_WRITE)],
)  # fmt: skip
def test_flags_say_what_the_access_was(flags, access):
    """FAULT_FLAG_WRITE and FAULT_FLAG_INSTRUCTION, with the kernel's own accesses (without USER) alike."""
    assert access_of(flags) == access


def test_probed_faults_are_accesses(tmp_path):
    """Of the page that the address lies in."""
    workload = load(tmp_path, probe(AREA + 0x123, USER | WRITE), probe(AREA + 0x2FFF, USER))
    assert touches(workload) == [(0, uapi.ACCESS_WRITE), (2, uapi.ACCESS_READ)]


def test_calls_without_registers_are_of_get_user_pages(tmp_path):
    """They are no faults of the program."""
    workload = load(tmp_path, probe(AREA, 0x5, regs=0), probe(AREA + 4096, USER))
    assert touches(workload) == [(1, uapi.ACCESS_READ)]
    assert workload.ignored[GUP] == 1


@pytest.mark.parametrize(
    ("first", "second", "merged"),
    [
        (USER | WRITE | LOCK, USER | WRITE, True),  # the per-VMA lock did not do
        (USER | WRITE, USER | WRITE | TRIED, True),  # it had to wait for the page
        (USER | LOCK, USER | WRITE | LOCK, False),  # read, then written
        (USER | WRITE | LOCK, USER | WRITE | LOCK, False),  # taken away meanwhile
    ],
)
def test_what_is_tried_again_is_one_fault(tmp_path, first, second, merged):
    """The second call for one fault has TRIED, or not the lock that the first had; others are faults of their own."""
    workload = load(tmp_path, probe(AREA + 8, first), probe(AREA + 8, second))
    assert len(touches(workload)) == 2 - merged
    assert workload.ignored.get(AGAIN, 0) == merged


def test_another_task_or_address_or_a_call_between_is_no_retry():
    """Only what a task does next can be the same fault."""
    from collections import Counter

    probed = Probed(Counter())
    body = "(handle_mm_fault+0x0/0x2c8) address=0x1000 flags={:#x} regs=0x1"
    assert probed.fault("1", body.format(USER | LOCK))
    assert probed.fault("2", body.format(USER))
    probed.interrupted("1")
    assert probed.fault("1", body.format(USER))
    assert probed.fault("1", body.format(USER).replace("1000", "2000"))


def test_a_signal_takes_back_what_is_probed_only_if_it_is_sigbus(tmp_path):
    """A refused access is answered with SIGSEGV before handle_mm_fault, one beyond a file's end after it."""
    segv = event(1, "signal_generate: sig=11 errno=0 code=2 comm=<...> pid=1")
    bus = event(1, "signal_generate: sig=7 errno=0 code=2 comm=<...> pid=1")
    assert len(touches(load(tmp_path, probe(AREA, USER), segv))) == 1
    assert len(touches(load(tmp_path, probe(AREA, USER), bus))) == 0


def test_a_probe_of_anyones_is_read(tmp_path):
    """By whatever name, in a trace that our recorder did not make; the text says so itself."""
    path = tmp_path / "other.txt"
    path.write_text("".join(f"{probe(AREA, USER | WRITE, name='myprobe')}\n" for _ in range(2)))
    kind = format_of(path.read_text())
    workload = load_trace(path, kind, PLAIN, head=path.read_text())
    assert kind == "ftrace"
    assert [row[0] for row in workload.ops.tolist()].count(uapi.OP_TOUCH) == 2


def test_a_probe_without_its_fields_is_refused_with_what_makes_one(tmp_path):
    """Nothing is guessed about a fault."""
    with pytest.raises(InputError, match=r"without address, flags and regs.*flags=\$arg3"):
        load(tmp_path, event(1, "mmarch_fault: (handle_mm_fault+0x0/0x2c8) address=0x1000"))


def test_a_process_that_ran_before_is_described(tmp_path):
    """Its mappings, heap, pages and threads; files mapped since are told apart by descriptor and offset."""
    path = tmp_path / "running.ftrace.txt"
    path.write_text(
        trace(
            mark("mmarch_running: pid=1 start_brk=0x10000000 brk=0x10004000"),
            mark(
                f"mmarch_vma: pid=1 start={AREA:#x} end={AREA + 0x10000:#x} prot=0x3 flags=0x22 file=-1 off=0x0"
            ),
            mark(f"mmarch_present: pid=1 start={AREA:#x} pages=3"),
            mark(f"mmarch_mapped: pid=1 start={AREA + 0x4000:#x} pages=2"),
            mark("mmarch_exec_end: pid=1"),
            mark("mmarch_thread: pid=2"),
            event(2, "sys_mmap(addr: 0, len: 2000, prot: 1, flags: 2, fd: 5, off: 1000)"),
            event(2, f"sys_mmap -> {AREA + 0x20000:#x}"),
            event(1, f"page_fault_user: address={AREA + 0x9000:#x} ip=0x401000 error_code=0x6"),
        )
    )
    workload = load_ftrace(path)
    assert [row[0] for row in workload.ops.tolist()] == [
        uapi.OP_SPAWN, uapi.OP_EXEC, uapi.OP_BRK, uapi.OP_MMAP, uapi.OP_TOUCH, uapi.OP_TOUCH,
        uapi.OP_CLONE_VM, uapi.OP_MMAP, uapi.OP_TOUCH,
    ]  # fmt: skip
    assert [row[3:5] for row in workload.ops.tolist() if row[0] == uapi.OP_TOUCH] == [
        [3, uapi.ACCESS_WRITE], [2, uapi.ACCESS_READ], [1, uapi.ACCESS_WRITE],
    ]  # fmt: skip
    assert [file.size for file in workload.files] == [0x3000]


def test_a_thread_needs_its_process(tmp_path):
    """A record out of place is damage."""
    path = tmp_path / "thread.ftrace.txt"
    path.write_text(trace(mark("mmarch_thread: pid=2")))
    with pytest.raises(InputError, match="without the process before it"):
        load_ftrace(path)


def test_a_heap_grows_over_what_was_assumed_beside_it(tmp_path):
    """Around an access of a program that ran before, 64 KiB are assumed; a break that grows into them tells."""
    path = tmp_path / "heap.events"
    path.write_text(
        "# mmarch events 1\n1 fault 0x10003000 w\n1 brk 0x10004000\n1 brk 0x10020000\n1 fault 0x10008000 w\n"
    )
    workload = load_trace(path, format_of(path.read_text()), PLAIN, head=path.read_text())
    rows = [row[:4] for row in workload.ops.tolist()]
    assert rows[-3:] == [
        [uapi.OP_MUNMAP, 0, 0x10004000, 0xC000],
        [uapi.OP_BRK, 0, 0x10020000, 0],
        [uapi.OP_TOUCH, 0, 0x10008000, 1],
    ]
