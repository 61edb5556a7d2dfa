"""A glance doubts what the invariants' own checks find broken, and nothing else."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
import pytest
from numpy.typing import NDArray

from mmarch.api.choosing import Choosing, prepare, silent
from mmarch.engine.machine import Machine
from mmarch.runs.assemble import assemble
from mmarch.sanitize import audit, soak
from mmarch.sanitize.audit import Broken
from mmarch.sanitize.glance import Glance
from mmarch.sanitize.invariants import GLANCED, broken
from mmarch.sanitize.soak import Soaked
from mmarch.sanitize.state import Reader
from mmarch.sanitize.violation import Violation
from tests.mmarch.sanitize import books
from tests.mmarch.sanitize.books import REFUSED
from tests.mmarch.sanitize.test_invariants import SCENARIOS, SPLIT, a_round, context, in_fork, one_round
from tests.mutants.mutant import applied

Seen = TypeVar("Seen")


class Compared(Glance):
    """A glance of which every answer is compared with what the checks find."""

    def __init__(self, machine: Machine) -> None:
        super().__init__(machine)
        self._reader = Reader(machine)

    def __call__(self) -> int:
        """The same answer."""
        doubt, found = super().__call__(), broken(self._reader.read(), GLANCED)
        assert bool(doubt) == bool(found), (doubt, [str(one) for one in found])
        return doubt


def compared(function: Callable[..., Seen], *arguments: object) -> Seen:
    """What it returns, with glances at interpreted machines too."""
    audit.glance_at = Compared  # type: ignore[assignment]  # in a process of its own
    return function(*arguments)


@pytest.fixture(scope="module", autouse=True)
def linked() -> None:
    """Link, and read what a run needs, before processes part, which inherit it."""
    prepare(SCENARIOS / "fork.scn", "", "", None, silent, {"arch": "arm64"}, "interpreted")
    Glance(soak.machine(a_round([(1, 1)], context()), "interpreted"))


def both_forms(mistake: books.Mistake) -> list[tuple[int, list[str]]]:
    """Rows run and what is found, with a look after each operation and with one after the last of these."""
    path, forms = SCENARIOS / f"{mistake.scenario}.scn", []
    with applied((mistake.edit,)):
        chosen: Choosing = {"arch": "arm64", "folio_orders": mistake.orders}
        job = prepare(path, "", "", None, silent, chosen, "interpreted")
        last = len(job.workload.ops)
        for every in (1, audit.EVERY):
            watch = audit.Audit(assemble(job.setup, job.workload, job.request, silent), every, contents=False)
            row, found = 0, []
            while row < last and not found:
                row, found = watch.run(row, last)
            last = row
            forms.append((row, [str(one) for one in found]))
    return forms


@pytest.mark.parametrize("mistake", books.MISTAKES, ids=lambda mistake: mistake.name)
def test_mistakes_in_the_books(mistake: books.Mistake) -> None:
    """Doubted from the operation on that the checks find them after, however seldom one looks."""
    exact, sampled = in_fork(compared, both_forms, mistake)
    assert exact == sampled and any(mistake.names in one for one in exact[1])


def test_a_split_that_claims_success() -> None:
    """The one that lies, too."""
    found = in_fork(compared, one_round, SPLIT, REFUSED)
    assert isinstance(found, Broken) and "W_SPLIT" in found.what


@pytest.mark.parametrize("release", ["6.7", "6.12", "7.3"])
def test_sound_random_operations(release: str) -> None:
    """Swap, files, shared memory and little memory among them: no doubt where nothing is wrong."""
    assert in_fork(compared, random_round, release) is None


def random_round(release: str) -> Violation | Broken | None:
    """What is wrong with it."""
    made = soak.one_round(replace(context(release).config(), granule="4k"), 7, 1, 300)
    return soak.run_round(made, Soaked(), "interpreted", 5)


def test_a_value_that_is_off() -> None:
    """Whatever is changed in a machine's tables at random: what the checks find, a glance doubts."""
    rng = random.Random(3)
    machine = soak.machine(
        soak.one_round(replace(context("7.3").config(), granule="4k"), 3, 1, 400), "interpreted"
    )
    machine.call("run_operations", 0, 400)
    glance, reader = Glance(machine), Reader(machine)
    assert not glance() and not broken(reader.read(), GLANCED)
    noticed = 0
    for column in rng.choices(columns(machine), k=600):
        at = rng.choice(np.flatnonzero(column).tolist() or [1])
        was = int(column[at])
        column[at] = max(was + rng.choice((1, -1, 2, 64, -was)), 0)
        found = broken(reader.read(), GLANCED)
        assert not found or glance(), (column.base, at, was, [str(one) for one in found])
        noticed += bool(found)
        column[at] = was
    assert noticed > 150


def columns(machine: Machine) -> list[NDArray[Any]]:
    """What invariants speak of, as far as it is in use."""
    get, arrays = machine.memory.get, machine.memory.arrays
    used = {
        "PAGE": "frontier",
        "PTDESC": "next_table",
        "VMA": "next_vma",
        "MM": "next_mm",
        "INODE": "next_inode",
    }
    tables = {name: (machine.memory.tables[name], get("mach", top)) for name, top in used.items()}
    found = [rows[column][:top] for rows, top in tables.values() for column in rows.columns]
    entries = arrays["ptes"][: get("mach", "next_table") << get("cfg", "pte_bits")]
    slots = get("cfg", "swap_slots") + 1
    cached = arrays["i_pages"][: get("mach", "next_file_page")]
    return [*found, *[entries, cached, arrays["swap_map"][:slots], arrays["swap_cache"][:slots]] * 5]
