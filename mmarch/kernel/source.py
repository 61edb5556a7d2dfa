"""Which kernel: an Image in a file, or one of Debian's in the cache.

Errors: mmarch.errors.InputError.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mmarch.errors import InputError
from mmarch.kernel import debian, modules, symbols
from mmarch.kernel.image import Image, read_image
from mmarch.kernel.symbols import Symbols

_ERRATUM = re.compile(rb"^CONFIG_ARM64_ERRATUM_4118414=y$", re.MULTILINE)
_WORKAROUND = b"Broken broadcast TLBI completion"  # cpu_errata.c, since the erratum is in its list


@dataclass(frozen=True)
class Kernel:
    """A kernel to boot.

    name     as the user named it
    symbols  if they were given; else a first boot asks the kernel
    modules  by name, in the order in which they load
    config   the text of its .config, if it is known
    """

    name: str
    image: Image
    symbols: Symbols | None = None
    modules: Mapping[str, bytes] = field(default_factory=dict)
    config: bytes | None = None

    @property
    def repeats_tlbi(self) -> bool:
        """Whether it works around erratum 4118414: its configuration says so, or the name it gives to that."""
        if self.config is not None:
            return _ERRATUM.search(self.config) is not None
        return _WORKAROUND in self.image.data

    def cpu(self, name: str) -> str:
        """The CPU `name` as this kernel uses it, in the words of the twin."""
        return name if self.repeats_tlbi else f"{name}+norepeat_tlbi"

    @property
    def config_digest(self) -> str | None:
        """SHA-256 of the configuration."""
        return hashlib.sha256(self.config).hexdigest() if self.config is not None else None


def open_kernel(name: str, system_map: str = "", module_folder: str = "") -> Kernel:
    """The kernel called `name`: a path, or debian:VERSION[-16k], which is downloaded unless it is there."""
    if name.startswith(debian.PREFIX):
        folder = debian.find(name) or debian.get(name)
        return _of_folder(name, folder, system_map)
    path = Path(name)
    if not path.exists():
        raise InputError(
            f"no such kernel: {name}; name an Image, or debian:VERSION (see 'mmarch kernel list')"
        )
    if path.is_dir():
        raise InputError(
            f"kernel {name}: a directory; name the Image in it, such as {path}/arch/arm64/boot/Image"
        )
    image = read_image(path)
    return Kernel(
        name,
        image,
        symbols.load(Path(system_map)) if system_map else None,
        modules.of_folder(Path(module_folder)) if module_folder else {},
        image.config or _beside(path),
    )


def _of_folder(name: str, folder: Path, system_map: str) -> Kernel:
    """One that `mmarch kernel get` put into the cache."""
    found = {path.stem: path.read_bytes() for path in sorted(folder.glob("*.ko"))}
    config = folder / "config"
    return Kernel(
        name,
        read_image(folder / "Image"),
        symbols.load(Path(system_map)) if system_map else None,
        {module: found[module] for module in modules.closure(found)},
        config.read_bytes() if config.exists() else None,
    )


def _beside(path: Path) -> bytes | None:
    """The .config of the tree in which an Image was built (arch/arm64/boot/Image)."""
    if path.resolve().parent.parts[-3:] != ("arch", "arm64", "boot"):
        return None
    try:
        return (path.resolve().parents[3] / ".config").read_bytes()[: 4 << 20]
    except OSError:
        return None
