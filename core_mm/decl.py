"""Declarations of the machine's memory, in the manner of C's ``extern``.

Core-mm and architecture code is written against these names as kernel code is
written against global arrays: ``page.refcount[pfn]``, ``ptes[ptep]``,
``cfg.page_shift``.  A declaration holds no data.  An engine *binds* the code to
one machine: interpreted code gets views of that machine's arrays, linked code
gets their addresses.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, NoReturn, TypeVar

INLINING = "mmarch_inlining"
F = TypeVar("F", bound=Callable[..., object])


def noinline(function: F) -> F:
    """Keep a function out of line in linked code, as the kernel does with rare and long paths."""
    setattr(function, INLINING, "noinline")
    return function


def cold(function: F) -> F:
    """Out of line, and its callers are laid out for the case that it is not called."""
    setattr(function, INLINING, "noinline cold")
    return function


def always_inline(function: F) -> F:
    """Copy it into each caller, so that what one of them passes as a constant is worked out there."""
    setattr(function, INLINING, "alwaysinline")
    return function


class Unbound(RuntimeError):
    """Code that was not bound to a machine touched its memory."""


def _unbound(name: str) -> NoReturn:
    raise Unbound(f"{name} is a declaration; run this code through a mmarch engine")


class Column:
    """One field of every row of a table, indexed by row number; `apart`: it lies in an array of its own."""

    def __init__(self, owner: str, name: str, width: int, apart: bool) -> None:
        self.owner, self.name, self.width, self.apart = owner, name, width, apart

    def __getitem__(self, row: int) -> int:
        _unbound(f"{self.owner}.{self.name}")

    def __setitem__(self, row: int, value: int) -> None:
        _unbound(f"{self.owner}.{self.name}")


def column(bits: int = 64, apart: bool = False) -> Column:
    """A signed column of 8, 16, 32 or 64 bits; `apart` from the rest of the row for loops that need no more."""
    return Column("", "", bits, apart)


class Table:
    """Base of row tables (``struct page``, ``struct vm_area_struct``, …); row 0 is never used.

    `rows` names the size, which the machine chooses (``"frames"``, ``"vmas"``, …).
    """

    columns: ClassVar[dict[str, Column]]

    rows: ClassVar[str]

    def __init_subclass__(cls, rows: str) -> None:
        cls.rows, cls.columns = rows, {}
        for name, declared in vars(cls).items():
            if isinstance(declared, Column):
                declared.owner, declared.name = cls.__name__, name
                cls.columns[name] = declared


class Array:
    """A flat array of signed 64-bit integers; `length` names its size, which the machine chooses."""

    def __init__(self, name: str, length: str) -> None:
        self.name, self.length = name, length

    def __getitem__(self, index: int) -> int:
        _unbound(self.name)

    def __setitem__(self, index: int, value: int) -> None:
        _unbound(self.name)


class Scalars:
    """Base of named 64-bit values; `constant` ones never change while code runs."""

    names: ClassVar[tuple[str, ...]]
    constant: ClassVar[bool]

    def __init_subclass__(cls, constant: bool = False) -> None:
        cls.names = tuple(name for name in cls.__annotations__ if not name.startswith("_"))
        cls.constant = constant
