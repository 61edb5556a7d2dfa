"""A kernel's Image: told apart from everything else, unpacked, and read for its version and page size.

Errors: mmarch.errors.InputError.
"""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import lzma
import re
import zlib
from dataclasses import dataclass
from pathlib import Path

from mmarch.errors import InputError
from mmarch.reading import limited

MAX_BYTES = 512 << 20
_PAGE_SIZES = {1: 4096, 2: 16384, 3: 65536}  # Documentation/arch/arm64/booting.rst: flags, bits 1-2
_VERSION = re.compile(rb"Linux version (\d+\.\d+[^\s\0]{0,100}) \(")
_CONFIG = re.compile(rb"IKCFG_ST(.{1,400000}?)IKCFG_ED", re.S)


@dataclass(frozen=True)
class Image:
    """An unpacked arm64 Image: its bytes, `uname -r`, its page size, its configuration if it carries one."""

    data: bytes
    version: str
    page_size: int
    config: bytes | None

    @property
    def digest(self) -> str:
        """Of what is executed."""
        return hashlib.sha256(self.data).hexdigest()


def read_image(path: Path) -> Image:
    """The kernel in the file `path`: an Image, compressed or not, or an EFI zboot image of one."""
    data = _unpacked(path, _read(path))
    _check(path, data)
    version = _VERSION.search(data)
    if version is None:
        raise InputError(f"{path}: an arm64 Image without a 'Linux version' in it; is it a kernel?")
    flags = int.from_bytes(data[24:32], "little")
    page_size = _PAGE_SIZES.get(flags >> 1 & 3)
    if page_size is None:
        raise InputError(f"{path}: its header does not say its page size (flags {flags:#x})")
    return Image(data, version.group(1).decode("ascii", "replace"), page_size, _config(data))


def _read(path: Path) -> bytes:
    return limited(path, f"kernel {path}", MAX_BYTES, f"larger than {MAX_BYTES >> 20} MiB")


def _unpacked(path: Path, data: bytes) -> bytes:
    if data[:2] == b"MZ" and data[4:8] == b"zimg":  # EFI zboot: offset and size of what is packed
        at, size = (int.from_bytes(data[i : i + 4], "little") for i in (8, 12))
        data = data[at : at + size]
    try:
        if data[:2] == b"\x1f\x8b":
            return _bounded(path, gzip.GzipFile(fileobj=io.BytesIO(data)))
        if data[:6] == b"\xfd7zXZ\0" or data[:3] == b"]\0\0":
            return _bounded(path, lzma.LZMAFile(io.BytesIO(data)))
        if data[:3] == b"BZh":
            return _bounded(path, bz2.BZ2File(io.BytesIO(data)))
    except (EOFError, OSError, zlib.error, lzma.LZMAError) as error:
        raise InputError(f"kernel {path}: damaged: {error}") from None
    for magic, tool in ((b"(\xb5/\xfd", "zstd"), (b"\x02!L\x18", "lz4")):
        if data[:4] == magic:
            raise InputError(f"kernel {path}: packed with {tool}; unpack it first: {tool} -d")
    return data


def _bounded(path: Path, stream: io.BufferedIOBase | gzip.GzipFile | lzma.LZMAFile | bz2.BZ2File) -> bytes:
    data = stream.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise InputError(f"kernel {path}: unpacks to more than {MAX_BYTES >> 20} MiB")
    return data


def _check(path: Path, data: bytes) -> None:
    """InputError that says what the file is, if it is no arm64 Image."""
    if data[0x38:0x3C] == b"ARMd":
        return
    what = _other(data)
    raise InputError(f"kernel {path}: {what}; name an arm64 Image, such as arch/arm64/boot/Image")


def _other(data: bytes) -> str:
    if data[:4] == b"\x7fELF":
        return "an ELF file (vmlinux?), which cannot be booted"
    if data[0x38:0x3C] == b"RSC\x05":
        return "a riscv Image, the wrong architecture"
    if data[0x202:0x206] == b"HdrS":
        return "an x86 bzImage, the wrong architecture"
    return f"not a kernel: it starts {data[:16]!r}" if data else "empty"


def _config(data: bytes) -> bytes | None:
    """What CONFIG_IKCONFIG put into the kernel."""
    found = _CONFIG.search(data)
    if not found:
        return None
    try:
        return zlib.decompressobj(31).decompress(found.group(1), 4 << 20)
    except zlib.error:
        return None
