"""An architecture is checked on each of its page sizes, and what an operation returns is named."""

from __future__ import annotations

import inspect
import sys
from dataclasses import replace
from itertools import product

import pytest

from core_mm import mm_types
from mmarch import cpus
from mmarch.check import Options
from mmarch.check import run as suite
from mmarch.check.context import ALSO_IN_FULL, RELEASES_CHECKED, Context
from mmarch.check.loading import load_named
from mmarch.check.outcome import CheckFailed, Skipped
from mmarch.check.system import outcome
from mmarch.check.worker import run_check

LARGE = ("tlb.file", "tlb.shmem", "tlb.deferred", "gather.delayed", "gather.capacity")


@pytest.mark.parametrize("granule", ["4k", "16k", "64k"])
def test_checks_have_files_and_memory_of_any_page_size(granule: str) -> None:
    """Those that need more pages than a table has entries, in full: none runs out of file or of frames."""
    only = tuple(item.id for item in suite.checks() if item.id in LARGE)
    report = suite.check("arm64", Options(only=only, releases=("6.12",), granule=granule))
    assert {result.check for result in report.results} == set(only)
    assert report.ok, [
        f"{result.check}: {result.message}" for result in report.results if result.status != "pass"
    ]


def test_errors_are_shown_by_name() -> None:
    """A signal that only core-mm numbers, an errno, a value."""
    assert outcome(-mm_types.SIGBUS) == "SIGBUS"
    assert outcome(-mm_types.ENOMEM) == "ENOMEM"
    assert outcome(3) == "3"


@pytest.mark.parametrize("arch", ["arm64", "generic"])
def test_each_cpu_meets_each_page_size(arch: str) -> None:
    """In a full run each page size and each CPU has its turn on every release, and every pair of the two."""
    loaded, generic = load_named(arch).descriptor, load_named("generic").descriptor
    models, granules = set(cpus.covering(loaded)), set(loaded.granules)
    pairs = set()
    full = Options(only=("smoke.walk",), releases=RELEASES_CHECKED + ALSO_IN_FULL)
    for job in suite.plan(full, suite.checks(), False):
        context = Context(loaded, generic, **suite.asked(job, full))
        seen = {
            (v.cpu or loaded.default_cpu, v.granule or loaded.default_granule) for v in context.variants()
        }
        assert {cpu for cpu, _ in seen} == models
        assert {granule for _, granule in seen} == granules
        pairs |= seen
    assert pairs == set(product(models, granules))


OTHERWISE = {
    "stateful.allocations": "programs: each on the next CPU and page size",
    "differential.features": "programs: each on the next CPU and page size",
    "meaning.programs": "programs: each on the next CPU and page size",
    "meaning.workloads": "two kernels, of the machine that was asked for",
    "tlb.random": "rounds: each on the next CPU and page size",
    "tlb.rare": "rounds: each on the next CPU and page size",
    "tlb.exact": "walks CPUs and page sizes by itself",
    "batch.events": "walks CPUs and page sizes by itself",
    "batch.kernel": "walks CPUs and page sizes by itself",
    "differential.engines": "links an image, which takes too long for each",
    "differential.bounds": "links an image, which takes too long for each",
}


def test_each_check_looks_at_other_machines() -> None:
    """By itself, or by turns; what does otherwise says how."""
    alone = {
        item.id
        for item in suite.checks()
        if not (item.turns or item.tier == "load")
        and "variants()" not in inspect.getsource(sys.modules[item.function.__module__])
    }
    assert alone == set(OTHERWISE)


@pytest.mark.parametrize("arch", ["arm64", "generic"])
def test_each_machine_has_its_turn(arch: str) -> None:
    """Over the releases of a full run a check that looks at one machine is tried on each CPU and each page size."""
    loaded, generic = load_named(arch).descriptor, load_named("generic").descriptor
    seen = set()
    for release in RELEASES_CHECKED + ALSO_IN_FULL:
        first, *others = Context(loaded, generic, release=release, every=True).turns()
        assert not first.aside and all(other.aside for other in others)
        seen |= {
            (one.cpu or loaded.default_cpu, one.granule or loaded.default_granule) for one in [first, *others]
        }
    assert {cpu for cpu, _ in seen} == set(cpus.covering(loaded))
    assert {granule for _, granule in seen} == set(loaded.granules)
    assert len(list(Context(loaded, generic).turns())) == 1


def test_what_fails_aside_says_where() -> None:
    """A check that passes on the usual machine and fails on another fails, and names that; it may not apply there."""
    loaded, generic = load_named("arm64").descriptor, load_named("generic").descriptor

    def looks(context: Context) -> None:
        if context.granule == "16k":
            raise CheckFailed("young is lost")
        if context.aside:
            raise Skipped("of 16K pages alone")

    item = replace(next(iter(suite.checks())), function=looks, turns=True)
    outcome = run_check(item, Context(loaded, generic, release="6.12", every=True))
    assert outcome["status"] == "fail" and str(outcome["message"]).startswith("young is lost [16k")
    assert run_check(item, Context(loaded, generic, release="7.3", every=True))["status"] == "pass"
    assert run_check(replace(item, turns=False), Context(loaded, generic, every=True))["status"] == "pass"


def test_a_chosen_machine_is_kept() -> None:
    """--cpu and --granule leave the other one to vary, and both together nothing."""
    arm64, generic = load_named("arm64").descriptor, load_named("generic").descriptor
    context = Context(arm64, generic, granule="64k")
    assert {v.granule for v in context.variants()} == {"64k"}
    assert {v.granule for v in replace(context, granule="", cpu="max").variants()} == {"", "16k", "64k"}
    assert len(list(replace(context, cpu="max").variants())) == 1
