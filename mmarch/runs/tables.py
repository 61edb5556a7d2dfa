"""Page tables in the memory of a running machine."""

from __future__ import annotations

from functools import lru_cache

from mmarch.engine.machine import Machine
from mmarch.runs.configure import Setup
from mmarch.runs.entries import Entries
from mmarch.runs.leaves import Leaves, leaves


def leaves_of(machine: Machine, setup: Setup, mm: int) -> Leaves:
    """Of the address space with this number."""
    geometry, memory = setup.geometry, machine.memory
    top = int(memory.tables["MM"]["pgd"][mm])
    return leaves(memory.arrays["ptes"], entries_of(setup), top, geometry.levels - 1, geometry.pte_bits)


def entries_of(setup: Setup) -> Entries:
    """What entries mean; made once for runs in a loop, since binding the hooks takes longer than a small run."""
    return _entries(_Kind(setup))


class _Kind:
    """Setups that give entries the same meaning are equal."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        chosen = setup.configuration
        names = (chosen.release, chosen.cpu, chosen.granule, chosen.with_, chosen.without)
        hooks = (frozenset(arch.hooks.items()) for arch in (setup.arch, setup.generic))
        self.key = (*names, *hooks, *(one.digest for one in setup.applied))

    def __hash__(self) -> int:
        return hash(self.key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Kind) and self.key == other.key


@lru_cache(maxsize=16)
def _entries(kind: _Kind) -> Entries:
    """Once for runs in a loop: binding the hooks takes longer than a small run."""
    return Entries(kind.setup)
