"""Linked code of most tests is not optimized: half a second an image instead of eight."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mmarch.environment import QUICK_LINK, switched_on


@pytest.fixture(scope="module", autouse=True)
def linked_quickly(request: pytest.FixtureRequest) -> Iterator[None]:
    """As users have it in modules marked `optimized`, which count what the README, golden tables and kernels say."""
    optimized = request.node.get_closest_marker("optimized")
    with switched_on(QUICK_LINK, not optimized):
        yield
