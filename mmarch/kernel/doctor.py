"""What measuring needs, what is there, and how to get the rest."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass

from mmarch.errors import InputError
from mmarch.kernel import build, tools


@dataclass(frozen=True)
class Finding:
    """One thing that is needed; `found` is it, or why it is not there; `fix` installs it."""

    purpose: str
    found: str
    ok: bool = True
    fix: str = ""
    optional: bool = False

    @property
    def mark(self) -> str:
        """For a table."""
        return "ok" if self.ok else "missing"


def examine() -> list[Finding]:
    """Everything, in the order in which it is used."""
    return [
        _tool("emulation", tools.qemu, tools.INSTALL_QEMU),
        _tool("plugin", tools.compiler, tools.INSTALL_CC),
        _tool("guest", tools.cross_compiler, tools.INSTALL_CROSS),
        _program("ext4 scenarios", "mke2fs", "apt-get install e2fsprogs"),
        _program(
            "debian: kernels", "apt-get", "only on Debian and its kin; name an Image of your own elsewhere"
        ),
        *_parts(),
    ]


def _tool(purpose: str, find: Callable[[], tools.Tool], fix: str) -> Finding:
    try:
        found = find()
    except InputError as error:
        return Finding(purpose, str(error).split(":", 1)[0], False, fix)
    warning = tools.untested(found) if find is tools.qemu else ""
    return Finding(purpose, warning or found.version)


def _program(purpose: str, name: str, fix: str) -> Finding:
    path = shutil.which(name, path="/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin")
    return Finding(purpose, path, optional=True) if path else Finding(purpose, f"no {name}", False, fix, True)


def _parts() -> list[Finding]:
    """Guest and plugin, built now."""
    found = []
    for purpose, make in (("plugin, built", build.plugin), ("guest, built", build.guest)):
        try:
            found.append(Finding(purpose, make().name))
        except InputError as error:
            found.append(Finding(purpose, str(error).split("\n", 1)[0][:100], False))
    return found
