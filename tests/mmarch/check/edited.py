"""Checks of a core-mm, or an architecture, with a mistake in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mmarch.check.context import Context, forget_benches
from mmarch.check.loading import load_named
from mmarch.check.outcome import CheckFailed
from tests.mmarch.sanitize.test_invariants import in_fork
from tests.mutants.mutant import Edit, applied


def told(check: Callable[[Context], object], edit: Edit, arch: str = "generic", **settings: Any) -> str:
    """How a check fails with this edit, "" if it passes; `settings` are of its Context. In a fork: nothing stays."""
    return in_fork(_told, check, edit, arch, settings)


def _told(check: Callable[[Context], object], edit: Edit, arch: str, settings: Mapping[str, Any]) -> str:
    made = Context(load_named(arch).descriptor, load_named("generic").descriptor, **settings)
    with applied((edit,)):
        forget_benches()  # those that a test before has made are without the edit
        try:
            check(made)
        except CheckFailed as failed:
            return str(failed)
    return ""
