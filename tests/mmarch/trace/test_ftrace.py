"""Each event kind of a trace, in small traces written by hand."""

from pathlib import Path

import pytest

from core_mm import uapi
from mmarch.errors import InputError
from mmarch.trace.ftrace import load_ftrace
from mmarch.workload import File, Workload
from tests.support.trace_text import IMAGE, START, event, mark, newtask, trace

START_BRK = 0x555000010000
STACK = 0x7FFD00000000
VDSO = 0x7FFE00000000


def load(tmp_path: Path, *events: str) -> Workload:
    """Load a trace of a started program followed by `events`."""
    path = tmp_path / "small.ftrace.txt"
    path.write_text(trace(*START, *events))
    return load_ftrace(path)


def rows(tmp_path: Path, *events: str) -> list[tuple[int, ...]]:
    """The rows that `events` make, without those of the start, without trailing zeros of the format."""
    workload = load(tmp_path, *events)
    return [tuple(row) for row in workload.ops.tolist()[IMAGE:]]


def row(*values: int) -> tuple[int, ...]:
    """A whole row from its first columns."""
    return values + (0,) * (uapi.COLUMNS - len(values))


def fault(pid: int, address: int, code: int = 6, mode: str = "user") -> str:
    """A page fault with an x86 error code."""
    return event(pid, f"page_fault_{mode}: address={address:#x} ip=0x401000 error_code={code:#x}")


def test_a_program_starts_with_the_mappings_of_its_snapshot(tmp_path):
    """Spawn, exec with the heap's start, image, stack that grows, and the pages execve wrote."""
    workload = load(tmp_path)
    private, anonymous = uapi.MAP_PRIVATE, uapi.MAP_ANONYMOUS
    grows = private | anonymous | uapi.MAP_GROWSDOWN | uapi.MAP_STACK
    assert [tuple(each) for each in workload.ops.tolist()] == [
        row(uapi.OP_SPAWN, 0),
        row(uapi.OP_EXEC, 0, START_BRK),
        (uapi.OP_MMAP, 0, 0x555000000000, 0x4000, uapi.PROT_READ | uapi.PROT_EXEC, private, 0, 0x1000),
        (uapi.OP_MMAP, 0, STACK, 0x21000, uapi.PROT_READ | uapi.PROT_WRITE, grows, -1, 0),
        row(uapi.OP_TOUCH, 0, STACK + 0x20000, 1, uapi.ACCESS_WRITE),
    ]
    assert workload.files == (File(uapi.FILE_EXT4, 0x5000),)


def test_a_row_knows_its_line(tmp_path):
    """`lines` leads from a row back to the line of the file."""
    workload = load(tmp_path, fault(1, STACK))
    text = Path(workload.source).read_text().splitlines()
    assert f"address={STACK:#x}" in text[workload.lines[-1] - 1]


def test_the_name_and_the_provenance_come_from_file_and_header(tmp_path):
    """The suffixes go from the name; header facts stay."""
    workload = load(tmp_path)
    assert workload.name == "small"
    assert workload.provenance["kernel"] == "6.18.0"


@pytest.mark.parametrize(
    ("code", "access"),
    [
        (0x4, uapi.ACCESS_READ),
        (0x0, uapi.ACCESS_READ),
        (0x5, uapi.ACCESS_READ),
        (0x6, uapi.ACCESS_WRITE),
        (0x7, uapi.ACCESS_WRITE),
        (0x2, uapi.ACCESS_WRITE),
        (0x14, uapi.ACCESS_EXEC),
        (0x15, uapi.ACCESS_EXEC),
    ],
)
@pytest.mark.parametrize("mode", ["user", "kernel"])
def test_the_error_code_says_what_a_fault_wanted(tmp_path, code, access, mode):
    """Bit 1 write, bit 4 instruction fetch, of arch/x86/include/asm/trap_pf.h; either CPU mode."""
    assert rows(tmp_path, fault(1, STACK + 0x1FEF, code, mode)) == [
        row(uapi.OP_TOUCH, 0, STACK + 0x1000, 1, access)
    ]


def test_faults_at_kernel_addresses_and_in_the_vdso_are_counted_only(tmp_path):
    """No VMA of the twin has them."""
    workload = load(
        tmp_path,
        fault(1, 0xFFFFFFFFFF600000, 0x15),
        event(1, "page_fault_kernel: address=_text ip=0x1 error_code=0x0"),
        fault(1, VDSO + 0x10, 4),
        fault(1, STACK),
    )
    assert len(workload.ops) == IMAGE + 1
    assert workload.ignored["fault at a kernel address"] == 2
    assert workload.ignored["fault in a mapping of the kernel's own"] == 1


def call(pid: int, name: str, result: int, *args: int) -> tuple[str, str]:
    """Both ends of a system call as ftrace prints them."""
    listed = ", ".join(f"a{index}: 0x{value:x}" for index, value in enumerate(args))
    return event(pid, f"sys_{name}({listed})"), event(pid, f"sys_{name} -> 0x{result % 2**64:x}")


ANON = uapi.MAP_PRIVATE | uapi.MAP_ANONYMOUS
AT = 0x7F0000000000


def test_mmap_takes_the_returned_address_and_whole_pages(tmp_path):
    """The hint is not the address; lengths go up to pages as in mm/mmap.c:do_mmap."""
    got = rows(tmp_path, *call(1, "mmap", AT, 0x1000, 0x1801, 3, ANON, 0xFFFFFFFF, 0))
    assert got == [(uapi.OP_MMAP, 0, AT, 0x2000, 3, ANON, -1, 0)]


def test_mmap_of_a_file_names_the_file_and_the_offset_in_bytes(tmp_path):
    """The recorder's mmarch_fd record belongs to the next mmap of the same task."""
    got = rows(
        tmp_path,
        mark("mmarch_file: file=7 size=123 kind=tmpfs"),
        mark("mmarch_fd: pid=1 file=7"),
        *call(1, "mmap", AT, 0, 0x3000, 1, uapi.MAP_SHARED, 3, 0x2000),
    )
    assert got == [(uapi.OP_MMAP, 0, AT, 0x3000, 1, uapi.MAP_SHARED, 1, 0x2000)]


def test_dev_zero_is_anonymous_memory(tmp_path):
    """drivers/char/mem.c:mmap_zero makes it so."""
    got = rows(
        tmp_path,
        mark("mmarch_file: file=7 size=0 kind=zero"),
        mark("mmarch_fd: pid=1 file=7"),
        *call(1, "mmap", AT, 0, 0x1000, 3, uapi.MAP_PRIVATE, 3, 0),
    )
    assert got == [(uapi.OP_MMAP, 0, AT, 0x1000, 3, ANON, -1, 0)]


def test_a_device_is_not_mapped_and_faults_in_it_are_not_replayed(tmp_path):
    """Its pages have no folios; a later mapping at the same place is ordinary again."""
    workload = load(
        tmp_path,
        mark("mmarch_file: file=7 size=0 kind=device"),
        mark("mmarch_fd: pid=1 file=7"),
        *call(1, "mmap", AT, 0, 0x1000, 3, uapi.MAP_SHARED, 3, 0),
        fault(1, AT),
        *call(1, "mmap", AT, AT, 0x1000, 3, ANON | uapi.MAP_FIXED, 0xFFFFFFFF, 0),
        fault(1, AT),
    )
    assert [each[0] for each in workload.ops.tolist()[IMAGE:]] == [uapi.OP_MMAP, uapi.OP_TOUCH]
    assert workload.ignored["mmap of a device"] == 1
    assert workload.ignored["fault in a mapping of the kernel's own"] == 1


@pytest.mark.parametrize("name", ["mmap", "munmap", "mprotect", "madvise", "mremap", "msync"])
def test_a_failed_call_is_listed_and_has_no_row(tmp_path, name):
    """An errno is a result from -4095 to -1."""
    workload = load(tmp_path, *call(1, name, -12, AT, 0x1000, 3, ANON, 0xFFFFFFFF, 0))
    assert len(workload.ops) == IMAGE
    assert workload.ignored[f"{name} that failed"] == 1


@pytest.mark.parametrize(
    ("name", "args", "expected"),
    [
        ("munmap", (AT, 0x1FFF), (uapi.OP_MUNMAP, 0, AT, 0x2000)),
        ("mprotect", (AT, 0x1000, 1), (uapi.OP_MPROTECT, 0, AT, 0x1000, 1)),
        ("pkey_mprotect", (AT, 0x1000, 1, 2), (uapi.OP_MPROTECT, 0, AT, 0x1000, 1)),
        ("madvise", (AT, 0x1000, 4), (uapi.OP_MADVISE, 0, AT, 0x1000, uapi.MADV_DONTNEED)),
        ("msync", (AT, 0x1000, 4), (uapi.OP_MSYNC, 0, AT, 0x1000, 4)),
    ],
)
def test_calls_that_take_away_stand_where_they_begin(tmp_path, name, args, expected):
    """Another thread may get the range before the call has returned."""
    begin, end = call(1, name, 0, *args)
    got = rows(tmp_path, begin, fault(1, STACK), end)
    assert got == [row(*expected), row(uapi.OP_TOUCH, 0, STACK, 1, uapi.ACCESS_WRITE)]


def test_mremap_has_the_returned_address_last(tmp_path):
    """Old range, new length, flags, new address."""
    got = rows(tmp_path, *call(1, "mremap", AT + 0x100000, AT, 0x1000, 0x3000, 1, 0))
    assert got == [row(uapi.OP_MREMAP, 0, AT, 0x1000, 0x3000, uapi.MREMAP_MAYMOVE, AT + 0x100000)]


def test_the_break_grows_at_the_end_and_shrinks_at_the_beginning(tmp_path):
    """Queries and refusals answer with the break as it is, and change nothing."""
    grown = START_BRK + 0x21000
    begin, end = call(1, "brk", START_BRK, START_BRK)
    workload = load(
        tmp_path,
        *call(1, "brk", START_BRK, 0),
        *call(1, "brk", grown, grown),
        *call(1, "brk", grown, grown + (1 << 40)),
        begin,
        fault(1, STACK),
        end,
    )
    assert [tuple(each) for each in workload.ops.tolist()[IMAGE:]] == [
        row(uapi.OP_BRK, 0, grown),
        row(uapi.OP_BRK, 0, START_BRK),
        row(uapi.OP_TOUCH, 0, STACK, 1, uapi.ACCESS_WRITE),
    ]
    assert workload.ignored["brk that changes nothing"] == 2


@pytest.mark.parametrize(
    ("flags", "op"),
    [
        (0x1200000, uapi.OP_FORK),
        (0x4100, uapi.OP_VFORK),
        (0x4000, uapi.OP_FORK),
        (0x3D0F00, uapi.OP_CLONE_VM),
        (0x100, uapi.OP_CLONE_VM),
    ],
)
def test_clone_flags_tell_fork_vfork_and_threads_apart(tmp_path, flags, op):
    """CLONE_VM shares the mm; CLONE_VFORK as well lends it (include/uapi/linux/sched.h)."""
    assert rows(tmp_path, newtask(1, 2, flags), event(2, "sched_process_exit: group_dead=false")) == [
        row(op, 0, 1),
        row(uapi.OP_EXIT, 1),
    ]


def test_a_pid_is_used_again_after_an_exit(tmp_path):
    """The second bearer is another task."""
    died = event(2, "sched_process_exit: -")
    got = rows(tmp_path, newtask(1, 2, 0), died, newtask(1, 2, 0), died)
    assert [each[:3] for each in got] == [
        (uapi.OP_FORK, 0, 1),
        (uapi.OP_EXIT, 1, 0),
        (uapi.OP_FORK, 0, 2),
        (uapi.OP_EXIT, 2, 0),
    ]


def test_a_fault_after_the_exit_event_is_before_the_exit(tmp_path):
    """Since Linux 6.16 kernel/exit.c:do_exit tells of the exit before it clears the thread's tid."""
    got = rows(
        tmp_path, event(1, "sched_process_exit: -"), fault(1, STACK, 2, "kernel"), event(1, "exit_mmap: -")
    )
    assert got == [row(uapi.OP_TOUCH, 0, STACK, 1, uapi.ACCESS_WRITE), row(uapi.OP_EXIT, 0)]


def execs(pid: int, old_pid: int) -> list[str]:
    """The end of an execve with a snapshot of one page of stack."""
    return [
        event(pid, f"sched_process_exec: filename=- pid={pid} old_pid={old_pid}"),
        mark(f"mmarch_exec: pid={pid} start_brk=0x1000"),
        mark(f"mmarch_vma: pid={pid} start=0x9000 end=0xa000 prot=0x3 flags=0x20122 file=-1 off=0x0"),
        mark(f"mmarch_exec_end: pid={pid}"),
        event(pid, "sys_execve -> 0x0"),
    ]


def test_execve_has_faults_in_the_old_and_in_the_new_address_space(tmp_path):
    """Arguments are read in the old one; what execve writes to the new one is in the snapshot."""
    workload = load(
        tmp_path,
        newtask(1, 2, 0x4100),
        event(2, "sys_execve(filename: 1, argv: 2, envp: 3)"),
        fault(2, STACK, 0, "kernel"),
        event(2, "sched_prepare_exec: -"),
        fault(2, 0x9000, 2, "kernel"),
        *execs(2, 2),
        fault(2, 0x9000),
    )
    assert [each[:3] for each in map(tuple, workload.ops.tolist()[IMAGE:])] == [
        (uapi.OP_VFORK, 0, 1),
        (uapi.OP_TOUCH, 1, STACK),
        (uapi.OP_EXEC, 1, 0x1000),
        (uapi.OP_MMAP, 1, 0x9000),
        (uapi.OP_TOUCH, 1, 0x9000),
    ]
    assert workload.ignored["fault of execve itself (the snapshot has its pages)"] == 1


def test_an_execve_that_fails_leaves_its_faults_in_the_old_address_space(tmp_path):
    """As a shell that tries each directory of its path."""
    workload = load(
        tmp_path,
        event(1, "sys_execve(filename: 1, argv: 2, envp: 3)"),
        fault(1, STACK, 0, "kernel"),
        event(1, "sys_execve -> 0xfffffffffffffffe"),
        fault(1, STACK, 4),
    )
    assert [each[:3] for each in map(tuple, workload.ops.tolist()[IMAGE:])] == [(uapi.OP_TOUCH, 0, STACK)] * 2
    assert workload.ignored["execve that failed"] == 1


def test_exec_in_a_thread_takes_the_leaders_pid(tmp_path):
    """fs/exec.c:de_thread: the leader dies, the thread goes on under its pid."""
    got = rows(
        tmp_path,
        newtask(1, 2, 0x10100),
        event(2, "sched_prepare_exec: -"),
        event(1, "sched_process_exit: -"),
        *execs(1, 2),
        fault(1, 0x9000),
        event(1, "sched_process_exit: -"),
    )
    assert [each[:2] for each in got] == [
        (uapi.OP_CLONE_VM, 0),
        (uapi.OP_EXIT, 0),
        (uapi.OP_EXEC, 1),
        (uapi.OP_MMAP, 1),
        (uapi.OP_TOUCH, 1),
        (uapi.OP_EXIT, 1),
    ]


@pytest.mark.parametrize(
    ("signal", "code", "kept"), [(11, 1, 0), (11, 2, 0), (7, 2, 0), (11, 128, 1), (9, 1, 1)]
)
def test_an_access_that_got_a_signal_never_happened(tmp_path, signal, code, kept):
    """si_code 1..127 comes from the fault handler; SI_KERNEL (128) and others do not."""
    sent = event(1, f"signal_generate: sig={signal} errno=0 code={code} comm=a b pid=1 grp=0 res=0")
    assert len(rows(tmp_path, fault(1, 0x10), sent)) == kept


def test_a_file_that_shrinks_is_truncated_in_the_twin_and_grows_back(tmp_path):
    """Its largest size is the size it has at first; growth that nothing preceded is no event."""
    got = rows(
        tmp_path,
        mark("mmarch_file: file=3 size=0 kind=tmpfs"),
        mark("mmarch_fd: pid=1 file=3"),
        *call(1, "ftruncate", 0, 5, 0x4000),
        mark("mmarch_fd: pid=1 file=3"),
        *call(1, "ftruncate", 0, 5, 0x1000),
        mark("mmarch_file: file=3 size=12288 kind=tmpfs"),
    )
    assert got == [row(uapi.OP_FTRUNCATE, 0, 1, 0x1000), row(uapi.OP_FTRUNCATE, 0, 1, 0x3000)]
    workload = load_ftrace(tmp_path / "small.ftrace.txt")
    assert workload.files[1] == File(uapi.FILE_TMPFS, 0x4000)


def test_events_without_effect_are_listed(tmp_path):
    """By kind, with their number."""
    workload = load(
        tmp_path,
        event(1, "tlb_flush: pages:1 reason:local mm shootdown (1)"),
        event(1, "mm_page_alloc: page=0x1 pfn=0x1 order=4 migratetype=1 gfp_flags=GFP_KERNEL"),
        event(1, "sched_process_fork: comm=a pid=1 child_comm=a child_pid=2"),
        mark("somebody else's marker"),
        *call(1, "mlock", 0, AT, 0x1000),
        *call(1, "read", 5, 0, AT, 5),
    )
    assert len(workload.ops) == IMAGE
    for kind in ("tlb_flush", "mm_page_alloc", "sched_process_fork", "tracing_mark_write", "sys_read"):
        assert workload.ignored[kind] == 1
    assert workload.ignored["mlock (not modelled)"] == 1


def test_text_of_trace_cmd_report_is_read(tmp_path):
    """Other columns, other names of the same events."""
    text = "\n".join(
        [
            "cpus=2",
            " sort-7 [001]  9.5: sched_prepare_exec: -",
            " sort-7 [001]  9.5: sched_process_exec: filename=/usr/bin/sort pid=7 old_pid=7",
            " x-2 [000]  9.5: print: mmarch_exec: pid=7 start_brk=0x1000",
            " x-2 [000]  9.5: print: mmarch_exec_end: pid=7",
            " Web Content-7 [001]  9.5: sys_enter_munmap:      addr: 0x00001000, len: 0x00001000",
            " sort-7 ( 7) [001] d..1. 9.5: sys_exit_munmap:       0x0",
            " a-b 1-7 [001] d... 9.5: page_fault_user:   address=0x5000 ip=0x1 error_code=0x4",
            "",
        ]
    )
    path = tmp_path / "foreign.txt"
    path.write_text(text)
    workload = load_ftrace(path)
    assert [tuple(each)[:4] for each in workload.ops.tolist()[2:]] == [
        (uapi.OP_MUNMAP, 0, 0x1000, 0x1000),
        (uapi.OP_TOUCH, 0, 0x5000, 1),
    ]
    assert workload.provenance == {}


def test_a_foreign_trace_without_snapshots_says_which_record_is_missing(tmp_path):
    """Nothing is invented in its place."""
    path = tmp_path / "foreign.txt"
    path.write_text(
        " a-7 [1] 9.5: sched_process_exec: filename=/x pid=7 old_pid=7\n" + fault(7, 0x1000) + "\n"
    )
    with pytest.raises(
        InputError, match=r"foreign\.txt:2: .*mmarch_exec records\) are missing.*mmarch record"
    ):
        load_ftrace(path)


def test_a_droppable_mapping_is_taken_for_private_memory(tmp_path):
    """MAP_DROPPABLE (include/uapi/linux/mman.h) is a type of mapping, beside MAP_SHARED and MAP_PRIVATE."""
    mapped = [
        event(1, "sys_mmap(addr: 0, len: 1000, prot: 3, flags: 28, fd: ffffffffffffffff, off: 0)"),
        event(1, "sys_mmap -> 0x7f0000000000"),
    ]
    workload = load(tmp_path, *mapped, fault(1, 0x7F0000000000))
    flags = uapi.MAP_PRIVATE | uapi.MAP_ANONYMOUS
    assert workload.ops.tolist()[-2][:6] == [uapi.OP_MMAP, 0, 0x7F0000000000, 0x1000, 3, flags]
    assert workload.ignored["MAP_DROPPABLE, taken for MAP_PRIVATE"] == 1


@pytest.mark.parametrize(
    ("cause", "access"), [(12, uapi.ACCESS_EXEC), (13, uapi.ACCESS_READ), (15, uapi.ACCESS_WRITE)]
)
def test_a_fault_of_riscv_has_a_cause(tmp_path, cause, access):
    """Its tracepoints' text is another; causes are those of the privileged architecture, section on scause."""
    text = event(1, f"page_fault_user: user page fault, address={STACK + 8:#x} epc=0x401000 cause={cause:#x}")
    assert rows(tmp_path, text) == [row(uapi.OP_TOUCH, 0, STACK, 1, access)]
