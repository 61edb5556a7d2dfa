"""Lines of a foreign trace that could not be read: counted by kind, with the first of each; too many are an error."""

from __future__ import annotations

from collections import Counter

from mmarch.trace.ftrace_text import TraceError, shown

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
        said = "; ".join(f"{kind} {count} (first {self.first[kind]})" for kind, count in self.kinds.most_common(3))
        if not used:
            raise TraceError(f"no event here can be replayed{f': {said}' if said else ''}")
        if not lenient and sum(self.kinds.values()) > MOST * used:
            raise TraceError(f"of {used} events used, too many lines were not: {said}; take it as it is: --lenient")

    def result(self) -> dict[str, int]:
        """For the table of what was left out."""
        return {f"{kind} (not understood)": count for kind, count in self.kinds.items()}
