"""What makes the tests quick: code linked without optimization, bytecode kept, long files first."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator

import pytest

from mmarch.environment import QUICK_LINK, switched_off, switched_on
from mmarch.garbage import look_seldom

NO_BYTECODE, PREFIX = "PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX"


def pytest_configure(config: pytest.Config) -> None:
    """Where Python may not leave bytecode, processes that tests start share a folder of it, which goes with us."""
    if os.environ.get(NO_BYTECODE):
        folder = tempfile.TemporaryDirectory(prefix="mmarch-tests-", ignore_cleanup_errors=True)
        config.add_cleanup(folder.cleanup)
        del os.environ[NO_BYTECODE]
        os.environ[PREFIX] = sys.pycache_prefix = folder.name
        sys.dont_write_bytecode = False
    config.option.loadscopereorder = False  # xdist keeps our order
    leave_out_campaigns(config)


def leave_out_campaigns(config: pytest.Config) -> None:
    """Unless something is asked for by file, folder, name or marker: then all of it runs."""
    option = config.option
    asked = option.markexpr or option.keyword or config.args_source is not config.ArgsSource.TESTPATHS
    if not asked:
        option.markexpr = "not campaign"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with long tests come first, so that short ones keep every process busy to the end."""
    long = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in long)


def pytest_collection_finish() -> None:
    """What was collected stays to the end."""
    look_seldom()


@pytest.fixture(scope="session", autouse=True)
def linked_quickly() -> Iterator[None]:
    """Whatever wants an image."""
    with switched_on(QUICK_LINK):
        yield


@pytest.fixture(scope="module", autouse=True)
def optimized(request: pytest.FixtureRequest, linked_quickly: None) -> Iterator[None]:
    """As users have it in modules marked `optimized`, which count what the README, golden tables and kernels say."""
    with switched_off(QUICK_LINK, bool(request.node.get_closest_marker("optimized"))):
        yield
