"""Record a program on an arm64 kernel under QEMU: the guest executes the same list of tracefs writes as the recorder.

Errors: mmarch.errors.InputError, with the last lines of the console where the guest is to blame.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from mmarch.errors import InputError
from mmarch.kernel import boot, build
from mmarch.kernel.qemu import complaint
from mmarch.kernel.source import Kernel
from mmarch.trace import tracefs
from mmarch.trace.anonymize import Anonymizer
from mmarch.trace.ftrace_text import FORMAT, FORMAT_KEY
from mmarch.trace.means import kprobe, writes
from mmarch.trace.means.by_ftrace import FAULTS, set_up
from mmarch.trace.provenance import a_line, granted, head, told
from mmarch.trace.recording import Recording, Wanted, text_file
from mmarch.waiting import waiting

NAME = f"{kprobe.NAME}, under QEMU"
BOOTING = 15.0  # seconds, until this computer has done it once
BUFFER_KIB = 128 << 10  # of a machine with 1 GiB
_ELF, _ARM64 = b"\x7fELF\x02\x01", (183).to_bytes(2, "little")  # elf.h: e_ident, and EM_AARCH64 at byte 18


def record(wanted: Wanted, kernel: Kernel, machine: boot.Machine) -> Recording:
    """Run a static arm64 program on `kernel`, and write what it and its descendants did."""
    words = (Path(wanted.command[0]).name, *wanted.command[1:])
    name = f"{tracefs.PREFIX}1"
    listed = set_up(name, wanted.buffer_kib or BUFFER_KIB, kprobe, "aarch64")
    files = {
        "init": build.recorder().read_bytes(),
        "writes": writes.as_text(listed).encode(),
        "target": program(wanted.command[0]),
        "arguments": b"".join(word.encode() + b"\0" for word in words),
    }
    files |= {"huge": b""} if wanted.huge_pages else {}
    with (
        waiting(f"recording on {kernel.name}", "record", guess=BOOTING),
        boot.work_folder() as folder,
        text_file(wanted.output) as text,
    ):
        ended, _ = boot.start(kernel, machine, files, None, folder, lambda: None)
        said = _said(folder, kernel, ended.overdue, machine.timeout)
        with (folder / "text").open(encoding="latin-1") as lines:
            found = _facts(said, wanted, kernel)
            text.write(f"# tracer: nop\n#\n{head(found)}#\n")
            names = Anonymizer(int(said["pid"][0]))
            text.writelines(names.lines(_events(lines)))
        text.write(f"# end: {names.events.total()} events\n")
    faults = sum(names.events[fault] for fault in FAULTS)
    return Recording(
        wanted.output, names.events.total(), faults, names.tasks, _status(int(said["status"][0]))
    )


def program(name: str) -> bytes:
    """InputError unless it is one for arm64 that needs no libraries."""
    path = shutil.which(name)
    if path is None:
        raise InputError(f"cannot record: no program {name!r} on the path")
    data = Path(path).read_bytes()
    if not data.startswith(_ELF) or data[18:20] != _ARM64:
        raise InputError(f"cannot record {name} on an arm64 kernel: it is no arm64 program")
    if re.search(rb"/lib/ld-linux-aarch64\.so\.1\0", data):
        raise InputError(f"cannot record {name} on an arm64 kernel: it needs libraries; link it with -static")
    return data


def _said(folder: Path, kernel: Kernel, overdue: bool, timeout: float) -> dict[str, list[str]]:
    """What the guest said of itself before the trace: the rest of lines by their first word."""
    found: dict[str, list[str]] = {}
    path = folder / "text"
    if path.exists():
        with path.open(encoding="latin-1") as lines:
            for line in lines:
                key, _, rest = line.rstrip("\n").partition(" ")
                if key == "trace":
                    break
                found.setdefault(key, []).append(rest)
            else:
                overdue = True
    if failed := found.get("failed"):
        number, _, what = failed[0].partition(" ")
        raise InputError(f"cannot record on {kernel.name}: tracefs refuses {what} (error {number})")
    if overdue or "pid" not in found:
        raise complaint(f"{kernel.name}: the program had not ended after {timeout:.0f} s (--timeout)", folder)
    if dropped := next((rest for rest in found.get("dropped", ()) if not rest.endswith(" 0")), ""):
        raise InputError(
            f"events were lost: {dropped}; record with a larger buffer (--buffer), or record less"
        )
    return found


def _events(lines: Iterator[str]) -> Iterator[str]:
    """The text of the buffer."""
    for line in lines:
        if line == "trace\n":
            break
    yield from lines


def _facts(said: dict[str, list[str]], wanted: Wanted, kernel: Kernel) -> dict[str, str]:
    sizes = [
        (int(size), chosen) for line in said.get("mthp", ()) for size, _, chosen in [line.partition(" ")]
    ]
    return {
        FORMAT_KEY: FORMAT,
        **told(wanted.command, wanted.arguments),
        "recorded by": NAME,
        "kernel": a_line(said["version"][0]),
        "arch": "aarch64",
        "page size": f"{int(said['page_size'][0])} bytes",
        "CPUs": said["cpus"][0],
        "huge pages": "as the system has them"
        if wanted.huge_pages
        else "off for the program (PR_SET_THP_DISABLE)",
        "huge pages of the system": granted(said.get("thp", [""])[0], sizes),
        "clock": "mono, from the first event",
        "lost events": "0",
    }


def _status(status: int) -> int:
    """As subprocess has it, of what wait() said."""
    return -(status & 0x7F) if status & 0x7F else status >> 8
