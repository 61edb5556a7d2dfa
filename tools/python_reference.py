"""Write docs/reference/python-api.md from the signatures and docstrings of what `mmarch` exports.

`python tools/python_reference.py` writes it, with --check it only says whether it is up to date.
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
from collections.abc import Callable, Container, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import mmarch
from mmarch.check import Options
from mmarch.testing import Bench
from tools.generated import write_or_check

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "python-api.md"
WIDTH = 100
ELSEWHERE = {"mmarch.check.Options": Options, "mmarch.testing.Bench": Bench}
PAIR = re.compile(r"^(\w+(?:, \w+)*) {2,}(\S.*)$")

HEAD = """# Python, name by name

Everything that `import mmarch` gives, made from its signatures and docstrings by `python tools/python_reference.py`.
Where to begin, and what belongs to which command, is in [Python](python.md).

Keywords `**chosen: Unpack[Choosing]` are those of [`Choosing`](#choosing). Every error is a `mmarch.errors.MmarchError`
with a message and an `exit_code`, one of the [exit codes](exit-codes.md): `InputError` is about what was asked,
`PluginError` about a plugin.
"""


def prose(docstring: str, but: Container[str] = ()) -> str:
    """A docstring as Markdown: its two-column lists become lists, without the names of `but`."""
    parts = inspect.cleandoc(docstring).split("\n\n")
    shown = [_listed(described, but) if (described := pairs(part)) else part for part in parts]
    return "\n\n".join(filter(None, shown)).replace("``", "`")


def pairs(paragraph: str) -> dict[str, str]:
    """What a two-column list says of each name; empty if a paragraph is no such list."""
    found: dict[str, str] = {}
    for line in paragraph.split("\n"):
        if pair := PAIR.match(line):
            names, found = pair[1], found | {pair[1]: pair[2]}
        elif found and line.startswith("  "):
            found[names] += f" {line.strip()}"
        else:
            return {}
    return {name.strip(): what for names, what in found.items() for name in names.split(",")}


def _listed(described: Mapping[str, str], but: Container[str]) -> str:
    return "\n".join(f"- `{name}`: {what}" for name, what in described.items() if name not in but)


def signature(name: str, call: Callable[..., Any], typed: bool = True) -> str:
    """As it is declared, on one line or one parameter a line."""
    found = inspect.signature(call)
    parts: list[str] = []
    for item in found.parameters.values():
        if item.kind is item.KEYWORD_ONLY and not any(part[0] == "*" for part in parts):
            parts.append("*")
        if item.name != "self":
            parts.append(_parameter(item, typed))
    result = f" -> {annotation(found.return_annotation)}" if typed and found.return_annotation else ""
    line = f"{name}({', '.join(parts)}){result}"
    return line if len(line) <= WIDTH else f"{name}(\n    " + ",\n    ".join(parts) + f",\n){result}"


def _parameter(item: inspect.Parameter, typed: bool) -> str:
    stars = "**" if item.kind is item.VAR_KEYWORD else "*" if item.kind is item.VAR_POSITIONAL else ""
    named = f"{stars}{item.name}" + (f": {annotation(item.annotation)}" if typed else "")
    if item.default is item.empty:
        return named
    default = "..." if inspect.isfunction(item.default) else repr(item.default)
    return f"{named} = {default}" if typed else f"{named}={default}"


def annotation(given: Any) -> str:
    """As it stands in the source."""
    given = getattr(given, "__forward_arg__", given)
    return given if isinstance(given, str) else getattr(given, "__name__", str(given))


def members(kind: type) -> Iterator[str]:
    """Fields, properties and methods of a class that are its own or of its bases in this project."""
    described = {
        name: what
        for part in inspect.cleandoc(kind.__doc__ or "").split("\n\n")
        for name, what in pairs(part).items()
    }
    for name, what in _fields(kind).items():
        yield f"- `{name}: {what}`" + (f": {described[name]}" if name in described else "")
    for name, value in _methods(kind).items():
        called = name if isinstance(value, property) else signature(name, value, typed=False)
        text = inspect.cleandoc(value.__doc__ or "").split("\n\n")[0].replace("\n", " ").replace("``", "`")
        yield f"- `{called}`{': ' if text else ''}{text}"


def _fields(kind: type) -> dict[str, str]:
    found: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        if base.__module__.split(".")[0] in ("mmarch", "core_mm"):
            declared = inspect.get_annotations(base)
            found |= {name: annotation(what) for name, what in declared.items() if not name.startswith("_")}
    return {name.rstrip("_") if name == "schema_" else name: what for name, what in found.items()}


def _methods(kind: type) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for base in reversed(kind.__mro__):
        if base.__module__.split(".")[0] in ("mmarch", "core_mm"):
            found |= {
                name: value
                for name, value in vars(base).items()
                if not name.startswith("_") and (inspect.isfunction(value) or isinstance(value, property))
            }
    return found


def returned() -> dict[str, type]:
    """Classes of this project that the return annotations of public functions name, and mmarch does not export."""
    found: dict[str, type] = {}
    for name in mmarch.__all__:
        call = getattr(mmarch, name)
        if inspect.isfunction(call):
            known = _imports(call.__module__)
            for word in re.findall(r"\w+", str(inspect.signature(call).return_annotation)):
                if word in known and word not in mmarch.__all__:
                    module, real = known[word]
                    found[word] = getattr(import_module(module), real)
    return {word: kind for word, kind in sorted(found.items()) if inspect.isclass(kind)}


def _imports(module: str) -> dict[str, tuple[str, str]]:
    """Names that a module imports from this project, for type checkers too: where they are, and their names there."""
    tree = ast.parse(inspect.getsource(import_module(module)))
    return {
        alias.asname or alias.name: (node.module, alias.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith(("mmarch", "core_mm"))
        for alias in node.names
    }


def _function(name: str, call: Callable[..., Any]) -> str:
    return f"\n### `{name}`\n\n```python\n{signature(f'mmarch.{name}', call)}\n```\n\n{prose(call.__doc__ or '')}"


def _class(name: str, kind: type, made: bool = False) -> str:
    call = f"\n\n```python\n{signature(name, kind)}\n```" if made else ""
    listed = "\n".join(members(kind))
    return f"\n### `{name}`{call}\n\n{prose(kind.__doc__ or '', _fields(kind))}" + (
        f"\n\n{listed}" if listed else ""
    )


def _parts() -> Iterator[str]:
    from mmarch.api import check

    public = {name: getattr(mmarch, name) for name in mmarch.__all__} | {"check": check}
    yield "\n## Functions"
    yield from (_function(name, call) for name, call in sorted(public.items()) if not inspect.isclass(call))
    yield "\n## Classes"
    classes = {name: kind for name, kind in sorted(public.items()) if inspect.isclass(kind)}
    yield from (_class(name, kind, made=name == "Scenario") for name, kind in classes.items())
    yield "\n## Elsewhere"
    yield from (_class(name, kind) for name, kind in ELSEWHERE.items())
    yield "\n## What functions return besides\n\nNot to be made by yourself; reading them is what they are for."
    yield from (_class(name, kind) for name, kind in returned().items())


def render() -> str:
    """The page."""
    return HEAD + "\n".join(_parts()) + "\n"


def main(arguments: list[str]) -> int:
    """Write the page, or compare it; 1 if it is out of date."""
    return write_or_check([(PAGE, render())], arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
