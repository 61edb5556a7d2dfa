"""A conformance suite for architectures: `mmarch check`, and the same as a pytest plugin."""

from mmarch.check.outcome import CheckFailed, Skipped
from mmarch.check.registry import Check, check
from mmarch.check.report import FORMATS, Report, Result
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
