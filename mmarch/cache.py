"""The user's cache: where it is, and how something gets into it whole or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import platformdirs


def cache_dir() -> Path:
    """$MMARCH_CACHE_DIR, else the user's cache directory."""
    chosen = os.environ.get("MMARCH_CACHE_DIR")
    return Path(chosen) if chosen else Path(platformdirs.user_cache_dir("mmarch"))


@contextlib.contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A folder to fill, which becomes `path` if that succeeds; of two that fill it at once the first wins."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".new-", ignore_cleanup_errors=True) as work:
        folder = Path(work) / "folder"
        folder.mkdir()
        yield folder
        with contextlib.suppress(OSError):
            os.rename(folder, path)
        if not path.is_dir():
            shutil.move(folder, path)


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that it is there completely or not."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        file.write(data)
    os.replace(file.name, path)
