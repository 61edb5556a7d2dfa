"""Which workload a command means: the bundled trace, a trace, a scenario; told apart by content."""

from __future__ import annotations

import io
import os
import re
import stat
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO, Protocol

from mmarch.errors import InputError, concerning
from mmarch.runs.configure import Setup
from mmarch.scenario import Document, Scenario, check_beside, load, lower, setting, variants
from mmarch.suggest import unknown
from mmarch.trace.assumed import PLAIN, Reading
from mmarch.trace.formats import format_of, load_trace
from mmarch.trace.ftrace_text import BOM, refuse_foreign
from mmarch.trace.native import is_native
from mmarch.trace.packed import beginning, form_of
from mmarch.trace.page_size import RECORDED, at_page_size
from mmarch.trace.strace_files import Merged, files_of
from mmarch.verbose import say
from mmarch.workload import Workload

DEFAULT_TRACE = "redis-bgsave"
SUFFIX = ".ftrace.txt.gz"
STDIN = "-"
NAMED_STDIN = Path("stdin")  # in messages and results
Progress = Callable[[int, int], None]  # bytes read, bytes in all
HEAD = 1 << 16  # bytes looked at to tell what a file is

_SCENARIO = re.compile(rb"^\s*scenario\b", re.M)


class Source(Protocol):
    """A workload that may depend on page size and folio order."""

    @property
    def name(self) -> str:
        """Of the recording or the scenario."""
        ...

    @property
    def advised(self) -> bool:
        """Whether it asks for large folios with MADV_HUGEPAGE, as the measurements did."""
        ...

    @property
    def page_size(self) -> int:
        """Of the machine that was recorded, in bytes; 0 if any will do."""
        ...

    @property
    def remarks(self) -> tuple[str, ...]:
        """What to say about how it was read."""
        ...

    def workload(self, setup: Setup) -> Workload:
        """The operations for one configuration."""
        ...


@dataclass(frozen=True)
class Trace:
    """A recording: the same operations for every configuration."""

    recorded: Workload
    advised: bool = False

    @property
    def name(self) -> str:
        return self.recorded.name

    @property
    def page_size(self) -> int:
        return self.recorded.page_size

    @property
    def remarks(self) -> tuple[str, ...]:
        return self.recorded.remarks

    def workload(self, setup: Setup) -> Workload:
        """On pages of the granule."""
        return at_page_size(self.recorded, setup.page_size)


@dataclass(frozen=True)
class Script:
    """A scenario; its sizes are in pages, blocks and orders."""

    scenario: Scenario
    backing: str
    advised: bool = True
    page_size: int = 0
    remarks: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.scenario.name

    def workload(self, setup: Setup) -> Workload:
        """Lowered for the page size and the largest folio order, which has to suit the scenario."""
        enabled = setup.configuration.folio_orders
        order = max(enabled, default=0)
        variants(self.scenario, setup.page_size, order)
        check_beside(self.scenario, order, enabled)
        return lower(self.scenario, setup.page_size, order, self.backing or None).workload


def remarks(source: Source, setup: Setup) -> list[str]:
    """What to say about how a workload was read, and of a granule other than that of the recording."""
    said, granule = list(source.remarks), setup.configuration.granule
    if source.page_size not in (0, setup.page_size):
        said.append(f"recorded with pages of {source.page_size} bytes, replayed with granule {granule}")
    elif isinstance(source, Trace) and not source.page_size and setup.page_size > RECORDED:
        said.append(f"taken as recorded with pages of {RECORDED} bytes, replayed with granule {granule}")
    return said


def bundled_traces() -> Mapping[str, Path]:
    """Traces that come with mmarch: of the wheel, or of the source tree."""
    package = Path(str(files("mmarch")))
    inside, source = package / "data" / "traces", package.parent / "examples" / "traces"
    folder = inside if inside.is_dir() else source
    return {path.name.removesuffix(SUFFIX): path for path in sorted(folder.glob("*" + SUFFIX))}


def bundled_scenarios() -> tuple[Path, ...]:
    """Files of scenarios that come with mmarch: of the wheel, or of the source tree."""
    package = Path(str(files("mmarch")))
    inside, source = package / "data" / "scenarios", package.parent / "examples" / "scenarios"
    return tuple(sorted((inside if inside.is_dir() else source).glob("*.scn")))


def measured_scenarios() -> tuple[Path, ...]:
    """Files of further scenarios, which kernels were measured with: of the wheel, or of the source tree."""
    package = Path(str(files("mmarch")))
    inside, source = package / "data" / "measured", package.parent / "tests" / "measured"
    return tuple(sorted((inside if inside.is_dir() else source).glob("**/*.txt")))


def open_workload(
    argument: str = "",
    scenario: str = "",
    backing: str = "",
    progress: Progress = lambda done, total: None,
    reading: Reading = PLAIN,
    parameters: Mapping[str, int | str] = MappingProxyType({}),
) -> Source:
    """What WORKLOAD names: a file, a bundled trace, or the default one.

    scenario, backing  which one of a scenario file, on which kind of memory
    progress           is told how many bytes were read, of how many; of a pipe nobody knows
    reading            how to take a trace that does not say everything
    parameters         values of the scenario's parameters, for those that are not as the file says
    """
    path = NAMED_STDIN if argument == STDIN else find(argument)
    stream, head = _opened(path, progress)
    try:
        return _read(path, stream, head, reading, scenario=scenario, backing=backing, parameters=parameters)
    finally:
        stream.close()


def _read(path: Path, stream: BinaryIO, head: bytes, reading: Reading, **chosen: Any) -> Source:
    if kind := _kind_of_trace(path, head):
        if any(chosen.values()):
            raise InputError(f"{path} is a trace; --scenario, --backing and --set are for scenario files")
        text = _text(head).decode("latin-1")
        return Trace(load_trace(path, kind, reading, stream=stream, head=text))
    if form := form_of(head):
        raise InputError(f"{path}: a scenario file packed by {form[0]}; unpack it first")
    return choose_scenario(load(path, stream), **chosen)


def scenario_names(argument: str) -> list[str]:
    """Of a scenario file, each once; of another workload none."""
    path = find(argument)
    stream, head = _opened(path)
    with stream:
        if _kind_of_trace(path, head):
            raise InputError(f"{path} is a trace; only scenarios can be measured on a kernel yet")
        return list(dict.fromkeys(scenario.name for scenario in load(path, stream).scenarios))


def is_trace(path: Path) -> bool:
    """Whether a file is a recording, not scenarios; InputError if it is neither."""
    stream, head = _opened(path)
    with stream:
        return bool(_kind_of_trace(path, head))


def find(argument: str) -> Path:
    """The file that an argument names, or the name that files of strace -ff have in common."""
    bundled = bundled_traces()
    if not argument or (argument in bundled and not Path(argument).exists()):
        name = argument or DEFAULT_TRACE
        if name not in bundled:
            raise InputError(f"the bundled trace {name!r} is not installed; name a workload file")
        return bundled[name]
    path = Path(argument)
    if path.is_dir():
        raise InputError(f"{argument} is a directory; name a trace or a scenario file")
    if not path.exists() and not files_of(path):
        raise InputError(f"no such workload: {argument}. Bundled traces: {', '.join(bundled) or 'none'}.")
    return path


def _kind_of_trace(path: Path, raw: bytes) -> str:
    """The format of a trace; "" for a scenario file."""
    if is_native(raw):
        return "native"
    refuse_foreign(path, raw)
    head = _text(raw)
    refuse_foreign(path, head)
    if not head:
        raise InputError(f"{path}: empty; expected a trace or a scenario file")
    if _SCENARIO.search(head) and not head.startswith(b"#"):
        return ""
    if kind := format_of(head.decode("latin-1")):
        return kind
    if _SCENARIO.search(head):
        return ""
    if b"\0" in head:
        raise InputError(f"{path}: a binary file; expected a trace or a scenario file, which are text")
    first = head.split(b"\n", 1)[0][:60].decode("utf-8", "replace")
    raise InputError(
        f"{path}:1: neither a trace (ftrace, perf script, strace or plain events) nor a scenario file "
        f"(no 'scenario NAME' line); it starts {first!r}"
    )


class _Again(io.RawIOBase):
    """A stream from its beginning, of which `head` was read already: a pipe gives everything once."""

    def __init__(self, head: bytes, rest: BinaryIO, progress: Progress) -> None:
        self._head, self._rest, self._progress = io.BytesIO(head), rest, progress
        self._taken, self._size = 0, _size_of(rest)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        got: int = self._head.readinto(buffer) or self._rest.readinto(buffer)  # type: ignore[attr-defined]
        self._taken += got
        if self._size:
            self._progress(self._taken, self._size)
        return got

    def close(self) -> None:
        self._rest.close()
        super().close()


def _size_of(file: BinaryIO) -> int:
    """Bytes of a regular file; 0 of anything else."""
    try:
        status = os.fstat(file.fileno())
    except OSError:
        return 0
    return status.st_size if stat.S_ISREG(status.st_mode) else 0


def _opened(path: Path, progress: Progress = lambda done, total: None) -> tuple[BinaryIO, bytes]:
    """A file, a pipe or stdin, opened once, and its first bytes."""
    several = files_of(path) if path is not NAMED_STDIN else []
    with ExitStack() as closing:
        try:
            file = io.BufferedReader(Merged(several)) if several else _plain(path)
            closing.callback(file.close)
            head = file.read(HEAD)
        except OSError as error:
            raise InputError(f"{path}: cannot read: {error.strerror}") from None
        closing.pop_all()
    say(f"read: workload {'from stdin' if path is NAMED_STDIN else path}")
    return io.BufferedReader(_Again(head, file, progress)), head


def _plain(path: Path) -> BinaryIO:
    return sys.stdin.buffer if path is NAMED_STDIN else path.open("rb")


def _text(raw: bytes) -> bytes:
    """The first bytes of a file's text; of a packed one what can be read; the loader will complain."""
    if form_of(raw) is None:
        return raw.removeprefix(BOM)
    return beginning(raw, HEAD).removeprefix(BOM) or b"# tracer: "


def choose_scenario(
    document: Document,
    scenario: str = "",
    backing: str = "",
    parameters: Mapping[str, int | str] = MappingProxyType({}),
) -> Script:
    """The scenario of that name, or the only one, with these parameters; InputError if there is none."""
    name = scenario
    names = [scenario.name for scenario in document.scenarios]
    if not name and len(names) != 1:
        shown = ", ".join(names) or "none"
        raise InputError(f"{document.file} has {len(names)} scenarios; choose one with --scenario: {shown}")
    if name and name not in names:
        with concerning("scenario"):
            raise unknown("scenario", name, names)
    chosen = document.scenarios[names.index(name) if name else 0]
    if backing and backing not in chosen.kinds:
        with concerning("backing"):
            raise unknown("backing", backing, chosen.kinds)
    return Script(setting(chosen, parameters), backing)
