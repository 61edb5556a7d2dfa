"""Mutants beside the expressions that they change: which of them a run can notice at all."""

from __future__ import annotations

from textwrap import dedent
from types import SimpleNamespace
from typing import Any

import pytest

from tools import mutation_probe
from tools.mutation_probe import instrumented
from tools.mutation_purity import pure_names
from tools.mutation_score import Probed, fate
from tools.mutators import Mutant, mutants

SOURCE = dedent('''
    def fits(nr, space):
        """A boundary that 3 and 4 do not meet, inside a condition."""
        if nr > 1 and space <= nr:
            return 1
        return 0


    def total(log, nr):
        log.append(nr)
        return twice(nr + 0)


    def twice(nr):
        return add(nr, nr)


    def add(one, other):
        return one + other


    def never(nr):
        return nr * 2
    ''')


def run(pure: set[str], *calls: tuple[str, tuple[Any, ...]]) -> tuple[list[Mutant], dict[str, Any], list[Any]]:
    """All mutants, the module with them, and what its calls return."""
    sample = mutants("x.py", SOURCE)
    space: dict[str, Any] = {}
    exec(compile(instrumented(SOURCE, list(enumerate(sample)), pure), "x.py", "exec"), space)
    mutation_probe.seen.clear()
    mutation_probe.ran.clear()
    return sample, space, [space[name](*arguments) for name, arguments in calls]


def said(sample: list[Mutant], numbers: set[int]) -> set[tuple[str, str]]:
    """Old and new of mutants."""
    return {(sample[number].old, sample[number].new) for number in numbers}


def test_a_mutant_differs_where_the_whole_condition_does() -> None:
    """space <= nr and space > nr differ for 4 and 3; the boundary would only differ for equal ones."""
    sample, _, results = run(set(), ("fits", (3, 4)))
    assert results == [0]
    assert ("space <= nr", "space > nr") in said(sample, mutation_probe.seen)
    assert ("space <= nr", "space < nr") in said(sample, mutation_probe.ran - mutation_probe.seen)
    sample, _, results = run(set(), ("fits", (3, 3)))
    assert results == [1] and ("space <= nr", "space < nr") in said(sample, mutation_probe.seen)


def test_what_does_not_run_is_neither() -> None:
    """Nothing calls never."""
    sample, _, _ = run(set(), ("fits", (3, 4)))
    assert all(sample[number].function == "fits" for number in mutation_probe.ran)


def test_effects_happen_once() -> None:
    """A call that appends is not evaluated twice; its removal counts as a difference, as do changes around calls."""
    log: list[int] = []
    sample, _, results = run(set(), ("total", (log, 5)))
    assert results == [10] and log == [5]
    assert ("log.append(nr)", "pass") in said(sample, mutation_probe.seen)


def test_equal_arguments_may_be_swapped() -> None:
    """add(nr, nr) is itself, whatever add does; nr + 0 is nr - 0, and no other than nr + 1."""
    sample, _, _ = run({"twice", "add"}, ("total", ([], 5)))
    equal = said(sample, mutation_probe.ran - mutation_probe.seen)
    assert ("nr + 0", "(nr - 0)") in equal and ("0", "1") in said(sample, mutation_probe.seen)


def test_lines_stay() -> None:
    """A traceback and the linker find functions where the source has them."""
    _, space, _ = run(set())
    assert space["never"].__code__.co_firstlineno == SOURCE.splitlines().index("def never(nr):") + 1


def test_functions_that_store_count_or_loop_are_not_pure() -> None:
    """READ_ONCE counts, set_ptes stores, pte_pfn and folio_order do neither."""
    found = pure_names(["core_mm/memory/zap.py", "core_mm/folio.py", "core_mm/rwonce.py"])
    assert "pte_pfn" in found["core_mm/memory/zap.py"] and "folio_order" in found["core_mm/folio.py"]
    assert "READ_ONCE" not in found["core_mm/rwonce.py"] and "clear_ptes" not in found["core_mm/memory/zap.py"]


@pytest.mark.parametrize(
    ("ran", "seen", "told"), [([], [], "no job"), ([0], [], "the same"), ([0], [0], "a judgment")]
)
def test_a_survivor_says_what_would_kill_it(ran: list[int], seen: list[int], told: str) -> None:
    """A program that gets there, values that differ, or a judgment."""
    (mutant, *_) = sample = mutants("x.py", SOURCE)
    probed = Probed()
    probed.add({"job": "arm64/6.12/tlb.reclaim", "seconds": 1.0, "ran": ran, "seen": seen}, sample)
    probed.add({"job": "arm64/6.12/load.stores", "seconds": 0.1, "ran": [], "seen": []}, sample)
    assert told in fate(mutant, {"quick": probed})
    wanted = ["arm64/6.12/load.stores", *(["arm64/6.12/tlb.reclaim"] if seen else [])]
    assert probed.jobs(mutant) == wanted


def test_a_hook_that_a_mutant_leaves_by_an_exception_is_under_way_no_more() -> None:
    """What the log says of calls would be of another hook otherwise."""
    mach = SimpleNamespace(hook=0)
    space: dict[str, Any] = {"mach": mach}
    exec("def hook(pte):\n    outer = mach.hook\n    mach.hook = 7\n    return [][pte]\n", space)
    assert mutation_probe.differs(1, 5, lambda: space["hook"](3), False) == 5
    assert mach.hook == 0 and 1 in mutation_probe.seen


def test_a_job_that_counts_what_mutants_call_is_run_again() -> None:
    """As long as more of them differ: these are not called any more; what fails all the same is a finding."""
    differing: set[int] = set()
    calls = iter([({1}, "hook_call is counted 5 times"), ({2}, "hook_call is counted 6 times"), ({2}, "")])

    def run() -> str:
        more, noticed = next(calls)
        differing.update(more)
        return noticed

    assert mutation_probe.settled(run, differing) == ""
    assert next(calls, None) is None
    assert mutation_probe.settled(lambda: "young is lost", differing) == "young is lost"
