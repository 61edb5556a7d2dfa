"""What measuring needs from the system: QEMU, a compiler for the plugin, one for the guest.

Errors: mmarch.errors.InputError, with the line that installs what is missing.
"""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass

from mmarch.errors import InputError

QEMU = "qemu-system-aarch64"
OLDEST, TESTED = (9, 2), ((10, 0),)
INSTALL_QEMU = (
    "apt-get install qemu-system-arm (Debian 13 or newer; Debian 12: add bookworm-backports, then "
    "apt-get install -t bookworm-backports qemu-system-arm)"
)
INSTALL_CC = "apt-get install gcc libc6-dev"
INSTALL_CROSS = "apt-get install gcc-aarch64-linux-gnu libc6-dev-arm64-cross, or pip install 'mmarch[kernel]'"
_VERSION = re.compile(r"version (\d+)\.(\d+)(?:\.\d+)?")


@dataclass(frozen=True)
class Tool:
    """A program that was found, and how it says what it is."""

    command: tuple[str, ...]
    version: str

    def __str__(self) -> str:
        return f"{' '.join(self.command)} ({self.version})"


def qemu() -> Tool:
    """QEMU for arm64, new enough for the plugin."""
    path = shutil.which(QEMU)
    if path is None:
        raise InputError(f"{QEMU} is not installed: {INSTALL_QEMU}")
    text = _first_line([path, "--version"])
    if qemu_version(text) < OLDEST:
        wanted = ".".join(map(str, OLDEST))
        raise InputError(f"{path}: {text!r}, but plugins need version {wanted} or newer: {INSTALL_QEMU}")
    return Tool((path,), text)


def qemu_version(text: str) -> tuple[int, int]:
    """Major and minor of what QEMU says of itself."""
    match = _VERSION.search(text)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def untested(tool: Tool) -> str:
    """A warning if this QEMU is none that was tried."""
    version = qemu_version(tool.version)
    if version in TESTED:
        return ""
    tried = ", ".join(".".join(map(str, v)) for v in TESTED)
    return f"QEMU {version[0]}.{version[1]} is untested with the plugin (tested: {tried})"


def compiler() -> Tool:
    """For the plugin, which runs here."""
    for name in ("cc", "gcc", "clang"):
        if path := shutil.which(name):
            return Tool((path,), _first_line([path, "--version"]))
    if (zig := _zig()) is not None:
        return zig
    raise InputError(f"no C compiler for the plugin: {INSTALL_CC}")


def cross_compiler() -> Tool:
    """For the guest: Debian's, or the one that comes in the ziglang wheel."""
    if path := shutil.which("aarch64-linux-gnu-gcc"):
        return Tool((path,), _first_line([path, "--version"]))
    if (zig := _zig()) is not None:
        return Tool((*zig.command, "-target", "aarch64-linux-musl"), zig.version)
    raise InputError(f"no compiler that makes arm64 programs for the guest: {INSTALL_CROSS}")


def _zig() -> Tool | None:
    if importlib.util.find_spec("ziglang") is None:
        return None
    command = (sys.executable, "-m", "ziglang")
    return Tool((*command, "cc"), f"zig {_first_line([*command, 'version'])}")


def _first_line(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        raise InputError(f"{' '.join(command)} does not run: {error}") from None
    return done.stdout.split("\n", 1)[0][:200]
