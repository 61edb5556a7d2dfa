"""Recording on real arm64 kernels: runs only where QEMU, compilers and a kernel are."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

import mmarch
from core_mm import uapi
from mmarch.errors import InputError
from mmarch.kernel import debian, tools
from mmarch.trace.ftrace import load_ftrace
from mmarch.trace.means import guest
from mmarch.trace.recorder import record
from tests.support.vma_model import Judge

KERNELS = os.environ.get("MMARCH_TEST_RECORDED_KERNELS", "debian:6.12 debian:6.12-16k").split()
SOURCE = Path(__file__).parents[3] / "examples" / "traces" / "small-fork.c"


def _missing(kernel: str) -> str:
    """Why nothing can be recorded on it here; empty if it can."""
    try:
        tools.qemu(), tools.compiler(), tools.cross_compiler()
    except InputError as error:
        return str(error).split(":", 1)[0]
    return "" if debian.find(kernel) else f"{kernel} is not in the cache (mmarch kernel get {kernel})"


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example, for arm64."""
    path = tmp_path_factory.mktemp("program") / "small-fork"
    options = ["-static", "-O2", "-pthread", "-o", str(path), str(SOURCE)]
    subprocess.run([*tools.cross_compiler().command, *options], check=True)
    return path


@pytest.mark.parametrize(
    "kernel",
    [
        pytest.param(name, marks=pytest.mark.skipif(bool(_missing(name)), reason=_missing(name)))
        for name in KERNELS
    ],
)
def test_the_list_records_on_a_kernel_of_arm64(tmp_path: Path, program: Path, kernel: str) -> None:
    """The guest executes the recorder's list; every fault that it saw faults in the twin, and none besides."""
    output = tmp_path / "out.ftrace.txt"
    made = record(output, [str(program)], kernel=kernel)
    assert (made.exit_status, made.tasks) == (0, 6)
    workload = load_ftrace(output)
    size = 16384 if kernel.endswith("-16k") else 4096
    assert workload.page_size == size
    codes = workload.ops[:, 0].tolist()
    assert [codes.count(op) for op in (uapi.OP_FORK, uapi.OP_MREMAP, uapi.OP_CLONE_VM, uapi.OP_EXIT)] == [
        4,
        4,
        1,
        6,
    ]
    judge = Judge(workload).run()
    assert (judge.outside, judge.forbidden) == ([], [])
    result = mmarch.run(str(output), folio_orders="none")
    assert result.totals["fault"] == codes.count(uapi.OP_TOUCH)


@pytest.mark.parametrize(
    ("machine", "more", "said"),
    [(62, b"", "is no arm64 program"), (183, b"/lib/ld-linux-aarch64.so.1\0", "link it with -static")],
)
def test_a_program_that_cannot_run_there_is_refused(
    tmp_path: Path, machine: int, more: bytes, said: str
) -> None:
    """Before anything is booted: of x86-64 (EM_X86_64), and with a loader that the guest does not have."""
    other = tmp_path / "other"
    other.write_bytes(b"\x7fELF\x02\x01" + bytes(12) + machine.to_bytes(2, "little") + more)
    other.chmod(0o755)
    with pytest.raises(InputError, match=said):
        guest.program(str(other))


def test_a_guest_takes_a_command_alone(tmp_path: Path) -> None:
    """Neither a process of this machine nor another means."""
    with pytest.raises(InputError, match="drop -p, -d and --by"):
        record(tmp_path / "out.txt", ["true"], kernel="debian:6.12", by="perf")
