"""A configuration as a TOML file: what `--config` reads and `mmarch config` writes.

arch = "arm64"
release = "6.12"
with = ["mprotect_batch", "mremap_batch"]
folio-orders = ["64K"]
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from mmarch.errors import InputError, MmarchError
from mmarch.plugins.series import is_path
from mmarch.reading import limited, toml, utf8
from mmarch.runs.configure import Choices, configure
from mmarch.runs.result import Configuration
from mmarch.sizes import show_size
from mmarch.suggest import unknown
from mmarch.verbose import say

# In the order in which they are checked: a key may depend on those before it.
KEYS = {
    "arch": "arch", "release": "release", "cpu": "cpu", "granule": "granule", "folio-orders": "folio_orders",
    "memory": "memory", "seed": "seed", "with": "with_", "without": "without",
}  # fmt: skip
LISTS = ("with", "without")
LARGEST = 1 << 16  # bytes


def read(path: Path) -> dict[str, object]:
    """Values by the names of `Choices`; InputError with file and line for what is unknown or wrong."""
    text = _text(path)
    say(f"read: configuration {path}")
    given = toml(text, str(path))
    for key in given:
        if key not in KEYS:
            raise InputError(f"{path}:{_line(text, key)}: {unknown('key', key, KEYS)}")
    values: dict[str, object] = {}
    last = next((key for key in reversed(KEYS) if key in given), "")
    for key in (key for key in KEYS if key in given):
        where = f"{path}:{_line(text, key)}"
        values[KEYS[key]] = _value(where, key, given[key])
        _check(where, values, last=key == last)
    return values


def _check(where: str, values: Mapping[str, object], last: bool) -> None:
    """Whether what was read so far can be; features only once all of them are known."""
    known = {name: value for name, value in values.items() if last or name not in ("with_", "without")}
    try:
        configure(replace(Choices(), **known))  # type: ignore[arg-type]
    except MmarchError as error:
        raise InputError(f"{where}: {error}") from None


def _value(where: str, key: str, value: object) -> object:
    """As an option of that name would give it."""
    wanted = "a list of names" if key in LISTS else "a whole number" if key == "seed" else "text"
    if key in LISTS:
        names = value.split("+") if isinstance(value, str) else value
        if isinstance(names, list) and all(isinstance(name, str) for name in names):
            if paths := [name for name in names if is_path(name)]:
                raise InputError(
                    f"{where}: {key} has the path {paths[0]!r}; a configuration names installed series. Give the "
                    "path with --with beside --config"
                )
            return tuple(names)
    elif key == "seed":
        if type(value) is int and 0 <= value < 1 << 63:
            return value
    elif key == "folio-orders" and isinstance(value, list):
        if all(type(item) in (int, str) for item in value):
            return ",".join(map(str, value)) or "0"
    elif isinstance(value, str) or (type(value) is int and key in ("memory", "folio-orders")):
        return str(value)
    raise InputError(f"{where}: {key} is {value!r:.40}; it has to be {wanted}")


def _text(path: Path) -> str:
    where, large = f"--config {path}", f"larger than {LARGEST >> 10} KiB; a configuration is a short TOML file"
    return utf8(limited(path, where, LARGEST, large), where, "a configuration is a TOML file")


def _line(text: str, key: str) -> int:
    """The 1-based line that sets a key, of a table too."""
    pattern = re.compile(rf"\s*\[*\s*[\"']?{re.escape(key)}[\"']?\s*[=.\]]")
    return next((number for number, line in enumerate(text.splitlines(), 1) if pattern.match(line)), 1)


def write(chosen: Configuration) -> str:
    """The file that `read` makes the same configuration of."""
    values: dict[str, object] = {
        "arch": chosen.arch, "release": chosen.release, "cpu": chosen.cpu, "granule": chosen.granule,
        "folio-orders": list(chosen.folio_orders), "memory": show_size(chosen.memory), "seed": chosen.seed,
        "with": list(chosen.with_), "without": list(chosen.without),
    }  # fmt: skip
    return "\n".join(f"{key} = {_toml(value)}" for key, value in values.items())


def _toml(value: object) -> str:
    """Of names, numbers, and lists of them, which need no escapes."""
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    return f'"{value}"' if isinstance(value, str) else str(value)
