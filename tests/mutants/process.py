"""The other end of runner.py: a process that forks for each mutant."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

from tests.mutants import CATALOGUE

ROOT = Path(__file__).parents[2]
PATHS = (ROOT, ROOT / "examples/riscv_svnapot/src", ROOT / "examples/x86/src")
Outcome = dict[str, Any]


class Runner:
    """Asked for one mutant after the other."""

    def __init__(self) -> None:
        path = os.pathsep.join([*map(str, PATHS), *filter(None, sys.path)])
        environment = {**os.environ, "PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.mutants.runner"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        self.sound = cache(self._sound)

    def ask(self, name: str) -> Outcome:
        """The outcome of a mutant's check; without the bug for `-name`."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(name + "\n")
        self.process.stdin.flush()
        answer: Outcome = json.loads(self.process.stdout.readline())
        return answer

    def _sound(self, *like: object) -> Outcome:
        """The outcome without a bug, for all mutants that are checked alike."""
        name = next(mutant.id for mutant in CATALOGUE.values() if setting(mutant.id) == like)
        return self.ask("-" + name)

    def stop(self) -> None:
        """Let the process end."""
        self.process.communicate()


def setting(name: str) -> tuple[object, ...]:
    """What a run depends on, the bug apart."""
    mutant = CATALOGUE[name]
    return (
        mutant.check, mutant.arch, mutant.release, mutant.cpu, mutant.granule, mutant.given, mutant.share,
    )  # fmt: skip
