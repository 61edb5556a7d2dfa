"""The scenario language: files people write, and the workloads they stand for."""

from .lower import FIRST_ADDRESS, Lowered, StepInfo, lower, variants
from .model import Document, Scenario
from .parse import load, parse

__all__ = ["FIRST_ADDRESS", "Document", "Lowered", "Scenario", "StepInfo", "load", "lower", "parse", "variants"]
