"""The invariants of core-mm: what a sound one leaves in order, and mistakes that leave something behind."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

import pytest

from core_mm import uapi
from mmarch import api
from mmarch.check.context import Context
from mmarch.check.loading import load_named
from mmarch.sanitize import audit, soak
from mmarch.sanitize.audit import Broken
from mmarch.sanitize.random_rows import Row
from mmarch.sanitize.soak import Round, Soaked
from mmarch.sanitize.violation import Violation
from tests.mmarch.conftest import Ran
from tests.mmarch.sanitize.books import LISTED, MISTAKES, REFUSED, Mistake
from tests.mutants.mutant import Edit, applied

Seen = TypeVar("Seen")
SPLIT: list[Row] = [
    (uapi.OP_SPAWN, 1), (uapi.OP_PWRITE, 1, 0, 0, 16 << 12, 16 << 12), (uapi.OP_FTRUNCATE, 1, 0, 8 << 12),
]  # fmt: skip
SCENARIOS = Path(__file__).parents[3] / "examples" / "scenarios"


def context(release: str = "6.12") -> Context:
    """arm64 of a release."""
    return Context(load_named("arm64").descriptor, load_named("generic").descriptor, release=release)


def a_round(rows: list[Row], config_of: Context) -> Round:
    """These operations on a machine of the default CPU."""
    made = soak.one_round(replace(config_of.config(), granule="4k"), 0, 0, 1)
    padded = tuple((*row, *[0] * (uapi.COLUMNS - len(row))) for row in rows)
    return replace(made, rows=padded, first_asid=0, kinds=(uapi.FILE_REGULAR, uapi.FILE_SHMEM))


def in_fork(function: Callable[..., Seen], *arguments: object) -> Seen:
    """What it returns; nothing that it patches stays patched."""
    with get_context("fork").Pool(1) as pool:
        return pool.apply(function, arguments)


@pytest.fixture(scope="module", autouse=True)
def once() -> None:
    """What is imported, read and compiled once in a process is, before processes part."""
    api.judge(SCENARIOS / "fork.scn", engine="interpreted", every=1, arch="arm64", folio_orders="4")


def judged(scenario: str, orders: str, edit: Edit, every: int = 1) -> tuple[list[int], tuple[Broken, ...]]:
    """A scenario on a core-mm with a mistake: the kinds of its operations, and what is broken."""
    with applied((edit,)):
        path = SCENARIOS / f"{scenario}.scn"
        work, _, seen = api.judge(path, engine="interpreted", every=every, arch="arm64", folio_orders=orders)
    return work.ops[:, 0].tolist(), seen.broken


def one_round(rows: list[Row], edit: Edit) -> Violation | Broken | None:
    """Operations of Linux 7.3 on a core-mm with a mistake."""
    with applied((edit,)):
        return soak.run_round(a_round(rows, context("7.3")), Soaked(), "interpreted", 1)


@pytest.mark.parametrize("mistake", (*MISTAKES, *LISTED), ids=lambda mistake: mistake.name)
def test_a_mistake_is_named(mistake: Mistake) -> None:
    """The first operation that it spoils, and what is wrong with which object."""
    kinds, found = in_fork(judged, mistake.scenario, mistake.orders, mistake.edit)
    assert found, "nothing was noticed"
    told = [broken for broken in found if broken.rule == mistake.rule and mistake.names in broken.what]
    assert told, [str(broken) for broken in found]
    assert uapi.OP_NAMES[kinds[told[0].where.row]] == mistake.op
    assert f"({mistake.op})" in str(told[0])


@pytest.mark.parametrize("name", sorted({mistake.scenario for mistake in MISTAKES}))
def test_without_the_mistake(name: str) -> None:
    """Their scenarios leave everything in order after every operation: the tests above are about the mistakes."""
    orders = {mistake.orders for mistake in MISTAKES if mistake.scenario == name}
    for order in orders:
        _, _, seen = api.judge(
            SCENARIOS / f"{name}.scn", engine="interpreted", every=1, arch="arm64", folio_orders=order
        )
        assert not seen.wrong


def test_a_split_that_claims_success() -> None:
    """A dirty folio of a file is not split, and whoever says it was is caught (a truncation asks for it)."""
    assert soak.run_round(a_round(SPLIT, context("7.3")), Soaked(), "interpreted", 1) is None
    found = in_fork(one_round, SPLIT, REFUSED)
    assert isinstance(found, Broken) and found.where.row == 2 and "W_SPLIT" in found.what


def test_the_operation_is_found_between_two_looks() -> None:
    """A look every hundred operations says which one it was all the same."""
    mistake = next(mistake for mistake in MISTAKES if mistake.rule == "refcount" and mistake.op == "fork")
    exact, seldom = (in_fork(judged, mistake.scenario, "4", mistake.edit, every) for every in (1, 100))
    assert exact == seldom and exact[1]


def looked_at(mistake: Mistake) -> tuple[list[int], tuple[Broken, ...]]:
    """The same by looks at the invariants alone."""
    with applied((mistake.edit,)):
        path = SCENARIOS / f"{mistake.scenario}.scn"
        work, _, seen = api.judge(
            path, engine="interpreted", flushes=False, arch="arm64", folio_orders=mistake.orders
        )
    return work.ops[:, 0].tolist(), seen.broken


def test_invariants_alone() -> None:
    """The same verdict, with the same operation and what happened to the frame."""
    mistake = next(mistake for mistake in MISTAKES if mistake.rule == "refcount" and mistake.op == "fork")
    kinds, found = in_fork(looked_at, mistake)
    assert found[0].rule == "refcount" and uapi.OP_NAMES[kinds[found[0].where.row]] == "fork"


def test_the_command_that_looks_at_them_alone(mmarch: Callable[..., Ran]) -> None:
    """It says how often it looked, and judges nothing else."""
    ran = mmarch("run", "--invariants", "-q", "--every", "1000", "redis-bgsave")
    assert ran.code == 0 and "a look at core-mm after every 1000: its invariants hold" in " ".join(
        ran.out.split()
    )
    printed = mmarch("run", "--invariants", "-q", "--json", str(SCENARIOS / "fork.scn"))
    assert printed.code == 0 and json.loads(printed.out)["flushes"] == {}
    both = mmarch("run", "--invariants", "--top", "3")
    assert (
        both.code == 2 and "--invariants judges instead of counting; leave --top and --steps out" in both.err
    )


@pytest.mark.parametrize("release", ["6.7", "6.12", "7.2", "7.3"])
def test_random_operations(release: str) -> None:
    """A few hundred of every kind, looked at after each."""
    for made in soak.rounds(replace(context(release).config(), granule="4k"), 400, 7):
        found = soak.run_round(made, Soaked(), "interpreted", 1)
        assert found is None, f"{made.name}: {found}"


def test_swapped_in_for_several_belongs_to_the_oldest() -> None:
    """A child that reads a shared page back from swap and goes leaves it to those whose page it is."""
    arena, pages = 0x40000000, 32
    rows: list[Row] = [
        (uapi.OP_SPAWN, 1),
        (uapi.OP_MMAP, 1, arena, pages << 12, 3, 0x32, -1),
        (uapi.OP_TOUCH, 1, arena, 5, uapi.ACCESS_WRITE),
        (uapi.OP_MADVISE, 1, arena, pages << 12, uapi.MADV_PAGEOUT),
        (uapi.OP_FORK, 1, 2),
        (uapi.OP_TOUCH, 2, arena, 5, uapi.ACCESS_READ),
        (uapi.OP_EXIT, 2),
        (uapi.OP_TOUCH, 1, arena, 5, uapi.ACCESS_WRITE),
    ]
    assert soak.run_round(a_round(rows, context()), Soaked(), "interpreted", 1) is None


def test_pages_that_a_split_unmapped_are_reclaimed_too() -> None:
    """Reclaim splits a folio in which one page was written; the others, mapped no more, stay its own until they go."""
    arena, page = 0x800000000, 1 << 16
    rows: list[Row] = [
        (uapi.OP_SPAWN, 1),
        (uapi.OP_MMAP, 1, arena, 64 * page, 3, 0x32, -1),
        (uapi.OP_TOUCH, 1, arena, 1, uapi.ACCESS_WRITE),
        (uapi.OP_MADVISE, 1, arena, 64 * page, uapi.MADV_PAGEOUT),
    ]
    plain = a_round(rows, context())
    config = replace(
        plain.config, granule="64k", anon_orders=1 << 5, overrides={"log_ptes": 1, "anon_always": 1 << 5}
    )
    assert soak.run_round(replace(plain, config=config), Soaked(), "interpreted", 1) is None


def test_what_is_read_is_what_the_machine_says() -> None:
    """A machine with one task is in order, and Audit knows how far it is."""
    made = a_round([(uapi.OP_SPAWN, 1)], context())
    machine = soak.machine(made, "interpreted")
    watch = audit.Audit(machine, 1)
    machine.call("run_operations", 0, 1)
    assert watch.ran(0) == [] and watch.clean == 1
