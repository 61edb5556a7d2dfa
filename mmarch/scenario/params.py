"""Parameters of a scenario, chosen by whoever runs it: `--set n=64`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from mmarch.errors import InputError
from mmarch.suggest import unknown

from .expr import Amount, ExpressionError, amount
from .model import Document, Param, Scenario


def parse_settings(texts: Iterable[str]) -> dict[str, str]:
    """`NAME=VALUE`, each name once; InputError for anything else."""
    found: dict[str, str] = {}
    for text in texts:
        name, equals, value = (part.strip() for part in text.partition("="))
        if not (name and equals and value):
            raise InputError(f"--set {text!r}: write NAME=VALUE, such as --set n=64")
        if name in found:
            raise InputError(f"--set {text!r}: {name} has the value {found[name]} already; give it once")
        found[name] = value
    return found


def setting(scenario: Scenario, values: Mapping[str, int | str]) -> Scenario:
    """The scenario with these values for its parameters; InputError for a name it has not, or for no amount."""
    return replace(scenario, params={**scenario.params, **_chosen(scenario, values)}) if values else scenario


def setting_all(documents: Sequence[Document], values: Mapping[str, int | str]) -> list[Document]:
    """The files with these values in every scenario that has such parameters; InputError for a name that none has."""
    known = {name: None for one in documents for scenario in one.scenarios for name in scenario.params}
    for name in values:
        if name not in known:
            raise InputError(f"--set {name}={values[name]}: {unknown('parameter', name, known)}")
    return [
        replace(one, scenarios=tuple(setting(each, _own(each, values)) for each in one.scenarios))
        for one in documents
    ]


def _own(scenario: Scenario, values: Mapping[str, int | str]) -> dict[str, int | str]:
    return {name: value for name, value in values.items() if name in scenario.params}


def _chosen(scenario: Scenario, values: Mapping[str, int | str]) -> dict[str, Param]:
    for name in values:
        if name not in scenario.params:
            where = f"{scenario.place.file}: scenario {scenario.name!r}"
            if not scenario.params:
                raise InputError(
                    f"{where} has no parameter {name!r}, nor any other; add a line: param {name} = 16"
                )
            raise InputError(f"{where}: {unknown('parameter', name, scenario.params)}")
    return {name: Param(parse_amount(name, str(value)), None) for name, value in values.items()}


def parse_amount(name: str, text: str) -> Amount:
    """The value that a parameter is set to; InputError if it is no amount."""
    try:
        return amount("".join(text.split()), None, 1)
    except ExpressionError as error:
        raise InputError(f"parameter {name}={text}: {error}") from None
