"""What a feature is: a behaviour that some releases have and others have not.

A table of features is a class; each of its values says what it is, and code reads it by name:

    class feature(Features):
        zap_batch: int = behaviour("zap clears a batch of PTEs of one folio at once", since="6.9", source="…")

    if feature.zap_batch:
        …
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from core_mm.decl import Scalars


@dataclass(frozen=True)
class Feature:
    """One behaviour.

    summary   one sentence
    since     the release it came with, of Linux ("6.9", whether or not the twin has that one) or of a series;
              "" of a series that no release has
    until     the release it went with, "" while it stays
    also      further releases that have it, with all that are based on these
    backported  releases whose stable kernels have it too, they alone
    requires  features without which it makes no sense
    excludes  features that it cannot be together with
    source    what this rests on: a commit with its subject, a posting, or the kernel that was measured
    """

    name: str
    summary: str
    since: str
    source: str
    until: str = ""
    also: tuple[str, ...] = ()
    backported: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()
    excludes: tuple[str, ...] = ()


def behaviour(
    summary: str, *, since: str, source: str, until: str = "", also: tuple[str, ...] = (),
    backported: tuple[str, ...] = (), requires: tuple[str, ...] = (), excludes: tuple[str, ...] = (),
) -> Any:  # fmt: skip
    """Declare a feature in a table: see `Feature`."""
    return Feature("", summary, since, source, until, also, backported, requires, excludes)


class Features(Scalars, constant=True):
    """Base of tables of features: a value each, 1 where the kernel has it, else 0."""

    table: ClassVar[Mapping[str, Feature]]

    def __init_subclass__(cls) -> None:
        super().__init_subclass__(constant=True)
        cls.table = {
            name: replace(value, name=name) for name, value in vars(cls).items() if isinstance(value, Feature)
        }
        for name in cls.table:  # what is read is the machine's memory
            delattr(cls, name)
