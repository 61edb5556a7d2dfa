"""Machines whose hooks are asked what entries say: made once for each configuration that hooks can tell apart."""

from __future__ import annotations

import importlib
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

from mmarch.engine.direct import DirectMachine
from mmarch.engine.machine import Config
from mmarch.runs.entries import SMALL

Made = TypeVar("Made")
MOST = 32  # kept; each takes less than a megabyte


def asked(config: Config) -> Config:
    """What value hooks read of a configuration: not how much memory there is, nor in which orders it is given out."""
    return replace(
        config, memory=SMALL, log_rows=0, tlb_entries=0, seen=0, anon_orders=0, shmem_orders=0, overrides={}
    )


@dataclass
class Asking(Generic[Made]):
    """Makes something of a configuration and a machine to ask, and gives it again while the code is the same.

    A thread has its own: a machine answers one question at a time.
    """

    make: Callable[[Config, DirectMachine], Made]
    _kept: dict[object, tuple[Config, DirectMachine, Made]] = field(default_factory=dict)

    def __call__(self, config: Config) -> Made:
        """The one for `config`."""
        plain = asked(config)
        key = (
            threading.get_ident(), id(plain.arch), id(plain.generic), plain.release, plain.cpu, plain.granule,
            plain.swap_bytes, plain.with_, plain.without,
        )  # fmt: skip
        known = self._kept.pop(key, None)
        if known is None or known[0].changes != plain.changes or not current(known[1]):
            machine = DirectMachine(plain)
            known = plain, machine, self.make(plain, machine)
        self._kept[key] = known
        if len(self._kept) > MOST:
            del self._kept[next(iter(self._kept))]
        return known[2]


def current(machine: DirectMachine) -> bool:
    """Whether the functions that a machine was bound to are still those of their modules: whoever tries what
    a suite notices puts others there."""
    return all(
        vars(sys.modules[function.__module__]).get(function.__name__) is function
        for function in machine.originals
    )


def function_of(machine: DirectMachine, dotted: str) -> Callable[..., int]:
    """A function of the plugin, named as "module:function", on `machine`."""
    module, _, name = dotted.partition(":")
    return machine.bound(getattr(importlib.import_module(module), name))
