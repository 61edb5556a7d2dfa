"""What is quick stays quick: no command loads more than it needs."""

from __future__ import annotations

import subprocess
import sys

import pytest


def loaded_by(*arguments: str) -> set[str]:
    """Modules that are loaded after a command has run, in a process of its own."""
    code = f"import sys\nfrom mmarch.cli import main\nmain({list(arguments)!r})\nprint('\\nMODULES', *sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.rpartition("MODULES ")[2].split())


@pytest.mark.parametrize(
    ("arguments", "unwanted"),
    [
        (("--version",), ("typer", "pydantic", "pluggy", "numpy", "llvmlite", "rich")),
        (("--help",), ("numpy", "llvmlite", "rich", "pluggy", "core_mm", "pydantic")),
        (("run", "--help"), ("numpy", "llvmlite", "rich", "pluggy", "core_mm")),
        (("arch", "list"), ("numpy", "llvmlite", "rich", "mmarch.engine.machine")),
        (("arch", "show", "arm64"), ("numpy", "llvmlite", "rich", "mmarch.engine.machine")),
        (("costs", "list"), ("numpy", "llvmlite", "rich", "mmarch.engine.machine")),
    ],
)
def test_commands_import_lazily(arguments: tuple[str, ...], unwanted: tuple[str, ...]) -> None:
    """Heavy libraries wait for the command that needs them."""
    loaded = loaded_by(*arguments)
    assert "mmarch.cli" in loaded
    assert [name for name in unwanted if name in loaded] == []


def test_an_arch_loads_only_when_chosen() -> None:
    """Listing names for completion imports no plugin."""
    code = (
        "import sys\nfrom mmarch.cli import complete\n"
        "print(*complete.arch('a'))\nprint(*[m for m in sys.modules if m.startswith('arches')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "arm64\n\n"
