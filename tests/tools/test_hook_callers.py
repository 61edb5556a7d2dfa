"""Who calls each hook, as read from the source: held to what runs do, and to what contracts say."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import mmarch
from core_mm import hookspecs
from core_mm.releases import RELEASES, number
from tools.hook_callers import Reader, callers

SCENARIOS = Path(__file__).parents[2] / "examples" / "scenarios"


def read(text: str, *has: str) -> list[str]:
    """Names that some statements call in a release with these features."""
    return list(Reader(frozenset(has)).block(ast.parse(text).body))


@pytest.mark.parametrize(
    ("text", "without", "having"),
    [
        ("if feature.f:\n a()\nelse:\n b()", "b", "a"),
        ("if not feature.f:\n a()\n return_()\nb()", "a return_ b", "b"),
        ("if feature.f and x():\n a()\nb()", "b", "x a b"),
        ("if feature.f or x():\n a()\nb()", "x a b", "a b"),
        ("y = a() if feature.f else b()", "b", "a"),
        ("y = feature.f and a()", "", "a"),
        ("y = x.a(b())", "a b", "a b"),
        ("while a():\n if feature.f:\n  continue\n b()", "a b", "a"),
        ("if x:\n a()\n if feature.f:\n  b()", "a", "a b"),
    ],
)  # fmt: skip
def test_features_decide(text: str, without: str, having: str) -> None:
    """What is called in a release that lacks a feature, and in one that has it."""
    assert read(text) == without.split()
    assert read(text, "f") == having.split()


def test_nothing_follows_a_return() -> None:
    """Of a function whose way parts at a feature."""
    body = ast.parse("def f():\n if feature.f:\n  return a()\n return b()").body[0]
    assert isinstance(body, ast.FunctionDef)
    assert list(Reader(frozenset({"f"})).block(body.body)) == ["a"]
    assert list(Reader(frozenset()).block(body.body)) == ["b"]


@pytest.mark.parametrize("release", RELEASES)
def test_hooks_that_run_are_expected_to(release: str) -> None:
    """Each outermost hook of a run is one that is said to be called in that release."""
    seen: set[str] = set()
    for name in ("fork", "mprotect", "madv_cold", "munmap_partial", "mremap"):
        result = mmarch.run(SCENARIOS / f"{name}.scn", release=release, by="hook", engine="interpreted")
        seen |= (result.hooks or {}).keys() & set(hookspecs.HOOKS)
    called = {hook for hook, by in callers().items() if release in by}
    assert len(seen) > 10
    assert seen - called == set()


def test_contracts_name_the_release_that_brought_a_hook() -> None:
    """A batch hook that a contract dates after a release of the twin is not called in it."""
    dated = {
        hook: number(found[-1])
        for hook in hookspecs.HOOKS
        if hook.endswith("_ptes")
        and (found := re.findall(r"Linux (\d+\.\d+)\.(?:\s|$)", getattr(hookspecs, hook).__doc__))
    }
    assert dated["modify_prot_start_ptes"] == (6, 17)
    early = {
        (hook, release)
        for hook, since in dated.items()
        for release in callers()[hook]
        if release[0].isdigit() and number(release) < since
    }
    assert {hook for hook, _ in early} <= {"wrprotect_ptes", "clear_young_dirty_ptes"}, (
        "of one entry each, in 6.7"
    )
