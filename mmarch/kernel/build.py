"""Guest and plugin: compiled on first use, kept in the cache under a digest of sources and compiler.

Errors: mmarch.errors.InputError with what the compiler said.
"""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Sequence
from pathlib import Path

from mmarch.cache import cache_dir
from mmarch.errors import InputError
from mmarch.kernel.tools import Tool, compiler, cross_compiler
from mmarch.writing import new_folder

_HERE = Path(__file__).parent
GUEST, PLUGIN = _HERE / "guest", _HERE / "plugin"
OLDEST_API = 4


def guest() -> Path:
    """The static program that is the guest's /init."""
    return _built("init", cross_compiler(), ["-static", "-O2"], [GUEST], [GUEST / "guest.c"])


def recorder() -> Path:
    """The static program that is /init of a guest that records."""
    return _built("record", cross_compiler(), ["-static", "-O2"], [GUEST], [GUEST / "record.c"])


def plugin(api: int = OLDEST_API) -> Path:
    """The shared object that QEMU loads; `api` is the interface it says it was made for."""
    options = ["-shared", "-fPIC", "-O2", "-fvisibility=hidden", "-I", str(GUEST), f"-DAPI={api}"]
    return _built("plugin.so", compiler(), options, [GUEST, PLUGIN], sorted(PLUGIN.glob("*.c")))


def _built(
    name: str, tool: Tool, options: Sequence[str], folders: Sequence[Path], files: Sequence[Path]
) -> Path:
    sources = [file for folder in folders for file in sorted(folder.glob("*.[ch]"))]
    parts = [tool.version, *tool.command, *map(str, options), *(file.read_text() for file in sources)]
    digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
    folder = cache_dir() / "kernel" / "built" / f"{name}-{digest}"
    if not (folder / name).exists():
        with new_folder(folder) as new:
            _compile([*tool.command, *options, "-o", str(new / name), *map(str, files)])
    return folder / name


def _compile(command: Sequence[str]) -> None:
    try:
        subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    except subprocess.CalledProcessError as error:
        lines = "\n".join(error.stderr.splitlines()[:8])
        raise InputError(
            f"cannot build a part of the measuring guest: {' '.join(command)}\n{lines}"
        ) from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InputError(f"cannot build a part of the measuring guest: {error}") from None
