"""Two installations of mmarch take turns at the same pass: `against_native.py --against`."""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from types import TracebackType

Times = dict[str, float]
Pairs = dict[str, dict[str, list[tuple[float, float]]]]

WORKER = Path(__file__).parent / "twin.py"
STARTS = 3  # of both processes: where their memory lies is a matter of luck that lasts as long as they do
SLOWER = 1.05


def python_of(venv: str) -> Path:
    """The interpreter of a virtual environment, for argparse."""
    python = Path(venv) / "bin" / "python"
    if not python.exists():
        raise argparse.ArgumentTypeError(f"no {python}; give a virtual environment that has mmarch installed")
    return python


class Installation:
    """A process that runs passes with one Python's mmarch; `where` is that mmarch."""

    def __init__(self, python: Path) -> None:
        self.process = subprocess.Popen(
            [python, WORKER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.where = self._answer()

    def __enter__(self) -> Installation:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self.process.communicate()

    def _answer(self) -> str:
        assert self.process.stdout
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.process.args[0]} {WORKER.name} ended early; its message is above")
        return line.strip()

    def run(self, twin: tuple[str, str], order: int, size: int) -> Times:
        """One pass; nanoseconds by operation."""
        assert self.process.stdin
        print(json.dumps([*twin, order, size]), file=self.process.stdin, flush=True)
        found: Times = json.loads(self._answer())
        return found


def installations(python: Path) -> tuple[str, str]:
    """Where the old mmarch and this one lie; SystemExit if they are the same."""
    with Installation(python) as old, Installation(Path(sys.executable)) as new:
        if old.where == new.where:
            raise SystemExit(f"--against: {python} has {new.where} too; there is nothing to compare")
        return old.where, new.where


def take_turns(python: Path, twins: tuple[tuple[str, str], ...], size: int, order: int, rounds: int) -> Pairs:
    """(old, new) nanoseconds by twin and operation, a pair a round; the first of each start is a warm-up."""
    found: Pairs = defaultdict(lambda: defaultdict(list))
    for start in range(STARTS):
        with Installation(python) as old, Installation(Path(sys.executable)) as new:
            for number in range(share(rounds, start) + 1):
                for twin in twins:
                    before, after = old.run(twin, order, size), new.run(twin, order, size)
                    for operation in before if number else ():
                        found[" ".join(twin)][operation].append((before[operation], after[operation]))
    return found


def share(rounds: int, start: int) -> int:
    """How many of the rounds one start does."""
    return rounds // STARTS + (start < rounds % STARTS)


def ratio(pairs: list[tuple[float, float]]) -> float:
    """The median of new / old, each of one round."""
    return statistics.median(new / old for old, new in pairs)


def compared(found: Pairs) -> list[list[str]]:
    """A heading and a row an operation: medians of both, and new / old, marked where it is more than SLOWER."""
    heading = [""]
    for who in found:
        heading += [f"{who} old", "new", "new / old"]
    table = [heading]
    for operation in next(iter(found.values())):
        cells = [operation.replace("_", " ")]
        for pairs in (found[who][operation] for who in found):
            old, new = zip(*pairs, strict=True)
            mark = " !" if ratio(pairs) > SLOWER else ""
            cells += [
                f"{statistics.median(old):.1f}",
                f"{statistics.median(new):.1f}",
                f"{ratio(pairs):.2f}{mark}",
            ]
        table.append(cells)
    return table


def slower(found: Pairs) -> list[str]:
    """The operations that are marked."""
    return [
        f"{who} {operation.replace('_', ' ')}: {ratio(pairs):.2f}"
        for who, operations in found.items()
        for operation, pairs in operations.items()
        if ratio(pairs) > SLOWER
    ]
