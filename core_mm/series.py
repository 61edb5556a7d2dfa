"""What a patch series says of itself, and the marks of what it changes.

A file with a series, or an entry point in group ``mmarch.series``, holds a `Series` under the name `series`:

    series = Series(name="anon_unmap_batch", title="mm/rmap: batch unmapping of anonymous folios", releases=("7.3",))

    @replaces("core_mm.unmap.folio_unmap_pte_batch", digest="…")
    def folio_unmap_pte_batch(folio: int, ptep: int, pte: int, address: int, end: int) -> int:
        …

Its functions are in the linkable subset, as core-mm's own; they may import any of core_mm. What core-mm
calls by the name of a replaced function is the replacement, everywhere: the original is gone, as in a kernel
with the patch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, Field

from core_mm.decl import Scalars
from core_mm.hookmark import hookimpl, hookspec

__all__ = ["IMPLEMENTS", "REPLACES", "Events", "Series", "hookspec", "implements", "replaces"]

REPLACES, IMPLEMENTS = "mmarch_replaces", "mmarch_implements"
F = TypeVar("F", bound=Callable[..., object])


class Events(Scalars, constant=True):
    """Base of a series' own events: each annotated name is a number for `core_mm.vmstat.count`."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__(constant=True)


class Series(BaseModel):
    """A patch series.

    name         what --with takes; one namespace with features and hooks
    title        its subject, as in the cover letter
    link         where it was posted
    releases     it applies to, such as "7.3"; none: all
    requires     features without which it makes no sense
    excludes     features, and other series, that it cannot be together with
    events       what it counts by itself, a class of `Events`
    changes      what it means to change of what core-mm can observe -> why: see `mmarch check --with`
    modules      of a distribution: modules that hold its functions, beside the one of the entry point
    api_version  of the hooks, `core_mm.hookspecs.API_VERSION` when it was written
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    title: str = Field(min_length=1)
    link: str = ""
    releases: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()
    excludes: tuple[str, ...] = ()
    events: type[Events] | None = None
    changes: Mapping[str, str] = Field(default_factory=dict)
    modules: tuple[str, ...] = ()
    api_version: int = 1


def replaces(target: str, digest: str = "") -> Callable[[F], F]:
    """Run this function wherever core-mm calls `target`, such as ``core_mm.unmap.try_to_unmap_ptes``.

    digest  of the function that was copied and changed; `mmarch series update` writes it
    """

    def mark(function: F) -> F:
        setattr(function, REPLACES, (target, digest))
        return function

    return mark


def implements(hook: str, *archs: str) -> Callable[[F], F]:
    """This function is the hook's implementation for the architectures named; "generic" is the default for all."""

    def mark(function: F) -> F:
        setattr(function, IMPLEMENTS, (hook, archs))
        return hookimpl(function)

    return mark
