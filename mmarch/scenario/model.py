"""What a scenario file says, before page size and order are known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

from .expr import Amount


@dataclass(frozen=True)
class Place:
    """Where a line's operation starts; `text` is the line without its comment."""

    file: str
    line: int
    column: int
    text: str = ""


@dataclass(frozen=True)
class Span:
    """`count` pages of a region from page `first`; the whole region without them."""

    region: str
    first: Amount | None = None
    count: Amount | None = None
    end: Amount | None = None


@dataclass(frozen=True)
class Operation:
    """One verb with its arguments; the parser fills what the verb takes.

    prot and code are the numbers of the system call; amount is a size or an offset in the target.
    """

    verb: str
    span: Span | None = None
    amount: Amount | None = None
    chunk: Amount | None = None
    code: int = 0
    prot: int = 3
    shared: bool = False
    file: str = ""
    target: str = ""
    advice: str = "order"


@dataclass(frozen=True)
class Act:
    """An operation as a scenario's line: which child acts ("": the parent), and whether it is measured.

    mode is "auto" (a step named after its line), "step" (named `label`) or "setup" (not measured).
    """

    operation: Operation
    place: Place
    mode: str = "auto"
    label: str = ""
    child: str = ""


@dataclass(frozen=True)
class Show:
    """A dump of leaf descriptors after the preceding step."""

    label: str
    span: Span
    place: Place
    child: str = ""


@dataclass(frozen=True)
class Part:
    """What follows is reported under another name; the state stays."""

    name: str
    place: Place


@dataclass
class Loop:
    """The body once for each value of `values`, with the loop's variable set."""

    variable: str
    values: str
    place: Place
    body: list[Line] = field(default_factory=list)


Line = Act | Show | Part | Loop


@dataclass(frozen=True)
class Param:
    """A value that whoever runs the scenario may choose; `place` is where its default stands, None if it was chosen."""

    amount: Amount
    place: Place | None


@dataclass
class Scenario:
    """One scenario: its lines, and the orders and kinds of backing it runs with.

    orders   enabled folio orders it is meant for; None: any
    beside   orders that are enabled together with each of them
    lists    values of loops, by name and page size in bytes
    params   values that `--set` chooses, by name, with their defaults
    """

    name: str
    place: Place
    orders: tuple[int, ...] | None = None
    beside: tuple[int, ...] = ()
    kinds: tuple[str, ...] = ("anon",)
    lists: dict[str, dict[int, tuple[int, ...]]] = field(default_factory=dict)
    params: dict[str, Param] = field(default_factory=dict)
    body: list[Line] = field(default_factory=list)
    ended: bool = False

    @cached_property
    def reported(self) -> frozenset[str]:
        """The names its steps are reported under: its own and those of its parts."""
        return frozenset((self.name, *_parts(self.body)))


def _parts(body: list[Line]) -> Iterator[str]:
    for line in body:
        if isinstance(line, Part):
            yield line.name
        elif isinstance(line, Loop):
            yield from _parts(line.body)


@dataclass(frozen=True)
class Document:
    """A scenario file."""

    file: str
    text: str
    scenarios: tuple[Scenario, ...]
