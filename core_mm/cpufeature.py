"""What CPU models differ in: a table of values of which code reads each by its name.

class cpu(CpuFeatures):
    kpti: int = cpu_feature("the kernel is unmapped while user code runs", source="…")

if cpu.kpti:
    …
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from core_mm.decl import Scalars

MOST = 1 << 30


@dataclass(frozen=True)
class CpuFeature:
    """One feature of a CPU, a workaround for an erratum, or how many there are of something.

    summary     one sentence
    source      how Linux finds out that a CPU has it
    requires    features without which it cannot be
    capability  of `core_mm.descriptor.CAPABILITIES`: a CPU without this feature lacks it
    most        the highest value; 1 for what a CPU has or has not
    """

    name: str
    summary: str
    source: str
    requires: tuple[str, ...] = ()
    capability: str = ""
    most: int = 1

    @property
    def counts(self) -> bool:
        """Whether its value is a number."""
        return self.most > 1


def cpu_feature(summary: str, *, source: str, requires: tuple[str, ...] = (), capability: str = "") -> Any:
    """Declare in a table what a CPU has or has not: see `CpuFeature`."""
    return CpuFeature("", summary, source, requires, capability)


def cpu_number(summary: str, *, source: str, requires: tuple[str, ...] = (), most: int = MOST) -> Any:
    """Declare in a table how many of something a CPU has."""
    return CpuFeature("", summary, source, requires, most=most)


class CpuFeatures(Scalars, constant=True):
    """Base of tables of CPU features: a value each, constant while code runs; 0 where a model does not say."""

    table: ClassVar[Mapping[str, CpuFeature]]

    def __init_subclass__(cls) -> None:
        super().__init_subclass__(constant=True)
        declared = {name: value for name, value in vars(cls).items() if isinstance(value, CpuFeature)}
        cls.table = {name: replace(value, name=name) for name, value in declared.items()}
        for name in declared:  # what code reads is the machine's memory
            delattr(cls, name)
