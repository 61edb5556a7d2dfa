"""`check --coverage`: what a campaign reached, branch by branch, and the reasons for the rest."""

from __future__ import annotations

import importlib.util
import linecache
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from types import ModuleType

import pytest

from mmarch.check.loading import load_named
from mmarch.check.reach import reasons
from mmarch.check.reach.model import Reached
from mmarch.check.reach.reading import read
from mmarch.check.reach.reasons import Entry, Reasons
from mmarch.check.reach.scope import Function, functions
from mmarch.check.reach.show import coverage
from mmarch.check.reach.tracing import SLOWER, following
from mmarch.check.results import Report
from mmarch.check.run import Options, check
from mmarch.engine import stopping
from mmarch.engine.changes import Changes
from mmarch.engine.program import Routine
from mmarch.errors import InputError

SOURCE = dedent('''
    """Four branches and two of a loop, three ways to know a feature, one function too many."""

    from core_mm.feature import Features, behaviour


    class toy(Features):
        new: int = behaviour("something", since="7.3", source="nowhere")
        unread: int = behaviour("nothing", since="7.3", source="nowhere")


    toy.new = 0


    def zap(nr):
        """Doc."""
        if nr > 1:
            return 1
        while nr:
            nr -= 1
        return 2


    def ask():
        return toy.new


    def idle(nr):
        if nr:
            return 1
        return 0
    ''')


@pytest.fixture
def toy(tmp_path: Path) -> Iterator[ModuleType]:
    """The module, imported as `toy_mm.unmap`."""
    path = tmp_path / "toy_mm" / "unmap.py"
    path.parent.mkdir()
    path.write_text(SOURCE, encoding="utf-8")
    spec = importlib.util.spec_from_file_location("toy_mm.unmap", path)
    assert spec is not None and spec.loader is not None
    module = sys.modules["toy_mm.unmap"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    del sys.modules["toy_mm.unmap"]
    linecache.checkcache()


def followed(toy: ModuleType, folder: Path, known: Reasons) -> Reached:
    """What two checks on two releases reach: zap(0) on the first, zap(1) and ask() on the other one."""
    folder.mkdir()
    follow = {"folder": str(folder), "files": [str(toy.__file__)]}
    with following(follow, "6.12", "smoke.one"):
        toy.zap(0)
    with following(follow, "7.3", "smoke.two"):
        toy.zap(1)
        toy.ask()
    named = [Function(Routine(one)) for one in (toy.zap, toy.ask, toy.idle)]
    has = {"6.12": frozenset[str](), "7.3": frozenset({"new"})}
    return read(str(folder), named, has.__getitem__, ["new", "unread"], known)


def test_what_is_followed_may_take_longer(toy: ModuleType, tmp_path: Path) -> None:
    """An operation counts as hung later while its lines are followed, and as soon as ever behind that."""
    usual = stopping.limit()
    with following({"folder": str(tmp_path), "files": [str(toy.__file__)]}, "6.12", "smoke.one"):
        assert stopping.limit() == SLOWER * usual
    assert stopping.limit() == usual


def test_branches_are_counted_each_way(toy: ModuleType, tmp_path: Path) -> None:
    """zap takes three of its four, since nothing has nr > 1; idle, which never runs, has two more."""
    found = followed(toy, tmp_path / "data", Reasons())
    assert (found.functions.reached, found.functions.total) == (2, 3)
    assert (found.branches.reached, found.branches.total) == (3, 6)
    assert found.branches.percent == 50
    assert [(one.function, one.text, one.way, one.branches) for one in found.unreached] == [
        ("toy_mm.unmap.zap", "if nr > 1:", "true", 1),
        ("toy_mm.unmap.idle", "", None, 2),
    ]
    assert list(found.packages) == ["toy_mm"] and list(found.files) == ["toy_mm/unmap.py"]


def test_a_feature_is_seen_on_the_releases_that_ran(toy: ModuleType, tmp_path: Path) -> None:
    """ask() ran on a release that has the feature; nothing asks for the other one."""
    assert followed(toy, tmp_path / "data", Reasons()).features == {"new": "with", "unread": "never"}


def test_reasons_speak_of_functions_lines_and_ways(toy: ModuleType, tmp_path: Path) -> None:
    """A reason for one way of a line does not excuse the other way; a reason for a function excuses all of it."""
    known = Reasons(
        unreached=(
            Entry(function="toy_mm.unmap.zap", text="if nr > 1:", way="false", reason="another way"),
            Entry(function="toy_mm.unmap.idle", reason="nobody calls it"),
        )
    )
    found = followed(toy, tmp_path / "data", known)
    assert [one.reason for one in found.unreached] == ["", "nobody calls it"]
    told = "\n".join(coverage(found))
    assert (
        "2  nobody calls it" in told and "if nr > 1: never true" in told and "not reached: 1 branches" in told
    )
    assert max(map(len, told.splitlines())) <= 80


def test_a_reason_for_what_was_reached_is_an_error(toy: ModuleType, tmp_path: Path) -> None:
    """Of a function that ran, of a way that was taken; not of one that was not, nor of a line of which one way was."""
    entries = (
        ("ask", "", None, True),
        ("zap", "while nr:", "true", True),
        ("zap", "if nr > 1:", "false", True),
        ("zap", "if nr > 1:", "true", False),
        ("zap", "if nr > 1:", None, False),
        ("idle", "", None, False),
    )
    known = [
        Entry(function=f"toy_mm.unmap.{name}", text=text, way=way, reason="no program gets there")
        for name, text, way, _ in entries
    ]
    found = followed(toy, tmp_path / "data", Reasons(unreached=tuple(known)))
    wrong = [entry for entry, (*_, refuted) in zip(known, entries, strict=True) if refuted]
    assert sorted(one.model_dump_json() for one in found.untrue) == sorted(
        one.model_dump_json() for one in wrong
    )
    told = "\n".join(coverage(found))
    assert "take the reason out" in told and "unmap.zap: while nr: true (no program" in told
    report = Report(arch="toy", distribution="", version="", seed=0, quick=True, level="must", complete=True)
    assert report.ok
    assert not report.model_copy(update={"coverage": found}).ok
    assert report.model_copy(update={"coverage": found, "with_": ("a_series",)}).ok


def test_a_run_of_the_suite_says_what_it_reached() -> None:
    """Smoke sets entries of arm64 and unmaps nothing; its report is the same JSON with one field more."""
    report = check("arm64", Options(only=("smoke.walk",), releases=("6.12",), quick=True, coverage=True))
    found = report.coverage
    assert report.ok and found is not None
    files = found.files
    assert files["core_mm/mmap.py"].functions.reached and not files["core_mm/reclaim.py"].functions.reached
    assert 0 < found.branches.reached < found.branches.total / 2
    assert set(found.packages) == {"core_mm", "arches.arm64"}
    idle = {one.function for one in found.unreached if one.way is None}
    assert "core_mm.memory.zap.zap_present_ptes" in idle and "core_mm.mmap.do_mmap" not in idle
    assert type(report).model_validate_json(report.model_dump_json(by_alias=True)) == report


@pytest.mark.parametrize("arch", ["arm64", "generic"])
def test_reasons_name_what_there_is(arch: str) -> None:
    """Each reason in core_mm and the architecture names a function of the machine, and a line that branches in it."""
    generic = load_named("generic").descriptor
    found = {one.name: one for one in functions(load_named(arch).descriptor, generic, Changes())}
    for entry in reasons.load(sorted({one.package for one in found.values()})).unreached:
        one = found[entry.function]
        texts = [linecache.getline(one.path, line).strip() for line in one.branching]
        assert not entry.text or entry.text in texts, entry


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[unreached]]\nfunction = 'a.b'\n", "reason"),
        ("[[unreached]]\nfunction = 'a.b'\nreason = 'long enough'\nway = 'up'\n", "way"),
        ("[[", "not TOML"),
    ],
)
def test_a_wrong_file_of_reasons_is_named(
    text: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file and the field."""
    package = tmp_path / "reasoned"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / reasons.NAME).write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "reasoned", raising=False)
    with pytest.raises(InputError, match=said) as caught:
        reasons.load(["reasoned"])
    assert reasons.NAME in str(caught.value)


def test_without_the_library_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before any process is started."""
    monkeypatch.setitem(sys.modules, "coverage", None)
    with pytest.raises(InputError, match="pip install"):
        check("arm64", Options(only=("smoke.walk",), coverage=True))
