"""`-c key=value,…`: configurations to compare."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from mmarch.errors import InputError
from mmarch.runs.configure import Choices
from mmarch.suggest import unknown

KEYS = ("arch", "release", "cpu", "granule", "folio-orders", "with", "without", "kernel")
LISTS = {"with": "with_", "without": "without"}  # of which each value of Choices is a tuple
KERNEL_KEYS = ("kernel", "cpu", "granule", "folio-orders")
MOST = 8


@dataclass(frozen=True)
class KernelText:
    """A configuration with `kernel=`: what it names, empty where the default is meant."""

    kernel: str
    cpu: str = ""
    granule: str = ""
    folio_orders: str = ""


def parse_all(texts: Sequence[str], base: Choices) -> list[Choices | KernelText]:
    """Every configuration; InputError unless there are two to eight."""
    if not 2 <= len(texts) <= MOST:
        raise InputError(
            f"compare needs 2 to {MOST} configurations, got {len(texts)}; "
            "for example: -c release=contpte-v3 -c release=contpte-v4"
        )
    return [parse(text, base) for text in texts]


def parse(text: str, base: Choices) -> Choices | KernelText:
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
    if "kernel" in given:
        return _kernel(text, given, base)
    lists = {field: tuple(given.pop(key).split("+")) for key, field in LISTS.items() if key in given}
    changes: dict[str, str] = {key.replace("-", "_"): value for key, value in given.items()}
    return replace(base, **changes, **lists)  # type: ignore[arg-type]


def _kernel(text: str, given: dict[str, str], base: Choices) -> KernelText:
    """InputError for what only the twin can choose."""
    if wrong := [key for key in given if key not in KERNEL_KEYS]:
        raise InputError(
            f"-c {text!r}: {', '.join(wrong)} cannot be chosen of a real kernel; beside kernel= there are "
            f"{', '.join(KERNEL_KEYS[1:])}"
        )
    return KernelText(
        given["kernel"],
        given.get("cpu", base.cpu),
        given.get("granule", ""),
        given.get("folio-orders", base.folio_orders),
    )
