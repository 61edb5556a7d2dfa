"""Failures that the author of an architecture expects: `mmarch-xfails.toml`, beside the plugin's code.

    [[xfail]]
    check = "batch.protnone"
    release = "6.12"                # left out: on every release
    reason = "what is wrong, and until when"

An expected failure that does not happen is a failure. A check that must not even run goes under
``[[skip]]``, with the same keys.
"""

from __future__ import annotations

import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from core_mm.descriptor import ArchDescriptor
from core_mm.releases import RELEASES
from mmarch.check.registry import Check
from mmarch.errors import InputError
from mmarch.suggest import did_you_mean

NAME = "mmarch-xfails.toml"
LARGEST = 1 << 20  # bytes


class Entry(BaseModel):
    """One expectation."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    check: str
    reason: Annotated[str, Field(min_length=8)]
    release: str = ""

    def covers(self, check: str, release: str) -> bool:
        """Whether it speaks of this run."""
        return self.check == check and self.release in ("", release)


class Expected(BaseModel):
    """The file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    xfail: tuple[Entry, ...] = ()
    skip: tuple[Entry, ...] = ()

    def reason(self, check: str, release: str) -> str:
        """Why this run is expected to fail; "" if it is not."""
        return next((entry.reason for entry in self.xfail if entry.covers(check, release)), "")

    def skipped(self, check: str, release: str) -> str:
        """Why this run is left out; "" if it is not."""
        return next((entry.reason for entry in self.skip if entry.covers(check, release)), "")


def find(arch: ArchDescriptor) -> Path | None:
    """The file in the package that holds the architecture's modules, if it has one."""
    package = arch.modules[0].rpartition(".")[0] or arch.modules[0]
    try:
        path = Path(str(files(package))) / NAME
    except (ModuleNotFoundError, TypeError):
        return None
    return path if path.is_file() else None


def load(path: Path | None, known: list[Check]) -> Expected:
    """What a file says; InputError if it is not what it should be, or names no check."""
    if path is None:
        return Expected()
    try:
        if path.stat().st_size > LARGEST:
            raise InputError(f"{path}: larger than {LARGEST} bytes; this is no list of expected failures")
        with path.open("rb") as file:
            expected = Expected.model_validate(tomllib.load(file))
    except OSError as error:
        raise InputError(f"--expected {path}: cannot read: {error.strerror}") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from error
    except ValidationError as error:
        fields = "; ".join(
            f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors(include_url=False)
        )
        raise InputError(f"{path}: {fields}") from error
    names = [check.id for check in known]
    for entry in (*expected.xfail, *expected.skip):
        if entry.check not in names:
            raise InputError(f"{path}: {entry.check!r} is no check.{did_you_mean(entry.check, names)}")
        if entry.release and entry.release not in RELEASES:
            raise InputError(
                f"{path}: {entry.release!r} is no release.{did_you_mean(entry.release, RELEASES)}"
            )
    return expected
