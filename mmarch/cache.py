"""The user's cache: where it is, and how something gets into it whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import platformdirs


def cache_dir() -> Path:
    """$MMARCH_CACHE_DIR, else the user's cache directory."""
    chosen = os.environ.get("MMARCH_CACHE_DIR")
    return Path(chosen) if chosen else Path(platformdirs.user_cache_dir("mmarch"))


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that it is there completely or not."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        file.write(data)
    os.replace(file.name, path)
