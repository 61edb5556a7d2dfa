"""`configured`: the options of a configuration, spelled out once for all commands that take one."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from mmarch.cli import options as o
from mmarch.cli.output import reading_as

PLACE = "chosen"  # the parameter in whose place the options stand, and which they become
Command = Callable[..., None]


def _options(
    config: o.ConfigFile = None,
    arch: o.Arch = "arm64",
    release: o.Release = "",
    cpu: o.Cpu = "",
    granule: o.Granule = "",
    folio_orders: o.FolioOrders = "",
    with_: o.With = None,
    without: o.Without = None,
    memory: o.Memory = "16G",
    seed: o.Seed = 0,
    touch: o.Touch = "first",
    access: o.AccessAs = "by-protection",
    lenient: o.Lenient = False,
    maps: o.Maps = None,
    faults: o.Faults = None,
    salvage: o.Salvage = False,
    set_: o.Set = None,
) -> None: ...


OPTIONS = tuple(inspect.signature(_options, eval_str=True).parameters.values())
# How a trace is read, and a workload, which is no part of a configuration.
OF_TRACES = ("touch", "access", "lenient", "maps", "faults", "salvage")
READING = (*OF_TRACES, "set_")


def configured(*but: str) -> Callable[[Command], Command]:
    """Fill the keyword `chosen` of a command with a configuration as the API takes it.

    but  options that the command has not
    """
    taken = [item.replace(kind=inspect.Parameter.KEYWORD_ONLY) for item in OPTIONS if item.name not in but]

    def decorate(command: Command) -> Command:
        @functools.wraps(command)
        def filled(**given: Any) -> None:
            values = {item.name: given.pop(item.name) for item in taken}
            del values["config"]  # which has become the defaults of the others
            how = {name: values.pop(name) for name in READING if name in values}
            values = {name: () if value is None else value for name, value in values.items()}
            with reading_as(how):
                command(**given, **{PLACE: values})

        return _with_parameters(filled, command, PLACE, taken)

    return decorate


def reading(command: Command) -> Command:
    """Add the options of how a trace is read, in the place of the parameter `how`."""
    taken = [item.replace(kind=inspect.Parameter.KEYWORD_ONLY) for item in OPTIONS if item.name in OF_TRACES]

    @functools.wraps(command)
    def filled(**given: Any) -> None:
        with reading_as({item.name: given.pop(item.name) for item in taken}):
            command(**given, how=None)

    return _with_parameters(filled, command, "how", taken)


def _with_parameters(
    filled: Command, command: Command, place: str, taken: list[inspect.Parameter]
) -> Command:
    """With the parameters of `command`, and others in place of one of them."""
    own = inspect.signature(command, eval_str=True)
    parameters: list[inspect.Parameter] = []
    for item in own.parameters.values():
        parameters += taken if item.name == place else [item]
    filled.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]
    return filled
