"""What a WORKLOAD argument means, told by content; bad files get one message."""

from __future__ import annotations

import gzip
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from core_mm import uapi
from mmarch.errors import InputError
from mmarch.runs.configure import Choices, configure
from mmarch.runs.workloads import DEFAULT_TRACE, Script, Trace, bundled_traces, open_workload
from tests.mmarch.conftest import Ran
from tests.support import trace_text
from tests.support.scenarios import TINY
from tests.support.trace_text import START, trace


def test_default_is_bundled() -> None:
    """The default trace is installed, and others have names too."""
    traces = bundled_traces()
    assert DEFAULT_TRACE in traces
    source = open_workload(next(name for name in traces if name != DEFAULT_TRACE))
    assert isinstance(source, Trace)


def test_content_decides(tmp_path: Path) -> None:
    """Not the name: a trace is a trace, compressed or not, and so is a scenario."""
    for name, data, kind in (
        ("a.scn", trace(*START).encode(), Trace),
        ("b.txt", gzip.compress(trace(*START).encode(), mtime=0), Trace),
        ("c.gz", TINY.encode(), Script),
        ("d", b"# a comment\n\n" + TINY.encode(), Script),
    ):
        (tmp_path / name).write_bytes(data)
        assert isinstance(open_workload(str(tmp_path / name)), kind)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "empty; expected a trace or a scenario file"),
        (b"hello\n", ":1: neither a trace (ftrace, perf script, strace or plain events) nor a scenario file"),
        (b"\x7fELF\x02\x01\x01" + bytes(500), "a binary file; expected a trace or a scenario file"),
        (b"\x1f\x8b\x08", "gzip"),
        (gzip.compress(trace(*START).encode(), mtime=0)[:-20], "damaged"),
        (gzip.compress(b"hello\n", mtime=0), ""),
        (trace(*START).encode()[:-30], "truncated"),
    ],
)
def test_bad_files(tmp_path: Path, mmarch: Callable[..., Ran], data: bytes, message: str) -> None:
    """Empty, foreign, damaged and truncated files: exit code 2, the file is named, no traceback."""
    path = tmp_path / "workload"
    path.write_bytes(data)
    ran = mmarch("run", path)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("mmarch: ")
    assert str(path) in ran.err
    assert message in ran.err
    assert "Traceback" not in ran.err


def test_missing_file_and_directory(tmp_path: Path) -> None:
    """Both are told as what they are."""
    with pytest.raises(InputError, match=r"no such workload: .*nowhere"):
        open_workload(str(tmp_path / "nowhere"))
    with pytest.raises(InputError, match="is a directory"):
        open_workload(str(tmp_path))


def test_several_scenarios_need_a_choice(tmp_path: Path) -> None:
    """Their names are listed; a misspelt one is suggested."""
    path = tmp_path / "two.scn"
    path.write_text(TINY + TINY.replace("scenario tiny", "scenario large"))
    with pytest.raises(InputError, match="2 scenarios; choose one with --scenario: tiny, large"):
        open_workload(str(path))
    with pytest.raises(InputError, match="Did you mean 'large'"):
        open_workload(str(path), "larg")
    assert open_workload(str(path), "large").workload(configure(Choices())).name == "large"


def test_scenario_follows_the_configuration(tmp_path: Path) -> None:
    """Pages are those of the granule: MADV_DONTNEED of 64 of them."""
    path = tmp_path / "tiny.scn"
    path.write_text(TINY)
    source = open_workload(str(path))
    for granule, page_size in (("4k", 4096), ("16k", 16384)):
        ops = source.workload(configure(Choices(granule=granule))).ops
        dropped = ops[(ops[:, 0] == uapi.OP_MADVISE) & (ops[:, 4] == uapi.MADV_DONTNEED)]
        assert dropped[:, 3].tolist() == [64 * page_size]


def test_a_trace_replays_on_larger_pages(tmp_path: Path, mmarch: Callable[..., Ran]) -> None:
    """A mapping that begins in the middle of a 16K page gets pages of its own, and that is said."""
    path = tmp_path / "trace.txt"
    where = "start=0x555000005000 end=0x555000009000"
    odd = trace_text.mark(f"mmarch_vma: pid=1 {where} prot=0x1 flags=0x2 file=-1 off=0x0")
    path.write_text(trace(*START[:5], odd, *START[5:]))
    ran = mmarch("run", "--granule", "16k", path)
    assert (ran.code, "granule 16k" in ran.out) == (0, True)
    assert "taken as recorded with pages of 4096 bytes, replayed with granule 16k" in ran.err
    ops = open_workload(str(path)).workload(configure(Choices(granule="16k"))).ops
    assert not (ops[ops[:, 0] == uapi.OP_MMAP, 2] % 16384).any()


def test_unmapped_address_in_a_scenario(tmp_path: Path, mmarch: Callable[..., Ran]) -> None:
    """A scenario that touches what it unmapped: one message with the line, and no half of an answer."""
    path = tmp_path / "hole.scn"
    path.write_text("scenario hole\nmap A 16\nunmap A 4 1\nwrite A\nend\n")
    ran = mmarch("run", path)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith(f"mmarch: {path}:4: SIGSEGV: write to page 4 of A by task 0 at ")
    assert ran.err.splitlines()[0].endswith(": unmapped by line 3")


def test_a_file_that_cannot(tmp_path: Path, mmarch: Callable[..., Ran]) -> None:
    """The kernel's error and the kind of file; the same lines run on tmpfs, which gets the room they need."""
    path = tmp_path / "f.scn"
    path.write_text("scenario f\nfile F ramfs\nfallocate F 8 8\nend\n")
    ran = mmarch("run", path)
    assert ran.code == 2
    assert ran.err.startswith(f"mmarch: {path}:3: EOPNOTSUPP: fallocate by task 0 of a file of kind ramfs")
    path.write_text(path.read_text().replace("ramfs", "tmpfs"))
    assert mmarch("run", path).code == 0


def test_out_of_simulated_memory(tmp_path: Path, mmarch: Callable[..., Ran]) -> None:
    """The message says how much there was and what to try."""
    path = tmp_path / "large.scn"
    path.write_text("scenario large\nmap A 64MiB\nwrite A\nend\n")
    ran = mmarch("run", "--memory", "32M", path)
    assert ran.code == 2
    assert f"{path}:3: out of simulated memory (32M); run with --memory 64M" in ran.err


def test_reader_that_leaves_early(tmp_path: Path) -> None:
    """`mmarch … | head -1` ends without a word on stderr."""
    path = tmp_path / "tiny.scn"
    path.write_text(TINY)
    command = f"{sys.executable} -m mmarch run --json {path} | head -c 1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.stdout == "{"
    assert done.stderr == ""
