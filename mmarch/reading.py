"""Files that may be anybody's: read up to a limit, checked, and named where they are not what they should be."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from mmarch.errors import InputError

Read = TypeVar("Read", bound=BaseModel)


def limited(path: Path, where: str, limit: int, too_large: str) -> bytes:
    """The bytes of a file, which `where` names; InputError if it cannot be read, or has more than `limit`."""
    try:
        with path.open("rb") as stream:
            data = stream.read(limit + 1)
    except OSError as error:
        raise InputError(f"{where}: cannot read: {error.strerror}") from None
    if len(data) > limit:
        raise InputError(f"{where}: {too_large}")
    return data


def utf8(data: bytes, where: str, what: str) -> str:
    """The text of a file; InputError that says what it should be."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise InputError(f"{where}: not UTF-8 text; {what}") from None


def toml(text: str, where: str) -> dict[str, Any]:
    """The tables of a TOML file; InputError if it is none, or nested beyond measure."""
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise InputError(f"{where}: not TOML: {error}") from None


def valid(kind: type[Read], given: dict[str, Any], where: str) -> Read:
    """A model of what a file says; InputError that names the first wrong field and shows its value."""
    try:
        return kind.model_validate(given)
    except ValidationError as error:
        wrong = error.errors(include_url=False)
        slips = [
            one for one in wrong if one["type"] == "extra_forbidden"
        ]  # of which another key may be missing
        first = (slips or wrong)[0]
        field = ".".join(map(str, first["loc"])) or "the file"
        raise InputError(f"{where}: {field}: {first['msg']} (got {first['input']!r:.40})") from None
