"""`-c key=value,…`: configurations to compare."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mmarch.errors import InputError
from mmarch.runs.configure import Choices
from mmarch.suggest import unknown

KEYS = ("arch", "release", "cpu", "granule", "folio-orders", "with", "without")
LISTS = {"with": "with_", "without": "without"}  # of which each value of Choices is a tuple
MOST = 8


def parse_all(texts: Sequence[str], base: Choices) -> list[Choices]:
    """Every configuration; InputError unless there are two to eight."""
    if not 2 <= len(texts) <= MOST:
        raise InputError(
            f"compare needs 2 to {MOST} configurations, got {len(texts)}; "
            "for example: -c release=contpte-v3 -c release=contpte-v4"
        )
    return [parse(text, base) for text in texts]


def parse(text: str, base: Choices) -> Choices:
    """`base` with the keys of one ``-c``."""
    given: dict[str, str] = {}
    for item in filter(None, text.split(",")):
        key, equals, value = item.partition("=")
        key = key.strip().replace("_", "-")
        if key not in KEYS:
            form = f"Write -c KEY=VALUE,KEY=VALUE with keys {', '.join(KEYS)}, such as -c cpu=neoverse-n2,release=7.3."
            raise unknown(f"key in -c {text!r}:", key, KEYS, form)
        if not equals or not value.strip():
            raise InputError(f"-c {text!r}: {key} has no value; write {key}=VALUE")
        if key in given:
            raise InputError(f"-c {text!r}: {key} is given twice; join values with +")
        given[key] = value.strip()
    lists = {field: tuple(given.pop(key).split("+")) for key, field in LISTS.items() if key in given}
    changes: dict[str, str] = {key.replace("-", "_"): value for key, value in given.items()}
    return replace(base, **changes, **lists)  # type: ignore[arg-type]
