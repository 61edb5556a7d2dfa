"""Record what a program does to its memory: system calls, page faults, births and deaths of tasks.

By the best means that the machine permits, each in a file of `mmarch.trace.means`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from mmarch.errors import InputError
from mmarch.trace.interrupts import termination_unwinds
from mmarch.trace.machines import this_machine
from mmarch.trace.means import leftovers
from mmarch.trace.means.choose import chosen
from mmarch.trace.means.mounted import tracefs
from mmarch.trace.recording import Recording, Saving, Wanted, unseen
from mmarch.writing import check

GUEST_CPU = "neoverse-n1"
Note = Callable[[str], None]


def record(
    output: Path,
    command: Sequence[str] = (),
    *,
    pid: int = 0,
    seconds: float = 0,
    by: str = "",
    kernel: str = "",
    buffer_kib: int | None = None,
    huge_pages: bool = False,
    arguments: bool = True,
    saving: Saving = unseen,
    note: Note = lambda text: None,
) -> Recording:
    """Run `command`, or attach to the process `pid`, and write what it and its descendants did to `output`.

    output      text; gzip if the name ends in .gz; written whole or not at all
    command     program and arguments; it keeps our stdin, stdout and stderr
    seconds     to record at most; a command is ended then, a process that ran before goes on
    by          one of `choose.MEANS`; the best that the machine permits if empty
    kernel      an arm64 Image or debian:VERSION, which runs the command, a static arm64 program, under QEMU
    buffer_kib  KiB of trace buffer a CPU
    huge_pages  False: none for the command, so that the first touch of every page is a fault
    arguments   whether the head tells those of the program
    saving      is entered while the text is written; told how many lines are, of how many
    note        is told by what means, in a line

    Lasts until the last descendant has ended, and reaps every child of the calling process.
    Ctrl-C ends the command, or lets the process go on; what it did until then is kept, or until a buffer was
    full, which sets `cut`. Tracing is as before afterwards. KeyboardInterrupt if there is nothing to keep, or
    Ctrl-C comes again while it is written. InputError when the machine does not permit recording, `pid` is gone
    or not ours, or events were lost. But for its head, the text holds no paths, names or real pids.
    """
    if bool(command) == bool(pid):
        raise InputError("cannot record: name a command or a process (--pid), one of both")
    check(output)
    if not kernel:
        this_machine()
    pid = pid and _running(pid)
    wanted = Wanted(output, tuple(command), pid, seconds, buffer_kib or 0, huge_pages, arguments, saving)
    if kernel:
        return _in_a_guest(wanted, kernel, by, note)
    with termination_unwinds(), chosen(by, wanted) as (said, run):
        note(f"recording by {said}")
        return run()


def _in_a_guest(wanted: Wanted, kernel: str, by: str, note: Note) -> Recording:
    from mmarch.kernel import boot
    from mmarch.kernel.source import open_kernel
    from mmarch.trace.means import guest

    if wanted.pid or wanted.seconds or by not in ("", "kprobe"):
        raise InputError("cannot record: --kernel runs a COMMAND to its end, by kprobe; drop -p, -d and --by")
    opened = open_kernel(kernel)
    note(f"recording by {guest.NAME}, on {opened.name}")
    return guest.record(wanted, opened, boot.Machine(GUEST_CPU))


def _running(pid: int) -> int:
    """The process of a pid that may be a thread's; InputError if it is gone or not ours."""
    try:
        os.kill(pid, 0)
        status = Path(f"/proc/{pid}/status").read_text()
    except (ProcessLookupError, FileNotFoundError, OverflowError):
        raise InputError(f"cannot record: there is no process {pid} (--pid)") from None
    except PermissionError:
        raise InputError(
            f"cannot record process {pid} (--pid): it is not ours; record as its owner or root"
        ) from None
    found = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    if found["State"].startswith(("Z", "X")):
        raise InputError(f"cannot record: process {pid} (--pid) has ended; its parent has not noticed yet")
    if "VmSize" not in found:
        raise InputError(f"cannot record: process {pid} (--pid) is the kernel's own and has no memory")
    return int(found["Tgid"])


def clean() -> list[str]:
    """Remove what recorders that were killed left in tracefs; its names. InputError if tracefs may not be had."""
    with tracefs() as root:
        try:
            return leftovers.clean(root, certainly=True)
        except OSError as error:
            raise InputError(f"cannot clean: {error.filename} ({error.strerror}); run as root") from error
