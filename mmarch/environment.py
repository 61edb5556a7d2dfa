"""Switches in the environment, so that processes that share the work have them too."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

QUICK_LINK = "MMARCH_QUICK_LINK"  # images without LLVM's optimizations


@contextmanager
def switched_on(name: str, wanted: bool = True) -> Iterator[None]:
    """The variable `name` is 1 from here to the end, then as before; nothing if not `wanted`."""
    before = os.environ.get(name)
    if wanted:
        os.environ[name] = "1"
    try:
        yield
    finally:
        if wanted and before is None:
            del os.environ[name]
        elif wanted:
            os.environ[name] = str(before)
