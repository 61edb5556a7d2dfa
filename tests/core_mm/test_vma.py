"""VMAs: tree, list, splitting and merging, against a model that knows pages only."""

from __future__ import annotations

import random
from itertools import groupby

import pytest

from core_mm import uapi
from core_mm.mm_types import ENOMEM
from tests.support.computer import BASE, PAGE, Computer

PAGES = 64


def runs(model: dict[int, int]) -> list[tuple[int, int, int]]:
    """Maximal runs of pages with equal flags: what a kernel that merges all it may ends with."""
    found = []
    for (_, flags), group in groupby(sorted(model), key=lambda p: (p - sorted(model).index(p), model[p])):
        pages = list(group)
        found.append((pages[0], pages[-1] + 1, flags))
    return found


@pytest.mark.parametrize("seed", range(6))
def test_untouched_vmas_are_maximal_runs_of_equal_pages(engine: str, seed: int) -> None:
    """Anonymous memory that was never touched always merges, so that VMAs follow from the pages alone."""
    chance, made, model = random.Random(seed), Computer(engine), dict[int, int]()
    for _ in range(150):
        page = chance.randrange(PAGES)
        pages = chance.randrange(1, PAGES - page + 1)
        span = range(page, page + pages)
        kind, prot = chance.choice("mmup"), chance.choice((0, 1, 3))
        if kind == "m":
            # MAP_NORESERVE: accounting of writable memory keeps VMAs apart otherwise
            assert made.map(page, pages, prot, uapi.MAP_NORESERVE | 0x32) == 0
            model.update(dict.fromkeys(span, prot))
        elif kind == "u":
            assert made.unmap(page, pages) == 0
            for p in span:
                model.pop(p, None)
        else:
            result = made.protect(page, pages, prot)
            held = next((p for p in span if p not in model), page + pages)
            assert result == (0 if held == page + pages else -ENOMEM)
            model.update(dict.fromkeys(range(page, held), prot))
        assert made.vmas() == runs(model)
        made.check_tree()


@pytest.mark.parametrize("seed", range(3))
def test_lookups_agree_with_a_linear_search(engine: str, seed: int) -> None:
    """find_vma is the first VMA that ends above the address, find_vma_prev the last that begins below."""
    chance, made = random.Random(seed), Computer(engine)
    for page in chance.sample(range(0, 4000, 2), 300):
        assert made.map(page, 1) == 0
    for page in chance.sample(range(0, 4000, 2), 100):
        assert made.unmap(page, 1) == 0
    made.check_tree()
    rows = list(made.vma_rows())
    for _ in range(300):
        addr = BASE + chance.randrange(4100) * PAGE + chance.choice((0, 1, PAGE - 1))
        above = next((row for row in rows if made.field("VMA", "vm_end", row) > addr), 0)
        below = [row for row in rows if made.field("VMA", "vm_start", row) < addr]
        assert made.machine.call("find_vma", made.mm(), addr) == above
        assert made.machine.call("find_vma_prev", made.mm(), addr) == (below[-1] if below else 0)


def test_a_split_leaves_offsets_that_merge_again(engine: str) -> None:
    """Protecting the middle makes three VMAs, undoing it makes one, with the first one's offset."""
    made = Computer(engine)
    made.map(0, 30)
    made.touch(0, 30)
    made.protect(10, 10, 1)
    assert made.vmas() == [(0, 10, 3), (10, 20, 1), (20, 30, 3)]
    offsets = [made.field("VMA", "vm_pgoff", row) - BASE // PAGE for row in made.vma_rows()]
    assert offsets == [0, 10, 20]
    made.protect(10, 10, 3)
    assert made.vmas() == [(0, 30, 3)]
    assert [made.field("VMA", "vm_pgoff", row) for row in made.vma_rows()] == [BASE // PAGE]


@pytest.mark.parametrize(("release", "merged"), [("6.12", False), ("7.3", True)])
def test_a_touched_vma_merges_into_an_untouched_one_since_6_16(
    engine: str, release: str, merged: bool
) -> None:
    """6.12 wants a neighbour with exactly one anon_vma ("fix incorrectly disallowed anonymous VMA merges")."""
    made = Computer(engine, release=release)
    made.map(10, 10)
    made.touch(10)
    made.protect(10, 10, 1)
    made.map(0, 10)
    assert made.vmas() == [(0, 10, 3), (10, 20, 1)]
    made.protect(10, 10, 3)
    assert made.vmas() == ([(0, 20, 3)] if merged else [(0, 10, 3), (10, 20, 3)])


def test_mappings_of_different_files_or_offsets_stay_apart(engine: str) -> None:
    """A file mapping is merged only with one that continues it in the same file."""
    made = Computer(engine, files=[(uapi.FILE_TMPFS, 64 * PAGE), (uapi.FILE_TMPFS, 64 * PAGE)])
    shared = uapi.MAP_SHARED | uapi.MAP_FIXED
    for page, file, offset in ((0, 0, 0), (8, 0, 8), (16, 0, 32), (24, 1, 40), (32, 1, 48)):
        assert made.map(page, 8, 1, shared, file, offset) == 0
    assert [(start, end) for start, end, _ in made.vmas()] == [(0, 16), (16, 24), (24, 40)]


@pytest.mark.parametrize("release", ["6.12", "7.3"])
def test_a_merge_that_fails_for_memory_loses_no_neighbour(engine: str, release: str) -> None:
    """Every allocation of an mremap into a gap fails in turn: both neighbours stay mapped, whatever became of it.

    vma_expand() (mm/vma.c, 6.12) gives `prev` the anon_vmas of both others before it removes the one behind the gap.
    """
    for nth in range(1, 12):
        made = Computer(engine, release=release)
        assert made.map(8, 2) == 0 and made.touch(8, 2) == 0  # its pages' offsets are those of the gap
        assert made.move(8, 2, 20) == 0
        assert made.map(6, 2) == 0 and made.map(10, 2) == 0
        made.machine.memory.set("mach", "fail_nth", nth)
        made.move(20, 2, 8)
        failed = made.scalar("fail_nth") == 0
        made.machine.memory.set("mach", "fail_nth", 0)
        mapped = {page for first, end, _ in made.vmas() for page in range(first, end)}
        assert {6, 7, 10, 11} <= mapped
        made.check_tree()
        if not failed:
            assert mapped == set(range(6, 12))
            return
    raise AssertionError("mremap still fails for memory")
