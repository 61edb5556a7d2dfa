"""The suite in the tests of an architecture's own repository.

from mmarch.check.pytest_plugin import parametrize_with_arch_checks

@parametrize_with_arch_checks("mine")
def test_conformance(arch_check):
    arch_check()
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from mmarch.check import xfails
from mmarch.check.context import QUICK, Context
from mmarch.check.loading import load_named
from mmarch.check.registry import CheckFailed, checks
from mmarch.check.run import RELEASES_CHECKED
from mmarch.check.worker import run_check, time_limit


def parametrize_with_arch_checks(
    arch: str,
    *,
    releases: Sequence[str] = RELEASES_CHECKED,
    quick: bool = True,
    level: str = "must",
    seed: int = 0,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Parametrize a test with `arch_check`, one for each check and release; expected failures are strict."""
    loaded, generic = load_named(arch), load_named("generic")
    known = checks()
    expected = xfails.load(xfails.find(loaded.descriptor), known)
    cases = []
    for item in known:
        if level == "must" and item.level != "must":
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
            cases.append(pytest.param(_Case(item, context), id=f"{item.id}-{release}", marks=marks))
    return pytest.mark.parametrize("arch_check", cases)


class _Case:
    """A check that raises if it does not pass."""

    def __init__(self, item: Any, context: Context) -> None:
        self.item, self.context = item, context

    def __call__(self) -> None:
        with time_limit(self.item.limit, self.context):
            outcome = run_check(self.item, self.context)
        if outcome["status"] == "skip":
            pytest.skip(outcome["reason"])
        if outcome["status"] != "pass":
            steps = "".join(
                f"\n  {number}. {step}" for number, step in enumerate(outcome.get("steps", ()), 1)
            )
            raise CheckFailed(f"{self.item.title}\n{outcome['message']}{steps}")
