"""Files that a command writes: whole or not at all over regular files, straight into everything else."""

from __future__ import annotations

import os
import re
import stat
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from mmarch.errors import InputError

_DESCRIPTOR = re.compile(r"/(?:dev/fd|proc/(?:self|\d+|thread-self)/fd)/(\d+)")
_LINKS = 40  # as many as the kernel follows (include/linux/namei.h, MAXSYMLINKS)


@contextmanager
def writing(output: str | Path) -> Iterator[BinaryIO]:
    """What goes to the file called `output`; BrokenPipeError if nobody reads it any more.

    A regular file, or one that is not there yet, is replaced at the end, behind symbolic links, with the
    mode and owner it had. A device, a fifo, a file with several names and one in a folder that takes no
    new files are written through. InputError if that fails, and then the file is as before.
    """
    try:
        with _opened(output) as file:
            yield file
    except BrokenPipeError:
        raise
    except OSError as error:
        raise cannot_write(output, error) from error


def _opened(output: str | Path) -> AbstractContextManager[BinaryIO]:
    if (descriptor := _descriptor(output)) is not None:
        return os.fdopen(os.dup(descriptor), "wb")
    target = Path(os.path.realpath(output))
    return _replacing(target) if _replaceable(target) else open(output, "wb")


def check(output: str | Path) -> None:
    """InputError now if `writing` could not write there later; opens nothing."""
    target = Path(os.path.realpath(output))
    if target.is_dir():
        raise InputError(f"cannot write {output}: it is a directory; name a file")
    if not target.parent.is_dir():
        raise InputError(f"cannot write {output}: there is no directory {target.parent}")
    if not os.access(target if target.exists() else target.parent, os.W_OK):
        raise InputError(f"cannot write {output}: Permission denied")


def cannot_write(output: object, error: OSError) -> InputError:
    """The message for what the kernel said."""
    return InputError(f"cannot write {output}: {error.strerror}")


def _descriptor(output: str | Path) -> int | None:
    """The number of an open file that a path like /dev/stdout means: opening it anew would lose its place."""
    path = os.path.abspath(output)
    for _ in range(_LINKS):
        if found := _DESCRIPTOR.fullmatch(path):
            return int(found[1])
        try:
            path = os.path.join(os.path.dirname(path), os.readlink(path))
        except OSError:
            return None
    return None


def _replaceable(target: Path) -> bool:
    """Whether a new file may take the place of what is there."""
    if not os.access(target.parent, os.W_OK):
        return False
    with suppress(FileNotFoundError):
        there = target.stat()
        ours = os.geteuid() in (0, there.st_uid)
        return stat.S_ISREG(there.st_mode) and there.st_nlink == 1 and ours and os.access(target, os.W_OK)
    return True


@contextmanager
def _replacing(target: Path) -> Iterator[BinaryIO]:
    with tempfile.NamedTemporaryFile(
        dir=target.parent, prefix=f".{target.name[:100]}.", suffix=".part", delete=False
    ) as file:
        try:
            yield file  # type: ignore[misc]
            file.flush()
            _like(target, file.fileno())
            os.replace(file.name, target)
        except BaseException:
            with suppress(OSError):
                os.unlink(file.name)
            raise


def _like(target: Path, descriptor: int) -> None:
    """The mode and owner of the file that is there, else those of a new one."""
    try:
        there = target.stat()
    except FileNotFoundError:
        os.fchmod(descriptor, 0o666 & ~_umask())
        return
    os.fchown(descriptor, there.st_uid, there.st_gid)
    os.fchmod(descriptor, stat.S_IMODE(there.st_mode))


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A folder to fill, which becomes `path` if that succeeds; of two that fill it at once the first wins.

    An empty folder is replaced, behind symbolic links, with the mode and owner it had. OSError if that fails.
    """
    target = Path(os.path.realpath(path))
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".new-", ignore_cleanup_errors=True) as work:
        folder = Path(work) / "folder"
        folder.mkdir()
        yield folder
        if target.is_dir():
            there = target.stat()
            os.chown(folder, there.st_uid, there.st_gid)
            folder.chmod(stat.S_IMODE(there.st_mode))
        try:
            os.rename(folder, target)
        except OSError:
            if not target.is_dir() or not any(target.iterdir()):
                raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
