"""Every check there is: importing the tiers registers them."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from mmarch.check import tiers
from mmarch.check.registry import CHECKS, TIERS, Check


def checks() -> list[Check]:
    """All of them, in tiers."""
    for module in iter_modules(tiers.__path__):
        import_module(f"{tiers.__name__}.{module.name}")
    return sorted(CHECKS.values(), key=lambda item: TIERS.index(item.tier))
