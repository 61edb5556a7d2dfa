"""Files that tools write, and whether they are up to date."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path


def write_or_check(files: Iterable[tuple[Path, str]], arguments: list[str]) -> int:
    """Write each file's text, or with --check compare it; 1 if one is out of date."""
    if "--check" in arguments:
        return int(any(not path.exists() or path.read_text(encoding="utf-8") != text for path, text in files))
    for path, text in files:
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return 0
