"""The data oracle: what tasks and files show, on a sound core-mm and on ones that lose, mix up or give away data."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from core_mm import uapi
from mmarch.check.choices import Choice, arena, perform
from mmarch.check.driver import Driver
from mmarch.sanitize import audit, soak
from mmarch.sanitize.audit import Broken
from mmarch.sanitize.contents import Contents
from mmarch.sanitize.model import BUS, OK, SEGV, Area, Model, version
from mmarch.sanitize.soak import Soaked
from mmarch.sanitize.versions import Versions
from mmarch.sanitize.violation import Violation
from tests.mmarch.sanitize.meanings import (
    FORK,
    HUGE,
    HUGE_SHMEM,
    MISTAKES,
    PAGE,
    PAGES,
    REGULAR,
    SHMEM,
    SPAWN,
    A,
    Mistake,
    madvise,
    mmap,
    read,
    write,
)  # fmt: skip
from tests.mmarch.sanitize.test_invariants import a_round, context, in_fork
from tests.mutants.mutant import applied

R, W, X = uapi.ACCESS_READ, uapi.ACCESS_WRITE, uapi.ACCESS_EXEC


def outcome(mistake: Mistake, made: bool) -> Violation | Broken | None:
    """What its operations come to, with the mistake or without."""
    plain = a_round(list(mistake.rows), context(mistake.release))
    orders = {"anon_orders": mistake.orders, "shmem_orders": mistake.shmem_orders}
    overrides = {"log_ptes": 1, "anon_always": mistake.orders}
    ready = replace(plain, config=replace(plain.config, **orders, overrides=overrides))
    with applied((mistake.edit,) if made else ()):
        return soak.run_round(ready, Soaked(), "interpreted", 1)


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.name)
def test_a_mistake_shows(mistake: Mistake) -> None:
    """At the last operation, with page and versions; without it there is nothing to say."""
    is_caught(mistake)


def is_caught(mistake: Mistake) -> None:
    """It breaks its rule at its last operation, in its words; core-mm as it is breaks none."""
    assert outcome(mistake, False) is None  # here: the fork finds bound and compiled what it needs
    found = in_fork(outcome, mistake, True)
    assert isinstance(found, Broken) and found.rule == mistake.rule, found
    assert found.where.row == len(mistake.rows) - 1
    assert [word for word in mistake.words if word not in str(found)] == [], str(found)


def test_what_linux_lost_before_it_was_mended() -> None:
    """On 6.12 the unchanged core-mm loses what the fix of 7.3 keeps; that is Linux's, and no finding."""
    mistake = next(one for one in MISTAKES if "ff53afcd82de" in one.name)
    rows = (*mistake.rows, read(pages=HUGE), madvise(uapi.MADV_PAGEOUT, HUGE))
    assert outcome(replace(mistake, rows=rows, release="6.12"), False) is None


@pytest.mark.parametrize(("release", "loses"), [("6.12", True), ("7.3", False)])
def test_what_a_parent_gives_up_its_child_may_lose(
    monkeypatch: pytest.MonkeyPatch, release: str, loses: bool
) -> None:
    """A clean page that was read from swap is shared with a child when MADV_FREE gives it up (docs: hazards)."""
    pageout = (uapi.OP_MADVISE, 2, A, PAGES * PAGE, uapi.MADV_PAGEOUT)
    rows = (
        SPAWN, mmap(), write(), madvise(uapi.MADV_PAGEOUT), read(), FORK, madvise(uapi.MADV_FREE),
        (uapi.OP_MUNMAP, 1, A, PAGES * PAGE), pageout, read(task=2),
    )  # fmt: skip
    made = a_round(list(rows), context(release))
    assert soak.run_round(made, Soaked(), "interpreted", 1) is None
    monkeypatch.setattr(Contents, "_freed", lambda *_: False)
    assert (soak.run_round(made, Soaked(), "interpreted", 1) is not None) == loses


def test_written_paged_out_and_read_again() -> None:
    """Pages of a file that were written, reclaimed and read again are clean, and that is right."""
    rows = (
        SPAWN,
        mmap(file=REGULAR),
        write(),
        madvise(uapi.MADV_PAGEOUT),
        read(),
        madvise(uapi.MADV_PAGEOUT),
        read(),
    )
    assert soak.run_round(a_round(list(rows), context("6.12")), Soaked(), "interpreted", 1) is None


def test_what_a_locked_mapping_grows_by_is_copied() -> None:
    """mremap faults in what a locked mapping grows by (mm_populate): later writes to the file do not show there."""
    locked = (
        uapi.OP_MMAP,
        1,
        A,
        PAGES * PAGE,
        uapi.PROT_READ | uapi.PROT_WRITE,
        0x12 | uapi.MAP_LOCKED,
        REGULAR,
    )
    grow = (uapi.OP_MREMAP, 1, A, PAGES * PAGE, 2 * PAGES * PAGE, 1, A)
    to_the_file = (uapi.OP_PWRITE, 1, REGULAR, 0, 2 * PAGES * PAGE, 2 * PAGES * PAGE)
    made = a_round([SPAWN, locked, grow, to_the_file, read(pages=2 * PAGES)], context("7.3"))
    assert soak.run_round(made, Soaked(), "interpreted", 1) is None


def test_what_is_moved_away_unlocks_all_of_its_mapping() -> None:
    """MREMAP_DONTUNMAP of a part takes VM_LOCKED from the mapping that the part is of, which it does not split."""
    locked = (
        uapi.OP_MMAP,
        1,
        A,
        PAGES * PAGE,
        uapi.PROT_READ | uapi.PROT_WRITE,
        0x11 | uapi.MAP_LOCKED,
        SHMEM,
    )
    flags = uapi.MREMAP_MAYMOVE | uapi.MREMAP_DONTUNMAP
    away = (uapi.OP_MREMAP, 1, A + PAGE, PAGE, PAGE, flags, A + 4 * PAGES * PAGE)
    made = a_round([SPAWN, locked, away, read(pages=PAGES)], context("7.3"))
    assert soak.run_round(made, Soaked(), "interpreted", 1) is None


def test_reclaim_behind_the_end_of_shared_memory() -> None:
    """A huge page that is split for want of slots drops what is behind the end; reclaim has no business with that."""
    made = a_round([SPAWN, HUGE_SHMEM, write(pages=8), madvise(uapi.MADV_PAGEOUT, HUGE)], context("7.3"))
    made = replace(
        made,
        config=replace(made.config, swap_bytes=64 * PAGE),
        kinds=(uapi.FILE_TMPFS_HUGE, uapi.FILE_TMPFS_HUGE),
    )
    rows = (made.rows[0], (uapi.OP_FTRUNCATE, 1, SHMEM, 100 * PAGE, *made.rows[0][4:]), *made.rows[1:])
    assert soak.run_round(replace(made, rows=rows), Soaked(), "interpreted", 1) is None


def test_the_last_things_that_happened_to_the_frame() -> None:
    """Three of them, oldest first, each with its operation."""
    mistake = next(one for one in MISTAKES if one.name.startswith("swap-in"))
    found = in_fork(outcome, mistake, True)
    assert isinstance(found, Broken) and len(found.history) == 3
    assert "was read from swap slot" in found.history[1] and "was mapped by PTE" in found.history[2]


@pytest.mark.parametrize(
    ("name", "writer", "reader"),
    [("fork leaves the parent's pages writable", 1, 2), ("a child writes to the page that it shares", 2, 1)],
)
def test_a_write_that_another_task_sees(name: str, writer: int, reader: int) -> None:
    """What the books would say as well, seen by what pages show alone: both versions, and who sees which."""
    mistake = next(one for one in MISTAKES if one.name == name)
    rows = (SPAWN, mmap(), write(), FORK, write(task=writer))
    found = in_fork(without_books, replace(mistake, rows=rows))
    assert isinstance(found, Broken) and (found.rule, found.where.row) == ("content", 4)
    versions = (
        "must show what operation 2 (fault) wrote to page 0x40000, and shows what operation 4 (fault) wrote"
    )
    assert f"task {reader} page 0x40000 {versions}" in found.what


def without_books(mistake: Mistake) -> Violation | Broken | None:
    """What its operations come to where nobody looks at the invariants."""
    audit.broken = lambda state: []  # in a process of its own
    return outcome(mistake, True)


@pytest.mark.parametrize("engine", ["interpreted", "linked"])
def test_random_operations_keep_the_meaning(engine: str) -> None:
    """Every kind of system call, files and swap among them, in either engine."""
    for made in soak.rounds(replace(context("7.3").config(), granule="4k"), 300, 11):
        found = soak.run_round(made, Soaked(), engine, 3)
        assert found is None, f"{made.name}: {found}"


def test_a_page_that_came_back_clean_is_no_loss() -> None:
    """write; pageout; read: core-mm knows that anonymous memory has no other copy, whatever the entry says of dirt."""
    driver = Driver(context())
    steps: list[Choice] = [
        ("mmap", (1, 0, 4, 3, "anon", 0)), ("touch", (1, 0, 4, W)),
        ("madvise", (1, 0, 4, uapi.MADV_PAGEOUT)), ("touch", (1, 0, 4, R)),
    ]  # fmt: skip
    for step in steps:
        perform(driver, step, arena(context()))
        driver.compare()


def test_neighbours_that_are_one_page_of_a_file() -> None:
    """Two entries side by side with the same frame are no contiguous block: both writes go to that frame."""
    arena = 0x40000000
    rows = [
        (uapi.OP_SPAWN, 1),
        *((uapi.OP_MMAP, 1, arena + at * 4096, 4096, 3, 0x11, 1) for at in range(2)),
        (uapi.OP_TOUCH, 1, arena, 2, W),
    ]
    assert soak.run_round(a_round(rows, context()), Soaked(), "interpreted", 1) is None


def model() -> Model:
    """Task 1 with a private mapping of pages 10 to 19; a file of four pages that holds something."""
    made = Model([(4, True)])
    made.mmap(1, Area(10, 20, 3))
    return made


def shows(made: Model, task: int, page: int) -> int:
    """What a read sees."""
    space = made.tasks[task]
    area = space.area(page)
    assert area is not None
    return made.content(space, area, page)


def test_what_fork_separates() -> None:
    """Parent and child see their own writes and what was there before."""
    made = model()
    made.access(1, 10, W, 5)
    made.fork(1, 2)
    made.access(2, 10, W, 6)
    made.access(1, 11, W, 7)
    assert shows(made, 1, 10) == version(5, 10) and shows(made, 2, 10) == version(6, 10)
    assert shows(made, 1, 11) == version(7, 11) and shows(made, 2, 11) == 0


def test_what_advice_keeps_from_a_child() -> None:
    """MADV_DONTFORK: nothing is mapped there; MADV_WIPEONFORK: zeros."""
    made = model()
    for page in (10, 15):
        made.access(1, page, W, 3)
    made.advise(1, 10, 12, forked=False)
    made.advise(1, 15, 16, wiped=True)
    made.fork(1, 2)
    assert made.access(2, 10, R, 4) == SEGV and shows(made, 2, 15) == 0 and shows(made, 1, 15) != 0


def test_a_file_is_shared_or_copied() -> None:
    """Shared mappings show one another's writes, private ones until they write themselves."""
    made = model()
    file = made.files[0]
    made.mmap(1, Area(30, 34, 3, True, file))
    made.mmap(1, Area(40, 44, 3, False, file))
    before = shows(made, 1, 40)
    made.access(1, 30, W, 8)
    assert shows(made, 1, 40) == shows(made, 1, 30) == version(8, 30) != before
    made.access(1, 40, W, 9)
    assert shows(made, 1, 30) == version(8, 30) and shows(made, 1, 40) == version(9, 40)


def test_the_end_of_a_file() -> None:
    """SIGBUS behind it, for private copies too; what grows back is zeros."""
    made = model()
    file = made.files[0]
    made.mmap(1, Area(30, 34, 3, True, file))
    made.mmap(1, Area(40, 44, 3, False, file))
    made.access(1, 42, W, 8)
    made.truncate(0, 2)
    assert made.access(1, 32, R, 9) == BUS and made.access(1, 42, R, 9) == BUS
    assert made.access(1, 31, R, 9) == OK
    file.pages = 4
    assert made.access(1, 42, R, 9) == OK and shows(made, 1, 42) == 0


def test_copies_behind_the_end() -> None:
    """ftruncate to the same size unmaps pages of a disk's file, and leaves shared memory alone (shmem_setattr)."""
    for memory in (False, True):
        made = model()
        file = made.files[0]
        file.memory = memory
        made.mmap(1, Area(40, 48, 3, False, file))
        made.tasks[1].written[46] = version(8, 46)  # through a folio that reached behind the end
        made.truncate(0, 4)
        assert (46 in made.tasks[1].written) == memory
        made.truncate(0, 3)
        assert 46 not in made.tasks[1].written


def test_away_and_back() -> None:
    """mremap takes pages along, and leaves nothing behind."""
    made = model()
    made.access(1, 12, W, 4)
    made.move(1, 10, 20, 110)
    assert shows(made, 1, 112) == version(4, 12) and made.access(1, 12, R, 5) == SEGV
    made.move(1, 110, 120, 10)
    assert shows(made, 1, 12) == version(4, 12)


def test_what_is_given_back() -> None:
    """MADV_DONTNEED is certain, MADV_FREE may be until the next write."""
    made = model()
    space = made.tasks[1]
    for page in (10, 11, 12):
        made.access(1, page, W, 4)
    made.dontneed(1, 10, 11)
    made.free(1, 11, 13)
    made.access(1, 12, W, 6)
    assert shows(made, 1, 10) == 0 and space.lazy == {11} and shows(made, 1, 12) == version(6, 12)


def test_permissions() -> None:
    """mprotect stops at a hole, and what it changed stays changed."""
    made = model()
    made.munmap(1, 14, 15)
    assert not made.mprotect(1, 12, 18, 1)
    assert made.access(1, 13, W, 5) == SEGV and made.access(1, 15, W, 5) == OK
    assert made.access(1, 10, X, 5) == SEGV


def test_versions_as_arrays() -> None:
    """However a page got its version or lost it, the arrays have what the dictionary has, in order."""
    rng, versions = random.Random(1), Versions()
    for step in range(6000):
        page = rng.randrange(2000)
        if rng.random() < 0.6:
            versions[page] = step
        elif page in versions and rng.random() < 0.5:
            del versions[page]
        else:
            versions.pop(page, None)
        if step % 701 == 0 or (step > 3000 and step % 7 == 0):
            pages, held = (column.tolist() for column in versions.arrays())
            assert pages == sorted(versions) and held == [versions[page] for page in pages]
