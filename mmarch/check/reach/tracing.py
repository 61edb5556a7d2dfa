"""Coverage of what checks run, in a worker: written to a folder after every check, since a worker may be killed."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

from mmarch.engine import stopping
from mmarch.errors import InputError

if TYPE_CHECKING:
    from types import ModuleType

SLOWER = 5  # times that a check takes at most while it is followed
DATA = "reached"  # and a suffix for each process


def library() -> ModuleType:
    """coverage.py; InputError if it is not installed."""
    try:
        import coverage
    except ImportError as error:
        raise InputError(
            "--coverage: coverage.py is not installed; pip install 'mmarch[check]' brings it"
        ) from error
    return coverage


Follow = Mapping[str, Any]  # "folder" and "files", as a job says them


@contextmanager
def following(follow: Follow | None, release: str, check: str) -> Iterator[None]:
    """Follow branches in some files meanwhile; each check on each release is a context of its own."""
    if follow is None:
        yield
        return
    tracer = _tracer(follow["folder"], tuple(follow["files"]))
    tracer.start()
    tracer.switch_context(named(check, release))
    try:
        with stopping.patient(SLOWER):
            yield
    finally:
        tracer.stop()
        tracer.save()


@cache
def _tracer(folder: str, files: tuple[str, ...]) -> Any:
    """One for all checks of a worker, since each writes a file of its own."""
    tracer = library().Coverage(
        data_file=os.path.join(folder, DATA), data_suffix=True, branch=True, include=list(files),
        config_file=False, messages=False,
    )  # fmt: skip
    tracer.set_option("run:core", "ctrace")  # which knows contexts
    tracer.set_option("run:disable_warnings", ["no-data-collected", "module-not-measured"])
    return tracer


def named(check: str, release: str) -> str:
    """The context of a check on a release."""
    return f"{check} {release}"


def release_of(context: str) -> str:
    """The release in the name of a context."""
    return context.rpartition(" ")[2]
