"""What every test here reads."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import pytest

from mmarch.truth import validate


@pytest.fixture(scope="session", autouse=True)
def read_once() -> Iterator[None]:
    """Measurements and scenarios, whose files are the same for all of a hundred validations."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("load", "load_scenarios"):
            patch.setattr(validate, name, cache(getattr(validate, name)))
        yield
