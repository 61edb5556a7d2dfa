"""What a campaign reached, as the report holds it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict

Way = Literal["true", "false", "entered", "ended"]
Seen = Literal["both", "with", "without", "never"]


class Share(BaseModel):
    """So many of so many."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    reached: int
    total: int

    @property
    def percent(self) -> float:
        """Of all; 100 of nothing."""
        return 100 * self.reached / self.total if self.total else 100.0


class Part(BaseModel):
    """A package or a file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    functions: Share
    branches: Share


class Unreached(BaseModel):
    """A function that never ran, or a branch that was never taken.

    file      below the folder that holds its package
    function  with its module
    text      the line that branches; "" of a function
    way       what its condition never was, or what its loop never did
    branches  how many these are: of a function all that it has
    reason    why no campaign reaches it; "" if nobody said
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: str
    line: int
    function: str
    text: str = ""
    way: Way | None = None
    branches: int = 1
    reason: str = ""


class Untrue(BaseModel):
    """A reason for code that was reached after all."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    function: str
    text: str = ""
    way: Way | None = None
    reason: str


class Reached(BaseModel):
    """What a run of the suite reached of the code that a machine of this architecture consists of.

    A branch is one of the ways on from a line with an `if` or a loop. A feature was seen "with" where code that
    asks for it ran on a release that has it, "without" where it ran on one that has it not.

    packages   package -> how much of it
    files      file -> the same
    features   feature -> how it was seen
    unreached  the rest, with reasons
    untrue     reasons that this run refutes
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    functions: Share
    branches: Share
    packages: Mapping[str, Part]
    files: Mapping[str, Part]
    features: Mapping[str, Seen]
    unreached: tuple[Unreached, ...]
    untrue: tuple[Untrue, ...] = ()
