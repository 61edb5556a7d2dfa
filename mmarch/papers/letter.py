"""A letter: what somebody measured and published, and which work of the twin is the same."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from mmarch.errors import InputError
from mmarch.reading import Read, limited, toml, utf8, valid
from mmarch.suggest import unknown

LARGEST = 1 << 20  # bytes
SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}


class Case(BaseModel):
    """One row of a published table.

    before, after   in `unit`; "%" is what the letter adds to or takes from a baseline of its own
    times           how often the published figure has what the scenario's steps do, once
    steps           of the scenario; none: all of them
    configuration   of both sides, as `Choices` has it; old, new: what differs
    needs           a series that is in no kernel
    lacks           what the twin has not, so that it counts nothing for this row
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    unit: Literal["s", "ms", "us", "ns", "%"]
    before: float = Field(gt=-100, allow_inf_nan=False)
    after: float = Field(gt=-100, allow_inf_nan=False)
    times: float = Field(default=1, gt=0, allow_inf_nan=False)
    scenario: str = ""
    steps: tuple[str, ...] = ()
    configuration: Mapping[str, str | list[str]] = {}
    old: Mapping[str, str | list[str]] = {}
    new: Mapping[str, str | list[str]] = {}
    needs: str = ""
    lacks: str = ""
    note: str = ""

    @property
    def ratio(self) -> float:
        """After by before."""
        base = 100 if self.unit == "%" else 0
        return (base + self.after) / (base + self.before)

    @property
    def saved(self) -> float:
        """Nanoseconds that the steps save once; InputError if the letter has only percents."""
        if self.unit == "%":
            raise InputError(f"{self.name}: percents of a baseline whose time is not published are no times")
        return (self.before - self.after) * SECONDS[self.unit] * 1e9 / self.times


class Letter(BaseModel):
    """Who measured what where, and the rows. `folder` is where its scenarios lie."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    title: str
    subject: str
    author: str
    date: str
    message: str = ""
    machine: str
    about: str = ""
    scenario: str
    cases: tuple[Case, ...] = Field(min_length=1)
    folder: str = ""

    @field_validator("scenario")
    @classmethod
    def _in_the_folder(cls, name: str) -> str:
        if Path(name).name != name:
            raise ValueError("a scenario lies beside its letter; give its name alone")
        return name

    def case(self, name: str) -> Case:
        """A row by its name; InputError with what there is."""
        named = {case.name: case for case in self.cases}
        if name not in named:
            raise InputError(f"{self.id}: {unknown('row', name, named, '')} Rows: {', '.join(named)}.")
        return named[name]


def known() -> dict[str, Letter]:
    """The letters that come with mmarch, oldest first."""
    folder = files("mmarch.papers").joinpath("letters")
    found = [read(Path(str(item)), Letter) for item in folder.iterdir() if item.name.endswith(".toml")]
    letters = [letter.model_copy(update={"folder": str(folder)}) for letter in found]
    return {letter.id: letter for letter in sorted(letters, key=lambda each: (each.date, each.id))}


def find(name: str) -> Letter:
    """A letter that comes with mmarch, or the TOML file at a path, beside which its scenario lies."""
    letters = known()
    if name in letters:
        return letters[name]
    if "/" in name or name.endswith(".toml"):
        return read(Path(name), Letter).model_copy(update={"folder": str(Path(name).parent)})
    raise unknown("paper", name, letters, f"Known: {', '.join(letters)}; or a TOML file.")


def read(path: Path, kind: type[Read]) -> Read:
    """A model out of a TOML file; InputError that names the file and the field."""
    where = str(path)
    data = limited(path, where, LARGEST, f"larger than {LARGEST >> 20} MiB; a table of measurements is short")
    given = toml(utf8(data, where, "a table of measurements is a TOML file"), where)
    return valid(kind, {**given, "folder": ""} if "folder" in given else given, where)
