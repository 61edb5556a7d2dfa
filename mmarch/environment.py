"""Switches in the environment, so that processes that share the work have them too."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

QUICK_LINK = "MMARCH_QUICK_LINK"  # images without LLVM's optimizations


@contextmanager
def switched_on(name: str, wanted: bool = True) -> Iterator[None]:
    """The variable `name` is 1 from here to the end, then as before; nothing if not `wanted`."""
    with _set(name, "1") if wanted else nullcontext():
        yield


@contextmanager
def switched_off(name: str, wanted: bool = True) -> Iterator[None]:
    """The variable `name` is not there until the end, then as before; nothing if not `wanted`."""
    with _set(name, None) if wanted else nullcontext():
        yield


@contextmanager
def _set(name: str, value: str | None) -> Iterator[None]:
    before = os.environ.get(name)
    _put(name, value)
    try:
        yield
    finally:
        _put(name, before)


def _put(name: str, value: str | None) -> None:
    if value is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = value
