"""An architecture is checked on each of its page sizes, and what an operation returns is named."""

from __future__ import annotations

import pytest

from core_mm import mm_types
from mmarch.check import Options
from mmarch.check import run as suite
from mmarch.check.system import outcome

LARGE = ("tlb.file", "tlb.shmem", "tlb.deferred", "gather.delayed", "gather.capacity")


@pytest.mark.parametrize("granule", ["4k", "16k", "64k"])
def test_checks_have_files_and_memory_of_any_page_size(granule: str) -> None:
    """Those that need more pages than a table has entries, in full: none runs out of file or of frames."""
    only = tuple(item.id for item in suite.checks() if item.id in LARGE)
    report = suite.check("arm64", Options(only=only, releases=("6.12",), granule=granule))
    assert {result.check for result in report.results} == set(only)
    assert report.ok, [f"{result.check}: {result.message}" for result in report.results if result.status != "pass"]


def test_errors_are_shown_by_name() -> None:
    """A signal that only core-mm numbers, an errno, a value."""
    assert outcome(-mm_types.SIGBUS) == "SIGBUS"
    assert outcome(-mm_types.ENOMEM) == "ENOMEM"
    assert outcome(3) == "3"
