"""The reference of the Python API is complete and up to date."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

import mmarch
from mmarch.scenario.build import Scenario
from tools import python_reference

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "python-api.md").read_text("utf-8")


def section(name: str) -> str:
    """What the page says below the heading of a name."""
    found = re.search(rf"^### `{re.escape(name)}`\n(.*?)(?=^##|\Z)", PAGE, re.MULTILINE | re.DOTALL)
    return found[1] if found else ""


def test_it_is_up_to_date() -> None:
    """Run `python tools/python_reference.py` after a change of a signature or docstring."""
    assert python_reference.main(["--check"]) == 0


@pytest.mark.parametrize("name", mmarch.__all__)
def test_every_public_name_is_documented(name: str) -> None:
    """Once, with the beginning of its docstring, and every parameter of a function."""
    item = mmarch.api.check if name == "check" else getattr(mmarch, name)
    assert PAGE.count(f"### `{name}`\n") == 1
    assert (inspect.getdoc(item) or "").split("\n")[0].replace("``", "`") in section(name)
    if inspect.isfunction(item):
        assert [
            parameter
            for parameter in inspect.signature(item).parameters
            if f"{parameter}:" not in section(name)
        ] == []


def test_every_method_of_a_scenario_is_documented() -> None:
    """They are verbs of the language."""
    methods = [name for name, value in vars(Scenario).items() if name[0] != "_" and inspect.isfunction(value)]
    assert len(methods) > 20
    assert [name for name in methods if f"- `{name}(" not in section("Scenario")] == []


def test_two_columns_become_a_list() -> None:
    """Names that share a description share it in the list; other paragraphs stay."""
    text = "What it is.\n\na, b  two of them,\n      in two lines\nc     one\n\nMore of  it."
    assert python_reference.prose(text) == (
        "What it is.\n\n- `a`: two of them, in two lines\n- `b`: two of them, in two lines\n- `c`: one\n\nMore of  it."
    )
