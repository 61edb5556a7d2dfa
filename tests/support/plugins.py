"""Plugins on the fly: a distribution with one module, visible to importlib.metadata."""

from __future__ import annotations

import sys
from pathlib import Path
from textwrap import dedent

import pytest

DESCRIPTOR = """
from core_mm.descriptor import ArchDescriptor, Cpu, Geometry
from core_mm.hookspecs import hookimpl

def descriptor(**changes):
    given = dict(
        name="{name}",
        modules=("{module}",),
        granules={{"4k": Geometry(page_shift=12, pte_bits=9, levels=4)}},
        default_granule="4k",
        cpus={{"plain": Cpu(description="plain", features={{}})}},
        default_cpu="plain",
        events=("tlbi_page", "tlbi_mm", "tlbi_all"),
    )
    return ArchDescriptor(**{{**given, **changes}})
"""


class Plugins:
    """Installs distributions into a folder that is on the path as long as the test runs."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        monkeypatch.syspath_prepend(folder)

    def install(
        self, body: str, name: str = "toy", module: str = "", distribution: str = "", version: str = "1.2",
        prelude: bool = True, target: str = "", group: str = "mmarch.arch",
    ) -> Path:  # fmt: skip
        """A distribution whose entry point `name` in `group` is `module:arch`; the path of the module."""
        module = module or f"mmarch_{name}"
        distribution = distribution or f"mmarch-{name}"
        path = self.folder / f"{module.replace('.', '/')}.py"
        head = DESCRIPTOR.format(name=name, module=module) if prelude else ""
        path.write_text(head + dedent(body))
        info = self.folder / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(f"[{group}]\n{name} = {target or module + ':arch'}\n")
        return path

    def forget(self) -> None:
        """Remove what was imported from here."""
        for name, module in list(sys.modules.items()):
            if str(getattr(module, "__file__", "")).startswith(str(self.folder)):
                del sys.modules[name]


def line_of(path: Path, text: str) -> int:
    """The 1-based number of the first line that contains `text`."""
    lines = path.read_text().splitlines()
    return next(number for number, line in enumerate(lines, 1) if text in line)
