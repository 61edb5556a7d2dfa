"""What people have lying about: spaces, CRLF, marks, pipes, other formats; nothing is misread in silence."""

from __future__ import annotations

import bz2
import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from core_mm import uapi
from mmarch.errors import InputError
from mmarch.runs.workloads import Trace, bundled_traces, open_workload
from mmarch.trace.ftrace import load_ftrace
from tests.support.scenarios import TINY
from tests.support.trace_text import HEADER, START, event, trace

STACK = 0x7FFD00000000
FAULTS = [
    event(1, f"page_fault_user: address={STACK + page * 4096:#x} ip=0x1000 error_code={code:#x}")
    for page, code in enumerate((4, 6, 5, 7))
]
LINE = HEADER.count("\n") + len(START) + 1  # of the first event after START
WHOLE = trace(*START, *FAULTS)


def ops(path: Path) -> list[list[int]]:
    """Operations of a file, as the commands read it."""
    source = open_workload(str(path))
    assert isinstance(source, Trace)
    return source.recorded.ops.tolist()


def written(path: Path, text: str | bytes) -> Path:
    """A file with that in it."""
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("\n", "\r\n").encode(),
        lambda text: "".join(f"{line}  \n" for line in text.splitlines()).encode(),
        lambda text: b"\xef\xbb\xbf" + text.encode(),
        lambda text: gzip.compress(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode()),
    ],
    ids=["crlf", "spaces at the end", "mark", "all of it, packed"],
)
def test_a_file_that_went_through_an_editor(tmp_path: Path, change) -> None:
    """Line ends of other systems, spaces and a byte order mark change nothing."""
    plain, other = written(tmp_path / "plain", WHOLE), written(tmp_path / "other", change(WHOLE))
    assert ops(other) == ops(plain)
    assert sum(row[0] == uapi.OP_TOUCH for row in ops(plain)) == 1 + len(FAULTS)


def test_numpy_pool_with_spaces_at_the_ends(tmp_path: Path) -> None:
    """Twelve thousand faults are read as they were, none as the kernel's own."""
    bundled = bundled_traces()["numpy-pool"]
    text = gzip.decompress(bundled.read_bytes())
    other = written(tmp_path / "other", text.replace(b"\n", b" \n"))
    plain, spaced = (load_ftrace(path) for path in (bundled, other))
    assert (plain.ops == spaced.ops).all()
    assert plain.ignored == spaced.ignored
    assert (spaced.ops[:, 0] == uapi.OP_TOUCH).sum() > 12_000


def test_several_workloads_say_another_granule_than_the_recorded(mmarch, tmp_path: Path) -> None:
    """Of each recording that it concerns."""
    text = WHOLE.replace("# arch: x86_64\n", "# arch: x86_64\n# page size: 16384 bytes\n")
    one, other = written(tmp_path / "one", text), written(tmp_path / "other", WHOLE)
    ran = mmarch("run", one, other, "--granule", "4k")
    assert ran.code == 0, ran.err
    assert f"{one}: recorded with pages of 16384 bytes, replayed with granule 4k" in ran.err
    assert f"{other}: recorded" not in ran.err


def test_a_scenario_that_went_through_an_editor(mmarch, tmp_path: Path) -> None:
    """The same for scenario files."""
    plain = written(tmp_path / "plain.scn", TINY)
    other = written(tmp_path / "other.scn", b"\xef\xbb\xbf" + TINY.replace("\n", "\r\n").encode())
    counts = [json.loads(mmarch("run", path, "--json").out)["totals"] for path in (plain, other)]
    assert counts[0] == counts[1] != {}


@pytest.mark.parametrize(
    "fault",
    [
        "address=zzz ip=0x1000 error_code=0x6",
        "address=0x7ffd00000000 ip=0x1000 error_code=",
        "address=0x7ffd00000000 ip=0x1000 error_code=0x6 more",
        "address=0x7ffd00000000 ip=0x1000",
        "address= ip=0x1000 error_code=0x6",
    ],
)
def test_a_fault_that_is_not_understood(tmp_path: Path, fault: str) -> None:
    """File, line and the text; it is not filed under faults of the kernel."""
    path = written(tmp_path / "t", trace(*START, event(1, f"page_fault_user: {fault}")))
    with pytest.raises(InputError, match=rf"^{path}:{LINE}: page fault without a numeric address"):
        load_ftrace(path)


def test_a_fault_of_the_kernel_at_a_symbol(tmp_path: Path) -> None:
    """ftrace prints the kernel's own addresses by name; such a fault is counted."""
    path = written(
        tmp_path / "t", trace(*START, event(1, "page_fault_kernel: address=init_task ip=f error_code=0x0"))
    )
    assert load_ftrace(path).ignored["fault at a kernel address"] == 1


def test_the_recorded_page_size_is_the_default_granule(mmarch, tmp_path: Path) -> None:
    """A recording of 16 KiB pages runs with those; another granule is honoured, and said."""
    text = WHOLE.replace("# arch: x86_64\n", "# arch: x86_64\n# page size: 16384 bytes\n")
    path = written(tmp_path / "t", text)
    said = [
        json.loads(mmarch(*words, "--json").out)
        for words in (["run", path], ["run", path, "--granule", "4k"])
    ]
    assert [one["configuration"]["granule"] for one in said] == ["16k", "4k"]
    assert (
        "recorded with pages of 16384 bytes, replayed with granule 4k"
        in mmarch("run", path, "--granule", "4k").err
    )
    both = json.loads(mmarch("compare", path, "-c", "cpu=cortex-a55", "-c", "granule=4k", "--json").out)
    assert [one["configuration"]["granule"] for one in both["results"]] == ["16k", "4k"]
    line = text[: text.index("# page size")].count("\n") + 1
    for size in ("12 KiB", "5000 bytes"):
        odd = written(tmp_path / "odd", text.replace("16384 bytes", size))
        assert f"{odd}:{line}: '# page size: " in (ran := mmarch("run", odd)).err
        assert ran.code == 2


@pytest.mark.parametrize(
    ("esr", "access"),
    [
        (0x92000007, uapi.ACCESS_READ),
        (0x92000047, uapi.ACCESS_WRITE),
        (0x9600004F, uapi.ACCESS_WRITE),
        (
            0x92000147,
            uapi.ACCESS_READ,
        ),  # cache maintenance: WnR is set, and it reads (fault.c:is_write_abort)
        (0x82000007, uapi.ACCESS_EXEC),
    ],
)
def test_esr_values_of_arm64(tmp_path: Path, esr: int, access: int) -> None:
    """By the header's machine; without it an ESR cannot be an x86 error code, and the way out is named."""
    fault = event(1, f"page_fault_user: address={STACK:#x} ip=0x1000 error_code={esr:#x}")
    text = trace(*START, fault)
    workload = load_ftrace(written(tmp_path / "arm", text.replace("x86_64", "aarch64")))
    assert workload.ops[-1].tolist()[:5] == [uapi.OP_TOUCH, 0, STACK, 1, access]
    assert workload.remarks
    with pytest.raises(
        InputError, match=rf":{LINE}: error_code={esr:#x} is no error code of an x86.*# arch: aarch64"
    ):
        load_ftrace(written(tmp_path / "x86", text))


def test_x86_codes_on_arm64_and_other_machines(tmp_path: Path) -> None:
    """What is no ESR, and machines whose codes are not known, are refused."""
    for machine, says in (("aarch64", "no ESR value"), ("ppc64le", "'ppc64le' are not known")):
        with pytest.raises(InputError, match=says):
            load_ftrace(written(tmp_path / machine, WHOLE.replace("x86_64", machine)))


def test_a_trace_of_other_events(mmarch, tmp_path: Path) -> None:
    """Nothing to replay is an error, which names what there is."""
    path = written(tmp_path / "t", "# tracer: nop\n" + (event(1, "sched_switch: prev_comm=a") + "\n") * 3)
    ran = mmarch("run", path)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == (
        f"mmarch: {path}:4: no event here can be replayed (sched_switch 3); record with: mmarch record\n"
    )


@pytest.mark.parametrize(
    ("head", "what", "do"),
    [
        (b"\x17\x08\x44tracing6", "trace.dat", "trace-cmd report"),
        (b"PERFILE2\x68", "perf.data", "perf script"),
        (bz2.compress(b"x"), "bzip2", "bzip2 -dc"),
        ("# tracer".encode("utf-16"), "UTF-16", "iconv"),
        (gzip.compress(b"PERFILE2" + bytes(99), mtime=0), "perf.data", "perf script"),
        (b"\x7fELF\x02\x01\x01\0\0", "a binary file", "expected a trace or a scenario file"),
    ],
)
def test_other_formats_are_named(mmarch, tmp_path: Path, head: bytes, what: str, do: str) -> None:
    """What the file is and what to do with it; no binary on the terminal."""
    path = written(tmp_path / "file", head)
    ran = mmarch("run", path)
    assert (ran.code, ran.out) == (2, "")
    assert what in ran.err
    assert do in ran.err
    assert ran.err.rstrip("\n").isprintable()


@pytest.mark.parametrize("text", [WHOLE, TINY], ids=["trace", "scenario"])
def test_pipes_are_read_once(tmp_path: Path, text: str) -> None:
    """`run -` and `run <(…)` print what the file itself would; several of them are refused."""
    path = written(tmp_path / "w", text)
    words = [sys.executable, "-m", "mmarch", "run", "--json"]
    counts = [
        json.loads(subprocess.run([*words, name], input=data, capture_output=True, check=True).stdout)[
            "totals"
        ]
        for name, data in ((str(path), b""), ("-", text.encode()), ("/dev/stdin", text.encode()))
    ]
    assert counts[0]
    assert counts[1] == counts[0] == counts[2]
    packed = subprocess.run(
        [*words, "-"], input=bz2.compress(text.encode()), capture_output=True, check=False
    )
    assert packed.stderr.decode().startswith("mmarch: stdin: not text of a trace but compressed by bzip2")
    assert packed.stderr.decode().endswith("bzip2 -dc FILE | mmarch run -\n")
    ran = subprocess.run([*words, "-", str(path)], input=text, capture_output=True, text=True, check=False)
    assert ran.returncode == 2
    assert "- is no file" in ran.stderr


def test_a_fifo_without_end_is_bounded(tmp_path: Path) -> None:
    """A pipe that gives one endless line is given up at its first block."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with (
        subprocess.Popen(
            ["sh", "-c", f"exec 2>/dev/null; (printf '# tracer: nop\\n'; yes | tr -d '\\n') > {fifo}"]
        ),
        pytest.raises(InputError, match="a line longer than 4096 bytes"),
    ):
        open_workload(str(fifo))


def test_bundled_page_sizes() -> None:
    """Both bundled traces say that their machine had 4 KiB pages."""
    for name in ("redis-bgsave", "numpy-pool"):
        assert open_workload(name).page_size == 4096


def test_header_is_what_these_tests_take_it_for() -> None:
    """The fixtures are x86; otherwise the tests of error codes test nothing."""
    assert "# arch: x86_64\n" in HEADER
