"""What releases of Linux, or patches on their way, have wrong: kept, switched by the release, and noticed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from core_mm.releases import RELEASES
from mmarch.check.context import Context
from mmarch.check.driver import Driver
from mmarch.check.loading import load_named
from mmarch.check.suite import checks
from mmarch.check.worker import run_check

PAGE = Path(__file__).parents[2] / "docs" / "conformance" / "hazards.md"
SLOTS = 8 + (4096 - 16) // 8  # of the bundle, and of the one page that delayed rmaps are allowed
FOLIO = 16  # pages
ONE_TOO_MANY = rf"{SLOTS - FOLIO + 1} clean pages and a dirty folio"
# (check, release, what it has to say)
HAZARDS = (
    ("batch.protnone", "6.12", r"of PROT_NONE entries leaves entry \d+ as pfn 0x[0-9a-f]+ valid"),
    ("contiguous.walker", "6.17", r"of a block only entry 0 is dirty; .* on which it faults again"),
    ("algebra.write-dirty", "contpte-v4", r"!pte_dirty\(pte_mkwrite\(pte_mkclean\(pte\)\)\) does not hold"),
    ("gather.reservation", "contpte-v3", ONE_TOO_MANY + " loses 1 pages and overruns 0 slots"),
    ("gather.reservation", "contpte-v4", ONE_TOO_MANY + " loses 0 pages and overruns 1 slots"),
)
SOUND = (
    ("contiguous.walker", "6.12"),
    ("contiguous.walker", "7.3"),
    ("algebra.write-dirty", "7.3"),
    ("batch.protnone", "7.2"),
    ("batch.protnone", "7.3"),
    ("gather.reservation", "6.7"),
    ("gather.reservation", "6.12"),
    ("gather.reservation", "7.3"),
)


def context(release: str) -> Context:
    """On arm64."""
    arch, generic = load_named("arm64"), load_named("generic")
    return Context(arch.descriptor, generic.descriptor, release=release)


def outcome(check: str, release: str) -> dict[str, str]:
    """Of one check on a release."""
    return run_check(next(item for item in checks() if item.id == check), context(release))


@pytest.mark.parametrize(("check", "release", "says"), HAZARDS)
def test_noticed(check: str, release: str, says: str) -> None:
    """The release that has it fails its check, which says what is wrong."""
    found = outcome(check, release)
    assert found["status"] == "fail"
    assert re.search(says, found["message"])


@pytest.mark.parametrize(("check", "release"), SOUND)
def test_other_releases_are_sound(check: str, release: str) -> None:
    """It comes with the release, not with the check."""
    assert outcome(check, release)["status"] == "pass"


def valid_in_the_child(release: str) -> set[bool]:
    """A block of PROT_NONE pages is forked; whether the walker takes the child's entries for valid."""
    driver = Driver(context(release), orders=1 << 4)
    driver.mmap(1, 0, 32, 3, "anon")
    driver.touch(1, 0, 16, 1)
    driver.mprotect(1, 0, 16, 0)
    driver.fork(1, 2)
    driver.compare()  # no program gets in: the user bit is clear
    mm = driver.observer.mm_of(2)
    seen = [driver.observer.look(mm, driver.first + page) for page in range(16)]
    return {entry is not None and entry.valid for entry in seen}


def test_fork_makes_a_forbidden_block_valid_on_6_12() -> None:
    """The child's entries of pages that nobody may access are valid, and part of a block."""
    assert valid_in_the_child("6.12") == {True}


@pytest.mark.parametrize("release", ["7.2", "7.3"])
def test_fork_leaves_a_forbidden_block_alone_since(release: str) -> None:
    """mkcont does not set the type bits any more."""
    assert valid_in_the_child(release) == {False}


def test_the_page_has_their_commands() -> None:
    """docs/conformance/hazards.md names every release and check, in a command that exists."""
    text = PAGE.read_text(encoding="utf-8")
    for check, release, _ in HAZARDS:
        assert f"mmarch check arm64 --only {check} --release {release}" in text
        assert release in RELEASES
