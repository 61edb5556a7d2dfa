"""Did you mean …?"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from mmarch.errors import InputError


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`` Did you mean 'x'?`` for the nearest of `known`, or nothing."""
    near = get_close_matches(name.lower(), list(known), n=1, cutoff=0.6)
    return f" Did you mean {near[0]!r}?" if near else ""


def unknown_number(what: str, number: int, first: int, last: int) -> InputError:
    """The error for a number out of [first, last]."""
    valid = f"valid: {first} to {last}" if last >= first else "there is none"
    return InputError(f"no {what} {number}; {valid}")


def unknown(what: str, name: str, known: Iterable[str], see: str = "") -> InputError:
    """The error for a name that is none of `known`: nearest one, then all (or `see`, if they are many)."""
    names = list(known)
    rest = see or f"Known: {', '.join(names) or 'none'}."
    return InputError(f"unknown {what} {name!r}.{did_you_mean(name, names)} {rest}")
