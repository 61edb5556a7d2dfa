"""One thing that is wrong with a plugin."""

from __future__ import annotations

from dataclasses import dataclass

from core_mm.descriptor import ArchDescriptor


@dataclass(frozen=True)
class Problem:
    """A code and a text that starts with where."""

    code: str
    text: str


def of_package(arch: ArchDescriptor, module: str) -> bool:
    """Whether a module belongs to the package that holds the architecture's modules."""
    packages = {name.rpartition(".")[0] or name for name in arch.modules}
    return any(module == package or module.startswith(package + ".") for package in packages)
