"""The buddy allocator and folio references, in both engines."""

from __future__ import annotations

import pytest

from arches.generic import arch as generic
from core_mm import page_alloc
from core_mm.anon_vma import unlink_anon_vmas
from core_mm.folio import folio_alloc, folio_get, folio_put
from core_mm.mm_types import mach
from core_mm.page_alloc import alloc_page_nowait, alloc_pages, free_area_init, free_pages
from mmarch.engine.machine import Config, Machine

ROOTS = [
    free_area_init, alloc_pages, free_pages, alloc_page_nowait, folio_alloc, folio_get, folio_put,
    unlink_anon_vmas,
]  # fmt: skip


@pytest.fixture(params=["interpreted", "linked"])
def engine(request: pytest.FixtureRequest) -> str:
    """Both engines."""
    return str(request.param)


def machine(engine: str, pages: int = 5000, **overrides: int) -> Machine:
    """A small machine whose allocator is ready."""
    config = Config(arch=generic, generic=generic, memory=pages << 12, overrides=overrides)
    made = Machine(config, engine, ROOTS)
    made.call("free_area_init")
    return made


def free(made: Machine) -> int:
    """Free frames by the allocator's own account."""
    return made.memory.get("mach", "free_pages")


def test_blocks_are_aligned_and_disjoint(engine: str) -> None:
    """A block of order n starts at a multiple of 2**n, and no frame is given out twice."""
    made = machine(engine)
    seen: set[int] = set()
    for order in (0, 3, 0, 9, 4, 0, 1, 10, 2, 0, 9):
        pfn = made.call("alloc_pages", order)
        block = set(range(pfn, pfn + (1 << order)))
        assert pfn % (1 << order) == 0
        assert pfn > 0
        assert not block & seen
        seen |= block


def test_all_memory_can_be_had_and_comes_back(engine: str) -> None:
    """Single frames use up every frame once; freed in any order they merge to the largest blocks again."""
    made = machine(engine)
    before = free(made)
    frames = []
    while pfn := made.call("alloc_pages", 0):
        frames.append(pfn)
    assert len(frames) == len(set(frames)) == before
    assert free(made) == 0
    for pfn in sorted(frames, key=lambda n: n * 7919 % 5003):
        made.call("free_pages", pfn, 0)
    assert free(made) == before
    assert [made.call("alloc_pages", 10) % 1024 for _ in range(3)] == [0, 0, 0]


def test_untouched_memory_stays_untouched() -> None:
    """Setting up does not write to frames beyond the first block."""
    made = machine("interpreted", pages=1 << 20)
    assert not made.memory.tables["PAGE"]["flags"][2048:].any()


def test_a_double_free_is_warned_of(engine: str) -> None:
    """The second free of a frame is refused and counted."""
    made = machine(engine)
    pfn = made.call("alloc_pages", 0)
    made.call("free_pages", pfn, 0)
    before = free(made)
    made.call("free_pages", pfn, 0)
    assert made.memory.get("mach", "warned") == 1
    assert free(made) == before


def test_fault_injection_counts_nowait_allocations(engine: str) -> None:
    """From the chosen allocation on, GFP_NOWAIT fails, other allocations go on."""
    made = machine(engine, fail_nowait=3)
    assert [made.call("alloc_page_nowait") > 0 for _ in range(4)] == [True, True, False, False]
    assert made.call("alloc_pages", 0) > 0


def test_the_last_reference_frees_a_folio(engine: str) -> None:
    """A folio is freed with its last reference, whole."""
    made = machine(engine)
    before = free(made)
    folio = made.call("folio_alloc", 4)
    made.call("folio_get", folio)
    made.call("folio_put", folio)
    assert free(made) == before - 16
    made.call("folio_put", folio)
    assert free(made) == before
    assert made.memory.get("mach", "warned") == 0


def test_fragmented_memory_has_fewer_huge_pages_but_nearly_as_many_small_ones(engine: str) -> None:
    """One lost frame costs its huge-page block, not the rest of it."""
    blocks = {}
    for percent in (0, 50, 100):
        made = machine(engine, pages=16384, fragmentation=percent)
        huge = 0
        while made.call("alloc_pages", 9):
            huge += 1
        blocks[percent] = huge
        assert made.memory.get("mach", "warned") == 0
    assert blocks[0] == 31  # frame 0 and what is around it are no whole block
    assert 0 < blocks[50] < 31 and blocks[100] == 0
    made = machine(engine, pages=16384, fragmentation=100)
    folios = 0
    while made.call("alloc_pages", 4):
        folios += 1
    assert folios >= 1023 - 2 * 32


def test_max_order_follows_the_page_size() -> None:
    """MAX_PAGE_ORDER is 10 at 4K; mach is only declared here."""
    made = Machine(Config(arch=generic, generic=generic), "interpreted", [page_alloc.max_page_order])
    assert made.call("max_page_order") == 10
    assert "pcp" in mach.names
