"""What came of a run of the suite: a result for each check and release."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from mmarch.check.reach.model import Reached

Status = Literal["pass", "fail", "error", "xfail", "xpass", "skip"]
BAD: tuple[Status, ...] = ("fail", "error", "xpass")
SCHEMA = "mmarch.check/1"
SUITE = 1  # grows when a check is added or becomes stricter


class Result(BaseModel):
    """One check on one release of core-mm.

    status   "fail": the property does not hold; "error": the plugin raised, hung or died
    message  what is wrong, one line first
    steps    the shortest sequence found that shows it
    reason   why it was skipped or expected to fail
    printed  what it wrote to stdout or stderr meanwhile
    did      how much it looked at, where that is not the same every time
    counts   the numbers in that, where there are several
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    check: str
    release: str
    status: Status
    level: Literal["must", "should"] = "must"
    seconds: float = 0.0
    title: str = ""
    hooks: tuple[str, ...] = ()
    source: str = ""
    message: str = ""
    steps: tuple[str, ...] = ()
    reason: str = ""
    printed: str = ""
    did: str = ""
    counts: Mapping[str, int] = Field(default_factory=dict)

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.check} [{self.release}]"


class Report(BaseModel):
    """A whole run; `complete` is the last thing that is set.

    series    those of `with`, each with a digest of its sources
    declared  what they mean to change, and why
    given     what stood after --with: `with`, and paths of series
    coverage  what was reached of core-mm and the architecture, where that was asked
    """

    model_config = ConfigDict(extra="forbid")

    schema_: str = Field(default=SCHEMA, alias="schema", serialization_alias="schema")
    suite: int = SUITE
    arch: str
    distribution: str
    version: str
    cpu: str = ""
    granule: str = ""
    with_: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    series: Mapping[str, str] = Field(default_factory=dict)
    given: tuple[str, ...] = Field(default=(), exclude=True)
    declared: Mapping[str, str] = Field(default_factory=dict)
    seed: int
    quick: bool
    level: Literal["must", "all"]
    operations: int = 0
    programs: int = 0
    expected: str = ""
    results: list[Result] = []
    coverage: Reached | None = None
    complete: bool = False

    @property
    def failed(self) -> list[Result]:
        """What makes the run a failure."""
        return [result for result in self.results if result.status in BAD]

    @property
    def ok(self) -> bool:
        """Whether everything that had to hold holds."""
        return self.complete and not self.failed and not self.refuted

    @property
    def refuted(self) -> bool:
        """Whether a reason for code that no campaign reaches is wrong; a changed kernel is not what it speaks of."""
        return bool(self.coverage and self.coverage.untrue) and not (self.with_ or self.without)

    def counts(self) -> Mapping[str, int]:
        """Results by status."""
        return Counter(result.status for result in self.results)

    @property
    def found(self) -> str:
        """`250 pass, 3 skip`."""
        return ", ".join(f"{number} {status}" for status, number in self.counts().items()) or "nothing ran"

    def repro(self, result: Result) -> str:
        """The command that shows this result again."""
        words = ["mmarch", "check", self.arch, "--only", result.check, "--release", result.release]
        for option in ("cpu", "granule", "seed", "operations", "programs", "expected"):
            value = getattr(self, option)
            words += [f"--{option}", str(value)] if value else []
        for option, names in (("--with", self.given or self.with_), ("--without", self.without)):
            words += [word for name in names for word in (option, name)]
        return shlex.join(words + (["--quick"] if self.quick else []))
