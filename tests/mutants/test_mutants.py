"""Every bug of the catalogue is noticed by its check, which has nothing to say against the source as it is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from mmarch.check.registry import checks
from tests.mutants import CATALOGUE

ROOT = Path(__file__).parents[2]
PATHS = (ROOT, ROOT / "examples/riscv_svnapot/src", ROOT / "examples/x86/src")


class Runner:
    """The process that forks for each mutant."""

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

    def ask(self, name: str) -> dict[str, str]:
        """The outcome of a mutant's check; of the sound source for `-name`."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(name + "\n")
        self.process.stdin.flush()
        answer: dict[str, str] = json.loads(self.process.stdout.readline())
        return answer

    def _sound(self, *like: object) -> dict[str, str]:
        """The outcome without a bug, for all mutants that are checked alike."""
        name = next(mutant.id for mutant in CATALOGUE.values() if setting(mutant.id) == like)
        return self.ask("-" + name)


def setting(name: str) -> tuple[object, ...]:
    """What a run depends on, the bug apart."""
    mutant = CATALOGUE[name]
    return mutant.check, mutant.arch, mutant.release, mutant.cpu, mutant.granule, mutant.share


@pytest.fixture(scope="module")
def runner() -> Iterator[Runner]:
    """One for all."""
    started = Runner()
    yield started
    started.process.communicate()


@pytest.mark.parametrize("name", CATALOGUE)
def test_caught(runner: Runner, name: str) -> None:
    """The check fails with the bug and passes without, with the same seed."""
    outcome = runner.ask(name)
    assert outcome["status"] in ("fail", "error"), f"{CATALOGUE[name].bug}: {outcome}"
    sound = runner.sound(*setting(name))
    assert sound["status"] == "pass", sound


def test_every_check_named_exists() -> None:
    """A mutant that names no check would never be caught."""
    known = {item.id for item in checks()}
    assert {mutant.check for mutant in CATALOGUE.values()} <= known
