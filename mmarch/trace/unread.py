"""What could not be read: odd lines, counted by kind, too many of which are an error; where a damaged trace ends."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from mmarch.errors import InputError
from mmarch.trace.ftrace_text import TraceError, shown

LONGEST = 500  # letters of a message
MOST = 0.01  # of the events that were used


class Unread:
    """What a reader could not make anything of."""

    def __init__(self) -> None:
        self.kinds: Counter[str] = Counter()
        self.first: dict[str, str] = {}

    def add(self, kind: str, line: int, text: str) -> None:
        """One line, as it stands."""
        self.kinds[kind] += 1
        self.first.setdefault(kind, f"line {line}: {shown(text)}")

    def check(self, used: int, lenient: bool) -> None:
        """TraceError if nothing was used, or if more than one line in a hundred was not."""
        said = "; ".join(
            f"{kind} {count} (first {self.first[kind]})" for kind, count in self.kinds.most_common(3)
        )
        if not used:
            raise TraceError(f"no event here can be replayed{f': {said}' if said else ''}")
        if not lenient and sum(self.kinds.values()) > MOST * used:
            raise TraceError(
                f"of {used} events used, too many lines were not: {said}; take it as it is: --lenient"
            )

    def result(self) -> dict[str, int]:
        """For the table of what was left out."""
        return dict(self.kinds)


class Cut:
    """The first damage of a trace: an error, or where what is taken of it ends; `facts` say so."""

    def __init__(self, salvage: bool) -> None:
        self.salvage = salvage
        self.facts: dict[str, str] = {}

    def ends(self, error: Exception, path: Path, line: int, some: bool) -> None:
        """Damage at a line; `some`: whether anything stood before it. InputError unless it is salvaged."""
        what = str(error)
        if isinstance(error, InputError):
            what = what.removeprefix(f"{path}:").lstrip("0123456789: ")
        what = what if len(what) <= LONGEST else what[:LONGEST] + "..."
        if self.salvage and some:
            self.facts = {"salvaged": f"what stands before line {max(line, 1)}: {what}"}
        elif isinstance(error, InputError):
            raise error
        else:
            hint = "" if self.salvage or not some else "; what stands before it: --salvage"
            raise InputError(f"{path}:{max(line, 1)}: {what}{hint}") from error
