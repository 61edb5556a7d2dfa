"""Packed traces: the same as plain ones; damage ends them where it is, bombs end early; memory stays small."""

from __future__ import annotations

import gzip
import io
import lzma
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mmarch.errors import InputError
from mmarch.trace.assumed import Reading
from mmarch.trace.formats import load_trace
from mmarch.trace.ftrace import load_ftrace
from mmarch.trace.packed import MOST_MEMORY, Damaged, beginning, unpacked
from tests.mmarch.conftest import Ran
from tests.support.trace_text import START, event, trace

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

FAULTS = [
    event(1, f"page_fault_user: address={0x7FFD00000000 + 16 * n:#x} ip=0x1 error_code=0x6")
    for n in range(4000)
]
WHOLE = trace(*START, *FAULTS).encode()


def checked(data: bytes) -> bytes:
    """By zstd, with a checksum, as the program writes it."""
    return zstd.compress(data, options={zstd.CompressionParameter.checksum_flag: 1})


PACK: dict[str, Callable[[bytes], bytes]] = {"gz": gzip.compress, "xz": lzma.compress, "zst": checked}
packed_by = pytest.mark.parametrize("by", PACK)


@packed_by
def test_a_packed_trace_is_the_trace(tmp_path: Path, mmarch: Callable[..., Ran], by: str) -> None:
    """By its content, in one part or several; its name loses the ending."""
    half = len(WHOLE) // 2
    plain, path = tmp_path / "t.txt", tmp_path / f"t.txt.{by}"
    plain.write_bytes(WHOLE)
    for data in (PACK[by](WHOLE), PACK[by](WHOLE[:half]) + PACK[by](WHOLE[half:])):
        path.write_bytes(data)
        assert load_ftrace(path).ops.tolist() == load_ftrace(plain).ops.tolist()
        assert load_ftrace(path).name == "t"
    assert mmarch("run", path, "-q").out == mmarch("run", plain, "-q").out


@packed_by
def test_what_ends_too_early_is_told_or_salvaged(tmp_path: Path, by: str) -> None:
    """At every tenth of the file: the rows taken are the first of the whole, and the result says where it ends."""
    data, path = PACK[by](WHOLE), tmp_path / "cut"
    path.write_bytes(data)
    whole = load_ftrace(path)
    for tenth in range(3, 10):
        path.write_bytes(data[: len(data) * tenth // 10])
        with pytest.raises(InputError, match=r"cut: truncated: its .* data ends after"):
            load_ftrace(path)
        try:
            some = load_ftrace(path, salvage=True)
        except InputError as error:  # xz and zstd give a block as a whole, gzip its text as it comes
            assert by != "gz"
            assert "truncated" in str(error)
            continue
        assert 0 < len(some.ops) < len(whole.ops)
        assert some.ops.tolist() == whole.ops[: len(some.ops)].tolist()
        assert some.provenance["salvaged"].startswith(f"what stands before line {some.lines[-1]}: truncated")


@packed_by
def test_a_wrong_byte_is_damage(tmp_path: Path, by: str) -> None:
    """Never another trace: a message, whatever byte it is."""
    data, path = PACK[by](WHOLE), tmp_path / "bad"
    path.write_bytes(data)
    right = load_ftrace(path).ops.tolist()
    for at in range(20, len(data) - 8, max(1, len(data) // 60)):
        path.write_bytes(data[:at] + bytes([data[at] ^ 0x55]) + data[at + 1 :])
        try:
            assert load_ftrace(path).ops.tolist() == right  # some bits say nothing
        except InputError as error:
            assert str(error).startswith(f"{path}:")


def test_a_strace_is_salvaged_too(tmp_path: Path) -> None:
    """A last line without its end is left out, and said."""
    path = tmp_path / "s"
    text = "mmap(NULL, 4096, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x7f0000001000\n" * 2
    path.write_text(text + "munmap(0x7f0000001000, 40")
    with pytest.raises(InputError, match=r"s:3: truncated: the last line .* has no end"):
        load_trace(path, "strace")
    workload = load_trace(path, "strace", Reading(salvage=True))
    assert workload.provenance["salvaged"].startswith("what stands before line 2: truncated: the last line")


def test_ftrace_is_salvaged_up_to_the_first_line_that_is_none(
    tmp_path: Path, mmarch: Callable[..., Ran]
) -> None:
    """Zeros in the middle, as after a crash; the message names the option, the table what was done."""
    path = tmp_path / "t.txt"
    lines = WHOLE.splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:40]) + bytes(300) + b"\n" + b"".join(lines[40:]))
    ran = mmarch("run", path, "-q")
    assert (ran.code, ran.out) == (2, "")
    assert f"{path}:41: not an ftrace event" in ran.err
    assert "what stands before it: --salvage" in ran.err
    out = " ".join(mmarch("run", path, "--salvage", "-q").out.split())
    assert "salvaged what stands before line 41: not an ftrace event" in out


@packed_by
def test_a_bomb_ends_early(tmp_path: Path, by: str) -> None:
    """Text beyond a bound, and lines of nothing, whatever the file's size."""
    path = tmp_path / "bomb"
    path.write_bytes(PACK[by](b"# tracer: nop\n" + b"#\n" * (4 << 20)))
    with pytest.raises(InputError, match="lines of under 8 bytes on average"):
        load_ftrace(path)
    path.write_bytes(PACK[by](b"# tracer: nop\n" + bytes(8 << 20)))
    with pytest.raises(InputError, match="bomb:2: a line longer than 4096 bytes"):
        load_ftrace(path)


def test_no_text_of_a_gibibyte_from_a_few_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A ratio that no trace has is refused, once there is much of it; the bound is lower here."""
    monkeypatch.setattr("mmarch.trace.packed.ALWAYS", 1 << 22)
    data = lzma.compress(bytes(8 << 20))
    with pytest.raises(InputError, match=r"x: \d+ bytes of xz are over \d+ of text"):
        list(unpacked(io.BytesIO(data), data, "x"))


def test_what_wants_much_memory_is_refused() -> None:
    """xz and zstd let a file ask for gigabytes."""
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 4 * MOST_MEMORY}]
    greedy = lzma.compress(bytes(1 << 20), filters=filters)
    with pytest.raises(Damaged, match=r"[Mm]emory"):
        list(unpacked(io.BytesIO(greedy), greedy, "x"))
    options = {
        zstd.CompressionParameter.window_log: 30,
        zstd.CompressionParameter.enable_long_distance_matching: 1,
    }
    greedy = zstd.compress(bytes(1 << 20), options=options)
    compressor = zstd.ZstdCompressor(options=options)
    greedy = compressor.compress(bytes(1 << 20)) + compressor.flush()
    with pytest.raises(Damaged, match=r"x: damaged"):
        list(unpacked(io.BytesIO(greedy), greedy, "x"))


@packed_by
def test_the_beginning_tells_what_it_is(by: str) -> None:
    """Also of a file that is damaged further on."""
    data = PACK[by](WHOLE)
    assert WHOLE.startswith(beginning(data, 100))
    assert len(beginning(data, 100)) == 100
    assert beginning(b"plain", 3) == b"plain"


def test_packed_scenarios_say_so(tmp_path: Path, mmarch: Callable[..., Ran]) -> None:
    """They are small, and messages name their lines."""
    path = tmp_path / "s.scn.xz"
    path.write_bytes(lzma.compress(b"scenario s\n  map A 4\n  write A\nend\n"))
    assert "a scenario file packed by xz; unpack it first" in mmarch("run", path).err
