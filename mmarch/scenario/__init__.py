"""The scenario language: files people write, and the workloads they stand for."""

from .lower import FIRST_ADDRESS, Lowered, StepInfo, check_beside, lower, variants
from .model import Document, Scenario
from .params import parse_amount, parse_settings, setting, setting_all
from .parse import load, parse

__all__ = [
    "FIRST_ADDRESS", "Document", "Lowered", "Scenario", "StepInfo", "check_beside", "load", "lower", "parse",
    "parse_amount", "parse_settings", "setting", "setting_all", "variants",
]  # fmt: skip
