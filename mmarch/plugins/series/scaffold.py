"""Write the beginnings of a series: copies of the functions to change, with all that they name."""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Iterable, Mapping, Sequence
from inspect import getsource
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from core_mm import hookspecs, releases
from core_mm.features import feature
from mmarch.errors import InputError
from mmarch.plugins.series.checking import core_functions, core_modules, find_function
from mmarch.plugins.series.digest import digest
from mmarch.suggest import unknown
from mmarch.writing import check, writing

_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
WIDTH = 110


def new_series(name: str, replace: Sequence[str] = (), hooks: Sequence[str] = (), output: str = "") -> Path:
    """A file with a series `name` that runs as the release does: a copy of each function, an idle hook each.

    replace  names of functions of core-mm, dotted, or the last part if that is the only one of that name
    hooks    names of new hooks, whose parameters are to be written
    output   the file, by default ``NAME.py``

    InputError for an unknown or ambiguous function, a name that is taken, or a file that is there already.
    """
    _check_names(name, hooks)
    path = Path(output or f"{name}.py")
    if path.exists():
        raise InputError(f"{path} is there already; choose another file with --output, or remove it")
    check(str(path))
    functions = [resolve(one) for one in replace]
    with writing(path) as file:
        file.write(text(name, functions, hooks).encode())
    return path


def resolve(name: str) -> FunctionType:
    """A function of core-mm by its dotted or its bare name."""
    known = core_functions()
    found = [one for one in known if one == name or one.rpartition(".")[2] == name]
    if len(found) > 1:
        raise InputError(f"--replace {name}: there are {' and '.join(found)}; give one of them")
    if not found and name in hookspecs.HOOKS:
        raise InputError(
            f"--replace {name}: a hook; a series gives it an implementation: see docs/reference/series.md"
        )
    if not found:
        near = known if "." in name else [one.rpartition(".")[2] for one in known]
        raise unknown("function of core-mm", name, near, "They are core_mm.MODULE.FUNCTION.")
    function = find_function(found[0])
    assert function is not None
    return function


def _check_names(name: str, hooks: Sequence[str]) -> None:
    for one in (name, *hooks):
        if not _NAME.fullmatch(one):
            raise InputError(
                f"{one!r} is no name for a series or a hook; begin with a lower-case letter and go on with up to 39 "
                "lower-case letters, digits and underscores"
            )
        if one in hookspecs.HOOKS:
            raise InputError(f"{one!r} is a hook already; choose another name")
        if one in feature.table:
            raise InputError(f"{one!r} is a feature already; choose another name")


def text(name: str, functions: Sequence[FunctionType], hooks: Sequence[str]) -> str:
    """The file."""
    marks = ["Series", *(["hookspec", "implements"] if hooks else []), *(["replaces"] if functions else [])]
    latest = list(releases.RELEASES)[-1]
    own = {f.__name__: f for f in functions}
    lines = [
        f'"""TODO: what the series {name} does, and why."""', "",
        "from __future__ import annotations", "",
        *_imports(functions, own, marks), "",
        "series = Series(",
        f'    name="{name}",',
        '    title="TODO: the subject of its cover letter",',
        '    link="",',
        f'    releases=("{latest}",),',
        ")",
    ]  # fmt: skip
    for hook in hooks:
        lines += ["", "", *_hook(hook)]
    for function in functions:
        lines += [
            "",
            "",
            f'@replaces("{_dotted(function)}", digest="{digest(function)}")',
            getsource(function).rstrip(),
        ]
    return "\n".join(lines) + "\n"


def _hook(name: str) -> list[str]:
    return [
        "@hookspec",
        f"def {name}(mm: int, addr: int, nr: int) -> int:",
        '    """TODO: the contract: what the caller holds, the parameters with their units, what is returned."""',
        "    return 0  # the default",
        "",
        "",
        f'@implements("{name}", "arm64")',
        f"def arm64_{name}(mm: int, addr: int, nr: int) -> int:",
        '    """TODO: what this architecture does."""',
        "    return 0",
    ]


def _dotted(function: FunctionType) -> str:
    return f"{function.__module__}.{function.__name__}"


def _imports(
    functions: Iterable[FunctionType], own: Mapping[str, FunctionType], marks: list[str]
) -> list[str]:
    """Where each global name that the functions use comes from, but for those that the file defines; and the marks."""
    wanted: dict[str, Any] = {}
    for function in functions:
        for node in ast.walk(ast.parse(getsource(function))):
            if isinstance(node, ast.Name) and node.id in function.__globals__:
                value = function.__globals__[node.id]
                other = own.get(node.id) or wanted.get(node.id, (function, value))[1]
                if other is not value:
                    raise InputError(
                        f"{node.id} means one thing in {_dotted(function)} and another in the functions before it; "
                        "replace them in two files"
                    )
                if node.id not in own:
                    wanted[node.id] = (function, value)
    lines: dict[str, list[str]] = {"core_mm.series": marks}
    modules = []
    for name, (function, value) in wanted.items():
        if isinstance(value, ModuleType):
            parent, _, last = value.__name__.rpartition(".")
            modules.append(f"from {parent} import {last}" + ("" if last == name else f" as {name}"))
        elif not hasattr(builtins, name):
            lines.setdefault(_home(function, name, value), []).append(name)
    return sorted(set(modules)) + [
        line for home in sorted(lines) for line in _import(home, sorted(lines[home]))
    ]


def _home(function: FunctionType, name: str, value: object) -> str:
    """Where a name is to be had from: of constants, where the function's own module has it from."""
    if isinstance(value, FunctionType | type):
        return value.__module__
    here = core_modules()[function.__module__]
    for node in ast.parse(Path(str(here.__file__)).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom) and any(
            (alias.asname or alias.name) == name for alias in node.names
        ):
            return str(node.module)
    return function.__module__


def _import(home: str, names: Sequence[str]) -> list[str]:
    line = f"from {home} import {', '.join(names)}"
    return (
        [line] if len(line) <= WIDTH else [f"from {home} import (", *(f"    {name}," for name in names), ")"]
    )
