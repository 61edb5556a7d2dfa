"""Benches of each kind of CPU."""

from __future__ import annotations

import pytest
from mmarch.testing import Bench


@pytest.fixture
def bench() -> Bench:
    """One hart with Svnapot and Svadu, Linux 6.12: every fence is local."""
    return Bench("riscv_svnapot", cpu="single-hart")


@pytest.fixture
def full() -> Bench:
    """Four harts with every extension, Linux 7.3."""
    return Bench("riscv_svnapot", cpu="rva23-full", release="7.3")
