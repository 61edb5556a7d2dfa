"""The words of one line, with their columns, and errors that point at them."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection
from typing import NoReturn

from mmarch.errors import InputError

from .expr import Amount, ExpressionError, amount, is_unit
from .model import Place

_WORD = re.compile(r"\S+")
_NAME = re.compile(r"[A-Za-z_]\w*$")
MAX_NAME = 64


def fail(place: Place, message: str, column: int | None = None) -> NoReturn:
    """Raise InputError at `place`."""
    raise InputError(f"{place.file}:{place.line}:{column or place.column}: {message}")


def suggest(word: str, known: Collection[str]) -> str:
    """`(did you mean …?)`, or the empty string."""
    near = difflib.get_close_matches(word, known, n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""


class Words:
    """A line's words, taken from the left."""

    def __init__(self, place: Place, text: str, offset: int = 0) -> None:
        self.place = place
        self._all = [(m.group(), m.start() + 1 + offset) for m in _WORD.finditer(text)]
        self._next = 0
        self._end = len(text.rstrip()) + 1 + offset

    def __bool__(self) -> bool:
        return self._next < len(self._all)

    @property
    def column(self) -> int:
        """Column of the next word, or one past the line's end."""
        return self._all[self._next][1] if self else self._end

    @property
    def start(self) -> int:
        """Column of the first word."""
        return self._all[0][1] if self._all else self._end

    def peek(self) -> str:
        """The next word, or the empty string."""
        return self._all[self._next][0] if self else ""

    def take(self, what: str) -> str:
        """The next word; an error says that `what` is missing."""
        if not self:
            self.fail(f"{what} is missing")
        word = self._all[self._next][0]
        self._next += 1
        return word

    def accept(self, *words: str) -> str:
        """The next word if it is one of `words`, else the empty string."""
        return self.take("") if self.peek() in words else ""

    def rest(self) -> tuple[tuple[str, int], ...]:
        """The words not yet taken, with their columns."""
        return tuple(self._all[self._next :])

    def fail(self, message: str, column: int | None = None) -> NoReturn:
        """Raise InputError at the next word, or at `column`."""
        fail(self.place, message, column or self.column)

    def name(self, what: str) -> str:
        """A new name: a letter, then letters, digits or `_`."""
        column = self.column
        word = self.take(what)
        if not _NAME.match(word) or len(word) > MAX_NAME:
            self.fail(f"{word!r} is not {what}: letters, digits and '_', at most {MAX_NAME}", column)
        return word

    def known(self, what: str, names: Collection[str]) -> str:
        """One of `names`."""
        column = self.column
        word = self.take(what)
        if word not in names:
            listed = ", ".join(sorted(names)) or "none yet"
            self.fail(f"unknown {what} {word!r}{suggest(word, names)}; known: {listed}", column)
        return word

    def integer(self, what: str, highest: int) -> int:
        """A plain decimal number from 0 to `highest`."""
        column = self.column
        word = self.take(what)
        if not word.isdecimal() or len(word) > 12 or int(word) > highest:
            self.fail(f"{what} is {word!r}, not a number from 0 to {highest}", column)
        return int(word)

    def size(self, what: str) -> Amount:
        """An amount: pages, or with KiB, MiB, GiB that many bytes."""
        column = self.column
        return self._amount(self.take(what), column)

    def range(self) -> tuple[Amount, Amount] | None:
        """`FIRST..END` if that is the next word."""
        if ".." not in self.peek():
            return None
        column = self.column
        first, _, end = self.take("").partition("..")
        if not first or not end:
            self.fail("a range is FIRST..END, both in pages or with a unit, such as 0..16", column)
        return self._amount(first, column, bare=True), self._amount(end, column + len(first) + 2)

    def _amount(self, word: str, column: int, bare: bool = False) -> Amount:
        unit = self.take("") if not bare and is_unit(self.peek()) else None
        try:
            return amount(word, unit, column)
        except ExpressionError as error:
            self.fail(str(error), column)

    def done(self) -> None:
        """Fail if words are left."""
        if self:
            self.fail(f"{self.peek()!r} is too much here")
