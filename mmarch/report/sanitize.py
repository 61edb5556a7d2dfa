"""The TLB oracle's verdict, as text."""

from __future__ import annotations

from mmarch.sanitize.run import Sanitized

SHOWN = 5


def render(name: str, seen: Sanitized) -> list[str]:
    """The first violations in full, then flushes by event and how many of them nothing needed."""
    lines = [f"{name}: {seen.operations:,} operations under the TLB oracle: {seen.found:,} violations"]
    for violation in seen.violations[:SHOWN]:
        lines += ["", str(violation)]
    if seen.found > SHOWN:
        lines += ["", f"… and {seen.found - SHOWN:,} more"]
    lines += ["", f"{'flushes':<20} {'executed':>10} {'superfluous':>12}"]
    for event, number in sorted(seen.flushes.items()):
        lines.append(f"{event.removeprefix('tlbi_'):<20} {number:>10,} {seen.superfluous.get(event, 0):>12,}")
    lines += ["", "superfluous: no translation that a TLB may hold differs from the tables it drops"]
    return lines
