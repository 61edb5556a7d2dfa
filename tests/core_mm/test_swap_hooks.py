"""What core-mm tells an architecture of pages on their way to and from swap, and what it does when that refuses."""

from __future__ import annotations

import pytest

from core_mm import uapi
from tests.support.keeping import arch as keeping
from tests.support.twin import Twin

AT, PAGE, PAGES = 1 << 38, 4096, 8
PRIVATE = uapi.MAP_PRIVATE | uapi.MAP_ANONYMOUS | uapi.MAP_FIXED
SHARED = uapi.MAP_SHARED | uapi.MAP_ANONYMOUS | uapi.MAP_FIXED


class Swapping(Twin):
    """Eight pages that were written, and swap to put them in."""

    def __init__(self, engine: str, flags: int = PRIVATE, order: int = 0) -> None:
        super().__init__(engine, keeping, order=order, memory=64 << 20, swap_bytes=16 << 20)
        self.do(uapi.OP_MMAP, 1, AT, PAGES * PAGE, 3, flags, -1)
        self.do(uapi.OP_MADVISE, 1, AT, PAGES * PAGE, uapi.MADV_HUGEPAGE)
        self.touch(uapi.ACCESS_WRITE)

    def touch(self, access: int = uapi.ACCESS_READ) -> None:
        """All of them."""
        assert self.do(uapi.OP_TOUCH, 1, AT, PAGES, access) == 0

    def pageout(self) -> None:
        """Reclaim."""
        assert self.do(uapi.OP_MADVISE, 1, AT, PAGES * PAGE, uapi.MADV_PAGEOUT) == 0

    def told(self) -> list[int]:
        """Entries unmapped, folios written and read, slots freed."""
        names = ("unmapped", "prepared", "restored", "invalidated")
        return [self.machine.memory.get("keeping", name) for name in names]

    def refuse(self, what: str) -> None:
        """From now on."""
        self.machine.memory.set("keeping", "refuse_" + what, 1)

    def resident(self) -> list[int]:
        """Pages of the process: anonymous, of shared memory, in swap; slots in use."""
        mm = int(self.machine.memory.tables["TASK"]["mm"][2])
        sizes = [
            int(self.machine.memory.tables["MM"][f"rss_{kind}"][mm]) for kind in ("anon", "shmem", "swap")
        ]
        return [*sizes, self.machine.memory.get("mach", "swap_used")]


@pytest.fixture(params=["interpreted", "linked"])
def engine(request: pytest.FixtureRequest) -> str:
    """Both engines."""
    return str(request.param)


@pytest.mark.parametrize("order", [0, 2])
def test_out_and_in_again(engine: str, order: int) -> None:
    """An entry at a time, a folio at a time, a slot at a time (mm/rmap.c, page_io.c, memory.c, swapfile.c)."""
    twin, folios = Swapping(engine, order=order), PAGES >> order
    twin.pageout()
    assert twin.told() == [PAGES, folios, 0, 0]
    assert twin.resident() == [0, 0, PAGES, PAGES]
    twin.touch()
    assert twin.told()[:2] == [PAGES, folios]
    assert twin.told()[3] == PAGES
    assert folios <= twin.told()[2] <= PAGES  # a folio comes back whole, or page by page
    assert twin.resident() == [PAGES, 0, 0, 0]


def test_munmap_of_what_is_swapped_out(engine: str) -> None:
    """Every slot is free, and what was kept for it is forgotten; nothing is restored."""
    twin = Swapping(engine)
    twin.pageout()
    assert twin.do(uapi.OP_MUNMAP, 1, AT, PAGES * PAGE) == 0
    assert twin.told() == [PAGES, PAGES, 0, PAGES]


def test_shared_memory(engine: str) -> None:
    """No entry is replaced by a swap entry, so that arch_unmap_one is not asked (mm/shmem.c)."""
    twin = Swapping(engine, SHARED)
    twin.pageout()
    assert twin.told() == [0, PAGES, 0, 0]
    twin.touch()
    assert twin.told() == [0, PAGES, PAGES, PAGES]
    assert twin.resident() == [0, PAGES, 0, 0]


@pytest.mark.parametrize("flags", [PRIVATE, SHARED])
def test_swapoff(engine: str, flags: int) -> None:
    """Everything is in memory again, the area is forgotten once; there is no second time and no way back to swap."""
    twin = Swapping(engine, flags)
    twin.pageout()
    assert twin.do(uapi.OP_SWAPOFF, 1) == 0
    assert twin.machine.memory.get("keeping", "areas") == 1
    assert twin.told()[2:] == [PAGES, PAGES]
    twin.touch(uapi.ACCESS_WRITE)
    assert twin.resident() == ([0, PAGES, 0, 0] if flags == SHARED else [PAGES, 0, 0, 0])
    twin.pageout()
    assert twin.resident()[2:] == [0, 0]
    assert twin.do(uapi.OP_SWAPOFF, 1) == -22
    assert twin.machine.memory.get("keeping", "areas") == 1


def test_an_entry_that_may_not_go(engine: str) -> None:
    """arch_unmap_one refuses: it maps its page again, nothing is written, no slot is referred to."""
    twin = Swapping(engine)
    twin.refuse("unmap")
    twin.pageout()
    assert twin.told()[:3] == [0, 0, 0]
    assert twin.resident()[:3] == [PAGES, 0, 0]
    before = twin.counts()["fault"]
    twin.touch(uapi.ACCESS_WRITE)
    assert twin.counts()["fault"] == before


@pytest.mark.parametrize("flags", [PRIVATE, SHARED])
def test_a_page_that_may_not_be_written(engine: str, flags: int) -> None:
    """arch_prepare_to_swap refuses: nothing is written, the page stays and is found again."""
    twin = Swapping(engine, flags)
    twin.refuse("prepare")
    twin.pageout()
    twin.touch()
    assert twin.told()[1] == 0
    assert twin.counts()["swap_out"] == twin.counts()["swap_in"] == 0
    assert twin.resident()[:3] == ([0, PAGES, 0] if flags == SHARED else [PAGES, 0, 0])
