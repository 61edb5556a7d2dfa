"""The batches of folios on their way to the LRU lists (mm/swap.c): who is in them, and who empties them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from core_mm import uapi
from tests.support.computer import PAGE, Computer

AF = 1 << 10
FULL = 31  # PAGEVEC_SIZE


def machine(engine: str, release: str, order: int = 0) -> Computer:
    """One whose CPU sets accessed flags itself, without which no pass walks page tables; room for 512 pages."""
    made = Computer(
        engine, release=release, order=order, cpu="neoverse-n1", files=[(uapi.FILE_EXT4, 4 * PAGE)]
    )
    made.map(0, 512)
    return made


def young(made: Computer, pages: int) -> list[int]:
    """Pages of the first `pages` whose accessed flag an aging pass leaves."""
    assert made.do(uapi.OP_LRU_GEN_AGE) == 0
    return [page for page, pte in enumerate(made.ptes(0, pages)) if pte & AF]


@pytest.mark.parametrize("pages", [4 * FULL - 1, 4 * FULL, 512])
@pytest.mark.parametrize("release", ["6.12", "6.18", "7.3"])
def test_aging_passes_over_what_is_in_the_batch_of_new_folios(engine: str, release: str, pages: int) -> None:
    """Since 6.16: all that came after the batch was last full; 16 of 512, as measured (mglru)."""
    made = machine(engine, release)
    made.touch(0, pages)
    waiting = 0 if release == "6.12" else pages % FULL
    assert young(made, pages) == list(range(pages - waiting, pages))


def cold(made: Computer) -> None:
    """Advice to reclaim, whatever the page."""
    made.advise(0, 1, uapi.MADV_COLD)


def large(made: Computer) -> None:
    """A fault that makes a large folio."""
    made.advise(256, 16, uapi.MADV_HUGEPAGE)
    made.touch(256)


@pytest.mark.parametrize(
    ("empties", "release", "event"),
    [
        (1, "7.3", cold),
        (1, "7.3", large),
        (1, "7.3", lambda made: made.do(uapi.OP_DROP_CACHES)),
        (1, "7.3", lambda made: made.advise(256, 1, uapi.MADV_POPULATE_WRITE)),
        (0, "7.3", lambda made: made.advise(90, 5, uapi.MADV_DONTNEED)),
        (0, "7.3", lambda made: made.unmap(200, 10)),
        (0, "6.16", lambda made: made.unmap(200, 10)),
        (0, "7.3", lambda made: made.touch(256, 1, uapi.ACCESS_READ)),
    ],
    ids=["cold", "large", "drop_caches", "populate", "dontneed", "unmap", "unmap-6.16", "zero-page"],
)  # fmt: skip
def test_who_empties_the_batch_of_new_folios(
    engine: str, empties: int, release: str, event: Callable[[Computer], object]
) -> None:
    """Advice to reclaim, a large folio, who wants all folios on lists; not who unmaps, and the zero page is in none."""
    made = machine(engine, release, order=4)
    made.advise(0, 512, uapi.MADV_NOHUGEPAGE)
    made.touch(0, 100)
    event(made)
    rest = young(made, 100)
    assert rest == ([] if empties else [page for page in range(3 * FULL, 100) if made.pte(page)])


@pytest.mark.parametrize(("release", "copies"), [("7.2", 0), ("7.3", 1)])
def test_a_write_to_a_new_page_that_a_child_maps_emptied_the_batches(
    engine: str, release: str, copies: int
) -> None:
    """Up to 7.2, so that a page which MADV_COLD had put in a batch has no user but its mapping, and is reused."""
    made = machine(engine, release)
    made.touch(0)
    made.advise(0, 1, uapi.MADV_COLD)
    made.touch(1)
    made.do(uapi.OP_FORK, 1)
    made.touch(1)
    made.do(uapi.OP_EXIT, task=1)
    made.since("fault_cow")
    made.touch(0)
    assert made.since("fault_cow") == [copies]


@pytest.mark.parametrize("release", ["7.2", "7.3"])
def test_a_write_to_a_new_page_that_a_child_has_left_empties_the_batches(engine: str, release: str) -> None:
    """The batch is its one other user: it is reused, and so is another, which MADV_COLD had put in one."""
    made = machine(engine, release)
    made.touch(0)
    made.advise(0, 1, uapi.MADV_COLD)
    made.touch(1)
    made.do(uapi.OP_FORK, 1)
    made.do(uapi.OP_EXIT, task=1)
    made.since("fault_cow", "fault_reuse")
    made.touch(1)
    made.touch(0)
    assert made.since("fault_cow", "fault_reuse") == [0, 2]
