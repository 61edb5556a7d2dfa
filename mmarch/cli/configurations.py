"""`-c key=value,…`: configurations to compare."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from mmarch.errors import InputError
from mmarch.runs.configure import letters
from mmarch.suggest import unknown

if TYPE_CHECKING:
    from mmarch.api import Choosing

KEYS = ("name", "arch", "release", "cpu", "granule", "folio-orders", "with", "without", "kernel")
KERNEL_KEYS = ("name", "kernel", "cpu", "granule", "folio_orders")
LISTS = ("with", "without")


def parse_all(texts: Sequence[str]) -> dict[str, Choosing]:
    """Every configuration by its name, a letter if it has none; InputError unless there are two."""
    if len(texts) < 2:
        raise InputError(
            f"compare needs 2 configurations or more, got {len(texts)}; "
            "for example: -c release=contpte-v3 -c release=contpte-v4"
        )
    found: dict[str, Choosing] = {}
    for number, text in enumerate(texts):
        given = parse(text)
        name = given.pop("name", letters(number))
        if name in found:
            raise InputError(
                f"-c {text!r}: another configuration is called {name!r} too; give it another name"
            )
        found[name] = cast("Choosing", given)
    return found


def _whole_paths(text: str) -> None:
    """InputError for a path that the commas and pluses of ``-c`` would take apart."""
    for value in re.findall(rf"(?:^|,)\s*with=(.*?)(?=,\s*(?:{'|'.join(KEYS)})=|$)", text):
        cut = any("/" in part and not part.endswith(".py") for part in re.split("[,+]", value))
        if cut or ("," in value and ".py" in value):
            raise InputError(
                f"-c {text!r}: {value!r} would be taken apart at ',' and '+'; rename the file, or install the "
                "series and name it in a file for --config"
            )


def parse(text: str) -> dict[str, Any]:
    """What one ``-c`` changes, as `mmarch.compare` takes it."""
    given: dict[str, Any] = {}
    _whole_paths(text)
    for item in filter(None, text.split(",")):
        key, equals, value = item.partition("=")
        key = key.strip().replace("_", "-")
        if key not in KEYS:
            form = f"Write -c KEY=VALUE,KEY=VALUE with keys {', '.join(KEYS)}, such as -c cpu=neoverse-n2,release=7.3."
            raise unknown(f"key in -c {text!r}:", key, KEYS, form)
        if not equals or not value.strip():
            raise InputError(f"-c {text!r}: {key} has no value; write {key}=VALUE")
        field = "with_" if key == "with" else key.replace("-", "_")
        if field in given:
            raise InputError(f"-c {text!r}: {key} is given twice; join values with +")
        given[field] = value.strip().split("+") if key in LISTS else value.strip()
    if "kernel" in given and (wrong := [field for field in given if field not in KERNEL_KEYS]):
        raise InputError(
            f"-c {text!r}: {', '.join(wrong).replace('with_', 'with')} cannot be chosen of a real kernel; beside "
            "kernel= there are cpu, granule, folio-orders"
        )
    return given
