"""One boot: programs in, what the plugin recorded out.

Errors: mmarch.errors.InputError, with the last lines of the console where the guest is to blame.
"""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from core_mm import uapi
from mmarch.cache import cache_dir, write_whole
from mmarch.errors import InputError
from mmarch.kernel import build, initrd, records, symbols, tools
from mmarch.kernel.guest_has import Guest, Lacks, found, lacking
from mmarch.kernel.program import Program, Rows, encode
from mmarch.kernel.qemu import Ended, complaint, last_lines, run
from mmarch.kernel.source import Kernel
from mmarch.kernel.symbols import Symbols
from mmarch.waiting import waiting

MEMORY = "1G"
TIMEOUT = 300.0
BOOTING = 15.0  # seconds, until this computer has booted a kernel
MAX_OUTPUT = 512 << 20
EXT4_BYTES = 64 << 20
APPEND = (
    "earlycon console=ttyAMA0 nokaslr panic=-1 rdinit=/init loglevel=5 "
    "damon_stat.enabled=N"  # nothing else looks at PTEs
)
SWITCHES = {"kpti": "kpti=1", "nokpti": "kpti=0"}  # CPU features that a kernel takes from its command line
_API = re.compile(
    r"API version (\d+), but this QEMU supports only (?:a minimum version of|up to version) (\d+)"
)
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Machine:
    """What QEMU emulates; `cpu` may say how the kernel is to use it, as in neoverse-n1+kpti."""

    cpu: str
    memory: str = MEMORY
    timeout: float = TIMEOUT
    smp: int = 1

    @property
    def model(self) -> str:
        """The CPU as QEMU calls it."""
        return self.cpu.partition("+")[0]

    @property
    def arguments(self) -> str:
        """The kernel's command line."""
        words = self.cpu.split("+")[1:]
        for word in words:
            if word not in SWITCHES:
                raise InputError(
                    f"--cpu {self.cpu}: a command line can switch {', '.join(SWITCHES)}, not {word}; "
                    "everything else is as kernel and QEMU are"
                )
        return " ".join((APPEND, *(SWITCHES[word] for word in words)))


@dataclass(frozen=True)
class Boot:
    """A boot that went to its end; `command` is QEMU's, with the names of files alone."""

    recording: records.Recording
    rows: Rows
    guest: Guest
    symbols: Symbols
    command: tuple[str, ...]
    qemu: str
    seconds: float
    smp: int = 1


def boot(
    kernel: Kernel,
    machine: Machine,
    programs: Sequence[Program],
    progress: Progress = lambda done, total: None,
) -> Boot:
    """Execute `programs` one after the other, each by processes of its own."""
    known = symbols_of(kernel, machine)
    rows = encode(programs)
    files = {"program": rows.data.tobytes()}
    if any(file.kind in (uapi.FILE_REGULAR, uapi.FILE_EXT4) for p in programs for file in p.workload.files):
        files["ext4.img"] = _ext4(programs)
    with work_folder() as folder:
        with ExitStack() as booting:  # until the first program is done
            booting.enter_context(waiting(f"booting {kernel.name}", "boot", guess=BOOTING))
            watch = _Watch(folder / "out", len(programs), progress, booting)
            ended, command = start(kernel, machine, files, known, folder, watch)
        guest = found(records.first_lines(folder / "text"))
        recording = records.read(folder / "out")
        _check(kernel, machine, programs, ended, recording, guest, folder)
        return Boot(recording, rows, guest, known, command, tools.qemu().version, ended.seconds, machine.smp)


@contextmanager
def work_folder() -> Iterator[Path]:
    """For one boot; gone at the end, also at one by SIGTERM."""

    def end(number: int, frame: object) -> NoReturn:
        raise SystemExit(128 + number)

    before = (
        signal.signal(signal.SIGTERM, end) if threading.current_thread() is threading.main_thread() else None
    )
    try:
        with tempfile.TemporaryDirectory(prefix="mmarch-", ignore_cleanup_errors=True) as work:
            yield Path(work)
    finally:
        if before is not None:
            signal.signal(signal.SIGTERM, before)


def symbols_of(kernel: Kernel, machine: Machine) -> Symbols:
    """As given, as cached, or as the kernel itself says in a first boot."""
    if kernel.symbols is not None:
        return kernel.symbols
    path = cache_dir() / "kernel" / "symbols" / kernel.image.digest
    if path.exists():
        return symbols.load(path)
    with work_folder() as folder:
        with waiting(f"booting {kernel.name} for its symbols", "boot-for-symbols", guess=BOOTING):
            ended, _ = start(kernel, machine, {"symbols": b""}, None, folder, lambda: None)
        text = (folder / "text").read_text("ascii", "replace") if (folder / "text").exists() else ""
        _, mark, listed = text.partition("\nsymbols\n")
        if ended.overdue or not mark:
            raise complaint(f"{kernel.name}: {_why(ended)} before the guest ran", folder)
        found = symbols.parse(listed.splitlines(), f"{kernel.name}: /proc/kallsyms")
    write_whole(path, listed.encode("ascii", "replace"))
    return found


def _why(ended: Ended) -> str:
    return f"not done after {ended.seconds:.0f} s" if ended.overdue else f"ended (code {ended.code})"


class _Watch:
    """Tells how many programs are done, by the plugin's lines."""

    def __init__(self, path: Path, total: int, progress: Progress, booting: ExitStack) -> None:
        self.path, self.total, self.progress, self.booting = path, total, progress, booting
        self.at = self.done = 0

    def __call__(self) -> None:
        try:
            with self.path.open("rb") as file:
                file.seek(self.at)
                data = file.read()
        except OSError:
            return
        self.at += len(data)
        self.done += data.count(b"\nP ")
        if self.done:
            self.booting.close()
        self.progress(min(self.done, self.total), self.total)


def start(
    kernel: Kernel,
    machine: Machine,
    files: Mapping[str, bytes],
    known: Symbols | None,
    folder: Path,
    watch: Callable[[], None],
) -> tuple[Ended, tuple[str, ...]]:
    """Write what QEMU reads, and run it; again if it wants another plugin interface.

    files  of the initial ramfs, besides modules; /init measures unless it is among them
    known  functions to count
    watch  is called ten times a second
    """
    contents = {"init": build.guest().read_bytes(), **files}
    contents |= {f"{name}.ko": data for name, data in kernel.modules.items()}
    contents["modules"] = "".join(f"/{name}.ko\n" for name in kernel.modules).encode()
    (folder / "initrd").write_bytes(initrd.archive(contents))
    (folder / "Image").write_bytes(kernel.image.data)
    functions = known.counted() if known else []
    (folder / "functions").write_text("".join(f"{address:x} {name}\n" for address, name in functions))
    api = build.OLDEST_API
    while True:
        command = _command(machine, build.plugin(api))
        ended = run(command, folder, machine.timeout, watch)
        wanted = _API.search(last_lines(folder)) if ended.code == 1 else None
        if wanted is None or int(wanted[2]) == api:
            break
        api = int(wanted[2])
    _explain_refusal(machine, ended, folder)
    return ended, tuple(word.rsplit("/", 1)[-1] if word.startswith("/") else word for word in command)


def _command(machine: Machine, plugin: Path) -> list[str]:
    recorder = f"{plugin},out=out,text=text,functions=functions,limit={MAX_OUTPUT}"
    turns = ",thread=single" if machine.smp > 1 else ""  # the plugin hears of one CPU at a time
    return [
        *tools.qemu().command, "-machine", "virt,gic-version=3", "-cpu", machine.model, "-smp", str(machine.smp),
        "-m", machine.memory, "-accel", f"tcg,tb-size=256{turns}",
        "-nographic", "-nodefaults", "-no-user-config", "-no-reboot",
        "-serial", "stdio", "-kernel", "Image", "-initrd", "initrd", "-append", machine.arguments, "-plugin", recorder,
    ]  # fmt: skip


def _explain_refusal(machine: Machine, ended: Ended, folder: Path) -> None:
    """What QEMU itself says, before any guest ran."""
    if ended.code != 1 or ended.overdue:
        return
    text = last_lines(folder)
    if "CPU" in text and (
        "unable to find" in text or "not supported" in text.lower() or "invalid" in text.lower()
    ):
        raise InputError(f"--cpu {machine.cpu}: QEMU's machine 'virt' has no such CPU:\n{text}")
    raise complaint("QEMU ended with code 1", folder)


def _check(
    kernel: Kernel, machine: Machine, programs: Sequence[Program], ended: Ended, recording: records.Recording,
    guest: Guest, folder: Path,
) -> None:  # fmt: skip
    """InputError unless everything was executed and recorded."""
    if guest.page_size:
        if lacks := [(program.workload, what) for program in programs if (what := lacking(program, guest))]:
            first, missing = lacks[0]
            said = f"{first.source}: scenario {first.name!r} needs {missing}, which {kernel.name} lacks"
            raise Lacks(str(complaint(said, folder)), {workload.name: what for workload, what in lacks})
    if recording.full:
        raise InputError(
            f"{kernel.name}: more than {MAX_OUTPUT >> 20} MiB recorded; measure fewer scenarios at once"
        )
    if ended.overdue:
        raise complaint(f"{kernel.name}: not done after {machine.timeout:.0f} s (--timeout); "
                        f"{len(recording.done)} of {len(programs)} scenarios were", folder)  # fmt: skip
    if len(recording.done) != len(programs):
        at = programs[len(recording.done)].workload.name
        raise complaint(f"{kernel.name}: the guest ended in scenario {at!r}", folder)
    if not recording.readable:
        given = "; are --symbols those of this kernel?" if kernel.symbols is not None else ""
        raise InputError(
            f"{kernel.name}: its page tables cannot be read: physical memory is not where the linear map "
            f"should begin{given}"
        )


def _ext4(programs: Sequence[Program]) -> bytes:
    """An empty file system large enough for the files of any one program."""
    tool = shutil.which("mke2fs", path="/usr/sbin:/sbin:/usr/bin:/bin")
    if tool is None:
        raise InputError("a scenario with an ext4 file needs mke2fs: apt-get install e2fsprogs")
    largest = max(sum(file.size for file in p.workload.files) for p in programs)
    with tempfile.NamedTemporaryFile(prefix="mmarch-") as image:
        image.truncate(EXT4_BYTES + 2 * largest)
        command = [tool, "-q", "-F", "-t", "ext4", "-b", "4096", image.name]
        try:
            subprocess.run(command, capture_output=True, check=True, timeout=60)
        except (OSError, subprocess.SubprocessError) as error:
            raise InputError(f"mke2fs failed: {error}") from None
        return Path(image.name).read_bytes()
