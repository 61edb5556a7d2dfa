"""A zip archive of parts that are looked at one after the other, as they come: what stands before damage is whole.

Nothing is compressed by it. Its index at the end is for other programs.
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Iterable
from typing import BinaryIO

from mmarch.trace.packed import Damaged

MAGIC = b"PK\x03\x04"
MOST_BYTES = 1 << 26  # of a part
_HEAD = struct.Struct("<4s5H3I2H")  # of a part: what it is, its CRC, its size twice, the length of its name


def write_parts(stream: BinaryIO, parts: Iterable[tuple[str, bytes]]) -> None:
    """Parts by name, in their order, to a file that can be sought in."""
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as made:
        for name, data in parts:
            made.writestr(zipfile.ZipInfo(name), data)


def read_part(stream: BinaryIO, name: str, begin: bytes = b"") -> bytes:
    """The next one, which has to have that name; Damaged if it ends too early or is not as it was written.

    begin  bytes of it that were read already
    """
    head = begin + stream.read(_HEAD.size + len(name) - len(begin))
    size = _HEAD.unpack_from(head)[7] if len(head) >= _HEAD.size else 0
    data = stream.read(min(size, MOST_BYTES))
    if head != _head(name, data):
        ends = len(head) < _HEAD.size or len(data) < size
        raise Damaged(f"truncated: it ends in its part {name}" if ends else f"damaged in its part {name}")
    return data


def _head(name: str, data: bytes) -> bytes:
    """What stands before a part."""
    info = zipfile.ZipInfo(name)
    info.CRC, info.file_size, info.compress_size = zlib.crc32(data), len(data), len(data)
    return info.FileHeader()
