"""The suite in the tests of an architecture's own repository.

from mmarch.check.pytest_plugin import parametrize_with_arch_checks

@parametrize_with_arch_checks("mine")
def test_conformance(arch_check):
    arch_check()

Checks run in a process of their own, which a plugin may hang or kill; `isolated=False` runs them
in pytest's, where a debugger reaches them.
"""

from __future__ import annotations

import atexit
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from mmarch.check import xfails
from mmarch.check.context import QUICK, RELEASES_CHECKED, Context
from mmarch.check.loading import load_named
from mmarch.check.outcome import CheckFailed
from mmarch.check.process import Worker
from mmarch.check.registry import Check
from mmarch.check.suite import checks
from mmarch.check.worker import run_check, time_limit


def parametrize_with_arch_checks(
    arch: str,
    *,
    releases: Sequence[str] = RELEASES_CHECKED,
    quick: bool = True,
    level: str = "must",
    seed: int = 0,
    isolated: bool = True,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Parametrize a test with `arch_check`, one for each check and release; expected failures are strict."""
    loaded, generic = load_named(arch), load_named("generic")
    known = checks()
    worker = Worker(arch, "generic") if isolated else None
    expected = xfails.load(xfails.find(loaded.descriptor), known)
    cases = []
    for item in known:
        if item.paired or (level == "must" and item.level != "must"):
            continue
        for release in releases:
            share = QUICK if quick else 1.0
            context = Context(loaded.descriptor, generic.descriptor, release=release, seed=seed, share=share)
            marks: list[pytest.MarkDecorator] = []
            if reason := expected.reason(item.id, release):
                marks.append(pytest.mark.xfail(reason=reason, strict=True))
            missing = item.requires - loaded.descriptor.capabilities
            if reason := expected.skipped(item.id, release) or ", ".join(missing):
                marks.append(pytest.mark.skip(reason=reason))
            cases.append(pytest.param(_Case(item, context, worker), id=f"{item.id}-{release}", marks=marks))
    return pytest.mark.parametrize("arch_check", cases)


class _Case:
    """A check that raises if it does not pass."""

    def __init__(self, item: Check, context: Context, worker: Worker | None) -> None:
        self.item, self.context, self.worker = item, context, worker

    def __call__(self) -> None:
        outcome = self._outcome()
        if outcome["status"] == "skip":
            pytest.skip(outcome["reason"])
        if outcome["status"] == "pass" and outcome.get("printed"):
            raise CheckFailed(f"{self.item.title}\nprints to stdout or stderr: {outcome['printed']}")
        if outcome["status"] != "pass":
            steps = "".join(
                f"\n  {number}. {step}" for number, step in enumerate(outcome.get("steps", ()), 1)
            )
            raise CheckFailed(f"{self.item.title}\n{outcome['message']}{steps}")

    def _outcome(self) -> dict[str, Any]:
        """In the worker, which is started for the first case and ends with pytest."""
        if self.worker is None:
            with time_limit(self.item.limit, self.context):
                return run_check(self.item, self.context)
        atexit.register(self.worker.stop)
        context = self.context
        told = {"release": context.release, "seed": context.seed, "share": context.share}
        return self.worker.run({"check": self.item.id, "context": told}, self.item.limit)
