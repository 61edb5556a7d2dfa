"""Who maps a folio, and whether it is one mm's alone."""

from __future__ import annotations

import pytest

from core_mm import uapi
from core_mm.lru import lru_add_drain
from core_mm.reclaim import folio_isolate_lru, reclaim_pages
from tests.core_mm.conftest import Maker
from tests.support.audit import audit
from tests.support.computer import Computer

READ, WRITE = uapi.ACCESS_READ, uapi.ACCESS_WRITE


def frame(made: Computer, page: int, task: int = 0) -> int:
    """The frame a page maps."""
    return made.pte(page, task) >> 12 & ((1 << 36) - 1)


def shared_mark(made: Computer, folio: int) -> int:
    """Whether a large folio is marked as mapped by several."""
    return made.field("PAGE", "index", folio + 1)


def test_a_fork_shares_every_page_and_the_last_owner_owns_alone(engine: str) -> None:
    """Mapcounts double, exclusivity goes; when the child leaves, the folio knows that one mm is left."""
    made = Computer(engine, order=4, release="7.3")
    made.map(0, 16)
    made.touch(0, 16)
    folio = frame(made, 0)
    assert made.field("PAGE", "anon_exclusive", folio + 3)
    assert not shared_mark(made, folio)
    made.do(uapi.OP_FORK, 1)
    assert [made.field("PAGE", "mapcount", folio + i) for i in (0, 15)] == [2, 2]
    assert not made.field("PAGE", "anon_exclusive", folio + 3)
    assert shared_mark(made, folio)
    made.do(uapi.OP_EXIT, task=1)
    assert not shared_mark(made, folio)
    assert made.field("PAGE", "mapcount", folio) == 1


def test_three_owners_are_shared_until_one_holds_all(engine: str) -> None:
    """Two owners are known by name, a third is not; the mark stays while any two are left."""
    made = Computer(engine, order=4, release="7.3")
    made.map(0, 16)
    made.touch(0, 16)
    folio = frame(made, 0)
    for child in (1, 2):
        made.do(uapi.OP_FORK, child)
    marks = []
    for leaver in (1, 0):
        made.do(uapi.OP_EXIT, task=leaver)
        marks.append(bool(shared_mark(made, folio)))
    assert marks[0]
    assert made.field("PAGE", "mapcount", folio) == 1
    assert audit(made.machine) == []


@pytest.mark.parametrize(("mapped", "copies"), [(16, 0), (2, 0), (1, 1)])
def test_a_lone_page_of_a_large_folio_is_copied_so_that_the_rest_can_go(
    engine: str, mapped: int, copies: int
) -> None:
    """7.x reuses a folio that one mm maps, unless only a single page of it is left."""
    made = Computer(engine, order=4, release="7.3")
    made.map(0, 16)
    made.touch(0, 16)
    made.do(uapi.OP_FORK, 1)
    made.do(uapi.OP_EXIT, task=1)
    if mapped < 16:
        made.unmap(mapped, 16 - mapped)
    made.since("fault_cow")
    made.touch(0)
    assert made.since("fault_cow") == [copies]
    assert audit(made.machine) == []


@pytest.mark.parametrize("order", [0, 4])
def test_reclaim_finds_a_folio_in_every_mm(bench: Maker, order: int) -> None:
    """Reclaimed, a folio that parent, child and grandchild share leaves all three, and comes back to each."""
    made = bench(order, roots=[lru_add_drain, folio_isolate_lru, reclaim_pages])
    made.map(16)
    made.touch(0, 16)
    child = made.fork()
    mms = [made.mm, child, made.machine.call("dup_mm", child)]
    folio = made.pte(5) >> 12 & ((1 << 36) - 1)
    folio = made.frame("head", folio)
    made.machine.call("lru_add_drain")
    assert made.machine.call("folio_isolate_lru", folio)
    assert made.machine.call("reclaim_pages", 1) == 1 << order
    entries = {made.pte(5, mm) for mm in mms}
    assert len(entries) == 1 and not entries & {0}
    assert all(made.frame("mapcount", folio + i) == 0 for i in range(1 << order))
    for mm in mms:
        assert made.touch(5, 1, READ, mm) == 0
    assert len({made.pte(5, mm) for mm in mms}) == 1
    assert audit(made.machine) == []


def test_advice_leaves_alone_what_others_map_too(engine: str) -> None:
    """MADV_PAGEOUT reclaims only what this mapping alone holds."""
    made = Computer(engine)
    made.map(0, 8)
    made.touch(0, 8)
    made.do(uapi.OP_FORK, 1)
    made.touch(3)
    assert made.advise(0, 8, uapi.MADV_PAGEOUT) == 0
    assert made.scalar("swap_used") == 1
    assert audit(made.machine) == []


def test_anon_vmas_are_used_again(engine: str) -> None:
    """Chains of forks whose parents exit do not make ever more of them."""
    made = Computer(engine)
    made.map(0, 4)
    made.touch(0, 4)
    task = 0
    highest = []
    for i in range(12):
        child = (task + 1) % 2
        assert made.do(uapi.OP_FORK, child, task=task) == 0
        made.touch(0, 4, WRITE, task=child)
        assert made.do(uapi.OP_EXIT, task=task) == 0
        task = child
        if i >= 4:
            highest.append(made.scalar("next_anon_vma"))
    assert highest[0] == highest[-1]
    assert made.do(uapi.OP_EXIT, task=task) == 0
    assert made.scalar("free_pages") == made.free_at_boot
