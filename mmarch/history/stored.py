"""A history as a file, which may be anybody's: columns of the log and of the workload, and JSON for all else, in a ZIP.

Reading executes nothing. What is read is bounded, and looked at before anything is made of it: how long each column
is, and every number that leads somewhere: slots of tables, frames, paths of calls, operations.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from core_mm import uapi, vmstat
from core_mm.calls import ROOTS
from core_mm.vmstat import EVENTS, HOOKS
from mmarch import __version__
from mmarch.engine.log import COLUMNS, Log
from mmarch.errors import InputError, MmarchError
from mmarch.history.calls import CallTree
from mmarch.history.log import KINDS, History
from mmarch.plugins.series import is_path
from mmarch.runs.configure import Choices, Setup, configure
from mmarch.runs.result import Configuration
from mmarch.runs.run import event_names
from mmarch.workload import File, Region, Step, Workload
from mmarch.writing import writing

SCHEMA = "mmarch.history/1"
HEAD = "history.json"
MOST_EVENTS = 1 << 24
MOST_OPERATIONS = 1 << 24
MOST_PATHS = 1 << 15
MOST_HEAD = 64 << 20  # bytes
MOST_ENTRIES = 1 << 27  # of all tables: those of 256 GiB in pages of 4 KiB
TIME = (1980, 1, 1, 0, 0, 0)  # of a member: equal histories are equal files
Ints = NDArray[np.int64]
Kinds = dict[str, np.dtype[np.signedinteger]]
_LOG: Kinds = {f"log.{name}": np.dtype(kind) for name, kind in COLUMNS.items()}
_KINDS: Kinds = {
    **_LOG, "ops": np.dtype("i8"), "lines": np.dtype("i4"),
    **{name: np.dtype("i8") for name in ("functions", "parents", "counted", "counts")},
}  # fmt: skip


class _Work(BaseModel):
    """A workload but for its arrays."""

    model_config = ConfigDict(extra="forbid")

    name: str
    files: tuple[File, ...] = ()
    steps: tuple[Step, ...] = ()
    source: str = ""
    ignored: dict[str, int] = {}
    provenance: dict[str, str] = {}
    page_size: int = Field(default=0, ge=0, le=1 << 16)
    remarks: tuple[str, ...] = ()
    regions: tuple[Region, ...] = ()
    beside: tuple[int, ...] = ()


class _Head(BaseModel):
    """What is no column. `events` are the names of their numbers, which another mmarch may give otherwise."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    schema_: str = Field(alias="schema")
    version: str
    configuration: Configuration
    events: tuple[str, ...]
    workload: _Work
    complete: bool
    frames: int = Field(ge=1, le=1 << 40)


def save(history: History, path: str | Path) -> None:
    """Write it whole or not at all; InputError if nothing can be written, or a series is a file."""
    with writing(path) as file:
        file.write(packed(history))


def packed(history: History) -> bytes:
    """The file; InputError if a series is one."""
    if files := [one.place for one in history.setup.applied if one.origin == "file"]:
        raise InputError(
            f"{files[0]}: a saved history names series by name, so that reading it executes nothing; install this "
            "one (see 'mmarch series new')"
        )
    work = history.workload
    plain = {
        field.name: getattr(work, field.name) for field in fields(work) if field.name in _Work.model_fields
    }
    head = _Head(
        schema=SCHEMA, version=__version__, configuration=history.setup.configuration,
        events=tuple(event_names(history.setup)), workload=_Work(**plain), complete=history.complete,
        frames=history.frames,
    )  # fmt: skip
    file = io.BytesIO()
    _write(file, head, _columns(history))
    return file.getvalue()


def _columns(history: History) -> dict[str, NDArray[np.signedinteger]]:
    calls = history.calls
    counted = np.flatnonzero(calls.counts)
    return {
        **{f"log.{name}": column for name, column in history.log.columns().items()},
        "ops": history.workload.ops.reshape(-1), "lines": history.workload.lines,
        "functions": calls.functions, "parents": calls.parents,
        "counted": counted, "counts": calls.counts.reshape(-1)[counted],
    }  # fmt: skip


def _write(file: BinaryIO, head: _Head, columns: Mapping[str, NDArray[np.signedinteger]]) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as made:
        made.writestr(_member(HEAD), head.model_dump_json(by_alias=True))
        for name, column in columns.items():
            kind = _KINDS[name].newbyteorder("<")
            made.writestr(_member(name), np.ascontiguousarray(column, kind).data)


def _member(name: str) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(name, TIME)
    member.compress_type = zipfile.ZIP_DEFLATED
    return member


def is_history(argument: str) -> bool:
    """Whether an argument names a file that begins as a saved history does."""
    try:
        if not Path(argument).is_file():
            return False
        with open(argument, "rb") as file:
            start = file.read(30 + len(HEAD))
    except OSError:
        return False
    return start[:4] == b"PK\x03\x04" and start[30:] == HEAD.encode()


def load(path: str | Path) -> History:
    """A history that `save` wrote; InputError if it is damaged, of another mmarch, or something else."""
    try:
        with zipfile.ZipFile(path) as file:
            return _read(file)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except OSError as error:
        raise InputError(f"{path}: cannot read: {error.strerror or error}") from None
    except (zipfile.BadZipFile, NotImplementedError, EOFError, ValueError, RuntimeError, zlib.error) as error:
        what = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{path}: damaged: {what}; record it again") from None


def _read(file: zipfile.ZipFile) -> History:
    head = _head(file)
    setup = _setup(head)
    columns = _unpacked(file)
    log = Log(**{name.removeprefix("log."): columns[name] for name in _LOG})
    ops = columns["ops"].reshape(-1, uapi.COLUMNS)
    plain = {name: getattr(head.workload, name) for name in _Work.model_fields}
    work = Workload(ops=ops, lines=columns["lines"], **plain)
    calls = CallTree.known_to(setup, columns["functions"], columns["parents"], _counts(columns))
    history = History(setup, work, log, calls, head.complete, head.frames)
    if wrong := _implausible(history):
        raise ValueError(wrong)
    return history


def _head(file: zipfile.ZipFile) -> _Head:
    if HEAD not in file.namelist():
        raise InputError(f"no history: it has no {HEAD}")
    if file.getinfo(HEAD).file_size > MOST_HEAD:
        raise ValueError(f"{HEAD} of {file.getinfo(HEAD).file_size:,} bytes")
    try:
        head = _Head.model_validate_json(file.read(HEAD))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise ValueError(f"{HEAD}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    if head.schema_ != SCHEMA:
        raise InputError(
            f"{head.schema_[:80]}, written by mmarch {head.version[:20]}; this one reads {SCHEMA}"
        )
    return head


def _setup(head: _Head) -> Setup:
    """The configuration, as far as it is installed here."""
    chosen = head.configuration
    if paths := [name for name in (*chosen.with_, *chosen.without) if is_path(name)]:
        raise ValueError(f"a series that is a path, {paths[0]!r:.80}")
    try:
        setup = configure(
            Choices(
                chosen.arch, chosen.release, chosen.cpu, chosen.granule, ",".join(map(str, chosen.folio_orders)) or "0",
                chosen.with_, chosen.without, str(chosen.memory), chosen.seed,
            )
        )  # fmt: skip
    except MmarchError as error:
        raise InputError(f"recorded in a configuration that is not installed here: {error}") from None
    if tuple(event_names(setup)) != head.events:
        raise InputError(f"written by mmarch {head.version[:20]}, whose events are others; record it again")
    return setup


def _unpacked(file: zipfile.ZipFile) -> dict[str, NDArray[np.signedinteger]]:
    """Every column, once it is known that all of them have lengths that can be."""
    if missing := set(_KINDS) - set(file.namelist()):
        raise ValueError(f"it has no column {min(missing)}")
    sizes = {name: file.getinfo(name).file_size for name in _KINDS}
    lengths = {name: sizes[name] // kind.itemsize for name, kind in _KINDS.items()}
    events, operations, paths = lengths["log.kind"], lengths["lines"], lengths["functions"]
    wanted = {
        **dict.fromkeys(_LOG, events), "ops": operations * uapi.COLUMNS, "lines": operations,
        "functions": paths, "parents": paths, "counted": lengths["counts"], "counts": lengths["counts"],
    }  # fmt: skip
    for name, length in lengths.items():
        if length != wanted[name] or sizes[name] % _KINDS[name].itemsize:
            raise ValueError(f"column {name} has {length:,} numbers, not {wanted[name]:,}")
    if events > MOST_EVENTS or operations > MOST_OPERATIONS or paths > MOST_PATHS:
        raise ValueError(f"{events:,} events of {operations:,} operations on {paths:,} paths")
    if lengths["counts"] > (ROOTS + paths) * EVENTS:
        raise ValueError(f"{lengths['counts']:,} counts")
    return {name: _numbers(file.read(name), kind) for name, kind in _KINDS.items()}


def _numbers(data: bytes, kind: np.dtype[np.signedinteger]) -> NDArray[np.signedinteger]:
    found: NDArray[np.signedinteger] = np.frombuffer(data, kind.newbyteorder("<")).astype(kind, copy=False)
    return found


def _counts(columns: Mapping[str, NDArray[np.signedinteger]]) -> Ints:
    counts = np.zeros((ROOTS + len(columns["functions"])) * EVENTS, np.int64)
    at = columns["counted"]
    if len(at) and not (at.min() >= 0 and at.max() < len(counts)):
        raise ValueError("counts of a path that there is none of")
    counts[at] = columns["counts"]
    return counts.reshape(-1, EVENTS)


def _implausible(history: History) -> str:
    """What no run can have logged; empty if there is nothing."""
    log, calls, geometry = history.log, history.calls, history.setup.geometry
    begins = log.of_kind(vmstat.LOG_OP)
    rows = np.arange(len(begins))
    if not set(np.unique(log.kind).tolist()) <= {vmstat.LOG_OP, *KINDS}:
        return "events of no known kind"
    if (
        not len(begins)
        or begins[0]
        or len(begins) > len(history.workload.ops)
        or (log.a[begins] != rows).any()
    ):
        return "operations that are not in order"
    if (log.b[begins] != history.workload.ops[rows, 0]).any() or not np.isin(
        log.b[begins], list(uapi.OP_NAMES)
    ).all():
        return "operations that are not those of the workload"
    own = np.arange(ROOTS, ROOTS + len(calls.parents))
    if (calls.parents < 0).any() or (calls.parents >= own).any():
        return "a path of calls that leads nowhere"
    base = np.repeat(log.b[begins] * HOOKS, np.diff(np.append(begins, len(log))))
    if (base + log.call < 0).any() or (base + log.call >= ROOTS + len(own)).any():
        return "an event on a path of calls that there is none of"
    tables, writes = log.of_kind(vmstat.LOG_TABLE), log.of_kind(vmstat.LOG_PTE, vmstat.LOG_HW)
    slots = min(len(tables) + 1, MOST_ENTRIES >> geometry.pte_bits)
    for at, numbers, room in ((tables, log.a, slots), (writes, log.a, slots << geometry.pte_bits)):
        if len(at) and not (numbers[at].min() >= 0 and numbers[at].max() < room):
            return "a page table that was never made"
    if history.frames - 1 > history.setup.configuration.memory >> geometry.page_shift:
        return f"{history.frames:,} frames"
    return ""
