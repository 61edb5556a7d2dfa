"""Every call of a Python function shown to somebody."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


@contextmanager
def profiled(called: Callable[[FrameType, str, Any], None]) -> Iterator[None]:
    """Calls and returns are told to `called`, as sys.setprofile() does; what it raises is raised from within them."""
    before = sys.getprofile()
    sys.setprofile(called)
    try:
        yield
    finally:
        sys.setprofile(before)
