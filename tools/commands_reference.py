"""Write docs/reference/commands.md from the commands as they are declared in mmarch/cli.

`python tools/commands_reference.py` writes it, with --check it only says whether it is up to date.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, get_args, get_origin

import typer

from mmarch.cli.app import app
from tools.generated import write_or_check

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "commands.md"
HEAD = """# Commands

Every command with its arguments and options, made from [mmarch/cli](../../mmarch/cli/app.py) by
`python tools/commands_reference.py`. `mmarch COMMAND --help` prints the same.

- Options may stand anywhere after the command, those of `mmarch` itself before it.
- A WORKLOAD is a name of a bundled trace, a recording, a [scenario file](scenarios.md), or `-` for stdin; without
  one, it is the bundled trace `redis-bgsave`.
- stdout is the answer and nothing else; notes and progress go to stderr. [Exit codes](exit-codes.md).
- `--format` is explained in [formats](formats.md), `--json` in [JSON](json.md), `--config` in
  [features and releases](features.md).

| environment variable | what |
|---|---|
| `MMARCH_CACHE_DIR` | where linked images, results of the suite and kernels are kept, instead of the user's cache |
| `MMARCH_JOBS` | how many processes to use at most |
| `MMARCH_QUICK_LINK` | 1: link unoptimized, in half a second, not eight, as `mmarch check` does: for short workloads |
| `MMARCH_HANG` | seconds of processor time after which an operation counts as hung, instead of 20 |
| `MMARCH_DEBIAN_ARCHIVE` | the archive of `mmarch kernel`, instead of the one that apt uses |
| `MMARCH_TRACEBACK` | 1: tracebacks, as `--traceback` |
| `MMARCH_VERBOSE` | 1: what is read, cached and linked, as `--verbose` |
| `NO_COLOR` | anything: no colours |
"""


@dataclass(frozen=True)
class Parameter:
    """An argument or option as it is declared, and the type behind it."""

    declared: Any
    kind: Any

    @property
    def is_option(self) -> bool:
        """Written with dashes."""
        return str(self.declared.param_type_name) == "option"

    @property
    def names(self) -> tuple[str, ...]:
        """As they are written on the command line, long form first."""
        if not self.is_option:
            return (self.declared.metavar or self.declared.name.upper(),)
        given = (*self.declared.opts, *self.declared.secondary_opts)
        return tuple(sorted(given, key=len, reverse=True))

    @property
    def value(self) -> str:
        """What follows an option."""
        kind = self.kind
        if not self.is_option or kind is bool:
            return ""
        if self.declared.metavar:
            return f" {self.declared.metavar}"
        if isinstance(kind, type) and issubclass(kind, Enum):
            return f" {'|'.join(str(member.value) for member in kind)}"
        return " N" if kind in (int, float) else f" {self.names[0].strip('-').upper()}"

    @property
    def default(self) -> str:
        """What stands in for one that is not given, empty if that needs no words."""
        value, shown = self.declared.default, self.declared.show_default
        if isinstance(shown, str):
            return shown
        value = value.value if isinstance(value, Enum) else value
        return f"`{value}`" if shown and value is not False and value not in (None, "") else ""

    def row(self) -> str:
        """Of the table."""
        named = ", ".join(f"`{name}{self.value}`" for name in self.names)
        cells = (named, self.declared.help or "", self.default)
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


@dataclass(frozen=True)
class Command:
    """A command: the words that call it, and what is behind it."""

    words: str
    command: Any

    @property
    def parameters(self) -> Iterator[Parameter]:
        """In the order of the help, but what is hidden."""
        kinds = inspect.signature(self.command.callback, eval_str=True).parameters
        for declared in self.command.params:
            if declared.name in kinds and not declared.hidden:
                yield Parameter(declared, _plain(kinds[declared.name].annotation))

    @property
    def usage(self) -> str:
        """One line."""
        arguments = [
            item.names[0] if item.declared.required else f"[{item.names[0].strip('[]')}]"
            for item in self.parameters
            if not item.is_option
        ]
        return " ".join([self.words, "[OPTION…]", *arguments])

    def render(self) -> str:
        """Its section."""
        head = f"\n## `{self.words}`\n\n{inspect.cleandoc(self.command.help)}\n"
        usage = f"\n```text\n{self.usage}\n```\n"
        rows = [item.row() for item in self.parameters]
        table = "\n".join(["", "| argument or option | what | default |", "|---|---|---|", *rows, ""])
        return head + usage + (table if rows else "")


def commands() -> Iterator[Command]:
    """`mmarch` itself, then its commands in the order of the help."""
    yield from _below("mmarch", typer.main.get_command(app))


def _below(words: str, command: Any) -> Iterator[Command]:
    inner = getattr(command, "commands", {})
    if not inner or words == "mmarch":
        yield Command(words, command)
    for name, item in inner.items():
        yield from _below(f"{words} {name}", item)


def _plain(kind: Any) -> Any:
    """The type without what typer is told, None and list."""
    if get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    if NoneType in get_args(kind):
        kind = get_args(kind)[0]
    return get_args(kind)[0] if get_origin(kind) is list else kind


def render() -> str:
    """The page."""
    return HEAD + "".join(command.render() for command in commands())


def main(arguments: list[str]) -> int:
    """Write the page, or compare it; 1 if it is out of date."""
    return write_or_check([(PAGE, render())], arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
