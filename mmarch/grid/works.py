"""The workloads of a sweep: names and globs of the SPEC to files, and these to scenarios on their kinds of memory."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from glob import glob, has_magic
from pathlib import Path

from mmarch.errors import InputError
from mmarch.grid.points import Work
from mmarch.grid.spec import Spec
from mmarch.runs.workloads import (
    DEFAULT_TRACE,
    Source,
    bundled_traces,
    choose_scenario,
    find,
    is_trace,
    open_workload,
)
from mmarch.scenario import Document, load
from mmarch.suggest import unknown


@dataclass(frozen=True)
class Listed:
    """A workload, and the parameters it has with their defaults."""

    work: Work
    parameters: Mapping[str, str]


def works(spec: Spec) -> list[Listed]:
    """In the order of the SPEC; InputError with its line for what is not there, or has no scenario of that name."""
    found = [listed for label, path, value in _files(spec) for listed in _of_file(spec, label, path, value)]
    for axis in ("scenario", "backing"):
        names = list(dict.fromkeys(name for one in found if (name := getattr(one.work, axis))))
        for pattern in spec.axes.get(axis, ()):
            if not any(fnmatchcase(name, pattern) for name in names):
                raise spec.wrong(axis, pattern, unknown(axis, pattern, names))
    return [
        one
        for one in found
        if _chosen(spec, "scenario", one.work.scenario) and _chosen(spec, "backing", one.work.backing)
    ]


def _chosen(spec: Spec, axis: str, name: str) -> bool:
    """Whether the axis leaves it in; a trace has neither scenarios nor kinds of memory."""
    patterns = spec.axes.get(axis)
    return not patterns or not name or any(fnmatchcase(name, pattern) for pattern in patterns)


def _files(spec: Spec) -> Iterator[tuple[str, Path, str]]:
    """Name, file, and the value it comes from; each file once."""
    seen = set()
    for value in spec.axes.get("workload", (DEFAULT_TRACE,)):
        for label, path in _meant(spec, value):
            if (real := os.path.realpath(path)) not in seen:
                seen.add(real)
                yield label, path, value


def _meant(spec: Spec, value: str) -> list[tuple[str, Path]]:
    if has_magic(value):
        names = [
            name
            for name in sorted(glob(value, root_dir=spec.folder, recursive=True))
            if (spec.folder / name).is_file()
        ]
        if not names:
            raise spec.wrong("workload", value, f"no file in {spec.folder.resolve()} matches")
        return [(name, spec.folder / name) for name in names]
    if (path := spec.folder / value).exists() and value:
        return [(value, path)]
    try:
        return [(value, find(value))]
    except InputError as error:
        raise spec.wrong("workload", value, error) from None


def _of_file(spec: Spec, label: str, path: Path, value: str) -> Iterator[Listed]:
    try:
        content = _content(path)
        if is_trace(path):
            bundled = path in bundled_traces().values()
            work = Work(
                label,
                "" if bundled else os.path.abspath(path),
                "",
                "",
                content,
                open_workload(str(path)).page_size,
            )
            yield Listed(work, {})
            return
        document = load(path)
    except InputError as error:
        raise spec.wrong("workload", value, error) from None
    for scenario in {one.name: one for one in document.scenarios}.values():
        for kind in scenario.kinds:
            parameters = {name: str(param.amount) for name, param in scenario.params.items()}
            yield Listed(Work(label, os.path.abspath(path), scenario.name, kind, content), parameters)


def _content(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{path}: cannot read: {error.strerror}") from None


@lru_cache(8)
def source(work: Work, parameters: tuple[tuple[str, str], ...]) -> Source:
    """The workload, read; InputError if the file is not the one that the sweep began with."""
    if not work.scenario:
        return _trace(work)
    return choose_scenario(_document(work), work.scenario, work.backing, dict(parameters))


@lru_cache(4)
def _trace(work: Work) -> Source:
    _unchanged(work)
    return open_workload(str(place(work)))


@lru_cache(32)
def _document(work: Work) -> Document:
    _unchanged(work)
    return load(place(work))


def place(work: Work) -> Path:
    """The file: where the SPEC is, or, of what comes with mmarch, wherever this machine has it."""
    return Path(work.path) if work.path else find(work.label)


def _unchanged(work: Work) -> None:
    if _content(path := place(work)) != work.content:
        raise InputError(f"{path} has changed since the sweep began; begin another STORE, or put it back")
