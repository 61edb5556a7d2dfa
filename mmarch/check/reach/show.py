"""What a campaign reached, for people: at most 80 columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby

from mmarch.check.reach.model import Part, Reached, Seen, Share, Unreached, Untrue
from mmarch.table import WIDTH, indented, table, wrap

MOST = 60  # lines of what nobody gave a reason for
WORDS = {
    "true": "never true",
    "false": "never false",
    "entered": "never entered",
    "ended": "never ends by itself",
}
FEATURES: dict[Seen, str] = {
    "with": "features seen on releases that have them alone",
    "without": "features seen on releases that lack them alone",
    "never": "features that no code that ran asks for",
}


def coverage(reached: Reached) -> list[str]:
    """Totals, features, then what was not reached: with reasons in short, without them line by line."""
    rows = [row(name, part) for name, part in reached.packages.items()]
    total = row("total", Part(functions=reached.functions, branches=reached.branches))
    lines = table(("reached", "functions", "of", "branches", "of", "percent"), [*rows, total], total=True)
    return [*lines, "", *features(reached), *unreached(reached.unreached), *untrue(reached.untrue)]


def row(name: str, part: Part) -> tuple[str, ...]:
    """Of the table of packages."""
    return (name, *pair(part.functions), *pair(part.branches), f"{part.branches.percent:.1f}")


def pair(share: Share) -> tuple[str, str]:
    """Its two numbers."""
    return f"{share.reached:,}", f"{share.total:,}"


def features(reached: Reached) -> Iterator[str]:
    """How many were seen both ways, and the names of the others."""
    both = sum(how == "both" for how in reached.features.values())
    yield f"features: {both} of {len(reached.features)} seen with and without"
    for how, words in FEATURES.items():
        if names := [name for name, seen in reached.features.items() if seen == how]:
            yield from indented(f"{words}: {', '.join(names)}", 2)
    yield ""


def unreached(items: Sequence[Unreached]) -> Iterator[str]:
    """Those that somebody explained by their reason, then the others by their files."""
    reasons = Counter[str]()
    for item in items:
        if item.reason:
            reasons[item.reason] += max(1, item.branches)
    if reasons:
        yield f"not reached by any campaign: {reasons.total():,} branches, and why"
        for reason, count in reasons.most_common():
            first, *others = wrap(f"{count:>4}  {reason}")
            yield from (first, *(f"      {line}" for line in others))
        yield ""
    rest = [item for item in items if not item.reason]
    if rest:
        yield f"not reached: {sum(item.branches for item in rest):,} branches"
        lines = [line for _, found in groupby(rest, lambda item: item.file) for line in of_file(list(found))]
        yield from lines[:MOST]
        if len(lines) > MOST:
            yield f"  and {len(lines) - MOST:,} lines more; --format json lists all"
        yield ""


def untrue(items: Sequence[Untrue]) -> Iterator[str]:
    """Reasons that have to go, for what they excuse was reached."""
    if items:
        yield "reached, though a reason says that no campaign does; take the reason out"
        for item in items:
            yield from indented(
                " ".join(filter(None, (f"{item.function}:", item.text, item.way, f"({item.reason})"))), 2
            )
        yield ""


def of_file(items: Sequence[Unreached]) -> Iterator[str]:
    """Functions that never ran, then a line for each line whose branches were not all taken."""
    yield f"  {items[0].file}"
    if idle := [item.function.rpartition(".")[2] for item in items if item.way is None]:
        yield from indented(f"never run: {', '.join(idle)}", 4)
    for (line, function, text), found in groupby(
        (item for item in items if item.way), lambda item: (item.line, item.function, item.text)
    ):
        ways = [WORDS[item.way] for item in found if item.way]
        said = ways[0] if len(ways) == 1 else "never reached"
        yield shortened(f"    {line} {function.rpartition('.')[2]}: {text.rstrip(':')}", f": {said}")


def shortened(text: str, end: str) -> str:
    """In one line."""
    room = WIDTH - len(end)
    return (text if len(text) <= room else f"{text[: room - 1]}…") + end
