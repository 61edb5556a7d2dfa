"""Linked functions give what CPython gives, and what cannot be linked is refused with its place."""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mmarch.engine.bind import Binder
from mmarch.engine.code import Code
from mmarch.engine.layout import Layout
from mmarch.engine.link import Image, link
from mmarch.engine.lower import Options
from mmarch.engine.memory import Memory
from mmarch.engine.program import NotLinkable
from tests.engine import subset

pytestmark = pytest.mark.optimized

LINKABLE = (subset.arithmetic, subset.choices, subset.loops, subset.calls, subset.memory)
LAYOUT = Layout.of([subset])
SIZES = {"cells": 8, "pairs": 8}
SMALL = st.integers(-(1 << 20), 1 << 20)


def linked(*functions: Callable[[int, int], int], options: Options = Options()) -> Image:
    """An image of those functions."""
    roots = tuple(f for f in functions if isinstance(f, FunctionType))
    return link(Code(roots, {}, {}), LAYOUT, options)


@pytest.fixture(scope="module")
def image() -> Image:
    """All that links."""
    return linked(*LINKABLE)


@pytest.mark.parametrize("function", LINKABLE, ids=lambda f: f.__name__)
def test_same_as_python(image: Image, function: Callable[[int, int], int]) -> None:
    """The same results and the same memory, negative numbers included."""

    @given(a=SMALL, b=SMALL)
    @example(a=-7, b=2)
    @example(a=0, b=0)
    def check(a: int, b: int) -> None:
        fast, slow = Memory(LAYOUT, SIZES), Memory(LAYOUT, SIZES)
        if function is subset.memory:  # Python's views refuse what does not fit, the image wraps
            a, b = a % 128, b % 128
        assert isinstance(function, FunctionType)
        expected = int(Binder(slow, {"tests"}, {}).function(function)(a, b))
        assert image.call(function.__name__, fast, a, b) == expected
        assert fast.image() == slow.image()

    check()


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (subset.with_list, "len"),
        (subset.with_try, "Try statements do not link"),
        (subset.with_string, "str"),
        (subset.with_power, "Pow does not link"),
        (subset.with_huge, "does not fit a signed 64-bit integer"),
        (subset.with_iterable, "only `for … in range(…)` links"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_refused_with_its_place(function: Callable[[int, int], int], reason: str) -> None:
    """The message names the file and the construct."""
    with pytest.raises(NotLinkable, match=r"subset\.py:") as caught:
        linked(function)
    assert reason in str(caught.value)


def test_checked_image_reports_an_index_outside() -> None:
    """The first access beyond an array is noted and goes to element 0."""
    memory = Memory(LAYOUT, {"cells": 4, "pairs": 8})
    checked = linked(subset.memory, options=Options(checked=True))
    checked.call("memory", memory, 5, 6)
    location, index, _ = memory.root[LAYOUT.fault : LAYOUT.fault + 3].tolist()
    assert LAYOUT.files[(location >> 32) - 1].endswith("subset.py")
    assert index == 4
