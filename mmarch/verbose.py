"""`-v`: what is read, found in the cache and linked, on stderr."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from mmarch.environment import switched_on

VERBOSE = "MMARCH_VERBOSE"  # in the environment, so that processes that share the work say it too
_said: set[str] = set()


def say(text: str) -> None:
    """One line, once, if it was asked for; who closed stderr does not want it."""
    if os.environ.get(VERBOSE) and text not in _said:
        _said.add(text)
        with suppress(OSError):
            print(f"mmarch: {text}", file=sys.stderr)


@contextmanager
def verbose(wanted: bool) -> Iterator[None]:
    """Say it from here to the end."""
    with switched_on(VERBOSE, wanted):
        try:
            yield
        finally:
            _said.clear()
