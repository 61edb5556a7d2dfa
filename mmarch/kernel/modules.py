"""Kernel modules that scenarios may need: zram to swap to, loop for an ext4 file system.

Errors: mmarch.errors.InputError.
"""

from __future__ import annotations

import lzma
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from mmarch.errors import InputError

WANTED = ("zsmalloc", "zram", "loop", "ext4")
MAX_BYTES = 32 << 20
_SUFFIX = re.compile(r"\.ko(\.xz|\.gz)?$")
_DEPENDS = re.compile(rb"\0depends=([^\0]*)\0")


def closure(available: Mapping[str, bytes]) -> list[str]:
    """Names of the wanted modules and of what they need, each after what it needs."""
    ordered: list[str] = []

    def add(name: str) -> None:
        if name in ordered or name not in available:
            return
        for needed in depends(available[name]):
            add(needed)
        ordered.append(name)

    for name in WANTED:
        add(name)
    return ordered


def depends(module: bytes) -> list[str]:
    """What a module's .modinfo says it needs."""
    found = _DEPENDS.search(module)
    return (
        [name.replace("-", "_") for name in found.group(1).decode("ascii", "replace").split(",") if name]
        if found
        else []
    )


def name_of(path: str) -> str:
    """`zram` of `kernel/drivers/block/zram/zram.ko.xz`; empty if it is no module."""
    file = path.rsplit("/", 1)[-1]
    return _SUFFIX.sub("", file).replace("-", "_") if _SUFFIX.search(file) else ""


def unpacked(name: str, data: bytes) -> bytes:
    """A module without its compression."""
    try:
        if name.endswith(".xz"):
            data = lzma.LZMADecompressor().decompress(data, MAX_BYTES + 1)
        elif name.endswith(".gz"):
            data = zlib.decompressobj(31).decompress(data, MAX_BYTES + 1)
    except (zlib.error, lzma.LZMAError) as error:
        raise InputError(f"module {name}: damaged: {error}") from None
    if len(data) > MAX_BYTES:
        raise InputError(f"module {name}: larger than {MAX_BYTES >> 20} MiB")
    return data


def of_folder(folder: Path) -> dict[str, bytes]:
    """The wanted modules below `folder` (such as /lib/modules/VERSION), in the order in which they load."""
    if not folder.is_dir():
        raise InputError(f"--modules {folder}: no such folder")
    paths = {name_of(str(path)): path for path in sorted(folder.rglob("*.ko*"))}
    found: dict[str, bytes] = {}
    for name in _needed(WANTED, paths, found):
        found[name] = unpacked(paths[name].name, paths[name].read_bytes())
    return {name: found[name] for name in closure(found)}


def _needed(names: Iterable[str], paths: Mapping[str, Path], found: Mapping[str, bytes]) -> Iterator[str]:
    """Names to read; what each needs follows once it has been read."""
    for name in names:
        if name in paths and name not in found:
            yield name
            yield from _needed(depends(found[name]), paths, found)
