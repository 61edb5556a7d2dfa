"""Who runs campaigns: those who ask."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from tests.conftest import leave_out_campaigns

SOURCE = pytest.Config.ArgsSource


def expression(source: pytest.Config.ArgsSource, marker: str = "", keyword: str = "") -> str:
    """What of markers pytest goes by, after what its command line said."""
    option = SimpleNamespace(markexpr=marker, keyword=keyword)
    config: Any = SimpleNamespace(option=option, args_source=source, ArgsSource=SOURCE)
    leave_out_campaigns(config)
    return str(option.markexpr)


def test_all_tests_are_without_campaigns() -> None:
    """The README's line."""
    assert expression(SOURCE.TESTPATHS) == "not campaign"


@pytest.mark.parametrize(
    ("source", "marker", "keyword"),
    [
        (SOURCE.TESTPATHS, "campaign", ""),
        (SOURCE.TESTPATHS, "", "C12"),
        (SOURCE.ARGS, "", ""),
        (SOURCE.INVOCATION_DIR, "", ""),
    ],
    ids=["by marker", "by name", "by file", "from its folder"],
)
def test_who_asks_gets_them(source: pytest.Config.ArgsSource, marker: str, keyword: str) -> None:
    """pytest then goes by what was asked for alone."""
    assert expression(source, marker, keyword) == marker
