"""The TLB oracle's verdict, as text or JSON."""

from __future__ import annotations

from collections import Counter

from mmarch.sanitize.run import Sanitized
from mmarch.table import counted, indented, table, wrap
from mmarch.workload import Workload, qualified

SHOWN, CAUSES = 5, 10
REPEAT = "tlbi_repeat"


def invariants(work: Workload, seen: Sanitized) -> list[str]:
    """What is wrong with core-mm after the first operation that left anything wrong."""
    lines: list[str] = []
    for broken in seen.broken[:SHOWN]:
        lines.append("")
        for line in str(broken).splitlines():
            lines += indented(line)
    if seen.broken:
        lines += indented(f"  line    {work.place(seen.broken[0].where.row)}")
    return lines


def by_cause(seen: Sanitized) -> list[str]:
    """Superfluous flushes by call and hook, whatever they are called, with the hook's source."""
    if not seen.needless:
        return []
    found: Counter[tuple[str, str, str]] = Counter()
    for one in seen.needless:
        found[one.call, one.hook, one.source] += one.count
    rows = [
        (f"{call} {hook}", f"{number:,}", source)
        for (call, hook, source), number in found.most_common(CAUSES)
    ]
    lines = ["", *table(("superfluous, by call and hook", "flushes", "source of the hook"), rows), ""]
    if left := len(found) - CAUSES:
        lines += wrap(f"… and {counted(left, 'call')} more; --json has all") if left > 0 else []
    return lines


def render_looks(work: Workload, seen: Sanitized, every: int) -> list[str]:
    """Whether the invariants of core-mm hold, where nothing else was looked at."""
    verdict = "core-mm is wrong" if seen.broken else "its invariants hold"
    often = "each" if every == 1 else f"every {every}"
    text = f"{work.name}: {counted(seen.operations, 'operation')}, a look at core-mm after {often}: {verdict}"
    return [*wrap(qualified(text, work.provenance)), *invariants(work, seen)]


def render(work: Workload, seen: Sanitized) -> list[str]:
    """The first violations in full, then flushes by event and how many of them nothing needed."""
    found = f"{seen.found:,} violation{'' if seen.found == 1 else 's'}"
    books = "; core-mm is wrong" if seen.broken else ""
    text = f"{work.name}: {counted(seen.operations, 'operation')} under the TLB oracle: {found}{books}"
    lines = wrap(qualified(text, work.provenance))
    for violation in seen.violations[:SHOWN]:
        lines.append("")
        for line in str(violation).splitlines():
            lines += indented(line)
        if violation.where.row >= 0:
            lines += indented(f"  line    {work.place(violation.where.row)}")
    if seen.found > SHOWN:
        lines += ["", f"… and {seen.found - SHOWN:,} more"]
    lines += invariants(work, seen)
    rows = [
        (
            event.removeprefix("tlbi_"),
            f"{number:,}",
            f"{seen.superfluous.get(event, 0):,}" if event != REPEAT else "",
        )
        for event, number in sorted(seen.flushes.items())
    ]
    rows.append(("total", f"{sum(seen.flushes.values()):,}", f"{sum(seen.superfluous.values()):,}"))
    lines += ["", *table(("flushes", "executed", "superfluous"), rows, total=True), ""]
    lines += wrap("superfluous: no translation that a TLB may hold differs from the tables it drops")
    lines += by_cause(seen)
    if seen.flushes.get(REPEAT):
        lines += wrap("repeat: what a CPU erratum wants once more, not judged")
    if not seen.broken:
        lines += wrap("the invariants of core-mm hold, and every page shows what it must")
    for reason, number in seen.known.items():
        lines += ["", *wrap(f"known hazard, {number:,} times: {reason}")]
    return lines
