"""The guest's initial ramfs: a cpio archive ("newc") of a few files."""

from __future__ import annotations

from collections.abc import Mapping

_FILE, _FOLDER = 0o100755, 0o040755


def archive(files: Mapping[str, bytes]) -> bytes:
    """Files by name, in the root folder, and a folder for devices."""
    entries = [_entry("dev", b"", _FOLDER, 1)]
    entries += [_entry(name, data, _FILE, inode) for inode, (name, data) in enumerate(files.items(), 2)]
    return b"".join((*entries, _entry("TRAILER!!!", b"", 0, 0)))


def _entry(name: str, data: bytes, mode: int, inode: int) -> bytes:
    """Fields of Documentation/driver-api/early-userspace/buffer-format.rst."""
    fields = (inode, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0)
    head = b"070701" + b"".join(b"%08x" % field for field in fields) + name.encode() + b"\0"
    return _padded(head) + _padded(data)


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)
