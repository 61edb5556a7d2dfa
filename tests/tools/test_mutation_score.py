"""Mechanical mutants, and the tool that counts which of them are noticed."""

from __future__ import annotations

import ast
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from textwrap import dedent
from threading import Barrier

import pytest

from tools.mutation_results import Results, results
from tools.mutation_score import (
    CONDITION,
    KINDS,
    SOUND,
    Found,
    Journal,
    Probed,
    drawn,
    every,
    score,
    steps,
    summary,
    wanted_of,
)
from tools.mutation_tree import ROOT, Tree, Trees
from tools.mutators import Mutant, mutants

SOURCE = dedent('''
    LIMIT = 3 + 4

    @marked(1)
    def zap(addr: int, end: int = 5) -> int:
        """One 1."""
        if addr < end and addr:
            flush(addr, end)
        return addr | FLAG
    ''')


def texts(operator: str) -> list[tuple[str, str]]:
    """Old and new of the sample's mutants of one kind."""
    return [(m.old, m.new) for m in mutants("x.py", SOURCE) if m.operator == operator]


def test_every_kind_of_change_is_made_once() -> None:
    """The sample has one place for each kind, worked out by hand; its head, docstring and constants have none."""
    assert texts("comparison") == [("addr < end", "addr >= end")]
    assert texts("boundary") == [("addr < end", "addr <= end")]
    assert texts("dropped condition") == [
        ("addr < end and addr", "(addr < end)"),
        ("addr < end and addr", "(addr)"),
    ]
    assert texts("swapped argument") == [("flush(addr, end)", "flush(end, addr)")]
    assert texts("deleted call") == [("flush(addr, end)", "pass")]
    assert texts("arithmetic") == [("addr | FLAG", "(addr & FLAG)")]
    assert texts("dropped flag") == [("addr | FLAG", "FLAG"), ("addr | FLAG", "addr")]
    assert texts("constant") == []


def test_what_its_syntax_shows_to_be_the_same_is_no_mutant() -> None:
    """Arguments of min and max in another order; what nobody gets, or only asks whether it is 0. All else stays."""
    source = dedent("""
        def told(a: int) -> int:
            return 1

        def tail(a: int) -> int:
            count(2)
            return untold(a)

        def untold(a: int) -> int:
            return 0

        def passed(a: int) -> int:
            return 0

        def wrong(a: int) -> int:
            if a:
                return 1
            return 0

        def caller(a: int, b: int) -> int:
            if not wrong(1) and wrong(b):
                told(1)
            tail(min(a, b))
            passed(a)
            keep(passed)
            b = told(max(b, a))
        """)
    found_results = results([source])
    flags = frozenset((name, 0) for name in ("wrong", "told", "untold", "passed"))
    assert found_results == Results(frozenset({"tail", "untold", "caller"}), frozenset({"wrong"}), flags)
    found = {
        (m.function, m.operator, m.old)
        for m in mutants("x.py", source, found_results)
        if m.operator != "dropped condition"
    }
    kept = {
        ("told", "constant", "1"),
        ("tail", "constant", "2"),
        ("passed", "constant", "0"),
        ("wrong", "constant", "0"),
    }
    deleted = {
        ("tail", "count(2)"),
        ("caller", "tail(min(a, b))"),
        ("caller", "told(1)"),
        ("caller", "passed(a)"),
        ("caller", "keep(passed)"),
    }
    assert found == kept | {(function, "deleted call", old) for function, old in deleted}


def test_a_mutant_changes_its_place_alone() -> None:
    """Everything before and behind stays, and the result compiles to something else."""
    for mutant in mutants("x.py", SOURCE):
        changed = mutant.applied(SOURCE)
        assert changed.startswith(SOURCE[: mutant.start])
        assert changed.endswith(SOURCE[mutant.start + len(mutant.old) :])
        assert ast.dump(ast.parse(changed)) != ast.dump(ast.parse(SOURCE))


def test_a_mutant_of_another_source_is_refused() -> None:
    """Text that moved is not overwritten."""
    with pytest.raises(ValueError, match="has changed"):
        mutants("x.py", SOURCE)[0].applied("# moved\n" + SOURCE)


def test_the_repository_has_thousands_and_all_are_python() -> None:
    """Every kind has some, ids are unique; a draw is a seed's own."""
    found = every(ROOT)
    assert len({mutant.id for mutant in found}) == len(found) > 5000
    assert {mutant.operator for mutant in found} == {*KINDS, CONDITION}
    sample = drawn(found, 150, 1)
    assert sample == drawn(found, 150, 1) != drawn(found, 150, 2)
    assert len(set(sample)) == 150
    for mutant in sample:
        ast.parse(mutant.applied((ROOT / mutant.path).read_text(encoding="utf-8")))


def test_each_is_drawn_as_often_as_any_other() -> None:
    """Of one in four of a kind a quarter comes: 2,500 of 10,000 draws, within five standard deviations (43 each)."""
    found = [one(number, "constant" if number % 4 else "boundary") for number in range(20)]
    draws = [mutant for seed in range(1000) for mutant in drawn(found, 10, seed)]
    assert abs(Counter(mutant.operator for mutant in draws)["boundary"] - 2500) < 5 * 43
    assert len(drawn(found, 30, 1)) == 20


def test_some_kinds_and_files_alone_are_drawn_from() -> None:
    """A kind that was not named and a file that no pattern matches have none."""
    found = [
        replace(one(n, kind), path=path) for n, kind in enumerate(KINDS) for path in ("a/x.py", "b/y.py")
    ]
    assert wanted_of(found, KINDS, ["*"]) == found
    some = wanted_of(found, ["boundary", "constant"], ["b/*"])
    assert {(mutant.operator, mutant.path) for mutant in some} == {
        ("boundary", "b/y.py"),
        ("constant", "b/y.py"),
    }


def one(number: int, operator: str = "constant") -> Mutant:
    """A mutant of no file."""
    return Mutant("x.py", number, number, "zap", operator, "1", "2")


def test_a_journal_goes_on_and_forgets_another_tree(tmp_path: Path) -> None:
    """What was judged stays, a line that a kill cut is judged again, a changed tree begins anew."""
    path, head = tmp_path / "journal", {"tree": "a"}
    journal = Journal(path, head)
    journal.add({"image": "digest"})
    journal.add({"id": one(1).id, "stage": "quick", "what": "x", "equal": None, "seconds": 1.0})
    with path.open("a") as file:
        file.write('{"id": "cut')
    again = Journal(path, head)
    assert (again.image, list(again.found)) == ("digest", [one(1).id])
    assert not Journal(path, {"tree": "b"}).found
    assert json.loads(path.read_text()) == {"tree": "b"}


def test_more_stages_are_asked_of_what_survived_alone() -> None:
    """Those that it was not asked of yet; what was noticed is noticed."""
    stages = ["quick", "full", "measured"]
    survivor = Found("a", SOUND, "", None, 1, "quick,measured")
    assert survivor.left(stages) == ["full"] and survivor.left(["quick"]) == []
    assert Found("a", "measured", "", None, 1).left(stages) == []


def test_what_takes_least_is_asked_first_and_once() -> None:
    """8 seconds of a stage and 8 files of measurements; the rest later, all of it of a stage that came new."""
    mutant = one(1)
    quick = Probed(dict.fromkeys(("a", "b", "c"), 3.0), {mutant.id: ["a", "b", "c"]})
    full = Probed({"d": 1.0, "e": 9.0}, {mutant.id: ["d", "e"]})
    files, known = [str(n) for n in range(10)], {"quick": quick, "full": full}
    new = Found(mutant.id, SOUND, "", None, 0)
    assert steps(mutant, new, ["quick", "measured"], files, known, True) == [
        ("quick", ["a", "b"]), ("measured", files[:9]),
    ]  # fmt: skip
    asked = new.after(new, ["quick", "measured"], True)
    assert asked.left(["quick", "measured"]) == ["quick", "measured"]
    assert steps(mutant, asked, ["quick", "full", "measured"], files, known, False) == [
        ("quick", ["c"]), ("full", ["d", "e"]), ("measured", files[9:]),
    ]  # fmt: skip
    both = asked.after(asked, ["quick", "measured"], False)
    assert both.left(["quick", "full", "measured"]) == ["full"]
    assert replace(both, stage="quick", seconds=2.0).after(asked, ["full"], False).seconds == 2.0


def test_copies_are_worked_in_at_once_and_by_one_each(tmp_path: Path) -> None:
    """Two workers meet; what one raises is raised."""
    trees, both = Trees(tmp_path / "no-source", tmp_path, 1, 2, needed=()), Barrier(2, timeout=60)

    def work(number: int) -> int:
        with trees.one():
            both.wait()
        if number == 3:
            raise ValueError("three")
        return number

    assert sorted(trees.each([1, 2], work)) == [1, 2]
    with pytest.raises(ValueError, match="three"):
        list(trees.each([3, 4], work))


def test_an_equivalent_mutant_counts_as_survivor() -> None:
    """One of three noticed is a third, and both others are listed."""
    sample = [one(1), one(2), one(3, "boundary")]
    found = {
        sample[0].id: Found(sample[0].id, "quick", "", None, 1),
        sample[1].id: Found(sample[1].id, SOUND, "", True, 1),
        sample[2].id: Found(sample[2].id, SOUND, "", False, 1),
    }
    assert score([(m, found[m.id]) for m in sample]) == pytest.approx(100 / 3)
    told = summary(sample, found)
    assert "33.3 % of 3" in told and told.count("survives") == 2 and told.count("equal memory") == 1


def test_a_stage_notices_a_mutant_in_a_copy_alone(tmp_path: Path) -> None:
    """The first tiers see arm64's pte_dirty turned round; the tree here stays as it is."""
    path = "arches/arm64/pgtable.py"
    before = (ROOT / path).read_text(encoding="utf-8")
    mutant = next(m for m in mutants(path, before) if m.function == "pte_dirty")
    tree = Tree(ROOT, tmp_path)
    tree.with_(mutant)
    code, what = tree.stage("quick", 0, 300)
    assert code == 1 and what.startswith(("arm64/6.12/smoke.", "arm64/6.12/algebra."))
    assert (ROOT / path).read_text(encoding="utf-8") == before
    tree.sound(mutant)
    assert (tmp_path / path).read_text(encoding="utf-8") == before
