"""Comparing two kernels by what core-mm can observe."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np
import pytest

from core_mm import observe as o
from core_mm.mm_types import PG_ANON, PG_DIRTY, PG_REFERENCED
from mmarch.check import check_arch
from mmarch.check.context import Context
from mmarch.check.observation import ASPECTS, canonical, differences, take
from mmarch.check.pair import Difference, Kernels, Tally
from mmarch.check.programs import Program, programs
from mmarch.check.run import Options
from mmarch.check.tiers.meaning import private_bits
from mmarch.engine.machine import Config
from mmarch.plugins import load_arch
from mmarch.sanitize import Violation, Where, soak


def row(kind: int = o.SEEN_PTE, **columns: int) -> list[int]:
    """A row with some columns by their names."""
    made = [0] * o.WIDTH
    made[o.KIND] = kind
    for name, value in columns.items():
        made[getattr(o, name)] = value
    return made


def page(at: int, frame: int, **more: int) -> list[int]:
    """A page that is mapped, of a folio of its own."""
    return row(AT=at, FRAME=frame, FOLIO=frame, ENTRY=1, BITS=o.SEEN_VALID, **more)


def rows(*given: list[int]) -> np.ndarray:
    """As a machine gives them."""
    return np.array(given, np.int64)


def aspects(plain: list[int], changed: list[int]) -> set[str]:
    """In which two rows differ, if they do."""
    return {aspect for place in differences(rows(plain), rows(changed), 0) for aspect in place.aspects}


def test_frames_may_have_other_names() -> None:
    """Two pages that lie elsewhere are the same; two pages that share a frame are not two that do not."""
    apart = rows(page(1, 7), page(2, 9))
    assert not list(differences(apart, rows(page(1, 100), page(2, 50)), 0))
    shared = rows(page(1, 7), page(2, 7))
    (place,) = differences(apart, shared, 0)
    assert place.aspects == {"sharing", "folio"}
    assert canonical(shared, 0)[0, o.FRAME] == canonical(shared, 0)[1, o.FRAME] != 0


def test_slots_and_frames_are_told_apart() -> None:
    """Slot 7 is not frame 7, whatever both are called; none stays none."""
    seen = canonical(rows(page(1, 7), row(o.SEEN_SWAP, AT=2, SLOT=-7)), 0)
    assert seen[0, o.FRAME] != seen[1, o.SLOT]
    assert seen[1, o.FRAME] == 0


def test_private_bits_do_not_count() -> None:
    """Whether an entry is part of a contiguous block is the architecture's own affair."""
    plain, block = rows(row(ENTRY=0b0101)), rows(row(ENTRY=0b1101))
    assert list(differences(plain, block, 0))
    assert not list(differences(plain, block, 0b1000))


@pytest.mark.parametrize(
    ("aspect", "change"),
    [
        ("young_set", {"BITS": o.SEEN_VALID | o.SEEN_YOUNG}), ("dirty_set", {"BITS": o.SEEN_VALID | o.SEEN_DIRTY}),
        ("write_set", {"BITS": o.SEEN_VALID | o.SEEN_WRITE}), ("valid_cleared", {"BITS": 0}), ("entry", {"ENTRY": 3}),
        ("references", {"REFERENCES": 2}), ("mapcount", {"MAPCOUNT": 2}), ("exclusive", {"EXCLUSIVE": 1}),
        ("folio_dirty_set", {"FLAGS": PG_DIRTY}), ("folio_accessed_set", {"FLAGS": PG_REFERENCED}),
        ("folio", {"FLAGS": PG_ANON}), ("swap", {"SLOT_REFERENCES": 1}), ("mapped", {"KIND": o.SEEN_SWAP}),
    ],
)  # fmt: skip
def test_each_aspect(aspect: str, change: dict[str, int]) -> None:
    """A difference is said to be in what differs, and every aspect can be declared."""
    other = page(1, 7)
    for name, value in change.items():
        other[getattr(o, name)] = value
    assert aspects(page(1, 7), other) == {aspect}
    assert aspect in ASPECTS


def test_a_page_that_is_gone() -> None:
    """On one side alone."""
    (place,) = differences(rows(page(1, 7), page(2, 8)), rows(page(1, 7)), 0)
    assert place.changed is None
    assert place.aspects == {"mapped"}


@pytest.fixture(scope="module")
def config() -> Config:
    """arm64 as of Linux 7.3."""
    return Config(load_arch("arm64").descriptor, load_arch("generic").descriptor, release="7.3", granule="4k")


@pytest.mark.parametrize("number", range(3))
def test_both_engines_observe_the_same(config: Config, number: int) -> None:
    """Row by row, after a whole program."""
    made = next(islice(programs(config, 5), number, None))
    seen = []
    for engine in ("interpreted", "linked"):
        machine = made.machine(config, engine)
        machine.call("run_operations", 0, len(made.rows))
        seen.append(take(machine).copy())
    assert len(seen[0]) > 20
    assert np.array_equal(*seen)


def test_observing_changes_nothing(config: Config) -> None:
    """A program that is looked at after each call ends as one that is not."""
    made = next(programs(config, 1))
    watched, alone = (made.machine(config, "linked") for _ in range(2))
    for at in range(len(made.rows)):
        watched.call("run_operations", at, at + 1)
        take(watched)
    alone.call("run_operations", 0, len(made.rows))
    for name in ("ptes", "results", "swap_map", "i_pages"):
        assert np.array_equal(watched.memory.arrays[name], alone.memory.arrays[name])
    for column in ("flags", "refcount", "index"):
        pair = (machine.memory.tables["PAGE"][column] for machine in (watched, alone))
        assert np.array_equal(*pair)


def test_programs_reach_what_can_become_of_a_page(config: Config) -> None:
    """Within a few hundred: swapped out and in, copied, reused, split, out of memory."""
    events = dict.fromkeys(("swap_out", "swap_in", "fault_cow", "fault_reuse", "folio_split"), 0)
    results: set[int] = set()
    for made in islice(programs(config, 0), 300):
        machine = made.machine(config, "linked")
        machine.call("run_operations", 0, len(made.rows))
        for event in events:
            events[event] += machine.total(event)
        results |= set(machine.memory.arrays["results"][: len(made.rows)].tolist())
    assert all(events.values()), events
    assert -12 in results  # ENOMEM


def test_programs_have_names(config: Config) -> None:
    """Seed and number say which; 40 calls."""
    first, again = (list(islice(programs(config, 3), 4)) for _ in range(2))
    assert first == again
    assert {len(made.rows) for made in first} == {40}
    assert first[0].rows != next(programs(config, 4)).rows


def search(kernels: Kernels, most: int) -> tuple[Program, Difference]:
    """The first program that differs, and how."""
    for made in islice(programs(kernels.plain, 0), most):
        if found := kernels.compare(made, Tally()):
            return made, found
    raise AssertionError("nothing differs")


@pytest.mark.slow
def test_a_difference_is_found_and_shrunk(config: Config) -> None:
    """A kernel that copies where the other one reuses a folio: fork, exit, write are enough to show it."""
    plain = replace(config, granule="")
    kernels = Kernels(plain, replace(plain, without=frozenset({"reuse_large_anon"})))
    made, found = search(kernels, 60)
    short, smaller = kernels.shrink(made, found)
    assert len(short.rows) <= 8 < len(made.rows)
    assert "mapcount" in smaller.aspects
    assert "without PTE" in str(smaller)
    assert "with    PTE" in str(smaller)
    declared = replace(kernels, declared=ASPECTS)
    tally = Tally()
    assert declared.compare(made, tally) is None
    assert tally.declared["mapcount"]


def test_private_bits_of_arm64(config: Config) -> None:
    """The contiguous bit, found by making a block; the generic architecture has none."""
    arm64 = Context(config.arch, config.generic)
    assert private_bits(arm64) == 1 << 52
    assert private_bits(Context(config.generic, config.generic)) == 0


@pytest.mark.parametrize("both", [False, True])
def test_a_missing_flush_is_a_difference(config: Config, monkeypatch: pytest.MonkeyPatch, both: bool) -> None:
    """What the oracle says of the second kernel is told like any other, unless it says the same of the first."""
    violation = Violation("stale", "told", Where(3, 7), Where(2, 7), 2, 0, 0, 0, 0, "a flush")
    objections = [[violation], [violation] if both else []]

    class Objecting(soak.Oracle):
        """Finds what it is told."""

        def finish(self) -> None:
            self.violations = objections.pop(0)

    monkeypatch.setattr("mmarch.check.pair.Oracle", Objecting)
    made, tally = next(programs(config, 0)), Tally()
    found = Kernels(config, config).compare(made, tally)
    assert objections == []
    if both:
        assert found is None
        assert tally.known == 1
    else:
        assert found is not None
        assert found.row == 3
        assert "TLB oracle" in str(found)
        assert "operation 4" in str(found)


@pytest.mark.slow
def test_the_suite_compares_on_demand() -> None:
    """Only where asked for; the numbers are in the report; a release that has it anyway is skipped."""
    options: dict[str, Any] = {"quick": True, "with_": ("batch_hint", "mremap_batch"), "programs": 20}
    report = check_arch("generic", Options(only=("meaning.programs",), **options))
    by_release = {result.release: result for result in report.results}
    assert by_release["6.12"].status == "pass", by_release["6.12"].message
    assert by_release["6.12"].counts["programs"] == 20
    assert by_release["6.12"].counts["calls"] == 800
    assert by_release["7.3"].status == "skip"
    others = check_arch("generic", Options(only=("smoke",), **options))
    assert not [result for result in others.results if result.check.startswith("meaning")]
