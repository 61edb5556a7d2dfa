"""What a recorder that was killed with SIGKILL left in tracefs."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from mmarch.trace import tracefs
from mmarch.trace.means.kprobe import FILE, group
from mmarch.trace.means.writes import Write, execute

GROUP = group(tracefs.PREFIX)


def clean(root: Path, certainly: bool = False) -> list[str]:
    """Remove instances and probes of recorders that are gone; their names.

    certainly  look whether the process that now has a recorder's pid records at all
    """
    removed = []
    for left in sorted((root / "instances").glob(f"{tracefs.PREFIX}*")):
        if not _alive(left.name.removeprefix(tracefs.PREFIX), certainly):
            with suppress(OSError):
                tracefs.Instance(left).remove()
                removed.append(f"instances/{left.name}")
    return removed + [probe for probe in _probes(root) if _gone(root, probe, certainly)]


def _probes(root: Path) -> list[str]:
    """Group and name of those that have a name of ours: of ``p:GROUP/NAME …`` lines."""
    try:
        lines = (root / FILE).read_text().splitlines()
    except OSError:
        return []
    found = [line.partition(" ")[0].partition(":")[2] for line in lines]
    return [name for name in found if name.startswith(GROUP)]


def _gone(root: Path, probe: str, certainly: bool) -> bool:
    if _alive(probe.partition("/")[0].removeprefix(GROUP), certainly):
        return False
    execute(root, [Write(FILE, f"-:{probe}", needed=False)])
    return probe not in _probes(root)


def _alive(pid: str, certainly: bool) -> bool:
    process = Path("/proc", pid)
    if not certainly or not process.exists():
        return process.exists()
    return any(f"instances/{tracefs.PREFIX}{pid}/" in _target(link) for link in process.glob("fd/*"))


def _target(link: Path) -> str:
    try:
        return str(link.readlink())
    except OSError:
        return ""
