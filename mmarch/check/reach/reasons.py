"""Why no campaign reaches some code: `mmarch-unreached.toml`, beside the code that it speaks of.

[[unreached]]
function = "core_mm.memory.zap.zap_present_ptes"   # with its module
text = "if nr > 1:"                                # the line that branches; left out: the whole function
way = "false"                                      # what it never is; left out: both
reason = "what keeps every program from it"
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from mmarch.check.reach.model import Way
from mmarch.reading import limited, toml, utf8, valid

NAME = "mmarch-unreached.toml"
LARGEST = 1 << 20  # bytes
SHAPE = "it holds [[unreached]] tables with function, text, way and reason"


class Entry(BaseModel):
    """One reason."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    function: str
    text: str = ""
    way: Way | None = None
    reason: Annotated[str, Field(min_length=8)]

    def covers(self, function: str, text: str, way: Way | None) -> bool:
        """Whether it speaks of this function or branch."""
        return self.function == function and self.text in ("", text) and self.way in (None, way)


class Reasons(BaseModel):
    """The files of several packages."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    unreached: tuple[Entry, ...] = ()

    def of(self, function: str, text: str = "", way: Way | None = None) -> str:
        """Why this is not reached; "" if nobody says."""
        return next((entry.reason for entry in self.unreached if entry.covers(function, text, way)), "")

    def about(self, function: str) -> list[Entry]:
        """Those that speak of a function."""
        return [entry for entry in self.unreached if entry.function == function]


def load(packages: Iterable[str]) -> Reasons:
    """What the packages' files say; InputError if one is not what it should be."""
    return Reasons(unreached=tuple(entry for name in packages for entry in _of_package(name)))


def _of_package(package: str) -> tuple[Entry, ...]:
    try:
        path = Path(str(files(package))) / NAME
    except (ModuleNotFoundError, TypeError):
        return ()
    if not path.is_file():
        return ()
    where = str(path)
    text = utf8(
        limited(path, where, LARGEST, f"larger than {LARGEST} bytes; this is no list of reasons"),
        where,
        SHAPE,
    )
    return valid(Reasons, toml(text, where), where).unreached
