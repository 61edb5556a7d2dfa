"""Benches of each kind of CPU."""

from __future__ import annotations

import pytest
from mmarch.testing import Bench


@pytest.fixture
def bench() -> Bench:
    """One CPU without PTI, Linux 6.12: every flush is local."""
    return Bench("x86", cpu="single")
