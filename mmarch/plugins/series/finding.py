"""Which series are installed, from metadata alone, and what on a command line names a file."""

from __future__ import annotations

import os

from mmarch.plugins.finding import Found, find

GROUP = "mmarch.series"


def is_path(name: str) -> bool:
    """Whether `name` is a file with a series; names of features, hooks and installed series have none of these."""
    return name.endswith(".py") or os.sep in name


def find_series() -> dict[str, list[Found]]:
    """Name -> who offers it; nothing is imported."""
    return find(GROUP)
