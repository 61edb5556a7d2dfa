"""The marks of pluggy that declare a hook and its implementations."""

from __future__ import annotations

from typing import TypeVar

import pluggy

PROJECT = "mmarch"

F = TypeVar("F")

hookimpl = pluggy.HookimplMarker(PROJECT)
_mark = pluggy.HookspecMarker(PROJECT)


def hookspec(function: F) -> F:
    """Declare a hook; the first implementation that answers is the only one that runs."""
    marked: F = _mark(function, firstresult=True)  # type: ignore[call-overload]
    return marked
