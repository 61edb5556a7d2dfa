"""What patch series change of core-mm and of the hooks, as the engines take it.

Nothing of core-mm is touched: an engine that is given changes runs the replacement where it comes to a function
that is replaced, and a machine without them runs the original.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import FunctionType, ModuleType


@dataclass(frozen=True)
class Changes:
    """Of one series, or of several together.

    modules          that hold the code
    replaced         function of core-mm -> what runs instead
    hooks            new hook -> its declaration
    implementations  architecture -> hook -> function; a new hook's default is generic's
    events_of        class of own events -> their names
    owner            each function above -> the series, for messages
    """

    modules: tuple[ModuleType, ...] = ()
    replaced: Mapping[FunctionType, FunctionType] = field(default_factory=dict)
    hooks: Mapping[str, FunctionType] = field(default_factory=dict)
    implementations: Mapping[str, Mapping[str, FunctionType]] = field(default_factory=dict)
    events_of: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    owner: Mapping[FunctionType, str] = field(default_factory=dict)

    @property
    def events(self) -> tuple[str, ...]:
        """All of them, in the order of their numbers."""
        return tuple(name for names in self.events_of.values() for name in names)

    def of_arch(self, name: str) -> dict[str, FunctionType]:
        """Hook -> implementation for an architecture."""
        return dict(self.implementations.get(name, {}))

    @classmethod
    def together(cls, several: Iterable[Changes]) -> Changes:
        """The changes of all; of two that change the same the last one's."""
        found = list(several)
        archs = {arch for one in found for arch in one.implementations}
        return cls(
            modules=tuple(module for one in found for module in one.modules),
            replaced={old: new for one in found for old, new in one.replaced.items()},
            hooks={name: spec for one in found for name, spec in one.hooks.items()},
            implementations={
                arch: {name: f for one in found for name, f in one.of_arch(arch).items()} for arch in archs
            },
            events_of={name: names for one in found for name, names in one.events_of.items()},
            owner={function: name for one in found for function, name in one.owner.items()},
        )
