"""A conformance suite for architectures: `mmarch check`, and the same as a pytest plugin."""

import sys
from types import ModuleType
from typing import Any

from mmarch.check.outcome import CheckFailed, Skipped
from mmarch.check.registry import Check, check
from mmarch.check.report import FORMATS
from mmarch.check.results import Report, Result
from mmarch.check.run import Options
from mmarch.check.run import check as check_arch
from mmarch.check.suite import checks

__all__ = [
    "FORMATS",
    "Check",
    "CheckFailed",
    "Options",
    "Report",
    "Result",
    "Skipped",
    "check",
    "check_arch",
    "checks",
]


class _Suite(ModuleType):
    """`mmarch.check("arm64")` runs the suite, though mmarch.check is this package too."""

    def __call__(self, arch: str, **options: Any) -> Report:
        callbacks = {name: options.pop(name) for name in ("note", "progress", "say") if name in options}
        return check_arch(arch, Options(**options), **callbacks)


sys.modules[__name__].__class__ = _Suite
