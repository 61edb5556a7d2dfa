"""The recorded programs that come with mmarch are what their README says."""

import gzip
import re
from pathlib import Path

import numpy as np
import pytest

import mmarch
from core_mm import uapi
from mmarch.trace.ftrace import load_ftrace
from tests.support.vma_model import Judge

FOLDER = Path(__file__).parents[3] / "examples" / "traces"
TRACES = sorted(FOLDER.glob("*.ftrace.txt.gz"))
ARM64 = FOLDER / "small-fork-arm64.ftrace.txt.gz"
PROGRAMS = [path for path in TRACES if path != ARM64]
BLOCK = 1 << 16


@pytest.fixture(scope="module", params=PROGRAMS, ids=lambda path: path.name.split(".")[0])
def workload(request):
    """One recorded program, loaded."""
    return load_ftrace(request.param)


def number(workload, op):
    """Rows of one operation."""
    return int(np.count_nonzero(workload.ops[:, 0] == op))


def test_there_are_traces():
    """The others' parameters come from the folder."""
    names = ["numpy-pool.ftrace.txt.gz", "redis-bgsave.ftrace.txt.gz", "small-fork-arm64.ftrace.txt.gz"]
    assert [path.name for path in TRACES] == names


def test_a_trace_holds_every_kind_of_life(workload):
    """Faults in number; forks, vforks, threads, exec; memory taken, changed and given back."""
    assert number(workload, uapi.OP_TOUCH) >= 10_000
    for op in (uapi.OP_FORK, uapi.OP_VFORK, uapi.OP_CLONE_VM, uapi.OP_EXEC):
        assert number(workload, op) >= 1, uapi.OP_NAMES[op]
    for op in (uapi.OP_MMAP, uapi.OP_MUNMAP, uapi.OP_MPROTECT, uapi.OP_BRK, uapi.OP_MADVISE):
        assert number(workload, op) >= 5, uapi.OP_NAMES[op]
    advice = workload.ops[workload.ops[:, 0] == uapi.OP_MADVISE][:, 4]
    assert uapi.MADV_DONTNEED in advice


def test_every_access_lies_in_a_mapping_that_permits_it(workload):
    """By an independent model of VMAs: none outside, none forbidden, none beyond a file's end."""
    judge = Judge(workload).run()
    assert (judge.outside, judge.forbidden, judge.beyond, judge.holes) == ([], [], [], [])


def test_every_task_that_is_born_exits(workload):
    """Three processes at least; the recording lasts until the last of them."""
    born = sum(number(workload, op) for op in (uapi.OP_SPAWN, uapi.OP_FORK, uapi.OP_VFORK, uapi.OP_CLONE_VM))
    assert born == number(workload, uapi.OP_EXIT)
    assert number(workload, uapi.OP_FORK) + number(workload, uapi.OP_VFORK) >= 2


def test_a_fork_without_exec_is_followed_by_copies_on_write(workload):
    """Some child never calls exec, and its parent or it writes to what they share."""
    children = set(workload.ops[workload.ops[:, 0] == uapi.OP_FORK][:, 2].tolist())
    execs = set(workload.ops[workload.ops[:, 0] == uapi.OP_EXEC][:, 1].tolist())
    assert children - execs
    with gzip.open(workload.source, "rt") as text:
        assert sum(line.endswith("error_code=0x7\n") for line in text) >= 1000


def test_whole_64k_blocks_are_touched(workload):
    """So that 64 KiB folios can form, be shared by fork and be torn down."""
    touches = workload.ops[workload.ops[:, 0] == uapi.OP_TOUCH]
    pages = np.unique(touches[:, 1:3], axis=0)
    _, sizes = np.unique(np.stack([pages[:, 0], pages[:, 1] // BLOCK], 1), axis=0, return_counts=True)
    assert np.count_nonzero(sizes == 16) >= 200


def test_only_kinds_without_effect_are_ignored(workload):
    """`mbind` sets a policy for pages yet to come; nothing else needs saying."""
    assert set(workload.ignored) <= {
        "brk that changes nothing",
        "execve that failed",
        "fault in a mapping of the kernel's own",
        "fault of execve itself (the snapshot has its pages)",
        "mapping of the kernel's own (vdso, vvar)",
        "mbind (not modelled)",
    }


def test_a_trace_says_where_it_comes_from_and_names_nobody(workload):
    """Provenance is in the header; no path, name or directory is anywhere."""
    assert workload.provenance["arch"] == "x86_64"
    assert workload.provenance["lost events"] == "0"
    with gzip.open(workload.source, "rt") as text:
        body = [line for line in text if not line.startswith("#")]
    assert not [line for line in body if re.search(r"/|\"|comm=[^<]|filename=[^-]", line)]
    assert all(re.match(r" +<\.\.\.>-\d{1,3} ", line) for line in body)


@pytest.mark.parametrize("path", TRACES, ids=lambda path: path.name)
def test_a_trace_is_small(path):
    """They travel with the package."""
    assert path.stat().st_size < 600_000


def test_the_readme_counts_right(workload):
    """Its table of rows is the traces'."""
    table = [
        line.split("|")[1:-1]
        for line in (FOLDER / "README.md").read_text().splitlines()
        if " | mmap |" in line
    ]
    heads = [head.strip() for head in table[0]]
    readme = (FOLDER / "README.md").read_text().splitlines()
    lines = [
        line
        for line in readme
        if line.startswith(f"| {workload.name} |") and line.count("|") == len(heads) + 1
    ]
    cells = dict(
        zip(heads, (cell.strip().replace(",", "") for cell in lines[0].split("|")[1:-1]), strict=True)
    )
    ops = {name: op for op, name in uapi.OP_NAMES.items()}
    for head in heads:
        if head in ops:
            assert int(cells[head]) == number(workload, ops[head]), head
    assert int(cells["files"]) == len(workload.files)


def test_the_recording_of_arm64_is_of_its_source():
    """What small-fork.c does, counted by hand: four forks, four mremaps, a thread, 1,024 pages of a table and more."""
    found = load_ftrace(ARM64)
    counts = {op: number(found, op) for op in uapi.OP_NAMES}
    assert (counts[uapi.OP_FORK], counts[uapi.OP_MREMAP], counts[uapi.OP_CLONE_VM]) == (4, 4, 1)
    assert (counts[uapi.OP_EXIT], counts[uapi.OP_EXEC]) == (6, 1)
    table = next(row for row in found.ops.tolist() if row[0] == uapi.OP_MMAP and row[3] == 4 << 20)
    written = {
        row[2]
        for row in found.ops.tolist()
        if row[:2] == [uapi.OP_TOUCH, 0] and row[4] == uapi.ACCESS_WRITE and 0 <= row[2] - table[2] < table[3]
    }
    assert len(written) == 1024
    judge = Judge(found).run()
    assert (judge.outside, judge.forbidden, judge.beyond) == ([], [], [])
    assert (found.page_size, found.provenance["arch"]) == (4096, "aarch64")
    assert found.provenance["recorded by"] == "kprobe on handle_mm_fault, under QEMU"


def test_each_recorded_fault_of_arm64_faults_in_the_twin():
    """With base pages, as it was recorded, neither more nor fewer."""
    result = mmarch.run(str(ARM64), folio_orders="none")
    assert result.totals["fault"] == number(load_ftrace(ARM64), uapi.OP_TOUCH) == 4316
