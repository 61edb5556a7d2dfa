"""Patch series: those that are installed, what one changes, and the beginnings of one."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mmarch.plugins.series import LoadedSeries
    from mmarch.plugins.series.loading import Stale
    from mmarch.plugins.series.showing import Listed


def list_series() -> list[Listed]:
    """Installed series, broken ones too."""
    from mmarch.plugins.series import showing

    return showing.list_series()


def load_series(name: str | os.PathLike[str]) -> LoadedSeries:
    """A series by its name or from a file, checked; PluginError says what is wrong with it."""
    from mmarch.plugins import series

    return series.load_series(os.fspath(name))


def new_series(
    name: str, *, replace: Sequence[str] = (), hooks: Sequence[str] = (), output: str | os.PathLike[str] = ""
) -> Path:
    """Write a file with copies of functions of core-mm to change, and with new hooks; the file."""
    from mmarch.plugins.series import scaffold

    return scaffold.new_series(name, replace, hooks, os.fspath(output))


def update_series(name: str | os.PathLike[str]) -> list[Stale]:
    """Write today's digests of the functions that a series replaces into its files; those that were others."""
    from mmarch.plugins.series.update import update

    return update(load_series(name))
