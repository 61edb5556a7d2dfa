"""The interpreted and the linked engine do the same: results, counts and memory, to the byte."""

from __future__ import annotations

import random
from collections import Counter
from types import SimpleNamespace
from typing import Any

import numpy as np
import pluggy
import pytest

from arches.arm64 import arch as arm64
from core_mm import hookspecs, uapi
from core_mm.vmstat import EVENTS, HOOK_CALL
from mmarch import cpus
from mmarch.engine.lower import Options
from tests.support.images import image
from tests.support.twin import ONE_IMAGE, Twin

pytestmark = pytest.mark.optimized

BASE, PAGE, HUGE = 1 << 38, 4096, 2 << 20
ANON = uapi.MAP_PRIVATE | uapi.MAP_ANONYMOUS | uapi.MAP_FIXED
SHARED = uapi.MAP_SHARED | uapi.MAP_ANONYMOUS | uapi.MAP_FIXED
RW = uapi.PROT_READ | uapi.PROT_WRITE
Row = tuple[int, ...]

WORKLOAD: tuple[Row, ...] = (
    (uapi.OP_MMAP, 1, BASE, HUGE, RW, ANON, -1),
    (uapi.OP_MADVISE, 1, BASE, HUGE, uapi.MADV_HUGEPAGE),
    (uapi.OP_TOUCH, 1, BASE, 512, uapi.ACCESS_WRITE),
    (uapi.OP_FORK, 1, 2),
    (uapi.OP_TOUCH, 1, BASE + 5 * PAGE, 40, uapi.ACCESS_WRITE),
    (uapi.OP_MPROTECT, 2, BASE + 3 * PAGE, 100 * PAGE, uapi.PROT_READ),
    (uapi.OP_MADVISE, 2, BASE + 8 * PAGE, 30 * PAGE, uapi.MADV_DONTNEED),
    (uapi.OP_EXIT, 2),
    (uapi.OP_MREMAP, 1, BASE + 64 * PAGE, 64 * PAGE, 64 * PAGE, 3, BASE + 8 * HUGE),
    (uapi.OP_MADVISE, 1, BASE, 64 * PAGE, uapi.MADV_FREE),
    (uapi.OP_MUNMAP, 1, BASE, HUGE),
)


def pair(arch: str, order: int, release: str, cpu: str = "") -> tuple[Twin, Twin]:
    """The same machine in both engines; the linked image attributes counts as the interpreter does."""
    settings: dict[str, Any] = {"arch": arch, "order": order, "release": release, "cpu": cpu, "memory": 64 << 20}
    shared = ONE_IMAGE if arch == "arm64" else {"options": Options(attribute=True)}
    linked = Twin("linked", **shared, **settings)
    return Twin("interpreted", **settings), linked


def assert_equal(twins: tuple[Twin, Twin]) -> None:
    """Every array, table and scalar."""
    one, other = (image(twin.machine.memory) for twin in twins)
    assert [name for name in one if one[name] != other[name]] == []


@pytest.mark.parametrize("release", ["6.7", "contpte-v3", "contpte-v4", "6.12", "7.2", "7.3"])
@pytest.mark.parametrize("order", [0, 4, 9])
@pytest.mark.parametrize("arch", ["arm64", "generic"])
def test_a_workload_of_every_kind(arch: str, order: int, release: str) -> None:
    """2 MiB mapped, forked, copied, protected, moved, freed, unmapped."""
    twins = pair(arch, order, release)
    for row in WORKLOAD:
        assert len({twin.do(*row) for twin in twins}) == 1, row
    assert_equal(twins)


@pytest.mark.parametrize("release", ["6.12", "7.2", "7.3"])
@pytest.mark.parametrize("cpu", cpus.covering(arm64))
def test_every_feature_of_a_cpu(cpu: str, release: str) -> None:
    """Each on and off, in one image: features are values in the machine's memory."""
    twins = pair("arm64", 4, release, cpu)
    for row in WORKLOAD:
        assert len({twin.do(*row) for twin in twins}) == 1, row
    assert_equal(twins)


def random_row(chance: random.Random) -> Row:
    """Any operation on a window of 4 MiB, legal or not."""
    start, pages = chance.randrange(1024), chance.choice((1, 2, 7, 16, 33, 200, 512))
    addr, size, task = BASE + start * PAGE, pages * PAGE, chance.choice((1, 1, 1, 2))
    advice = chance.choice((uapi.MADV_DONTNEED, uapi.MADV_FREE, uapi.MADV_COLD, uapi.MADV_PAGEOUT, uapi.MADV_HUGEPAGE))
    kinds: tuple[Row, ...] = (
        (uapi.OP_MMAP, task, addr, size, RW, ANON, -1),
        (uapi.OP_MMAP, task, addr, size, RW, SHARED, -1),
        (uapi.OP_TOUCH, task, addr, pages, chance.choice((0, 1, 1, 1))),
        (uapi.OP_TOUCH, task, addr, pages, 1),
        (uapi.OP_MUNMAP, task, addr, size),
        (uapi.OP_MPROTECT, task, addr, size, chance.choice((0, 1, 3))),
        (uapi.OP_MADVISE, task, addr, size, advice),
        (uapi.OP_MREMAP, task, addr, size, size, 3, BASE + chance.randrange(1024, 2048) * PAGE),
        (uapi.OP_FORK, 1, 2),
        (uapi.OP_EXIT, 2),
    )
    return chance.choice(kinds)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(("arch", "release"), [("arm64", "6.12"), ("arm64", "7.3"), ("generic", "6.12")])
def test_random_sequences(arch: str, release: str, seed: int) -> None:
    """200 operations, failed ones included; the first difference names its row."""
    chance = random.Random(seed)
    twins = pair(arch, chance.choice((0, 2, 4, 9)), release)
    for number in range(200):
        row = random_row(chance)
        results = [twin.do(*row) for twin in twins]
        assert results[0] == results[1], f"operation {number}, {row}: {results}"
    assert_equal(twins)


def tracer(calls: Counter[str]) -> object:
    """An overlay that wraps every hook and counts its calls."""
    mark = pluggy.HookimplMarker(hookspecs.PROJECT)

    def wrapper(name: str) -> Any:
        def watched():  # type: ignore[no-untyped-def]
            calls[name] += 1
            return (yield)

        return mark(wrapper=True)(watched)

    return SimpleNamespace(**{name: wrapper(name) for name in hookspecs.HOOKS})


def test_a_tracer_sees_the_calls_that_linked_code_makes() -> None:
    """Hook by hook, over the whole workload."""
    calls: Counter[str] = Counter()
    settings: dict[str, Any] = {"order": 4, "memory": 64 << 20}
    traced = Twin("interpreted", overlays=[tracer(calls)], **settings)
    linked = Twin("linked", **ONE_IMAGE, **settings)
    for row in WORKLOAD:
        assert traced.do(*row) == linked.do(*row)
    counted = linked.machine.counts()[:, :, HOOK_CALL].sum(axis=0)
    numbers = {name: int(counted[i + 1]) for i, name in enumerate(hookspecs.HOOKS)}
    assert {name: n for name, n in numbers.items() if n} == dict(calls)
    assert EVENTS > HOOK_CALL > 0
    assert np.count_nonzero(counted) > 20
