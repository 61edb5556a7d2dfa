"""A glance at a linked machine: in a fraction of a millisecond, whether any invariant of core-mm may be broken.

The same invariants as in `mmarch.sanitize.invariants`, but for lists and trees (`rows`, `buddies`), written in the
linkable subset and linked into an image of their own, which reads the machine's memory and writes to notes beside it.
Whatever it doubts is looked at again by those checks, which say what is wrong.
"""

from __future__ import annotations

import importlib
from types import FunctionType
from typing import cast

import numpy as np

from mmarch.engine.code import Code
from mmarch.engine.layout import Layout
from mmarch.engine.link import Image, link
from mmarch.engine.machine import Machine, declared_modules
from mmarch.engine.memory import Memory
from mmarch.engine.program import NotLinkable
from mmarch.sanitize.glance import scratch
from mmarch.sanitize.glance.glance import look
from mmarch.sanitize.glance.plain import plain_entry, unmarked


_images: dict[tuple[str, ...], Image] = {}


def glance_at(machine: Machine) -> Glance | None:
    """For a linked machine; none where the architecture's reading of an entry does not link."""
    try:
        return Glance(machine) if machine.engine == "linked" else None
    except NotLinkable:
        return None


class Glance:
    """Looks at one machine, which runs linked code."""

    def __init__(self, machine: Machine) -> None:
        config = machine.config
        archs = [config.generic] if config.arch.name == config.generic.name else [config.generic, config.arch]
        modules = [*declared_modules(archs), *config.changes.modules, scratch]
        layout = Layout.of(modules, config.hooks)
        self._machine, self._slots = machine.memory, machine.layout.slots
        rows = machine.memory.tables
        sizes = {
            "frames": len(rows["PAGE"]), "tables": len(rows["PTDESC"]), "mms": len(rows["MM"]),
            "swap": len(machine.memory.arrays["swap_map"]), "anon_vmas": len(rows["ANON_VMA"]),
        }  # fmt: skip
        self._memory = Memory(layout, sizes, machine.memory)
        model = config.arch.tlb_model
        self._memory.set("glance", "cont_mask", model.cont_mask if model else 0)
        plain = _named(model.plain) if model and model.plain else cast(FunctionType, unmarked)
        winners = {**machine.winners, plain_entry.__name__: plain}
        code = Code((cast(FunctionType, look),), winners, {}, config.changes.replaced)
        key = (*code.names(), repr((layout.arrays, layout.tables, layout.scalars)))
        if key not in _images:
            _images[key] = link(code, layout)
        self._image = _images[key]

    def __call__(self) -> int:
        """A number of `doubts`; 0 if everything is in order."""
        memory, get = self._memory, self._machine.get
        memory.root[: self._slots] = self._machine.root[: self._slots]
        used = {
            "FRAME": get("mach", "frontier"), "KNOWN": get("mach", "next_table"), "SPACE": get("mach", "next_mm"),
            "SLOT": get("cfg", "swap_slots") + 2, "CHAIN": max(get("mach", "next_anon_vma"), 1),
        }  # fmt: skip
        for name, count in used.items():
            notes = memory.tables[name].together
            notes[:count].view(np.uint8).fill(0)
        return self._image.call(look.__name__, memory)


def _named(dotted: str) -> FunctionType:
    """A function of the plugin, named as "module:function"."""
    module, _, name = dotted.partition(":")
    return cast(FunctionType, getattr(importlib.import_module(module), name))
