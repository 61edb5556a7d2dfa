"""Text packed by gzip, xz or zstd, unpacked a little at a time, without trusting it."""

from __future__ import annotations

import lzma
import sys
import zlib
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

from mmarch.errors import InputError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

PIECE = 1 << 11  # packed bytes taken at once; what a damaged one would have become is lost
BLOCK = 1 << 20  # bytes of text given at once
MOST_MEMORY = 1 << 27  # what a packer may ask for, as xz -9 (64 MiB) and zstd --long (128 MiB) do
ALWAYS = 1 << 30  # bytes of text from as little as one packed byte
MOST_RATIO = 400  # text to packed bytes, beyond that; traces have up to 100


class Damaged(InputError):
    """A file that ends too early or is not as it was written; what stands before is as it was."""


class _Gzip:
    """zlib's decompressor with the interface of the others."""

    def __init__(self) -> None:
        self._inner = zlib.decompressobj(31)
        self._rest = b""

    def decompress(self, data: bytes, max_length: int) -> bytes:
        text = self._inner.decompress(self._rest + data, max_length)
        self._rest = self._inner.unconsumed_tail
        return text

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def needs_input(self) -> bool:
        return not self._rest

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data


def _xz() -> lzma.LZMADecompressor:
    return lzma.LZMADecompressor(memlimit=MOST_MEMORY)


FORMS: dict[bytes, tuple[str, Callable[[], Any]]] = {
    b"\x1f\x8b": ("gzip", _Gzip),
    b"\xfd7zXZ\0": ("xz", _xz),
    b"\x28\xb5\x2f\xfd": ("zstd", zstd.ZstdDecompressor),
}
_ERRORS = (zlib.error, lzma.LZMAError, zstd.ZstdError, EOFError, MemoryError)


def form_of(head: bytes) -> tuple[str, Callable[[], Any]] | None:
    """The name of what packed a file that begins so, and what makes its decompressor; None for plain text."""
    return next((form for magic, form in FORMS.items() if head.startswith(magic)), None)


def beginning(head: bytes, most: int) -> bytes:
    """The text that the first bytes of a packed file hold, at most so much; of a damaged one what can be read."""
    form = form_of(head)
    if form is None:
        return head
    text, one = b"", form[1]()
    try:
        for at in range(0, len(head), PIECE):
            text += one.decompress(head[at : at + PIECE], most)
            if one.eof or len(text) >= most:
                break
    except _ERRORS:
        pass
    return text[:most]


def unpacked(stream: BinaryIO, head: bytes, where: str) -> Iterator[bytes]:
    """The text of a stream that begins with `head`, in blocks; Damaged, or InputError for a bomb, named by `where`."""
    form = form_of(head)
    if form is None:
        yield from iter(lambda: stream.read(BLOCK), b"")
        return
    total = 0
    try:
        for text, taken in _texts(stream, *form):
            total += len(text)
            if total > max(ALWAYS, MOST_RATIO * taken):
                raise InputError(
                    f"{where}: {taken} bytes of {form[0]} are over {total} of text; no trace is so"
                )
            yield text
    except EOFError as error:
        raise Damaged(f"{where}: truncated: {error} after {total} bytes of text") from None
    except _ERRORS as error:
        raise Damaged(f"{where}: damaged after {total} bytes of text: {error}") from None


def _texts(stream: BinaryIO, name: str, make: Callable[[], Any]) -> Iterator[tuple[bytes, int]]:
    """Text, and how many packed bytes were taken so far; a file may have several parts, one after the other."""
    one, taken, data = make(), 0, b""
    while True:
        if not data and (one.eof or one.needs_input):
            data = stream.read(PIECE)
            taken += len(data)
            if not data and not one.eof:
                raise EOFError(f"its {name} data ends")
        if one.eof:
            if not data.strip(b"\0"):  # gzip may be padded
                return
            one = make()
        text = one.decompress(data, BLOCK)
        data = one.unused_data if one.eof else b""
        if text:
            yield text, taken
