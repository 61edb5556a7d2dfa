"""A recording on larger pages: random programs, judged by a model that knows only pages; and the bundled traces."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core_mm import uapi
from mmarch.runs.workloads import bundled_traces
from mmarch.trace.ftrace import load_ftrace
from mmarch.trace.page_size import at_page_size
from mmarch.workload import File, Workload
from tests.mmarch.conftest import Ran

SMALL = 4096
BASE, PAGES = 0x7F0000000000, 96
RW = uapi.PROT_READ | uapi.PROT_WRITE
PRIVATE = uapi.MAP_PRIVATE | uapi.MAP_FIXED
LARGE = pytest.mark.parametrize("large", [16384, 65536])


@dataclass
class Memory:
    """Of one task: which mapping's bytes each page has (mapping, page in it or in its file), and its protection."""

    page: int
    pages: dict[int, tuple[int, int]] = field(default_factory=dict)
    prot: dict[int, int] = field(default_factory=dict)
    mappings: int = 0

    def range(self, addr: int, size: int) -> range:
        assert addr % self.page == 0
        return range(addr // self.page, -(-(addr + size) // self.page))

    def run(self, op: int, *cells: int) -> list[int]:
        """Do one operation; the pages it touched."""
        if op == uapi.OP_TOUCH:
            return list(range(cells[0] // self.page, cells[0] // self.page + cells[1]))
        if op == uapi.OP_MMAP:
            self.mappings += 1
            first = cells[5] // self.page
            for at, page in enumerate(self.range(cells[0], cells[1])):
                self.pages[page] = (cells[4] if cells[4] >= 0 else -self.mappings, first + at)
                self.prot[page] = cells[2]
        elif op == uapi.OP_MUNMAP:
            for page in self.range(*cells[:2]):
                self.pages.pop(page, None)
        elif op == uapi.OP_MPROTECT:
            for page in self.range(*cells[:2]):
                assert page in self.pages, "mprotect of a hole fails in the middle"
                self.prot[page] = cells[2]
        elif op == uapi.OP_MREMAP:
            self._mremap(*cells[:5])
        return []

    def _mremap(self, old: int, old_size: int, new_size: int, _flags: int, new: int) -> None:
        source = self.range(old, old_size)
        assert old == new or max(old, new) >= min(old + old_size, new + new_size), "it may not overlap itself"
        moved = [(self.pages.pop(page), self.prot[page]) for page in source]
        for page in self.range(new, new_size):
            self.pages.pop(page, None)
        name, first = moved[0][0]
        for at, page in enumerate(self.range(new, new_size)):
            self.pages[page] = moved[at][0] if at < len(moved) else (name, first + at)
            self.prot[page] = moved[min(at, len(moved) - 1)][1]


def workload(rows: list[tuple[int, ...]]) -> Workload:
    """Of one task."""
    ops = np.array([(*row, *(0,) * (uapi.COLUMNS - len(row))) for row in rows], np.int64).reshape(
        -1, uapi.COLUMNS
    )
    return Workload(
        "w", ops, np.arange(1, len(rows) + 1, dtype=np.int32), files=(File(0, 1 << 20),), page_size=SMALL
    )


page, length = st.integers(0, PAGES - 1), st.integers(1, 24)
prot = st.sampled_from([uapi.PROT_NONE, uapi.PROT_READ, RW])


@st.composite
def programs(draw: st.DrawFn) -> list[tuple[int, ...]]:
    """Calls as a kernel would have let them succeed: what they name is mapped, and of one mapping where it must be."""
    rows: list[tuple[int, ...]] = [(uapi.OP_SPAWN, 0)]
    memory = Memory(SMALL)
    for _ in range(draw(st.integers(1, 25))):
        first, pages = draw(page), draw(length)
        addr, size = BASE + first * SMALL, pages * SMALL
        mapped = all(at in memory.pages for at in memory.range(addr, size))
        one = mapped and len({(memory.pages[at][0], memory.prot[at]) for at in memory.range(addr, size)}) == 1
        kind = draw(
            st.sampled_from(["mmap", "file", "munmap", "mprotect", "touch", "touch", "mremap", "dontneed"])
        )
        row: tuple[int, ...] = (uapi.OP_TOUCH, 0, addr, 1, uapi.ACCESS_READ)
        if kind == "mmap" or (kind != "munmap" and not mapped):
            row = (uapi.OP_MMAP, 0, addr, size, draw(prot), PRIVATE | uapi.MAP_ANONYMOUS, -1, 0)
        elif kind == "file":
            row = (uapi.OP_MMAP, 0, addr, size, draw(prot), PRIVATE, 0, draw(page) * SMALL)
        elif kind == "munmap":
            row = (uapi.OP_MUNMAP, 0, addr, size)
        elif kind == "mprotect":
            row = (uapi.OP_MPROTECT, 0, addr, size, draw(prot))
        elif kind == "dontneed":
            row = (uapi.OP_MADVISE, 0, addr, size, uapi.MADV_DONTNEED)
        elif kind == "mremap" and one:
            grown = draw(length)
            free = [
                at
                for at in range(PAGES)
                if not any(BASE // SMALL + at + i in memory.pages for i in range(grown))
            ]
            to = BASE + draw(st.sampled_from([PAGES + 32, *free])) * SMALL
            row = (uapi.OP_MREMAP, 0, addr, size, grown * SMALL, 3, to)
        memory.run(row[0], *row[2:])
        rows.append(row)
    return rows


@LARGE
@given(rows=programs())
def test_every_access_that_was_permitted_is_permitted(large: int, rows: list[tuple[int, ...]]) -> None:
    """And none goes where nothing is mapped; the order of calls is kept."""
    made = at_page_size(workload(rows), large)
    before, after = Memory(SMALL), Memory(large)
    by_line: dict[int, list[list[int]]] = {}
    for row, line in zip(made.ops.tolist(), made.lines.tolist(), strict=True):
        by_line.setdefault(line, []).append(row)
    assert list(by_line) == sorted(by_line)
    for line, row in enumerate(rows, 1):
        touched = before.run(row[0], *row[2:])
        for new in by_line.get(line, []):
            for at in after.run(new[0], *new[2:]):
                assert at in after.pages
                if touched and before.prot[touched[0]] & uapi.PROT_READ:
                    assert after.prot[at] & uapi.PROT_READ
        if touched:
            assert len(by_line.get(line, [])) == 1


@LARGE
@given(rows=programs())
def test_mappings_never_share_a_page_and_take_no_more_than_they_need(
    large: int, rows: list[tuple[int, ...]]
) -> None:
    """A large page has bytes of one mapping: as many large pages as the small ones need, file pages at their offset."""
    before, after = Memory(SMALL), Memory(large)
    for row in rows:
        before.run(row[0], *row[2:])
    for row in at_page_size(workload(rows), large).ops.tolist():
        after.run(row[0], *row[2:])
    wanted: dict[int, int] = Counter(name for name, _ in before.pages.values())
    assert len(after.pages) * large >= len(before.pages) * SMALL
    ratio = large // SMALL
    file = {index // ratio for name, index in before.pages.values() if name == 0}
    assert {index for name, index in after.pages.values() if name == 0} == file
    assert len(after.pages) <= sum(wanted.values())


@given(rows=programs())
def test_pages_of_the_recorded_size_change_nothing(rows: list[tuple[int, ...]]) -> None:
    """And what was moved once is not moved again."""
    recorded = workload(rows)
    assert at_page_size(recorded, SMALL) is recorded
    once = at_page_size(recorded, 16384)
    assert once.page_size == 16384
    assert at_page_size(once, 16384) is once


def test_accesses_on_smaller_pages() -> None:
    """One to a page of 64K is one to its first 4K; of three pages all is touched up to the beginning of the last."""
    rows = [(uapi.OP_SPAWN, 0), (uapi.OP_MMAP, 0, BASE, 1 << 20, 3, 0x22, -1, 0)]
    touches = [(uapi.OP_TOUCH, 0, BASE, 1, 1), (uapi.OP_TOUCH, 0, BASE + (1 << 16), 3, 0)]
    large = replace(workload([*rows, *touches]), page_size=1 << 16)
    small = at_page_size(large, SMALL)
    assert small.page_size == SMALL
    assert small.ops[:2].tolist() == large.ops[:2].tolist()
    assert small.ops[2:, 2:5].tolist() == [[BASE, 1, 1], [BASE + (1 << 16), 33, 0]]
    assert at_page_size(large, 16384).ops[3, 3] == 9


def made(*rows: tuple[int, ...], large: int = 16384) -> list[tuple[int, ...]]:
    """Rows on large pages, without their zeros."""
    ops = at_page_size(workload([(uapi.OP_SPAWN, 0), *rows]), large).ops.tolist()
    return [tuple(row) for row in ops[1:]]


ANON = (RW, PRIVATE | uapi.MAP_ANONYMOUS, -1, 0)


def test_munmap_takes_the_pages_of_which_nothing_is_left() -> None:
    """Two calls that unmap a large page between them unmap it with the second."""
    assert made(
        (uapi.OP_MMAP, 0, BASE, 8 * SMALL, *ANON),
        (uapi.OP_MUNMAP, 0, BASE, 6 * SMALL),
        (uapi.OP_MUNMAP, 0, BASE + 6 * SMALL, 2 * SMALL),
    )[1:] == [
        (uapi.OP_MUNMAP, 0, BASE, 16384, 0, 0, 0, 0),
        (uapi.OP_MUNMAP, 0, BASE + 16384, 16384, 0, 0, 0, 0),
    ]  # fmt: skip


def test_dontneed_shrinks_and_a_mapping_ends_where_its_page_ends() -> None:
    """Of six pages from the second on only those of the second large page are discarded; nothing else is there."""
    rows = made(
        (uapi.OP_MMAP, 0, BASE, 6 * SMALL, *ANON),
        (uapi.OP_MADVISE, 0, BASE + SMALL, 5 * SMALL, uapi.MADV_DONTNEED),
    )
    assert rows[1][2:4] == (BASE + 16384, 16384)


def test_what_vanishes_is_counted() -> None:
    """A call that covers no whole page, and an access to nothing."""
    small = workload(
        [
            (uapi.OP_SPAWN, 0),
            (uapi.OP_MMAP, 0, BASE, 8 * SMALL, *ANON),
            (uapi.OP_MADVISE, 0, BASE + SMALL, SMALL, uapi.MADV_DONTNEED),
            (uapi.OP_TOUCH, 0, BASE - SMALL, 1, 1),
        ]
    )
    large = at_page_size(small, 16384)
    assert len(large.ops) == 2
    assert large.ignored == {"fault where nothing is mapped": 1, "madvise of no whole page of 16K": 1}


def test_protection_of_a_part_leaves_its_page_as_permissive_as_the_rest() -> None:
    """Taking rights shrinks inward, giving them grows outward."""
    taken = made((uapi.OP_MMAP, 0, BASE, 8 * SMALL, *ANON), (uapi.OP_MPROTECT, 0, BASE, 6 * SMALL, 1))
    assert taken[1][2:5] == (BASE, 16384, 1)
    none = (0, *ANON[1:])
    given_ = made((uapi.OP_MMAP, 0, BASE, 8 * SMALL, *none), (uapi.OP_MPROTECT, 0, BASE, 6 * SMALL, RW))
    assert given_[1][2:5] == (BASE, 32768, RW)


def test_the_heap_begins_at_a_page_and_ends_where_it_did_from_there() -> None:
    """brk goes as far above start_brk as it was asked to."""
    start = 0x55555555A000
    rows = made((uapi.OP_EXEC, 0, start), (uapi.OP_BRK, 0, start + 0x21000), (uapi.OP_TOUCH, 0, start, 1, 1))
    base = rows[0][2]
    assert base % 16384 == 0 and 0 <= base - start < 16384
    assert rows[1][2] == base + 0x21000
    assert rows[2][2] == base


def test_a_stack_grows_down() -> None:
    """An access below its mapping is in the stack, as far below its beginning as it was."""
    top = BASE + 32 * SMALL
    rows = made(
        (uapi.OP_MMAP, 0, top, 4 * SMALL, RW, PRIVATE | uapi.MAP_ANONYMOUS | uapi.MAP_GROWSDOWN, -1, 0),
        (uapi.OP_TOUCH, 0, top - 9 * SMALL, 1, 1),
    )
    assert rows[1][2] == (rows[0][2] - 9 * SMALL) & -16384


PROGRAMS = sorted(Path(__file__).parents[3].glob("examples/traces/programs/*.gz"))


@LARGE
@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.name.partition(".")[0])
def test_the_six_programs_on_larger_pages(path: Path, large: int, mmarch: Callable[..., Ran]) -> None:
    """Nothing fails that did not as recorded; rows stay in order; what vanished is in the result."""
    recorded = load_ftrace(path)
    moved = at_page_size(recorded, large)
    assert (np.diff(recorded.lines) > 0).all()
    assert (np.diff(moved.lines) >= 0).all()  # one row may become several
    ran = json.loads(mmarch("run", "--granule", f"{large >> 10}k", path, "--json", "-q").out)
    assert not ran["failures"]
    vanished = sum(moved.ignored.values()) - sum(recorded.ignored.values())
    assert vanished > 0
    assert ran["workload"]["ignored"] == dict(moved.ignored)


@LARGE
@pytest.mark.parametrize("name", sorted(bundled_traces()))
def test_a_real_program_touches_only_what_is_mapped(
    name: str, large: int, mmarch: Callable[..., Ran]
) -> None:
    """Every access of every task that small pages served, in order; the kernel would have refused none of its calls."""
    recorded = load_ftrace(bundled_traces()[name])
    moved = at_page_size(recorded, large)
    lost = moved.ignored.get("fault where nothing is mapped", 0)
    touches = [int((one.ops[:, 0] == uapi.OP_TOUCH).sum()) for one in (recorded, moved)]
    assert touches[1] >= touches[0] - lost
    assert lost <= touches[0] // 1000
    assert "failed with" not in mmarch("run", "--granule", f"{large >> 10}k", name).err
    starts = moved.ops[
        np.isin(moved.ops[:, 0], (uapi.OP_MMAP, uapi.OP_MUNMAP, uapi.OP_MPROTECT, uapi.OP_TOUCH)), 2
    ]
    assert not (starts % large).any()
