"""What measuring is made of, without QEMU: images, symbols, rows, recordings, decoding."""

from __future__ import annotations

import gzip
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from core_mm import uapi
from mmarch.errors import InputError
from mmarch.kernel import arm64, debian, initrd, modules, records, symbols, tools
from mmarch.kernel.image import Image, read_image
from mmarch.kernel.program import OP_BEGIN, OP_DUMP, OP_END, OP_PROGRAM, Program, encode
from mmarch.kernel.source import Kernel
from mmarch.scenario import lower, parse
from mmarch.truth.on_kernel import twin_release


def fake_image(version: str = "6.18.1-mine", flags: int = 0xA) -> bytes:
    """The header of an arm64 Image (Documentation/arch/arm64/booting.rst) and a version."""
    head = bytearray(64)
    head[24:32] = flags.to_bytes(8, "little")
    head[0x38:0x3C] = b"ARMd"
    return bytes(head) + f"Linux version {version} (me@here) #1".encode()


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_image_is_read(tmp_path: Path, pack: object) -> None:
    """Version and page size come from the Image, compressed or not."""
    path = tmp_path / "Image"
    path.write_bytes(pack(fake_image(flags=0xC)))  # type: ignore[operator]
    image = read_image(path)
    assert (image.version, image.page_size) == ("6.18.1-mine", 16384)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "empty"),
        (b"\x7fELF" + b"\0" * 600, "vmlinux"),
        (b"\0" * 0x202 + b"HdrS", "wrong architecture"),
        (b"\0" * 0x38 + b"RSC\x05" + b"\0" * 600, "riscv"),
        (b"hello " * 300, "not a kernel"),
        (gzip.compress(fake_image(), mtime=0)[:-20], "damaged"),
        (b"(\xb5/\xfd" + b"\0" * 60, "zstd -d"),
    ],
)
def test_no_kernel_is_refused(tmp_path: Path, data: bytes, said: str) -> None:
    """What is no arm64 Image is called what it is."""
    path = tmp_path / "Image"
    path.write_bytes(data)
    with pytest.raises(InputError, match=said):
        read_image(path)


def test_symbols_of_a_map() -> None:
    """A pc belongs to the function before it; clones count as the function, split-off parts do not."""
    lines = [f"{0xFFFF800080000000 + 16 * i:016x} T f{i}" for i in range(200)]
    lines += ["ffff800080001000 t do_wp_page.isra.0", "ffff800080002000 t do_wp_page.part.0"]
    lines += ["ffff800080003000 T __arm64_sys_getppid", "ffff800090000000 t in_module [zram]"]
    found = symbols.parse(lines, "test")
    assert found.function(0xFFFF800080000014) == "f1"
    assert found.counted() == [(0xFFFF800080001000, "do_wp_page"), (0xFFFF800080003000, symbols.DUMP)]


def test_no_symbols_are_refused(tmp_path: Path) -> None:
    """A file without functions, or with addresses that kptr_restrict hid, says what is missing."""
    path = tmp_path / "System.map"
    path.write_text("0000000000000000 T hidden\n" * 5)
    with pytest.raises(InputError, match="CONFIG_KALLSYMS"):
        symbols.load(path)


def test_rows_of_a_scenario() -> None:
    """Every operation is measured, a step with its dump; an exit is measured by the parent that waits."""
    text = (
        "scenario s\nsetup: map A 16\nstep one: write A\ndump after: A\nsetup: fork\nstep gone: reap\nend\n"
    )
    workload = lower(parse(text).scenarios[0], 4096, 4).workload
    rows = encode([Program(workload, 4)])
    codes = rows.data[:, 0].tolist()
    assert codes[0] == OP_PROGRAM
    assert codes.count(OP_BEGIN) == codes.count(OP_END) == len(rows.segments)
    assert codes.count(OP_DUMP) == 1
    executed = [code for code in codes if code < OP_PROGRAM]
    assert executed == workload.ops[:, 0].tolist()
    at = codes.index(uapi.OP_EXIT)
    assert rows.data[at - 1, :2].tolist() == [OP_BEGIN, 0]
    assert rows.data[at, 1] == 1


def test_orders_enabled_at_once() -> None:
    """The guest is told all orders, a bit each; no large folios are no bit."""
    text = "scenario s order 9\nbeside 4 2\nmap A 16\nend\n"
    mixed = lower(parse(text).scenarios[0], 4096, 9).workload
    plain = lower(parse("scenario s\nmap A 16\nend\n").scenarios[0], 4096, 0).workload
    data = encode([Program(mixed, 9), Program(plain, 0)]).data
    assert data[data[:, 0] == OP_PROGRAM, 2].tolist() == [1 << 9 | 1 << 4 | 1 << 2, 0]


def test_what_the_guest_cannot_do_is_refused() -> None:
    """An operation of traces that the interpreter lacks is named."""
    workload = lower(parse("scenario s\nmap A 1\nend\n").scenarios[0], 4096, 0).workload
    workload.ops[0, 0] = uapi.OP_EXEC
    with pytest.raises(InputError, match="execve cannot be measured"):
        encode([Program(workload, 0)])


def test_a_thread_that_forks_is_refused() -> None:
    """Its child would begin on a stack that it does not have, and everybody would wait for it."""
    text = "scenario s order 0\nmap A 4\nthread T\nT: fork C\nC: write A\nreap C\nreap T\nend\n"
    with pytest.raises(InputError, match=r":4: a thread forks.*let the process fork"):
        encode([Program(lower(parse(text).scenarios[0], 4096, 0).workload, 0)])


def test_recording_is_read(tmp_path: Path) -> None:
    """Runs, barriers, calls and dumps go to their step; a line cut short is not read."""
    path = tmp_path / "out"
    path.write_text(
        "H 1 80\nT ff00\nB 3\nt ff00 d5088340 100 1 4\nb ff04 d5033b9f 2\nc 5 7\nE 3 1\nD 3 0\nl 1000 3 0 16\nP 0\nB 4"
    )
    found = records.read(path)
    step = found.steps[3]
    assert found.readable and found.done == {0} and list(found.steps) == [3]
    assert list(step.tlbis[0].operands()) == [0x100, 0x101, 0x102, 0x103]
    assert (step.barriers, step.functions, step.ended) == ([(0xFF04, 0xD5033B9F, 2)], {5: 7}, True)
    assert (step.dumps[0][0].va, step.dumps[0][0].count) == (0x1000, 16)


def test_damaged_recording_is_one_error(tmp_path: Path) -> None:
    """A line that is none of the plugin's ends in a message."""
    path = tmp_path / "out"
    path.write_text("B 1\nnonsense 5\n")
    with pytest.raises(InputError, match="cannot be read"):
        records.read(path)


def test_tlbi_operands() -> None:
    """Arm ARM, TLBI VAE1IS and RVALE1IS: address, level hint, number of pages; ASID operations have none."""
    asid = 5 << 48
    assert arm64.tlbi(0xD50883A0, asid | 7 << 44 | 0x200200)[:4] == ("vale1is", 0x200200000, 1, 7)
    assert arm64.tlbi(0xD5088340, asid) == ("aside1is", None, 1, 0)
    ranged = asid | 1 << 46 | 1 << 44 | 3 << 39 | 3 << 37 | 0x200200
    assert arm64.tlbi(0xD50882A0, ranged) == ("rvale1is", 0x200200000, 4 << 6, 3)


def test_calls_of_other_cpus() -> None:
    """A write to ICC_SGI1R_EL1 carries the number of the interrupt in bits 24 to 27 (GIC architecture)."""
    assert arm64.ipi(0xD518CBA3, 1 << 24 | 2) == "call_function"
    assert arm64.ipi(0xD518CBA3, 9 << 24) == "sgi9"
    assert arm64.ipi(0xD50883A0, 1 << 24) == ""


def test_barrier_domains() -> None:
    """DSB ISH, ISHST and NSH (Arm ARM, DSB: CRm)."""
    assert [arm64.barrier(word) for word in (0xD5033B9F, 0xD5033A9F, 0xD503379F)] == ["ish", "ishst", "nsh"]


def test_archive_is_a_cpio(tmp_path: Path) -> None:
    """The headers are newc's, aligned to four bytes, and the archive ends with a trailer."""
    data = initrd.archive({"init": b"abc"})
    assert data.startswith(b"070701") and data.count(b"070701") == 3
    assert len(data) % 4 == 0 and b"TRAILER!!!" in data


def test_modules_load_after_what_they_need() -> None:
    """The order follows .modinfo; a module that is not there is left out."""
    have = {"zram": b"\0depends=zsmalloc,lz4-compress\0", "lz4_compress": b"\0depends=\0", "zsmalloc": b"x"}
    assert modules.closure(have) == ["zsmalloc", "lz4_compress", "zram"]


def test_modules_that_no_scenario_needs_stay_packed() -> None:
    """A driver's module can be larger than is unpacked; those below lib, fs, crypto, mm and zram are small."""
    root = "./usr/lib/modules/7.3.4+deb13-arm64-16k/kernel/"
    assert not debian._may_be_needed(f"{root}drivers/gpu/drm/amd/amdgpu/amdgpu.ko.xz")
    for wanted in ("lib/lz4/lz4_compress", "fs/jbd2/jbd2", "drivers/block/zram/zram", "drivers/block/loop"):
        assert debian._may_be_needed(f"{root}{wanted}.ko.xz"), wanted


@pytest.mark.parametrize("name", ["debian:", "debian:7", "debian:7.3.4-64k", "debian:latest"])
def test_names_of_debian_kernels(name: str) -> None:
    """What is no version says what one looks like."""
    with pytest.raises(InputError, match=r"debian:7\.3\.4"):
        debian.parse(name)


def test_missing_apt_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without apt there are no kernels of Debian's, and nothing is left in the cache."""
    monkeypatch.setenv("MMARCH_CACHE_DIR", str(tmp_path))
    monkeypatch.setenv("PATH", "")
    with pytest.raises(InputError, match="not there"):
        debian.get("debian:7.3.4")
    assert not list(tmp_path.glob("kernel/debian/*"))


def test_versions_of_qemu() -> None:
    """Old ones are told from those that were tried and from newer ones."""
    assert tools.qemu_version("QEMU emulator version 10.0.2 (Debian 1:10.0.2)") == (10, 0)
    assert tools.untested(tools.Tool(("q",), "QEMU emulator version 10.0.2")) == ""
    assert "untested" in tools.untested(tools.Tool(("q",), "QEMU emulator version 11.4.0"))


def test_missing_qemu_names_the_line_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message is complete."""
    monkeypatch.setenv("PATH", "")
    with pytest.raises(InputError, match="apt-get install qemu-system-arm"):
        tools.qemu()


def test_process_does_not_outlive_us(tmp_path: Path) -> None:
    """The emulator is killed with us, even by a signal that nobody can catch."""
    program = (
        "import sys; from pathlib import Path; from mmarch.kernel.qemu import run; "
        "run([sys.executable, '-c', 'import os, time; print(os.getpid(), flush=True); time.sleep(600)'], "
        f"Path({str(tmp_path)!r}), 600)"
    )
    parent = subprocess.Popen([sys.executable, "-c", program])
    console = tmp_path / "console"
    while not (console.exists() and console.read_text().strip()):
        time.sleep(0.05)
    child = int(console.read_text())
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    for _ in range(200):
        if not _runs(child):
            break
        time.sleep(0.05)
    assert not _runs(child)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "Z" not in Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1][:3]


def test_overdue_process_is_stopped(tmp_path: Path) -> None:
    """A process that takes longer than it may is killed and said to be overdue."""
    from mmarch.kernel.qemu import run

    ended = run([sys.executable, "-c", "import time; time.sleep(600)"], tmp_path, 0.3)
    assert ended.overdue


def test_the_archive_is_what_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before asking apt, which knows none where the system is not Debian."""
    monkeypatch.setenv(debian.ARCHIVE, " file:/srv/debian ")
    assert debian._archive() == "file:/srv/debian"
    monkeypatch.delenv(debian.ARCHIVE)
    monkeypatch.setattr(
        subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], 0, "file:/x-security/\n")
    )
    with pytest.raises(InputError, match="MMARCH_DEBIAN_ARCHIVE"):
        debian._archive()


@pytest.mark.parametrize(
    ("version", "given", "release"),
    [
        ("6.12.107+deb13-cloud-arm64", "", "6.12"),
        ("6.18.15", "", "6.18"),
        ("7.3.0-rc1-next", "", "7.3"),
        ("9.0.1", "", "7.3"),
        ("6.18.15", "7.2", "7.2"),
    ],
)
def test_release_of_the_twin(version: str, given: str, release: str) -> None:
    """The newest release of the twin that is not newer than the kernel, or the one that was named."""
    kernel = Kernel("Image", Image(b"", version, 4096, None))
    assert twin_release(kernel, given) == release


def test_a_kernel_older_than_the_twin() -> None:
    """Is told, with the option that names a release."""
    with pytest.raises(InputError, match="--release"):
        twin_release(Kernel("Image", Image(b"", "5.10.1", 4096, None)))
